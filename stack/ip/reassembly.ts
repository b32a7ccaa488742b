import { type Bytes, type Millis, NEVER } from '../base/bytes';
import type { Datagram } from '../base/datagram';
import { DeadlineQueue, type Timed } from '../base/deadlines';
import type { Drop } from '../base/drops';

export interface ReassemblyLimits {
  /** RFC 1122 §3.3.2 asks for 60 to 120 s, RFC 8200 §4.5 for 60. */
  readonly timeoutMs: Millis;
  readonly datagramsMax: number;
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

/** IPv6 requires no more of hosts, IPv4's length field allows no more. */
const BODY_MAX = 65_535;
/** What an ICMP "time exceeded" quotes of the first fragment. */
const QUOTE_MAX = 1232;

/** One datagram whose fragments are coming in. */
export class Partial implements Timed {
  bytes: Bytes = new Uint8Array(0);
  /** Ranges that are there: [from, to) pairs, sorted, apart. */
  readonly ranges: number[] = [];
  /** Known with the last fragment; -1 before. */
  length = -1;
  protocol = 0;
  fragments = 0;
  /** The first fragment as it came, as far as errors quote it; null until it is there. */
  first: Uint8Array | null = null;
  /** ECN marks seen (RFC 3168 §5.3): CE on one fragment marks the whole. */
  congestion = 0;
  queueIndex = -1;
  queueKey: Millis = NEVER;

  constructor(
    readonly key: string,
    readonly deadline: Millis,
  ) {}

  nextDeadline(): Millis {
    return this.deadline;
  }
}

/**
 * Puts fragments together (RFC 791 §3.2, RFC 8200 §4.5). Overlapping fragments serve attackers only: the datagram is
 * given up (RFC 5722 §4; Linux does so for IPv4 too); an exact repetition is passed over. Bounded in datagrams, bytes,
 * fragments and time.
 */
export class Reassembly {
  private readonly partials = new Map<string, Partial>();
  private readonly deadlines = new DeadlineQueue<Partial>();
  private bytes = 0;

  constructor(readonly limits: ReassemblyLimits) {}

  /**
   * Takes the fragment that `d` describes. Returns the complete datagram, null when more is to come, or why the fragment
   * was refused.
   */
  add(d: Datagram, now: Millis): Partial | Drop | null {
    const bytes = d.end - d.bodyAt;
    if (d.moreFragments && (bytes === 0 || (bytes & 7) !== 0)) return 'ip-fragment-malformed';
    if (d.fragmentAt + bytes > BODY_MAX) return 'ip-fragment-malformed';
    const key = `${d.s0},${d.s1},${d.s2},${d.s3},${d.d0},${d.d1},${d.d2},${d.d3},${d.protocol},${d.identification}`;
    let partial = this.partials.get(key);
    if (partial === undefined) {
      if (this.partials.size >= this.limits.datagramsMax) return 'ip-fragment-limit';
      partial = new Partial(key, now + this.limits.timeoutMs);
      this.partials.set(key, partial);
      this.deadlines.update(partial, partial.deadline);
    }
    const refused = this.place(partial, d, bytes);
    if (refused === 'repeated') return null;
    if (refused !== null) {
      this.forget(partial);
      return refused;
    }
    if (partial.length < 0 || partial.ranges.length !== 2 || partial.ranges[1] !== partial.length) return null;
    this.forget(partial);
    return partial;
  }

  private place(partial: Partial, d: Datagram, bytes: number): Drop | 'repeated' | null {
    const from = d.fragmentAt;
    const to = from + bytes;
    if (++partial.fragments > this.limits.fragmentsMax) return 'ip-fragment-limit';
    if (!d.moreFragments) {
      if (partial.length >= 0 && partial.length !== to) return 'ip-fragment-malformed';
      const last = partial.ranges[partial.ranges.length - 1] ?? 0;
      if (last > to) return 'ip-fragment-malformed';
    } else if (partial.length >= 0 && to > partial.length) {
      return 'ip-fragment-malformed';
    }
    const known = insertRange(partial.ranges, from, to);
    if (known === 'repeated') return 'repeated';
    if (known === 'overlap') return 'ip-fragment-overlap';
    if (!this.grow(partial, to)) return 'ip-fragment-limit';
    partial.bytes.set(d.bytes.subarray(d.bodyAt, d.end), from);
    if (!d.moreFragments) partial.length = to;
    if (from === 0) {
      partial.first = d.bytes.slice(d.headerAt, Math.min(d.end, d.headerAt + QUOTE_MAX));
      partial.protocol = d.protocol;
    }
    if ((d.tos & 3) === 3) partial.congestion = 3;
    return null;
  }

  private grow(partial: Partial, to: number): boolean {
    const have = partial.bytes.length;
    if (to <= have) return true;
    const size = Math.min(BODY_MAX, Math.max(to, have * 2, 4096));
    if (this.bytes + size - have > this.limits.bytesMax) return false;
    const grown = new Uint8Array(size);
    grown.set(partial.bytes);
    partial.bytes = grown;
    this.bytes += size - have;
    return true;
  }

  private forget(partial: Partial): void {
    this.partials.delete(partial.key);
    this.deadlines.remove(partial);
    this.bytes -= partial.bytes.length;
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

  /** Datagrams in progress. */
  get size(): number {
    return this.partials.size;
  }
}

/** Adds [from, to) to sorted, separate ranges, joining neighbours. */
function insertRange(ranges: number[], from: number, to: number): 'repeated' | 'overlap' | null {
  let i = 0;
  while (i < ranges.length && ranges[i + 1]! < from) i += 2;
  // ranges[i] is the first that ends at or behind `from`.
  if (i < ranges.length && ranges[i]! <= from && to <= ranges[i + 1]! && from < to) return 'repeated';
  const joinsLeft = i < ranges.length && ranges[i + 1] === from;
  const next = joinsLeft ? i + 2 : i;
  if (next < ranges.length && ranges[next]! < to) return 'overlap';
  const joinsRight = next < ranges.length && ranges[next] === to;
  if (joinsLeft && joinsRight) ranges.splice(i + 1, 2);
  else if (joinsLeft) ranges[i + 1] = to;
  else if (joinsRight) ranges[next] = from;
  else ranges.splice(i, 0, from, to);
  return null;
}
