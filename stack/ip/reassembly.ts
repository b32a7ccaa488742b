import { assert } from '../base/assert';
import { type Bytes, type Millis, NEVER } from '../base/bytes';
import type { Datagram } from '../base/datagram';
import { DeadlineQueue, type Timed } from '../base/deadlines';
import type { Drop } from '../base/drops';
import { makeWholeV4 } from './ipv4';
import {
  ERRONEOUS_FIELD,
  FRAGMENT_HEADER_BYTES,
  hasWholeChain,
  INCOMPLETE_HEADER_CHAIN,
  IPV6_HEADER_BYTES,
  makeWholeV6,
} from './ipv6';

export interface ReassemblyLimits {
  /** RFC 1122 §3.3.2 asks for 60 to 120 s, RFC 8200 §4.5 for 60. */
  readonly timeoutMs: Millis;
  /** Datagrams in progress; the oldest makes room for another. */
  readonly datagramsMax: number;
  /** Bytes held, PIECE_COST for each fragment included. */
  readonly bytesMax: number;
  /** Fragments of one datagram: more are tiny ones, made to cost. */
  readonly fragmentsMax: number;
}

export const REASSEMBLY_DEFAULTS: ReassemblyLimits = {
  timeoutMs: 60_000,
  datagramsMax: 256,
  bytesMax: 4 << 20,
  fragmentsMax: 128,
};

/** What a fragment costs beside its bytes. */
export const PIECE_COST = 128;

/** IPv6 requires no more of hosts, IPv4's length field allows no more. */
const DATAGRAM_MAX = 65_535;
const PAYLOAD_LENGTH_AT = 4;
const FRAGMENT_OFFSET_AT = 2;

/** The congestion marks seen, as bits 1 << ECN (RFC 3168 §5). */
const SEEN_NOT_ECT = 1;
const SEEN_CE = 8;
const CE = 3;

/** One datagram whose fragments are coming in. */
export class Partial implements Timed {
  /** The fragments' bodies in order, and where in the datagram's body each begins. */
  readonly pieces: Uint8Array[] = [];
  readonly starts: number[] = [];
  /** Bytes in `pieces`. */
  held = 0;
  /** Length of the datagram's body: known with the last fragment, -1 before. */
  length = -1;
  /** The first fragment as it came, and what of it are headers; null until it is there. */
  first: Uint8Array | null = null;
  headerBytes = 0;
  protocol = 0;
  /** IPv6: where in the headers the number 44 stands. */
  numberAt = 0;
  tos = 0;
  congestion = 0;
  /** Some fragment was a broadcast or multicast: no error may be sent about it. */
  notUnicast = false;
  /** The next one with the same key. */
  next: Partial | null = null;
  queueIndex = -1;
  queueKey: Millis = NEVER;

  constructor(
    readonly key: number,
    readonly family: 4 | 6,
    private readonly s0: number,
    private readonly s1: number,
    private readonly s2: number,
    private readonly s3: number,
    private readonly d0: number,
    private readonly d1: number,
    private readonly d2: number,
    private readonly d3: number,
    private readonly discriminator: number,
    private readonly identification: number,
    readonly deadline: Millis,
  ) {}

  nextDeadline(): Millis {
    return this.deadline;
  }

  isOf(d: Datagram, discriminator: number): boolean {
    return (
      this.identification === d.identification &&
      this.discriminator === discriminator &&
      this.family === d.family &&
      this.s3 === d.s3 &&
      this.d3 === d.d3 &&
      this.s0 === d.s0 &&
      this.s1 === d.s1 &&
      this.s2 === d.s2 &&
      this.d0 === d.d0 &&
      this.d1 === d.d1 &&
      this.d2 === d.d2
    );
  }

  get cost(): number {
    return this.held + this.pieces.length * PIECE_COST + (this.first?.length ?? 0);
  }

  /** Bytes of the whole datagram. */
  get bytes(): number {
    return this.headerBytes + this.length;
  }

  /** Writes the whole datagram at `at` of `b`, headers included, as if it had never been cut. */
  write(b: Bytes, at: number): void {
    b.set(this.first!.subarray(0, this.headerBytes), at);
    let to = at + this.headerBytes;
    for (const piece of this.pieces) {
      b.set(piece, to);
      to += piece.length;
    }
    const tos = (this.congestion & SEEN_CE) !== 0 ? this.tos | CE : this.tos;
    if (this.family === 4) makeWholeV4(b, at, this.bytes, tos);
    else makeWholeV6(b, at, this.bytes - IPV6_HEADER_BYTES, tos, this.numberAt, this.protocol);
  }
}

/**
 * Puts fragments together (RFC 791 §3.2, RFC 8200 §4.5). Overlapping fragments serve attackers only: the datagram is
 * given up (RFC 5722 §4; Linux does so for IPv4 too); what repeats is passed over. Bounded in datagrams, bytes, fragments
 * and time.
 */
export class Reassembly {
  private readonly partials = new Map<number, Partial>();
  private readonly deadlines = new DeadlineQueue<Partial>();
  /** Datagrams in progress, and what they cost. */
  size = 0;
  bytes = 0;

  /** @param secret so that peers cannot aim for one chain. */
  constructor(
    readonly limits: ReassemblyLimits,
    private readonly secret: number,
    private readonly refused: (reason: Drop, now: Millis) => void,
  ) {}

  /**
   * Takes the fragment that `d` describes. Returns the complete datagram, null when more is to come, or why the fragment
   * was refused; then `d.problemCode` and `d.problemAt` say what the sender is to be told, as readIpv6 does.
   */
  add(d: Datagram, now: Millis): Partial | Drop | null {
    const malformed = checkFragment(d);
    if (malformed !== null) return malformed;
    const partial = this.find(d) ?? this.make(d, now);
    const before = partial.cost;
    const refused = this.place(partial, d);
    this.bytes += partial.cost - before;
    if (refused === 'repeated') return null;
    if (refused !== null) {
      this.forget(partial);
      return refused;
    }
    if (partial.length >= 0 && partial.held === partial.length && partial.first !== null) {
      this.forget(partial);
      return partial;
    }
    while (this.bytes > this.limits.bytesMax) this.evict(now);
    return null;
  }

  private place(partial: Partial, d: Datagram): Drop | 'repeated' | null {
    const from = d.fragmentAt;
    const to = from + d.end - d.bodyAt;
    if (partial.length >= 0 && (d.moreFragments ? to > partial.length : to !== partial.length)) {
      return 'ip-fragment-malformed';
    }
    const where = placeOf(partial, from, to);
    if (where === REPEATED) return 'repeated';
    if (where === OVERLAPPING) return 'ip-fragment-overlap';
    if (!d.moreFragments) {
      // Nothing may stand behind the last fragment.
      if (where < partial.starts.length) return 'ip-fragment-malformed';
      partial.length = to;
    }
    if (partial.pieces.length >= this.limits.fragmentsMax) return 'ip-fragment-limit';
    partial.pieces.splice(where, 0, d.bytes.slice(d.bodyAt, d.end));
    partial.starts.splice(where, 0, from);
    partial.held += to - from;
    if (from === 0) takeFirst(partial, d);
    partial.notUnicast ||= d.notUnicast;
    partial.congestion |= 1 << (d.tos & CE);
    // RFC 3168 §5.3 leaves it open what "not capable" beside "congestion experienced" means: a forgery, to Linux and to us.
    const contradiction = SEEN_NOT_ECT | SEEN_CE;
    if ((partial.congestion & contradiction) === contradiction) return 'ip-fragment-malformed';
    const tooLong = partial.first !== null && partial.length >= 0 && isTooLong(partial);
    return tooLong ? 'ip-fragment-malformed' : null;
  }

  private find(d: Datagram): Partial | null {
    const discriminator = discriminatorOf(d);
    for (let p = this.partials.get(this.keyOf(d)) ?? null; p !== null; p = p.next) {
      if (p.isOf(d, discriminator)) return p;
    }
    return null;
  }

  private make(d: Datagram, now: Millis): Partial {
    if (this.size >= this.limits.datagramsMax) this.evict(now);
    const key = this.keyOf(d);
    const deadline = now + this.limits.timeoutMs;
    const { s0, s1, s2, s3, d0, d1, d2, d3, identification } = d;
    const partial = new Partial(
      key,
      d.family,
      s0,
      s1,
      s2,
      s3,
      d0,
      d1,
      d2,
      d3,
      discriminatorOf(d),
      identification,
      deadline,
    );
    partial.next = this.partials.get(key) ?? null;
    this.partials.set(key, partial);
    this.deadlines.update(partial, deadline);
    this.size++;
    return partial;
  }

  private keyOf(d: Datagram): number {
    let key = Math.imul(d.s3 ^ this.secret, 0x9e3779b1) ^ d.d3;
    key = Math.imul(key ^ (key >>> 15), 0x85ebca6b) ^ d.identification;
    key = Math.imul(key ^ (key >>> 13), 0x9e3779b1);
    return d.family === 4 ? key ^ d.protocol : key ^ Math.imul(d.s0 ^ d.s1 ^ d.s2, 0x85ebca6b);
  }

  /** Memory is short: the oldest datagram has had the most time to come together. */
  private evict(now: Millis): void {
    const oldest = this.deadlines.due(NEVER);
    assert(oldest !== null, 'memory of fragments belongs to datagrams in progress');
    this.forget(oldest);
    this.refused('ip-fragment-limit', now);
  }

  private forget(partial: Partial): void {
    this.deadlines.remove(partial);
    this.size--;
    this.bytes -= partial.cost;
    const head = this.partials.get(partial.key)!;
    if (head === partial) {
      if (partial.next === null) this.partials.delete(partial.key);
      else this.partials.set(partial.key, partial.next);
      return;
    }
    let p = head;
    while (p.next !== partial) p = p.next!;
    p.next = partial.next;
  }

  /** A datagram whose time is over, given up; null when there is none. */
  expired(now: Millis): Partial | null {
    const partial = this.deadlines.due(now);
    if (partial !== null) this.forget(partial);
    return partial;
  }

  nextDeadline(): Millis {
    return this.deadlines.next();
  }
}

/** IPv4 datagrams of different protocols are numbered apart; IPv6 has one series (RFC 8200 §4.5). */
const discriminatorOf = (d: Datagram): number => (d.family === 4 ? d.protocol : -1);

/** What one fragment shows of itself, without the others. */
function checkFragment(d: Datagram): Drop | null {
  const bytes = d.end - d.bodyAt;
  if (d.family === 4) {
    if (bytes === 0 || (d.moreFragments && (bytes & 7) !== 0)) return 'ip-fragment-malformed';
    return d.fragmentAt + bytes > DATAGRAM_MAX - (d.bodyAt - d.headerAt) ? 'ip-fragment-malformed' : null;
  }
  if (d.moreFragments && (bytes & 7) !== 0) return problem(d, ERRONEOUS_FIELD, PAYLOAD_LENGTH_AT);
  if (bytes === 0) return 'ip-fragment-malformed';
  const unfragmentable = d.fragmentHeaderAt - d.headerAt - IPV6_HEADER_BYTES;
  if (unfragmentable + d.fragmentAt + bytes > DATAGRAM_MAX) {
    return problem(d, ERRONEOUS_FIELD, d.fragmentHeaderAt - d.headerAt + FRAGMENT_OFFSET_AT);
  }
  if (d.fragmentAt > 0 || hasWholeChain(d.bytes, d.bodyAt, d.end, d.protocol)) return null;
  return problem(d, INCOMPLETE_HEADER_CHAIN, 0);
}

function problem(d: Datagram, code: number, at: number): Drop {
  d.problemCode = code;
  d.problemAt = at;
  return 'ip-fragment-malformed';
}

const REPEATED = -1;
const OVERLAPPING = -2;

/** Where among the pieces [from, to) belongs, or that all or some of it is there already. */
function placeOf(partial: Partial, from: number, to: number): number {
  const { pieces, starts } = partial;
  let i = 0;
  while (i < starts.length && starts[i]! + pieces[i]!.length <= from) i++;
  if (i === starts.length || starts[i]! >= to) return i;
  // All of it, over one or several pieces without a hole, is a repetition.
  for (let reached = from; i < starts.length && starts[i]! <= reached; i++) {
    reached = starts[i]! + pieces[i]!.length;
    if (reached >= to) return REPEATED;
  }
  return OVERLAPPING;
}

/** The first fragment brings the headers of the whole. */
function takeFirst(partial: Partial, d: Datagram): void {
  partial.first = d.bytes.slice(d.headerAt, d.end);
  partial.protocol = d.protocol;
  partial.tos = d.tos;
  if (d.family === 4) {
    partial.headerBytes = d.bodyAt - d.headerAt;
  } else {
    partial.headerBytes = d.bodyAt - d.headerAt - FRAGMENT_HEADER_BYTES;
    partial.numberAt = d.fragmentNumberAt - d.headerAt;
  }
}

function isTooLong(partial: Partial): boolean {
  const fixed = partial.family === 4 ? 0 : IPV6_HEADER_BYTES;
  return partial.bytes - fixed > DATAGRAM_MAX;
}
