import { RX_CHECKSUM_PARTIAL, RX_CHECKSUM_VALID } from '../../../../device/device';
import { put16 } from '../../../../stack/base/bytes';
import { finish, fold, sum } from '../../../../stack/base/checksum';
import { Arenas, heapRegions } from '../../../../stack/base/memory';
import { TX_CHECKSUM_PARTIAL, TX_SEGMENT, TxQueue } from '../../../../stack/base/tx-queue';
import { DIRECTION_INBOUND, DIRECTION_OUTBOUND, DIRECTION_UNKNOWN } from '../../../../tools/pcap/format';
import { type CaptureSink, MemorySink } from '../../../../tools/pcap/sink';
import { PcapngWriter, type WriterOptions } from '../../../../tools/pcap/writer';
import { addressBytes, ascii, CLIENT6, ethernet, pseudo, SERVER6, type TcpFields, tcp, udp } from '../frames';

interface Block {
  type: number;
  body: DataView;
  bytes: Uint8Array;
}

/** Walks the blocks of a little-endian capture and checks their framing: written apart from the parser on purpose. */
function blocks(all: Uint8Array): Block[] {
  const view = new DataView(all.buffer, all.byteOffset, all.length);
  const found: Block[] = [];
  let at = 0;
  while (at < all.length) {
    const length = view.getUint32(at + 4, true);
    expect(length % 4).toBe(0);
    expect(view.getUint32(at + length - 4, true)).toBe(length);
    const bytes = all.subarray(at + 8, at + length - 4);
    found.push({
      type: view.getUint32(at, true),
      body: new DataView(bytes.buffer, bytes.byteOffset, bytes.length),
      bytes,
    });
    at += length;
  }
  expect(at).toBe(all.length);
  return found;
}

function options(block: Block, from: number): Map<number, Uint8Array> {
  const found = new Map<number, Uint8Array>();
  for (let at = from; at < block.bytes.length; ) {
    const code = block.body.getUint16(at, true);
    const length = block.body.getUint16(at + 2, true);
    if (code === 0) break;
    found.set(code, block.bytes.subarray(at + 4, at + 4 + length));
    at += 4 + ((length + 3) & ~3);
  }
  return found;
}

const text = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes);

interface Frame {
  iface: number;
  time: bigint;
  frame: Uint8Array;
  original: number;
  options: Map<number, Uint8Array>;
}

function frames(all: Uint8Array): Frame[] {
  return blocks(all)
    .filter((b) => b.type === 6)
    .map((b) => {
      const kept = b.body.getUint32(12, true);
      return {
        iface: b.body.getUint32(0, true),
        time: (BigInt(b.body.getUint32(4, true)) << 32n) | BigInt(b.body.getUint32(8, true)),
        frame: b.bytes.subarray(20, 20 + kept),
        original: b.body.getUint32(16, true),
        options: options(b, 20 + ((kept + 3) & ~3)),
      };
    });
}

function capture(write: (w: PcapngWriter) => void, writerOptions?: WriterOptions): Uint8Array {
  const sink = new MemorySink();
  const writer = new PcapngWriter(sink, writerOptions);
  write(writer);
  writer.close();
  return sink.bytes();
}

/** True when the transport checksum of an IP datagram is right. */
function intact(datagram: Uint8Array, fields: TcpFields = {}, protocol = 6): boolean {
  const at = datagram[0]! >>> 4 === 4 ? 20 : 40;
  return finish(sum(datagram, at, datagram.length, pseudo(protocol, datagram.length - at, fields))) === 0;
}

describe('sections, interfaces and frames', () => {
  test('an empty capture is a section header with its application and comment', () => {
    const [section, ...rest] = blocks(capture(() => {}, { application: 'tapwire serve', comment: 'seed 7' }));
    expect(rest).toEqual([]);
    expect(section!.type).toBe(0x0a0d0d0a);
    expect(section!.body.getUint32(0, true)).toBe(0x1a2b3c4d);
    expect(text(options(section!, 16).get(4))).toBe('tapwire serve');
    expect(text(options(section!, 16).get(1))).toBe('seed 7');
  });

  test('an interface has its link type, name, snap length, address and resolution', () => {
    const all = blocks(
      capture((w) => {
        w.addInterface({ name: 'tw0', linkType: 'ip', snapLength: 96, resolution: 'us', description: 'lab' });
        w.addInterface({ name: 'tap0', linkType: 'ethernet', mac: Uint8Array.from([2, 0, 0, 0, 0, 9]) });
      }),
    ).filter((b) => b.type === 1);
    expect(all.map((b) => b.body.getUint16(0, true))).toEqual([101, 1]);
    expect(all.map((b) => b.body.getUint32(4, true))).toEqual([96, 0]);
    expect(all.map((b) => text(options(b, 8).get(2)))).toEqual(['tw0', 'tap0']);
    expect(all.map((b) => [...options(b, 8).get(9)!])).toEqual([[6], [9]]);
    expect(text(options(all[0]!, 8).get(3))).toBe('lab');
    expect([...options(all[1]!, 8).get(6)!]).toEqual([2, 0, 0, 0, 0, 9]);
  });

  test('a frame keeps its bytes, times, direction and comment', () => {
    const frame = tcp({ flags: 'S' });
    const slab = new Uint8Array(100 + frame.length);
    slab.set(frame, 100);
    const [first, second] = frames(
      capture((w) => {
        w.addInterface({ name: 'a', linkType: 'ip' });
        w.addInterface({ name: 'b', linkType: 'ip', resolution: 'us' });
        w.writeFrame(0, 0.000123, slab, 100, frame.length, DIRECTION_OUTBOUND, 'first: ünïcode ✓');
        w.writeFrame(1, 1.25, slab, 100, frame.length, DIRECTION_UNKNOWN);
      }),
    );
    expect([...first!.frame]).toEqual([...frame]);
    expect(first!.time).toBe(123n);
    expect(text(first!.options.get(1))).toBe('first: ünïcode ✓');
    expect([...first!.options.get(2)!]).toEqual([2, 0, 0, 0]);
    expect([second!.iface, second!.time, second!.options.size]).toEqual([1, 1250n, 0]);
  });

  test('times are exact nanoseconds on top of the epoch, across the 32-bit halves', () => {
    const epochMs = 1_700_000_000_123;
    const times = [0, 0.000001, 4294.967295, 4294.967296, 86_400_000.000001];
    const found = frames(
      capture(
        (w) => {
          w.addInterface({ name: 'a', linkType: 'ip' });
          for (const t of times) w.writeFrame(0, t, new Uint8Array(1), 0, 1, 0);
        },
        { epochMs },
      ),
    );
    expect(found.map((p) => p.time - BigInt(epochMs) * 1_000_000n)).toEqual([
      0n,
      1n,
      4294967295n,
      4294967296n,
      86_400_000_000_001n,
    ]);
  });

  test('a snap length cuts the record and keeps the true length', () => {
    const [p] = frames(
      capture((w) => {
        w.addInterface({ name: 'a', linkType: 'ip', snapLength: 41 });
        w.writeFrame(0, 0, new Uint8Array(99), 0, 99, 0, 'cut');
      }),
    );
    expect([p!.frame.length, p!.original, text(p!.options.get(1))]).toEqual([41, 99, 'cut']);
  });

  test.each([0, 1, 2, 3, 4, 63, 64, 65, 1500, 65_535])('a frame of %d bytes is padded to whole words', (length) => {
    const frame = Uint8Array.from({ length }, (_, i) => i * 7);
    const [p] = frames(
      capture((w) => {
        w.addInterface({ name: 'a', linkType: 'ip' });
        w.writeFrame(0, 0, frame, 0, length, DIRECTION_INBOUND);
      }),
    );
    expect(Buffer.compare(p!.frame, frame)).toBe(0);
  });

  test('a comment of any size is cut at a character to what an option holds', () => {
    const [p] = frames(
      capture((w) => {
        w.addInterface({ name: 'a', linkType: 'ip' });
        w.writeFrame(0, 0, new Uint8Array(3), 0, 3, 0, '€'.repeat(50_000));
      }),
    );
    expect(text(p!.options.get(1))).toBe('€'.repeat(21_845));
  });
});

describe('statistics, names and secrets', () => {
  test('each interface ends with its counts and drops', () => {
    const all = blocks(
      capture((w) => {
        w.addInterface({ name: 'a', linkType: 'ip' });
        w.writeFrame(0, 2, new Uint8Array(9), 0, 9, 0);
        w.writeFrame(0, 3, new Uint8Array(9), 0, 9, 0);
        w.countDropped(0, 5);
      }),
    ).filter((b) => b.type === 5);
    expect(all).toHaveLength(1);
    const found = options(all[0]!, 12);
    const count = (code: number): bigint => Buffer.from(found.get(code)!).readBigUInt64LE();
    expect([4, 5, 7, 8].map(count)).toEqual([7n, 5n, 0n, 2n]);
    const at = (code: number): number => Buffer.from(found.get(code)!).readUInt32LE(4);
    expect([at(2), at(3)]).toEqual([2_000_000, 3_000_000]);
  });

  test('names and TLS secrets have their blocks', () => {
    const all = blocks(
      capture((w) => {
        w.writeNames([
          { address: addressBytes('10.77.0.2'), name: 'web' },
          { address: addressBytes('fd00::2'), name: 'web6.lab' },
        ]);
        w.writeTlsKeyLog('CLIENT_RANDOM 00 11');
      }),
    );
    const names = all.find((b) => b.type === 4)!;
    expect(Buffer.from(names.bytes).toString('latin1')).toContain('web\0');
    expect([names.body.getUint16(0, true), names.body.getUint16(2, true)]).toEqual([1, 8]);
    expect(names.body.getUint32(names.bytes.length - 4, true)).toBe(0);
    const secrets = all.find((b) => b.type === 10)!;
    expect(secrets.body.getUint32(0, true)).toBe(0x544c534b);
    expect(text(secrets.bytes.subarray(8, 8 + secrets.body.getUint32(4, true)))).toBe('CLIENT_RANDOM 00 11\n');
  });
});

describe('partial checksums', () => {
  const queueWith = (frame: Uint8Array, flags: number, start: number, field: number, segment: number): TxQueue => {
    const queue = new TxQueue(new Arenas(heapRegions));
    const payload = queue.arenas.add(1 << 17);
    const head = Math.min(frame.length, start + 20);
    queue.header.set(frame.subarray(0, head), queue.begin());
    queue.headers(head);
    queue.arenas.list[payload]!.set(frame.subarray(head), 11);
    if (head < frame.length) queue.piece(payload, 11, frame.length - head);
    queue.offload(flags, start, field, segment);
    queue.commit();
    return queue;
  };

  const transmitted = (frame: Uint8Array, linkType: 'ip' | 'ethernet', start: number, field: number): Uint8Array =>
    frames(
      capture((w) => {
        w.addInterface({ name: 'a', linkType });
        w.writeTransmitted(0, 0, queueWith(frame, TX_CHECKSUM_PARTIAL, start, field, 0), 0);
      }),
    )[0]!.frame;

  test('a transmitted frame is completed from its record', () => {
    const text = ascii('GET / HTTP/1.1\r\n\r\n');
    expect(intact(transmitted(tcp({ text, partial: true }), 'ip', 20, 16))).toBe(true);
    const v6 = { from: CLIENT6, to: SERVER6 };
    expect(intact(transmitted(tcp({ ...v6, text, partial: true }), 'ip', 40, 16), v6)).toBe(true);
    const inEthernet = transmitted(ethernet(0x0800, tcp({ text, partial: true })), 'ethernet', 34, 16);
    expect(intact(inEthernet.subarray(14))).toBe(true);
  });

  test('a UDP checksum that comes out as zero is written as all ones', () => {
    // The first word of the text is chosen so that the sum is all ones.
    const frame = udp({ text: Uint8Array.of(0, 0) });
    const found = (frame[26]! << 8) | frame[27]!;
    put16(frame, 28, found);
    put16(frame, 26, fold(pseudo(17, 10, {})));
    expect([...transmitted(frame, 'ip', 20, 6).subarray(26, 28)]).toEqual([255, 255]);
  });

  test('positions outside the frame change nothing', () => {
    const frame = tcp({ partial: true });
    for (const [start, field] of [
      [20, 4000],
      [4000, 16],
      [20, -3],
    ]) {
      expect([...transmitted(frame, 'ip', start!, field!)]).toEqual([...frame]);
    }
  });

  const received = (frame: Uint8Array, flags: number, linkType: 'ip' | 'ethernet' = 'ip'): Uint8Array =>
    frames(
      capture((w) => {
        w.addInterface({ name: 'a', linkType });
        w.writeReceived(0, 0, frame, 0, frame.length, flags, 0);
      }),
    )[0]!.frame;

  test('a received frame marked as verified is completed, and the original is not touched', () => {
    const frame = tcp({ text: 'abc', partial: true });
    const before = frame.slice();
    expect(intact(received(frame, RX_CHECKSUM_VALID))).toBe(true);
    expect([...frame]).toEqual([...before]);
    expect(intact(received(ethernet(0x0800, frame), RX_CHECKSUM_VALID, 'ethernet').subarray(14))).toBe(true);
  });

  test('a frame marked as partial is completed whatever its field holds, as the device would have', () => {
    const frame = tcp({ text: 'abc', partial: true });
    expect(intact(received(frame, RX_CHECKSUM_VALID | RX_CHECKSUM_PARTIAL))).toBe(true);
    const datagram = udp({ text: 'abc' });
    put16(datagram, 26, fold(pseudo(17, 11, {})));
    expect(intact(received(datagram, RX_CHECKSUM_VALID | RX_CHECKSUM_PARTIAL), {}, 17)).toBe(true);
    expect(intact(received(datagram, RX_CHECKSUM_VALID), {}, 17)).toBe(true);
    put16(frame, 36, 0x1234);
    expect([...received(frame, RX_CHECKSUM_VALID | RX_CHECKSUM_PARTIAL)]).not.toEqual([...frame]);
  });

  test('what is not marked, or neither right nor partial, is evidence and stays', () => {
    const partial = tcp({ text: 'abc', partial: true });
    expect([...received(partial, 0)]).toEqual([...partial]);
    const wrong = tcp({ text: 'abc' });
    put16(wrong, 36, 0x1234);
    expect([...received(wrong, RX_CHECKSUM_VALID)]).toEqual([...wrong]);
    const right = tcp({ text: 'abc' });
    expect([...received(right, RX_CHECKSUM_VALID)]).toEqual([...right]);
  });

  describe('segments cut from a super-frame', () => {
    const text = Uint8Array.from({ length: 4000 }, (_, i) => i * 31);
    const fields: TcpFields = { flags: 'FPW.', seq: 0xfffffc00, ack: 7, id: 0xffff, text, partial: true };

    const cut = (frame: Uint8Array, start: number, options?: WriterOptions): Frame[] =>
      frames(
        capture(
          (w) => {
            w.addInterface({ name: 'a', linkType: 'ip' });
            w.writeTransmitted(0, 0, queueWith(frame, TX_CHECKSUM_PARTIAL | TX_SEGMENT, start, 16, 1460), 0, 'super');
          },
          { segment: true, ...options },
        ),
      );

    test.each([
      ['IPv4', 20, fields],
      ['IPv6', 40, { ...fields, from: CLIENT6, to: SERVER6 }],
    ])('%s: lengths, ids, numbers, flags and checksums are real', (_name, ipBytes, given) => {
      const found = cut(tcp(given), ipBytes);
      expect(found.map((p) => p.frame.length - ipBytes - 20)).toEqual([1460, 1460, 1080]);
      const at = (p: Frame, o: number): number =>
        new DataView(p.frame.buffer, p.frame.byteOffset).getUint32(ipBytes + o);
      expect(found.map((p) => at(p, 4))).toEqual([0xfffffc00, 436, 1896]);
      expect(found.map((p) => p.frame[ipBytes + 13])).toEqual([0x90, 0x10, 0x19]);
      for (const p of found) expect(intact(p.frame, given)).toBe(true);
      const joined = Buffer.concat(found.map((p) => p.frame.subarray(ipBytes + 20)));
      expect(Buffer.compare(joined, text)).toBe(0);
      expect(found.map((p) => p.options.has(1))).toEqual([true, false, false]);
      if (ipBytes === 40) return;
      expect(found.map((p) => (p.frame[4]! << 8) | p.frame[5]!)).toEqual([0xffff, 0, 1]);
      for (const p of found) expect(finish(sum(p.frame, 0, 20, 0))).toBe(0);
    });

    test.each([
      ['IPv4', 20, {}],
      ['IPv6', 40, { from: CLIENT6, to: SERVER6 }],
    ])('%s: datagrams that were joined are recorded each for itself', (_name, ipBytes, ends) => {
      const frame = udp({ ...ends, text });
      const found = frames(
        capture(
          (w) => {
            w.addInterface({ name: 'a', linkType: 'ip' });
            w.writeReceived(0, 0, frame, 0, frame.length, RX_CHECKSUM_VALID | RX_CHECKSUM_PARTIAL, 1472);
          },
          { segment: true },
        ),
      );
      expect(found.map((p) => (p.frame[ipBytes + 4]! << 8) | p.frame[ipBytes + 5]!)).toEqual([1480, 1480, 1064]);
      for (const p of found) expect(intact(p.frame, ends, 17)).toBe(true);
      const joined = Buffer.concat(found.map((p) => p.frame.subarray(ipBytes + 8)));
      expect(Buffer.compare(joined, text)).toBe(0);
    });

    test('without the option the super-frame is recorded whole and intact', () => {
      const found = cut(tcp(fields), 20, { segment: false });
      expect(found.map((p) => p.frame.length)).toEqual([4040]);
      expect(intact(found[0]!.frame)).toBe(true);
    });

    test('a received super-frame is cut too', () => {
      const frame = tcp(fields);
      const found = frames(
        capture(
          (w) => {
            w.addInterface({ name: 'a', linkType: 'ip' });
            w.writeReceived(0, 0, frame, 0, frame.length, RX_CHECKSUM_VALID, 1000);
          },
          { segment: true },
        ),
      );
      expect(found.map((p) => intact(p.frame))).toEqual([true, true, true, true]);
    });
  });
});

describe('buffering and failure', () => {
  const counting = (): CaptureSink & { writes: number[] } => {
    const writes: number[] = [];
    return { writes, write: (b) => void writes.push(b.length) };
  };

  test('nothing reaches the sink before a flush, the interval or a full buffer', () => {
    const sink = counting();
    const writer = new PcapngWriter(sink, { flushEveryMs: 10 });
    writer.addInterface({ name: 'a', linkType: 'ip' });
    writer.writeFrame(0, 5, new Uint8Array(40), 0, 40, 0);
    writer.writeFrame(0, 14.9, new Uint8Array(40), 0, 40, 0);
    expect(sink.writes).toHaveLength(0);
    writer.writeFrame(0, 15, new Uint8Array(40), 0, 40, 0);
    expect(sink.writes).toHaveLength(1);
    for (let i = 0; i < 10; i++) writer.writeFrame(0, 16, new Uint8Array(60_000), 0, 60_000, 0);
    expect(sink.writes.length).toBeGreaterThan(2);
  });

  test('every write to the sink is whole blocks, so a killed run leaves a readable file', () => {
    const sink: CaptureSink = { write: (b) => void (first.length === 0 ? first.push(b.slice()) : blocks(b)) };
    const first: Uint8Array[] = [];
    const writer = new PcapngWriter(sink, {});
    writer.addInterface({ name: 'a', linkType: 'ip' });
    for (let i = 0; i < 500; i++) writer.writeFrame(0, i, new Uint8Array(3000), 0, i * 6, 1, 'x'.repeat(i));
    writer.close();
    expect(blocks(first[0]!).length).toBeGreaterThan(1);
  });

  test('a full disk stops the recording, is told once, and never reaches the packet path', () => {
    const told: string[] = [];
    const full: CaptureSink = {
      write: () => {
        throw new Error('ENOSPC');
      },
      close: () => {
        throw new Error('EIO');
      },
    };
    const writer = new PcapngWriter(full, { flushEveryMs: 0, onError: (e) => told.push(e.message) });
    writer.addInterface({ name: 'a', linkType: 'ip' });
    for (let i = 0; i < 5; i++) writer.writeFrame(0, i, new Uint8Array(40), 0, 40, 0);
    writer.close();
    writer.close();
    expect(told).toEqual(['ENOSPC']);

    const silent = new PcapngWriter(full);
    expect(() => silent.close()).toThrow('ENOSPC');
  });

  test('the size limit holds, and what it refused is in the statistics', () => {
    const all = capture(
      (w) => {
        w.addInterface({ name: 'a', linkType: 'ip' });
        for (let i = 0; i < 100; i++) w.writeFrame(0, i, new Uint8Array(1000), 0, 1000, 0);
      },
      { bytesMax: 10_000 },
    );
    expect(all.length).toBeLessThan(10_300);
    expect(frames(all)).toHaveLength(9);
    const stats = blocks(all).find((b) => b.type === 5)!;
    expect(Buffer.from(options(stats, 12).get(7)!).readUInt32LE()).toBe(91);
  });

  test('frames after close are ignored', () => {
    const sink = new MemorySink();
    const writer = new PcapngWriter(sink);
    writer.addInterface({ name: 'a', linkType: 'ip' });
    writer.close();
    const before = sink.bytes().length;
    writer.writeFrame(0, 0, new Uint8Array(9), 0, 9, 0);
    writer.flush();
    expect(sink.bytes().length).toBe(before);
  });
});
