import { createHash } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { piece } from '../../../tools/serve/bytes';
import { digest, held, NOTHING_HELD } from './lab';
import type { Stand } from './wires';

/*
 * What is asked of a server on the stack, each with its size as an argument: the acceptance run asks for all of it, the
 * tests for a little. Every check throws with what was wrong.
 */

const SECONDS_MAX = 120;
/** How long an upload runs before it is cut. */
const UPLOAD_MS = 100;

function must(condition: boolean, what: () => string): asserts condition {
  if (!condition) throw new Error(what());
}

/** SHA-256 of /bytes/N?seed=S, made without the server. */
export function expectedHash(bytes: number, seed: number): string {
  const hash = createHash('sha256');
  for (let at = 0; at < bytes; ) {
    const next = piece(seed, at, bytes - at);
    hash.update(next);
    at += next.length;
  }
  return hash.digest('hex');
}

/** `curl` fetches `bytes` bytes; they are the right ones. */
export async function download({ client, url }: Stand, bytes: number, seed: number): Promise<void> {
  const child = client.spawn(['curl', '-sS', '--max-time', String(SECONDS_MAX), `${url}/bytes/${bytes}?seed=${seed}`]);
  let complaint = '';
  child.stderr!.on('data', (chunk: Buffer) => {
    complaint += chunk.toString();
  });
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  const got = await digest(child.stdout!);
  const code = await ended;
  must(code === 0, () => `curl: exit ${code}, ${complaint}`);
  const right = got.bytes === bytes && got.sha256 === expectedHash(bytes, seed);
  must(right, () => `downloaded ${got.bytes} of ${bytes} bytes, SHA-256 ${got.sha256}`);
}

/** A file with the bytes of /bytes/N?seed=S, for `task`. */
export async function withFile(bytes: number, seed: number, task: (path: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'tapwire-upload-'));
  try {
    const path = join(folder, 'body');
    const fd = openSync(path, 'w');
    for (let at = 0; at < bytes; ) at += writeSync(fd, piece(seed, at, bytes - at));
    closeSync(fd);
    await task(path);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** `curl` sends the file; the server received the right bytes. */
export async function upload({ client, url }: Stand, path: string, bytes: number, seed: number): Promise<void> {
  const command = ['curl', '-sS', '--max-time', String(SECONDS_MAX), '-T', path, `${url}/sink`];
  const { code, stdout, stderr } = await client.run(command, SECONDS_MAX + 5);
  must(code === 0, () => `curl: exit ${code}, ${stderr}`);
  const got = JSON.parse(stdout.toString()) as { bytes: number; sha256: string };
  const right = got.bytes === bytes && got.sha256 === expectedHash(bytes, seed);
  must(right, () => `uploaded ${bytes} bytes, the server has ${got.bytes}, SHA-256 ${got.sha256}`);
}

/** As many at once, each with bytes of its own. */
export async function parallel(at: Stand, clients: number, bytes: number): Promise<void> {
  await Promise.all(Array.from({ length: clients }, (_, i) => download(at, bytes, i)));
}

/** No ping is lost. */
export async function ping({ client, address }: Stand, count: number, size: number): Promise<void> {
  const { stdout } = await client.run(['ping', '-n', '-i', '0.05', '-c', String(count), '-s', String(size), address]);
  const text = stdout.toString();
  must(text.includes(` ${count} received, 0% packet loss`), () => `ping -s ${size}:\n${text}`);
}

/** Keep-alive requests from 64 connections; no error of any kind. Returns the rate, for people. */
export async function wrk({ client, url }: Stand, seconds: number): Promise<number> {
  const command = ['wrk', '-t1', '-c64', `-d${seconds}s`, `${url}/status/200`];
  const { code, stdout, stderr } = await client.run(command, seconds + 20);
  const text = stdout.toString();
  must(code === 0 && !/Socket errors|Non-2xx/.test(text), () => `wrk: exit ${code}\n${text}${stderr}`);
  const rate = Number(/Requests\/sec:\s+([\d.]+)/.exec(text)?.[1]);
  must(rate > 100, () => `wrk: hardly any requests\n${text}`);
  return rate;
}

/**
 * Clients die with `kill -9` in the middle of a transfer, three downloads for one upload; what they had held is given back.
 */
export async function killedClients(at: Stand, times: number, abreast: number): Promise<void> {
  const before = (await at.serve.report()).process.descriptors;
  const zeros = openSync('/dev/zero', 'r');
  try {
    for (let done = 0; done < times; done += abreast) {
      const batch = Array.from({ length: Math.min(abreast, times - done) }, (_, i) =>
        killedClient(at, (done + i) % 4 === 3, zeros),
      );
      await Promise.all(batch);
    }
  } finally {
    closeSync(zeros);
  }
  await nothingHeld(at, before);
}

async function killedClient({ client, url }: Stand, uploads: boolean, zeros: number): Promise<void> {
  // nsenter becomes curl: killing the one kills the other.
  const child = uploads
    ? client.spawn(['curl', '-sS', '-T', '-', `${url}/sink`], zeros)
    : client.spawn(['curl', '-sS', `${url}/bytes/1000000000`]);
  const ended = new Promise((resolve) => child.on('close', resolve));
  if (uploads) await new Promise((resolve) => setTimeout(resolve, UPLOAD_MS));
  else await new Promise((resolve) => child.stdout!.once('data', resolve));
  must(child.exitCode === null, () => `curl ended by itself: exit ${child.exitCode}`);
  child.kill('SIGKILL');
  child.stdout!.resume();
  await ended;
}

/** Soon the server holds nothing for anybody, and has as many descriptors as it had. */
export async function nothingHeld({ serve }: Stand, descriptors: number | null): Promise<void> {
  const wanted = JSON.stringify([NOTHING_HELD, descriptors]);
  let seen = '';
  for (let tries = 0; tries < 40; tries++) {
    const report = await serve.report();
    seen = JSON.stringify([held(report.hosts['server']!), report.process.descriptors]);
    if (seen === wanted) return;
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  throw new Error(`still held: ${seen}; wanted: ${wanted}`);
}

/** Ctrl-C: exit 0, the interface and its addresses are gone. */
export async function cleanExit({ serve, client, device }: Stand, wire: string): Promise<void> {
  const code = await serve.stop();
  must(code === 0, () => `exit ${code}: ${serve.stderr}`);
  must(serve.stderr === '', () => serve.stderr);
  if (wire === 'packet') return;
  const links = client.sh('ip -o link');
  must(!links.includes(` ${device}:`), () => `the interface is still there: ${links}`);
}

export interface CaptureVerdict {
  packets: number;
  /** Packets that were sent again because the other side was silent for so long that a timer had to run out. */
  afterSilence: number;
  /** One line for each packet that something else is wrong with. */
  wrong: string[];
}

/**
 * Runs `task` while tcpdump records on the kernel's side, then lets tshark judge every packet. With `offload` the TCP
 * checksums in a capture are not complete yet, on either side, and are left out.
 */
export async function captured(at: Stand, offload: boolean, task: () => Promise<void>): Promise<CaptureVerdict> {
  const { client, device, serve } = at;
  const folder = mkdtempSync(join(tmpdir(), 'tapwire-capture-'));
  try {
    const file = join(folder, 'kernel.pcap');
    const dump = client.spawn(['tcpdump', '-i', device, '-U', '-B', '65536', '-s', '0', '-Z', 'root', '-w', file]);
    let said = '';
    await new Promise<void>((resolve) => {
      dump.stderr!.on('data', (chunk: Buffer) => {
        said += chunk.toString();
        if (said.includes('listening on')) resolve();
      });
      dump.on('close', () => resolve());
    });
    await task();
    await new Promise((resolve) => setTimeout(resolve, 300));
    const ended = new Promise((resolve) => dump.on('close', resolve));
    dump.kill('SIGINT');
    await ended;
    must(/\n0 packets dropped by kernel/.test(said), () => `tcpdump did not see everything: ${said}`);
    const { loopDelayMaxMs } = (await serve.report()).process;
    return judge(at, await dissected(client, file), offload, loopDelayMaxMs ?? 0);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** What tshark is asked about every packet, in this order. */
const FIELDS = [
  'frame.number',
  'frame.time_epoch',
  'ip.src',
  'tcp.stream',
  'tcp.checksum',
  'tcp.checksum.status',
  'ip.checksum.status',
  'icmp.checksum.status',
  '_ws.malformed',
  'tcp.analysis.retransmission',
  'tcp.analysis.lost_segment',
  'tcp.analysis.out_of_order',
] as const;
type Row = Record<(typeof FIELDS)[number], string>;

async function dissected(client: Stand['client'], file: string): Promise<Row[]> {
  const checked = ['-o', 'tcp.check_checksum:TRUE', '-o', 'ip.check_checksum:TRUE'];
  // The first occurrence: an ICMP error quotes another IP header.
  const fields = ['-T', 'fields', '-E', 'occurrence=f', ...FIELDS.flatMap((field) => ['-e', field])];
  const { code, stdout, stderr } = await client.run(['tshark', '-n', '-r', file, ...checked, ...fields], SECONDS_MAX);
  must(code === 0, () => `tshark: ${stderr}`);
  const lines = stdout
    .toString()
    .split('\n')
    .filter((line) => line !== '');
  return lines.map((line) => {
    const cells = line.split('\t');
    return Object.fromEntries(FIELDS.map((field, i) => [field, cells[i] ?? ''])) as Row;
  });
}

/** Of checksum.status. */
const BAD = '0';
/** The kernel writes a sum of zero as 0xffff, which is the same number in this arithmetic; Wireshark is stricter. */
const OTHER_ZERO = '0xffff';
/** The shortest time after which a sender may probe a silent peer (RFC 8985 §7.2). */
const PROBE_MS = 2;
/** A machine that is busy with other things is silent now and then; a stack that is slow to answer is so all the time. */
const SILENCES_PER_PACKET = 0.001;

function judge({ address }: Stand, rows: readonly Row[], offload: boolean, loopDelayMaxMs: number): CaptureVerdict {
  const wrong: string[] = [];
  let afterSilence = 0;
  const heard = new Map<string, number>();
  for (const row of rows) {
    const ours = row['ip.src'] === address;
    const ms = Number(row['frame.time_epoch']) * 1000;
    const stream = row['tcp.stream'];
    const silence = ms - (heard.get(`${stream} ${!ours}`) ?? Number.NEGATIVE_INFINITY);
    heard.set(`${stream} ${ours}`, ms);
    // Our own silence is an excuse only when the machine did not let the process run for that long.
    const excused = silence >= PROBE_MS && (ours || loopDelayMaxMs >= silence / 2);
    const sentAgain = row['tcp.analysis.retransmission'] !== '';
    if (sentAgain && excused) afterSilence++;
    const zero = !ours && row['tcp.checksum'] === OTHER_ZERO;
    const badSum =
      row['ip.checksum.status'] === BAD ||
      row['icmp.checksum.status'] === BAD ||
      (row['tcp.checksum.status'] === BAD && !offload && !zero);
    const lost = row['tcp.analysis.lost_segment'] !== '' || row['tcp.analysis.out_of_order'] !== '';
    if (badSum || lost || row['_ws.malformed'] !== '' || (sentAgain && !excused)) wrong.push(JSON.stringify(row));
  }
  if (afterSilence > rows.length * SILENCES_PER_PACKET) wrong.push(`${afterSilence} packets sent again after silence`);
  return { packets: rows.length, afterSilence, wrong };
}

/** Drops of the kernel's queue towards the stack: what explains a retransmission on a clean link. */
export function queueDrops({ client, device }: Stand): number {
  const [link] = JSON.parse(client.sh(`ip -j -s link show dev ${device}`)) as {
    stats64: { tx: { dropped: number } };
  }[];
  return link!.stats64.tx.dropped;
}
