import type { Millis } from '../base/bytes';
import type { Connection } from './connection';
import { effectiveMss, headersOf } from './options';
import { currentThreshold } from './prr';
import { resendWithoutBlame } from './recovery';
import { markLost } from './scoreboard';
import { type Seq, seqDiff } from './seq';
import type { Tcp } from './tcp';

/**
 * Packetization layer path MTU discovery (RFC 4821) as Linux has it: a connection looks for the largest datagram that gets
 * through, by sending a segment of ordinary text that is larger than the others. It needs no ICMP, which many networks
 * drop. The search halves the range between what is known to pass and what may; that a probe is lost is no congestion.
 */
export class MtuSearch {
  /** The probe that is out: its datagram's bytes, 0 for none, and where its text stands. */
  size = 0;
  start = 0 as Seq;
  end = 0 as Seq;

  constructor(
    /** Bytes of a datagram that is known to get through. */
    public low: number,
    /** ... and of the largest that may. */
    public high: number,
    /** When the range was last opened as far as it goes. */
    public openedAt: Millis,
  ) {}
}

/** Fewer packets in flight leave no room for what detects the probe's loss (RFC 4821 §7.4; Linux has eleven). */
const CWND_MIN = 11;

/** Text in a datagram, and the datagram around text; TCP options stand in it as in every segment. */
const optionsOf = (c: Connection): number => (c.timestamps ? 12 : 0);
const textIn = (c: Connection, datagram: number): number => datagram - headersOf(c) - optionsOf(c);
const datagramOf = (c: Connection, text: number): number => text + headersOf(c) + optionsOf(c);

/** The largest datagram that peer, link and path may take. */
const largest = (c: Connection): number =>
  Math.min(c.peerMss + headersOf(c), c.userMss > 0 ? c.userMss + headersOf(c) : c.path.mtu, c.path.mtu);

/** Begins a search, from a size that gets through almost everywhere. The connection's segments get as small. */
export function beginMtuSearch(tcp: Tcp, c: Connection, now: Millis): void {
  const high = largest(c);
  c.mtuSearch = new MtuSearch(Math.min(datagramOf(c, tcp.profile.mtuProbeBase), high), high, now);
  effectiveMss(c);
}

/**
 * What is sent has not been acknowledged for long: perhaps it is too large, and nobody says so (RFC 4821 §7.7). Begins a
 * search, or, when there is one already, tries half of what was thought to get through.
 */
export function blackHoleSuspected(tcp: Tcp, c: Connection, now: Millis): void {
  const { mtuProbing, mtuProbeBase, mtuProbeFloor } = tcp.profile;
  if (mtuProbing === 'off') return;
  const search = c.mtuSearch;
  if (search === null) return beginMtuSearch(tcp, c, now);
  const text = Math.max(Math.min(textIn(c, search.low) >> 1, mtuProbeBase), mtuProbeFloor);
  search.low = Math.min(datagramOf(c, text), search.low);
  search.size = 0;
  effectiveMss(c);
}

/** The path takes less than was thought: there is no use in larger probes. */
export function boundMtuSearch(c: Connection): void {
  const search = c.mtuSearch;
  if (search === null) return;
  search.high = Math.min(search.high, c.path.mtu);
  search.low = Math.min(search.low, search.high);
}

/** `mtuProbeBytes` when a probe should go before anything else, as soon as the window has room for it. */
export const PROBE_WAITS = -1;

/**
 * Text of the probe to send now; 0: none, PROBE_WAITS: in a moment. `unsent` bytes wait. A probe takes the place of text
 * that would be sent anyway, with as much behind it as shows whether it is lost (RFC 4821 §7.4).
 */
export function mtuProbeBytes(tcp: Tcp, c: Connection, unsent: number, now: Millis): number {
  const search = c.mtuSearch;
  if (search === null || search.size > 0 || c.recovery !== 'Open' || c.cwnd < CWND_MIN) return 0;
  // SACK blocks would take part of the segment.
  if (c.sackRecentCount > 0 || c.hasDsack || c.urgentOut) return 0;
  const { high, low } = search;
  if (high - low < tcp.profile.mtuProbeThreshold) {
    maySearchAgain(tcp, c, search, now);
    return 0;
  }
  const bytes = textIn(c, (high + low) >> 1);
  const needed = bytes + (c.reordering + 1) * c.mss;
  if (bytes <= c.mss || unsent < needed || c.sndWnd < needed) return 0;
  if (seqDiff(c.sndNxt, c.sndUna) + needed > c.sndWnd) return PROBE_WAITS;
  if (c.inFlight + 2 > c.cwnd) return c.inFlight === 0 ? 0 : PROBE_WAITS;
  return bytes;
}

/** Routes change: after some minutes the range is opened again (RFC 4821 §7.7, RFC 8201 §4). */
function maySearchAgain(tcp: Tcp, c: Connection, search: MtuSearch, now: Millis): void {
  if (now - search.openedAt < tcp.profile.mtuProbeIntervalMs) return;
  search.high = largest(c);
  search.low = datagramOf(c, c.mss);
  search.openedAt = now;
}

/** The probe, [start, end) of the text, is on its way. It counts as two packets, so that it is no burst. */
export function mtuProbeSent(c: Connection, start: Seq, end: Seq): void {
  const search = c.mtuSearch!;
  search.start = start;
  search.end = end;
  search.size = datagramOf(c, seqDiff(end, start));
  c.cwnd--;
}

/** Something that was sent before goes out again: what becomes of the probe tells nothing any more. */
export function mtuProbeInconclusive(c: Connection): void {
  if (c.mtuSearch !== null) c.mtuSearch.size = 0;
}

/** SND.UNA has moved: with the probe acknowledged, segments of its size get through. The window stays the same in bytes. */
export function mtuProbeAcknowledged(c: Connection): void {
  const search = c.mtuSearch!;
  if (search.size === 0 || seqDiff(c.sndUna, search.end) < 0) return;
  const before = c.mss;
  search.low = search.size;
  search.size = 0;
  effectiveMss(c);
  c.ssthresh = currentThreshold(c);
  c.cwnd = Math.max(1, Math.floor((c.cwnd * before) / c.mss));
  c.cwndCredit = 0;
}

/**
 * Losses were found: is it the probe that is missing, the first in the queue? Then it was too large, and its text goes again
 * in segments that are not, with the window as it was (RFC 4821 §7.6.2). False: it is another loss.
 */
export function mtuProbeLost(tcp: Tcp, c: Connection, now: Millis): boolean {
  const search = c.mtuSearch;
  if (search === null || search.size === 0 || c.sndUna !== search.start) return false;
  search.high = search.size - 1;
  search.size = 0;
  c.cwnd++;
  markLost(tcp, c, c.sent.head, 'path-mtu', now);
  resendWithoutBlame(tcp, c, now);
  return true;
}
