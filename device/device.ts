import type { Slab } from '../stack/base/memory';
import type { TxQueue } from '../stack/base/tx-queue';

/** 'ip': a frame is an IP datagram (TUN). 'ethernet': a frame begins with an Ethernet header (TAP, AF_PACKET). */
export type LinkType = 'ip' | 'ethernet';

/** What a device does for the stack. All false: every checksum is ours and no frame exceeds the MTU. */
export interface Offloads {
  /** Outgoing frames may carry a partial checksum; incoming ones may be marked as verified. */
  readonly checksum: boolean;
  /** TCP over IPv4 / IPv6: outgoing frames up to 64 KiB are cut by the device; incoming ones may be as large. */
  readonly tso4: boolean;
  readonly tso6: boolean;
}

/** Of a device that carries frames as they are on a cable. */
export const NO_OFFLOADS: Offloads = { checksum: false, tso4: false, tso6: false };

/** Fields of a received frame's record in FrameBatch.records. */
export const RX_AT = 0;
/** Length of the frame, its link header included. */
export const RX_BYTES = 1;
/** RX_CHECKSUM_VALID and RX_CHECKSUM_PARTIAL, or 0. */
export const RX_FLAGS = 2;
/** Payload bytes of each segment that the sender's device would have cut; 0 for an ordinary frame. */
export const RX_SEGMENT_BYTES = 3;
/** Integers of one record. */
export const RX_FIELDS = 4;

/** The transport checksum is known to be good, or never left the machine (virtio-net NEEDS_CSUM, DATA_VALID). */
export const RX_CHECKSUM_VALID = 1;

/**
 * Together with RX_CHECKSUM_VALID: the checksum field holds the pseudo-header's sum only, because the sender left the rest
 * to its device. Whoever forwards or records such a frame completes it first.
 */
export const RX_CHECKSUM_PARTIAL = 2;

/** More per call costs fairness, fewer costs speed (measured: 64 to 512 within 4 %). */
export const FRAMES_PER_BATCH = 128;

/** Where a device puts what it received: frames packed into `slab` from `slab.fill` on, one record each. */
export interface FrameBatch {
  slab: Slab;
  readonly records: Int32Array;
}

/** An empty batch into `slab`, with room for FRAMES_PER_BATCH records. */
export function newBatch(slab: Slab): FrameBatch {
  return { slab, records: new Int32Array(FRAMES_PER_BATCH * RX_FIELDS) };
}

/** Notes an ordinary frame as number `index` of a batch: it lies at `at` in the slab and nobody judged its checksum. */
export function noteFrame(records: Int32Array, index: number, at: number, bytes: number): void {
  const r = index * RX_FIELDS;
  records[r + RX_AT] = at;
  records[r + RX_BYTES] = bytes;
  records[r + RX_FLAGS] = 0;
  records[r + RX_SEGMENT_BYTES] = 0;
}

/** What a device has carried since it was opened, without link headers of its own making. */
export interface DeviceCounters {
  rxFrames: number;
  rxBytes: number;
  txFrames: number;
  txBytes: number;
  /** Frames that the device refused or lost on the way out, by count. */
  txErrors: number;
}

/** Counters of a device that has carried nothing. */
export const newCounters = (): DeviceCounters => ({ rxFrames: 0, rxBytes: 0, txFrames: 0, txBytes: 0, txErrors: 0 });

/**
 * Frames in and out of the process. Batches cross this boundary, not packets: `receive` takes many frames in one call and
 * `transmit` gives many. A device never calls back from inside either.
 */
export interface Device {
  /** The interface's name, for people: "tap0", "memory-a". */
  readonly name: string;
  readonly linkType: LinkType;
  /** The largest IP datagram that may be sent without offload, in bytes. */
  readonly mtu: number;
  /** The link address to use, six bytes; null on a link without addresses. */
  readonly mac: Uint8Array | null;
  readonly offloads: Offloads;
  readonly counters: DeviceCounters;

  /**
   * Reads up to FRAMES_PER_BATCH frames into the slab while at least FRAME_BYTES_MAX of it is free, advances
   * `slab.fill`, fills the records and returns their number; 0 when nothing waits (or the slab is full: rotate first).
   * Frames begin where their IP header lies on a 4-byte boundary.
   */
  receive(batch: FrameBatch): number;

  /**
   * Sends the queue's frames in order and returns how many it took; fewer than `queue.frames` only when the link pushes
   * back, in which case the host keeps the rest and hears through `ready` when there is room again. The queue is not
   * changed.
   */
  transmit(queue: TxQueue, firstRecord: number, frames: number): number;

  /**
   * Calls `ready` once per event-loop turn while frames wait, once when a link that pushed back has room again, and once
   * when `failure` is set. Null stops.
   */
  onReadable(ready: (() => void) | null): void;

  /** Why the device stopped working by itself (its interface was removed); null or absent while it works. */
  readonly failure?: Error | null;

  /** Whether waiting for frames keeps the process alive. On by default. */
  ref(): void;
  unref(): void;

  /** Releases what the device holds: descriptors, interfaces that it made, addresses that it set. Safe to call twice. */
  close(): void;
}
