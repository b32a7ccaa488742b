import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CapturedPacket, CaptureError, CaptureParser } from '../../../../tools/pcap/parser';
import { readCapture, readCaptureFile, readCaptureStream } from '../../../../tools/pcap/reader';
import { MemorySink } from '../../../../tools/pcap/sink';
import { PcapngWriter } from '../../../../tools/pcap/writer';
import { addressBytes, ascii } from '../frames';
import { classic, FileBuilder } from './captures';

const data = Uint8Array.of(1, 2, 3, 4, 5);

function all(file: Uint8Array, parser = new CaptureParser()): CapturedPacket[] {
  return [...readCapture(file, parser)];
}

/** Packets before the damage, and the error. */
function damaged(file: Uint8Array): { packets: number; message: string; offset: number } {
  const found: CapturedPacket[] = [];
  try {
    for (const p of readCapture(file)) found.push(p);
  } catch (error) {
    expect(error).toBeInstanceOf(CaptureError);
    return {
      packets: found.length,
      message: (error as CaptureError).message,
      offset: (error as CaptureError).offset,
    };
  }
  throw new Error('no error');
}

describe.each([
  ['little-endian', true],
  ['big-endian', false],
])('%s', (_name, little) => {
  describe('pcap', () => {
    test('microseconds', () => {
      const file = classic(little, [
        { seconds: 1_700_000_000, fraction: 123_456, data },
        { seconds: 1_700_000_001, fraction: 0, data: data.subarray(1), original: 1500 },
      ]);
      const [first, second] = all(file);
      expect(first).toMatchObject({ number: 1, offset: 24, linkType: 101, originalLength: 5, direction: 0 });
      expect(first!.timeNs).toBe(1_700_000_000_123_456_000n);
      expect(first!.timeMs).toBeCloseTo(1_700_000_000_123.456, 2);
      expect([...first!.bytes]).toEqual([...data]);
      expect(second).toMatchObject({ number: 2, offset: 45, originalLength: 1500 });
    });

    test('nanoseconds', () => {
      const [p] = all(classic(little, [{ seconds: 5, fraction: 999_999_999, data }], { magic: 0xa1b23c4d }));
      expect(p!.timeNs).toBe(5_999_999_999n);
    });

    test('the modified variant has eight more bytes in each record', () => {
      const packets = [
        { seconds: 1, fraction: 2, data },
        { seconds: 3, fraction: 4, data },
      ];
      const found = all(classic(little, packets, { magic: 0xa1b2cd34, extra: 8 }));
      expect(found.map((p) => [p.timeNs, ...p.bytes])).toEqual([
        [1_000_002_000n, ...data],
        [3_000_004_000n, ...data],
      ]);
    });

    test('old versions have the two lengths exchanged', () => {
      const swapped = { seconds: 1, fraction: 0, data };
      const file = classic(little, [{ ...swapped, original: 60 }], { minor: 4 });
      const old = classic(little, [{ ...swapped, original: 60 }], { minor: 2 });
      // Exchange the two words by hand.
      const words = old.slice();
      words.set(old.subarray(24 + 8, 24 + 12), 24 + 12);
      words.set(old.subarray(24 + 12, 24 + 16), 24 + 8);
      expect(all(words)).toMatchObject([{ originalLength: 60 }]);
      expect(all(file)).toMatchObject([{ originalLength: 60 }]);
    });

    test('the link type does without the bits beside it', () => {
      expect(all(classic(little, [{ seconds: 0, fraction: 0, data }], { linkType: 0x54000001 }))[0]!.linkType).toBe(1);
    });
  });

  describe('pcapng', () => {
    const begin = (): FileBuilder => new FileBuilder(little).section();

    test('an enhanced packet with comments and direction', () => {
      const file = begin()
        .face(1, 0, (b) => b.option(2, ascii('eth0')).option(1, ascii('the wire')).u32(0))
        .packet(0, 0, 1_500_000, data, (b) =>
          b
            .option(1, ascii('one'))
            .option(2, little ? [1, 0, 0, 0] : [0, 0, 0, 1])
            .option(1, ascii('two\0'))
            .u32(0),
        )
        .done();
      const [p] = all(file);
      expect(p).toMatchObject({ linkType: 1, timeNs: 1_500_000_000n, direction: 1, comments: ['one', 'two'] });
      expect(p!.iface).toMatchObject({ name: 'eth0', comments: ['the wire'] });
      expect([...p!.bytes]).toEqual([...data]);
    });

    test.each([
      ['10^-6 by default', null, 2_000_001n, 2_000_001_000n],
      ['10^-9', 9, 7n, 7n],
      ['10^-3', 3, 7n, 7_000_000n],
      ['10^-12', 12, 7_999n, 7n],
      ['10^-127', 127, 7n, 0n],
      ['10^0', 0, 7n, 7_000_000_000n],
      ['2^-10', 0x80 | 10, 1024n, 1_000_000_000n],
      ['2^-127', 0xff, 1024n, 0n],
    ])('a resolution of %s', (_what, value, ticks, ns) => {
      const file = begin()
        .face(101, 0, (b) => value !== null && b.option(9, [value]).u32(0))
        .packet(0, Number(ticks >> 32n), Number(ticks & 0xffffffffn), data)
        .done();
      expect(all(file)[0]!.timeNs).toBe(ns);
    });

    test('an offset of the times, also a negative one', () => {
      const seconds = new FileBuilder(little);
      if (little) seconds.u32(0xfffffffe, 0xffffffff);
      else seconds.u32(0xffffffff, 0xfffffffe);
      const file = begin()
        .face(101, 0, (b) => b.option(14, seconds.done()).u32(0))
        .packet(0, 0, 3_000_000, data)
        .done();
      expect(all(file)[0]!.timeNs).toBe(1_000_000_000n);
    });

    test('simple packets are cut by the snap length or their block', () => {
      const file = begin()
        .face(101, 3)
        .block(3, (b) => b.u32(5).raw(data.subarray(0, 3)))
        .done();
      expect(all(file).map((p) => [p.originalLength, p.timeNs, ...p.bytes])).toEqual([[5, 0n, 1, 2, 3]]);
      const unlimited = begin()
        .face(101)
        .block(3, (b) => b.u32(5).raw(data))
        .done();
      expect(all(unlimited).map((p) => [p.originalLength, ...p.bytes])).toEqual([[5, ...data]]);
    });

    test('obsolete packet blocks', () => {
      const file = begin()
        .face(101)
        .face(1)
        .block(2, (b) => b.u16(1, 0).u32(0, 9, 5, 60).raw(data))
        .done();
      expect(all(file)).toMatchObject([{ linkType: 1, timeNs: 9000n, originalLength: 60 }]);
      expect([...all(file)[0]!.bytes]).toEqual([...data]);
    });

    test('several sections, each with its own interfaces', () => {
      const file = begin().face(1).packet(0, 0, 1, data).section().face(101).face(113).packet(1, 0, 2, data).done();
      const parser = new CaptureParser();
      expect(all(file, parser).map((p) => [p.linkType, p.iface.id])).toEqual([
        [1, 0],
        [113, 2],
      ]);
      expect(parser.interfaces.map((i) => i.packets)).toEqual([1, 0, 1]);
    });

    test('unknown and custom blocks are passed, whatever their size', () => {
      const file = begin()
        .block(0xbad, (b) => b.u32(1, 2, 3))
        .face(101)
        .block(0x80000001, (b) => b.raw(new Uint8Array(300_000)))
        .packet(0, 0, 1, data)
        .block(9, () => {})
        .done();
      const parser = new CaptureParser();
      expect(all(file, parser)).toHaveLength(1);
      expect(parser.skippedBlocks).toBe(3);
      // In small pieces, too.
      const again = new CaptureParser();
      const found: CapturedPacket[] = [];
      for (let at = 0; at < file.length; at += 1000) {
        again.push(file.subarray(at, at + 1000));
        for (let p = again.next(); p !== null; p = again.next()) found.push(p);
      }
      again.end();
      expect(found).toHaveLength(1);
    });

    test('names, statistics and secrets', () => {
      const parser = new CaptureParser();
      const count = (n: number): number[] => (little ? [n, 0, 0, 0, 0, 0, 0, 0] : [0, 0, 0, 0, 0, 0, 0, n]);
      const file = begin()
        .face(101)
        .block(4, (b) =>
          b
            .option(1, [10, 0, 0, 1, ...ascii('web\0also\0')])
            .option(2, [...addressBytes('fd00::1'), ...ascii('six\0')])
            .u32(0),
        )
        .block(10, (b) => b.u32(0x544c534b, 4).raw(ascii('KEYS')))
        .block(5, (b) => b.u32(0, 0, 0).option(4, count(9)).option(5, count(2)).option(7, count(3)).u32(0))
        .done();
      expect(all(file, parser)).toEqual([]);
      expect([...parser.names]).toEqual([
        ['10.0.0.1', 'web'],
        ['fd00::1', 'six'],
      ]);
      expect(parser.secrets).toBe(1);
      expect(parser.interfaces[0]).toMatchObject({ received: 9n, dropped: 5n });
    });

    test.each<[string, (b: FileBuilder) => FileBuilder, string]>([
      [
        'an interface that is not described',
        (b) => b.packet(3, 0, 0, data),
        'interface 3 is named, but 0 are described',
      ],
      ['a simple packet without an interface', (b) => b.block(3, (x) => x.u32(1, 1)), 'interface 0 is named'],
      [
        'a packet larger than its block',
        (b) => b.face(1).block(6, (x) => x.u32(0, 0, 0, 99, 99, 0)),
        'packet 1 claims 99 bytes in a block with 4',
      ],
      [
        'a block too small for its kind',
        (b) => b.face(1).block(6, (x) => x.u32(0)),
        'a block of type 6 has only 4 bytes',
      ],
      [
        'an option beyond its block',
        (b) => b.block(1, (x) => x.u16(1, 0).u32(0).u16(2, 400)),
        'option 2 claims 400 bytes, but 0 are left in its block',
      ],
      ['a name beyond its block', (b) => b.block(4, (x) => x.u16(1, 400)), 'a name record claims 400 bytes'],
      ['a length below the least', (b) => b.u32(6, 8, 8), 'a block claims 8 bytes'],
      ['an odd length', (b) => b.u32(6, 33).raw(new Uint8Array(25)), 'a block claims 33 bytes'],
      ['two lengths that disagree', (b) => b.u32(6, 16, 0, 12), 'a block begins with length 16 and ends with 12'],
      [
        'two lengths that disagree, unknown kind',
        (b) => b.u32(77, 16, 0, 12),
        'a block begins with length 16 and ends with 12',
      ],
      ['a length beyond reason', (b) => b.u32(6, 0xfffffff0, 0), 'a block of type 6 claims 4294967280 bytes'],
      [
        'a section without byte order',
        (b) => b.u32(0x0a0d0d0a, 28, 1, 2, 3, 4, 28),
        'a section header without a byte-order magic',
      ],
      [
        'a version from the future',
        (b) => b.block(0x0a0d0d0a, (x) => x.u32(0x1a2b3c4d).u16(2, 0).u32(0, 0)),
        'pcapng version 2 is not known',
      ],
    ])('%s is an error with its place', (_what, build, message) => {
      const before = begin().done().length;
      const result = damaged(build(begin()).done());
      expect(result.message).toContain(message);
      expect(result.offset).toBeGreaterThanOrEqual(before);
      expect(result.message).toContain(`(at byte ${result.offset})`);
    });
  });
});

describe('what is not a capture', () => {
  test.each([
    ['nothing', [], 'the file is empty'],
    ['three bytes', [1, 2, 3], 'too short to be a capture: 3 bytes'],
    ['text', ascii('hello world, hello'), 'not a pcap or pcapng capture: it begins with 68656c6c'],
    ['gzip', [0x1f, 0x8b, 8, 0, 1, 2], 'compressed with gzip'],
    ['zstd', [0x28, 0xb5, 0x2f, 0xfd, 1, 2], 'compressed with zstd'],
    ['snoop', ascii('snoop\0\0\0'), 'a snoop capture'],
  ])('%s', (_what, bytes, message) => {
    expect(damaged(Uint8Array.from(bytes))).toMatchObject({
      packets: 0,
      offset: 0,
      message: expect.stringContaining(message),
    });
  });

  test('a pcap version from elsewhere, and a packet beyond reason', () => {
    const file = classic(true, [{ seconds: 0, fraction: 0, data }]);
    file[4] = 9;
    expect(damaged(file).message).toContain('pcap version 9.4 is not known');
    const huge = classic(true, [
      { seconds: 0, fraction: 0, data },
      { seconds: 0, fraction: 0, data },
    ]);
    huge[45 + 8 + 3] = 0x7f;
    expect(damaged(huge)).toEqual({
      packets: 1,
      message: 'packet 2 claims 2130706437 bytes, more than 262144 (at byte 45)',
      offset: 45,
    });
  });
});

describe('pieces', () => {
  const pcapng = new FileBuilder(true)
    .section()
    .face(101)
    .packet(0, 0, 1, data)
    .block(77, (b) => b.u32(1, 2, 3))
    .packet(0, 0, 2, data)
    .done();
  const pcap = classic(false, [
    { seconds: 1, fraction: 1, data },
    { seconds: 2, fraction: 2, data },
  ]);

  test.each([
    ['pcapng', pcapng],
    ['pcap', pcap],
  ])('%s: byte by byte gives the same packets', (_name, file) => {
    const parser = new CaptureParser();
    const found: CapturedPacket[] = [];
    for (const byte of file) {
      parser.push(Uint8Array.of(byte));
      for (let p = parser.next(); p !== null; p = parser.next()) found.push(p);
    }
    parser.end();
    const strip = (p: CapturedPacket): unknown => ({ ...p, iface: p.iface.id, bytes: [...p.bytes] });
    expect(found.map(strip)).toEqual(all(file).map(strip));
    expect(found).toHaveLength(2);
  });

  test.each([
    ['pcapng', pcapng, [28, 48, 88, 112, 152]],
    ['pcap', pcap, [24, 45, 66]],
  ])('%s: cut at every length it says where, or is whole', (_name, file, boundaries) => {
    for (let length = 4; length < file.length; length++) {
      if (boundaries.includes(length)) {
        expect(all(file.subarray(0, length)).length).toBeLessThan(2);
        continue;
      }
      const result = damaged(file.subarray(0, length));
      const begin = boundaries.filter((b) => b < length).pop() ?? 0;
      expect([length, result.offset]).toEqual([length, begin]);
      expect(result.message).toMatch(/the file ends inside|too short to be a capture/);
    }
  });

  test('after an error there is nothing more, and no second error', () => {
    const parser = new CaptureParser();
    parser.push(ascii('garbage!'));
    expect(() => parser.next()).toThrow(CaptureError);
    expect(parser.next()).toBeNull();
    expect(() => parser.end()).not.toThrow();
  });

  test('a lying length costs no memory', () => {
    const parser = new CaptureParser();
    const file = new FileBuilder(true).section().u32(77, 0x7ffffff0).done();
    parser.push(file);
    expect(parser.next()).toBeNull();
    const chunk = new Uint8Array(1 << 20);
    const before = process.memoryUsage().arrayBuffers;
    for (let i = 0; i < 200; i++) {
      parser.push(chunk);
      expect(parser.next()).toBeNull();
    }
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16 << 20);
  });
});

describe('files and streams', () => {
  let dir = '';
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'tapwire-reader-'));
  });
  afterAll(() => rmSync(dir, { recursive: true }));

  const written = (): Uint8Array => {
    const sink = new MemorySink();
    const writer = new PcapngWriter(sink, { application: 'reader test', comment: 'round trip' });
    writer.addInterface({ name: 'one', linkType: 'ip' });
    writer.addInterface({ name: 'two', linkType: 'ethernet', resolution: 'us' });
    writer.writeNames([{ address: addressBytes('fd00::2'), name: 'six' }]);
    for (let i = 0; i < 2000; i++) {
      const frame = Uint8Array.from({ length: i }, (_, k) => k + i);
      writer.writeFrame(i & 1, i * 1.5, frame, 0, i, i % 3, i % 5 === 0 ? `comment ${i}` : undefined);
    }
    writer.close();
    return sink.bytes();
  };

  test('what the writer writes comes back, from a file', () => {
    const path = join(dir, 'round.pcapng');
    writeFileSync(path, written());
    const parser = new CaptureParser();
    let i = 0;
    let reads = 0;
    for (const p of readCaptureFile(path, parser, () => reads++)) {
      expect([p.number, p.iface.name, p.direction]).toEqual([i + 1, i & 1 ? 'two' : 'one', i % 3]);
      expect(p.timeNs).toBe(BigInt(i * 1_500_000));
      expect(p.bytes.length).toBe(i);
      if (i > 0) expect(p.bytes[i - 1]).toBe((2 * i - 1) & 255);
      expect(p.comments).toEqual(i % 5 === 0 ? [`comment ${i}`] : []);
      i++;
    }
    expect(i).toBe(2000);
    expect(reads).toBeGreaterThan(4);
    expect(parser).toMatchObject({ application: 'reader test', comments: ['round trip'] });
    expect(parser.names.get('fd00::2')).toBe('six');
    expect(parser.interfaces.map((f) => f.received)).toEqual([1000n, 1000n]);
  });

  test('and from a stream', async () => {
    const file = written();
    async function* pieces(): AsyncGenerator<Uint8Array> {
      for (let at = 0; at < file.length; at += 7777) yield file.subarray(at, at + 7777);
    }
    let count = 0;
    for await (const p of readCaptureStream(pieces())) expect(p.number).toBe(++count);
    expect(count).toBe(2000);
  });

  test('a file that is not there is the system error', () => {
    expect(() => [...readCaptureFile(join(dir, 'absent'))]).toThrow(/ENOENT/);
  });
});
