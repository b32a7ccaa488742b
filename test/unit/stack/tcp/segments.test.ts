import * as calls from '../../../../stack/tcp/calls';
import { readSegment, Segment, writeSack, writeSynOptions, writeTimestamps } from '../../../../stack/tcp/header';
import * as f from '../ip/frames';
import { drops, everywhere, Ground, receive, tapFrames } from './grounds';
import type { Harness } from './harness';

const SYN = 2;
const FIN = 1;
const RST = 4;
const ACK = 16;

/** The parts of an emitted TCP segment, over either family. */
function parse(frame: Uint8Array): { flags: number; options: number[]; text: Uint8Array; sum: number } {
  const four = frame[0]! >> 4 === 4;
  const at = four ? 20 : 40;
  const addresses = four ? frame.subarray(12, 20) : frame.subarray(8, 40);
  const segment = frame.subarray(at);
  const header = (segment[12]! >> 4) * 4;
  const padded = [...segment, ...(segment.length % 2 === 1 ? [0] : [])];
  return {
    flags: segment[13]!,
    options: [...segment.subarray(20, header)],
    text: segment.subarray(header),
    sum: f.sum16([...addresses, 0, 6, ...f.word(segment.length), ...padded]),
  };
}

everywhere('the checksum', (g) => {
  test('MUST-2: of every segment that is sent is right: odd and even lengths, none, a whole one', () => {
    const t = g.established({ seed: 3 });
    const frames = tapFrames(t);
    t.c.noDelay = true;
    for (const bytes of [1, 2, 3, 63, 64, 65, 127, 999, 1000])
      t.write(bytes).rx(`. 1:1(0) ack ${1 + t.c.bytesSent} win 257`);
    t.rx('P. 1:101(100) ack 1 win 257').shutdown();
    t.rx(`F. 101:101(0) ack ${2 + t.c.bytesSent} win 257`);
    t.rx('. 9999:9999(0) ack 1 win 257');
    expect(frames.length).toBeGreaterThan(11);
    for (const frame of frames) expect(parse(frame).sum).toBe(0xffff);
  });

  test('MUST-2: ... also where everything adds up to 0xffff, and the checksum is zero', () => {
    const t = g.established();
    const frames = tapFrames(t);
    t.c.noDelay = true;
    t.write(2).rx('. 1:1(0) ack 3 win 257');
    const field = (frame: Uint8Array): number => {
      const at = frame[0]! >> 4 === 4 ? 36 : 56;
      return (frame[at]! << 8) | frame[at + 1]!;
    };
    // The next segment differs in its number, two more, and in its text, which takes away what is left.
    const text = (field(frames[0]!) - 2 + 0xffff) % 0xffff;
    calls.send(t.stack.tcp, t.c, Uint8Array.of(text >> 8, text & 255), 0, 2);
    t.at(t.nowMs);
    expect([field(frames[1]!), parse(frames[1]!).sum]).toEqual([0, 0xffff]);
  });

  test('MUST-3: a segment with any one bit turned is dropped, counted, and changes nothing', () => {
    const t = g.established();
    const good = g.frame({ flags: ACK, seq: 1, iss: t.c.iss, ack: 1, text: [1, 2, 3, 4, 5] });
    const from = g.place.family === 4 ? 20 : 40;
    for (let bit = from * 8; bit < good.length * 8; bit++) {
      const bad = good.slice();
      bad[bit >> 3] = bad[bit >> 3]! ^ (1 << (bit & 7));
      receive(t, bad);
    }
    t.txNothing();
    expect([t.c.readable, t.c.state]).toEqual([0, 'ESTABLISHED']);
    const counted = drops(t, 'tcp-bad-checksum') + drops(t, 'tcp-bad-offset');
    expect(counted).toBe((good.length - from) * 8);
    receive(t, good);
    expect(t.c.readable).toBe(5);
  });
});

everywhere('options', (g) => {
  const open = (options: number[]): Harness => {
    const t = g.listening();
    receive(t, g.frame({ flags: SYN, options }));
    return t;
  };
  const MSS = [2, 4, 2, 88];
  const mssOf = (t: Harness): number => [...t.stack.tcp.connections][0]!.peerMss;

  test.each([
    ['MSS', MSS],
    ['MSS, end, rest', [...MSS, 0, 0xaa, 0xaa, 0xaa]],
    ['no-operations before', [1, 1, 1, 1, ...MSS]],
    ['no-operations between and after', [...MSS, 1, 1, 1, 0]],
  ])('MUST-4: end, no-operation and MSS in any order: %s', (_, options) => {
    expect(mssOf(open(options))).toBe(600);
  });

  test.each([1, 2, 3])('MUST-64: %d no-operations put the MSS on an odd place', (count) => {
    const options = [...new Array<number>(count).fill(1), ...MSS, ...new Array<number>(4 - count).fill(1)];
    expect(mssOf(open(options))).toBe(600);
  });

  test.each([0, 1, 2, 3])('MUST-64: timestamps behind %d no-operations are read all the same', (count) => {
    const timestamps = [8, 10, 0x12, 0x34, 0x56, 0x78, 0, 0, 0, 0];
    const t = open(
      [...new Array<number>(count).fill(1), ...timestamps, 1, 1].concat(new Array((4 - (count % 4)) % 4).fill(1)),
    );
    expect([...t.stack.tcp.connections][0]!.tsRecent).toBe(0x12345678);
  });

  const unknown = [77, 253, 254].map((kind) => [kind, 6, 1, 2, 3, 4, 1, 1]);
  test('MUST-5, MUST-6, MUST-68: unknown kinds are passed over by their length, on every segment', () => {
    for (const options of unknown) {
      expect(mssOf(open([...options, ...MSS]))).toBe(600);
      const t = g.established();
      receive(t, g.frame({ flags: ACK, seq: 1, iss: t.c.iss, ack: 1, options, text: [1, 2, 3] }));
      receive(t, g.frame({ flags: ACK, seq: 4, iss: t.c.iss, ack: 1, options }));
      expect(t.c.readable).toBe(3);
      receive(t, g.frame({ flags: ACK | FIN, seq: 4, iss: t.c.iss, ack: 1, options }));
      expect(t.c.state).toBe('CLOSE-WAIT');
      receive(t, g.frame({ flags: RST, seq: 5, options }));
      expect(t.c.state).toBe('CLOSED');
    }
  });

  test('MUST-5: options of the handshake on later segments do no harm', () => {
    const t = g.established();
    const mss = t.c.mss;
    receive(t, g.frame({ flags: ACK, seq: 1, iss: t.c.iss, ack: 1, options: [2, 4, 0, 100, 3, 3, 14, 1], text: [1] }));
    expect([t.c.readable, t.c.mss, t.c.sndScale]).toEqual([1, mss, 7]);
  });

  const malformed: [string, number[]][] = [
    ['length 0', [2, 0, 2, 88]],
    ['length 1', [2, 1, 2, 88]],
    ['an unknown kind of length 0', [77, 0, 1, 1]],
    ['past the end', [2, 4, 2, 88, 8, 10, 0, 0]],
    ['a kind without a length', [1, 1, 1, 77]],
    ['MSS of length 3', [2, 3, 2, 1]],
    ['scale of length 4', [3, 4, 7, 1]],
    ['timestamps of length 9', [8, 9, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1]],
    ['SACK permitted of length 3', [4, 3, 0, 1]],
    ['SACK without blocks', [5, 2, 1, 1]],
    ['SACK of half a block', [5, 6, 0, 0, 0, 0, 1, 1]],
  ];
  test.each(malformed)('MUST-7: %s: dropped and counted, in a SYN and later', (_, options) => {
    const t = open(options).txNothing();
    expect([t.stack.tcp.connections.size, drops(t, 'tcp-bad-option')]).toEqual([0, 1]);
    const later = g.established();
    receive(later, g.frame({ flags: ACK, seq: 1, iss: later.c.iss, ack: 1, options, text: [1] })).txNothing();
    expect([later.c.readable, drops(later, 'tcp-bad-option')]).toEqual([0, 1]);
  });

  test('MUST-7: every header of random bytes is survived', () => {
    const t = g.established();
    const { random } = t.stack;
    for (let i = 0; i < 3000; i++) {
      const options = Array.from({ length: 4 * random.below(11) }, () =>
        random.below(random.chance(500_000) ? 12 : 256),
      );
      receive(t, g.frame({ flags: ACK, seq: 1, iss: t.c.iss, ack: 1, options }));
    }
    t.drain();
    expect(t.c.state).toBe('ESTABLISHED');
  });
});

everywhere('the maximum segment size', (g) => {
  test('MUST-14 (SHLD-5): an MSS is sent with every SYN, and honoured', () => {
    const t = g.listening();
    t.rx(`S ${g.syn} win 65535 <mss 600>`).tx(`S. 0:0(0) ack ${g.synAck} <mss ${1500 - g.headers}>`);
    t.rx('. 1:1(0) ack 1 win 65535').write(1500);
    for (const [at, end] of [
      [1, 601],
      [601, 1201],
    ] as const)
      t.tx(`. ${at}:${end}(600) ack 1`);
    g.harness()
      .connect()
      .tx(`S 0:0(0) <mss ${1500 - g.headers},sackOK,TS val 1000 ecr 0,nop,wscale 8>`);
  });

  test('MUST-15: without the option 536 (IPv4) or 1220 (IPv6) is assumed', () => {
    const t = g.listening();
    t.rx(`S ${g.syn} win 65535`).tx(`S. 0:0(0) ack ${g.synAck} <...>`).rx('. 1:1(0) ack 1 win 65535');
    const most = g.place.family === 4 ? 536 : 1220;
    t.write(2 * most).tx(`. 1:${most + 1}(${most}) ack 1`);
  });

  test('MUST-16: what is sent fits the path and the peer, options included', () => {
    const mss = 1500 - g.headers;
    const t = g.listening();
    t.rx(`S ${g.syn} win 65535 <mss 9000,sackOK,TS val 1 ecr 0>`).tx(`S. 0:0(0) ack ${g.synAck} <...>`);
    t.rx('. 1:1(0) ack 1 win 65535 <nop,nop,TS val 2 ecr 1000>');
    const frames = tapFrames(t);
    t.write(5000);
    t.tx(`. 1:${mss - 11}(${mss - 12}) ack 1 <...>`);
    for (const frame of frames) expect(frame.length).toBeLessThanOrEqual(1500);
  });

  test.each([576, 1280, 1500, 4000, 9000])(
    'MUST-67: MTU %d: no larger MSS is announced than can be received',
    (mtu) => {
      if (g.place.family === 6 && mtu < 1280) return;
      g.harness({ mtu })
        .connect()
        .tx(`S 0:0(0) <mss ${mtu - g.headers},sackOK,TS val 1000 ecr 0,nop,wscale 8>`);
    },
  );

  test('MUST-67 (SHLD-6): where the path is known to take less than the link that is announced', () => {
    const t = g.opened({ mtu: 4000 });
    const [remote, local] = [t.c.remote, t.c.local];
    t.stack.paths.learnMtu(t.stack.pathTo(remote, local)!, 1400, true, 1_000_000 + t.nowMs);
    const other = calls.connect(t.stack.tcp, remote, 81, local, 0, t, 1_000_000 + t.nowMs);
    if (typeof other === 'string') throw new Error(other);
    const frames = tapFrames(t);
    t.at(t.nowMs);
    const [syn] = frames;
    // The first option, behind the headers.
    expect([...syn!.subarray(g.headers, g.headers + 4)]).toEqual([2, 4, ...f.word(1400 - g.headers)]);
  });

  test('an MSS of almost nothing is not taken at its word', () => {
    const t = g.listening();
    t.rx(`S ${g.syn} win 65535 <mss 1>`).tx(`S. 0:0(0) ack ${g.synAck} <...>`).rx('. 1:1(0) ack 1 win 65535');
    expect(t.c.mss).toBe(48);
  });
});

everywhere('a whole conversation', (g) => {
  test('MUST-65: MSS, scale and SACK-permitted stand on segments with SYN only; MUST-69: padding is zero', () => {
    const t = g.harness().listen();
    const frames = tapFrames(t);
    t.rx(`S ${g.syn} win 1000 <mss 1000,sackOK,TS val 1 ecr 0,nop,wscale 7>`).tx(`S. 0:0(0) ack ${g.synAck} <...>`);
    const ts = (val: number): string => `<nop,nop,TS val ${val} ecr 1000>`;
    t.rx(`. 1:1(0) ack 1 win 257 ${ts(2)}`).write(3000);
    t.rx(`P. 1001:2001(1000) ack 1 win 257 ${ts(3)}`, `P. 3001:4001(1000) ack 1 win 257 ${ts(3)}`);
    t.after(300).shutdown().after(1000);
    t.rx(`F. 1:1(0) ack 1 win 257 ${ts(4)}`).abort();
    expect(frames.length).toBeGreaterThan(8);
    for (const frame of frames) {
      const { flags, options } = parse(frame);
      const kinds = kindsOf(options);
      if ((flags & SYN) !== 0) expect(kinds).toContain(2);
      else for (const kind of [2, 3, 4]) expect(kinds).not.toContain(kind);
    }
  });
});

/** The kinds in an option list; fails when anything but zeros follows the end. */
function kindsOf(options: number[]): number[] {
  const kinds: number[] = [];
  for (let at = 0; at < options.length; ) {
    const kind = options[at]!;
    if (kind === 0) {
      expect(options.slice(at).every((byte) => byte === 0)).toBe(true);
      break;
    }
    kinds.push(kind);
    at += kind === 1 ? 1 : options[at + 1]!;
  }
  return kinds;
}

describe('RFC 9293 §3.1: reading and writing', () => {
  const read = (bytes: Uint8Array, into = new Segment()): string | null =>
    readSegment(bytes, 0, bytes.length, 0, true, into);

  test('a segment cut at every length is malformed, or shorter by what is missing of its text', () => {
    const whole = Uint8Array.from(f.tcp({ options: [2, 4, 5, 180, 1, 3, 3, 7], text: [1, 2, 3] }));
    for (let length = 0; length < whole.length; length++) {
      const reason = read(whole.subarray(0, length));
      if (length < 20) expect(reason).toBe('tcp-truncated');
      else if (length < 28) expect(reason).toBe('tcp-bad-offset');
      else expect(reason).toBeNull();
    }
  });

  test('a data offset below the header or beyond the end', () => {
    for (let offset = 0; offset < 16; offset++) {
      const bytes = Uint8Array.from(f.tcp({ text: [0, 0, 0, 0, 0, 0, 0, 0] }));
      bytes[12] = offset << 4;
      expect(read(bytes)).toBe(offset < 5 || offset > 7 ? 'tcp-bad-offset' : null);
    }
  });

  test('MUST-68, MUST-69: what the writers write, the reader reads, in whole words', () => {
    for (const scale of [-1, 0, 14]) {
      for (const sack of [true, false]) {
        for (const stamps of [true, false]) {
          const options = new Uint8Array(40);
          const end = writeSynOptions(options, 0, 1460, scale, sack, stamps, 77, 88);
          expect(end % 4).toBe(0);
          const segment = new Segment();
          expect(read(Uint8Array.from(f.tcp({ options: [...options.subarray(0, end)] })), segment)).toBeNull();
          expect(segment).toMatchObject({ mss: 1460, windowScale: scale, sackPermitted: sack, hasTimestamps: stamps });
          if (stamps) expect([segment.tsVal, segment.tsEcr]).toEqual([77, 88]);
        }
      }
    }
  });

  test('timestamps and SACK blocks, at the edges of their numbers', () => {
    for (const blocks of [1, 2, 3]) {
      const options = new Uint8Array(40);
      const edges = Int32Array.of(-1, 5, 0x7fff_ffff, -0x8000_0000, 100, 200);
      const end = writeSack(options, writeTimestamps(options, 0, -1, -0x8000_0000), edges, blocks);
      const segment = new Segment();
      expect(read(Uint8Array.from(f.tcp({ options: [...options.subarray(0, end)] })), segment)).toBeNull();
      expect([segment.tsVal, segment.tsEcr, segment.sackBlocks]).toEqual([-1, -0x8000_0000, blocks]);
      expect([...segment.sack.subarray(0, 2 * blocks)]).toEqual([...edges.subarray(0, 2 * blocks)]);
    }
  });
});

describe('RFC 6437: flow labels', () => {
  const labelsOf = (iss: number): Set<number> => {
    const t = new Ground({ title: 'IPv6', family: 6, irs: 0, iss }).established();
    const frames = tapFrames(t);
    t.write(3000).rx('P. 1:101(100) ack 3001 win 257').after(1000).shutdown();
    expect(frames.length).toBeGreaterThan(3);
    return new Set(frames.map((frame) => ((frame[1]! & 15) << 16) | (frame[2]! << 8) | frame[3]!));
  };

  test('all segments of a connection have the same, and it is not 0', () => {
    expect(labelsOf(7).size).toBe(1);
    expect([...labelsOf(7)]).not.toEqual([0]);
  });

  test('connections have different ones, spread over all values', () => {
    const labels = Array.from({ length: 50 }, (_, i) => [...labelsOf(i * 250)][0]!);
    expect(new Set(labels).size).toBe(50);
    expect(new Set(labels.map((label) => label >> 16)).size).toBeGreaterThan(10);
  });
});
