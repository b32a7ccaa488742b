import type { Address } from '../base/address';
import type { Secret } from '../base/random';

/** What a table entry must say of itself: the four-tuple, and where it stands. */
export interface TableEntry {
  readonly local: Address;
  readonly localPort: number;
  readonly remote: Address;
  readonly remotePort: number;
  hash: number;
  slot: number;
}

/**
 * Connections by four-tuple: open addressing with linear probing over (hash, entry), the hash keyed with a secret of the
 * stack's so that peers cannot aim for collisions. Deletion shifts the probe run back: there are no tombstones.
 */
export class ConnectionTable<T extends TableEntry> {
  private hashes = new Int32Array(64);
  private entries: (T | null)[] = new Array<T | null>(64).fill(null);
  private mask = 63;
  size = 0;
  private readonly k0: number;
  private readonly k1: number;
  private readonly k2: number;

  constructor(secret: Secret) {
    this.k0 = secret.hash(1, 0, 0, 0, 0, 0x7461);
    this.k1 = secret.hash(2, 0, 0, 0, 0, 0x7461) | 1;
    this.k2 = secret.hash(3, 0, 0, 0, 0, 0x7461) | 1;
  }

  /** Of the ports and the eight address words, as they stand in a received datagram: local is its destination. */
  hashOf(
    ports: number,
    l0: number,
    l1: number,
    l2: number,
    l3: number,
    r0: number,
    r1: number,
    r2: number,
    r3: number,
  ): number {
    let h = this.k0 ^ ports;
    h = Math.imul(h ^ (h >>> 15), this.k1) ^ r3;
    h = Math.imul(h ^ (h >>> 13), this.k2) ^ l3;
    h = Math.imul(h ^ (h >>> 16), this.k1);
    if (r0 !== 0 || l0 !== 0) {
      h = Math.imul(h ^ r0 ^ (h >>> 15), this.k2) ^ r1;
      h = Math.imul(h ^ r2 ^ (h >>> 13), this.k1) ^ l0;
      h = Math.imul(h ^ l1 ^ (h >>> 16), this.k2) ^ l2;
    }
    h = Math.imul(h ^ (h >>> 14), this.k2);
    return h ^ (h >>> 16);
  }

  /** `localPort` in the high half. */
  find(
    hash: number,
    localPort: number,
    remotePort: number,
    l0: number,
    l1: number,
    l2: number,
    l3: number,
    r0: number,
    r1: number,
    r2: number,
    r3: number,
  ): T | null {
    const mask = this.mask;
    for (let i = hash & mask; ; i = (i + 1) & mask) {
      const entry = this.entries[i]!;
      if (entry === null) return null;
      if (this.hashes[i] !== hash || entry.remotePort !== remotePort || entry.localPort !== localPort) continue;
      const l = entry.local;
      const r = entry.remote;
      if (
        r.w3 === r3 &&
        l.w3 === l3 &&
        r.w2 === r2 &&
        r.w0 === r0 &&
        r.w1 === r1 &&
        l.w2 === l2 &&
        l.w0 === l0 &&
        l.w1 === l1
      ) {
        return entry;
      }
    }
  }

  /** The hash of an entry's own tuple. */
  hashEntry(local: Address, localPort: number, remote: Address, remotePort: number): number {
    return this.hashOf(
      (localPort << 16) | remotePort,
      local.w0,
      local.w1,
      local.w2,
      local.w3,
      remote.w0,
      remote.w1,
      remote.w2,
      remote.w3,
    );
  }

  lookup(local: Address, localPort: number, remote: Address, remotePort: number): T | null {
    const hash = this.hashEntry(local, localPort, remote, remotePort);
    return this.find(
      hash,
      localPort,
      remotePort,
      local.w0,
      local.w1,
      local.w2,
      local.w3,
      remote.w0,
      remote.w1,
      remote.w2,
      remote.w3,
    );
  }

  insert(entry: T): void {
    if ((this.size + 1) * 2 > this.mask) this.grow();
    entry.hash = this.hashEntry(entry.local, entry.localPort, entry.remote, entry.remotePort);
    this.place(entry);
    this.size++;
  }

  private place(entry: T): void {
    let i = entry.hash & this.mask;
    while (this.entries[i] !== null) i = (i + 1) & this.mask;
    this.hashes[i] = entry.hash;
    this.entries[i] = entry;
    entry.slot = i;
  }

  remove(entry: T): void {
    if (entry.slot < 0) return;
    let hole = entry.slot;
    entry.slot = -1;
    const mask = this.mask;
    for (let i = (hole + 1) & mask; this.entries[i] !== null; i = (i + 1) & mask) {
      const home = this.hashes[i]! & mask;
      // An entry may fill the hole when its home lies at or before the hole, going round.
      if (((i - home) & mask) >= ((i - hole) & mask)) {
        this.entries[hole] = this.entries[i]!;
        this.hashes[hole] = this.hashes[i]!;
        this.entries[hole]!.slot = hole;
        hole = i;
      }
    }
    this.entries[hole] = null;
    this.size--;
  }

  private grow(): void {
    const old = this.entries;
    const capacity = old.length * 2;
    this.entries = new Array<T | null>(capacity).fill(null);
    this.hashes = new Int32Array(capacity);
    this.mask = capacity - 1;
    for (const entry of old) if (entry !== null) this.place(entry);
  }

  /** Places, taken or not. */
  get capacity(): number {
    return this.entries.length;
  }

  /** What stands at a place, or null. */
  at(slot: number): T | null {
    return this.entries[slot]!;
  }

  *[Symbol.iterator](): Generator<T> {
    for (const entry of this.entries) if (entry !== null) yield entry;
  }
}
