import {
  type Device,
  type FrameBatch,
  newBatch,
  RX_AT,
  RX_BYTES,
  RX_CHECKSUM_VALID,
  RX_FIELDS,
  RX_FLAGS,
  RX_SEGMENT_BYTES,
} from '../device/device';
import type { Millis } from '../stack/base/bytes';
import type { Interface } from '../stack/ip/interface';
import type { Stack } from '../stack/stack';
import type { FrameTap } from './frame-tap';

/** A device and the stack's interface to it, and the frames on their way between the two. */
export class Port {
  readonly batch: FrameBatch;
  /** What the device has taken of iface.tx already, when it pushed back, and the record where the rest begins. */
  taken = 0;
  record = 0;

  constructor(
    readonly device: Device,
    readonly iface: Interface,
    slab: FrameBatch['slab'],
  ) {
    this.batch = newBatch(slab);
  }

  /** Gives the first `frames` frames of the batch to the stack. */
  deliver(stack: Stack, frames: number, tap: FrameTap | null, now: Millis): void {
    const r = this.batch.records;
    const slab = this.batch.slab;
    for (let i = 0; i < frames * RX_FIELDS; i += RX_FIELDS) {
      const valid = (r[i + RX_FLAGS]! & RX_CHECKSUM_VALID) !== 0;
      if (tap !== null) {
        tap.received(
          this.device,
          slab.bytes,
          r[i + RX_AT]!,
          r[i + RX_BYTES]!,
          r[i + RX_FLAGS]!,
          r[i + RX_SEGMENT_BYTES]!,
          now,
        );
      }
      stack.receive(this.iface, slab, r[i + RX_AT]!, r[i + RX_BYTES]!, valid, r[i + RX_SEGMENT_BYTES]!, now);
    }
  }

  /** Hands the interface's queue, or what is left of it, to the device. False: the device pushes back, the rest waits. */
  transmit(tap: FrameTap | null, now: Millis): boolean {
    const queue = this.iface.tx;
    const waiting = queue.frames - this.taken;
    const sent = this.device.transmit(queue, this.record, waiting);
    if (tap !== null) this.tapSent(tap, sent, now);
    if (sent === waiting) {
      this.taken = 0;
      this.record = 0;
      queue.clear();
      return true;
    }
    for (let i = 0; i < sent; i++) this.record = queue.next(this.record);
    this.taken += sent;
    return false;
  }

  private tapSent(tap: FrameTap, frames: number, now: Millis): void {
    const queue = this.iface.tx;
    for (let i = 0, record = this.record; i < frames; i++, record = queue.next(record)) {
      tap.sent(this.device, queue, record, now);
    }
  }
}
