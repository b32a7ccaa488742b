import { Random } from '../../stack/base/random';
import { notation } from '../../tools/notation';
import { dissect } from '../../tools/pcap/dissect';
import { compileFilter, FilterError } from '../../tools/pcap/filter';
import { FlowTracker } from '../../tools/pcap/flows';
import { packetJson } from '../../tools/pcap/json';
import { LadderBuilder } from '../../tools/pcap/ladder-model';
import { ladderSvg } from '../../tools/pcap/ladder-svg';
import { ladderText } from '../../tools/pcap/ladder-text';
import { CaptureError, CaptureParser } from '../../tools/pcap/parser';
import { MemorySink } from '../../tools/pcap/sink';
import { PcapngWriter } from '../../tools/pcap/writer';
import { addressBytes, arp, ascii, concat, ethernet, icmp, ip, tcp, udp } from '../unit/tools/frames';
import { classic, FileBuilder } from '../unit/tools/pcap/captures';

/**
 * Hostile captures and frames. By default a short run that belongs to every check; `FUZZ_RUNS` multiplies it and
 * `FUZZ_SEED` chooses another one. A failure names the seed and the bytes.
 */
const RUNS = Number(process.env.FUZZ_RUNS ?? 10_000);
const SEED = Number(process.env.FUZZ_SEED ?? 1);

const SIX = { from: 'fd00::1', to: 'fd00::2' };
const OPTIONS = [2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 8];
const FRAMES: readonly Uint8Array[] = [
  tcp({ flags: 'S', options: OPTIONS }),
  tcp({ flags: 'P.', seq: 1, ack: 1, text: 'GET / HTTP/1.1\r\nHost: a\r\n\r\n' }),
  tcp({ ...SIX, flags: '.', seq: 1, ack: 1, options: [1, 1, 5, 18, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4] }),
  tcp({
    flags: '.',
    options: [34, 10, 1, 2, 3, 4, 5, 6, 7, 8, 172, 11, 1, 2, 3, 4, 5, 6, 7, 8, 9, 254, 4, 0xf9, 0x89, 0, 0, 0],
  }),
  udp({ text: 'hello' }),
  udp({ ...SIX, text: 'hello' }),
  icmp(8, 0, 1, ascii('abc')),
  icmp(3, 4, 1400, tcp({ text: 'quoted' })),
  icmp(2, 0, 1280, tcp({ ...SIX, text: 'quoted' }), SIX),
  icmp(135, 0, 0, concat(addressBytes('fd00::2'), Uint8Array.of(1, 1, 2, 0, 0, 0, 0, 1)), SIX),
  icmp(134, 0, 0x40c00708, concat(new Uint8Array(8), Uint8Array.of(3, 4, 64), new Uint8Array(29)), SIX),
  ip(44, concat(Uint8Array.of(17, 0, 0, 9, 0, 0, 0, 1), ascii('fragment')), SIX),
  ip(0, concat(Uint8Array.of(60, 0, 1, 4, 0, 0, 0, 0, 6, 0, 1, 4, 0, 0, 0, 0), tcp(SIX).subarray(40)), SIX),
  ip(17, ascii('fragment'), { fragment: 0x2001 }),
  ip(132, ascii('sctp')),
];
const LINKS = [0, 1, 12, 101, 108, 113, 228, 276, 999] as const;

const ETHERNET: readonly Uint8Array[] = [
  ...FRAMES.map((f) => ethernet(f[0]! >>> 4 === 6 ? 0x86dd : 0x0800, f)),
  arp(1, '10.0.0.1', '10.0.0.2'),
  ethernet(0x8100, concat(Uint8Array.of(0, 7, 8, 0), udp({ text: 'abc' }))),
  ethernet(0x88cc, ascii('lldp')),
];

const INTERESTING = [0, 1, 2, 3, 4, 5, 8, 15, 16, 20, 40, 44, 60, 127, 128, 129, 200, 254, 255];

/** A copy with a few bytes changed, cut or grown. */
function mutate(random: Random, bytes: Uint8Array): Uint8Array {
  let b: Uint8Array = bytes.slice();
  for (let changes = 1 + random.below(4); changes > 0; changes--) {
    const at = random.below(b.length || 1);
    const kind = random.below(6);
    if (b.length === 0) b = Uint8Array.of(random.below(256));
    else if (kind === 0) b[at] = random.below(256);
    else if (kind === 1) b[at]! ^= 1 << random.below(8);
    else if (kind === 2) b[at] = INTERESTING[random.below(INTERESTING.length)]!;
    else if (kind === 3) b = b.slice(0, at);
    else if (kind === 4) b = concat(b.subarray(0, at), b.subarray(random.below(at + 1)));
    else b.fill(INTERESTING[random.below(INTERESTING.length)]!, at, Math.min(b.length, at + 4));
  }
  return b;
}

function randomBytes(random: Random, max: number): Uint8Array {
  return Uint8Array.from({ length: random.below(max) }, () => random.below(256));
}

/** Runs `body` often with inputs of its own making; tells how to see a failure again. */
function fuzz(
  name: string,
  runs: number,
  make: (random: Random) => Uint8Array,
  body: (b: Uint8Array, r: Random) => void,
): void {
  test(name, () => {
    const random = new Random(SEED);
    let slowest = 0;
    for (let i = 0; i < runs; i++) {
      const input = make(random);
      const began = performance.now();
      try {
        body(input, random);
      } catch (error) {
        const hex = Buffer.from(input.subarray(0, 4096)).toString('hex');
        throw new Error(`seed ${SEED}, run ${i}, input ${hex}`, { cause: error });
      }
      slowest = Math.max(slowest, performance.now() - began);
    }
    // Generous for a garbage collection in between; a loop over a lying length takes seconds.
    expect(slowest).toBeLessThan(1000);
  }, 600_000);
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what a line must not have
const CONTROL = /[\x00-\x1f\x7f-\x9f]/;

function expectLine(text: string): void {
  if (text === '') throw new Error('an empty line');
  if (CONTROL.test(text)) throw new Error(`a control character in ${JSON.stringify(text)}`);
  if (text.includes('undefined') || text.includes('NaN')) throw new Error(text);
}

describe('frames', () => {
  const tracker = new FlowTracker();
  const line = (b: Uint8Array, random: Random, link: number): void => {
    const originalLength = random.below(3) === 0 ? b.length + random.below(100) : undefined;
    const absolute = random.below(2) === 0;
    expectLine(notation(b, 0, b.length, link, { tracker, originalLength, absolute, timeMs: random.below(1000) }));
  };

  fuzz(
    'mutated datagrams',
    RUNS * 4,
    (r) => mutate(r, FRAMES[r.below(FRAMES.length)]!),
    (b, r) => line(b, r, 101),
  );
  fuzz(
    'mutated Ethernet frames',
    RUNS * 2,
    (r) => mutate(r, ETHERNET[r.below(ETHERNET.length)]!),
    (b, r) => line(b, r, 1),
  );
  fuzz(
    'random bytes on any link',
    RUNS * 2,
    (r) => randomBytes(r, 120),
    (b, r) => line(b, r, LINKS[r.below(LINKS.length)]!),
  );

  /** Six numbers of a segment, so that the checksum is right and the tracker believes it. */
  const believable = (b: Uint8Array): Uint8Array => {
    const [seq, ack, flags, length, window, side] = b as unknown as [number, number, number, number, number, number];
    const letters = ['.', 'S', 'S.', 'F.', 'R.', 'P.', 'R', '-'][flags & 7]!;
    const back = (side & 1) === 0 ? {} : { from: '10.77.0.2', to: '10.77.0.1', sport: 80, dport: 51234 };
    const near = (n: number): number => (n - 128) >>> 0;
    const options = (flags & 8) === 0 ? [] : [5, 10, 0, 0, 0, seq, 0, 0, 0, ack, 1, 1];
    const win = window & 1 ? window : 0;
    return tcp({
      ...back,
      flags: letters,
      seq: near(seq),
      ack: near(ack),
      win,
      options,
      text: 'x'.repeat(length & 15),
    });
  };

  fuzz(
    'believable segments of one connection',
    RUNS,
    (r) => Uint8Array.from({ length: 6 }, () => r.below(256)),
    (b, r) => line(believable(b), r, 101),
  );

  test('cut at every length, at any place of a slab, by the capture and by the sender', () => {
    const slab = new Uint8Array(400).fill(0xff);
    for (const frame of [...FRAMES, ...ETHERNET]) {
      const link = ETHERNET.includes(frame) ? 1 : 101;
      for (let length = 0; length <= frame.length; length++) {
        slab.set(frame.subarray(0, length), 33);
        expectLine(notation(slab, 33, 33 + length, link));
        expectLine(notation(slab, 33, 33 + length, link, { originalLength: frame.length }));
      }
    }
  });
});

function captures(): Uint8Array[] {
  const sink = new MemorySink();
  const writer = new PcapngWriter(sink, { comment: 'seed' });
  writer.addInterface({ name: 'a', linkType: 'ip' });
  writer.addInterface({ name: 'b', linkType: 'ethernet', resolution: 'us' });
  writer.writeNames([{ address: addressBytes('10.77.0.2'), name: 'web' }]);
  FRAMES.slice(0, 4).forEach((f, i) => {
    writer.writeFrame(0, i, f, 0, f.length, i % 3, i % 2 === 0 ? `comment ${i}` : undefined);
  });
  writer.writeFrame(1, 9, ETHERNET[3]!, 0, ETHERNET[3]!.length, 1);
  writer.writeTlsKeyLog('CLIENT_RANDOM 00 00');
  writer.close();
  const packets = FRAMES.slice(0, 4).map((data, i) => ({ seconds: i, fraction: i, data }));
  const big = new FileBuilder(false)
    .section()
    .face(101, 64, (b) => b.option(9, [9]).option(14, [0, 0, 0, 0, 0, 0, 0, 5]).u32(0))
    .packet(0, 0, 1, FRAMES[0]!, (b) => b.option(1, ascii('c')).u32(0))
    .block(3, (b) => b.u32(FRAMES[4]!.length).raw(FRAMES[4]!))
    .block(2, (b) => b.u16(0, 0).u32(0, 9, FRAMES[4]!.length, 60).raw(FRAMES[4]!))
    .block(0xbad, (b) => b.u32(1, 2, 3))
    .section()
    .face(1)
    .packet(0, 0, 1, ETHERNET[0]!)
    .done();
  return [sink.bytes(), big, classic(true, packets), classic(false, packets, { magic: 0xa1b2cd34, extra: 8 })];
}

describe('captures', () => {
  const files = captures();
  const firstFlow = '#1';

  /** Reads the file in pieces of random size, through everything that `decode` and `trace` do with a packet. */
  const read = (file: Uint8Array, random: Random): void => {
    const parser = new CaptureParser();
    const tracker = new FlowTracker();
    const ladder = new LadderBuilder();
    let packets = 0;
    try {
      for (let at = 0; at < file.length; ) {
        const bytes = 1 + random.below(200);
        parser.push(file.subarray(at, at + bytes));
        at += bytes;
        for (let c = parser.next(); c !== null; c = parser.next()) {
          if (++packets > file.length) throw new Error('more packets than bytes');
          const packet = dissect(c.bytes, 0, c.bytes.length, c.linkType, c);
          const view = tracker.observe(packet, c.timeMs, String(c.iface.id));
          JSON.stringify(packetJson(c, packet, view, '0', ''));
          ladder.add({ captured: c, packet, view, drops: null, seconds: '0.000000' });
        }
      }
      parser.end();
    } catch (error) {
      if (!(error instanceof CaptureError)) throw error;
      if (error.offset < 0 || error.offset > file.length) throw new Error(`an error at byte ${error.offset}`);
    }
    const drawn = ladder.build();
    if (drawn.hosts.includes(firstFlow)) throw new Error('a host that is none');
    if (random.below(20) > 0) return;
    // biome-ignore lint/suspicious/noControlCharactersInRegex: only line ends belong there
    if (/[\x00-\x09\x0b-\x1f]/.test(ladderText(drawn))) throw new Error('a control character in the ladder');
    if (!ladderSvg(drawn).endsWith('</svg>\n')) throw new Error('half an SVG');
  };

  fuzz('mutated', RUNS, (r) => mutate(r, files[r.below(files.length)]!), read);
  fuzz(
    'random',
    RUNS / 4,
    (r) => concat(files[r.below(files.length)]!.subarray(0, r.below(60)), randomBytes(r, 400)),
    read,
  );

  test('cut at every length', () => {
    const random = new Random(SEED);
    for (const file of files) for (let end = 0; end <= file.length; end++) read(file.subarray(0, end), random);
  });
});

describe('filters', () => {
  const WORDS =
    'host port net src dst and or not ( ) tcp udp syn len > < 80 443-90 10.0.0.1 ::1 10.0.0.0/8 && || ! flow = x \0'.split(
      ' ',
    );
  const packet = dissect(FRAMES[0]!, 0, FRAMES[0]!.length, 'ip');
  const candidate = { packet, view: null, length: 60, direction: 0, comments: [], names: new Map() };

  fuzz(
    'any words are a filter or an error with a caret',
    RUNS,
    (r) => randomBytes(r, 20),
    (b) => {
      const expression = Array.from(b, (n) => WORDS[n % WORDS.length]).join(' ');
      try {
        if (typeof compileFilter(expression)(candidate) !== 'boolean') throw new Error('not a boolean');
      } catch (error) {
        if (!(error instanceof FilterError) || !/^.+\n {2}.*\n {2} *\^$/.test(error.message)) throw error;
      }
    },
  );
});
