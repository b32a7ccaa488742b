import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { newBatch } from '../../../../device/device';
import { memoryPair } from '../../../../device/memory';
import { Arenas, heapRegions, SlabPool } from '../../../../stack/base/memory';
import { TX_CHECKSUM_PARTIAL, TxQueue } from '../../../../stack/base/tx-queue';
import { dissect } from '../../../../tools/pcap/dissect';
import type { CapturedPacket } from '../../../../tools/pcap/parser';
import { readCapture, readCaptureFile } from '../../../../tools/pcap/reader';
import { CaptureFile, RecordingDevice } from '../../../../tools/pcap/recorder';
import { MemorySink } from '../../../../tools/pcap/sink';
import { PcapngWriter } from '../../../../tools/pcap/writer';
import { tcp } from '../frames';

function queued(...frames: Uint8Array[]): TxQueue {
  const queue = new TxQueue(new Arenas(heapRegions));
  for (const frame of frames) {
    queue.header.set(frame, queue.begin());
    queue.headers(frame.length);
    queue.offload(TX_CHECKSUM_PARTIAL, 20, 16, 0);
    queue.commit();
  }
  return queue;
}

const checksums = (packets: CapturedPacket[]): (string | undefined)[] =>
  packets.map((p) => dissect(p.bytes, 0, p.bytes.length, p.linkType).tcp?.checksum);

test('a device that is recorded: what it took and what it gave, with whole checksums, and the frames untouched', () => {
  const offloads = { checksum: true, tso4: false, tso6: false };
  const [a, b] = memoryPair({ offloads, queueFrames: 2, schedule: () => {} });
  const sink = new MemorySink();
  const writer = new PcapngWriter(sink);
  let now = 5;
  const left = new RecordingDevice(a, writer, () => now, { name: 'left' });
  const right = new RecordingDevice(b, writer, () => now);
  const frames = [1, 2, 3].map((seq) => tcp({ seq, text: 'abc', partial: true }));
  expect(left.transmit(queued(...frames), 0, 3)).toBe(2);
  now = 7;
  const batch = newBatch(new SlabPool(heapRegions, 1, false).current);
  expect(right.receive(batch)).toBe(2);
  expect(right.receive(batch)).toBe(0);
  expect([...batch.slab.bytes.subarray(batch.records[0], batch.records[0]! + 43)]).toEqual([...frames[0]!]);
  writer.close();

  const packets = [...readCapture(sink.bytes())];
  expect(packets.map((p) => [p.iface.name, p.direction, p.timeNs])).toEqual([
    ['left', 2, 5_000_000n],
    ['left', 2, 5_000_000n],
    ['memory-b', 1, 7_000_000n],
    ['memory-b', 1, 7_000_000n],
  ]);
  expect(checksums(packets)).toEqual(['good', 'good', 'good', 'good']);
  expect([left.name, left.mtu, left.linkType, left.mac, left.offloads]).toEqual([
    'memory-a',
    1500,
    'ip',
    null,
    offloads,
  ]);
  expect([left.counters.txFrames, right.counters.rxFrames]).toEqual([2, 2]);
  left.close();
  right.close();
});

describe('a capture file', () => {
  let dir = '';
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'tapwire-record-'));
  });
  afterAll(() => rmSync(dir, { recursive: true }));

  test('is complete after close, dated today, and closes twice', () => {
    const path = join(dir, 'run.pcapng');
    const listeners = process.listenerCount('exit');
    const capture = new CaptureFile(path, { comment: 'tapwire serve' });
    expect(process.listenerCount('exit')).toBe(listeners + 1);
    const [a, b] = memoryPair({ schedule: () => {} });
    const device = capture.record(a);
    device.transmit(queued(tcp({ partial: true })), 0, 1);
    expect(readFileSync(path).length).toBe(0);
    capture.writer.flush();
    expect([...readCaptureFile(path)]).toHaveLength(1);
    capture.close();
    capture.close();
    expect(process.listenerCount('exit')).toBe(listeners);
    const [packet] = [...readCaptureFile(path)];
    expect(Math.abs(packet!.timeMs - Date.now())).toBeLessThan(5000);
    expect(packet!.iface.received).toBe(1n);
    device.close();
    b.close();
  });

  test('flushed at every frame on demand, and by its timer', () => {
    jest.useFakeTimers({ now: 1_700_000_000_000 });
    try {
      const now = join(dir, 'now.pcapng');
      const later = join(dir, 'later.pcapng');
      const captures = [new CaptureFile(now, { flushEveryMs: 0 }), new CaptureFile(later, { flushEveryMs: 500 })];
      for (const capture of captures) {
        const id = capture.writer.addInterface({ name: 'a', linkType: 'ip' });
        capture.writer.writeFrame(id, 1, new Uint8Array(20), 0, 20, 0);
      }
      expect([...readCaptureFile(now)]).toHaveLength(1);
      expect(readFileSync(later).length).toBe(0);
      jest.advanceTimersByTime(500);
      expect([...readCaptureFile(later)]).toHaveLength(1);
      for (const capture of captures) capture.close();
      expect(jest.getTimerCount()).toBe(0);
    } finally {
      jest.useRealTimers();
    }
  });

  test('that cannot be made is the system error at once', () => {
    expect(() => new CaptureFile(join(dir, 'no', 'where'))).toThrow(/ENOENT/);
  });
});
