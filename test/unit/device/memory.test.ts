import fc from 'fast-check';
import {
  FRAMES_PER_BATCH,
  NO_OFFLOADS,
  newBatch,
  RX_BYTES,
  RX_CHECKSUM_PARTIAL,
  RX_CHECKSUM_VALID,
} from '../../../device/device';
import { type MemoryDevice, memoryPair } from '../../../device/memory';
import { FRAME_BYTES_MAX } from '../../../stack/base/memory';
import { newQueue, newSlab, numbered, put, putOffloaded, receiveOnce, send } from './frames';

const ALL = { checksum: true, tso4: true, tso6: true };
const open: MemoryDevice[] = [];
const pair: typeof memoryPair = (options) => {
  const made = memoryPair(options);
  open.push(...made);
  return made;
};
afterEach(() => {
  for (const device of open.splice(0)) device.close();
});

/** A scheduler that a test steps by hand. */
function stepped(): { schedule: (task: () => void) => void; step: () => number } {
  let tasks: (() => void)[] = [];
  const step = (): number => {
    const due = tasks;
    tasks = [];
    for (const task of due) task();
    return due.length;
  };
  return { schedule: (task) => tasks.push(task), step };
}

describe('frames', () => {
  test('arrive in order, unchanged, in both directions', () => {
    const [a, b] = pair();
    expect(send(a, numbered(40, 1), numbered(1500, 2), numbered(1, 3))).toBe(3);
    expect(send(b, numbered(77, 9))).toBe(1);
    expect(receiveOnce(b).map((f) => f.bytes)).toEqual([numbered(40, 1), numbered(1500, 2), numbered(1, 3)]);
    expect(receiveOnce(a).map((f) => f.bytes)).toEqual([numbered(77, 9)]);
    expect(receiveOnce(a)).toEqual([]);
    expect(a.counters).toEqual({ rxFrames: 1, rxBytes: 77, txFrames: 3, txBytes: 1541, txErrors: 0 });
    expect(b.counters).toEqual({ rxFrames: 3, rxBytes: 1541, txFrames: 1, txBytes: 77, txErrors: 0 });
  });

  test('gathered from several pieces arrive as one', () => {
    const [a, b] = pair();
    const queue = newQueue();
    put(queue, numbered(1400, 5), 40);
    put(queue, numbered(100, 6), 20);
    expect(a.transmit(queue, 0, 2)).toBe(2);
    expect(receiveOnce(b).map((f) => f.bytes)).toEqual([numbered(1400, 5), numbered(100, 6)]);
  });

  test('can be sent from a record in the middle of the queue', () => {
    const [a, b] = pair();
    const queue = newQueue();
    for (let i = 0; i < 3; i++) put(queue, numbered(60, i));
    expect(a.transmit(queue, queue.next(0), 2)).toBe(2);
    expect(receiveOnce(b).map((f) => f.bytes)).toEqual([numbered(60, 1), numbered(60, 2)]);
  });

  test.each([
    ['ip', 0],
    ['ethernet', 14],
  ] as const)('on %s links put IP on a 4-byte boundary', (linkType, header) => {
    const [a, b] = pair({ linkType });
    send(a, numbered(header + 20), numbered(header + 33), numbered(header + 1500));
    for (const frame of receiveOnce(b)) expect((frame.at + header) % 4).toBe(0);
  });

  test('go behind what the slab already holds, and `fill` moves past them', () => {
    const [a, b] = pair();
    const slab = newSlab();
    slab.bytes.fill(0xee, 0, 100);
    slab.fill = 100;
    send(a, numbered(500));
    const [frame] = receiveOnce(b, slab);
    expect(frame!.at).toBeGreaterThanOrEqual(100);
    expect(slab.fill).toBeGreaterThanOrEqual(frame!.at + 500);
    expect(slab.bytes.subarray(0, 100).every((byte) => byte === 0xee)).toBe(true);
  });

  test('stay queued while the slab lacks room for a maximal frame', () => {
    const [a, b] = pair();
    const slab = newSlab(FRAME_BYTES_MAX + 2048);
    send(a, numbered(1500, 1), numbered(1500, 2), numbered(1500, 3));
    expect(receiveOnce(b, slab).map((f) => f.bytes)).toEqual([numbered(1500, 1), numbered(1500, 2)]);
    expect(receiveOnce(b, slab)).toEqual([]);
    slab.fill = 0;
    expect(receiveOnce(b, slab).map((f) => f.bytes)).toEqual([numbered(1500, 3)]);
  });

  test(`come at most ${FRAMES_PER_BATCH} at a time`, () => {
    const [a, b] = pair();
    for (let i = 0; i < 3; i++) send(a, ...Array.from({ length: 60 }, (_, k) => numbered(60, i * 60 + k)));
    expect(receiveOnce(b)).toHaveLength(FRAMES_PER_BATCH);
    expect(receiveOnce(b)).toHaveLength(180 - FRAMES_PER_BATCH);
  });
});

describe('what the link refuses', () => {
  test.each([
    ['ip', 1500, 0],
    ['ip', 1501, 1],
    ['ethernet', 1514, 0],
    ['ethernet', 1515, 1],
    ['ethernet', 14, 1],
  ] as const)('on %s a frame of %d bytes makes %d errors at mtu 1500', (linkType, bytes, errors) => {
    const [a, b] = pair({ linkType });
    expect(send(a, numbered(bytes))).toBe(1);
    expect(a.counters.txErrors).toBe(errors);
    expect(receiveOnce(b)).toHaveLength(1 - errors);
  });

  test('a partial checksum and cutting, unless offered', () => {
    const queue = newQueue();
    putOffloaded(queue, numbered(100), 40, 20, 16, 0);
    putOffloaded(queue, numbered(20_000), 40, 20, 16, 1460);
    const [a] = pair();
    expect(a.transmit(queue, 0, 2)).toBe(2);
    expect(a.counters.txErrors).toBe(2);
    const [c, d] = pair({ offloads: { checksum: true, tso4: false, tso6: true } });
    c.transmit(queue, 0, 2);
    expect(c.counters.txErrors).toBe(1);
    expect(receiveOnce(d)).toHaveLength(1);
  });

  test('a closed peer: frames are lost and counted', () => {
    const [a, b] = pair();
    b.close();
    expect(send(a, numbered(60))).toBe(1);
    expect(a.counters).toMatchObject({ txFrames: 0, txErrors: 1 });
  });

  test.each([{ mtu: 67 }, { mtu: 65_536 }, { mtu: 1500.5 }, { queueFrames: 0 }, { queueBytes: Number.NaN }])(
    'option %j',
    (options) => {
      expect(() => memoryPair(options)).toThrow(RangeError);
    },
  );
});

describe('offload', () => {
  test('a maximal cut frame crosses whole with its record', () => {
    const [a, b] = pair({ linkType: 'ethernet', offloads: ALL });
    const frame = numbered(14 + 65_535, 3);
    frame[14] = 0x60;
    const queue = newQueue();
    putOffloaded(queue, frame, 14 + 60, 14 + 40, 16, 1440);
    expect(a.transmit(queue, 0, 1)).toBe(1);
    const [got] = receiveOnce(b);
    expect(got!.segmentBytes).toBe(1440);
    expect(got!.flags).toBe(RX_CHECKSUM_VALID | RX_CHECKSUM_PARTIAL);
    expect(Buffer.compare(got!.bytes, frame)).toBe(0);
  });

  test('a complete checksum is not marked', () => {
    const [a, b] = pair({ offloads: ALL });
    send(a, numbered(60));
    expect(receiveOnce(b)[0]).toMatchObject({ flags: 0, segmentBytes: 0 });
  });
});

describe('back-pressure', () => {
  test('by frames: transmit takes what fits, and ready is called on the sender once there is room', () => {
    const clock = stepped();
    const [a, b] = pair({ queueFrames: 4, schedule: clock.schedule });
    let asked = 0;
    a.onReadable(() => asked++);
    const frames = Array.from({ length: 6 }, (_, i) => numbered(60, i));
    const queue = newQueue();
    for (const frame of frames) put(queue, frame);
    expect(a.transmit(queue, 0, 6)).toBe(4);
    expect(a.counters).toMatchObject({ txFrames: 4, txErrors: 0 });
    clock.step();
    expect(asked).toBe(0);
    expect(receiveOnce(b).map((f) => f.bytes)).toEqual(frames.slice(0, 4));
    clock.step();
    expect(asked).toBe(1);
    clock.step();
    expect(asked).toBe(1);
  });

  test('by bytes, and one maximal frame always fits', () => {
    const [a, b] = pair({ mtu: 65_535, queueBytes: 1 });
    expect(send(a, numbered(65_535))).toBe(1);
    expect(send(a, numbered(1000))).toBe(0);
    expect(receiveOnce(b)).toHaveLength(1);
    expect(send(a, numbered(1000))).toBe(1);
  });

  test('a sender that waits hears of the close', () => {
    const clock = stepped();
    const [a, b] = pair({ queueFrames: 1, schedule: clock.schedule });
    let asked = 0;
    a.onReadable(() => asked++);
    expect(send(a, numbered(60), numbered(60))).toBe(1);
    b.close();
    clock.step();
    expect(asked).toBe(1);
  });

  test('any mix of sizes and batches keeps every byte (against a plain list)', () => {
    // Sizes around whole cache lines, so that exact fits at the ring's end and before its head are common.
    const size = fc.oneof(fc.integer({ min: 1, max: 9000 }), fc.constantFrom(64, 65, 8128, 8192, 8256, 16_384));
    const step = fc.oneof(
      { weight: 3, arbitrary: fc.record({ send: fc.array(size, { maxLength: 20 }) }) },
      { weight: 1, arbitrary: fc.constant({ send: null }) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), fc.integer({ min: 1, max: 50 }), (steps, queueFrames) => {
        const [a, b] = memoryPair({ mtu: 20_000, queueFrames, queueBytes: 1 });
        const waiting: Uint8Array[] = [];
        const slab = newSlab(2 * FRAME_BYTES_MAX);
        let mark = 0;
        for (const { send: sizes } of steps) {
          if (sizes === null) {
            slab.fill = 0;
            const got = receiveOnce(b, slab).map((f) => f.bytes);
            if (waiting.length > 0) expect(got.length).toBeGreaterThan(0);
            const due = waiting.splice(0, got.length);
            expect(got.findIndex((bytes, i) => Buffer.compare(bytes, due[i]!) !== 0)).toBe(-1);
          } else {
            const frames = sizes.map((bytes) => numbered(bytes, mark++));
            waiting.push(...frames.slice(0, send(a, ...frames)));
            expect(waiting.length).toBeLessThanOrEqual(queueFrames);
          }
        }
      }),
      { numRuns: 300, seed: 1 },
    );
  });
});

describe('ready', () => {
  test('is called once per turn while frames wait, never from inside transmit or receive', () => {
    const clock = stepped();
    const [a, b] = pair({ schedule: clock.schedule });
    let calls = 0;
    b.onReadable(() => calls++);
    send(a, numbered(60));
    send(a, numbered(60));
    expect(calls).toBe(0);
    expect(clock.step()).toBe(1);
    expect(calls).toBe(1);
    clock.step();
    expect(calls).toBe(2);
    receiveOnce(b);
    clock.step();
    clock.step();
    expect(calls).toBe(2);
  });

  test('is called for frames that came before it was set, and not after null', () => {
    const clock = stepped();
    const [a, b] = pair({ schedule: clock.schedule });
    send(a, numbered(60));
    let calls = 0;
    b.onReadable(() => calls++);
    clock.step();
    expect(calls).toBe(1);
    b.onReadable(null);
    clock.step();
    expect(calls).toBe(1);
  });

  test('may close both ends and may throw', () => {
    const clock = stepped();
    const [a, b] = pair({ schedule: clock.schedule });
    send(a, numbered(60));
    b.onReadable(() => {
      throw new Error('from the host');
    });
    expect(() => clock.step()).toThrow('from the host');
    b.onReadable(() => {
      a.close();
      b.close();
    });
    clock.step();
    expect(clock.step()).toBe(0);
    expect(receiveOnce(b)).toEqual([]);
  });

  test('comes with setImmediate by default', async () => {
    const [a, b] = pair();
    send(a, numbered(60));
    const calls: string[] = [];
    await new Promise<void>((resolve) => {
      b.onReadable(() => {
        calls.push('ready');
        receiveOnce(b);
        resolve();
      });
      calls.push('set');
    });
    expect(calls).toEqual(['set', 'ready']);
  });
});

test('what one sent before it closed still arrives', () => {
  const [a, b] = pair();
  send(a, numbered(60, 7));
  a.close();
  a.close();
  expect(receiveOnce(b).map((f) => f.bytes)).toEqual([numbered(60, 7)]);
  expect(send(a, numbered(60))).toBe(1);
  expect(a.counters.txErrors).toBe(1);
});

test('names, addresses and defaults', () => {
  const [a, b] = pair({ linkType: 'ethernet', names: ['left', 'right'] });
  expect([a.name, b.name]).toEqual(['left', 'right']);
  expect([a.mac, b.mac]).toEqual([Uint8Array.of(2, 0, 0, 0, 0, 1), Uint8Array.of(2, 0, 0, 0, 0, 2)]);
  const [c] = pair();
  expect([c.mac, c.mtu, c.linkType, c.offloads]).toEqual([null, 1500, 'ip', NO_OFFLOADS]);
});

test('the same calls give the same slabs, byte for byte', () => {
  const run = (): [Int32Array, Uint8Array] => {
    const [a, b] = pair({ linkType: 'ethernet' });
    const slab = newSlab(200_000);
    const batch = newBatch(slab);
    for (let i = 0; i < 100; i++) {
      send(a, numbered(60 + i * 7, i));
      if (i % 3 === 0) b.receive(batch);
    }
    expect(batch.records[RX_BYTES]).toBeGreaterThan(0);
    return [batch.records, slab.bytes];
  };
  expect(run()).toEqual(run());
});
