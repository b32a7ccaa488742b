import { Address } from './base/address';
import type { Millis } from './base/bytes';
import { type Datagram, ICMP, ICMPV6 } from './base/datagram';
import type { Drop } from './base/drops';
import type { Slab } from './base/memory';
import type { Random } from './base/random';
import { NO_ROOM } from './base/transmit';
import {
  ECHO_REPLY,
  ECHO_REPLY_V6,
  ICMP_CHECKSUM,
  ICMP_HEADER_BYTES,
  type IcmpMessage,
  isIcmpError,
  writeIcmp,
} from './ip/icmp';
import { IPV4_HEADER_BYTES } from './ip/ipv4';
import { IPV6_HEADER_BYTES, UNKNOWN_OPTION } from './ip/ipv6';
import type { IpOutput } from './ip/output';
import type { IpPath, Paths } from './ip/paths';
import { RateLimit } from './ip/rate-limit';

/** Linux's defaults: errors a second, and how many may go in a burst (RFC 1812 §4.3.2.8, RFC 4443 §2.4 (f)). */
export interface IcmpLimits {
  readonly icmpPerSecond: number;
  readonly icmpBurst: number;
  /** Echo requests of one batch that are answered. */
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

/** How long an error may be in all: RFC 1812 §4.3.2.3 and RFC 4443 §2.4 (c). */
const ERROR_MAX_V4 = 576;
const ERROR_MAX_V6 = 1280;
const ERRORS_MAX = 64;
const HOP_LIMIT = 64;
/** Precedence "internetwork control" (RFC 1812 §4.3.2.5), as Linux sends errors. */
const TOS_ERROR_V4 = 0xc0;

/** Who may be told: a source that is one host (RFC 1122 §3.2.2, RFC 4443 §2.4 (e)). */
const isOneHost = (a: Address): boolean =>
  !a.isMulticast && !a.isUnspecified && !a.isLoopback && !(a.family === 4 && a.w3 >>> 28 === 15);

/** ICMP messages of the stack's own on their way out: echo replies, and errors at a bounded rate. */
export class IcmpSender {
  private readonly echoes: Echo[] = [];
  private readonly errors: ErrorOut[] = [];
  private readonly rate: RateLimit;

  constructor(
    private readonly limits: IcmpLimits,
    random: Random,
    private readonly paths: Paths,
    private readonly out: IpOutput,
    private readonly drop: (reason: Drop, now: Millis) => void,
  ) {
    this.rate = new RateLimit(limits.icmpPerSecond, limits.icmpBurst, random);
  }

  /** Answers an echo request with the same text, from the address that was asked (RFC 1122 §3.2.2.6, RFC 4443 §4.2). */
  echo(d: Datagram, m: IcmpMessage, slab: Slab, now: Millis): void {
    // IPv4: a host may ignore requests to groups, and answering them amplifies attacks. IPv6 asks for an answer.
    if (d.notUnicast && d.family === 4) return this.drop('icmp-broadcast', now);
    if (this.echoes.length >= this.limits.echoesMax) return this.drop('icmp-rate-limited', now);
    const path = this.paths.to(sourceOf(d), isGroup(d) ? null : destinationOf(d));
    if (path === null) return this.drop('ip-no-route', now);
    slab.refs++;
    this.echoes.push({ path, rest: m.rest, slab, at: m.bodyAt, bytes: m.end - m.bodyAt, tos: d.tos & ~3 });
  }

  /**
   * Tells the sender of `d` what was wrong with it, unless RFC 1122 §3.2.2 or RFC 4443 §2.4 (e) forbid it. Nothing is sent
   * before poll.
   */
  report(d: Datagram, type: number, code: number, rest: number, now: Millis): void {
    // IPv6's exception: a group may be told of an option that asks for it (RFC 4443 §2.4 (e.3)).
    if (d.notUnicast && !(d.family === 6 && d.problemCode === UNKNOWN_OPTION)) return;
    if (d.family === 4 && d.fragmentAt > 0) return;
    if (isIcmpError(d)) return;
    const source = sourceOf(d);
    if (!isOneHost(source) && !this.paths.isLocal(source)) return;
    if (this.errors.length >= ERRORS_MAX || !this.rate.take(now)) return this.drop('icmp-rate-limited', now);
    const path = this.paths.to(source, isGroup(d) ? null : destinationOf(d));
    if (path === null) return this.drop('ip-no-route', now);
    const overhead = ICMP_HEADER_BYTES + (d.family === 4 ? IPV4_HEADER_BYTES : IPV6_HEADER_BYTES);
    const most = (d.family === 4 ? ERROR_MAX_V4 : ERROR_MAX_V6) - overhead;
    const quote = d.bytes.slice(d.headerAt, Math.min(d.end, d.headerAt + most));
    this.errors.push({ path, type, code, rest, quote });
  }

  /** Sends what waits. Returns false when a link's queue is full. */
  poll(): boolean {
    while (this.echoes.length > 0) {
      const { path, rest, slab, at, bytes, tos } = this.echoes[0]!;
      const type = path.local.family === 4 ? ECHO_REPLY : ECHO_REPLY_V6;
      if (!this.send(path, type, 0, rest, slab.bytes, at, bytes, tos)) return false;
      slab.refs--;
      this.echoes.shift();
    }
    while (this.errors.length > 0) {
      const { path, type, code, rest, quote } = this.errors[0]!;
      const tos = path.local.family === 4 ? TOS_ERROR_V4 : 0;
      if (!this.send(path, type, code, rest, quote, 0, quote.length, tos)) return false;
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
      this.out.end(ICMP_HEADER_BYTES + bytes, ICMP, tos, HOP_LIMIT, -1, 0);
    } else {
      b[at + ICMP_CHECKSUM] = 0;
      b[at + ICMP_CHECKSUM + 1] = 0;
      this.out.end(ICMP_HEADER_BYTES + bytes, ICMPV6, tos, HOP_LIMIT, ICMP_CHECKSUM, 0);
    }
    return true;
  }

  get wantsPoll(): boolean {
    return this.echoes.length > 0 || this.errors.length > 0;
  }
}

/** The datagram came to a group: an answer needs another source. */
const isGroup = (d: Datagram): boolean => (d.family === 4 ? d.d3 >>> 28 === 14 : d.d0 >>> 24 === 0xff);

/** Objects of the words in `d`. */
export const sourceOf = (d: Datagram): Address => new Address(d.family, d.s0, d.s1, d.s2, d.s3);
export const destinationOf = (d: Datagram): Address => new Address(d.family, d.d0, d.d1, d.d2, d.d3);
