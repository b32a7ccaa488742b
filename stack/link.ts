import { Address, Cidr } from './base/address';
import type { Bytes, Millis } from './base/bytes';
import { type Datagram, ICMPV6 } from './base/datagram';
import type { Drop } from './base/drops';
import { NO_ROOM } from './base/transmit';
import { ARP_BYTES, ARP_REPLY, ARP_REQUEST, ArpPacket, readArp, writeArp } from './ethernet/arp';
import {
  BROADCAST_MAC,
  ETHERNET_HEADER_BYTES,
  isGroup,
  isSourceGroup,
  macEquals,
  TYPE_ARP,
  TYPE_IPV4,
  TYPE_IPV6,
  writeEthernet,
} from './ethernet/frame';
import { type Neighbor, type NeighborConfig, Neighbors } from './ethernet/neighbors';
import { ICMP_CHECKSUM, ICMP_HEADER_BYTES, writeIcmp } from './ip/icmp';
import type { Interface } from './ip/interface';
import {
  advertisementFlags,
  multicastMac,
  NEIGHBOR_ADVERTISEMENT,
  NEIGHBOR_MESSAGE_BYTES,
  NEIGHBOR_SOLICITATION,
  NeighborMessage,
  readNeighborMessage,
  solicitedNode,
  writeNeighborBody,
} from './ip/ndp';
import type { IpOutput, LinkOutput } from './ip/output';
import { IpPath, type Routes } from './ip/paths';

/** A frame of the link layer's own to send. */
interface LinkOut {
  readonly iface: Interface;
  /** Called when there is room; false when there was none after all. */
  readonly build: () => boolean;
}

const LINK_OUT_MAX = 64;
const NDP_HOP_LIMIT = 255;

/**
 * What stands between IP and the frames of a link with addresses: resolution by ARP and Neighbor Discovery, and frames
 * that wait for it. On a link without addresses (TUN) it does nothing.
 */
export class LinkLayer implements LinkOutput {
  private readonly neighborsOf: (Neighbors | null)[] = [];
  private readonly arp = new ArpPacket();
  private readonly message = new NeighborMessage();
  private readonly waiting: LinkOut[] = [];
  out!: IpOutput;
  now: Millis = 0;

  constructor(
    private readonly config: NeighborConfig,
    private readonly routes: Routes,
    private readonly drop: (reason: Drop, now: Millis) => void,
    private readonly frameSent: (path: IpPath, bytes: number) => void,
  ) {}

  add(iface: Interface): void {
    this.neighborsOf.push(iface.config.link === 'ethernet' ? new Neighbors(this.config) : null);
  }

  neighbors(iface: Interface): Neighbors | null {
    return this.neighborsOf[iface.index]!;
  }

  // ── in ──

  /** Judges the link header; sets `d.notUnicast`. */
  readFrame(iface: Interface, b: Bytes, at: number, end: number, d: Datagram): Drop | null {
    if (end - at < ETHERNET_HEADER_BYTES) return 'ethernet-truncated';
    if (isSourceGroup(b, at)) return 'ethernet-bad-source';
    const group = isGroup(b, at);
    if (!group && !macEquals(b, at, iface.config.mac!)) return 'ethernet-not-for-us';
    d.notUnicast = group;
    return null;
  }

  /** RFC 826 "Packet Reception", with RFC 5227's view of probes. */
  arpArrives(iface: Interface, b: Bytes, at: number, end: number, now: Millis): Drop | null {
    const arp = this.arp;
    const bad = readArp(b, at, end, arp);
    if (bad !== null) return bad;
    const forUs = iface.ownsWords(4, 0, 0, 0xffff, arp.targetIp);
    if (arp.senderIp !== 0 && !iface.ownsWords(4, 0, 0, 0xffff, arp.senderIp)) {
      const answers = arp.operation === ARP_REPLY && forUs;
      const asksForUs = forUs && arp.operation === ARP_REQUEST;
      this.learn(iface, Address.v4(arp.senderIp), arp.senderMac, 0, answers, asksForUs, now);
    }
    if (!forUs) return arp.operation === ARP_REQUEST ? 'arp-not-for-us' : null;
    if (arp.operation === ARP_REQUEST) {
      const to = arp.senderMac.slice();
      const { targetIp, senderIp } = arp;
      this.later(iface, () => this.sendArp(iface, ARP_REPLY, targetIp, to, senderIp, to));
    }
    return null;
  }

  /** RFC 4861 §7.2.3, §7.2.5: a solicitation or an advertisement. */
  neighborMessageArrives(iface: Interface, d: Datagram, type: number, now: Millis): Drop | null {
    const m = this.message;
    const isAdvertisement = type === NEIGHBOR_ADVERTISEMENT;
    const bad = readNeighborMessage(d, isAdvertisement, m);
    if (bad !== null) return bad;
    const neighbors = this.neighbors(iface);
    if (neighbors === null) return null;
    const source = new Address(6, d.s0, d.s1, d.s2, d.s3);
    if (isAdvertisement) {
      if (m.macAt >= 0) this.learn(iface, m.target, d.bytes, m.macAt, m.solicited, false, now);
      else if (m.solicited) this.reachableAgain(neighbors, m.target, now);
      return null;
    }
    if (!iface.owns(m.target)) return 'ndp-not-for-us';
    const { target } = m;
    if (source.isUnspecified) {
      // Somebody else wants our address: the advertisement to all nodes tells him (§7.2.4).
      this.later(iface, () => this.sendAdvertisement(iface, target, null));
      return null;
    }
    if (m.macAt >= 0) this.learn(iface, source, d.bytes, m.macAt, false, true, now);
    this.later(iface, () => this.sendAdvertisement(iface, target, source));
    return null;
  }

  private reachableAgain(neighbors: Neighbors, address: Address, now: Millis): void {
    const neighbor = neighbors.get(address);
    if (neighbor !== undefined) neighbors.reachable(neighbor, now);
  }

  private learn(
    iface: Interface,
    address: Address,
    mac: Uint8Array,
    macAt: number,
    solicited: boolean,
    create: boolean,
    now: Millis,
  ): void {
    const neighbor = this.neighbors(iface)!.confirm(address, mac, macAt, solicited, create, now);
    if (neighbor === null) return;
    for (const frame of neighbor.parked.splice(0)) {
      frame.set(neighbor.mac, 0);
      this.later(iface, () => sendFrame(iface, frame));
    }
  }

  private later(iface: Interface, build: () => boolean): void {
    if (this.waiting.length < LINK_OUT_MAX) this.waiting.push({ iface, build });
    else this.drop('ip-no-neighbor', this.now);
  }

  // ── out ──

  /** Requests that are due, answers, frames released. False when an interface's queue is full. */
  poll(interfaces: readonly Interface[], now: Millis): boolean {
    this.now = now;
    for (const iface of interfaces) {
      const neighbors = this.neighbors(iface);
      if (neighbors !== null && !this.pollNeighbors(iface, neighbors, now)) return false;
    }
    while (this.waiting.length > 0) {
      const next = this.waiting[0]!;
      if (!next.iface.tx.hasRoom || !next.build()) return false;
      this.waiting.shift();
    }
    return true;
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

  /** To everyone (ARP) or to the few that may be meant (NDP) while the address is unknown, to its owner while in doubt. */
  private solicit(iface: Interface, neighbor: Neighbor): boolean {
    const { address } = neighbor;
    if (!iface.tx.hasRoom) return false;
    const onLink = { destination: new Cidr(address, 0), gateway: null, interface: iface, metric: 0 };
    const source = this.routes.source(onLink, address);
    if (source === null) return true;
    if (address.family === 4) {
      const to = neighbor.state === 'PROBE' ? neighbor.mac : BROADCAST_MAC;
      return this.sendArp(iface, ARP_REQUEST, source.w3, null, address.w3, to);
    }
    const group = solicitedNode(address);
    const path = new IpPath(source, neighbor.state === 'PROBE' ? address : group, iface, address, 0);
    path.neighbor = neighbor.state === 'PROBE' ? neighbor : { address: group, mac: multicastMac(group), usable: true };
    return this.sendNeighborMessage(path, NEIGHBOR_SOLICITATION, 0, address);
  }

  private sendAdvertisement(iface: Interface, target: Address, to: Address | null): boolean {
    const group = new Address(6, 0xff020000 | 0, 0, 0, 1);
    const path = new IpPath(target, to ?? group, iface, to ?? group, 0);
    if (to === null) path.neighbor = { address: group, mac: multicastMac(group), usable: true };
    return this.sendNeighborMessage(path, NEIGHBOR_ADVERTISEMENT, advertisementFlags(to !== null), target);
  }

  private sendNeighborMessage(path: IpPath, type: number, flags: number, target: Address): boolean {
    const at = this.out.begin(path);
    if (at === NO_ROOM) return false;
    const b = this.out.header;
    writeNeighborBody(b, at + ICMP_HEADER_BYTES, target, type === NEIGHBOR_ADVERTISEMENT, path.iface.config.mac!);
    writeIcmp(b, at, type, 0, flags, 0);
    b[at + ICMP_CHECKSUM] = 0;
    b[at + ICMP_CHECKSUM + 1] = 0;
    this.out.end(NEIGHBOR_MESSAGE_BYTES, ICMPV6, 0, NDP_HOP_LIMIT, ICMP_CHECKSUM, 0);
    return true;
  }

  private sendArp(
    iface: Interface,
    operation: number,
    senderIp: number,
    targetMac: Uint8Array | null,
    targetIp: number,
    to: Uint8Array,
  ): boolean {
    const queue = iface.tx;
    const at = queue.begin();
    const mac = iface.config.mac!;
    writeEthernet(queue.header, at, to, mac, TYPE_ARP);
    writeArp(queue.header, at + ETHERNET_HEADER_BYTES, operation, mac, senderIp, targetMac, targetIp);
    queue.headers(ETHERNET_HEADER_BYTES + ARP_BYTES);
    queue.commit();
    return true;
  }

  nextDeadline(): Millis {
    let next = Number.POSITIVE_INFINITY;
    for (const neighbors of this.neighborsOf) if (neighbors !== null) next = Math.min(next, neighbors.nextDeadline());
    return next;
  }

  get wantsPoll(): boolean {
    return (
      this.waiting.length > 0 || this.neighborsOf.some((neighbors) => neighbors !== null && neighbors.due.length > 0)
    );
  }

  // ── LinkOutput ──

  resolve(path: IpPath, now: Millis): boolean {
    const neighbors = this.neighbors(path.iface)!;
    const known = path.neighbor;
    // A group's address is computed, not asked for.
    if (known?.address.isMulticast) return true;
    let neighbor = known as Neighbor | null;
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
    const displaced = this.neighbors(path.iface)!.park(path.neighbor as Neighbor, frame);
    for (let i = 0; i < displaced; i++) this.drop('ip-no-neighbor', this.now);
  }

  lost(): void {
    this.drop('ip-no-neighbor', this.now);
  }

  sent(path: IpPath, bytes: number): void {
    this.frameSent(path, bytes);
  }

  /** TCP doubts the path: the next use asks again (MUST-20). */
  doubt(path: IpPath): void {
    const neighbor = this.neighbors(path.iface)?.get(path.nextHop);
    if (neighbor !== undefined && neighbor.state === 'REACHABLE') neighbor.state = 'STALE';
  }

  /** TCP made progress over the path. */
  confirm(path: IpPath): void {
    const neighbor = path.neighbor as Neighbor | null;
    if (neighbor === null || neighbor.state === 'REACHABLE') return;
    this.neighbors(path.iface)?.reachable(neighbor, this.now);
  }
}

function sendFrame(iface: Interface, frame: Uint8Array): boolean {
  const queue = iface.tx;
  const at = queue.begin();
  queue.header.set(frame, at);
  queue.headers(frame.length);
  queue.commit();
  return true;
}
