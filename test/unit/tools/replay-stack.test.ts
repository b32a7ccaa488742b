import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { createNet } from '../../../net';
import { createWorld } from '../../../sim/world';
import { type DecodeOptions, runDecode } from '../../../tools/decode';
import { registerPacketdrill } from '../../../tools/packetdrill/command';
import { FileSink } from '../../../tools/pcap/sink';
import { PcapngWriter } from '../../../tools/pcap/writer';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tw-replay-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function decode(file: string, options: DecodeOptions): { code: number; lines: string[]; said: string } {
  let text = '';
  let said = '';
  const out = {
    write: (more: string) => {
      text += more;
      return true;
    },
    flush: () => {},
  };
  const code = runDecode(file, options, out, (more) => {
    said += more;
  });
  return { code, lines: text.trimEnd().split('\n'), said };
}

/** What crossed the wire in scripts, each on an interface of its own. */
function captureOf(...scripts: string[]): string {
  const file = join(folder, `${scripts.length}-${scripts[0]!.replace('/', '-')}.pcapng`);
  const program = new Command().exitOverride();
  const io = { out: () => {}, err: () => {}, exit: (code: number) => expect(code).toBe(0) };
  registerPacketdrill(program, undefined, io);
  const paths = scripts.map((script) => `test/scripts/${script}.pkt`);
  program.parse(['packetdrill', ...paths, '--pcap', file], { from: 'user' });
  return file;
}

const DROPPED = /\[dropped by the stack: ([^\]]*)\]/;
const dropsIn = (lines: readonly string[]): (string | null)[] =>
  lines.filter((line) => line.includes(' < ')).map((line) => DROPPED.exec(line)?.[1] ?? null);

test('a segment from the past is named as one, the others are taken', () => {
  const { lines } = decode(captureOf('recovery/paws'), { stack: '192.168.0.1' });
  expect(dropsIn(lines)).toEqual([null, null, null, 'tcp-paws', null, null, null]);
});

test('forged acknowledgments, challenged SYNs: each interface is a run of its own', () => {
  const file = captureOf('reset/forged-ack', 'reset/challenge-limit', 'reset/exact');
  const { lines } = decode(file, { stack: '192.168.0.1/24', json: true });
  const records = lines.map((line) => JSON.parse(line) as { interface: string; dropped?: string[] });
  const of = (name: string): string[] =>
    records.flatMap((one) => (one.interface === name && one.dropped !== undefined ? [one.dropped.join(' ')] : []));
  expect(of('forged-ack').slice(0, 5)).toEqual(['', '', 'tcp-bad-ack', 'tcp-old-ack', '']);
  expect(of('challenge-limit').slice(0, 4)).toEqual(['', '', 'tcp-syn-challenge', 'tcp-syn-challenge']);
  expect(of('exact').at(-1)).toBe('tcp-listen-no-syn');
});

test('in JSON, and not for packets that were for somebody else', () => {
  const { lines } = decode(captureOf('recovery/paws'), { stack: '192.168.0.1', json: true });
  const records = lines.map((line) => JSON.parse(line) as { dropped?: string[] });
  expect(records.map(({ dropped }) => dropped).filter((dropped) => dropped !== undefined)).toEqual([
    [],
    [],
    [],
    ['tcp-paws'],
    [],
    [],
    [],
  ]);
});

/** A conversation that nothing was wrong with, seen from both ends. */
async function conversation(): Promise<string> {
  const file = join(folder, 'clean.pcapng');
  const writer = new PcapngWriter(new FileSink(file));
  const id = writer.addInterface({ name: 'client', linkType: 'ip', mac: null });
  // In virtual time: a machine that is busy is late with its acknowledgments, and then more comes twice.
  const world = createWorld({
    wire: (_link, from, fate, frame) => {
      const seen = from.name.startsWith('client') ? 'sent' : 'delivered';
      if (fate === seen) writer.writeReceived(id, world.now, frame, 0, frame.length, 0, 0);
    },
  });
  const link = world.link({ delayMs: 1 });
  const client = createNet(world.host('client', { link, address: '10.0.0.1/24' }).host);
  const server = createNet(world.host('server', { link, address: '10.0.0.2/24' }).host);
  server.createServer((socket) => socket.pipe(socket)).listen(80);
  for (let i = 0; i < 3; i++) {
    // The same ports again: the next connection has the next numbers.
    const socket = client.connect({ port: 80, host: '10.0.0.2', localPort: 5000 + (i % 2) });
    socket.end(Buffer.alloc(300_000 * (i + 1)));
    await world.until(once(socket.resume(), 'close'), 60_000);
  }
  world.close();
  writer.close();
  return file;
}

test.each([
  ['the server', '10.0.0.2'],
  ['the client', '10.0.0.1'],
])('of a clean conversation only what came twice is dropped in the place of %s', async (_name, stack) => {
  const { lines } = decode(await conversation(), { stack });
  expect(lines.length).toBeGreaterThan(100);
  const dropped = lines.filter((line) => DROPPED.test(line));
  expect(dropped.filter((line) => !/retransmission\] \[dropped by the stack: tcp-duplicate\]/.test(line))).toEqual([]);
});

test('whatever stands in the capture, it ends without an exception', () => {
  const bytes = readFileSync(captureOf('recovery/paws', 'handshake/simultaneous-open', 'reset/exact'));
  const file = join(folder, 'hostile.pcapng');
  let seed = 7;
  for (let run = 0; run < 300; run++) {
    const copy = Buffer.from(bytes);
    for (let i = 0; i < 12; i++) {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
      copy[200 + ((seed >>> 8) % (copy.length - 200))] = seed >>> 24;
    }
    writeFileSync(file, copy);
    expect([0, 2]).toContain(decode(file, { stack: '192.168.0.1' }).code);
  }
});

test.each([
  ['no address', 'x.pcap', 'nowhere', '"nowhere" is not an address'],
  ['standard input', '-', '10.0.0.1', 'reads the capture twice'],
])('%s: refused', (_name, file, stack, message) => {
  const { code, said } = decode(file, { stack });
  expect([code, said]).toEqual([2, expect.stringContaining(message)]);
});

test('an end that is not in the capture is refused: that nothing is dropped would look like an answer', () => {
  const { code, lines, said } = decode(captureOf('recovery/paws'), { stack: '9.9.9.9' });
  expect([code, lines.join('')]).toEqual([2, '']);
  expect(said).toMatch(/--stack: nobody in the capture is 9\.9\.9\.9; there are 192\.0\.2\.1, 192\.168\.0\.1\n$/);
});
