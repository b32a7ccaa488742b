import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { connected, Lab, pass, sendBoth, settled, type Wire } from './lab';

/** What tshark has against a transfer. */
export interface Verdict {
  readonly segments: boolean;
  readonly badChecksums: number;
  readonly malformed: number;
  /** Retransmissions, gaps, duplicate ACKs, full or closed windows, odd ACKs: none on a clean link. */
  readonly complaints: string[];
  readonly left: object;
}

/** A transfer, watched by tcpdump and judged by tshark, which knows nothing of the stack. Null: they are not installed. */
export async function judged(wire: Wire, side: 'kernel' | 'stack', bytes: number): Promise<Verdict | null> {
  const folder = mkdtempSync(join(tmpdir(), 'tapwire-kernel-'));
  const file = join(folder, 'capture.pcap');
  const lab = new Lab({ ...wire, offload: false });
  try {
    const dump = spawn('tcpdump', ['-i', 'lab0', '-w', file, '-U', '-Z', 'root', '-B', '32768'], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const started = await Promise.race([once(dump.stderr, 'data'), once(dump, 'error').then(() => null)]);
    if (started === null) return null;
    await sendBoth(await connected(lab, side), bytes);
    const left = await settled(lab);
    await pass(100);
    dump.kill('SIGINT');
    await once(dump, 'close');
    return { ...(await judge(file)), left };
  } finally {
    lab.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function judge(file: string): Promise<Omit<Verdict, 'left'>> {
  const fields = ['tcp.checksum.status', 'ip.checksum.status', '_ws.malformed', '_ws.expert.message'];
  const { stdout } = await promisify(execFile)(
    'tshark',
    [
      '-r',
      file,
      '-o',
      'tcp.check_checksum:TRUE',
      '-o',
      'ip.check_checksum:TRUE',
      '-Y',
      'tcp',
      '-T',
      'fields',
      '-E',
      'separator=|',
      ...fields.flatMap((field) => ['-e', field]),
    ],
    { maxBuffer: 1 << 28 },
  );
  const lines = stdout
    .trim()
    .split('\n')
    .map((line) => line.split('|'));
  const messages = lines.map((line) => line[3] ?? '').flatMap((text) => text.split(','));
  const harmless = /^$|connection (establish|finish|closing)|window update|Ignored|BDP|initial RTT/i;
  return {
    segments: lines.length > 20,
    badChecksums: lines.filter(([tcp, ip]) => tcp === '0' || ip === '0').length,
    malformed: lines.filter((line) => line[2] !== '').length,
    complaints: [...new Set(messages.filter((message) => !harmless.test(message)))],
  };
}
