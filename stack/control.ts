import { Address } from './base/address';
import type { Millis } from './base/bytes';
import { type Datagram, TCP, UDP } from './base/datagram';
import type { Drop } from './base/drops';
import type { Slab } from './base/memory';
import { type IcmpSender, sourceOf } from './icmp-sender';
import {
  ECHO_REPLY,
  ECHO_REPLY_V6,
  ECHO_REQUEST,
  ECHO_REQUEST_V6,
  IcmpMessage,
  PARAMETER_PROBLEM_V6,
  PORT_UNREACHABLE,
  PORT_UNREACHABLE_V6,
  PROTOCOL_UNREACHABLE,
  Quote,
  REASSEMBLY_TIME,
  REDIRECT,
  readIcmp,
  readQuote,
  TIME_EXCEEDED,
  TIME_EXCEEDED_V6,
  UNREACHABLE,
  UNREACHABLE_V6,
} from './ip/icmp';
import {
  type IcmpMeaning,
  isErrorType,
  isTooBig,
  meaningOf,
  NEIGHBOR_UNREACHABLE,
  plateauBelow,
} from './ip/icmp-errors';
import type { Interface } from './ip/interface';
import { UNKNOWN_NEXT_HEADER } from './ip/ipv6';
import type { IpPath, Paths } from './ip/paths';
import { icmpForTcp, pathMtuChanged, quotedConnection } from './tcp/icmp';
import type { Tcp } from './tcp/tcp';
import type { Udp } from './udp/udp';

/** Below this a host does not believe an IPv4 path's MTU, and lets routers cut its datagrams instead (Linux's min_pmtu). */
const MTU_MIN_V4 = 552;
/** RFC 8201 §4: a smaller one is no IPv6 link's. */
const MTU_MIN_V6 = 1280;
/** RFC 791 §3.2: the least any link takes; a smaller "next-hop MTU" is an old router's, which names none. */
const LINK_MIN_V4 = 68;

/** ICMP and ICMPv6 as they come in: answers echoes, takes redirects, and brings errors to those whom they are about. */
export class Control {
  private readonly message = new IcmpMessage();
  private readonly quote = new Quote();
  /** Called for echo replies, by who sends echo requests. */
  onEchoReply: ((source: Address, identifier: number, sequence: number, bytes: number) => void) | null = null;

  constructor(
    private readonly paths: Paths,
    private readonly sender: IcmpSender,
    private readonly tcp: Tcp,
    private readonly udp: Udp,
    /** Hard errors end established connections too (SHLD-26); Linux leaves them to time out. */
    private readonly hardErrorsAbort: boolean,
    private readonly acceptRedirects: boolean,
    private readonly drop: (reason: Drop, now: Millis) => void,
  ) {}

  // ── in ──

  /** One message in. Returns it when it is none of those that are dealt with here: the link layer's, or nobody's. */
  arrives(iface: Interface, d: Datagram, slab: Slab, now: Millis): IcmpMessage | null {
    const m = this.message;
    const bad = readIcmp(d, m);
    if (bad !== null) {
      this.drop(bad, now);
      return null;
    }
    if (m.type === (d.family === 4 ? ECHO_REQUEST : ECHO_REQUEST_V6)) this.sender.echo(d, m, slab, now);
    else if (m.type === (d.family === 4 ? ECHO_REPLY : ECHO_REPLY_V6)) this.echoReply(d, m);
    else if (isErrorType(d.family, m.type)) this.errorArrives(d, m, now);
    else if (d.family === 4 && m.type === REDIRECT) this.redirectArrives(iface, d, m, now);
    else return m;
    return null;
  }

  private echoReply(d: Datagram, m: IcmpMessage): void {
    this.onEchoReply?.(sourceOf(d), m.rest >>> 16, m.rest & 0xffff, m.end - m.bodyAt);
  }

  /** An error about something we sent: to the transport whose packet it quotes (RFC 1122 §3.2.2, MUST-54). */
  private errorArrives(d: Datagram, m: IcmpMessage, now: Millis): void {
    const bad = readQuote(d.bytes, m.bodyAt, m.end, d.family, this.quote);
    if (bad !== null) return this.drop(bad, now);
    if (isTooBig(d.family, m)) return this.tooBig(d.family, m, now);
    const meaning = meaningOf(d.family, m);
    if (meaning === null) return this.drop('icmp-unknown-type', now);
    if (!this.tell(d.family, meaning, now)) this.drop('icmp-bad-quote', now);
  }

  /** Whoever sent what `this.quote` holds hears of it. False when nobody did. */
  private tell(family: 4 | 6, meaning: IcmpMeaning, now: Millis): boolean {
    const q = this.quote;
    const local = localOf(family, q);
    const remote = remoteOf(family, q);
    if (q.protocol === UDP) return this.udp.icmpError(local, q.sourcePort, remote, q.destinationPort, meaning);
    if (q.protocol !== TCP) return false;
    return icmpForTcp(this.tcp, local, remote, q, meaning.name, meaning.hard, this.hardErrorsAbort, now);
  }

  /** A frame of ours waited in vain for its next hop's address: as if a router had said so. */
  unreachable(iface: Interface, frame: Uint8Array, now: Millis): void {
    const at = iface.linkBytes;
    const family = frame[at]! >>> 4 === 6 ? 6 : 4;
    if (readQuote(frame, at, frame.length, family, this.quote) === null) this.tell(family, NEIGHBOR_UNREACHABLE, now);
  }

  // ── path MTU discovery (RFC 1191, RFC 8201) ──

  /** Only about a packet that we have in flight, or can have sent: anybody can send these. */
  private tooBig(family: 4 | 6, m: IcmpMessage, now: Millis): void {
    const q = this.quote;
    const local = localOf(family, q);
    const remote = remoteOf(family, q);
    const path = this.pathOf(local, remote, q);
    if (path === null) return this.drop('icmp-bad-quote', now);
    let mtu = family === 4 ? m.rest & 0xffff : m.rest >>> 0;
    // A router from before RFC 1191 names no size: the next lower plateau (RFC 1191 §5, §7).
    if (family === 4 && mtu < LINK_MIN_V4) mtu = plateauBelow(Math.min(q.length, path.mtu));
    const least = Math.min(family === 4 ? MTU_MIN_V4 : MTU_MIN_V6, path.linkMtu);
    const believable = family === 4 || mtu >= MTU_MIN_V6;
    const dontFragment = mtu >= least;
    mtu = Math.max(mtu, least);
    if (!believable || (mtu >= path.mtu && (dontFragment || !path.dontFragment))) return this.drop('icmp-bad-mtu', now);
    this.learn(path, mtu, dontFragment, now);
    for (const other of this.paths.knownTo(remote)) {
      if (other !== path && other.local.equals(local)) this.learn(other, mtu, dontFragment, now);
    }
    if (q.protocol === UDP) this.udp.pathMtuShrunk(local, q.sourcePort, remote, q.destinationPort);
  }

  private pathOf(local: Address, remote: Address, q: Quote): IpPath | null {
    if (q.protocol === TCP) return (quotedConnection(this.tcp, local, remote, q)?.path ?? null) as IpPath | null;
    if (q.protocol !== UDP || !this.udp.maySend(local, q.sourcePort, remote, q.destinationPort)) return null;
    return this.paths.knownTo(remote).find((path) => path.local.equals(local)) ?? null;
  }

  private learn(path: IpPath, mtu: number, dontFragment: boolean, now: Millis): void {
    this.paths.learnMtu(path, mtu, dontFragment, now);
    pathMtuChanged(this.tcp, path, now);
  }

  /** Learned MTUs are forgotten in time. */
  expire(now: Millis): void {
    for (let path = this.paths.forgotten(now); path !== null; path = this.paths.forgotten(now)) {
      pathMtuChanged(this.tcp, path, now);
    }
  }

  // ── redirects ──

  /** RFC 1122 §3.2.2.2: from the gateway in use, to another host on the same network; anything else is not believed. */
  private redirectArrives(iface: Interface, d: Datagram, m: IcmpMessage, now: Millis): void {
    const bad = readQuote(d.bytes, m.bodyAt, m.end, 4, this.quote);
    if (bad !== null) return this.drop(bad, now);
    const better = Address.v4(m.rest);
    const isNeighbor = iface.addresses.some((cidr) => cidr.contains(better));
    const usable = isNeighbor && !better.isMulticast && !iface.isBroadcast(better.w3) && !this.paths.isLocal(better);
    const believed = this.acceptRedirects && usable && m.code <= 3;
    if (!believed || !this.paths.redirect(iface, sourceOf(d), remoteOf(4, this.quote), better)) {
      this.drop('icmp-bad-redirect', now);
    }
  }

  // ── errors of ours ──

  portUnreachable(d: Datagram, now: Millis): void {
    if (d.family === 4) this.sender.report(d, UNREACHABLE, PORT_UNREACHABLE, 0, now);
    else this.sender.report(d, UNREACHABLE_V6, PORT_UNREACHABLE_V6, 0, now);
  }

  protocolUnreachable(d: Datagram, now: Millis): void {
    if (d.family === 4) return this.sender.report(d, UNREACHABLE, PROTOCOL_UNREACHABLE, 0, now);
    this.sender.report(d, PARAMETER_PROBLEM_V6, UNKNOWN_NEXT_HEADER, d.nextHeaderAt - d.headerAt, now);
  }

  /** What `d.problemCode` says of an IPv6 header. */
  parameterProblem(d: Datagram, now: Millis): void {
    this.sender.report(d, PARAMETER_PROBLEM_V6, d.problemCode, d.problemAt, now);
  }

  /** `d` is the first fragment of a datagram whose others did not all come. */
  reassemblyTimedOut(d: Datagram, now: Millis): void {
    this.sender.report(d, d.family === 4 ? TIME_EXCEEDED : TIME_EXCEEDED_V6, REASSEMBLY_TIME, 0, now);
  }
}

const localOf = (family: 4 | 6, q: Quote): Address => new Address(family, q.s0, q.s1, q.s2, q.s3);
const remoteOf = (family: 4 | 6, q: Quote): Address => new Address(family, q.d0, q.d1, q.d2, q.d3);
