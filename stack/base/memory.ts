import { assert } from './assert';
import type { Bytes } from './bytes';

/** Where large regions come from. The default asks the garbage collector; `net/` may offer WebAssembly memory. */
export interface RegionSource {
  /** A zeroed region of at least `bytes` bytes. Throws RangeError when there is none. */
  allocate(bytes: number): Bytes;
  /** The stack is closed: nobody will touch the region again. */
  release(region: Bytes): void;
  /** True when views of a region must never leave the stack, because the region outlives it and is used again. */
  readonly fixed: boolean;
}

export const heapRegions: RegionSource = {
  allocate: (bytes) => new Uint8Array(bytes),
  release: () => {},
  fixed: false,
};

/**
 * Every region that an outgoing frame may gather bytes from, by number: a piece of a frame is (arena, at, bytes), which
 * a native device turns into a pointer and an in-memory device into a copy. Regions are added, never removed.
 */
export class Arenas {
  readonly list: Bytes[] = [];

  constructor(readonly source: RegionSource) {}

  add(bytes: number): number {
    this.list.push(this.source.allocate(bytes));
    return this.list.length - 1;
  }

  /** Gives every region back. */
  close(): void {
    for (const region of this.list) this.source.release(region);
    this.list.length = 0;
  }
}

export const SLAB_BYTES = 1 << 20;
/** A device stops filling a slab when less than this is left: one maximal frame with its link header. */
export const FRAME_BYTES_MAX = 65_600;

/**
 * A region that a device packs received frames into, one behind the other. `refs` counts what the stack keeps of it
 * (out-of-order segments, unread text); `escaped` says that a view of it left for the application, so it is never
 * written again. With neither, it is used again.
 */
export class Slab {
  refs = 0;
  escaped = false;
  /** Where the next frame goes. */
  fill = 0;

  constructor(
    readonly id: number,
    public bytes: Bytes,
  ) {}

  get room(): number {
    return this.bytes.length - this.fill;
  }
}

/**
 * The slabs of one stack. The current one is filled until no maximal frame fits; when nothing of it is kept after a
 * batch it is rewound, so that a quiet stack works in one cache-warm megabyte.
 */
export class SlabPool {
  readonly slabs: Slab[] = [];
  current: Slab;
  /** Slabs replaced because an application still holds views of the old memory. */
  replaced = 0;

  constructor(
    private readonly source: RegionSource,
    readonly slabsMax: number,
    private readonly poison: boolean,
  ) {
    this.current = this.grow();
  }

  /** False when views must not leave: everything handed on is copied. */
  get viewsMayLeave(): boolean {
    return !this.source.fixed;
  }

  /**
   * After a batch: makes `current` a slab with room for a maximal frame. Returns false when every slab is pinned and the
   * cap is reached; the caller then compacts (ReceiveStore.compact) and asks again.
   */
  rotate(): boolean {
    const current = this.current;
    if (current.refs === 0 && !current.escaped) {
      if (this.poison) current.bytes.fill(0xdb, 0, current.fill);
      current.fill = 0;
      return true;
    }
    if (current.room >= FRAME_BYTES_MAX) return true;
    for (const slab of this.slabs) {
      if (slab === current || slab.refs > 0) continue;
      this.renew(slab);
      this.current = slab;
      return true;
    }
    if (this.slabs.length < this.slabsMax) {
      this.current = this.grow();
      return true;
    }
    return false;
  }

  private renew(slab: Slab): void {
    if (slab.escaped) {
      slab.bytes = this.source.allocate(SLAB_BYTES);
      slab.escaped = false;
      this.replaced++;
    } else if (this.poison) {
      slab.bytes.fill(0xdb, 0, slab.fill);
    }
    slab.fill = 0;
  }

  private grow(): Slab {
    const slab = new Slab(this.slabs.length, this.source.allocate(SLAB_BYTES));
    this.slabs.push(slab);
    return slab;
  }

  /** Gives every slab's memory back. */
  close(): void {
    for (const slab of this.slabs) this.source.release(slab.bytes);
    this.slabs.length = 0;
  }

  /** Slabs of which the stack keeps something. Zero when nothing is queued: the leak check of tests. */
  pinned(): number {
    let pinned = 0;
    for (const slab of this.slabs) if (slab.refs > 0) pinned++;
    return pinned;
  }
}

/** Sizes of send blocks: a small answer, a page, a bulk write. Powers of two, so a block never straddles an arena. */
export const BLOCK_SIZES = [2048, 16_384, 65_536] as const;
const ARENA_BYTES = [1 << 18, 1 << 20, 1 << 22] as const;

const NEXT = 0;
const ARENA = 1;
const AT = 2;
const CLASS = 3;
const START = 4;
const USED = 5;
const FIELDS = 6;

/** No block, no node: the end of every list in this folder. */
export const NONE = -1;

/**
 * Send blocks: what `write` copies an application's bytes into, until they are acknowledged. A block is a small integer;
 * its fields stand in one Int32Array, its bytes in an arena, and a connection's blocks form a list through `next`. An
 * idle connection has none.
 */
export class BlockPool {
  private fields = new Int32Array(256 * FIELDS);
  private count = 0;
  /** Heads of the free lists, one a size. Last in, first out, so that the warmest block is used next. */
  private readonly free = [NONE, NONE, NONE];
  /** Blocks handed out: zero when no connection has anything to send. */
  inUse = 0;
  bytesInUse = 0;
  /** Where frames wait whose pieces point into blocks. */
  readonly queues: { readonly frames: number }[] = [];
  /** Given back while such frames waited: a list. */
  private deferred = NONE;
  /** Somebody was refused since this was last cleared, and waits. */
  refused = false;
  /** Who may want blocks, and who has one: a block for each of the others is kept back from those who want many. */
  clients = 0;
  holders = 0;

  constructor(
    readonly arenas: Arenas,
    readonly bytesMax: number,
    private readonly poison: boolean,
  ) {}

  /** After a refusal: there is room worth waking somebody for. */
  get hasRoom(): boolean {
    return this.inUse === 0 || this.bytesInUse + BLOCK_SIZES[1] <= this.bytesForMany;
  }

  /**
   * What is left to those who have a block already. Kept back are first blocks: for clients that have none, and a sixteenth
   * for those that are still to come; of half of the memory all that is not taken as such, since those who came early and
   * took much do not give it back because many come late.
   */
  private get bytesForMany(): number {
    const { bytesMax, clients, holders } = this;
    if (clients === 0) return bytesMax;
    const [first] = BLOCK_SIZES;
    return bytesMax - Math.max((clients - holders) * first + (bytesMax >> 4), (bytesMax >> 1) - holders * first);
  }

  /** Bytes that those who wait may share. */
  get room(): number {
    return Math.max(0, this.bytesForMany - this.bytesInUse);
  }

  /**
   * A block for about `wanted` bytes, or less near the stack's cap, its `used` 0; NONE when the cap is reached. `first`: the
   * client has none, and is not to starve because others have many.
   */
  allocate(wanted: number, first = true): number {
    let size = wanted <= BLOCK_SIZES[0] ? 0 : wanted <= BLOCK_SIZES[1] ? 1 : 2;
    const forMany = this.bytesForMany;
    while (this.bytesInUse + BLOCK_SIZES[size]! > (first && size === 0 ? this.bytesMax : forMany)) {
      if (size-- === 0) {
        this.refused = true;
        return NONE;
      }
    }
    let block = this.free[size]!;
    if (block === NONE) {
      this.carve(size);
      block = this.free[size]!;
    }
    const f = this.fields;
    this.free[size] = f[block * FIELDS + NEXT]!;
    f[block * FIELDS + NEXT] = NONE;
    f[block * FIELDS + USED] = 0;
    this.inUse++;
    this.bytesInUse += BLOCK_SIZES[size]!;
    return block;
  }

  /**
   * Gives a block back. Frames that wait for a device that pushed back may point into it, so it is only used again when
   * every queue is empty.
   */
  release(block: number): void {
    const f = this.fields;
    assert(f[block * FIELDS + USED]! >= 0, 'a send block is released once');
    f[block * FIELDS + USED] = -1;
    for (const queue of this.queues) {
      if (queue.frames === 0) continue;
      f[block * FIELDS + NEXT] = this.deferred;
      this.deferred = block;
      return;
    }
    this.reuse(block);
  }

  /** Queues may have emptied: what was given back meanwhile is used again. */
  settle(): void {
    if (this.deferred === NONE) return;
    for (const queue of this.queues) if (queue.frames > 0) return;
    while (this.deferred !== NONE) {
      const block = this.deferred;
      this.deferred = this.next(block);
      this.reuse(block);
    }
  }

  private reuse(block: number): void {
    const f = this.fields;
    const size = f[block * FIELDS + CLASS]!;
    if (this.poison) this.bytesOf(block).fill(0xdb, this.at(block), this.at(block) + BLOCK_SIZES[size]!);
    f[block * FIELDS + NEXT] = this.free[size]!;
    this.free[size] = block;
    this.inUse--;
    this.bytesInUse -= BLOCK_SIZES[size]!;
  }

  private carve(size: number): void {
    const arena = this.arenas.add(ARENA_BYTES[size]!);
    const blocks = ARENA_BYTES[size]! / BLOCK_SIZES[size]!;
    if ((this.count + blocks) * FIELDS > this.fields.length) {
      const grown = new Int32Array(Math.max(this.fields.length * 2, (this.count + blocks) * FIELDS));
      grown.set(this.fields);
      this.fields = grown;
    }
    for (let i = blocks - 1; i >= 0; i--) {
      const block = this.count++;
      const f = block * FIELDS;
      this.fields[f + ARENA] = arena;
      this.fields[f + AT] = i * BLOCK_SIZES[size]!;
      this.fields[f + CLASS] = size;
      this.fields[f + USED] = -1;
      this.fields[f + NEXT] = this.free[size]!;
      this.free[size] = block;
    }
  }

  arena(block: number): number {
    return this.fields[block * FIELDS + ARENA]!;
  }
  bytesOf(block: number): Bytes {
    return this.arenas.list[this.fields[block * FIELDS + ARENA]!]!;
  }
  /** Where the block begins in its arena. */
  at(block: number): number {
    return this.fields[block * FIELDS + AT]!;
  }
  capacity(block: number): number {
    return BLOCK_SIZES[this.fields[block * FIELDS + CLASS]!]!;
  }
  next(block: number): number {
    return this.fields[block * FIELDS + NEXT]!;
  }
  setNext(block: number, next: number): void {
    this.fields[block * FIELDS + NEXT] = next;
  }
  /** The sequence number of the block's first byte. */
  start(block: number): number {
    return this.fields[block * FIELDS + START]!;
  }
  setStart(block: number, seq: number): void {
    this.fields[block * FIELDS + START] = seq;
  }
  used(block: number): number {
    return this.fields[block * FIELDS + USED]!;
  }
  setUsed(block: number, used: number): void {
    this.fields[block * FIELDS + USED] = used;
  }
}
