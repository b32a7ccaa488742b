import type { Address } from '../base/address';
import type { Millis } from '../base/bytes';
import { NONE } from '../base/memory';
import type { Path } from '../base/transmit';
import { ADVICE, type Connection, type TcpError } from './connection';
import { boundMtuSearch } from './mtu-search';
import { effectiveMss } from './options';
import { resendWithoutBlame } from './recovery';
import { markLost } from './scoreboard';
import { LOST, RETRANSMITTED, SACKED } from './sent-table';
import { type Seq, seqDiff } from './seq';
import type { Tcp } from './tcp';

/** What ICMP quotes of a segment of ours. */
export interface QuotedSegment {
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly seq: number;
}

/**
 * The connection that really has the quoted segment in flight (MUST-54, RFC 5927 §4.1); null: a forgery, or too late.
 */
export function quotedConnection(tcp: Tcp, local: Address, remote: Address, q: QuotedSegment): Connection | null {
  const c = tcp.connections.lookup(local, q.sourcePort, remote, q.destinationPort);
  if (c === null) return null;
  const seq = (q.seq | 0) as Seq;
  return seqDiff(seq, c.sndUna) >= 0 && seqDiff(c.sndNxt, seq) > 0 ? c : null;
}

/**
 * An ICMP error about one of our segments. During the handshake a hard one refuses the connection; otherwise it is advice
 * that the application may see and that names the reason should the connection time out (RFC 5461, MUST-47, 56, SHLD-25).
 * Returns false when no connection has such a segment in flight.
 */
export function icmpForTcp(
  tcp: Tcp,
  local: Address,
  remote: Address,
  q: QuotedSegment,
  error: TcpError,
  hard: boolean,
  hardAborts: boolean,
  now: Millis,
): boolean {
  const c = quotedConnection(tcp, local, remote, q);
  if (c === null) return false;
  if (hard && hardAborts) tcp.fail(c, error, now);
  else if (!c.synchronized && (hard || tcp.profile.softErrorsRefuse) && refuse(tcp, c, error, now)) return true;
  if (c.state === 'CLOSED') return true;
  c.softError = error;
  tcp.signal(c, ADVICE);
  return true;
}

/** The handshake will not succeed. False: an application has the connection already, and is only told. */
function refuse(tcp: Tcp, c: Connection, error: TcpError, now: Millis): boolean {
  if (!c.passive) tcp.fail(c, error, now);
  else if (c.fast?.child !== true) tcp.remove(c, now);
  else if (c.owner === null) tcp.fail(c, error, now);
  else return false;
  return true;
}

/**
 * The path takes smaller datagrams than before, or larger ones again (RFC 1191 §6.4, RFC 8201 §5): its connections cut
 * their segments to size, and what is in flight and larger than the path takes goes out again at once.
 */
export function pathMtuChanged(tcp: Tcp, path: Path, now: Millis): void {
  for (const c of tcp.connections) {
    if (c.path !== path) continue;
    const before = c.mss;
    boundMtuSearch(c);
    effectiveMss(c);
    if (c.mss < before) resendTooLarge(tcp, c, now);
  }
}

/** No congestion: what was too large is lost, the window stays (RFC 1191 §6.4). */
function resendTooLarge(tcp: Tcp, c: Connection, now: Millis): void {
  if (!c.mayTransfer) {
    // A SYN that carried text was too large: again without it. One that is due anyway stays due.
    if (c.state === 'SYN-SENT' && c.fast !== null && c.fast.text > 0) c.synDue = true;
    return tcp.wantsOutput(c);
  }
  const { sent } = tcp;
  let before = NONE;
  for (let record = c.sent.head; record !== NONE; record = sent.next(record)) {
    if (seqDiff(sent.end(record), sent.seq(record)) > c.mss) markLost(tcp, c, record, 'path-mtu', now);
    if (!isWaiting(sent.flags(record))) {
      before = NONE;
      continue;
    }
    // Neighbours become one: cut anew, not each for itself.
    if (before === NONE) before = record;
    else sent.absorbNext(c.sent, before);
    recount(tcp, c, before);
    record = before;
  }
  if (c.lostOut > c.retransOut) resendWithoutBlame(tcp, c, now);
  tcp.wantsOutput(c);
}

/** Lost, and not sent again yet. */
const isWaiting = (flags: number): boolean => (flags & (LOST | RETRANSMITTED | SACKED)) === LOST;

/** A record counts as many packets as it takes at the MSS of now. */
function recount(tcp: Tcp, c: Connection, record: number): void {
  const sent = tcp.sent;
  const before = sent.packets(record);
  const after = Math.max(1, Math.ceil(seqDiff(sent.end(record), sent.seq(record)) / c.mss));
  sent.setPackets(record, after);
  countChange(c, sent.flags(record), after - before);
}

function countChange(c: Connection, flags: number, change: number): void {
  c.packetsOut += change;
  if ((flags & SACKED) !== 0) c.sackedOut += change;
  if ((flags & LOST) !== 0) c.lostOut += change;
  if ((flags & RETRANSMITTED) !== 0) c.retransOut += change;
}
