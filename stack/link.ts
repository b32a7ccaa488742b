import { Address } from './base/address';
import type { Bytes, Millis } from './base/bytes';
import type { Datagram } from './base/datagram';
import type { Drop } from './base/drops';
import { ARP_REPLY, ARP_REQUEST, ArpPacket, readArp } from './ethernet/arp';
import {
  BROADCAST_MAC,
  ETHERNET_HEADER_BYTES,
  isGroup,
  isSourceGroup,
  macEquals,
  TYPE_IPV4,
  TYPE_IPV6,
  writeEthernet,
} from './ethernet/frame';
import { Neighbor, type NeighborConfig, type NeighborState, Neighbors } from './ethernet/neighbors';
import type { Interface } from './ip/interface';
import { multicastMac, NEIGHBOR_ADVERTISEMENT, NeighborMessage, readNeighborMessage, readRedirect } from './ip/ndp';
import type { IpOutput, LinkOutput } from './ip/output';
import type { IpPath, Paths } from './ip/paths';
import type { Routes } from './ip/routes';
import { sendAdvertisement, sendArp, sendFrame, sendSolicitation } from './link-messages';

/** A message of the link layer's own to send. */
interface LinkOut {
  readonly iface: Interface;
  /** Called when there is room; false when it is not done, for lack of room. */
  readonly build: () => boolean;
}

const LINK_OUT_MAX = 64;

/** What the link layer tells the stack. */
export interface LinkEvents {
  drop(reason: Drop, now: Millis): void;
  /** A frame joined the interface's queue. */
  frameSent(iface: Interface, bytes: number): void;
  neighborChanged(iface: Interface, neighbor: Neighbor, from: NeighborState, now: Millis): void;
  /** Nobody answers for the next hop of a frame that waited (RFC 4861 §7.2.2): it is lost, its sender is to know. */
  unreachable(iface: Interface, frame: Uint8Array, now: Millis): void;
}

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
  paths!: Paths;
  now: Millis = 0;
  /**
   * Somebody else uses one of our addresses (RFC 5227 §2.4, RFC 4862 §5.4.4). Whoever configures addresses decides what
   * follows: defend it, or give it up.
   */
  onConflict: ((iface: Interface, address: Address, mac: Uint8Array) => void) | null = null;

  constructor(
    private readonly config: NeighborConfig,
    private readonly routes: Routes,
    private readonly acceptRedirects: boolean,
    private readonly events: LinkEvents,
  ) {
    routes.isDead = (gateway, iface) => this.neighbors(iface)?.get(gateway)?.state === 'FAILED';
  }

  add(iface: Interface): void {
    const { events } = this;
    const watcher = {
      neighborChanged: (neighbor: Neighbor, from: NeighborState, now: Millis) =>
        events.neighborChanged(iface, neighbor, from, now),
      framesLost: (frames: number, now: Millis) => this.dropFrames(frames, now),
    };
    this.neighborsOf.push(iface.config.link === 'ethernet' ? new Neighbors(this.config, watcher) : null);
  }

  private dropFrames(frames: number, now: Millis): void {
    for (let i = 0; i < frames; i++) this.events.drop('ip-no-neighbor', now);
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
    if (arp.senderIp !== 0 && iface.ownsWords(4, 0, 0, 0xffff, arp.senderIp)) {
      return this.conflict(iface, Address.v4(arp.senderIp), arp.senderMac, 'arp-conflict');
    }
    const forUs = iface.ownsWords(4, 0, 0, 0xffff, arp.targetIp);
    const asks = arp.operation === ARP_REQUEST;
    if (arp.senderIp !== 0) {
      const sender = Address.v4(arp.senderIp);
      this.resolved(iface, this.neighbors(iface)!.arpHeard(sender, arp.senderMac, forUs && !asks, forUs && asks, now));
    }
    if (!forUs) return asks ? 'arp-not-for-us' : null;
    if (!asks) return null;
    const to = arp.senderMac.slice();
    const { targetIp, senderIp } = arp;
    this.later(iface, () => this.arpOut(iface, ARP_REPLY, targetIp, to, senderIp, to));
    return null;
  }

  private conflict(iface: Interface, address: Address, mac: Uint8Array, reason: Drop): Drop {
    if (!macEquals(mac, 0, iface.config.mac!)) this.onConflict?.(iface, address, mac.slice());
    return reason;
  }

  /** RFC 4861 §7.2.3, §7.2.5: a solicitation or an advertisement. */
  neighborMessageArrives(iface: Interface, d: Datagram, type: number, now: Millis): Drop | null {
    const m = this.message;
    const isAdvertisement = type === NEIGHBOR_ADVERTISEMENT;
    const bad = readNeighborMessage(d, isAdvertisement, m);
    if (bad !== null) return bad;
    const neighbors = this.neighbors(iface);
    if (neighbors === null) return 'ndp-not-for-us';
    const { target } = m;
    if (isAdvertisement) {
      if (iface.owns(target)) {
        const mac = m.macAt < 0 ? new Uint8Array(6) : d.bytes.slice(m.macAt, m.macAt + 6);
        return this.conflict(iface, target, mac, 'ndp-conflict');
      }
      this.resolved(iface, neighbors.advertised(target, d.bytes, m.macAt, m.solicited, m.override, now));
      return null;
    }
    if (!iface.owns(target)) return 'ndp-not-for-us';
    const source = new Address(6, d.s0, d.s1, d.s2, d.s3);
    // Somebody who wants our address has none to answer to: the advertisement to all nodes tells him (§7.2.4).
    const to = source.isUnspecified ? null : source;
    if (to !== null && m.macAt >= 0) this.resolved(iface, neighbors.heard(to, d.bytes, m.macAt, now));
    this.later(iface, () => sendAdvertisement(this.out, iface, target, to));
    return null;
  }

  /** RFC 4861 §8: the router in use knows a better first hop. */
  redirectArrives(iface: Interface, d: Datagram, now: Millis): Drop | null {
    const m = this.message;
    const bad = readRedirect(d, m);
    if (bad !== null) return bad;
    const { target, destination } = m;
    const router = new Address(6, d.s0, d.s1, d.s2, d.s3);
    if (!this.acceptRedirects || iface.owns(target)) return 'icmp-bad-redirect';
    if (!this.paths.redirect(iface, router, destination, target)) return 'icmp-bad-redirect';
    const neighbors = this.neighbors(iface);
    if (neighbors !== null && m.macAt >= 0) this.resolved(iface, neighbors.heard(target, d.bytes, m.macAt, now));
    return null;
  }

  /** What waited for the neighbour's address goes out. */
  private resolved(iface: Interface, neighbor: Neighbor | null): void {
    if (neighbor === null || !neighbor.usable || neighbor.parked.length === 0) return;
    const frames = this.neighbors(iface)!.takeParked(neighbor);
    for (const frame of frames) frame.set(neighbor.mac, 0);
    let next = 0;
    const release = (): boolean => {
      while (next < frames.length && iface.tx.hasRoom) {
        sendFrame(iface, frames[next]!);
        this.events.frameSent(iface, frames[next++]!.length);
      }
      return next === frames.length;
    };
    if (!this.later(iface, release)) this.dropFrames(frames.length, this.now);
  }

  private later(iface: Interface, build: () => boolean): boolean {
    if (this.waiting.length >= LINK_OUT_MAX) {
      this.events.drop('link-busy', this.now);
      return false;
    }
    this.waiting.push({ iface, build });
    return true;
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
      if (next.iface.up && (!next.iface.tx.hasRoom || !next.build())) return false;
      this.waiting.shift();
    }
    return true;
  }

  private pollNeighbors(iface: Interface, neighbors: Neighbors, now: Millis): boolean {
    neighbors.expire(now);
    while (neighbors.due.length > 0) {
      const neighbor = neighbors.due[0]!;
      if (neighbor.requestDue && iface.up && !this.solicit(iface, neighbor)) return false;
      neighbor.requestDue = false;
      neighbors.due.shift();
    }
    for (const neighbor of neighbors.failed.splice(0)) {
      for (const frame of neighbors.takeParked(neighbor)) {
        this.events.drop('ip-no-neighbor', now);
        this.events.unreachable(iface, frame, now);
      }
    }
    return true;
  }

  /** To everyone (ARP) or to the few that may be meant (NDP) while the address is unknown, to its owner while in doubt. */
  private solicit(iface: Interface, neighbor: Neighbor): boolean {
    const { address } = neighbor;
    if (!iface.tx.hasRoom) return false;
    const source = this.routes.source(iface, address, address);
    if (source === null) return true;
    if (address.family === 6) return sendSolicitation(this.out, iface, source, neighbor);
    const to = neighbor.state === 'PROBE' ? neighbor.mac : BROADCAST_MAC;
    return this.arpOut(iface, ARP_REQUEST, source.w3, null, address.w3, to);
  }

  private arpOut(
    iface: Interface,
    operation: number,
    senderIp: number,
    targetMac: Uint8Array | null,
    targetIp: number,
    to: Uint8Array,
  ): boolean {
    this.events.frameSent(iface, sendArp(iface, operation, senderIp, targetMac, targetIp, to));
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
    const known = path.neighbor as Neighbor | null;
    if (known !== null && known.state === 'REACHABLE') {
      known.usedAt = now;
      return true;
    }
    return this.resolveAnew(path, known, now);
  }

  private resolveAnew(path: IpPath, known: Neighbor | null, now: Millis): boolean {
    if (known?.state === 'PERMANENT') return true;
    const neighbors = this.neighbors(path.iface)!;
    const neighbor = known === null || known.state === 'FAILED' ? this.lookUp(path, neighbors, now) : known;
    neighbors.use(neighbor, now);
    return neighbor.usable;
  }

  /** The next hop's entry; another next hop when this one is known not to answer. */
  private lookUp(path: IpPath, neighbors: Neighbors, now: Millis): Neighbor {
    const group = groupMac(path);
    if (neighbors.get(path.nextHop)?.state === 'FAILED') this.paths.avoid(path);
    const neighbor = group === null ? neighbors.entry(path.nextHop, now) : Neighbor.permanent(path.nextHop, group);
    path.neighbor = neighbor;
    return neighbor;
  }

  writeHeader(path: IpPath, b: Uint8Array, at: number): void {
    writeEthernet(b, at, path.neighbor!.mac, path.iface.config.mac!, path.local.family === 4 ? TYPE_IPV4 : TYPE_IPV6);
  }

  park(path: IpPath, frame: Uint8Array): void {
    this.dropFrames(this.neighbors(path.iface)!.park(path.neighbor as Neighbor, frame), this.now);
  }

  lost(path: IpPath): void {
    this.events.drop(path.iface.up ? 'ip-no-neighbor' : 'interface-down', this.now);
  }

  sent(path: IpPath, bytes: number): void {
    this.events.frameSent(path.iface, bytes);
  }

  /** TCP doubts the path: its next hop is asked whether it is there (MUST-20, RFC 1122 §3.3.1.4). */
  doubt(path: IpPath): void {
    const neighbor = this.neighbors(path.iface)?.get(path.nextHop);
    if (neighbor !== undefined) this.neighbors(path.iface)!.suspect(neighbor, this.now);
  }

  /** TCP made progress over the path. */
  confirm(path: IpPath): void {
    const neighbor = path.neighbor as Neighbor | null;
    if (neighbor === null || neighbor.state === 'REACHABLE') return;
    this.neighbors(path.iface)?.reachable(neighbor, this.now);
  }
}

/** The link address of a next hop that is a group or a broadcast address; null for a single host's. */
function groupMac(path: IpPath): Uint8Array | null {
  const { nextHop, iface } = path;
  if (nextHop.isMulticast) return multicastMac(nextHop);
  return nextHop.family === 4 && iface.isBroadcast(nextHop.w3) ? BROADCAST_MAC : null;
}
