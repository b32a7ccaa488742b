import type { Address } from '../base/address';
import { type Millis, NEVER } from '../base/bytes';
import { DeadlineQueue, type Timed } from '../base/deadlines';
import { MAC_BYTES } from './frame';

/** RFC 4861 §7.3.2, used for ARP as well: how much is known of a neighbour's link address. */
export type NeighborState = 'INCOMPLETE' | 'REACHABLE' | 'STALE' | 'DELAY' | 'PROBE' | 'FAILED';

/** RFC 4861 §10, and RFC 1122 §2.3.2.1's limit of one request a second to one destination. */
export interface NeighborConfig {
  readonly reachableMs: Millis;
  readonly retransmitMs: Millis;
  readonly delayFirstProbeMs: Millis;
  readonly multicastSolicit: number;
  readonly unicastSolicit: number;
  /** Frames that wait for an address, for each neighbour; the oldest goes first (RFC 1122 §2.3.2.2 keeps the latest). */
  readonly parkedMax: number;
  readonly entriesMax: number;
}

export const NEIGHBOR_DEFAULTS: NeighborConfig = {
  reachableMs: 30_000,
  retransmitMs: 1000,
  delayFirstProbeMs: 5000,
  multicastSolicit: 3,
  unicastSolicit: 3,
  parkedMax: 3,
  entriesMax: 1024,
};

export class Neighbor implements Timed {
  state: NeighborState = 'INCOMPLETE';
  readonly mac = new Uint8Array(MAC_BYTES);
  probes = 0;
  deadline: Millis = NEVER;
  usedAt: Millis = 0;
  /** A request is due: broadcast for INCOMPLETE, unicast for PROBE. */
  requestDue = false;
  /** Whole frames, link header included, whose destination is filled in when it is known. */
  readonly parked: Uint8Array[] = [];
  queueIndex = -1;
  queueKey: Millis = NEVER;

  constructor(readonly address: Address) {}

  nextDeadline(): Millis {
    return this.deadline;
  }

  /** The address may be used, if perhaps not for long. */
  get usable(): boolean {
    return this.state !== 'INCOMPLETE' && this.state !== 'FAILED';
  }
}

/**
 * Link addresses of the neighbours on one interface, with unreachability detection (RFC 4861 §7.3) for IPv4 and IPv6
 * alike. Says which requests are due; the stack builds them.
 */
export class Neighbors {
  private readonly entries = new Map<string, Neighbor>();
  private readonly deadlines = new DeadlineQueue<Neighbor>();
  /** Entries with `requestDue`. */
  readonly due: Neighbor[] = [];
  /** Entries that failed since the stack last looked: their frames are lost, their users should be told. */
  readonly failed: Neighbor[] = [];

  constructor(readonly config: NeighborConfig) {}

  /** The entry for `address`, made and asked for when there is none. */
  resolve(address: Address, now: Millis): Neighbor {
    const key = address.toString();
    let entry = this.entries.get(key);
    if (entry === undefined) {
      this.makeRoom();
      entry = new Neighbor(address);
      this.entries.set(key, entry);
      this.ask(entry, now);
    }
    return entry;
  }

  get(address: Address): Neighbor | undefined {
    return this.entries.get(address.toString());
  }

  /** A frame is about to use the entry: a stale one is checked while it is used; a failed one is tried afresh. */
  use(entry: Neighbor, now: Millis): void {
    entry.usedAt = now;
    if (entry.state === 'STALE') {
      entry.state = 'DELAY';
      this.arm(entry, now + this.config.delayFirstProbeMs);
    } else if (entry.state === 'FAILED') {
      entry.state = 'INCOMPLETE';
      entry.probes = 0;
      this.ask(entry, now);
    }
  }

  /** Keeps a copy of a frame until the address is known. Returns how many older frames it displaced. */
  park(entry: Neighbor, frame: Uint8Array): number {
    entry.parked.push(frame);
    if (entry.parked.length <= this.config.parkedMax) return 0;
    entry.parked.shift();
    return 1;
  }

  /**
   * The neighbour told its address. `solicited`: it answered us, so the way back works too; otherwise the address is
   * only taken over when an entry exists (RFC 826's merge) or `create` says that it asked for us.
   */
  confirm(
    address: Address,
    mac: Uint8Array,
    macAt: number,
    solicited: boolean,
    create: boolean,
    now: Millis,
  ): Neighbor | null {
    let entry = this.get(address);
    if (entry === undefined) {
      if (!create) return null;
      this.makeRoom();
      entry = new Neighbor(address);
      this.entries.set(address.toString(), entry);
    }
    let changed = false;
    for (let i = 0; i < MAC_BYTES; i++) {
      if (entry.mac[i] !== mac[macAt + i]) changed = true;
      entry.mac[i] = mac[macAt + i]!;
    }
    if (solicited) {
      entry.state = 'REACHABLE';
      this.arm(entry, now + this.config.reachableMs);
    } else if (changed || !entry.usable) {
      entry.state = 'STALE';
      this.arm(entry, NEVER);
    }
    entry.probes = 0;
    entry.requestDue = false;
    return entry;
  }

  /** Upper layers saw progress over this neighbour (RFC 4861 §7.3.1). */
  reachable(entry: Neighbor, now: Millis): void {
    if (entry.state !== 'STALE' && entry.state !== 'DELAY' && entry.state !== 'PROBE') return;
    entry.state = 'REACHABLE';
    this.arm(entry, now + this.config.reachableMs);
  }

  nextDeadline(): Millis {
    return this.deadlines.next();
  }

  expire(now: Millis): void {
    for (let entry = this.deadlines.due(now); entry !== null; entry = this.deadlines.due(now)) this.expired(entry, now);
  }

  private expired(entry: Neighbor, now: Millis): void {
    switch (entry.state) {
      case 'REACHABLE':
        entry.state = 'STALE';
        return this.arm(entry, NEVER);
      case 'DELAY':
        entry.state = 'PROBE';
        entry.probes = 0;
        return this.ask(entry, now);
      case 'INCOMPLETE':
      case 'PROBE': {
        const most = entry.state === 'PROBE' ? this.config.unicastSolicit : this.config.multicastSolicit;
        if (entry.probes < most) return this.ask(entry, now);
        entry.state = 'FAILED';
        this.failed.push(entry);
        return this.arm(entry, NEVER);
      }
      default:
        return this.arm(entry, NEVER);
    }
  }

  private ask(entry: Neighbor, now: Millis): void {
    entry.probes++;
    if (!entry.requestDue) {
      entry.requestDue = true;
      this.due.push(entry);
    }
    this.arm(entry, now + this.config.retransmitMs);
  }

  private arm(entry: Neighbor, deadline: Millis): void {
    entry.deadline = deadline;
    this.deadlines.update(entry, deadline);
  }

  /** The cache is bounded: the entry used longest ago makes room, one that nobody waits for if there is any. */
  private makeRoom(): void {
    if (this.entries.size < this.config.entriesMax) return;
    let victim: Neighbor | null = null;
    for (const entry of this.entries.values()) {
      if (victim === null || entry.usedAt < victim.usedAt) victim = entry;
    }
    if (victim === null) return;
    this.deadlines.remove(victim);
    victim.state = 'FAILED';
    victim.requestDue = false;
    this.entries.delete(victim.address.toString());
  }

  *[Symbol.iterator](): Generator<Neighbor> {
    yield* this.entries.values();
  }
}
