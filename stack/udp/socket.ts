import type { Address } from '../base/address';
import type { Datagram, NetworkError } from '../base/datagram';
import type { Link } from '../base/transmit';

/** A datagram that waits for its socket's owner. */
export interface UdpMessage {
  readonly bytes: Uint8Array;
  readonly source: Address;
  readonly sourcePort: number;
  readonly destination: Address;
}

/** Whoever uses the socket. Called by the host between batches. */
export interface UdpOwner {
  onUdp(socket: UdpSocket): void;
}

/** What a queued datagram costs beside its bytes. */
export const QUEUE_COST = 256;
/** Linux's net.core.rmem_default and wmem_default. */
const BUFFER_DEFAULT = 212_992;

/** A UDP socket, bound. Fields that are not readonly may be set by its owner. */
export class UdpSocket {
  owner: UdpOwner | null = null;
  /** What arrived, oldest first. `take` it. */
  readonly queue: UdpMessage[] = [];
  queuedBytes = 0;
  /** What ICMP said of a datagram sent while connected (RFC 1122 §4.1.3.3); the owner takes it by setting null. */
  error: NetworkError | null = null;
  closed = false;
  signalled = false;
  hopLimit = 64;
  /** For groups (RFC 1112 §6.1). */
  multicastHopLimit = 1;
  /** What is sent to a group comes back to members here. */
  multicastLoop = true;
  /** May send to broadcast addresses. */
  broadcast = false;
  tos = 0;
  /** Connected: datagrams of others are not taken, ICMP errors are told. */
  remote: Address | null = null;
  remotePort = 0;
  receiveMax = BUFFER_DEFAULT;
  sendMax = BUFFER_DEFAULT;
  /** Bytes that wait to be sent. */
  sendingBytes = 0;
  /** Groups that were joined, each on a link; whoever joins keeps the list (Stack.joinGroup). */
  readonly memberships: { readonly group: Address; readonly link: Link }[] = [];
  /** The source, and with it the link, for groups; null: as IP chooses. */
  multicastSource: Address | null = null;
  /** Null: any local address of `family`, or of both when that is 0. While connected, the source that IP chose. */
  address: Address | null;

  constructor(
    /** As bound: `disconnect` returns to it. */
    readonly boundAddress: Address | null,
    readonly family: 0 | 4 | 6,
    /** 0 between a disconnect and what follows, when the layer chose the port. */
    public port: number,
    readonly reuse: boolean,
    /** The layer chose the port; as on Linux it is given back by `disconnect`. */
    readonly portChosen: boolean,
  ) {
    this.address = boundAddress;
  }

  /** The oldest datagram; null when there is none. */
  take(): UdpMessage | null {
    const message = this.queue.shift();
    if (message === undefined) return null;
    this.queuedBytes -= message.bytes.length + QUEUE_COST;
    return message;
  }

  /** How well the datagram in `d` fits: -1 not at all; the more that is bound, the better. */
  score(d: Datagram, sourcePort: number): number {
    const a = this.address;
    if (a === null ? this.family !== 0 && this.family !== d.family : !isWords(a, d.family, d.d0, d.d1, d.d2, d.d3)) {
      return -1;
    }
    const r = this.remote;
    if (r !== null && (this.remotePort !== sourcePort || !isWords(r, d.family, d.s0, d.s1, d.s2, d.s3))) return -1;
    return (a === null ? 0 : 1) + (r === null ? 0 : 2);
  }

  /** Whether this socket can have sent a datagram from `local` to `remote`. */
  maySend(local: Address, remote: Address, remotePort: number): boolean {
    if (this.address === null ? this.family !== 0 && this.family !== local.family : !this.address.equals(local)) {
      return false;
    }
    return this.remote === null || (this.remotePort === remotePort && this.remote.equals(remote));
  }

  conflictsWith(address: Address | null, family: 0 | 4 | 6, reuse: boolean): boolean {
    if (reuse && this.reuse) return false;
    const mine = this.boundAddress === null ? this.family : this.boundAddress.family;
    const theirs = address === null ? family : address.family;
    if (mine !== 0 && theirs !== 0 && mine !== theirs) return false;
    return address === null || this.boundAddress === null || address.equals(this.boundAddress);
  }
}

const isWords = (a: Address, family: number, w0: number, w1: number, w2: number, w3: number): boolean =>
  a.family === family && a.w3 === w3 && a.w2 === w2 && a.w1 === w1 && a.w0 === w0;
