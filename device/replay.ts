import { setTimeout } from 'node:timers';
import type { Bytes, Millis } from '../stack/base/bytes';
import { FRAME_BYTES_MAX } from '../stack/base/memory';
import { TX_BYTES, type TxQueue } from '../stack/base/tx-queue';
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
} from './device';
import { ETHERNET_HEADER_BYTES, ETHERNET_LEAD, lineUp } from './frame-queue';
import { Readiness, ReadyDevice } from './readiness';

/** One packet of a capture. What tools/pcap reads from a file fits. */
export interface ReplayPacket {
  /** When it was seen; only differences count. */
  readonly timeMs: Millis;
  readonly bytes: Bytes;
  /** A LINKTYPE_ number of the capture formats (1 Ethernet, 101 IP …), or this project's word. */
  readonly linkType: number | LinkType;
}

/** Time for a replay. The default is the machine's. */
export interface ReplayClock {
  now(): Millis;
  /** Runs `task` after that time, never before it returns. */
  after(ms: Millis, task: () => void): void;
}

/** What `openReplay` takes. Everything has a default. */
export interface ReplayOptions {
  /** Default 'ip': Ethernet and other link headers are taken off, and what is not IP is skipped. */
  linkType?: LinkType;
  /** 'captured': with the gaps of the capture. 'none': as fast as they are taken. Default 'none'. */
  timing?: 'captured' | 'none';
  /** Gaps are divided by this. Default 1. */
  speed?: number;
  clock?: ReplayClock;
  mtu?: number;
  /** The stack's link address when the link is Ethernet. Default 02:00:00:00:00:01. */
  mac?: Uint8Array;
  name?: string;
  /** Gets a copy of every frame that the stack sends. */
  onTransmit?: (frame: Bytes) => void;
  /** Called once, after the last packet has been received. */
  onEnd?: () => void;
}

const VLAN_TYPES: ReadonlySet<number> = new Set([0x8100, 0x88a8, 0x9100]);
const LINKTYPE_ETHERNET = 1;
/** Link headers before an IP datagram, in bytes: BSD loopback, raw IP under its several numbers, Linux "cooked" 1 and 2. */
const HEADER_BYTES: ReadonlyMap<number, number> = new Map([
  [0, 4],
  [108, 4],
  [12, 0],
  [14, 0],
  [101, 0],
  [228, 0],
  [229, 0],
  [113, 16],
  [276, 20],
]);

const realClock: ReplayClock = {
  now: () => performance.now(),
  after: (ms, task) => void setTimeout(task, ms),
};

/**
 * A device whose frames come from a capture. What the stack sends is counted, and handed to `onTransmit`, and goes nowhere.
 * The packets are drawn from the iterable one by one as they fall due. What the iterable throws ends the replay and becomes `failure`.
 */
export class ReplayDevice extends ReadyDevice implements Device {
  readonly name: string;
  readonly linkType: LinkType;
  readonly mtu: number;
  readonly mac: Uint8Array | null;
  readonly offloads: Offloads = NO_OFFLOADS;
  readonly counters: DeviceCounters = newCounters();
  /** Packets left out: of another kind than the link carries, or longer than any frame. */
  skipped = 0;
  failure: Error | null = null;
  private readonly source: Iterator<ReplayPacket>;
  private readonly clock: ReplayClock;
  private readonly lead: number;
  /** Capture time of the first packet, and the clock's at that moment. Set with the first packet. */
  private firstMs: Millis = 0;
  private startMs: Millis = 0;
  private started = false;
  private next: ReplayPacket | null = null;
  private nextAt = 0;
  private ended = false;
  /** `ready` is owed because of `failure`. */
  private failed = false;
  private waiting = false;
  protected override readonly readiness: Readiness;

  constructor(
    packets: Iterable<ReplayPacket>,
    private readonly options: ReplayOptions,
  ) {
    super();
    this.source = packets[Symbol.iterator]();
    this.clock = options.clock ?? realClock;
    this.linkType = options.linkType ?? 'ip';
    this.lead = this.linkType === 'ethernet' ? ETHERNET_LEAD : 0;
    this.mtu = options.mtu ?? 1500;
    this.mac = this.linkType === 'ethernet' ? (options.mac ?? Uint8Array.of(2, 0, 0, 0, 0, 1)) : null;
    this.name = options.name ?? 'replay';
    const { clock } = options;
    const schedule = clock === undefined ? null : (task: () => void) => clock.after(0, task);
    this.readiness = new Readiness(
      schedule,
      () => this.due() || this.failed,
      () => {
        this.failed = false;
      },
    );
  }

  receive(batch: FrameBatch): number {
    const { slab, records } = batch;
    let count = 0;
    let fill = lineUp(slab.fill);
    while (count < FRAMES_PER_BATCH && slab.bytes.length - fill >= FRAME_BYTES_MAX && this.due()) {
      const from = this.next!.bytes;
      const bytes = from.length - this.nextAt;
      slab.bytes.set(this.nextAt === 0 ? from : from.subarray(this.nextAt), fill + this.lead);
      noteFrame(records, count, fill + this.lead, bytes);
      this.counters.rxBytes += bytes;
      fill += lineUp(this.lead + bytes);
      count++;
      this.next = null;
    }
    if (count > 0) slab.fill = fill;
    this.counters.rxFrames += count;
    return count;
  }

  /** Whether a packet is to be received now. Draws it if need be, and sets the alarm for one that is to come. */
  private due(): boolean {
    if (this.closed || !this.draw()) return false;
    if (this.options.timing !== 'captured') return true;
    const dueMs = this.startMs + (this.next!.timeMs - this.firstMs) / (this.options.speed ?? 1);
    const waitMs = dueMs - this.clock.now();
    if (waitMs <= 0) return true;
    if (!this.waiting) {
      this.waiting = true;
      this.clock.after(waitMs, () => {
        this.waiting = false;
        this.readiness.wake();
      });
    }
    return false;
  }

  /** Makes `next` the next packet that the link can carry. False at the end. */
  private draw(): boolean {
    while (this.next === null && !this.ended) {
      const value = this.drawOne();
      if (value === null) break;
      this.nextAt = this.frameAt(value);
      if (this.nextAt < 0 || value.bytes.length - this.nextAt > FRAME_BYTES_MAX - this.lead) this.skipped++;
      else this.next = value;
      if (!this.started) {
        this.started = true;
        this.firstMs = value.timeMs;
        this.startMs = this.clock.now();
      }
    }
    return this.next !== null;
  }

  private drawOne(): ReplayPacket | null {
    try {
      const { value, done } = this.source.next();
      if (!done) return value;
    } catch (error) {
      this.failure = error as Error;
      this.failed = true;
    }
    this.ended = true;
    const { onEnd } = this.options;
    if (onEnd !== undefined) this.clock.after(0, onEnd);
    return null;
  }

  /** Where the frame for this link begins in the packet, or -1 when it holds none. */
  private frameAt(packet: ReplayPacket): number {
    const { bytes } = packet;
    const ethernet = packet.linkType === 'ethernet' || packet.linkType === LINKTYPE_ETHERNET;
    if (this.linkType === 'ethernet') return ethernet && bytes.length > 0 ? 0 : -1;
    let at = packet.linkType === 'ip' ? 0 : HEADER_BYTES.get(packet.linkType as number);
    if (ethernet) {
      at = ETHERNET_HEADER_BYTES;
      while (VLAN_TYPES.has((bytes[at - 2]! << 8) | bytes[at - 1]!)) at += 4;
      const type = (bytes[at - 2]! << 8) | bytes[at - 1]!;
      if (type !== 0x0800 && type !== 0x86dd) return -1;
    }
    if (at === undefined || bytes.length <= at) return -1;
    const version = bytes[at]! >>> 4;
    return version === 4 || version === 6 ? at : -1;
  }

  transmit(queue: TxQueue, firstRecord: number, frames: number): number {
    let record = firstRecord;
    for (let i = 0; i < frames; i++) {
      const bytes = queue.records[record + TX_BYTES]!;
      const header = this.linkType === 'ethernet' ? ETHERNET_HEADER_BYTES : 0;
      if (this.closed || bytes > this.mtu + header) this.counters.txErrors++;
      else {
        this.counters.txFrames++;
        this.counters.txBytes += bytes;
        if (this.options.onTransmit !== undefined) {
          const frame = new Uint8Array(bytes);
          queue.copyFrame(record, frame, 0);
          this.options.onTransmit(frame);
        }
      }
      record = queue.next(record);
    }
    return frames;
  }

  protected override release(): void {
    this.next = null;
    // A generator over a file closes it here.
    if (!this.ended) this.source.return?.();
  }
}

/**
 * A device that plays a capture.
 *
 * @throws RangeError when `speed` or `mtu` is out of range.
 */
export function openReplay(packets: Iterable<ReplayPacket>, options: ReplayOptions = {}): ReplayDevice {
  const { speed = 1, mtu = 1500 } = options;
  if (!(speed > 0 && Number.isFinite(speed))) throw new RangeError(`speed is ${speed}; it must be above 0`);
  if (!Number.isInteger(mtu) || mtu < 68 || mtu > 65_535) throw new RangeError(`mtu is ${mtu}`);
  return new ReplayDevice(packets, options);
}
