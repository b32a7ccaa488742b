import { assert } from '../base/assert';
import type { Bytes } from '../base/bytes';
import { NONE, SLAB_BYTES, type Slab, type SlabPool } from '../base/memory';
import { Rows } from '../base/rows';
import type { Seq } from './seq';

const NEXT = 0;
const SEQ = 1;
const SLAB = 2;
const AT = 3;
const BYTES = 4;
const FIELDS = 5;

/** What a queued segment costs beside its text, charged to the receive buffer so that tiny segments cannot exhaust us. */
export const NODE_COST = 64;

/** Under memory pressure: what a connection may hold and still get more, and what one that holds nothing gets. */
const MODEST = 16_384;
const LITTLE = 4096;

/**
 * Received text that waits: unread or out of order. A node is a small integer naming (sequence number, slab, position,
 * length); nodes form lists through `next`. The text itself stays where the device put it, in a slab that the node
 * holds a reference on. One store serves all connections of a stack; an idle connection has no node.
 */
export class ReceiveStore extends Rows {
  /** Bytes of text that wait, of all connections. */
  held = 0;

  constructor(readonly slabs: SlabPool) {
    super(FIELDS, 0, NEXT);
  }

  /**
   * How many of `bytes` more a connection that is charged with `charged` may queue. As memory gets short, first those that
   * hold much are refused, then all that hold anything; who holds nothing gets a little nearly to the end. So bodies that
   * nobody reads leave room for the requests of others, and compaction always finds some.
   */
  admits(charged: number, bytes: number): number {
    const memory = this.slabs.slabsMax * SLAB_BYTES;
    const after = this.held + bytes;
    if (after <= memory >> 1) return bytes;
    if (after <= memory - (memory >> 2)) return charged < MODEST ? bytes : 0;
    return charged === 0 && after <= memory - (memory >> 3) ? Math.min(bytes, LITTLE) : 0;
  }

  add(seq: Seq, slab: Slab, at: number, bytes: number): number {
    const node = this.take();
    const f = this.fields;
    const i = node * FIELDS;
    f[i + NEXT] = NONE;
    f[i + SEQ] = seq;
    f[i + SLAB] = slab.id;
    f[i + AT] = at;
    f[i + BYTES] = bytes;
    slab.refs++;
    this.held += bytes;
    return node;
  }

  release(node: number): void {
    const f = this.fields;
    const i = node * FIELDS;
    const slab = this.slabs.slabs[f[i + SLAB]!]!;
    slab.refs--;
    assert(slab.refs >= 0, 'a slab is not released more often than kept');
    this.held -= f[i + BYTES]!;
    f[i + SLAB] = NONE;
    this.give(node);
  }

  next(node: number): number {
    return this.fields[node * FIELDS + NEXT]!;
  }
  setNext(node: number, next: number): void {
    this.fields[node * FIELDS + NEXT] = next;
  }
  seq(node: number): Seq {
    return this.fields[node * FIELDS + SEQ]! as Seq;
  }
  bytes(node: number): number {
    return this.fields[node * FIELDS + BYTES]!;
  }
  at(node: number): number {
    return this.fields[node * FIELDS + AT]!;
  }
  slab(node: number): Slab {
    return this.slabs.slabs[this.fields[node * FIELDS + SLAB]!]!;
  }
  memory(node: number): Bytes {
    return this.slab(node).bytes;
  }

  /** Drops `n` bytes from the node's front. */
  trimFront(node: number, n: number): void {
    const i = node * FIELDS;
    const f = this.fields;
    f[i + SEQ] = (f[i + SEQ]! + n) | 0;
    f[i + AT] = f[i + AT]! + n;
    f[i + BYTES] = f[i + BYTES]! - n;
    this.held -= n;
  }
  trimBack(node: number, n: number): void {
    this.fields[node * FIELDS + BYTES] = this.fields[node * FIELDS + BYTES]! - n;
    this.held -= n;
  }

  /**
   * Memory pressure: every slab is pinned. Moves the live text of the slab that holds the least into the slab that frees
   * most easily, by one copy. Returns false when the pinned text itself fills the cap; the caller then drops frames until
   * an application reads.
   */
  compact(): boolean {
    const slabs = this.slabs.slabs;
    const live = new Array<number>(slabs.length).fill(0);
    for (let node = 0; node < this.count; node++) {
      const slab = this.fields[node * FIELDS + SLAB]!;
      if (slab !== NONE) live[slab]! += this.bytes(node);
    }
    const order = [...slabs].sort((a, b) => live[a.id]! - live[b.id]!);
    const victim = order[0]!;
    const target = slabs.find(
      (slab) => slab !== victim && slab !== this.slabs.current && slab.room >= live[victim.id]!,
    );
    // A view of what has left is never written over: such a slab can only be emptied.
    if (target === undefined) return this.compactInPlace(order.find((slab) => !slab.escaped));
    for (let node = 0; node < this.count; node++) {
      if (this.fields[node * FIELDS + SLAB] !== victim.id) continue;
      const at = this.at(node);
      target.bytes.set(victim.bytes.subarray(at, at + this.bytes(node)), target.fill);
      this.fields[node * FIELDS + AT] = target.fill;
      this.fields[node * FIELDS + SLAB] = target.id;
      target.fill += this.bytes(node);
      target.refs++;
      victim.refs--;
    }
    return true;
  }

  /** No other slab has room: the victim's live text is moved to its own front, and the rest of it is free again. */
  private compactInPlace(victim: Slab | undefined): boolean {
    if (victim === undefined) return false;
    const nodes: number[] = [];
    for (let node = 0; node < this.count; node++) if (this.fields[node * FIELDS + SLAB] === victim.id) nodes.push(node);
    nodes.sort((a, b) => this.at(a) - this.at(b));
    let fill = 0;
    for (const node of nodes) {
      const at = this.at(node);
      victim.bytes.copyWithin(fill, at, at + this.bytes(node));
      this.fields[node * FIELDS + AT] = fill;
      fill += this.bytes(node);
    }
    if (fill >= victim.fill) return false;
    victim.fill = fill;
    this.slabs.current = victim;
    return true;
  }
}
