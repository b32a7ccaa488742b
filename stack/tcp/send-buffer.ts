import { type BlockPool, NONE } from '../base/memory';
import type { Transmitter } from '../base/transmit';
import { PIECES_MAX } from '../base/tx-queue';
import { type Seq, seqAdd, seqDiff } from './seq';

/**
 * What an application has written and the peer has not acknowledged: a list of send blocks. Segments and their
 * retransmissions are cut from it by sequence number; nothing else holds the bytes.
 */
export class SendBuffer {
  private head = NONE;
  private tail = NONE;
  /** The block that the last segment was cut from: the next one usually follows. */
  private cursor = NONE;
  /** Bytes held, from the first unacknowledged one on. */
  bytes = 0;
  /** One past the last byte written. */
  end: Seq;

  constructor(
    private readonly pool: BlockPool,
    start: Seq,
  ) {
    this.end = start;
  }

  /** Sets where the stream begins; only while empty. */
  restart(start: Seq): void {
    this.end = start;
  }

  /** Copies up to `bytes` bytes; returns how many, fewer only when the stack's memory cap is reached. */
  append(from: Uint8Array, at: number, bytes: number): number {
    let left = bytes;
    while (left > 0) {
      const room = this.reserve(left);
      if (room === 0) break;
      const n = Math.min(room, left);
      const block = this.tail;
      const to = this.pool.at(block) + this.pool.used(block);
      const memory = this.pool.bytesOf(block);
      if (n <= 48) for (let i = 0; i < n; i++) memory[to + i] = from[at + i]!;
      else memory.set(at === 0 && n === from.length ? from : from.subarray(at, at + n), to);
      this.commit(n);
      at += n;
      left -= n;
    }
    return bytes - left;
  }

  /**
   * Room for direct encoding at the end of the last block, at least 1 byte, adding a block when it is full; 0 when the
   * memory cap is reached. Write at `tailMemory[tailAt ...]`, then `commit`.
   */
  reserve(wanted: number): number {
    const pool = this.pool;
    if (this.tail !== NONE) {
      const room = pool.capacity(this.tail) - pool.used(this.tail);
      if (room > 0) return room;
    }
    return this.addBlock(wanted) ? pool.capacity(this.tail) : 0;
  }

  /** Like reserve, but the room is contiguous for all of `wanted` (at most the largest block). */
  reserveWhole(wanted: number): number {
    const pool = this.pool;
    if (this.tail !== NONE) {
      const room = pool.capacity(this.tail) - pool.used(this.tail);
      if (room >= wanted) return room;
    }
    return this.addBlock(wanted) ? pool.capacity(this.tail) : 0;
  }

  private addBlock(wanted: number): boolean {
    const pool = this.pool;
    const first = this.head === NONE;
    const block = pool.allocate(wanted, first);
    if (block === NONE) return false;
    if (first) pool.holders++;
    pool.setStart(block, this.end);
    if (this.tail === NONE) this.head = block;
    else pool.setNext(this.tail, block);
    this.tail = block;
    return true;
  }

  get tailMemory(): Uint8Array {
    return this.pool.bytesOf(this.tail);
  }
  get tailAt(): number {
    return this.pool.at(this.tail) + this.pool.used(this.tail);
  }

  /** `n` bytes were written at the tail. */
  commit(n: number): void {
    this.pool.setUsed(this.tail, this.pool.used(this.tail) + n);
    this.end = seqAdd(this.end, n);
    this.bytes += n;
  }

  /** Adds [from, from + bytes) to the datagram being built; returns how much fitted its list of pieces. */
  gather(from: Seq, bytes: number, out: Transmitter): number {
    const pool = this.pool;
    let block = this.cursor;
    if (block === NONE || seqDiff(pool.start(block) as Seq, from) > 0) block = this.head;
    let left = bytes;
    let pieces = 1;
    while (left > 0 && block !== NONE && pieces < PIECES_MAX) {
      const offset = seqDiff(from, pool.start(block) as Seq);
      const here = Math.min(pool.used(block) - offset, left);
      if (here > 0) {
        out.piece(pool.arena(block), pool.at(block) + offset, here);
        pieces++;
        from = seqAdd(from, here);
        left -= here;
        this.cursor = block;
      }
      if (left > 0) block = pool.next(block);
    }
    return bytes - left;
  }

  /** Everything before `una` is acknowledged: blocks wholly before it are released. */
  acknowledge(una: Seq): void {
    const pool = this.pool;
    while (this.head !== NONE) {
      const block = this.head;
      const blockEnd = seqAdd(pool.start(block) as Seq, pool.used(block));
      if (seqDiff(blockEnd, una) > 0) break;
      this.head = pool.next(block);
      if (this.cursor === block) this.cursor = NONE;
      pool.release(block);
      if (this.head === NONE) {
        this.tail = NONE;
        pool.holders--;
      }
    }
    this.bytes = this.head === NONE ? 0 : Math.max(0, seqDiff(this.end, una));
  }

  clear(): void {
    const pool = this.pool;
    if (this.head !== NONE) pool.holders--;
    while (this.head !== NONE) {
      const block = this.head;
      this.head = pool.next(block);
      pool.release(block);
    }
    this.tail = this.cursor = NONE;
    this.bytes = 0;
  }
}
