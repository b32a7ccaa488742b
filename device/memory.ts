import {
  TX_BYTES,
  TX_CHECKSUM_PARTIAL,
  TX_FIXED,
  TX_FLAGS,
  TX_SEGMENT,
  TX_SEGMENT_BYTES,
  type TxQueue,
} from '../stack/base/tx-queue';
import {
  type Device,
  type DeviceCounters,
  type FrameBatch,
  type LinkType,
  NO_OFFLOADS,
  newCounters,
  type Offloads,
  RX_CHECKSUM_PARTIAL,
  RX_CHECKSUM_VALID,
} from './device';
import { ETHERNET_HEADER_BYTES, FrameQueue } from './frame-queue';
import { Readiness, ReadyDevice, type Schedule } from './readiness';

/** What `memoryPair` may be told. Everything has a default. */
export interface MemoryOptions {
  /** The largest IP datagram without offload, in bytes, 68 to 65,535. Default 1500. */
  mtu?: number;
  /** Default 'ip'. */
  linkType?: LinkType;
  /** What both ends do for their stacks. Default: nothing, so that every frame looks as it would on a cable. */
  offloads?: Offloads;
  /** Frames that wait in one direction before `transmit` takes fewer. Default 1024. */
  queueFrames?: number;
  /** Bytes that wait in one direction, likewise; at least one maximal frame always fits. Default 4 MiB. */
  queueBytes?: number;
  /** Default ['memory-a', 'memory-b']. */
  names?: readonly [string, string];
  /** The ends' link addresses when the link is Ethernet. Default 02:00:00:00:00:01 and :02. */
  macs?: readonly [Uint8Array, Uint8Array];
  /**
   * Runs `task` soon, but not before it returns. The default is `setImmediate`. A virtual clock passes its own; then no
   * real timer is used, and `ref` and `unref` mean nothing.
   */
  schedule?: Schedule;
}

const IP_BYTES_MAX = 65_535;
const MTU_MIN = 68;

/** One end of a link in memory. Made in pairs by `memoryPair`. */
export class MemoryDevice extends ReadyDevice implements Device {
  readonly counters: DeviceCounters = newCounters();
  /** Set by memoryPair, once. */
  private peer: MemoryDevice = this;
  protected override readonly readiness: Readiness;
  /** A transmit took fewer frames than it was offered; `ready` is owed when the peer makes room. */
  private pushedBack = false;
  private room = false;

  constructor(
    readonly name: string,
    readonly linkType: LinkType,
    readonly mtu: number,
    readonly mac: Uint8Array | null,
    readonly offloads: Offloads,
    private readonly incoming: FrameQueue,
    private readonly outgoing: FrameQueue,
    schedule: Schedule | null,
  ) {
    super();
    this.readiness = new Readiness(
      schedule,
      () => this.incoming.frames > 0 || this.room,
      () => {
        this.room = false;
      },
    );
  }

  /** Joins two ends; each one's `incoming` is the other's `outgoing`. */
  static join(a: MemoryDevice, b: MemoryDevice): void {
    a.peer = b;
    b.peer = a;
  }

  receive(batch: FrameBatch): number {
    if (this.closed) return 0;
    const count = this.incoming.take(batch, this.counters);
    if (count > 0) this.peer.makeRoom();
    return count;
  }

  /** If it was pushed back, it may go on. */
  private makeRoom(): void {
    if (!this.pushedBack) return;
    this.pushedBack = false;
    this.room = true;
    this.readiness.wake();
  }

  transmit(queue: TxQueue, firstRecord: number, frames: number): number {
    let record = firstRecord;
    for (let taken = 0; taken < frames; taken++) {
      if (this.peer.closed || this.closed || !this.acceptable(queue, record)) {
        this.counters.txErrors++;
      } else {
        const r = queue.records;
        const partial = (r[record + TX_FLAGS]! & TX_CHECKSUM_PARTIAL) !== 0;
        const flags = partial ? RX_CHECKSUM_VALID | RX_CHECKSUM_PARTIAL : 0;
        const segmentBytes = (r[record + TX_FLAGS]! & TX_SEGMENT) !== 0 ? r[record + TX_SEGMENT_BYTES]! : 0;
        const at = this.outgoing.open(r[record + TX_BYTES]!);
        if (at < 0) {
          this.pushedBack = true;
          this.peer.readiness.wake();
          return taken;
        }
        queue.copyFrame(record, this.outgoing.bytes, at);
        this.outgoing.commit(r[record + TX_BYTES]!, flags, segmentBytes);
        this.counters.txFrames++;
        this.counters.txBytes += r[record + TX_BYTES]!;
      }
      record = queue.next(record);
    }
    this.peer.readiness.wake();
    return frames;
  }

  /** Whether a frame is one that this device's `mtu` and `offloads` promised to carry. */
  private acceptable(queue: TxQueue, record: number): boolean {
    const flags = queue.records[record + TX_FLAGS]!;
    const header = this.linkType === 'ethernet' ? ETHERNET_HEADER_BYTES : 0;
    const datagram = queue.records[record + TX_BYTES]! - header;
    if (datagram <= 0) return false;
    if ((flags & TX_CHECKSUM_PARTIAL) !== 0 && !this.offloads.checksum) return false;
    if ((flags & TX_SEGMENT) === 0) return datagram <= this.mtu;
    if (datagram > IP_BYTES_MAX || (flags & TX_CHECKSUM_PARTIAL) === 0) return false;
    // The first piece is the headers.
    const piece = record + TX_FIXED;
    const headers = queue.arenas.list[queue.records[piece]!]!;
    const version = headers[queue.records[piece + 1]! + header]! >>> 4;
    return version === 4 ? this.offloads.tso4 : version === 6 && this.offloads.tso6;
  }

  protected override release(): void {
    this.incoming.drop();
    // A peer that was pushed back hears that it may go on: what it sends now is lost, as on a cable cut.
    this.peer.makeRoom();
  }
}

/**
 * Two devices joined in memory: what one transmits the other receives, in order, unchanged, without loss. A full queue
 * pushes back (`transmit` takes fewer), and `ready` is called on the sender once there is room again. Nothing here reads a
 * clock or a random number.
 *
 * @throws RangeError when an option is out of range.
 */
export function memoryPair(options: MemoryOptions = {}): [MemoryDevice, MemoryDevice] {
  const mtu = inRange('mtu', options.mtu ?? 1500, MTU_MIN, IP_BYTES_MAX);
  const queueFrames = inRange('queueFrames', options.queueFrames ?? 1024, 1, 1 << 20);
  const queueBytes = inRange('queueBytes', options.queueBytes ?? 1 << 22, 1, 1 << 30);
  const linkType = options.linkType ?? 'ip';
  const offloads = options.offloads ?? NO_OFFLOADS;
  const names = options.names ?? ['memory-a', 'memory-b'];
  const macs = linkType === 'ip' ? null : (options.macs ?? [macNumbered(1), macNumbered(2)]);
  const schedule = options.schedule ?? null;
  const ab = new FrameQueue(queueFrames, queueBytes, linkType);
  const ba = new FrameQueue(queueFrames, queueBytes, linkType);
  const a = new MemoryDevice(names[0], linkType, mtu, macs?.[0] ?? null, offloads, ba, ab, schedule);
  const b = new MemoryDevice(names[1], linkType, mtu, macs?.[1] ?? null, offloads, ab, ba, schedule);
  MemoryDevice.join(a, b);
  return [a, b];
}

const macNumbered = (n: number): Uint8Array => Uint8Array.of(2, 0, 0, 0, 0, n);

function inRange(what: string, value: number, low: number, high: number): number {
  if (!Number.isInteger(value) || value < low || value > high) {
    throw new RangeError(`${what} is ${value}; it must be an integer from ${low} to ${high}`);
  }
  return value;
}
