import type { Address } from '../base/address';
import { type Millis, NEVER } from '../base/bytes';
import { DeadlineQueue, type Timed } from '../base/deadlines';
import type { Random } from '../base/random';
import type { NextHop, Path } from '../base/transmit';
import type { Interface } from './interface';
import { pseudoSumV4 } from './ipv4';
import type { Routes } from './routes';

/** RFC 1191 §6.3, RFC 8201 §4: how long a learned MTU is believed. */
const MTU_KEPT_MS = 600_000;

/** A Path as the IP layer keeps it: see base/transmit.ts for what the layers above read. */
export class IpPath implements Path, Timed {
  mtu: number;
  readonly segmentationMax: number;
  /** The unfolded sum of what never changes in the pseudo-header. */
  readonly addressSum: number;
  /** Of the next datagram that may be fragmented. */
  identification: number;
  /** What is known of the next hop's link address; null: look it up. */
  neighbor: NextHop | null = null;
  /** False when a router asked for datagrams so small that it has to cut ours itself. */
  dontFragment = true;
  /** A router named a better next hop (RFC 1122 §3.2.2.2). */
  redirected = false;
  /** IP chose `local` itself. */
  isDefault = false;
  private mtuExpires: Millis = NEVER;
  queueIndex = -1;
  queueKey: Millis = NEVER;

  constructor(
    readonly local: Address,
    readonly remote: Address,
    readonly iface: Interface,
    public nextHop: Address,
    identification: number,
  ) {
    this.mtu = iface.mtu;
    const cuts = local.family === 4 ? iface.config.tso4 : iface.config.tso6;
    this.segmentationMax = cuts ? 65_535 : 0;
    this.addressSum = local.family === 4 ? pseudoSumV4(local.w3, remote.w3, 0) : sumV6(local) + sumV6(remote);
    this.identification = identification;
  }

  get link(): Interface {
    return this.iface;
  }

  get linkMtu(): number {
    return this.iface.mtu;
  }

  /** When the learned MTU is forgotten. */
  nextDeadline(): Millis {
    return this.mtuExpires;
  }

  /** Something was learned that a new path would have to learn again. */
  get isLearned(): boolean {
    return this.redirected || this.mtuExpires !== NEVER;
  }

  /** A router's word on the path's MTU, or, with the link's own, its end. */
  setMtu(mtu: number, dontFragment: boolean, expires: Millis): void {
    this.mtu = mtu;
    this.dontFragment = dontFragment;
    this.mtuExpires = expires;
  }

  /** From now on by way of `nextHop`. */
  setNextHop(nextHop: Address): void {
    this.nextHop = nextHop;
    this.neighbor = null;
  }
}

function sumV6(a: Address): number {
  let total = 0;
  for (const word of [a.w0, a.w1, a.w2, a.w3]) total += (word >>> 16) + (word & 0xffff);
  return total;
}

const NO_PATHS: readonly IpPath[] = [];

/** The paths in use, by destination: RFC 1122 §3.3.1.3's route cache and RFC 4861 §5.1's destination cache in one. */
export class Paths {
  private readonly table = new Map<number, IpPath[]>();
  private readonly deadlines = new DeadlineQueue<IpPath>();
  private readonly key0: number;
  private readonly key1: number;
  /** Paths in the table. Connections may hold more. */
  size = 0;

  constructor(
    private readonly interfaces: readonly Interface[],
    private readonly routes: Routes,
    private readonly random: Random,
    private readonly pathsMax: number,
  ) {
    this.key0 = random.int32();
    this.key1 = random.int32() | 1;
  }

  /** Whether `address` is one of ours. */
  isLocal(address: Address): boolean {
    for (const iface of this.interfaces) {
      if (iface.owns(address) || (iface.isLoopback && address.isLoopback)) return true;
    }
    return false;
  }

  /** Whether `address` is everybody on a link: 255.255.255.255, or all hosts of one of our subnets. */
  isBroadcast(address: Address): boolean {
    if (address.family !== 4) return false;
    for (const iface of this.interfaces) if (iface.isBroadcast(address.w3)) return true;
    return false;
  }

  /** The path from `local` (null: IP chooses) to `remote`; null when there is no route, or `local` is not ours. */
  to(remote: Address, local: Address | null): IpPath | null {
    const key = this.keyOf(remote);
    const known = this.table.get(key) ?? NO_PATHS;
    for (let i = 0; i < known.length; i++) {
      const path = known[i]!;
      if (path.remote.equals(remote) && (local === null ? path.isDefault : path.local.equals(local))) return path;
    }
    const made = this.make(remote, local);
    if (made === null) return null;
    made.isDefault = local === null;
    const twin = known.find((path) => path.remote.equals(remote) && path.local.equals(made.local));
    if (twin !== undefined) {
      twin.isDefault ||= made.isDefault;
      return twin;
    }
    this.keep(key, made);
    return made;
  }

  /** The paths to `remote` that are in use, whatever their sources. */
  knownTo(remote: Address): readonly IpPath[] {
    return (this.table.get(this.keyOf(remote)) ?? NO_PATHS).filter((path) => path.remote.equals(remote));
  }

  private keyOf(a: Address): number {
    const low = Math.imul(a.w3 ^ this.key0, this.key1);
    const high =
      Math.imul(a.w0 ^ (low >>> 15), this.key1) ^ Math.imul(a.w1 ^ (a.w2 << 7) ^ (a.w2 >>> 25), this.key0 | 1);
    return low ^ high;
  }

  private keep(key: number, path: IpPath): void {
    if (this.size >= this.pathsMax) this.thin();
    this.size++;
    const list = this.table.get(key);
    if (list === undefined) this.table.set(key, [path]);
    else list.push(path);
  }

  /** Too many: those that are made again without a loss go. Connections keep theirs. */
  private thin(): void {
    const learned: IpPath[] = [];
    for (const list of this.table.values()) for (const path of list) if (path.isLearned) learned.push(path);
    this.clear();
    if (learned.length > this.pathsMax / 2) return;
    for (const path of learned) this.keep(this.keyOf(path.remote), path);
  }

  /** Routes or addresses have changed. Paths in use stay as they are. */
  clear(): void {
    this.table.clear();
    this.size = 0;
  }

  private make(remote: Address, local: Address | null): IpPath | null {
    // Nobody's address: who asks without one gets no answer (RFC 1122 §3.2.1.3, RFC 4291 §2.5.2).
    if (remote.isUnspecified) return null;
    if (local !== null && (local.family !== remote.family || !this.isLocal(local))) return null;
    const toGroup = remote.isMulticast || remote.isLimitedBroadcast;
    // A source says which link groups are meant on, and link-local addresses (Linux does so, too).
    const bound = local !== null && (toGroup || (local.isLinkLocal && local.family === 6));
    const only = bound ? this.ownerOf(local) : null;
    const route = this.routes.find(remote, only);
    const iface = route?.interface ?? (toGroup ? (only ?? this.firstWith(remote.family)) : null);
    if (iface === null) return null;
    // Neither groups nor link-local addresses are passed on by a router.
    const gateway = toGroup ? null : (route?.gateway ?? null);
    if (gateway !== null && remote.isLinkLocal && remote.family === 6) return null;
    // To itself a host speaks from the very address.
    const itself = !remote.isLoopback && this.isLocal(remote) ? remote : null;
    const source = local ?? itself ?? this.routes.source(iface, remote, gateway ?? remote);
    if (source === null) return null;
    const identification = remote.family === 4 ? this.random.below(65_536) : this.random.int32();
    return new IpPath(source, remote, iface, gateway ?? remote, identification);
  }

  private ownerOf(local: Address): Interface | null {
    return this.interfaces.find((iface) => iface.owns(local)) ?? null;
  }

  /** Where groups are reached without a route. */
  private firstWith(family: 4 | 6): Interface | null {
    const usable = (iface: Interface): boolean =>
      iface.up && !iface.isLoopback && iface.addresses.some(({ address }) => address.family === family);
    return this.interfaces.find(usable) ?? null;
  }

  // ── what routers tell ──

  /** Believes that `path` takes datagrams of `mtu` bytes at most, for ten minutes. */
  learnMtu(path: IpPath, mtu: number, dontFragment: boolean, now: Millis): void {
    path.setMtu(mtu, dontFragment, now + MTU_KEPT_MS);
    this.deadlines.update(path, path.nextDeadline());
  }

  /** A path whose learned MTU is now forgotten, so that a better one is found again; null when there is none. */
  forgotten(now: Millis): IpPath | null {
    const path = this.deadlines.due(now);
    if (path === null) return null;
    path.setMtu(path.linkMtu, true, NEVER);
    this.deadlines.remove(path);
    return path;
  }

  nextDeadline(): Millis {
    return this.deadlines.next();
  }

  /**
   * A redirect that arrived on `iface`: `by`, the gateway in use, says that `better` is a better first hop to `remote`
   * (RFC 1122 §3.2.2.2, RFC 4861 §8.3). Only what is kept of the destination changes, never a route. Returns whether it was
   * acceptable.
   */
  redirect(iface: Interface, by: Address, remote: Address, better: Address): boolean {
    let changed = false;
    for (const path of this.knownTo(remote)) {
      // Where there is no router in use nobody may name another: a neighbour that says so would be cut off for good.
      if (path.iface !== iface || !path.nextHop.equals(by) || by.equals(remote)) continue;
      path.setNextHop(better);
      path.redirected = true;
      changed = true;
    }
    return changed;
  }

  /** The next hop of `path` does not answer: takes another, if the routes know one on the same link. */
  avoid(path: IpPath): boolean {
    const route = this.routes.find(path.remote, path.iface);
    if (route === null || route.gateway === null || route.gateway.equals(path.nextHop)) return false;
    path.setNextHop(route.gateway);
    path.redirected = false;
    return true;
  }
}
