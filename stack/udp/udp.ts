import { Address } from '../base/address';
import { put16, u16 } from '../base/bytes';
import { checksum } from '../base/checksum';
import { type Datagram, type NetworkError, UDP } from '../base/datagram';
import type { Drop, DropCounters } from '../base/drops';
import type { Random } from '../base/random';
import { NO_ROOM, type Path, type Transmitter } from '../base/transmit';
import { QUEUE_COST, UdpSocket } from './socket';

export { QUEUE_COST, type UdpMessage, type UdpOwner, UdpSocket } from './socket';

/** RFC 768. */
const SOURCE_PORT = 0;
const DESTINATION_PORT = 2;
const LENGTH = 4;
const CHECKSUM = 6;
export const UDP_HEADER_BYTES = 8;
/** What IP's length fields leave for the text. */
const TEXT_MAX_V4 = 65_507;
const TEXT_MAX_V6 = 65_527;

/** Why an operation was refused, by Linux's and Node's names. */
export type UdpRefusal =
  | 'EACCES'
  | 'EADDRINUSE'
  | 'EADDRNOTAVAIL'
  | 'EAFNOSUPPORT'
  | 'EINVAL'
  | 'EMSGSIZE'
  | 'ENETUNREACH'
  | 'ENOBUFS';

/** What waits to be sent, as the socket was when it was given. */
interface Outgoing {
  readonly path: Path;
  readonly socket: UdpSocket;
  readonly sourcePort: number;
  readonly port: number;
  readonly tos: number;
  readonly hopLimit: number;
  readonly bytes: Uint8Array;
}

/** What UDP asks of IP. */
export interface UdpPaths {
  to(remote: Address, local: Address | null): Path | null;
  isLocal(address: Address): boolean;
  /** 255.255.255.255, or all hosts of one of our subnets. */
  isBroadcast(address: Address): boolean;
}

/** What an ICMP error means to UDP: its name, and whether a connected socket hears of it. */
export interface UdpVerdict {
  readonly name: NetworkError;
  readonly fatal: boolean;
}

/** Datagrams of all sockets that wait to be sent. */
const OUTGOING_MAX = 1024;

/** UDP over the stack: sockets by port, queues with a cap, checksums always (RFC 1122 §4.1.3.4). */
export class Udp {
  private readonly sockets = new Map<number, UdpSocket[]>();
  private outgoing: Outgoing[] = [];
  private sent = 0;
  /** Sockets with something to tell their owners. */
  readonly signalled: UdpSocket[] = [];
  readonly counters = { received: 0, sent: 0, noPorts: 0 };

  constructor(
    private readonly random: Random,
    private readonly ephemeral: readonly [number, number],
    private readonly out: Transmitter,
    private readonly paths: UdpPaths,
    private readonly drops: DropCounters,
  ) {}

  // ── in ──

  /** One datagram in. Returns why it was not taken, or null. After 'udp-no-port' the sender is to be told. */
  receive(d: Datagram): Drop | null {
    const bad = this.refuse(d);
    if (bad !== null) return bad;
    const port = u16(d.bytes, d.bodyAt + DESTINATION_PORT);
    const taken = d.notUnicast ? this.receiveByAll(d, port) : this.receiveByBest(d, port);
    if (taken === 'udp-no-port') this.counters.noPorts++;
    return taken;
  }

  private refuse(d: Datagram): Drop | null {
    const b = d.bytes;
    const at = d.bodyAt;
    if (d.end - at < UDP_HEADER_BYTES) return 'udp-truncated';
    const length = u16(b, at + LENGTH);
    if (length < UDP_HEADER_BYTES || at + length > d.end) return 'udp-bad-length';
    if (u16(b, at + CHECKSUM) === 0) return d.family === 4 ? null : 'udp-bad-checksum';
    if (d.checksumValid) return null;
    // The pseudo-header counts the UDP length, which may be less than IP's.
    return checksum(b, at, at + length, d.pseudoSum - (d.end - at) + length) === 0 ? null : 'udp-bad-checksum';
  }

  private receiveByBest(d: Datagram, port: number): Drop | null {
    const sourcePort = u16(d.bytes, d.bodyAt + SOURCE_PORT);
    let best: UdpSocket | null = null;
    let bestScore = -1;
    const list = this.sockets.get(port);
    if (list !== undefined) {
      for (const socket of list) {
        const score = socket.score(d, sourcePort);
        // Of sockets that share an address the last one bound takes it, as on Linux.
        if (score >= 0 && score >= bestScore) {
          best = socket;
          bestScore = score;
        }
      }
    }
    return best === null ? 'udp-no-port' : this.take(best, d, sourcePort);
  }

  /** What came to a group is everybody's who listens (RFC 1122 §4.1.3.5 leaves it to IP, which took it). */
  private receiveByAll(d: Datagram, port: number): Drop | null {
    const sourcePort = u16(d.bytes, d.bodyAt + SOURCE_PORT);
    let result: Drop | null = 'udp-no-port';
    for (const socket of this.sockets.get(port) ?? []) {
      if (socket.score(d, sourcePort) < 0) continue;
      const refused = this.take(socket, d, sourcePort);
      if (refused === null || result !== null) result = refused;
    }
    return result;
  }

  /** Several that are to be one sender's stay apart: the device joined them, or never had to cut them (UDP_SEGMENT). */
  private take(socket: UdpSocket, d: Datagram, sourcePort: number): Drop | null {
    const end = d.bodyAt + u16(d.bytes, d.bodyAt + LENGTH);
    const source = new Address(d.family, d.s0, d.s1, d.s2, d.s3);
    const destination = new Address(d.family, d.d0, d.d1, d.d2, d.d3);
    let refused: Drop | null = null;
    let from = d.bodyAt + UDP_HEADER_BYTES;
    do {
      const next = d.segmentBytes > 0 ? Math.min(from + d.segmentBytes, end) : end;
      if (socket.queuedBytes + next - from + QUEUE_COST > socket.receiveMax) {
        // The caller counts one of them.
        if (refused !== null) this.drops.count(refused);
        refused = 'udp-queue-full';
      } else {
        this.queue(socket, d.bytes.slice(from, next), source, sourcePort, destination);
      }
      from = next;
    } while (from < end);
    return refused;
  }

  private queue(socket: UdpSocket, bytes: Uint8Array, source: Address, sourcePort: number, destination: Address): void {
    socket.queue.push({ bytes, source, sourcePort, destination });
    socket.queuedBytes += bytes.length + QUEUE_COST;
    this.counters.received++;
    this.signal(socket);
  }

  /** The owner is to be told; again, if it did not take everything. */
  signal(socket: UdpSocket): void {
    if (socket.signalled) return;
    socket.signalled = true;
    this.signalled.push(socket);
  }

  // ── sockets ──

  /** Every socket that is bound, in no particular order. */
  *allSockets(): Generator<UdpSocket> {
    for (const list of this.sockets.values()) yield* list;
  }

  /**
   * Opens a socket on `address` (null: any of `family`, or of both when that is 0); port 0 picks a free one. `reuse`: shared
   * with others that say so too.
   */
  bind(address: Address | null, family: 0 | 4 | 6, port: number, reuse: boolean): UdpSocket | UdpRefusal {
    const mayBind =
      address === null || address.isMulticast || this.paths.isLocal(address) || this.paths.isBroadcast(address);
    if (!mayBind) return 'EADDRNOTAVAIL';
    const chosen = port === 0;
    if (chosen) {
      port = this.freePort();
      if (port === 0) return 'EADDRINUSE';
    } else if ((this.sockets.get(port) ?? []).some((other) => other.conflictsWith(address, family, reuse))) {
      return 'EADDRINUSE';
    }
    const socket = new UdpSocket(address, family, port, reuse, chosen);
    this.list(socket);
    return socket;
  }

  private list(socket: UdpSocket): void {
    const list = this.sockets.get(socket.port);
    if (list === undefined) this.sockets.set(socket.port, [socket]);
    else list.push(socket);
  }

  private unlist(socket: UdpSocket): void {
    const rest = (this.sockets.get(socket.port) ?? []).filter((other) => other !== socket);
    if (rest.length === 0) this.sockets.delete(socket.port);
    else this.sockets.set(socket.port, rest);
  }

  /** A socket that gave its port back gets another. False when there is none. */
  private hasPort(socket: UdpSocket): boolean {
    if (socket.port !== 0) return true;
    socket.port = this.freePort();
    if (socket.port === 0) return false;
    this.list(socket);
    return true;
  }

  /** RFC 6056 §3.3.1: a random start, then the next free one. 0 when the range is exhausted. */
  private freePort(): number {
    const [low, high] = this.ephemeral;
    const count = high - low + 1;
    const start = this.random.below(count);
    for (let i = 0; i < count; i++) {
      const port = low + ((start + i) % count);
      if (!this.sockets.has(port)) return port;
    }
    return 0;
  }

  /** Fixes the peer, and the source if it was open. Returns why not. */
  connect(socket: UdpSocket, remote: Address, port: number): UdpRefusal | null {
    if (port === 0 || remote.isUnspecified) return 'EINVAL';
    const path = this.pathFor(socket, remote);
    if (typeof path === 'string') return path;
    if (!this.hasPort(socket)) return 'EADDRINUSE';
    socket.remote = remote;
    socket.remotePort = port;
    socket.address = socket.boundAddress ?? path.local;
    return null;
  }

  disconnect(socket: UdpSocket): void {
    socket.remote = null;
    socket.remotePort = 0;
    socket.address = socket.boundAddress;
    if (!socket.portChosen) return;
    this.unlist(socket);
    socket.port = 0;
  }

  close(socket: UdpSocket): void {
    if (socket.closed) return;
    socket.closed = true;
    socket.queue.length = 0;
    socket.queuedBytes = 0;
    this.unlist(socket);
  }

  // ── out ──

  private pathFor(socket: UdpSocket, remote: Address): Path | UdpRefusal {
    if (socket.family !== 0 && socket.family !== remote.family) return 'EAFNOSUPPORT';
    if (remote.family === 4 && !socket.broadcast && this.paths.isBroadcast(remote)) return 'EACCES';
    const { address } = socket;
    // Bound to a group or to a broadcast address: that is no source.
    const source = address !== null && this.paths.isLocal(address) ? address : null;
    const forGroup = remote.isMulticast ? socket.multicastSource : null;
    return this.paths.to(remote, forGroup ?? source) ?? 'ENETUNREACH';
  }

  /** Queues one datagram. Returns why not: no route, too long, too many waiting. The bytes are copied. */
  send(socket: UdpSocket, bytes: Uint8Array, remote: Address, port: number): UdpRefusal | null {
    if (port === 0 || remote.isUnspecified) return 'EINVAL';
    if (bytes.length > (remote.family === 4 ? TEXT_MAX_V4 : TEXT_MAX_V6)) return 'EMSGSIZE';
    const path = this.pathFor(socket, remote);
    if (typeof path === 'string') return path;
    if (!this.hasPort(socket)) return 'EADDRNOTAVAIL';
    const cost = bytes.length + QUEUE_COST;
    const isFull = socket.sendingBytes > 0 && socket.sendingBytes + cost > socket.sendMax;
    if (isFull || this.outgoing.length - this.sent >= OUTGOING_MAX) return 'ENOBUFS';
    socket.sendingBytes += cost;
    const hopLimit = remote.isMulticast ? socket.multicastHopLimit : socket.hopLimit;
    const { port: sourcePort, tos } = socket;
    this.outgoing.push({ path, socket, sourcePort, port, tos, hopLimit, bytes: bytes.slice() });
    return null;
  }

  /** Sends what waits. Returns false when the link's queue is full. */
  poll(): boolean {
    while (this.sent < this.outgoing.length) {
      const next = this.outgoing[this.sent]!;
      if (!this.transmit(next)) return false;
      this.sent++;
      next.socket.sendingBytes -= next.bytes.length + QUEUE_COST;
    }
    if (this.sent > 0) {
      this.outgoing = [];
      this.sent = 0;
    }
    return true;
  }

  private transmit({ path, socket, sourcePort, port, tos, hopLimit, bytes }: Outgoing): boolean {
    const out = this.out;
    const at = out.begin(path);
    if (at === NO_ROOM) return false;
    const b = out.header;
    put16(b, at + SOURCE_PORT, sourcePort);
    put16(b, at + DESTINATION_PORT, port);
    put16(b, at + LENGTH, UDP_HEADER_BYTES + bytes.length);
    put16(b, at + CHECKSUM, 0);
    b.set(bytes, at + UDP_HEADER_BYTES);
    this.counters.sent++;
    // What leaves by the loopback link comes back by itself.
    if (path.remote.isMulticast && socket.multicastLoop && !path.link.isLoopback) {
      this.loopBack(path, sourcePort, port, bytes);
    }
    // A group with hop limit 0 stays on this host (RFC 1112 §6.1).
    if (hopLimit > 0) out.end(UDP_HEADER_BYTES + bytes.length, UDP, tos, hopLimit, CHECKSUM, 0);
    return true;
  }

  /** Members of the group on this host hear what it sends. */
  private loopBack(path: Path, sourcePort: number, port: number, bytes: Uint8Array): void {
    for (const member of this.sockets.get(port) ?? []) {
      const joined = member.memberships.some((m) => m.link === path.link && m.group.equals(path.remote));
      const open = member.address === null || member.address.equals(path.remote);
      const peer = member.remote === null || (member.remote.equals(path.local) && member.remotePort === sourcePort);
      if (!joined || !open || !peer) continue;
      if (member.queuedBytes + bytes.length + QUEUE_COST > member.receiveMax) this.drops.count('udp-queue-full');
      else this.queue(member, bytes.slice(), path.local, sourcePort, path.remote);
    }
  }

  get wantsPoll(): boolean {
    return this.outgoing.length > 0;
  }

  // ── what ICMP says ──

  /** Whether one of the sockets on `port` can have sent a datagram from `local` to `remote`:`remotePort`. */
  maySend(local: Address, port: number, remote: Address, remotePort: number): boolean {
    return (this.sockets.get(port) ?? []).some((socket) => socket.maySend(local, remote, remotePort));
  }

  /**
   * What `port` sent to `remote`:`remotePort` did not get through. Only connected sockets are told, as on Linux: others
   * could not tell which datagram is meant. False when nobody can have sent it.
   */
  icmpError(local: Address, port: number, remote: Address, remotePort: number, verdict: UdpVerdict): boolean {
    let known = false;
    for (const socket of this.sockets.get(port) ?? []) {
      if (!socket.maySend(local, remote, remotePort)) continue;
      known = true;
      if (socket.remote === null || !verdict.fatal) continue;
      socket.error = verdict.name;
      this.signal(socket);
    }
    return known;
  }

  /** Datagrams as large as the last ones will be cut: who is connected may want to send smaller ones. */
  pathMtuShrunk(local: Address, port: number, remote: Address, remotePort: number): void {
    this.icmpError(local, port, remote, remotePort, { name: 'EMSGSIZE', fatal: true });
  }
}
