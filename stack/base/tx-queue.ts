import type { Arenas } from './memory';

/** The checksum field holds the pseudo-header sum; the device (or its peer) completes it (virtio-net NEEDS_CSUM). */
export const TX_CHECKSUM_PARTIAL = 1;
/** The device cuts the frame into segments of `segmentBytes` (TSO). */
export const TX_SEGMENT = 2;

/** Fields of a frame's record in `TxQueue.records`, before its pieces. */
export const TX_PIECES = 0;
export const TX_FLAGS = 1;
/** Payload bytes of each segment that the device cuts; 0 without TX_SEGMENT. */
export const TX_SEGMENT_BYTES = 2;
/** Where the device starts its checksum, counted from the frame's first byte; the field is `TX_CHECKSUM_FIELD` further. */
export const TX_CHECKSUM_START = 3;
export const TX_CHECKSUM_FIELD = 4;
/** Link, IP and transport headers together: what each cut segment repeats. */
export const TX_HEADER_BYTES = 5;
/** All bytes of the frame. */
export const TX_BYTES = 6;
export const TX_FIXED = 7;
/** A piece: arena number, position, length. */
export const PIECE_FIELDS = 3;
export const PIECES_MAX = 40;

const FRAMES_MAX = 512;
const HEADER_ARENA_BYTES = 1 << 18;
/** No frame begins unless this much of the header arena is left: a maximal frame built in it whole. */
const HEADER_ROOM = 66_000;

/**
 * Frames on their way to one device: for each a record of integers and a list of pieces to gather, the first of which is
 * the headers, built in an arena of the queue's own. Nothing is allocated per frame. The host hands the queue to
 * `device.transmit` and clears it; the pieces stay valid until then.
 */
export class TxQueue {
  readonly records = new Int32Array(FRAMES_MAX * (TX_FIXED + PIECE_FIELDS * PIECES_MAX));
  frames = 0;
  /** Integers of `records` in use. */
  length = 0;
  private readonly headerArena: number;
  private headerFill = 0;

  constructor(readonly arenas: Arenas) {
    this.headerArena = arenas.add(HEADER_ARENA_BYTES);
  }

  /** False: flush first. */
  get hasRoom(): boolean {
    return this.frames < FRAMES_MAX && this.headerFill + HEADER_ROOM <= HEADER_ARENA_BYTES;
  }

  get header(): Uint8Array {
    return this.arenas.list[this.headerArena]!;
  }

  /** Begins a frame: returns where in `header` its headers go. Then `piece`s, `headers`, `commit`. */
  begin(): number {
    const r = this.records;
    const at = this.length;
    r[at + TX_PIECES] = 1;
    r[at + TX_FLAGS] = 0;
    r[at + TX_SEGMENT_BYTES] = 0;
    r[at + TX_CHECKSUM_START] = 0;
    r[at + TX_CHECKSUM_FIELD] = 0;
    r[at + TX_HEADER_BYTES] = 0;
    r[at + TX_BYTES] = 0;
    return this.headerFill;
  }

  /** The headers (or a whole small frame) are written: `bytes` of them from where `begin` said. */
  headers(bytes: number): void {
    const r = this.records;
    const at = this.length;
    r[at + TX_HEADER_BYTES] = bytes;
    r[at + TX_BYTES] = r[at + TX_BYTES]! + bytes;
    r[at + TX_FIXED] = this.headerArena;
    r[at + TX_FIXED + 1] = this.headerFill;
    r[at + TX_FIXED + 2] = bytes;
  }

  /** Adds payload by reference. At most PIECES_MAX - 1 of them. */
  piece(arena: number, from: number, bytes: number): void {
    const r = this.records;
    const at = this.length;
    const p = at + TX_FIXED + r[at + TX_PIECES]! * PIECE_FIELDS;
    r[p] = arena;
    r[p + 1] = from;
    r[p + 2] = bytes;
    r[at + TX_PIECES] = r[at + TX_PIECES]! + 1;
    r[at + TX_BYTES] = r[at + TX_BYTES]! + bytes;
  }

  /** Asks the device for the checksum, and for cutting when `segmentBytes` is not 0. */
  offload(flags: number, checksumStart: number, checksumField: number, segmentBytes: number): void {
    const r = this.records;
    const at = this.length;
    r[at + TX_FLAGS] = flags;
    r[at + TX_CHECKSUM_START] = checksumStart;
    r[at + TX_CHECKSUM_FIELD] = checksumField;
    r[at + TX_SEGMENT_BYTES] = segmentBytes;
  }

  /** Bytes of the open frame so far: its pieces, and its headers once they are told. */
  get frameBytes(): number {
    return this.records[this.length + TX_BYTES]!;
  }

  /** Where the open frame's record is, for those who walk its pieces (checksums). */
  get record(): number {
    return this.length;
  }

  commit(): void {
    const r = this.records;
    // The next frame's headers begin on an 8-byte boundary.
    this.headerFill = (this.headerFill + r[this.length + TX_HEADER_BYTES]! + 7) & ~7;
    this.length = this.next(this.length);
    this.frames++;
  }

  /** Gives the open frame up and returns its bytes: it waits elsewhere. A partial checksum is left as it is. */
  copyOpen(): Uint8Array {
    const frame = new Uint8Array(this.records[this.length + TX_BYTES]!);
    this.copyFrame(this.length, frame, 0);
    return frame;
  }

  clear(): void {
    this.frames = 0;
    this.length = 0;
    this.headerFill = 0;
  }

  /** Copies the frame whose record begins at `record` to `into` at `at`; returns its length. For devices in TypeScript. */
  copyFrame(record: number, into: Uint8Array, at: number): number {
    const r = this.records;
    const pieces = r[record + TX_PIECES]!;
    let to = at;
    for (let i = 0; i < pieces; i++) {
      const p = record + TX_FIXED + i * PIECE_FIELDS;
      const bytes = r[p + 2]!;
      const source = this.arenas.list[r[p]!]!;
      const from = r[p + 1]!;
      if (bytes <= 64) for (let k = 0; k < bytes; k++) into[to + k] = source[from + k]!;
      else into.set(source.subarray(from, from + bytes), to);
      to += bytes;
    }
    return to - at;
  }

  /** The record after `record`. Frames are walked with `for (r = 0, n = 0; n < frames; n++, r = next(r))`. */
  next(record: number): number {
    return record + TX_FIXED + this.records[record + TX_PIECES]! * PIECE_FIELDS;
  }
}
