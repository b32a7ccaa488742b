import {
  type Device,
  type DeviceCounters,
  type FrameBatch,
  newCounters,
  RX_CHECKSUM_PARTIAL,
  RX_CHECKSUM_VALID,
} from '../device/device';
import { FrameQueue } from '../device/frame-queue';
import {
  TX_BYTES,
  TX_CHECKSUM_PARTIAL,
  TX_FLAGS,
  TX_SEGMENT,
  TX_SEGMENT_BYTES,
  type TxQueue,
} from '../stack/base/tx-queue';

const FRAMES_MAX = 1024;
const BYTES_MAX = 1 << 22;

/**
 * The link from a host to itself: what it transmits it receives, in order, without loss. Nothing of it ever reaches a
 * wire, so checksums are left out and frames are as large as IP allows.
 *
 * It has no readiness of its own: its host drains it right after each flush, as a kernel does, so that by the time an
 * application hears of anything both ends of the connection have settled.
 */
export class LoopbackDevice implements Device {
  readonly linkType = 'ip';
  readonly mtu = 65_535;
  readonly mac = null;
  readonly offloads = { checksum: true, tso4: true, tso6: true };
  readonly counters: DeviceCounters = newCounters();
  private readonly queue = new FrameQueue(FRAMES_MAX, BYTES_MAX, 'ip');
  private closed = false;

  constructor(readonly name = 'lo') {}

  /** Frames on their way. */
  get waiting(): number {
    return this.queue.frames;
  }

  receive(batch: FrameBatch): number {
    return this.queue.take(batch, this.counters);
  }

  transmit(queue: TxQueue, firstRecord: number, frames: number): number {
    if (this.closed) return frames;
    const r = queue.records;
    let record = firstRecord;
    for (let taken = 0; taken < frames; taken++) {
      const at = this.queue.open(r[record + TX_BYTES]!);
      if (at < 0) return taken;
      const partial = (r[record + TX_FLAGS]! & TX_CHECKSUM_PARTIAL) !== 0;
      const segmentBytes = (r[record + TX_FLAGS]! & TX_SEGMENT) !== 0 ? r[record + TX_SEGMENT_BYTES]! : 0;
      queue.copyFrame(record, this.queue.bytes, at);
      this.queue.commit(
        r[record + TX_BYTES]!,
        partial ? RX_CHECKSUM_VALID | RX_CHECKSUM_PARTIAL : RX_CHECKSUM_VALID,
        segmentBytes,
      );
      this.counters.txFrames++;
      this.counters.txBytes += r[record + TX_BYTES]!;
      record = queue.next(record);
    }
    return frames;
  }

  /** The host asks, it is never told. */
  onReadable(): void {}

  /** A link to oneself is nothing to wait for: the sockets on it hold their host. */
  ref(): void {}
  unref(): void {}

  close(): void {
    this.closed = true;
    this.queue.drop();
  }
}
