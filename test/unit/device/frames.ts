import { type Device, FRAMES_PER_BATCH, newBatch, RX_AT, RX_BYTES, RX_FIELDS } from '../../../device/device';
import { Arenas, heapRegions, SLAB_BYTES, Slab } from '../../../stack/base/memory';
import { TX_CHECKSUM_PARTIAL, TX_SEGMENT, TxQueue } from '../../../stack/base/tx-queue';

export interface Received {
  readonly bytes: Uint8Array;
  readonly flags: number;
  readonly segmentBytes: number;
  readonly at: number;
}

export const newQueue = (): TxQueue => new TxQueue(new Arenas(heapRegions));
export const newSlab = (bytes = SLAB_BYTES): Slab => new Slab(0, new Uint8Array(bytes));

/** A frame of `bytes` bytes that starts with IPv4's version nibble and then counts from `mark`. */
export function numbered(bytes: number, mark = 0): Uint8Array {
  const frame = new Uint8Array(bytes);
  for (let i = 0; i < bytes; i++) frame[i] = (mark + i) & 0xff;
  frame[0] = 0x45;
  return frame;
}

/** Adds one frame, whole in the header arena or with everything after `split` as a piece of its own. */
export function put(queue: TxQueue, frame: Uint8Array, split = frame.length): void {
  const at = queue.begin();
  queue.header.set(frame.subarray(0, split), at);
  queue.headers(split);
  if (split < frame.length) {
    const arena = queue.arenas.add(frame.length - split);
    queue.arenas.list[arena]!.set(frame.subarray(split));
    queue.piece(arena, 0, frame.length - split);
  }
  queue.commit();
}

/** The same, asking for the checksum and, with `segmentBytes`, for cutting. */
export function putOffloaded(
  queue: TxQueue,
  frame: Uint8Array,
  split: number,
  checksumStart: number,
  checksumField: number,
  segmentBytes: number,
): void {
  const at = queue.begin();
  queue.header.set(frame.subarray(0, split), at);
  queue.headers(split);
  if (split < frame.length) {
    const arena = queue.arenas.add(frame.length - split);
    queue.arenas.list[arena]!.set(frame.subarray(split));
    queue.piece(arena, 0, frame.length - split);
  }
  const flags = TX_CHECKSUM_PARTIAL | (segmentBytes > 0 ? TX_SEGMENT : 0);
  queue.offload(flags, checksumStart, checksumField, segmentBytes);
  queue.commit();
}

/** Sends frames in one batch; returns how many were taken. */
export function send(device: Device, ...frames: Uint8Array[]): number {
  const queue = newQueue();
  for (const frame of frames) put(queue, frame);
  return device.transmit(queue, 0, queue.frames);
}

/** One `receive`, its frames copied out. */
export function receiveOnce(device: Device, slab: Slab = newSlab()): Received[] {
  const batch = newBatch(slab);
  const count = device.receive(batch);
  if (count > FRAMES_PER_BATCH) throw new Error(`${count} frames in one batch`);
  const frames: Received[] = [];
  for (let i = 0; i < count; i++) {
    const r = i * RX_FIELDS;
    const at = batch.records[r + RX_AT]!;
    const bytes = slab.bytes.slice(at, at + batch.records[r + RX_BYTES]!);
    frames.push({ bytes, flags: batch.records[r + 2]!, segmentBytes: batch.records[r + 3]!, at });
  }
  return frames;
}
