import { Arenas, heapRegions } from '../../../../stack/base/memory';
import {
  PIECES_MAX,
  TX_BYTES,
  TX_FLAGS,
  TX_HEADER_BYTES,
  TX_PIECES,
  TX_SEGMENT,
  TX_SEGMENT_BYTES,
  TxQueue,
} from '../../../../stack/base/tx-queue';

const newQueue = (): { queue: TxQueue; arena: number; memory: Uint8Array } => {
  const arenas = new Arenas(heapRegions);
  const queue = new TxQueue(arenas);
  const arena = arenas.add(100_000);
  const memory = arenas.list[arena]!;
  for (let i = 0; i < memory.length; i++) memory[i] = i * 7;
  return { queue, arena, memory };
};

/** A frame of a header filled with `fill` and of pieces. */
function frame(queue: TxQueue, fill: number, header: number, pieces: [number, number, number][]): void {
  const at = queue.begin();
  queue.header.fill(fill, at, at + header);
  for (const [arena, from, bytes] of pieces) queue.piece(arena, from, bytes);
  queue.headers(header);
  queue.commit();
}

test('frames are what was put together, in order', () => {
  const { queue, arena, memory } = newQueue();
  frame(queue, 1, 40, [[arena, 10, 100]]);
  frame(queue, 2, 54, []);
  frame(queue, 3, 20, [
    [arena, 0, 3],
    [arena, 500, 1000],
    [arena, 7, 64],
  ]);
  const frames: Uint8Array[] = [];
  for (let i = 0, record = 0; i < queue.frames; i++, record = queue.next(record)) {
    const into = new Uint8Array(queue.records[record + TX_BYTES]! + 5);
    expect(queue.copyFrame(record, into, 5)).toBe(into.length - 5);
    frames.push(into.subarray(5));
  }
  const header = (fill: number, bytes: number): number[] => new Array<number>(bytes).fill(fill);
  expect(frames.map((bytes) => [...bytes])).toEqual([
    [...header(1, 40), ...memory.subarray(10, 110)],
    header(2, 54),
    [...header(3, 20), ...memory.subarray(0, 3), ...memory.subarray(500, 1500), ...memory.subarray(7, 71)],
  ]);
});

test('what the device is asked for stands in the record', () => {
  const { queue, arena } = newQueue();
  queue.begin();
  queue.piece(arena, 0, 5000);
  queue.headers(54);
  queue.offload(TX_SEGMENT, 34, 16, 1448);
  expect(queue.frameBytes).toBe(5054);
  queue.commit();
  const r = queue.records;
  expect([r[TX_PIECES], r[TX_FLAGS], r[TX_SEGMENT_BYTES], r[TX_HEADER_BYTES]]).toEqual([2, TX_SEGMENT, 1448, 54]);
});

test('an open frame can be taken out as a copy, and the next one takes its place', () => {
  const { queue, arena, memory } = newQueue();
  const at = queue.begin();
  queue.header.fill(9, at, at + 20);
  queue.piece(arena, 3, 4);
  queue.headers(20);
  expect([...queue.copyOpen()]).toEqual([...new Array<number>(20).fill(9), ...memory.subarray(3, 7)]);
  frame(queue, 1, 10, []);
  expect([queue.frames, queue.records[TX_BYTES]]).toEqual([1, 10]);
});

test('it is full before a maximal frame would not fit any more, and empty after clear', () => {
  const { queue, arena } = newQueue();
  let frames = 0;
  for (; queue.hasRoom; frames++) {
    const pieces = Array.from({ length: PIECES_MAX - 1 }, (): [number, number, number] => [arena, 0, 1]);
    frame(queue, 1, 60, pieces);
  }
  expect(frames).toBeGreaterThan(100);
  expect(queue.length).toBeLessThanOrEqual(queue.records.length);
  queue.clear();
  expect([queue.hasRoom, queue.frames, queue.begin()]).toEqual([true, 0, 0]);
  for (frames = 0; queue.hasRoom; frames++) frame(queue, 1, 60_000, []);
  expect(frames).toBeGreaterThanOrEqual(3);
});
