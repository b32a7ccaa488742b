import { Address } from '../base/address';
import { put16, u16 } from '../base/bytes';
import { checksum } from '../base/checksum';
import { type Datagram, UDP } from '../base/datagram';
import type { Drop, DropCounters } from '../base/drops';
import type { Random } from '../base/random';
import { NO_ROOM, type Path, type Transmitter } from '../base/transmit';

/** RFC 768. */
const SOURCE_PORT = 0;
const DESTINATION_PORT = 2;
const LENGTH = 4;
const CHECKSUM = 6;
export const UDP_HEADER_BYTES = 8;

/** A datagram that waits for its socket's owner. */
export interface UdpMessage {
  readonly bytes: Uint8Array;
  readonly source: Address;
  readonly sourcePort: number;
  readonly destination: Address;
}

/** Errors that ICMP brought for something a socket sent (RFC 1122 §4.1.3.3), by Linux's names. */
export type UdpError = 'ECONNREFUSED' | 'EHOSTUNREACH' | 'ENETUNREACH' | 'EMSGSIZE' | 'EPROTO';

/** Whoever uses the socket. Called by the host between batches. */
export interface UdpOwner {
  onUdp(socket: UdpSocket): void;
}

export class UdpSocket {
  owner: UdpOwner | null = null;
  readonly queue: UdpMessage[] = [];
  queuedBytes = 0;
  error: UdpError | null = null;
  closed = false;
  signalled = false;
  hopLimit = 64;
  tos = 0;
  /** Connected: datagrams of others are not taken, ICMP errors are told. */
  remote: Address | null = null;
  remotePort = 0;
  readonly receiveMax = 212_992;

  constructor(
    /** Null: any local address of `family`, or of both when that is 0. */
    readonly address: Address | null,
    readonly family: 0 | 4 | 6,
    readonly port: number,
  ) {}
}

interface Outgoing {
  readonly path: Path;
  readonly socket: UdpSocket;
  readonly port: number;
  readonly bytes: Uint8Array;
}

/** What UDP asks of IP. */
export interface UdpPaths {
  pathTo(remote: Address, local: Address | null): Path | null;
  isLocal(address: Address): boolean;
}

const OUTGOING_MAX = 1024;
const SEND_BYTES_MAX = 65_507;

/** UDP over the stack: sockets by port, queues with a cap, checksums always (RFC 1122 §4.1.3.4). */
export class Udp {
  private readonly sockets = new Map<number, UdpSocket[]>();
  private readonly outgoing: Outgoing[] = [];
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

  /** One datagram in. Returns true when its port is closed and the sender is to be told. */
  receive(d: Datagram): boolean {
    const bad = this.refuse(d);
    if (bad !== null) {
      this.drops.count(bad);
      return false;
    }
    const b = d.bytes;
    const at = d.bodyAt;
    const socket = this.find(d, u16(b, at + DESTINATION_PORT), u16(b, at + SOURCE_PORT));
    if (socket === null) {
      this.counters.noPorts++;
      this.drops.count('udp-no-port');
      return true;
    }
    const end = at + u16(b, at + LENGTH);
    const bytes = end - at - UDP_HEADER_BYTES;
    if (socket.queuedBytes + bytes + QUEUE_COST > socket.receiveMax) {
      this.drops.count('udp-queue-full');
      return false;
    }
    socket.queue.push({
      bytes: b.slice(at + UDP_HEADER_BYTES, end),
      source: new Address(d.family, d.s0, d.s1, d.s2, d.s3),
      sourcePort: u16(b, at + SOURCE_PORT),
      destination: new Address(d.family, d.d0, d.d1, d.d2, d.d3),
    });
    socket.queuedBytes += bytes + QUEUE_COST;
    this.counters.received++;
    this.signal(socket);
    return false;
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

  private find(d: Datagram, port: number, sourcePort: number): UdpSocket | null {
    let best: UdpSocket | null = null;
    let bestScore = -1;
    for (const socket of this.sockets.get(port) ?? []) {
      const a = socket.address;
      if (
        a === null ? socket.family !== 0 && socket.family !== d.family : !isWords(a, d.family, d.d0, d.d1, d.d2, d.d3)
      )
        continue;
      const r = socket.remote;
      if (r !== null && (socket.remotePort !== sourcePort || !isWords(r, d.family, d.s0, d.s1, d.s2, d.s3))) continue;
      const score = (a === null ? 0 : 2) + (r === null ? 0 : 4);
      if (score > bestScore) {
        best = socket;
        bestScore = score;
      }
    }
    return best;
  }

  /** Opens a socket; port 0 picks a free one. */
  bind(
    address: Address | null,
    family: 0 | 4 | 6,
    port: number,
    reuse: boolean,
  ): UdpSocket | 'EADDRINUSE' | 'EADDRNOTAVAIL' {
    if (address !== null && !address.isMulticast && !this.paths.isLocal(address)) return 'EADDRNOTAVAIL';
    if (port === 0) {
      port = this.freePort();
      if (port === 0) return 'EADDRINUSE';
    } else if (!reuse && (this.sockets.get(port) ?? []).some((other) => conflicts(other, address, family))) {
      return 'EADDRINUSE';
    }
    const socket = new UdpSocket(address, family, port);
    const list = this.sockets.get(port);
    if (list === undefined) this.sockets.set(port, [socket]);
    else list.push(socket);
    return socket;
  }

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

  /** Queues one datagram. Returns why not: no route, too long, too many waiting. The bytes are copied. */
  send(
    socket: UdpSocket,
    bytes: Uint8Array,
    remote: Address,
    port: number,
  ): null | 'ENETUNREACH' | 'EMSGSIZE' | 'ENOBUFS' | 'EINVAL' {
    if (port === 0 || remote.isUnspecified) return 'EINVAL';
    if (bytes.length > SEND_BYTES_MAX) return 'EMSGSIZE';
    const path = this.paths.pathTo(remote, socket.address);
    if (path === null) return 'ENETUNREACH';
    if (this.outgoing.length >= OUTGOING_MAX) return 'ENOBUFS';
    this.outgoing.push({ path, socket, port, bytes: bytes.slice() });
    return null;
  }

  close(socket: UdpSocket): void {
    if (socket.closed) return;
    socket.closed = true;
    socket.queue.length = 0;
    const rest = (this.sockets.get(socket.port) ?? []).filter((other) => other !== socket);
    if (rest.length === 0) this.sockets.delete(socket.port);
    else this.sockets.set(socket.port, rest);
  }

  /** Sends what waits. Returns false when the link's queue is full. */
  poll(): boolean {
    const out = this.out;
    while (this.outgoing.length > 0) {
      const { path, socket, port, bytes } = this.outgoing[0]!;
      const at = out.begin(path);
      if (at === NO_ROOM) return false;
      const b = out.header;
      put16(b, at + SOURCE_PORT, socket.port);
      put16(b, at + DESTINATION_PORT, port);
      put16(b, at + LENGTH, UDP_HEADER_BYTES + bytes.length);
      put16(b, at + CHECKSUM, 0);
      b.set(bytes, at + UDP_HEADER_BYTES);
      out.end(UDP_HEADER_BYTES + bytes.length, UDP, socket.tos, socket.hopLimit, CHECKSUM, 0);
      this.counters.sent++;
      this.outgoing.shift();
    }
    return true;
  }

  get wantsPoll(): boolean {
    return this.outgoing.length > 0;
  }

  /** ICMP says that what `port` sent to `remote`:`remotePort` did not get through. Unconnected sockets are not told. */
  icmpError(port: number, remote: Address, remotePort: number, error: UdpError): boolean {
    let told = false;
    for (const socket of this.sockets.get(port) ?? []) {
      if (socket.remote === null || socket.remotePort !== remotePort || !socket.remote.equals(remote)) continue;
      socket.error = error;
      this.signal(socket);
      told = true;
    }
    return told;
  }

  private signal(socket: UdpSocket): void {
    if (socket.signalled) return;
    socket.signalled = true;
    this.signalled.push(socket);
  }
}

/** What a queued datagram costs beside its bytes. */
export const QUEUE_COST = 256;

const isWords = (a: Address, family: number, w0: number, w1: number, w2: number, w3: number): boolean =>
  a.family === family && a.w3 === w3 && a.w2 === w2 && a.w1 === w1 && a.w0 === w0;

function conflicts(other: UdpSocket, address: Address | null, family: 0 | 4 | 6): boolean {
  const mine = address === null ? family : address.family;
  const theirs = other.address === null ? other.family : other.address.family;
  if (mine !== 0 && theirs !== 0 && mine !== theirs) return false;
  return address === null || other.address === null || address.equals(other.address);
}
