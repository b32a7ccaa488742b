import { type Millis, NEVER } from '../base/bytes';
import { NONE } from '../base/memory';
import type { Connection, RetransmitTimer } from './connection';
import type { Tcp } from './tcp';

/** No timer of loss recovery is shorter: clocks, ours and the peer's, are not that fine (RFC 8985 §9.4). */
export const TIMEOUT_MIN: Millis = 2;

/** The one timer of the send side runs for `kind` until `at`. Told to the deadline queue by whoever ends the turn. */
export function setRetransmitTimer(c: Connection, kind: RetransmitTimer, at: Millis): void {
  c.retransmitTimer = kind;
  c.retransmitAt = at;
}

export function stopRetransmitTimer(c: Connection): void {
  c.retransmitTimer = 'none';
  c.retransmitAt = NEVER;
}

/** How long until the first packet in the queue, as last sent, is overdue; may be negative. */
function rtoRemaining(tcp: Tcp, c: Connection, now: Millis): Millis {
  const head = c.sent.head;
  return head === NONE ? c.rto : tcp.sent.sentAt(head) + c.rto - now;
}

/**
 * RFC 6298 §5.2 and §5.3: restarted by every new acknowledgment, off when all is acknowledged. A timer that stood in for
 * it meanwhile does not prolong it.
 */
export function restartRto(tcp: Tcp, c: Connection, now: Millis): void {
  if (c.packetsOut === 0) return stopRetransmitTimer(c);
  let rto = c.rto;
  if (c.retransmitTimer === 'reorder' || c.retransmitTimer === 'probe') {
    rto = Math.max(rtoRemaining(tcp, c, now), RTO_AT_ONCE);
  }
  // Not through setRetransmitTimer: a fraction handed on is boxed, and this runs for every segment.
  c.retransmitTimer = 'rto';
  c.retransmitAt = now + rto;
}

const RTO_AT_ONCE: Millis = 1;

/** The timer after an acknowledgment: a loss probe when one is allowed, else the RTO. */
export function setTimerAfterAck(tcp: Tcp, c: Connection, now: Millis): void {
  if (!scheduleProbe(tcp, c, true, now)) restartRto(tcp, c, now);
}

/**
 * RFC 8985 §7.2: while nothing is known to be lost, two round trips of silence call for a probe of the tail. A single
 * packet's ACK may be delayed, which the probe waits for. `restarting`: the RTO would start anew now.
 */
export function scheduleProbe(tcp: Tcp, c: Connection, restarting: boolean, now: Millis): boolean {
  if (!tcp.profile.tailLossProbe || !c.sackOk || c.packetsOut === 0 || !c.synchronized) return false;
  if (c.recovery !== 'Open' && c.recovery !== 'CWR') return false;
  let wait = tcp.profile.rtoInitialMs;
  if (c.srtt > 0) wait = 2 * c.srtt + (c.packetsOut === 1 ? tcp.profile.rtoMinMs : TIMEOUT_MIN);
  // How long the RTO has still to run, as rtoRemaining says, which would box it here.
  const head = c.sent.head;
  const rto = restarting || head === NONE ? c.rto : tcp.sent.sentAt(head) + c.rto - now;
  if (rto > 0) wait = Math.min(wait, rto);
  // A clock that leapt makes round trips as long as the leap.
  wait = Math.min(wait, tcp.profile.rtoMaxMs);
  c.retransmitTimer = 'probe';
  c.retransmitAt = now + wait;
  return true;
}

/** How long until the next probe of a closed window (RFC 9293 §3.8.6.1): the RTO, doubled for every one unanswered. */
export function persistDelay(tcp: Tcp, c: Connection, now: Millis): Millis {
  const { rtoMinMs, rtoMaxMs } = tcp.profile;
  const wait = Math.min(Math.max(c.rto, rtoMinMs) * 2 ** Math.min(c.backoff, PERSIST_DOUBLINGS_MAX), rtoMaxMs);
  return beforeUserTimeout(c, wait, c.windowProbesSince, now);
}

const PERSIST_DOUBLINGS_MAX = 30;

/** No longer than until the user timeout, which runs since `since` (-1: not yet), is over. */
export function beforeUserTimeout(c: Connection, wait: Millis, since: Millis, now: Millis): Millis {
  if (c.userTimeout === 0 || since < 0) return wait;
  return Math.min(wait, Math.max(since + c.userTimeout - now, RTO_AT_ONCE));
}
