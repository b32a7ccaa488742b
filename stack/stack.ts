import { type Address, type Cidr, MAPPED } from './base/address';
import type { Millis } from './base/bytes';
import { Datagram, ICMP, ICMPV6, TCP, UDP } from './base/datagram';
import { type Drop, DropCounters } from './base/drops';
import { Arenas, BlockPool, heapRegions, type RegionSource, Slab, SlabPool } from './base/memory';
import { Random } from './base/random';
import { Trace } from './base/trace';
import { Control } from './control';
import { ETHERNET_HEADER_BYTES, etherType, TYPE_ARP, TYPE_IPV4, TYPE_IPV6 } from './ethernet/frame';
import { NEIGHBOR_DEFAULTS, NEIGHBOR_STATE_NUMBERS, type NeighborConfig, type Neighbors } from './ethernet/neighbors';
import { type IcmpLimits, IcmpSender } from './icmp-sender';
import { REDIRECT_V6 } from './ip/icmp';
import { Interface, type InterfaceConfig } from './ip/interface';
import { readIpv4 } from './ip/ipv4';
import { readIpv6 } from './ip/ipv6';
import { NEIGHBOR_ADVERTISEMENT, NEIGHBOR_SOLICITATION } from './ip/ndp';
import { IpOutput } from './ip/output';
import { type IpPath, Paths } from './ip/paths';
import {
  type Partial as PartialDatagram,
  REASSEMBLY_DEFAULTS,
  Reassembly,
  type ReassemblyLimits,
} from './ip/reassembly';
import { Routes } from './ip/routes';
import { type LinkEvents, LinkLayer } from './link';
import { LINUX, type TcpProfile } from './tcp/profile';
import { type PathFinder, Tcp, type TcpLimits } from './tcp/tcp';
import { Udp, type UdpSocket } from './udp/udp';

/** Caps: what one stack may hold at most. */
export interface StackLimits extends TcpLimits, IcmpLimits {
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
  /** Whether routers may name better first hops (RFC 1122 §3.2.2.2, RFC 4861 §8). */
  readonly acceptRedirects: boolean;
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
  acceptRedirects: true,
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
  readonly paths: Paths;
  private readonly out: IpOutput;
  private readonly icmp: IcmpSender;
  private readonly reassembly: Reassembly;
  private readonly datagram = new Datagram();

  constructor(readonly config: StackConfig) {
    const { limits, profile, acceptRedirects } = config;
    const drop = (reason: Drop, now: Millis): void => this.drop(reason, now);
    this.trace = new Trace(config.trace, config.traceCapacity);
    this.random = new Random(config.seed);
    this.arenas = new Arenas(config.regions);
    this.slabs = new SlabPool(config.regions, limits.slabsMax, config.poison);
    this.blocks = new BlockPool(this.arenas, limits.sendBytesMax, config.poison);
    this.link = new LinkLayer(config.neighbors, this.routes, acceptRedirects, this.linkEvents());
    this.out = new IpOutput(this.link);
    const tcpRandom = this.random.fork();
    const udpRandom = this.random.fork();
    this.paths = new Paths(this.interfaces, this.routes, this.random.fork(), limits.pathsMax);
    this.link.out = this.out;
    this.link.paths = this.paths;
    this.reassembly = new Reassembly(config.reassembly, this.random.int32(), drop);
    this.icmp = new IcmpSender(limits, this.random.fork(), this.paths, this.out, drop);
    this.tcp = new Tcp(profile, limits, tcpRandom, this.blocks, this.slabs, this.out, this, this.drops, this.trace);
    this.udp = new Udp(udpRandom, profile.ephemeralPorts, this.out, this.paths, this.drops);
    const hardErrorsAbort = profile.name === 'rfc';
    this.control = new Control(this.paths, this.icmp, this.tcp, this.udp, hardErrorsAbort, acceptRedirects, drop);
  }

  private linkEvents(): LinkEvents {
    const { trace } = this;
    return {
      drop: (reason, now) => this.drop(reason, now),
      frameSent: (iface, bytes) => {
        if (trace.on) trace.add('frame-out', this.out.now, 0, iface.index, bytes);
      },
      neighborChanged: (_iface, neighbor, from, now) => {
        if (!trace.on) return;
        trace.add('neighbor', now, 0, NEIGHBOR_STATE_NUMBERS[from], NEIGHBOR_STATE_NUMBERS[neighbor.state]);
      },
      unreachable: (iface, frame, now) => this.control.unreachable(iface, frame, now),
    };
  }

  // ── configuration ──

  /** Attaches a link, with a route to each of its addresses' subnets. */
  addInterface(config: InterfaceConfig): Interface {
    const iface = new Interface(this.interfaces.length, config, this.arenas);
    this.interfaces.push(iface);
    this.blocks.queues.push(iface.tx);
    this.link.add(iface);
    for (const cidr of config.addresses) {
      this.routes.add({ destination: cidr, gateway: null, interface: iface, metric: 0 });
    }
    return iface;
  }

  addRoute(destination: Cidr, gateway: Address | null, iface: Interface, metric = 0): void {
    this.routes.add({ destination, gateway, interface: iface, metric });
    this.paths.clear();
  }

  /** Gives a link one address more; a route to its subnet is the caller's to add. */
  addAddress(iface: Interface, cidr: Cidr): void {
    iface.addAddress(cidr);
    this.paths.clear();
  }

  /**
   * `socket` hears what is sent to `group` on `iface` from now on. Routers and switches are not told (no IGMP, no MLD): what
   * they hold back does not come. False when it is a member already.
   */
  joinGroup(socket: UdpSocket, group: Address, iface: Interface): boolean {
    if (socket.memberships.some((other) => other.link === iface && other.group.equals(group))) return false;
    socket.memberships.push({ group, link: iface });
    iface.join(group);
    return true;
  }

  /** False when it was no member. */
  leaveGroup(socket: UdpSocket, group: Address, iface: Interface): boolean {
    const at = socket.memberships.findIndex((other) => other.link === iface && other.group.equals(group));
    if (at < 0) return false;
    socket.memberships.splice(at, 1);
    iface.leave(group);
    return true;
  }

  /** Closes a socket, which leaves its groups. */
  closeUdp(socket: UdpSocket): void {
    for (const { group, link } of socket.memberships.splice(0)) (link as Interface).leave(group);
    this.udp.close(socket);
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
    if (!iface.up) return this.drop('interface-down', now);
    const b = slab.bytes;
    const d = this.datagram;
    const end = at + bytes;
    let isV6: boolean;
    d.notUnicast = d.fragmented = false;
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
    d.checksumValid = checksumValid;
    d.segmentBytes = segmentBytes;
    this.datagramArrives(iface, d, slab, at, end, isV6, now);
  }

  /** [at, end) is a datagram, perhaps with a link's padding behind it. */
  private datagramArrives(
    iface: Interface,
    d: Datagram,
    slab: Slab,
    at: number,
    end: number,
    isV6: boolean,
    now: Millis,
  ): void {
    const bad = isV6 ? readIpv6(slab.bytes, at, end, d) : readIpv4(slab.bytes, at, end, d);
    // An IPv6 header that asks for an answer gets one, if it was for us at all.
    if (bad !== null && d.problemCode < 0) return this.drop(bad, now);
    const refused = isV6 ? this.checkAddressesV6(iface, d) : this.checkAddressesV4(iface, d);
    if (refused !== null) return this.drop(refused, now);
    if (bad !== null) {
      this.drop(bad, now);
      return this.control.parameterProblem(d, now);
    }
    if (d.moreFragments || d.fragmentAt > 0) this.fragmentArrives(iface, d, now);
    else this.deliver(iface, d, slab, now);
  }

  /** A whole datagram goes to its transport. */
  private deliver(iface: Interface, d: Datagram, slab: Slab, now: Millis): void {
    switch (d.protocol) {
      case TCP:
        return this.tcp.receive(d, slab, now);
      case UDP: {
        const refused = this.udp.receive(d);
        if (refused === null) return;
        this.drop(refused, now);
        if (refused === 'udp-no-port') this.control.portUnreachable(d, now);
        return;
      }
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
    const rest = this.control.arrives(iface, d, slab, now);
    if (rest === null) return;
    let refused: Drop | null = 'icmp-unknown-type';
    if (d.family === 6) {
      const { type } = rest;
      if (type === REDIRECT_V6) refused = this.link.redirectArrives(iface, d, now);
      else if (type === NEIGHBOR_SOLICITATION || type === NEIGHBOR_ADVERTISEMENT)
        refused = this.link.neighborMessageArrives(iface, d, type, now);
    }
    if (refused !== null) this.drop(refused, now);
  }

  /** The last fragment delivers the datagram, as if it had come whole. */
  private fragmentArrives(iface: Interface, d: Datagram, now: Millis): void {
    const done = this.reassembly.add(d, now);
    if (done === null) return;
    if (typeof done === 'string') {
      this.drop(done, now);
      if (d.problemCode >= 0) this.control.parameterProblem(d, now);
      return;
    }
    const slab = this.slabFor(done);
    if (slab === null) return this.drop('memory-pressure', now);
    const at = slab.fill - done.bytes;
    done.write(slab.bytes, at);
    d.checksumValid = false;
    d.segmentBytes = 0;
    d.notUnicast = done.notUnicast;
    this.datagramArrives(iface, d, slab, at, at + done.bytes, done.family === 6, now);
  }

  /**
   * Where a datagram that was put together goes: into memory of its own if nobody keeps its text where it lies, else (TCP,
   * and extension headers with who knows what behind them) behind the frames in the current slab.
   */
  private slabFor({ protocol, bytes }: PartialDatagram): Slab | null {
    if (protocol === UDP || protocol === ICMP || protocol === ICMPV6) {
      const own = new Slab(-1, new Uint8Array(bytes));
      own.fill = bytes;
      return own;
    }
    const slab = this.slabs.current;
    const at = (slab.fill + 63) & ~63;
    if (at + bytes > slab.bytes.length) return null;
    slab.fill = at + bytes;
    return slab;
  }

  // ── addresses ──

  /** RFC 1122 §3.2.1.3, §3.3.4.2: for one of our addresses, on whichever interface it came (the weak model, as Linux). */
  private checkAddressesV4(iface: Interface, d: Datagram): Drop | null {
    const { s3: source, d3: destination } = d;
    // The loopback network never stands on a wire.
    if (!iface.isLoopback) {
      if (source >>> 24 === 127) return 'ip-bad-source';
      if (destination >>> 24 === 127) return 'ip-bad-destination';
      // What claims to come from ourselves does not.
      if (this.ownsWords(4, 0, 0, MAPPED, source)) return 'ip-bad-source';
    }
    // 0.0.0.0 asks for an address, everybody's help wanted; nothing else comes from "this network".
    if (source >>> 24 === 0 && (source !== 0 || destination !== -1)) return 'ip-bad-source';
    if (iface.isBroadcast(source)) return 'ip-bad-source';
    const isOurs = iface.isLoopback && destination >>> 24 === 127;
    if (isOurs || this.ownsWords(4, 0, 0, MAPPED, destination)) {
      // A link broadcast with a single host inside is somebody's mistake, or a trick (RFC 1122 §3.3.6).
      return d.notUnicast ? 'ip-bad-destination' : null;
    }
    const isGroup = destination >>> 28 === 14 ? iface.listensToV4(destination) : iface.isBroadcast(destination);
    if (!isGroup) return 'ip-not-for-us';
    d.notUnicast = true;
    return null;
  }

  private checkAddressesV6(iface: Interface, d: Datagram): Drop | null {
    if (d.s0 === 0 && d.s1 === 0) {
      // ::1 on a wire, mapped and compatible addresses anywhere: nobody's source. :: asks for duplicates only.
      const isUnspecified = d.s2 === 0 && d.s3 === 0;
      const isLoopback = d.s2 === 0 && d.s3 === 1;
      if (isUnspecified ? d.protocol !== ICMPV6 : !(isLoopback && iface.isLoopback)) return 'ip-bad-source';
    }
    if (!iface.isLoopback) {
      if (d.d0 === 0 && d.d1 === 0 && d.d2 === 0 && d.d3 === 1) return 'ip-bad-destination';
      if (this.ownsWords(6, d.s0, d.s1, d.s2, d.s3)) return 'ip-bad-source';
    }
    if (d.d0 >>> 24 === 0xff) {
      if (!iface.listensTo(d.d0, d.d1, d.d2, d.d3)) return 'ip-not-for-us';
      d.notUnicast = true;
      return null;
    }
    // A link-local address is another one on every link (RFC 4007 §4).
    const isLinkLocal = d.d0 >>> 22 === 0x3fa;
    const isOurs = isLinkLocal
      ? iface.isLoopback || iface.ownsWords(6, d.d0, d.d1, d.d2, d.d3)
      : this.ownsWords(6, d.d0, d.d1, d.d2, d.d3);
    return isOurs ? null : 'ip-not-for-us';
  }

  private ownsWords(family: 4 | 6, w0: number, w1: number, w2: number, w3: number): boolean {
    const { interfaces } = this;
    for (let i = 0; i < interfaces.length; i++) if (interfaces[i]!.ownsWords(family, w0, w1, w2, w3)) return true;
    return false;
  }

  // ── out ──

  /** Sends everything that is due. Returns false when an interface's queue is full: flush it and call again. */
  poll(now: Millis): boolean {
    this.out.now = now;
    this.blocks.settle();
    for (let late = this.reassembly.expired(now); late !== null; late = this.reassembly.expired(now)) {
      this.drop('ip-fragment-timeout', now);
      if (late.first !== null) this.reportTimeout(late, late.first, now);
    }
    this.control.expire(now);
    const { link, interfaces } = this;
    return (
      link.poll(interfaces, now) &&
      this.icmp.poll() &&
      this.udp.poll() &&
      this.tcp.poll(now) &&
      // What was just sent may need link addresses that nobody knows yet.
      (!link.wantsPoll || link.poll(interfaces, now))
    );
  }

  private reportTimeout(late: PartialDatagram, first: Uint8Array, now: Millis): void {
    const d = new Datagram();
    const bad = late.family === 4 ? readIpv4(first, 0, first.length, d) : readIpv6(first, 0, first.length, d);
    if (bad !== null) return;
    d.notUnicast = late.notUnicast;
    this.control.reassemblyTimedOut(d, now);
  }

  nextDeadline(): Millis {
    const ip = Math.min(this.link.nextDeadline(), this.reassembly.nextDeadline(), this.paths.nextDeadline());
    return Math.min(this.tcp.nextDeadline(), ip);
  }

  /** Something waits for poll already, whatever the time. */
  get wantsPoll(): boolean {
    return this.tcp.wantsPoll || this.icmp.wantsPoll || this.udp.wantsPoll || this.link.wantsPoll;
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
    return this.paths.to(remote, local);
  }

  isLocal(address: Address): boolean {
    return this.paths.isLocal(address);
  }

  isBroadcast(address: Address): boolean {
    return this.paths.isBroadcast(address);
  }

  doubt(path: IpPath): void {
    this.link.doubt(path);
  }

  confirm(path: IpPath): void {
    this.link.confirm(path);
  }
}
