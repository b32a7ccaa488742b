import { type Millis, NEVER } from '../base/bytes';
import { type Connection, FAILED } from './connection';
import { abortWithReset } from './lifecycle';
import { retransmissionTimedOut } from './recovery';
import type { Tcp } from './tcp';

/** §3.10.8: acts on every deadline of the connection that has come. Sends nothing itself. */
export function expire(tcp: Tcp, c: Connection, now: Millis): void {
  if (c.lingerAt <= now) return lingered(tcp, c, now);
  if (c.retransmitAt <= now) {
    retransmitDue(tcp, c, now);
    if (c.state === 'CLOSED') return;
  }
  if (c.delayedAckAt <= now) {
    c.delayedAckAt = NEVER;
    c.ackNow = true;
    // The ACK found no response to ride on: interactive no more, and the guess of the gap was too low.
    c.ato = Math.min(c.ato * 2, c.rto);
    c.pingPong = 0;
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
    case 'persist':
      return persistTimer(tcp, c, now);
    case 'probe':
    case 'reorder':
    case 'none':
      return;
  }
}

export const TIMER_NUMBERS = { none: 0, rto: 1, probe: 2, reorder: 3, persist: 4 } as const;

/** RFC 6298 §5.4 to §5.7 for a SYN or SYN-ACK. */
function handshakeTimer(tcp: Tcp, c: Connection, now: Millis): void {
  const most = c.passive ? tcp.profile.synAckRetries : tcp.profile.synRetries;
  if (c.retransmits >= most || userTimedOut(c, now)) {
    if (c.passive && c.owner === null) return tcp.remove(c, now);
    return tcp.fail(c, c.softError ?? 'ETIMEDOUT', now);
  }
  c.retransmits++;
  c.backoff++;
  if (c.retransmits >= tcp.profile.retries1) tcp.paths.doubt(c.path);
  // RFC 6298 §5.7: the data phase begins with 3 s when the handshake had to be repeated; Linux keeps 1 s.
  c.synDue = true;
}

function retransmissionTimer(tcp: Tcp, c: Connection, now: Millis): void {
  if (c.packetsOut === 0) return;
  const most = c.orphaned ? tcp.profile.orphanRetries : tcp.profile.retries2;
  if (c.retransmits >= most || userTimedOut(c, now)) return tcp.fail(c, c.softError ?? 'ETIMEDOUT', now);
  if (c.retransmits === tcp.profile.retries1) tcp.paths.doubt(c.path);
  retransmissionTimedOut(tcp, c, now);
  c.retransmits++;
  c.backoff++;
  // §5.5: doubled. advanceSend takes it back to the measured value.
  c.rto = Math.min(c.rto * 2, tcp.profile.rtoMaxMs);
}

/** RFC 9293 §3.8.6.1: probe a closed window at growing intervals, for as long as the peer answers (MUST-35 to 37). */
function persistTimer(tcp: Tcp, c: Connection, now: Millis): void {
  const most = c.orphaned ? tcp.profile.orphanRetries : tcp.profile.retries2;
  if (c.retransmits > most || userTimedOut(c, now)) return tcp.fail(c, c.softError ?? 'ETIMEDOUT', now);
  c.retransmits++;
  c.backoff++;
  c.probeDue = 'window';
}

/** RFC 5482, TCP_USER_TIMEOUT: how long data may stay unacknowledged. 0: no limit of its own. */
function userTimedOut(c: Connection, now: Millis): boolean {
  return c.userTimeout > 0 && now - c.stalledSince >= c.userTimeout;
}

/** RFC 9293 §3.8.4: only when idle and with nothing outstanding (MUST-26); a lost answer is not death (MUST-29). */
function keepAliveDue(tcp: Tcp, c: Connection, now: Millis): void {
  c.keepAliveAt = NEVER;
  if (!c.keepAlive || !c.synchronized) return;
  if (c.packetsOut > 0 || c.sendBuffer.bytes > 0) {
    c.keepAliveAt = now + c.keepAliveIdle;
    return;
  }
  const idleSince = c.lastReceivedAt;
  if (c.probesSent === 0 && now - idleSince < c.keepAliveIdle) {
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
  abortWithReset(tcp, c, now);
  tcp.signal(c, FAILED);
}
