import { FRAME_BYTES_MAX } from '../stack/base/memory';
import {
  type DeviceCounters,
  FRAMES_PER_BATCH,
  type FrameBatch,
  type LinkType,
  RX_AT,
  RX_BYTES,
  RX_FIELDS,
  RX_FLAGS,
  RX_SEGMENT_BYTES,
} from './device';

export const ETHERNET_HEADER_BYTES = 14;
/** How far behind a cache line's start an Ethernet frame begins, so that IP is on a 4-byte boundary. */
export const ETHERNET_LEAD = 2;
/** Frames begin on a cache line. */
const LINE = 64;
export const lineUp = (n: number): number => (n + LINE - 1) & -LINE;
const RING_BYTES_MIN = 1 << 16;

/**
 * Frames that wait for a receiver, first in, first out, bounded. Their bytes lie one behind the other in a ring, laid out
 * as they will lie in the receiver's slab, so that a whole batch moves with one copy (two where the ring wraps).
 */
export class FrameQueue {
  /** Per frame: RX_AT (in `ring`), RX_BYTES, RX_FLAGS, RX_SEGMENT_BYTES. Itself a ring, of `framesMax` records. */
  private readonly records: Int32Array;
  private ring = new Uint8Array(0);
  private first = 0;
  /** Where the next frame goes, a multiple of LINE; the ring's free part ends before the first frame's line. */
  private tail = 0;
  /** How many wait. */
  frames = 0;
  private readonly bytesMax: number;
  private readonly lead: number;

  /** @param bytesMax the ring's limit; one maximal frame always fits. */
  constructor(
    private readonly framesMax: number,
    bytesMax: number,
    linkType: LinkType,
  ) {
    this.bytesMax = lineUp(Math.max(bytesMax, FRAME_BYTES_MAX));
    this.lead = linkType === 'ethernet' ? ETHERNET_LEAD : 0;
    this.records = new Int32Array(framesMax * RX_FIELDS);
  }

  /** The memory that `open` gives a place in; another one after each `open`. */
  get bytes(): Uint8Array {
    return this.ring;
  }

  /** Where in `bytes` the next frame may be copied to; `commit` follows. -1: no room now. */
  open(bytes: number): number {
    if (this.frames === this.framesMax) return -1;
    const at = this.place(lineUp(this.lead + bytes));
    if (at < 0) return -1;
    this.tail = at;
    return at + this.lead;
  }

  /** The frame is where `open` said. */
  commit(bytes: number, flags: number, segmentBytes: number): void {
    const r = ((this.first + this.frames) % this.framesMax) * RX_FIELDS;
    this.records[r + RX_AT] = this.tail + this.lead;
    this.records[r + RX_BYTES] = bytes;
    this.records[r + RX_FLAGS] = flags;
    this.records[r + RX_SEGMENT_BYTES] = segmentBytes;
    this.frames++;
    this.tail += lineUp(this.lead + bytes);
  }

  /** A place for `bytes` contiguous bytes, or -1. */
  private place(bytes: number): number {
    for (;;) {
      if (this.frames === 0) this.tail = 0;
      const head = this.frames === 0 ? -1 : this.records[this.first * RX_FIELDS + RX_AT]! - this.lead;
      const end = head >= this.tail ? head : this.ring.length;
      if (this.tail + bytes <= end) return this.tail;
      if (head < this.tail && bytes <= head) return 0;
      if (!this.grow()) return -1;
    }
  }

  /** Doubles the ring, its frames moved to the front: a quiet link costs 64 KiB, one never used nothing. */
  private grow(): boolean {
    if (this.ring.length >= this.bytesMax) return false;
    const grown = new Uint8Array(Math.min(this.bytesMax, Math.max(RING_BYTES_MIN, this.ring.length * 2)));
    let to = 0;
    for (let i = 0; i < this.frames; i++) {
      const r = ((this.first + i) % this.framesMax) * RX_FIELDS;
      const at = this.records[r + RX_AT]!;
      const bytes = this.records[r + RX_BYTES]!;
      grown.set(this.ring.subarray(at, at + bytes), to + this.lead);
      this.records[r + RX_AT] = to + this.lead;
      to += lineUp(this.lead + bytes);
    }
    this.ring = grown;
    this.tail = to;
    return true;
  }

  /** Moves waiting frames into the batch (see Device.receive); returns how many, having added to `counters`. */
  take(batch: FrameBatch, counters: DeviceCounters): number {
    const slab = batch.slab;
    const into = batch.records;
    let count = 0;
    let runFrom = 0;
    let runEnd = -1;
    let runTo = 0;
    let fill = lineUp(slab.fill);
    while (count < this.frames && count < FRAMES_PER_BATCH && slab.bytes.length - fill >= FRAME_BYTES_MAX) {
      const r = ((this.first + count) % this.framesMax) * RX_FIELDS;
      const bytes = this.records[r + RX_BYTES]!;
      const from = this.records[r + RX_AT]! - this.lead;
      if (from !== runEnd) {
        if (runEnd > runFrom) slab.bytes.set(this.ring.subarray(runFrom, runEnd), runTo);
        runFrom = from;
        runTo = fill;
      }
      runEnd = from + lineUp(this.lead + bytes);
      const w = count * RX_FIELDS;
      into[w + RX_AT] = fill + this.lead;
      into[w + RX_BYTES] = bytes;
      into[w + RX_FLAGS] = this.records[r + RX_FLAGS]!;
      into[w + RX_SEGMENT_BYTES] = this.records[r + RX_SEGMENT_BYTES]!;
      counters.rxBytes += bytes;
      fill += lineUp(this.lead + bytes);
      count++;
    }
    if (count === 0) return 0;
    slab.bytes.set(this.ring.subarray(runFrom, runEnd), runTo);
    slab.fill = fill;
    this.first = (this.first + count) % this.framesMax;
    this.frames -= count;
    counters.rxFrames += count;
    return count;
  }

  /** Forgets what waits, and the memory. */
  drop(): void {
    this.frames = 0;
    this.tail = 0;
    this.ring = new Uint8Array(0);
  }
}
