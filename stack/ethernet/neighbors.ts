import type { Address } from '../base/address';
import { type Millis, NEVER } from '../base/bytes';
import { DeadlineQueue, type Timed } from '../base/deadlines';
import { isMacGroup, MAC_BYTES, macEquals } from './frame';

/**
 * RFC 4861 §7.3.2, used for ARP as well: how much is known of a neighbour's link address. FAILED: it did not answer, or the
 * entry is no longer in the cache. PERMANENT: computed, not asked for (groups, broadcast).
 */
export type NeighborState = 'INCOMPLETE' | 'REACHABLE' | 'STALE' | 'DELAY' | 'PROBE' | 'FAILED' | 'PERMANENT';

/** For the trace: numbers of the states. */
export const NEIGHBOR_STATE_NUMBERS: Readonly<Record<NeighborState, number>> = {
  INCOMPLETE: 1,
  REACHABLE: 2,
  STALE: 3,
  DELAY: 4,
  PROBE: 5,
  FAILED: 6,
  PERMANENT: 7,
};

/** RFC 4861 §10, and RFC 1122 §2.3.2.1's limit of one request a second to one destination. */
export interface NeighborConfig {
  readonly reachableMs: Millis;
  readonly retransmitMs: Millis;
  readonly delayFirstProbeMs: Millis;
  readonly multicastSolicit: number;
  readonly unicastSolicit: number;
  /** An entry that nobody used for so long is flushed (RFC 1122 §2.3.2.1). */
  readonly staleMs: Millis;
  /** After an ARP packet told an address, a different one is not believed for so long: the first answer wins. */
  readonly arpLockMs: Millis;
  /**
   * Frames that wait for an address, for each neighbour, so that a datagram in fragments survives; the oldest goes first,
   * the latest always stays (RFC 1122 §2.3.2.2).
   */
  readonly parkedMax: number;
  /** Bytes that wait on one interface. */
  readonly parkedBytesMax: number;
  readonly entriesMax: number;
}

export const NEIGHBOR_DEFAULTS: NeighborConfig = {
  reachableMs: 30_000,
  retransmitMs: 1000,
  delayFirstProbeMs: 5000,
  multicastSolicit: 3,
  unicastSolicit: 3,
  staleMs: 600_000,
  arpLockMs: 1000,
  parkedMax: 64,
  parkedBytesMax: 1 << 20,
  entriesMax: 1024,
};

/** Hears what happens to entries. */
export interface NeighborWatcher {
  neighborChanged(neighbor: Neighbor, from: NeighborState, now: Millis): void;
  /** So many parked frames will never be sent. */
  framesLost(frames: number, now: Millis): void;
}

/** No frame of ours has gone, or waited to go, to it. */
const UNUSED: Millis = -1e9;

export class Neighbor implements Timed {
  state: NeighborState = 'FAILED';
  readonly mac = new Uint8Array(MAC_BYTES);
  /** Requests sent without an answer, in INCOMPLETE and PROBE. */
  probes = 0;
  deadline: Millis = NEVER;
  usedAt: Millis = UNUSED;
  /** When an ARP packet last set `mac`. */
  setAt: Millis = -1e9;
  /** A request is due: to all for INCOMPLETE, to the neighbour for PROBE. */
  requestDue = false;
  /** Whole frames, link header included, whose destination is filled in when it is known. */
  readonly parked: Uint8Array[] = [];
  queueIndex = -1;
  queueKey: Millis = NEVER;

  constructor(readonly address: Address) {}

  /** A neighbour whose link address follows from its IP address. */
  static permanent(address: Address, mac: Uint8Array): Neighbor {
    const neighbor = new Neighbor(address);
    neighbor.state = 'PERMANENT';
    neighbor.mac.set(mac);
    return neighbor;
  }

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
 * alike. Says which requests are due; the link layer builds them.
 */
export class Neighbors {
  private readonly entries = new Map<string, Neighbor>();
  private readonly deadlines = new DeadlineQueue<Neighbor>();
  /** Entries with `requestDue`. */
  readonly due: Neighbor[] = [];
  /** Entries that failed since the link layer last looked: their frames are lost, their users are told. */
  readonly failed: Neighbor[] = [];
  /** Bytes of all frames that wait. */
  parkedBytes = 0;

  constructor(
    readonly config: NeighborConfig,
    private readonly watcher: NeighborWatcher,
  ) {}

  /** Entries in the cache. */
  get size(): number {
    return this.entries.size;
  }

  get(address: Address): Neighbor | undefined {
    return this.entries.get(address.toString());
  }

  /** The entry for `address`, made when there is none. */
  entry(address: Address, now: Millis): Neighbor {
    const known = this.get(address);
    if (known !== undefined) return known;
    this.makeRoom(now);
    const made = new Neighbor(address);
    this.entries.set(address.toString(), made);
    return made;
  }

  /** A frame is about to use the entry: an unknown address is asked for, a stale one is checked while it is used. */
  use(entry: Neighbor, now: Millis): void {
    entry.usedAt = now;
    if (entry.state === 'STALE') {
      this.enter(entry, 'DELAY', now + this.config.delayFirstProbeMs, now);
    } else if (entry.state === 'FAILED') {
      entry.probes = 0;
      this.enter(entry, 'INCOMPLETE', NEVER, now);
      this.ask(entry, now);
    }
  }

  /** Keeps a frame until the address is known. Returns how many older frames it displaced. */
  park(entry: Neighbor, frame: Uint8Array): number {
    const { parked } = entry;
    parked.push(frame);
    this.parkedBytes += frame.length;
    let displaced = 0;
    while (
      parked.length > this.config.parkedMax ||
      (this.parkedBytes > this.config.parkedBytesMax && parked.length > 1)
    ) {
      this.parkedBytes -= parked.shift()!.length;
      displaced++;
    }
    return displaced;
  }

  /** What waits for `entry`; it waits no more. */
  takeParked(entry: Neighbor): Uint8Array[] {
    for (const frame of entry.parked) this.parkedBytes -= frame.length;
    return entry.parked.splice(0);
  }

  /**
   * ARP told an address (RFC 826's merge): only an existing entry learns from it, or `create` says that the packet asked
   * for us, so that we shall answer. `answers`: it is a reply to us; one that we asked for shows that the way back works.
   * Returns the entry if it is there.
   */
  arpHeard(address: Address, mac: Uint8Array, answers: boolean, create: boolean, now: Millis): Neighbor | null {
    const entry = create ? this.entry(address, now) : this.get(address);
    if (entry === undefined || isMacGroup(mac, 0)) return null;
    const asked = answers && (entry.state === 'INCOMPLETE' || entry.state === 'PROBE');
    const same = macEquals(mac, 0, entry.mac);
    if (!same && entry.usable && now - entry.setAt < this.config.arpLockMs) return entry;
    entry.mac.set(mac);
    entry.setAt = now;
    if (asked) this.becomeReachable(entry, now);
    else if (!same || !entry.usable) this.becomeStale(entry, now);
    return entry;
  }

  /**
   * A solicitation, a redirect or the like named its sender's link address at `mac[macAt]` (RFC 4861 §7.2.3): taken over,
   * but no proof that the way to it works.
   */
  heard(address: Address, mac: Uint8Array, macAt: number, now: Millis): Neighbor | null {
    if (isMacGroup(mac, macAt)) return null;
    const entry = this.entry(address, now);
    const same = macEquals(mac, macAt, entry.mac);
    if (same && entry.usable) return entry;
    entry.mac.set(mac.subarray(macAt, macAt + MAC_BYTES));
    this.becomeStale(entry, now);
    return entry;
  }

  /**
   * An advertisement (RFC 4861 §7.2.5); `macAt` -1 without a link address. Nobody without an entry learns from it. Returns
   * the entry if it may have become usable.
   */
  advertised(
    address: Address,
    mac: Uint8Array,
    macAt: number,
    solicited: boolean,
    override: boolean,
    now: Millis,
  ): Neighbor | null {
    const entry = this.get(address);
    if (entry === undefined || (macAt >= 0 && isMacGroup(mac, macAt))) return null;
    if (!entry.usable) {
      if (macAt < 0) return null;
      entry.mac.set(mac.subarray(macAt, macAt + MAC_BYTES));
      if (solicited) this.becomeReachable(entry, now);
      else this.becomeStale(entry, now);
      return entry;
    }
    const same = macAt < 0 || macEquals(mac, macAt, entry.mac);
    if (!same && !override) {
      // Another answer than the cached one, and not meant to replace it: doubt, no more.
      if (entry.state === 'REACHABLE') this.becomeStale(entry, now);
      return null;
    }
    if (!same) entry.mac.set(mac.subarray(macAt, macAt + MAC_BYTES));
    if (solicited) this.becomeReachable(entry, now);
    else if (!same) this.becomeStale(entry, now);
    return entry;
  }

  /** Upper layers saw progress over this neighbour (RFC 4861 §7.3.1). */
  reachable(entry: Neighbor, now: Millis): void {
    if (entry.state === 'STALE' || entry.state === 'DELAY' || entry.state === 'PROBE') this.becomeReachable(entry, now);
  }

  /** An upper layer gets no answers over this neighbour (RFC 1122 §3.3.1.4): it is asked at once. */
  suspect(entry: Neighbor, now: Millis): void {
    if (entry.state !== 'REACHABLE' && entry.state !== 'STALE' && entry.state !== 'DELAY') return;
    this.enter(entry, 'PROBE', NEVER, now);
    entry.probes = 0;
    this.ask(entry, now);
  }

  private becomeReachable(entry: Neighbor, now: Millis): void {
    entry.probes = 0;
    entry.requestDue = false;
    this.enter(entry, 'REACHABLE', now + this.config.reachableMs, now);
  }

  private becomeStale(entry: Neighbor, now: Millis): void {
    entry.probes = 0;
    entry.requestDue = false;
    this.enter(entry, 'STALE', now + this.config.staleMs, now);
  }

  private enter(entry: Neighbor, state: NeighborState, deadline: Millis, now: Millis): void {
    const from = entry.state;
    entry.state = state;
    if (from !== state) this.watcher.neighborChanged(entry, from, now);
    this.arm(entry, deadline);
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
        return this.enter(entry, 'STALE', Math.max(entry.usedAt, now) + this.config.staleMs, now);
      case 'STALE':
        return this.forget(entry, now);
      case 'DELAY':
        this.enter(entry, 'PROBE', NEVER, now);
        entry.probes = 0;
        return this.ask(entry, now);
      case 'INCOMPLETE':
      case 'PROBE': {
        const most = entry.state === 'PROBE' ? this.config.unicastSolicit : this.config.multicastSolicit;
        if (entry.probes < most) return this.ask(entry, now);
        this.enter(entry, 'FAILED', now + this.config.staleMs, now);
        this.failed.push(entry);
        return;
      }
      default:
        return this.forget(entry, now);
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

  private forget(entry: Neighbor, now: Millis): void {
    this.deadlines.remove(entry);
    entry.deadline = NEVER;
    this.entries.delete(entry.address.toString());
    if (entry.parked.length > 0) this.watcher.framesLost(this.takeParked(entry).length, now);
    entry.requestDue = false;
    // Whoever still holds the entry looks for a new one.
    this.enter(entry, 'FAILED', NEVER, now);
  }

  /**
   * The cache is bounded. First go strangers who made themselves known, and who does not answer; then whom we ask for, if
   * they fill half of it, else who was used longest ago.
   */
  private makeRoom(now: Millis): void {
    const { entries, config } = this;
    if (entries.size < config.entriesMax) return;
    let asked = 0;
    for (const entry of entries.values()) if (!entry.usable) asked++;
    const askedFirst = asked * 2 > config.entriesMax;
    let victim: Neighbor | null = null;
    for (const entry of entries.values()) if (victim === null || isWorse(entry, victim, askedFirst)) victim = entry;
    if (victim !== null) this.forget(victim, now);
  }

  *[Symbol.iterator](): Generator<Neighbor> {
    yield* this.entries.values();
  }
}

/**
 * A flood of unknown addresses must not push out the gateway that everything goes through, nor one of strangers those whom
 * we ask for.
 */
function isWorse(a: Neighbor, b: Neighbor, askedFirst: boolean): boolean {
  if (isNoLoss(a) !== isNoLoss(b)) return isNoLoss(a);
  if (a.usable !== b.usable) return b.usable === askedFirst;
  return a.usedAt < b.usedAt;
}

const isNoLoss = (entry: Neighbor): boolean => entry.usedAt === UNUSED || entry.state === 'FAILED';
