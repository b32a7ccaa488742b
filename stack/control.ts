import { Address } from './base/address';
import type { Millis } from './base/bytes';
import { type Datagram, ICMP, ICMPV6, TCP, UDP } from './base/datagram';
import type { Drop } from './base/drops';
import type { Slab } from './base/memory';
import { NO_ROOM } from './base/transmit';
import {
  ADMINISTRATIVELY_PROHIBITED_V6,
  ECHO_REPLY,
  ECHO_REPLY_V6,
  ECHO_REQUEST,
  ECHO_REQUEST_V6,
  FRAGMENTATION_NEEDED,
  ICMP_CHECKSUM,
  ICMP_HEADER_BYTES,
  IcmpMessage,
  isIcmpError,
  PACKET_TOO_BIG_V6,
  PARAMETER_PROBLEM,
  PARAMETER_PROBLEM_V6,
  PORT_UNREACHABLE,
  PORT_UNREACHABLE_V6,
  PROTOCOL_UNREACHABLE,
  Quote,
  readIcmp,
  readQuote,
  TIME_EXCEEDED,
  TIME_EXCEEDED_V6,
  UNREACHABLE,
  UNREACHABLE_V6,
  writeIcmp,
} from './ip/icmp';
import { IPV4_HEADER_BYTES } from './ip/ipv4';
import { IPV6_HEADER_BYTES, UNKNOWN_NEXT_HEADER } from './ip/ipv6';
import type { IpOutput } from './ip/output';
import type { IpPath } from './ip/paths';
import type { TcpError } from './tcp/connection';
import { icmpForTcp, pathMtuChanged } from './tcp/icmp';
import type { Tcp } from './tcp/tcp';
import type { Udp, UdpError } from './udp/udp';

/** Linux's defaults: errors a second, and how many may go in a burst (RFC 1812 §4.3.2.8, RFC 4443 §2.4 (f)). */
export interface ControlLimits {
  readonly icmpPerSecond: number;
  readonly icmpBurst: number;
  readonly echoesMax: number;
}

/** An echo request to answer: its text stays in the slab until poll. */
interface Echo {
  readonly path: IpPath;
  readonly rest: number;
  readonly slab: Slab;
  readonly at: number;
  readonly bytes: number;
  readonly tos: number;
}

/** An error to send. */
interface ErrorOut {
  readonly path: IpPath;
  readonly type: number;
  readonly code: number;
  readonly rest: number;
  readonly quote: Uint8Array;
}

/** How much an error may be long in all: RFC 1812 §4.3.2.3 and RFC 4443 §2.4 (c). */
const ERROR_MAX_V4 = 576;
const ERROR_MAX_V6 = 1280;
/** Path MTUs below these are not believed (RFC 1191 §3 and Linux's min_pmtu; RFC 8201 §4). */
const MTU_MIN_V4 = 552;
const MTU_MIN_V6 = 1280;
const MTU_KEPT_MS = 600_000;
const ERRORS_MAX = 64;
const DEFAULT_HOP_LIMIT = 64;

/** What Control asks of the stack. */
export interface ControlPaths {
  pathTo(remote: Address, local: Address | null): IpPath | null;
  drop(reason: Drop, now: Millis): void;
}

/** ICMP and ICMPv6: answers echoes, sends errors at a bounded rate, and brings errors to the connection they are about. */
export class Control {
  private readonly message = new IcmpMessage();
  private readonly quote = new Quote();
  private readonly echoes: Echo[] = [];
  private readonly errors: ErrorOut[] = [];
  private tokens: number;
  private tokensAt: Millis = 0;
  /** Called for echo replies, by who sends echo requests. */
  onEchoReply: ((source: Address, identifier: number, sequence: number, bytes: number) => void) | null = null;

  constructor(
    private readonly limits: ControlLimits,
    private readonly paths: ControlPaths,
    private readonly out: IpOutput,
    private readonly tcp: Tcp,
    private readonly udp: Udp,
    /** Hard errors end established connections too (SHLD-26); Linux leaves them to time out. */
    private readonly hardErrorsAbort: boolean,
  ) {
    this.tokens = limits.icmpBurst;
  }

  // ── in ──

  /** One message in. Neighbor Discovery is not among them: the link layer takes it. `type` -1 says that it was used. */
  arrives(d: Datagram, slab: Slab, now: Millis): IcmpMessage | null {
    const m = this.message;
    const bad = readIcmp(d, m);
    if (bad !== null) {
      this.paths.drop(bad, now);
      return null;
    }
    if (m.type === (d.family === 4 ? ECHO_REQUEST : ECHO_REQUEST_V6)) this.echo(d, m, slab, now);
    else if (m.type === (d.family === 4 ? ECHO_REPLY : ECHO_REPLY_V6)) this.echoReply(d, m);
    else if (isError(d.family, m.type)) this.errorArrives(d, m, now);
    else return m;
    return null;
  }

  private echo(d: Datagram, m: IcmpMessage, slab: Slab, now: Millis): void {
    // RFC 1122 §3.2.2.6 lets a host ignore echo requests to groups; answering them amplifies attacks.
    if (d.notUnicast) return this.paths.drop('icmp-broadcast', now);
    if (this.echoes.length >= this.limits.echoesMax) return this.paths.drop('icmp-rate-limited', now);
    const path = this.paths.pathTo(sourceOf(d), destinationOf(d));
    if (path === null) return this.paths.drop('ip-no-route', now);
    slab.refs++;
    this.echoes.push({ path, rest: m.rest, slab, at: m.bodyAt, bytes: m.end - m.bodyAt, tos: d.tos & ~3 });
  }

  private echoReply(d: Datagram, m: IcmpMessage): void {
    this.onEchoReply?.(sourceOf(d), m.rest >>> 16, m.rest & 0xffff, m.end - m.bodyAt);
  }

  /** An error about something we sent: to the transport whose packet it quotes (RFC 1122 §3.2.2, MUST-54). */
  private errorArrives(d: Datagram, m: IcmpMessage, now: Millis): void {
    const q = this.quote;
    const bad = readQuote(d.bytes, m.bodyAt, m.end, d.family, q);
    if (bad !== null) return this.paths.drop(bad, now);
    const local = new Address(d.family, q.s0, q.s1, q.s2, q.s3);
    const remote = new Address(d.family, q.d0, q.d1, q.d2, q.d3);
    if (isTooBig(d.family, m)) return this.tooBig(d.family, m, q, local, remote, now);
    const error = errorOf(d.family, m);
    // Source quench (MUST-55) and whatever has no meaning for a transport.
    if (error === null) return this.paths.drop('icmp-unknown-type', now);
    if (q.protocol === TCP) {
      const hard = isHard(d.family, m) && this.hardErrorsAbort;
      if (!icmpForTcp(this.tcp, local, remote, q, error as TcpError, isHard(d.family, m), hard, now)) {
        this.paths.drop('icmp-bad-quote', now);
      }
    } else if (q.protocol !== UDP || !this.udp.icmpError(q.sourcePort, remote, q.destinationPort, error)) {
      this.paths.drop('icmp-bad-quote', now);
    }
  }

  /** Path MTU discovery (RFC 1191, RFC 8201): only for a path that we use, about a packet that we have in flight. */
  private tooBig(family: 4 | 6, m: IcmpMessage, q: Quote, local: Address, remote: Address, now: Millis): void {
    const told = family === 4 ? m.rest & 0xffff : m.rest >>> 0;
    const least = family === 4 ? MTU_MIN_V4 : MTU_MIN_V6;
    const path = this.paths.pathTo(remote, local);
    if (path === null) return this.paths.drop('icmp-bad-quote', now);
    // A router from before RFC 1191 tells no size: the next lower plateau (RFC 1191 §7).
    const mtu = Math.max(told >= 68 ? told : plateauBelow(path.mtu), Math.min(least, path.linkMtu));
    if (q.protocol === TCP) {
      if (!pathMtuChanged(this.tcp, local, remote, q, mtu, now)) return this.paths.drop('icmp-bad-quote', now);
    }
    if (mtu >= path.mtu) return;
    path.mtu = mtu;
    path.mtuExpires = now + MTU_KEPT_MS;
    if (q.protocol === UDP) this.udp.icmpError(q.sourcePort, remote, q.destinationPort, 'EMSGSIZE');
  }

  // ── errors of ours ──

  /** Tells the sender of `d` what was wrong with it, unless RFC 1122 §3.2.2 or RFC 4443 §2.4 forbid it. */
  report(d: Datagram, type: number, code: number, rest: number, now: Millis): void {
    if (d.notUnicast || d.fragmentAt > 0 || isIcmpError(d)) return;
    this.reportAbout(d, d.bytes, d.headerAt, d.end, type, code, rest, now);
  }

  private reportAbout(
    d: Datagram,
    bytes: Uint8Array,
    from: number,
    end: number,
    type: number,
    code: number,
    rest: number,
    now: Millis,
  ): void {
    const source = sourceOf(d);
    if (source.isMulticast || source.isUnspecified || source.isLimitedBroadcast) return;
    if (this.errors.length >= ERRORS_MAX || !this.takeToken(now)) return this.paths.drop('icmp-rate-limited', now);
    const path = this.paths.pathTo(source, destinationOf(d));
    if (path === null) return;
    const overhead = ICMP_HEADER_BYTES + (d.family === 4 ? IPV4_HEADER_BYTES : IPV6_HEADER_BYTES);
    const most = (d.family === 4 ? ERROR_MAX_V4 : ERROR_MAX_V6) - overhead;
    this.errors.push({ path, type, code, rest, quote: bytes.slice(from, Math.min(end, from + most)) });
  }

  private takeToken(now: Millis): boolean {
    const { icmpPerSecond, icmpBurst } = this.limits;
    this.tokens = Math.min(icmpBurst, this.tokens + ((now - this.tokensAt) * icmpPerSecond) / 1000);
    this.tokensAt = now;
    if (this.tokens < 1) return false;
    this.tokens--;
    return true;
  }

  portUnreachable(d: Datagram, now: Millis): void {
    if (d.family === 4) this.report(d, UNREACHABLE, PORT_UNREACHABLE, 0, now);
    else this.report(d, UNREACHABLE_V6, PORT_UNREACHABLE_V6, 0, now);
  }

  protocolUnreachable(d: Datagram, now: Millis): void {
    if (d.family === 4) return this.report(d, UNREACHABLE, PROTOCOL_UNREACHABLE, 0, now);
    this.report(d, PARAMETER_PROBLEM_V6, UNKNOWN_NEXT_HEADER, d.nextHeaderAt - d.headerAt, now);
  }

  parameterProblem(d: Datagram, now: Millis): void {
    // An option of action 3 is silent to groups, one of action 2 and an unknown header are not (RFC 8200 §4.2).
    if (d.problemCode >= 0) {
      const wasGroup = d.notUnicast;
      if (d.problemCode !== UNKNOWN_NEXT_HEADER) d.notUnicast = false;
      this.report(d, PARAMETER_PROBLEM_V6, d.problemCode, d.problemAt, now);
      d.notUnicast = wasGroup;
    }
  }

  /** A datagram's fragments did not all come; the first is there to be quoted. */
  reassemblyTimedOut(first: Uint8Array, d: Datagram, now: Millis): void {
    const type = d.family === 4 ? TIME_EXCEEDED : TIME_EXCEEDED_V6;
    this.reportAbout(d, first, 0, first.length, type, 1, 0, now);
  }

  // ── out ──

  poll(): boolean {
    while (this.echoes.length > 0) {
      const echo = this.echoes[0]!;
      if (
        !this.send(
          echo.path,
          echo.path.local.family === 4 ? ECHO_REPLY : ECHO_REPLY_V6,
          0,
          echo.rest,
          echo.slab.bytes,
          echo.at,
          echo.bytes,
          echo.tos,
        )
      ) {
        return false;
      }
      echo.slab.refs--;
      this.echoes.shift();
    }
    while (this.errors.length > 0) {
      const { path, type, code, rest, quote } = this.errors[0]!;
      // Linux sends errors with precedence "internetwork control" (RFC 1812 §4.3.2.5).
      if (!this.send(path, type, code, rest, quote, 0, quote.length, path.local.family === 4 ? 0xc0 : 0)) return false;
      this.errors.shift();
    }
    return true;
  }

  private send(
    path: IpPath,
    type: number,
    code: number,
    rest: number,
    body: Uint8Array,
    from: number,
    bytes: number,
    tos: number,
  ): boolean {
    const at = this.out.begin(path);
    if (at === NO_ROOM) return false;
    const b = this.out.header;
    b.set(body.subarray(from, from + bytes), at + ICMP_HEADER_BYTES);
    writeIcmp(b, at, type, code, rest, bytes);
    if (path.local.family === 4) {
      this.out.end(ICMP_HEADER_BYTES + bytes, ICMP, tos, DEFAULT_HOP_LIMIT, -1, 0);
    } else {
      b[at + ICMP_CHECKSUM] = 0;
      b[at + ICMP_CHECKSUM + 1] = 0;
      this.out.end(ICMP_HEADER_BYTES + bytes, ICMPV6, tos, DEFAULT_HOP_LIMIT, ICMP_CHECKSUM, 0);
    }
    return true;
  }

  get wantsPoll(): boolean {
    return this.echoes.length > 0 || this.errors.length > 0;
  }
}

const sourceOf = (d: Datagram): Address => new Address(d.family, d.s0, d.s1, d.s2, d.s3);
const destinationOf = (d: Datagram): Address => new Address(d.family, d.d0, d.d1, d.d2, d.d3);

const isError = (family: 4 | 6, type: number): boolean =>
  family === 6
    ? type >= UNREACHABLE_V6 && type <= PARAMETER_PROBLEM_V6
    : type === UNREACHABLE || type === TIME_EXCEEDED || type === PARAMETER_PROBLEM || type === 4;

const isTooBig = (family: 4 | 6, m: IcmpMessage): boolean =>
  family === 4 ? m.type === UNREACHABLE && m.code === FRAGMENTATION_NEEDED : m.type === PACKET_TOO_BIG_V6;

/** RFC 1122 §4.2.3.9: protocol and port unreachable are hard (MUST-56 lists the soft ones). */
const isHard = (family: 4 | 6, m: IcmpMessage): boolean =>
  family === 4
    ? m.type === UNREACHABLE && (m.code === PROTOCOL_UNREACHABLE || m.code === PORT_UNREACHABLE)
    : (m.type === UNREACHABLE_V6 && (m.code === PORT_UNREACHABLE_V6 || m.code === ADMINISTRATIVELY_PROHIBITED_V6)) ||
      (m.type === PARAMETER_PROBLEM_V6 && m.code === UNKNOWN_NEXT_HEADER);

/** Linux's icmp_err_convert, by type and code. Null: nothing that a transport could use. */
function errorOf(family: 4 | 6, m: IcmpMessage): (TcpError & UdpError) | null {
  if (family === 6) {
    if (m.type === UNREACHABLE_V6)
      return m.code === PORT_UNREACHABLE_V6 ? 'ECONNREFUSED' : m.code === 0 ? 'ENETUNREACH' : 'EHOSTUNREACH';
    return m.type === TIME_EXCEEDED_V6 ? 'EHOSTUNREACH' : 'EPROTO';
  }
  if (m.type === TIME_EXCEEDED) return 'EHOSTUNREACH';
  if (m.type === PARAMETER_PROBLEM) return 'EPROTO';
  if (m.type !== UNREACHABLE) return null;
  switch (m.code) {
    case 0:
    case 6:
    case 9:
    case 11:
      return 'ENETUNREACH';
    case PROTOCOL_UNREACHABLE:
    case PORT_UNREACHABLE:
      return 'ECONNREFUSED';
    default:
      return 'EHOSTUNREACH';
  }
}

/** RFC 1191 §7.1's table of likely MTUs. */
const PLATEAUS = [32_000, 17_914, 8166, 4352, 2002, 1492, 1006, 576, 552];

const plateauBelow = (mtu: number): number => PLATEAUS.find((plateau) => plateau < mtu) ?? MTU_MIN_V4;
