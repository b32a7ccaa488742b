import { clearInterval, setImmediate, setInterval } from 'node:timers';
import { FRAME_BYTES_MAX } from '../stack/base/memory';
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
  FRAMES_PER_BATCH,
  type FrameBatch,
  type LinkType,
  NO_OFFLOADS,
  newCounters,
  type Offloads,
  RX_AT,
  RX_BYTES,
  RX_CHECKSUM_PARTIAL,
  RX_CHECKSUM_VALID,
  RX_FIELDS,
  RX_FLAGS,
  RX_SEGMENT_BYTES,
} from './device';

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
  schedule?: (task: () => void) => void;
}

const ETHERNET_HEADER_BYTES = 14;
const IP_BYTES_MAX = 65_535;
const MTU_MIN = 68;
/** Frames begin on a cache line; after an Ethernet header that is 2 further, so that IP is on a 4-byte boundary. */
const LINE = 64;
const lineUp = (n: number): number => (n + LINE - 1) & -LINE;
const RING_BYTES_MIN = 1 << 16;

/**
 * Frames on their way in one direction: their bytes lie one behind the other in a ring, laid out as they will lie in the
 * receiver's slab, so that a whole batch moves with one copy (two where the ring wraps).
 */
class Pipe {
  /** Per frame: RX_AT (in `ring`), RX_BYTES, RX_FLAGS, RX_SEGMENT_BYTES. Itself a ring, of `framesMax` records. */
  private readonly records: Int32Array;
  private ring = new Uint8Array(0);
  private first = 0;
  /** Where the next frame goes, a multiple of LINE; the ring's free part ends before the first frame's line. */
  private tail = 0;
  frames = 0;

  constructor(
    private readonly framesMax: number,
    private readonly bytesMax: number,
    private readonly lead: number,
  ) {
    this.records = new Int32Array(framesMax * RX_FIELDS);
  }

  /** Copies one frame in. False: no room now. */
  push(queue: TxQueue, record: number, flags: number, segmentBytes: number): boolean {
    if (this.frames === this.framesMax) return false;
    const bytes = queue.records[record + TX_BYTES]!;
    const at = this.place(lineUp(this.lead + bytes));
    if (at < 0) return false;
    queue.copyFrame(record, this.ring, at + this.lead);
    const r = ((this.first + this.frames) % this.framesMax) * RX_FIELDS;
    this.records[r + RX_AT] = at + this.lead;
    this.records[r + RX_BYTES] = bytes;
    this.records[r + RX_FLAGS] = flags;
    this.records[r + RX_SEGMENT_BYTES] = segmentBytes;
    this.frames++;
    this.tail = at + lineUp(this.lead + bytes);
    return true;
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

  drop(): void {
    this.frames = 0;
    this.tail = 0;
    this.ring = new Uint8Array(0);
  }
}

/** One end of a link in memory. Made in pairs by `memoryPair`. */
export class MemoryDevice implements Device {
  readonly counters: DeviceCounters = newCounters();
  /** Set by memoryPair, once. */
  private peer: MemoryDevice = this;
  private ready: (() => void) | null = null;
  private scheduled: NodeJS.Immediate | true | null = null;
  private keepAlive: NodeJS.Timeout | null = null;
  private refed = true;
  private closed = false;
  /** A transmit took fewer frames than it was offered; `ready` is owed when the peer makes room. */
  private pushedBack = false;
  private room = false;

  constructor(
    readonly name: string,
    readonly linkType: LinkType,
    readonly mtu: number,
    readonly mac: Uint8Array | null,
    readonly offloads: Offloads,
    private readonly incoming: Pipe,
    private readonly outgoing: Pipe,
    private readonly schedule: ((task: () => void) => void) | null,
  ) {}

  /** Joins two ends; each one's `incoming` is the other's `outgoing`. */
  static join(a: MemoryDevice, b: MemoryDevice): void {
    a.peer = b;
    b.peer = a;
  }

  receive(batch: FrameBatch): number {
    if (this.closed) return 0;
    const count = this.incoming.take(batch, this.counters);
    if (count > 0 && this.peer.pushedBack) {
      this.peer.pushedBack = false;
      this.peer.room = true;
      this.peer.wake();
    }
    return count;
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
        if (!this.outgoing.push(queue, record, flags, segmentBytes)) {
          this.pushedBack = true;
          this.peer.wake();
          return taken;
        }
        this.counters.txFrames++;
        this.counters.txBytes += r[record + TX_BYTES]!;
      }
      record = queue.next(record);
    }
    this.peer.wake();
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

  onReadable(ready: (() => void) | null): void {
    if (this.closed) return;
    this.ready = ready;
    this.hold();
    this.wake();
  }

  /** Arranges one call of `ready` if it has something to do. */
  private wake(): void {
    if (this.ready === null || this.scheduled !== null || !(this.incoming.frames > 0 || this.room)) return;
    if (this.schedule !== null) {
      this.scheduled = true;
      this.schedule(this.turn);
    } else {
      this.scheduled = setImmediate(this.turn);
      if (!this.refed) this.scheduled.unref();
    }
  }

  private readonly turn = (): void => {
    this.scheduled = null;
    // The frames may have been taken since, by a host that was awake for another reason.
    if (this.ready === null || !(this.incoming.frames > 0 || this.room)) return;
    this.room = false;
    try {
      this.ready();
    } finally {
      // Even when the host threw, the frames that still wait are announced again, as a real descriptor would.
      this.wake();
    }
  };

  /** A real timer that never matters, because nothing else tells Node that someone waits here. */
  private hold(): void {
    const wanted = this.refed && this.ready !== null && this.schedule === null && !this.closed;
    if (wanted && this.keepAlive === null) this.keepAlive = setInterval(() => {}, 0x7fffffff);
    else if (!wanted && this.keepAlive !== null) {
      clearInterval(this.keepAlive);
      this.keepAlive = null;
    }
  }

  ref(): void {
    this.refed = true;
    if (this.scheduled !== null && this.scheduled !== true) this.scheduled.ref();
    this.hold();
  }

  unref(): void {
    this.refed = false;
    if (this.scheduled !== null && this.scheduled !== true) this.scheduled.unref();
    this.hold();
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.ready = null;
    this.hold();
    this.incoming.drop();
    // A peer that was pushed back hears that it may go on: what it sends now is lost, as on a cable cut.
    if (this.peer.pushedBack) {
      this.peer.pushedBack = false;
      this.peer.room = true;
      this.peer.wake();
    }
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
  const lead = linkType === 'ethernet' ? 2 : 0;
  const ringBytes = lineUp(Math.max(queueBytes, FRAME_BYTES_MAX));
  const offloads = options.offloads ?? NO_OFFLOADS;
  const names = options.names ?? ['memory-a', 'memory-b'];
  const macs = linkType === 'ip' ? null : (options.macs ?? [macNumbered(1), macNumbered(2)]);
  const schedule = options.schedule ?? null;
  const ab = new Pipe(queueFrames, ringBytes, lead);
  const ba = new Pipe(queueFrames, ringBytes, lead);
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
