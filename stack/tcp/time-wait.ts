import { Address } from '../base/address';
import { assert } from '../base/assert';
import { type Millis, NEVER } from '../base/bytes';
import { NONE } from '../base/memory';
import { Rows } from '../base/rows';
import type { Path } from '../base/transmit';
import type { Connection } from './connection';
import type { Seq } from './seq';
import type { ConnectionTable } from './table';

/** One TIME-WAIT as it is looked at: a record that the table fills in, valid until it finds another. */
export class TimeWait {
  /** Where it stands in the table; NONE once it is over. */
  row = NONE;
  path!: Path;
  localPort = 0;
  remotePort = 0;
  sndNxt = 0 as Seq;
  rcvNxt = 0 as Seq;
  /** Unscaled, as it goes into the header. */
  window = 0;
  timestamps = false;
  tsRecent = 0;
  tsOffset = 0;
  lastAckAt: Millis = 0;
  expires: Millis = 0;
  /** Only of those that one iterates over. */
  local: Address | null = null;
  remote: Address | null = null;
}

const HASH = 0;
/** The local port in the high half. */
const PORTS = 1;
/** Four words each; the family stands with the flags. */
const LOCAL = 2;
const REMOTE = 6;
const SND_NXT = 10;
const RCV_NXT = 11;
const WINDOW = 12;
const FLAGS = 13;
const TS_RECENT = 14;
const TS_OFFSET = 15;
/** Neighbours in the order of expiry; NEXT chains free rows as well. */
const NEXT = 16;
const PREVIOUS = 17;
/** Where the row's number stands in `slots`. */
const SLOT = 18;
const FIELDS = 19;

const EXPIRES = 0;
const LAST_ACK_AT = 1;
const TIMES = 2;

const TIMESTAMPS = 1;
const IPV6 = 2;

/** No acknowledgment was sent from there yet. */
const LONG_AGO: Millis = -1e9;

/**
 * TIME-WAIT (RFC 9293 §3.6.1) without connections: what is needed to acknowledge a repeated FIN, to recognise old
 * duplicates, and to let a new SYN take over (RFC 6191). A server that closes first has tens of thousands of them, each
 * for a minute: they are rows of integers, hashed as connections are (table.ts), in a list ordered by when they end.
 */
export class TimeWaitTable extends Rows {
  private paths: (Path | null)[] = [];
  /** Open addressing: rows by hash; NONE is empty. Deletion shifts back, as in ConnectionTable. */
  private slots = new Int32Array(128).fill(NONE);
  private mask = 127;
  private first = NONE;
  private last = NONE;
  private readonly found = new TimeWait();

  constructor(private readonly connections: ConnectionTable<Connection>) {
    super(FIELDS, TIMES, NEXT);
  }

  /** How many there are. */
  get size(): number {
    return this.inUse;
  }

  /** The connection waits until `expires` from now on. */
  add(c: Connection, expires: Millis): TimeWait {
    if ((this.size + 1) * 2 > this.mask) this.growSlots();
    const row = this.take();
    const f = this.fields;
    const i = row * FIELDS;
    f[i + HASH] = c.hash;
    f[i + PORTS] = (c.localPort << 16) | c.remotePort;
    this.setAddress(i + LOCAL, c.local);
    this.setAddress(i + REMOTE, c.remote);
    f[i + SND_NXT] = c.sndNxt;
    f[i + RCV_NXT] = c.rcvNxt;
    f[i + WINDOW] = Math.min(0xffff, c.rcvWnd >> c.rcvScale);
    f[i + FLAGS] = (c.timestamps ? TIMESTAMPS : 0) | (c.local.family === 6 ? IPV6 : 0);
    f[i + TS_RECENT] = c.tsRecent;
    f[i + TS_OFFSET] = c.tsOffset;
    this.times[row * TIMES + EXPIRES] = expires;
    this.times[row * TIMES + LAST_ACK_AT] = LONG_AGO;
    this.paths[row] = c.path;
    this.link(row);
    this.place(row);
    return this.read(row, this.found);
  }

  private setAddress(at: number, address: Address): void {
    const f = this.fields;
    f[at] = address.w0;
    f[at + 1] = address.w1;
    f[at + 2] = address.w2;
    f[at + 3] = address.w3;
  }

  private read(row: number, into: TimeWait): TimeWait {
    const f = this.fields;
    const i = row * FIELDS;
    into.row = row;
    into.path = this.paths[row]!;
    into.localPort = f[i + PORTS]! >>> 16;
    into.remotePort = f[i + PORTS]! & 0xffff;
    into.sndNxt = f[i + SND_NXT]! as Seq;
    into.rcvNxt = f[i + RCV_NXT]! as Seq;
    into.window = f[i + WINDOW]!;
    into.timestamps = (f[i + FLAGS]! & TIMESTAMPS) !== 0;
    into.tsRecent = f[i + TS_RECENT]!;
    into.tsOffset = f[i + TS_OFFSET]!;
    into.expires = this.times[row * TIMES + EXPIRES]!;
    into.lastAckAt = this.times[row * TIMES + LAST_ACK_AT]!;
    return into;
  }

  /** The one of this four-tuple, as in ConnectionTable.find, or null. */
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
  ): TimeWait | null {
    if (this.size === 0) return null;
    const f = this.fields;
    const ports = (localPort << 16) | remotePort;
    for (let slot = hash & this.mask; ; slot = (slot + 1) & this.mask) {
      const row = this.slots[slot]!;
      if (row === NONE) return null;
      const i = row * FIELDS;
      if (f[i + HASH] !== hash || f[i + PORTS] !== ports) continue;
      const isLocal =
        f[i + LOCAL] === l0 && f[i + LOCAL + 1] === l1 && f[i + LOCAL + 2] === l2 && f[i + LOCAL + 3] === l3;
      if (!isLocal || f[i + REMOTE] !== r0 || f[i + REMOTE + 1] !== r1) continue;
      if (f[i + REMOTE + 2] === r2 && f[i + REMOTE + 3] === r3) return this.read(row, this.found);
    }
  }

  lookup(local: Address, localPort: number, remote: Address, remotePort: number): TimeWait | null {
    const hash = this.connections.hashEntry(local, localPort, remote, remotePort);
    const { w0, w1, w2, w3 } = local;
    return this.find(hash, localPort, remotePort, w0, w1, w2, w3, remote.w0, remote.w1, remote.w2, remote.w3);
  }

  /** A newer timestamp of the peer's (RFC 7323 §4.3). */
  setTsRecent(w: TimeWait, tsRecent: number): void {
    w.tsRecent = this.fields[w.row * FIELDS + TS_RECENT] = tsRecent;
  }

  setLastAck(w: TimeWait, at: Millis): void {
    w.lastAckAt = this.times[w.row * TIMES + LAST_ACK_AT] = at;
  }

  /** It waits until `expires`, which must not be before that of any other. */
  restart(w: TimeWait, expires: Millis): void {
    w.expires = this.times[w.row * TIMES + EXPIRES] = expires;
    this.unlink(w.row);
    this.link(w.row);
  }

  remove(w: TimeWait): void {
    if (w.row === NONE) return;
    this.removeRow(w.row);
    w.row = NONE;
  }

  private removeRow(row: number): void {
    assert(this.paths[row] !== null, 'a TIME-WAIT ends once');
    this.unlink(row);
    this.displace(row);
    this.paths[row] = null;
    this.give(row);
  }

  // ── the order of expiry ──

  /** When the first one ends. */
  next(): Millis {
    return this.first === NONE ? NEVER : this.times[this.first * TIMES + EXPIRES]!;
  }

  /** Ends those whose time has come. */
  expire(now: Millis): void {
    while (this.first !== NONE && this.times[this.first * TIMES + EXPIRES]! <= now) this.removeRow(this.first);
  }

  /** Ends the one that has waited longest. */
  evict(): void {
    if (this.first !== NONE) this.removeRow(this.first);
  }

  private link(row: number): void {
    const f = this.fields;
    f[row * FIELDS + NEXT] = NONE;
    f[row * FIELDS + PREVIOUS] = this.last;
    if (this.last === NONE) this.first = row;
    else f[this.last * FIELDS + NEXT] = row;
    this.last = row;
  }

  private unlink(row: number): void {
    const f = this.fields;
    const next = f[row * FIELDS + NEXT]!;
    const previous = f[row * FIELDS + PREVIOUS]!;
    if (previous === NONE) this.first = next;
    else f[previous * FIELDS + NEXT] = next;
    if (next === NONE) this.last = previous;
    else f[next * FIELDS + PREVIOUS] = previous;
  }

  // ── the hash table ──

  private place(row: number): void {
    const { slots, mask, fields } = this;
    let slot = fields[row * FIELDS + HASH]! & mask;
    while (slots[slot] !== NONE) slot = (slot + 1) & mask;
    slots[slot] = row;
    fields[row * FIELDS + SLOT] = slot;
  }

  private displace(row: number): void {
    const { slots, mask, fields } = this;
    let hole = fields[row * FIELDS + SLOT]!;
    for (let i = (hole + 1) & mask; slots[i] !== NONE; i = (i + 1) & mask) {
      const home = fields[slots[i]! * FIELDS + HASH]! & mask;
      // One may fill the hole when its home lies at or before the hole, going round.
      if (((i - home) & mask) < ((i - hole) & mask)) continue;
      slots[hole] = slots[i]!;
      fields[slots[hole]! * FIELDS + SLOT] = hole;
      hole = i;
    }
    slots[hole] = NONE;
  }

  private growSlots(): void {
    this.slots = new Int32Array(this.slots.length * 2).fill(NONE);
    this.mask = this.slots.length - 1;
    for (let row = this.first; row !== NONE; row = this.fields[row * FIELDS + NEXT]!) this.place(row);
  }

  /** Each as a record of its own, in the order in which they end. */
  *[Symbol.iterator](): Generator<TimeWait> {
    for (let row = this.first; row !== NONE; row = this.fields[row * FIELDS + NEXT]!) {
      const w = this.read(row, new TimeWait());
      w.local = this.addressAt(row, LOCAL);
      w.remote = this.addressAt(row, REMOTE);
      yield w;
    }
  }

  private addressAt(row: number, which: number): Address {
    const f = this.fields;
    const i = row * FIELDS + which;
    const family = (f[row * FIELDS + FLAGS]! & IPV6) !== 0 ? 6 : 4;
    return new Address(family, f[i]!, f[i + 1]!, f[i + 2]!, f[i + 3]!);
  }
}
