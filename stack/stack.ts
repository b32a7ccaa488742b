import { Address, Cidr } from './base/address';
import type { Bytes, Millis } from './base/bytes';
import { Datagram, ICMP, TCP } from './base/datagram';
import { type Drop, DropCounters } from './base/drops';
import { Arenas, BlockPool, heapRegions, type RegionSource, type Slab, SlabPool } from './base/memory';
import { Random } from './base/random';
import { Trace } from './base/trace';
import { NO_ROOM } from './base/transmit';
import { ARP_BYTES, ARP_REPLY, ARP_REQUEST, ArpPacket, readArp, writeArp } from './ethernet/arp';
import {
  BROADCAST_MAC,
  ETHERNET_HEADER_BYTES,
  etherType,
  isGroup,
  isSourceGroup,
  macEquals,
  TYPE_ARP,
  TYPE_IPV4,
  TYPE_IPV6,
  writeEthernet,
} from './ethernet/frame';
import { NEIGHBOR_DEFAULTS, type Neighbor, type NeighborConfig, Neighbors } from './ethernet/neighbors';
import { ECHO_REPLY, ECHO_REQUEST, ICMP_HEADER_BYTES, IcmpMessage, readIcmp, writeIcmp } from './ip/icmp';
import { Interface, type InterfaceConfig } from './ip/interface';
import { readIpv4 } from './ip/ipv4';
import { IpOutput, type LinkOutput } from './ip/output';
import { IpPath, Routes } from './ip/paths';
import { LINUX, type TcpProfile } from './tcp/profile';
import { type PathFinder, Tcp, type TcpLimits } from './tcp/tcp';

/** Caps: what one stack may hold at most. */
export interface StackLimits extends TcpLimits {
  /** Received text that waits, in slabs of 1 MiB. */
  readonly slabsMax: number;
  /** Written text that is not acknowledged, in bytes. */
  readonly sendBytesMax: number;
  readonly pathsMax: number;
  readonly echoesMax: number;
}

export const DEFAULT_LIMITS: StackLimits = {
  connectionsMax: 262_144,
  timeWaitsMax: 65_536,
  slabsMax: 64,
  sendBytesMax: 256 << 20,
  pathsMax: 4096,
  echoesMax: 64,
};

export interface StackConfig {
  /** All randomness comes from it: the same seed and the same calls give the same trace. */
  readonly seed: number;
  readonly profile: TcpProfile;
  readonly limits: StackLimits;
  readonly neighbors: NeighborConfig;
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
  regions: heapRegions,
  trace: false,
  traceCapacity: 1 << 16,
  poison: false,
};

/** An echo request to answer: its text stays in the slab until poll. */
interface Echo {
  readonly path: IpPath;
  readonly rest: number;
  readonly slab: Slab;
  readonly at: number;
  readonly bytes: number;
  readonly tos: number;
}

/** A link-level answer to send. */
interface ArpOut {
  readonly iface: Interface;
  readonly operation: number;
  readonly senderIp: number;
  readonly targetMac: Uint8Array | null;
  readonly targetIp: number;
}

/** Frames that were parked and may go now. */
interface Released {
  readonly iface: Interface;
  readonly frame: Uint8Array;
}

/**
 * The whole stack as a function of frames and time. `receive` takes one frame in and sends nothing; `poll` sends all that
 * is due into the interfaces' queues; `nextDeadline` says when time alone will change something. The only file that knows
 * all the layers.
 */
export class Stack implements PathFinder, LinkOutput {
  readonly drops = new DropCounters();
  readonly trace: Trace;
  readonly random: Random;
  readonly arenas: Arenas;
  readonly slabs: SlabPool;
  readonly blocks: BlockPool;
  readonly interfaces: Interface[] = [];
  readonly routes = new Routes();
  readonly tcp: Tcp;
  private readonly out: IpOutput;
  private readonly neighborsOf: (Neighbors | null)[] = [];
  private readonly datagram = new Datagram();
  private readonly icmp = new IcmpMessage();
  private readonly arp = new ArpPacket();
  private readonly paths = new Map<number, IpPath[]>();
  private pathCount = 0;
  private readonly echoes: Echo[] = [];
  private readonly arpOut: ArpOut[] = [];
  private readonly released: Released[] = [];

  constructor(readonly config: StackConfig) {
    this.trace = new Trace(config.trace, config.traceCapacity);
    this.random = new Random(config.seed);
    this.arenas = new Arenas(config.regions);
    this.slabs = new SlabPool(config.regions, config.limits.slabsMax, config.poison);
    this.blocks = new BlockPool(this.arenas, config.limits.sendBytesMax, config.poison);
    this.out = new IpOutput(this);
    this.tcp = new Tcp(
      config.profile,
      config.limits,
      this.random.fork(),
      this.blocks,
      this.slabs,
      this.out,
      this,
      this.drops,
      this.trace,
    );
  }

  // ── configuration ──

  /** Attaches a link, with a route to each of its addresses' subnets. */
  addInterface(config: InterfaceConfig): Interface {
    const iface = new Interface(this.interfaces.length, config, this.arenas);
    this.interfaces.push(iface);
    this.neighborsOf.push(config.link === 'ethernet' ? new Neighbors(this.config.neighbors) : null);
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
    return this.neighborsOf[iface.index]!;
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
    d.notUnicast = false;
    if (iface.config.link === 'ethernet') {
      const bad = this.readLink(iface, b, at, end, now);
      if (bad !== null) return this.drop(bad, now);
      if (etherType(b, at) === TYPE_ARP) return;
      at += ETHERNET_HEADER_BYTES;
    }
    const bad = readIpv4(b, at, end, d);
    if (bad !== null) return this.drop(bad, now);
    const refused = this.checkDestination(iface, d);
    if (refused !== null) return this.drop(refused, now);
    if (d.moreFragments || d.fragmentAt > 0) return this.drop('ip-fragment-limit', now);
    d.checksumValid = checksumValid;
    d.segmentBytes = segmentBytes;
    if (d.protocol === TCP) this.tcp.receive(d, slab, now);
    else if (d.protocol === ICMP) this.icmpArrives(d, slab, now);
    else this.drop('ip-unknown-protocol', now);
  }

  private drop(reason: Drop, now: Millis): void {
    this.drops.count(reason);
    if (this.trace.on) this.trace.drop(reason, now);
  }

  /** The link header; ARP is dealt with here. */
  private readLink(iface: Interface, b: Bytes, at: number, end: number, now: Millis): Drop | null {
    if (end - at < ETHERNET_HEADER_BYTES) return 'ethernet-truncated';
    if (isSourceGroup(b, at)) return 'ethernet-bad-source';
    const group = isGroup(b, at);
    if (!group && !macEquals(b, at, iface.config.mac!)) return 'ethernet-not-for-us';
    this.datagram.notUnicast = group;
    switch (etherType(b, at)) {
      case TYPE_IPV4:
        return null;
      case TYPE_ARP:
        return this.arpArrives(iface, b, at + ETHERNET_HEADER_BYTES, end, now);
      default:
        return 'ethernet-unknown-type';
    }
  }

  /** RFC 826 "Packet Reception", with RFC 5227's view of probes. */
  private arpArrives(iface: Interface, b: Bytes, at: number, end: number, now: Millis): Drop | null {
    const arp = this.arp;
    const bad = readArp(b, at, end, arp);
    if (bad !== null) return bad;
    const forUs = iface.ownsWords(4, 0, 0, 0xffff, arp.targetIp);
    if (arp.senderIp !== 0 && !iface.ownsWords(4, 0, 0, 0xffff, arp.senderIp)) {
      const answers = arp.operation === ARP_REPLY && forUs;
      const neighbor = this.neighborsOf[iface.index]!.confirm(
        Address.v4(arp.senderIp),
        arp.senderMac,
        0,
        answers,
        forUs && arp.operation === ARP_REQUEST,
        now,
      );
      if (neighbor !== null) this.releaseParked(iface, neighbor);
    }
    if (!forUs) return arp.operation === ARP_REQUEST ? 'arp-not-for-us' : null;
    if (arp.operation === ARP_REQUEST && this.arpOut.length < ARP_OUT_MAX) {
      this.arpOut.push({
        iface,
        operation: ARP_REPLY,
        senderIp: arp.targetIp,
        targetMac: arp.senderMac.slice(),
        targetIp: arp.senderIp,
      });
    }
    return null;
  }

  private releaseParked(iface: Interface, neighbor: Neighbor): void {
    for (const frame of neighbor.parked.splice(0)) {
      frame.set(neighbor.mac, 0);
      this.released.push({ iface, frame });
    }
  }

  /** RFC 1122 §3.2.1.3, §3.3.4.2: for one of our addresses, on whichever interface it came (the weak model, as Linux). */
  private checkDestination(iface: Interface, d: Datagram): Drop | null {
    // 0.0.0.0/8 and loopback never stand on a wire; a source that is our own is a forgery.
    const sourceNet = d.s3 >>> 24;
    if (d.s3 === 0 || sourceNet === 0) return 'ip-bad-source';
    if (sourceNet === 127 && !iface.ownsWords(4, 0, 0, 0xffff, d.s3)) return 'ip-bad-source';
    for (const other of this.interfaces) {
      if (other.ownsWords(d.family, d.d0, d.d1, d.d2, d.d3)) return null;
    }
    if (d.d3 >>> 24 === 127)
      return iface.addresses.some((cidr) => cidr.address.isLoopback) ? null : 'ip-bad-destination';
    if (d.d3 >>> 28 === 14 || iface.isBroadcast(d.d3)) {
      d.notUnicast = true;
      return null;
    }
    return 'ip-not-for-us';
  }

  private icmpArrives(d: Datagram, slab: Slab, now: Millis): void {
    const m = this.icmp;
    const bad = readIcmp(d, m);
    if (bad !== null) return this.drop(bad, now);
    if (m.type === ECHO_REPLY) return;
    if (m.type !== ECHO_REQUEST) return this.drop('icmp-unknown-type', now);
    // RFC 1122 §3.2.2.6 lets a host ignore echo requests to groups; answering them amplifies attacks.
    if (d.notUnicast) return this.drop('icmp-broadcast', now);
    if (this.echoes.length >= this.config.limits.echoesMax) return this.drop('icmp-rate-limited', now);
    const path = this.pathTo(new Address(4, d.s0, d.s1, d.s2, d.s3), new Address(4, d.d0, d.d1, d.d2, d.d3));
    if (path === null) return this.drop('ip-no-route', now);
    slab.refs++;
    this.echoes.push({ path, rest: m.rest, slab, at: m.bodyAt, bytes: m.end - m.bodyAt, tos: d.tos });
  }

  // ── out ──

  /** Sends everything that is due. Returns false when an interface's queue is full: flush it and call again. */
  poll(now: Millis): boolean {
    this.out.now = now;
    for (const iface of this.interfaces) {
      const neighbors = this.neighborsOf[iface.index]!;
      if (neighbors !== null && !this.pollNeighbors(iface, neighbors, now)) return false;
    }
    return this.pollLink() && this.pollEchoes() && this.tcp.poll(now);
  }

  private pollNeighbors(iface: Interface, neighbors: Neighbors, now: Millis): boolean {
    neighbors.expire(now);
    while (neighbors.due.length > 0) {
      const neighbor = neighbors.due[0]!;
      if (neighbor.requestDue && !this.solicit(iface, neighbor)) return false;
      neighbor.requestDue = false;
      neighbors.due.shift();
    }
    for (const neighbor of neighbors.failed.splice(0)) {
      for (const _ of neighbor.parked.splice(0)) this.drop('ip-no-neighbor', now);
    }
    return true;
  }

  /** RFC 826 request: to everyone while the address is unknown, to its owner while it is only doubted. */
  private solicit(iface: Interface, neighbor: Neighbor): boolean {
    const source = this.routes.source(
      { destination: new Cidr(neighbor.address, 32), gateway: null, interface: iface, metric: 0 },
      neighbor.address,
    );
    if (source === null) return true;
    const to = neighbor.state === 'PROBE' ? neighbor.mac : BROADCAST_MAC;
    return this.sendArp(
      { iface, operation: ARP_REQUEST, senderIp: source.w3, targetMac: null, targetIp: neighbor.address.w3 },
      to,
    );
  }

  private sendArp(arp: ArpOut, to: Uint8Array): boolean {
    const queue = arp.iface.tx;
    if (!queue.hasRoom) return false;
    const at = queue.begin();
    const mac = arp.iface.config.mac!;
    writeEthernet(queue.header, at, to, mac, TYPE_ARP);
    writeArp(queue.header, at + ETHERNET_HEADER_BYTES, arp.operation, mac, arp.senderIp, arp.targetMac, arp.targetIp);
    queue.headers(ETHERNET_HEADER_BYTES + ARP_BYTES);
    queue.commit();
    return true;
  }

  private pollLink(): boolean {
    while (this.arpOut.length > 0) {
      const arp = this.arpOut[0]!;
      if (!this.sendArp(arp, arp.targetMac ?? BROADCAST_MAC)) return false;
      this.arpOut.shift();
    }
    while (this.released.length > 0) {
      const { iface, frame } = this.released[0]!;
      const queue = iface.tx;
      if (!queue.hasRoom) return false;
      const at = queue.begin();
      queue.header.set(frame, at);
      queue.headers(frame.length);
      queue.commit();
      this.released.shift();
    }
    return true;
  }

  private pollEchoes(): boolean {
    while (this.echoes.length > 0) {
      const echo = this.echoes[0]!;
      const at = this.out.begin(echo.path);
      if (at === NO_ROOM) return false;
      const bodyAt = at + ICMP_HEADER_BYTES;
      this.out.header.set(echo.slab.bytes.subarray(echo.at, echo.at + echo.bytes), bodyAt);
      writeIcmp(this.out.header, at, ECHO_REPLY, 0, echo.rest, echo.bytes);
      this.out.end(ICMP_HEADER_BYTES + echo.bytes, ICMP, echo.tos, 64, -1, 0);
      echo.slab.refs--;
      this.echoes.shift();
    }
    return true;
  }

  nextDeadline(): Millis {
    let next = this.tcp.nextDeadline();
    for (const neighbors of this.neighborsOf) if (neighbors !== null) next = Math.min(next, neighbors.nextDeadline());
    return next;
  }

  /** Gives all memory back. The stack must not be used any more. */
  close(): void {
    this.slabs.close();
    this.arenas.close();
  }

  /** Something waits for poll already, whatever the time. */
  get wantsPoll(): boolean {
    if (this.tcp.wantsPoll || this.echoes.length > 0 || this.arpOut.length > 0 || this.released.length > 0) return true;
    return this.neighborsOf.some((neighbors) => neighbors !== null && neighbors.due.length > 0);
  }

  /**
   * After a batch was received and its owners were told: the device gets a slab with room. False when memory is
   * exhausted even after compaction: stop reading until an application takes what it was sent.
   */
  rotateSlab(): boolean {
    if (this.slabs.rotate()) return true;
    return this.tcp.store.compact() && this.slabs.rotate();
  }

  // ── PathFinder ──

  pathTo(remote: Address, local: Address | null): IpPath | null {
    const key = remote.w3 ^ remote.w0;
    const known = this.paths.get(key);
    if (known !== undefined) {
      for (const path of known) {
        if (path.remote.equals(remote) && (local === null || path.local.equals(local))) return path;
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

  private makePath(remote: Address, local: Address | null): IpPath | null {
    if (local !== null && !this.isLocal(local)) return null;
    const route = this.routes.find(remote);
    if (route === null) return null;
    const source = local ?? this.routes.source(route, remote);
    if (source === null) return null;
    return new IpPath(source, remote, route.interface, route.gateway ?? remote, this.random.below(65_536));
  }

  isLocal(address: Address): boolean {
    return this.interfaces.some(
      (iface) =>
        iface.owns(address) ||
        (address.isLoopback && iface.addresses.some((cidr) => cidr.contains(address) && cidr.address.isLoopback)),
    );
  }

  doubt(path: IpPath): void {
    const neighbors = this.neighborsOf[path.iface.index]!;
    const neighbor = neighbors?.get(path.nextHop);
    if (neighbor !== undefined && neighbor.state === 'REACHABLE') neighbor.state = 'STALE';
  }

  confirm(path: IpPath): void {
    const neighbor = path.neighbor as Neighbor | null;
    if (neighbor !== null && neighbor.state !== 'REACHABLE') {
      this.neighborsOf[path.iface.index]!.reachable(neighbor, this.out.now);
    }
  }

  // ── LinkOutput ──

  resolve(path: IpPath, now: Millis): boolean {
    const neighbors = this.neighborsOf[path.iface.index]!;
    let neighbor = path.neighbor as Neighbor | null;
    if (neighbor === null || neighbor.state === 'FAILED') {
      neighbor = neighbors.resolve(path.nextHop, now);
      path.neighbor = neighbor;
    }
    if (neighbor.state !== 'REACHABLE') neighbors.use(neighbor, now);
    return neighbor.usable;
  }

  writeHeader(path: IpPath, b: Uint8Array, at: number): void {
    writeEthernet(b, at, path.neighbor!.mac, path.iface.config.mac!, path.local.family === 4 ? TYPE_IPV4 : TYPE_IPV6);
  }

  park(path: IpPath, frame: Uint8Array): void {
    const displaced = this.neighborsOf[path.iface.index]!.park(path.neighbor as Neighbor, frame);
    for (let i = 0; i < displaced; i++) this.drop('ip-no-neighbor', this.out.now);
  }

  lost(): void {
    this.drop('ip-no-neighbor', this.out.now);
  }

  sent(path: IpPath, bytes: number): void {
    if (this.trace.on) this.trace.add('frame-out', this.out.now, 0, path.iface.index, bytes);
  }
}

const ARP_OUT_MAX = 64;
