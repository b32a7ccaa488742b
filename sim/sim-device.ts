import {
  type Device,
  type DeviceCounters,
  FRAMES_PER_BATCH,
  type FrameBatch,
  type LinkType,
  NO_OFFLOADS,
  newCounters,
  noteFrame,
  type Offloads,
} from '../device/device';
import type { Bytes } from '../stack/base/bytes';
import { FRAME_BYTES_MAX } from '../stack/base/memory';
import { TX_BYTES, TX_CHECKSUM_PARTIAL, TX_FLAGS, TX_SEGMENT_BYTES, type TxQueue } from '../stack/base/tx-queue';
import { cutFrame } from './forge';
import type { Link } from './link';
import { TURN_MS, type VirtualLoop } from './loop';

const ALL_OFFLOADS: Offloads = { checksum: true, tso4: true, tso6: true };
/** Frames that wait for the host at most; more are lost, as in a network card's ring. */
const RING_FRAMES = 4096;
/** A host that could not take its frames is asked again after this long. */
const RETRY_MS = 1;

/** A host's end of a virtual link. */
export class SimDevice implements Device {
  readonly counters: DeviceCounters = newCounters();
  readonly linkType: LinkType;
  readonly mtu: number;
  readonly offloads: Offloads;
  /** Frames that came when the ring was full. */
  overruns = 0;
  private waiting: Bytes[] = [];
  private ready: (() => void) | null = null;
  private wakeDue = false;
  private pushedBack = false;
  private room = false;
  private closed = false;

  constructor(
    readonly name: string,
    readonly link: Link,
    private readonly loop: VirtualLoop,
    readonly mac: Uint8Array | null,
  ) {
    this.linkType = link.linkType;
    this.mtu = link.deviceMtu;
    this.offloads = link.offload ? ALL_OFFLOADS : NO_OFFLOADS;
  }

  /** A frame from the link. */
  arrives(frame: Bytes): void {
    if (this.closed) return;
    if (this.waiting.length >= RING_FRAMES) this.overruns++;
    else this.waiting.push(frame);
    this.wake(0);
  }

  /** The link can take more. */
  hasRoom(): void {
    if (!this.pushedBack) return;
    this.pushedBack = false;
    this.room = true;
    this.wake(0);
  }

  private wake(inMs: number): void {
    if (this.wakeDue || this.ready === null || (this.waiting.length === 0 && !this.room)) return;
    this.wakeDue = true;
    this.loop.post(this.link.scheduler.now + inMs, () => {
      this.wakeDue = false;
      this.room = false;
      if (this.ready === null) return;
      const before = this.waiting.length;
      this.ready();
      this.wake(this.waiting.length < before ? TURN_MS : RETRY_MS);
    });
  }

  receive(batch: FrameBatch): number {
    const { slab, records } = batch;
    const lead = this.linkType === 'ethernet' ? 2 : 0;
    let count = 0;
    while (count < this.waiting.length && count < FRAMES_PER_BATCH && slab.room >= FRAME_BYTES_MAX) {
      const frame = this.waiting[count]!;
      const at = ((slab.fill + 63) & ~63) + lead;
      slab.bytes.set(frame, at);
      slab.fill = at + frame.length;
      noteFrame(records, count, at, frame.length);
      this.counters.rxBytes += frame.length;
      count++;
    }
    this.counters.rxFrames += count;
    if (count > 0) this.waiting = this.waiting.slice(count);
    return count;
  }

  transmit(queue: TxQueue, firstRecord: number, frames: number): number {
    const direction = this.link.from(this);
    let record = firstRecord;
    for (let taken = 0; taken < frames; taken++) {
      const bytes = queue.records[record + TX_BYTES]!;
      if (this.closed) {
        this.counters.txErrors++;
      } else if (!direction.accepts(bytes)) {
        this.pushedBack = true;
        return taken;
      } else {
        const frame = new Uint8Array(bytes);
        queue.copyFrame(record, frame, 0);
        const partial = (queue.records[record + TX_FLAGS]! & TX_CHECKSUM_PARTIAL) !== 0;
        const segmentBytes = queue.records[record + TX_SEGMENT_BYTES]!;
        if (partial) for (const piece of cutFrame(frame, this.linkType, segmentBytes)) direction.send(piece);
        else direction.send(frame);
        this.counters.txFrames++;
        this.counters.txBytes += bytes;
      }
      record = queue.next(record);
    }
    return frames;
  }

  onReadable(ready: (() => void) | null): void {
    this.ready = ready;
    this.wake(0);
  }

  /** Whether frames wait for the host. */
  get hasFrames(): boolean {
    return this.waiting.length > 0;
  }

  /** A virtual world ends when it is told to. */
  ref(): void {}
  unref(): void {}

  close(): void {
    this.closed = true;
    this.ready = null;
    this.waiting = [];
    this.link.detach(this);
  }
}
