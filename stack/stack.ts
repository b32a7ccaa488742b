import type { Address, Cidr } from './base/address';
import type { Millis } from './base/bytes';
import { Datagram, ICMP, ICMPV6, TCP, UDP } from './base/datagram';
import { type Drop, DropCounters } from './base/drops';
import { Arenas, BlockPool, heapRegions, type RegionSource, type Slab, SlabPool } from './base/memory';
import { Random } from './base/random';
import { Trace } from './base/trace';
import { Control, type ControlLimits } from './control';
import { ETHERNET_HEADER_BYTES, etherType, TYPE_ARP, TYPE_IPV4, TYPE_IPV6 } from './ethernet/frame';
import { NEIGHBOR_DEFAULTS, type NeighborConfig, type Neighbors } from './ethernet/neighbors';
import { Interface, type InterfaceConfig } from './ip/interface';
import { pseudoSumV4, readIpv4 } from './ip/ipv4';
import { pseudoSumOf, readIpv6, walkExtensions } from './ip/ipv6';
import { NEIGHBOR_ADVERTISEMENT, NEIGHBOR_SOLICITATION } from './ip/ndp';
import { IpOutput } from './ip/output';
import { IpPath, Routes } from './ip/paths';
import {
  type Partial as PartialDatagram,
  REASSEMBLY_DEFAULTS,
  Reassembly,
  type ReassemblyLimits,
} from './ip/reassembly';
import { LinkLayer } from './link';
import { LINUX, type TcpProfile } from './tcp/profile';
import { type PathFinder, Tcp, type TcpLimits } from './tcp/tcp';
import { Udp } from './udp/udp';

/** Caps: what one stack may hold at most. */
export interface StackLimits extends TcpLimits, ControlLimits {
  /** Received text that waits, in slabs of 1 MiB. */
  readonly slabsMax: number;
  /** Written text that is not acknowledged, in bytes. */
  readonly sendBytesMax: number;
  readonly pathsMax: number;
}

export const DEFAULT_LIMITS: StackLimits = {
  connectionsMax: 262_144,
  timeWaitsMax: 65_536,
  slabsMax: 64,
  sendBytesMax: 256 << 20,
  pathsMax: 4096,
  echoesMax: 64,
  icmpPerSecond: 1000,
  icmpBurst: 50,
};

export interface StackConfig {
  /** All randomness comes from it: the same seed and the same calls give the same trace. */
  readonly seed: number;
  readonly profile: TcpProfile;
  readonly limits: StackLimits;
  readonly neighbors: NeighborConfig;
  readonly reassembly: ReassemblyLimits;
  readonly regions: RegionSource;
  /** Keep the event log. */
  readonly trace: boolean;
  readonly traceCapacity: number;
  /** Overwrite memory that is given back, so that a use after release shows. */
  readonly poison: boolean;
}

export const DEFAULT_CONFIG: StackConfig = {
  seed: 1,
  profile: LINUX,
  limits: DEFAULT_LIMITS,
  neighbors: NEIGHBOR_DEFAULTS,
  reassembly: REASSEMBLY_DEFAULTS,
  regions: heapRegions,
  trace: false,
  traceCapacity: 1 << 16,
  poison: false,
};

/**
 * The whole stack as a function of frames and time. `receive` takes one frame in and sends nothing; `poll` sends all that
 * is due into the interfaces' queues; `nextDeadline` says when time alone will change something. With link.ts and
 * control.ts, which work for it, the only file that knows all the layers.
 */
export class Stack implements PathFinder {
  readonly drops = new DropCounters();
  readonly trace: Trace;
  readonly random: Random;
  readonly arenas: Arenas;
  readonly slabs: SlabPool;
  readonly blocks: BlockPool;
  readonly interfaces: Interface[] = [];
  readonly routes = new Routes();
  readonly tcp: Tcp;
  readonly udp: Udp;
  readonly control: Control;
  readonly link: LinkLayer;
  private readonly out: IpOutput;
  private readonly reassembly: Reassembly;
  private readonly datagram = new Datagram();
  private readonly paths = new Map<number, IpPath[]>();
  private pathCount = 0;

  constructor(readonly config: StackConfig) {
    const { limits, profile } = config;
    this.trace = new Trace(config.trace, config.traceCapacity);
    this.random = new Random(config.seed);
    this.arenas = new Arenas(config.regions);
    this.slabs = new SlabPool(config.regions, limits.slabsMax, config.poison);
    this.blocks = new BlockPool(this.arenas, limits.sendBytesMax, config.poison);
    this.link = new LinkLayer(
      config.neighbors,
      this.routes,
      (reason, now) => this.drop(reason, now),
      (path, bytes) => {
        if (this.trace.on) this.trace.add('frame-out', this.out.now, 0, path.iface.index, bytes);
      },
    );
    this.out = new IpOutput(this.link);
    this.link.out = this.out;
    this.reassembly = new Reassembly(config.reassembly);
    const random = this.random.fork();
    this.tcp = new Tcp(profile, limits, random, this.blocks, this.slabs, this.out, this, this.drops, this.trace);
    this.udp = new Udp(this.random.fork(), profile.ephemeralPorts, this.out, this, this.drops);
    this.control = new Control(limits, this, this.out, this.tcp, this.udp, profile.name === 'rfc');
  }

  // ── configuration ──

  /** Attaches a link, with a route to each of its addresses' subnets. */
  addInterface(config: InterfaceConfig): Interface {
    const iface = new Interface(this.interfaces.length, config, this.arenas);
    this.interfaces.push(iface);
    this.link.add(iface);
    for (const cidr of config.addresses) {
      this.routes.add({ destination: cidr, gateway: null, interface: iface, metric: 0 });
    }
    return iface;
  }

  addRoute(destination: Cidr, gateway: Address | null, iface: Interface, metric = 0): void {
    this.routes.add({ destination, gateway, interface: iface, metric });
    this.paths.clear();
    this.pathCount = 0;
  }

  neighbors(iface: Interface): Neighbors | null {
    return this.link.neighbors(iface);
  }

  // ── the walk ──

  /**
   * One frame in: [at, at + bytes) of the slab. Changes state and counters and sends nothing; every reply waits for poll.
   * `checksumValid` and `segmentBytes` are what the device says (device.ts).
   */
  receive(
    iface: Interface,
    slab: Slab,
    at: number,
    bytes: number,
    checksumValid: boolean,
    segmentBytes: number,
    now: Millis,
  ): void {
    if (this.trace.on) this.trace.add('frame-in', now, 0, iface.index, bytes);
    const b = slab.bytes;
    const d = this.datagram;
    const end = at + bytes;
    let isV6: boolean;
    d.notUnicast = false;
    if (iface.config.link === 'ethernet') {
      const bad = this.link.readFrame(iface, b, at, end, d);
      if (bad !== null) return this.drop(bad, now);
      const type = etherType(b, at);
      at += ETHERNET_HEADER_BYTES;
      if (type === TYPE_ARP) {
        const refused = this.link.arpArrives(iface, b, at, end, now);
        if (refused !== null) this.drop(refused, now);
        return;
      }
      if (type !== TYPE_IPV4 && type !== TYPE_IPV6) return this.drop('ethernet-unknown-type', now);
      isV6 = type === TYPE_IPV6;
    } else {
      if (bytes === 0) return this.drop('ip-truncated', now);
      isV6 = b[at]! >>> 4 === 6;
    }
    const bad = isV6 ? readIpv6(b, at, end, d) : readIpv4(b, at, end, d);
    // An IPv6 header that asks for an answer gets one, if it was for us at all.
    if (bad !== null && (!isV6 || d.problemCode < 0)) return this.drop(bad, now);
    const refused = isV6 ? this.checkDestinationV6(iface, d) : this.checkDestinationV4(iface, d);
    if (refused !== null) return this.drop(refused, now);
    if (bad !== null) {
      this.drop(bad, now);
      return this.control.parameterProblem(d, now);
    }
    d.checksumValid = checksumValid;
    d.segmentBytes = segmentBytes;
    if (d.moreFragments || d.fragmentAt > 0) this.fragmentArrives(iface, d, now);
    else this.deliver(iface, d, slab, now);
  }

  /** A whole datagram goes to its transport. */
  private deliver(iface: Interface, d: Datagram, slab: Slab, now: Millis): void {
    switch (d.protocol) {
      case TCP:
        return this.tcp.receive(d, slab, now);
      case UDP:
        if (this.udp.receive(d)) this.control.portUnreachable(d, now);
        return;
      case ICMP:
        if (d.family === 4) return this.icmpArrives(iface, d, slab, now);
        break;
      case ICMPV6:
        if (d.family === 6) return this.icmpArrives(iface, d, slab, now);
        break;
    }
    this.drop('ip-unknown-protocol', now);
    this.control.protocolUnreachable(d, now);
  }

  drop(reason: Drop, now: Millis): void {
    this.drops.count(reason);
    if (this.trace.on) this.trace.drop(reason, now);
  }

  private icmpArrives(iface: Interface, d: Datagram, slab: Slab, now: Millis): void {
    const rest = this.control.arrives(d, slab, now);
    if (rest === null) return;
    if (d.family === 6 && (rest.type === NEIGHBOR_SOLICITATION || rest.type === NEIGHBOR_ADVERTISEMENT)) {
      const refused = this.link.neighborMessageArrives(iface, d, rest.type, now);
      if (refused !== null) this.drop(refused, now);
      return;
    }
    this.drop('icmp-unknown-type', now);
  }

  /** The last fragment delivers the datagram, put together behind the frames in the current slab. */
  private fragmentArrives(iface: Interface, d: Datagram, now: Millis): void {
    const done = this.reassembly.add(d, now);
    if (done === null) return;
    if (typeof done === 'string') return this.drop(done, now);
    const slab = this.slabs.current;
    const at = (slab.fill + 63) & ~63;
    if (at + done.length > slab.bytes.length) return this.drop('memory-pressure', now);
    slab.bytes.set(done.bytes.subarray(0, done.length), at);
    slab.fill = at + done.length;
    this.describeWhole(d, done, slab, at);
    const bad = d.family === 6 ? walkExtensions(d.bytes, d) : null;
    if (bad !== null) return this.drop(bad, now);
    d.pseudoSum = d.family === 6 ? pseudoSumOf(d) : pseudoSumV4(d.s3, d.d3, d.protocol) + (d.end - d.bodyAt);
    this.deliver(iface, d, slab, now);
  }

  private describeWhole(d: Datagram, done: PartialDatagram, slab: Slab, at: number): void {
    d.bytes = slab.bytes;
    d.headerAt = d.bodyAt = at;
    d.end = at + done.length;
    d.protocol = done.protocol;
    d.tos |= done.congestion;
    d.fragmentAt = 0;
    d.moreFragments = false;
    d.checksumValid = false;
    d.segmentBytes = 0;
  }

  /** RFC 1122 §3.2.1.3, §3.3.4.2: for one of our addresses, on whichever interface it came (the weak model, as Linux). */
  private checkDestinationV4(iface: Interface, d: Datagram): Drop | null {
    // 0.0.0.0/8 and loopback never stand on a wire.
    const sourceNet = d.s3 >>> 24;
    if (sourceNet === 0) return 'ip-bad-source';
    if (sourceNet === 127 && !iface.isLoopback) return 'ip-bad-source';
    for (const other of this.interfaces) {
      if (other.ownsWords(4, d.d0, d.d1, d.d2, d.d3)) return null;
    }
    if (d.d3 >>> 24 === 127) return iface.isLoopback ? null : 'ip-bad-destination';
    if (d.d3 >>> 28 === 14 || iface.isBroadcast(d.d3)) {
      d.notUnicast = true;
      return null;
    }
    return 'ip-not-for-us';
  }

  private checkDestinationV6(iface: Interface, d: Datagram): Drop | null {
    if (d.s0 === 0 && d.s1 === 0) {
      // ::1 on a wire, mapped and compatible addresses anywhere: nobody's source. :: asks for duplicates only.
      const unspecified = d.s2 === 0 && d.s3 === 0;
      const loopback = d.s2 === 0 && d.s3 === 1;
      if (unspecified ? d.protocol !== ICMPV6 : !(loopback && iface.isLoopback)) return 'ip-bad-source';
    }
    for (const other of this.interfaces) {
      if (other.ownsWords(6, d.d0, d.d1, d.d2, d.d3)) return null;
    }
    if (d.d0 >>> 24 === 0xff) {
      if (!iface.listensTo(d.d0, d.d1, d.d2, d.d3)) return 'ip-not-for-us';
      d.notUnicast = true;
      return null;
    }
    return 'ip-not-for-us';
  }

  // ── out ──

  /** Sends everything that is due. Returns false when an interface's queue is full: flush it and call again. */
  poll(now: Millis): boolean {
    this.out.now = now;
    for (let late = this.reassembly.expired(now); late !== null; late = this.reassembly.expired(now)) {
      this.drop('ip-fragment-timeout', now);
      if (late.first !== null) this.reportTimeout(late.first, now);
    }
    return this.link.poll(this.interfaces, now) && this.control.poll() && this.udp.poll() && this.tcp.poll(now);
  }

  private reportTimeout(first: Uint8Array, now: Millis): void {
    const d = new Datagram();
    const family = first[0]! >>> 4;
    // Cut to what errors quote: only the addresses are read here.
    if (family === 4) {
      d.family = 4;
      readAddressesV4(first, d);
    } else {
      readIpv6(first, 0, first.length, d);
    }
    this.control.reassemblyTimedOut(first, d, now);
  }

  nextDeadline(): Millis {
    return Math.min(this.tcp.nextDeadline(), this.link.nextDeadline(), this.reassembly.nextDeadline());
  }

  /** Something waits for poll already, whatever the time. */
  get wantsPoll(): boolean {
    return this.tcp.wantsPoll || this.control.wantsPoll || this.udp.wantsPoll || this.link.wantsPoll;
  }

  /**
   * After a batch was received and its owners were told: the device gets a slab with room. False when memory is
   * exhausted even after compaction: stop reading until an application takes what it was sent.
   */
  rotateSlab(): boolean {
    if (this.slabs.rotate()) return true;
    return this.tcp.store.compact() && this.slabs.rotate();
  }

  /** Gives all memory back. The stack must not be used any more. */
  close(): void {
    this.slabs.close();
    this.arenas.close();
  }

  // ── PathFinder ──

  pathTo(remote: Address, local: Address | null): IpPath | null {
    const key = remote.w3 ^ remote.w0;
    const known = this.paths.get(key);
    if (known !== undefined) {
      for (const path of known) {
        if (path.remote.equals(remote) && (local === null || path.local.equals(local))) return this.fresh(path);
      }
    }
    const made = this.makePath(remote, local);
    if (made === null) return null;
    // Connections keep their own path; forgetting all of them costs new connections a look-up.
    if (++this.pathCount > this.config.limits.pathsMax) {
      this.paths.clear();
      this.pathCount = 1;
    }
    const list = this.paths.get(key);
    if (list === undefined) this.paths.set(key, [made]);
    else list.push(made);
    return made;
  }

  /** A learned MTU is forgotten in time, so that a better path is found again. */
  private fresh(path: IpPath): IpPath {
    if (path.mtuExpires <= this.out.now) {
      path.mtu = path.linkMtu;
      path.mtuExpires = Number.POSITIVE_INFINITY;
    }
    return path;
  }

  private makePath(remote: Address, local: Address | null): IpPath | null {
    if (local !== null && (local.family !== remote.family || !this.isLocal(local))) return null;
    const route = this.routes.find(remote);
    if (route === null) return null;
    const source = local ?? this.routes.source(route, remote);
    if (source === null) return null;
    return new IpPath(source, remote, route.interface, route.gateway ?? remote, this.random.below(65_536));
  }

  isLocal(address: Address): boolean {
    return this.interfaces.some((iface) => iface.owns(address) || (iface.isLoopback && address.isLoopback));
  }

  doubt(path: IpPath): void {
    this.link.doubt(path);
  }

  confirm(path: IpPath): void {
    this.link.confirm(path);
  }
}

function readAddressesV4(header: Uint8Array, d: Datagram): void {
  const word = (at: number): number =>
    (header[at]! << 24) | (header[at + 1]! << 16) | (header[at + 2]! << 8) | header[at + 3]!;
  d.s2 = d.d2 = 0xffff;
  d.s3 = word(12);
  d.d3 = word(16);
}
