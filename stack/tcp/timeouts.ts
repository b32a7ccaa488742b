import { type Millis, NEVER } from '../base/bytes';
import { NONE } from '../base/memory';
import { type Connection, FAILED } from './connection';
import { delayedAckDue } from './delayed-ack';
import { fastOpenTimedOut } from './fast-open';
import { abortWithReset } from './lifecycle';
import { blackHoleSuspected } from './mtu-search';
import { enterLoss, reorderingTimedOut } from './recovery';
import { beforeUserTimeout, setRetransmitTimer } from './retransmit-timer';
import { seqDiff } from './seq';
import type { Tcp } from './tcp';

/** §3.10.8: acts on every deadline of the connection that has come. Sends nothing itself. */
export function expire(tcp: Tcp, c: Connection, now: Millis): void {
  if (c.lingerAt <= now) return lingered(tcp, c, now);
  if (c.retransmitAt <= now) {
    retransmitDue(tcp, c, now);
    if (c.state === 'CLOSED') return;
  }
  if (c.delayedAckAt <= now) {
    delayedAckDue(tcp, c);
  }
  if (c.keepAliveAt <= now) keepAliveDue(tcp, c, now);
  if (c.pacingAt <= now) c.pacingAt = NEVER;
}

/** FIN-WAIT-2 without an application, or a handshake that nobody finishes. */
function lingered(tcp: Tcp, c: Connection, now: Millis): void {
  c.lingerAt = NEVER;
  if (c.state === 'FIN-WAIT-2' && c.orphaned) tcp.remove(c, now);
  else abortWithReset(tcp, c, now);
}

function retransmitDue(tcp: Tcp, c: Connection, now: Millis): void {
  const timer = c.retransmitTimer;
  c.retransmitTimer = 'none';
  c.retransmitAt = NEVER;
  if (tcp.trace.on) tcp.trace.add('timeout', now, c.id, TIMER_NUMBERS[timer], c.backoff);
  switch (timer) {
    case 'rto':
      return c.synchronized ? retransmissionTimer(tcp, c, now) : handshakeTimer(tcp, c, now);
    case 'probe':
      // Output decides what the probe is, and restarts the RTO whether one went out or not.
      c.tailProbeDue = true;
      return;
    case 'reorder':
      return reorderingTimedOut(tcp, c, now);
    case 'persist':
      return persistTimer(tcp, c, now);
    case 'none':
      return;
  }
}

/** For traces. */
export const TIMER_NUMBERS = { none: 0, rto: 1, probe: 2, reorder: 3, persist: 4 } as const;

/** RFC 6298 §5.4 to §5.7 for a SYN or SYN-ACK. */
function handshakeTimer(tcp: Tcp, c: Connection, now: Millis): void {
  const child = c.fast?.child === true;
  const most = c.passive ? tcp.profile.synAckRetries : c.synRetries >= 0 ? c.synRetries : tcp.profile.synRetries;
  const expired = synTimedOut(tcp, c, most + (child ? 1 : 0), now) || userTimedOut(c, c.stalledAt, now);
  fastOpenTimedOut(tcp, c, c.retransmits + 1, expired, now);
  if (expired) {
    if (c.passive && c.owner === null && !child) return tcp.remove(c, now);
    return tcp.fail(c, c.softError ?? 'ETIMEDOUT', now);
  }
  c.retransmits++;
  if (c.stalledAt < 0) c.stalledAt = now;
  if (c.passive || c.retransmits > tcp.profile.synLinearTimeouts) c.backoff++;
  // MUST-20 for SYN: whoever does not answer may be behind a dead gateway.
  tcp.paths.doubt(c.path);
  c.synDue = true;
}

/** Whether a SYN or SYN-ACK is given up: after so many, or, when waits do not double from the first on, as much time. */
function synTimedOut(tcp: Tcp, c: Connection, retries: number, now: Millis): boolean {
  const { synLinearTimeouts, rtoInitialMs } = tcp.profile;
  if (c.passive || synLinearTimeouts === 0) return c.retransmits >= retries;
  // The first timeout is one wait after the first SYN.
  return c.stalledAt >= 0 && now - c.stalledAt >= (2 ** (retries + 1) - 2) * rtoInitialMs;
}

function retransmissionTimer(tcp: Tcp, c: Connection, now: Millis): void {
  if (c.packetsOut === 0) return;
  if (c.sndWnd === 0 && !c.orphaned) return closedWindowTimer(tcp, c, now);
  const { profile } = tcp;
  if (isStalled(tcp, c, profile.retries1, now)) {
    tcp.paths.doubt(c.path);
    blackHoleSuspected(tcp, c, now);
  }
  if (c.fast !== null) fastOpenTimedOut(tcp, c, c.retransmits + 1, false, now);
  const expired = c.userTimeout > 0 ? userTimedOut(c, c.stalledAt, now) : isStalled(tcp, c, retriesMost(tcp, c), now);
  if (expired || outOfRetries(tcp, c, now)) return tcp.fail(c, c.softError ?? 'ETIMEDOUT', now);
  enterLoss(tcp, c, now);
  c.retransmits++;
  if (c.stalledAt < 0) c.stalledAt = now;
  backOff(tcp, c, now);
}

/** §5.5: doubled, until a measurement takes it back. */
function backOff(tcp: Tcp, c: Connection, now: Millis): void {
  c.backoff++;
  c.rto = Math.min(c.rto * 2, tcp.profile.rtoMaxMs);
  setRetransmitTimer(c, 'rto', now + beforeUserTimeout(c, c.rto, c.stalledAt, now));
}

/**
 * R1 and R2 as times (RFC 9293 §3.8.3), as Linux counts them: what so many doublings of the minimal RTO take since the
 * first retransmission, so that a long round trip does not multiply them.
 */
function isStalled(tcp: Tcp, c: Connection, retries: number, now: Millis): boolean {
  return c.stalledAt >= 0 && now - c.stalledAt >= doublingTime(tcp, retries);
}

/** The sum of 1 + `retries` timeouts that begin with the minimal RTO and double up to the maximal one. */
function doublingTime(tcp: Tcp, retries: number): Millis {
  const { rtoMinMs, rtoMaxMs } = tcp.profile;
  const doublings = Math.floor(Math.log2(rtoMaxMs / rtoMinMs));
  if (retries <= doublings) return (2 ** (retries + 1) - 1) * rtoMinMs;
  return (2 ** (doublings + 1) - 1) * rtoMinMs + (retries - doublings) * rtoMaxMs;
}

/** R2. A connection that no application holds is given up earlier. */
function retriesMost(tcp: Tcp, c: Connection): number {
  return c.orphaned ? orphanRetries(tcp, c, c.rto < tcp.profile.rtoMaxMs) : tcp.profile.retries2;
}

/** `alive`: timeouts have not reached their maximum yet. An ICMP error said that the peer cannot be reached: none is left. */
function orphanRetries(tcp: Tcp, c: Connection, alive: boolean): number {
  if (alive) return tcp.profile.orphanRetries;
  return c.softError !== null ? 0 : tcp.profile.orphanRetries;
}

/** An orphan whose timeouts do not even grow any more. */
const outOfRetries = (tcp: Tcp, c: Connection, now: Millis): boolean =>
  c.orphaned && c.rto >= tcp.profile.rtoMaxMs && isStalled(tcp, c, orphanRetries(tcp, c, false), now);

/** The peer has shrunk its window to nothing over what is in flight: retransmissions are probes, and need not succeed soon. */
function closedWindowTimer(tcp: Tcp, c: Connection, now: Millis): void {
  const head = c.sent.head;
  const since = c.stalledAt >= 0 ? c.stalledAt : head === NONE ? now : tcp.sent.sentAt(head);
  const most = 2 * tcp.profile.rtoMaxMs;
  const patience = c.userTimeout > 0 ? Math.min(most, c.userTimeout) : most;
  const silent = now - c.lastReceivedAt > patience && now - since > patience;
  if (silent || (c.userTimeout > 0 && now - since > c.userTimeout)) return tcp.fail(c, c.softError ?? 'ETIMEDOUT', now);
  enterLoss(tcp, c, now);
  if (c.stalledAt < 0) c.stalledAt = now;
  backOff(tcp, c, now);
}

/** RFC 9293 §3.8.6.1: probe a closed window at growing intervals, for as long as the peer answers (MUST-35 to 37). */
function persistTimer(tcp: Tcp, c: Connection, now: Millis): void {
  if (c.packetsOut > 0 || seqDiff(c.sendBuffer.end, c.sndNxt) <= 0) {
    c.windowProbes = 0;
    c.windowProbesSince = -1;
    return;
  }
  if (c.windowProbesSince < 0) c.windowProbesSince = now;
  else if (userTimedOut(c, c.windowProbesSince, now)) return tcp.fail(c, c.softError ?? 'ETIMEDOUT', now);
  const { rtoMaxMs, retries2 } = tcp.profile;
  let most = retries2;
  if (c.orphaned) {
    const alive = c.rto * 2 ** c.backoff < rtoMaxMs;
    most = orphanRetries(tcp, c, alive);
    if (!alive && c.backoff >= most) return tcp.fail(c, c.softError ?? 'ETIMEDOUT', now);
  }
  if (c.windowProbes >= most) return tcp.fail(c, c.softError ?? 'ETIMEDOUT', now);
  c.windowProbes++;
  if (c.backoff < retries2) c.backoff++;
  c.probeDue = 'window';
}

/** RFC 5482, TCP_USER_TIMEOUT: how long data may stay unacknowledged since the first retransmission. 0: no limit of its own. */
const userTimedOut = (c: Connection, since: Millis, now: Millis): boolean =>
  c.userTimeout > 0 && since >= 0 && now - since >= c.userTimeout;

/** RFC 9293 §3.8.4: only when idle and with nothing outstanding (MUST-26); a lost answer is not death (MUST-29). */
function keepAliveDue(tcp: Tcp, c: Connection, now: Millis): void {
  c.keepAliveAt = NEVER;
  if (!c.keepAlive || !c.synchronized) return;
  if (c.packetsOut > 0 || c.sendBuffer.bytes > 0) {
    c.keepAliveAt = now + c.keepAliveIdle;
    return;
  }
  const idleSince = c.lastReceivedAt;
  // The sum, not the difference, is what the timer was set by: rounding must not make it come due for ever.
  if (c.probesSent === 0 && now < idleSince + c.keepAliveIdle) {
    c.keepAliveAt = idleSince + c.keepAliveIdle;
    return;
  }
  const dead =
    c.userTimeout > 0 ? now - idleSince >= c.userTimeout && c.probesSent > 0 : c.probesSent >= c.keepAliveProbes;
  if (dead) {
    abortWithResetAndError(tcp, c, now);
    return;
  }
  c.probesSent++;
  c.probeDue = 'keep-alive';
  c.keepAliveAt = now + c.keepAliveInterval;
}

function abortWithResetAndError(tcp: Tcp, c: Connection, now: Millis): void {
  c.error = 'ETIMEDOUT';
  tcp.tellFailure(c, c.error, now);
  abortWithReset(tcp, c, now);
  tcp.signal(c, FAILED);
}
