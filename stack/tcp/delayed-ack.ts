import { type Millis, NEVER } from '../base/bytes';
import type { Connection } from './connection';
import { announcedMss } from './options';
import { currentWindow, selectWindow } from './receive-window';
import { seqDiff } from './seq';
import type { Tcp } from './tcp';

/** Beyond this an estimate of the gap is "high": a delay must not follow it blindly. */
const DELAY_HIGH: Millis = 40;
/** RFC 9293 §3.8.6.3: never half a second. */
const DELAY_LIMIT: Millis = 500;

/**
 * In-order text has arrived: when is it acknowledged? RFC 9293 §3.8.6.3 (at least every second full segment, within
 * 500 ms), refined as in Linux: at once while the connection is young, and with the response while request and
 * response alternate.
 */
export function textReceived(tcp: Tcp, c: Connection, segmentBytes: number, bytes: number, now: Millis): void {
  // What is longer than we announced was joined on the way.
  if (segmentBytes > c.rcvMss) c.rcvMss = Math.min(segmentBytes, announcedMss(c));
  else if (segmentBytes > 88 && bytes >= segmentBytes)
    c.rcvMss = Math.max(c.rcvMss - ((c.rcvMss - segmentBytes) >> 3), 88);
  estimateGap(tcp, c, now);
  c.ackPending = true;
  if (c.ackNow) return;
  if (seqDiff(c.rcvNxt, c.rcvWup) > c.rcvMss && selectWindow(c) >= currentWindow(c)) {
    c.ackNow = true;
  } else if (c.quickAcks > 0 && !isInteractive(tcp, c)) {
    c.ackNow = true;
  } else {
    delayAck(tcp, c, now);
  }
}

/** Request and response alternate: the ACK can wait for the response. */
const isInteractive = (tcp: Tcp, c: Connection): boolean => c.pingPong >= tcp.profile.pingPongThreshold;

/** How long to wait for more, from how it has been arriving (Linux's ATO). */
function estimateGap(tcp: Tcp, c: Connection, now: Millis): void {
  const least = tcp.profile.delayedAckMinMs;
  if (c.ato === 0) {
    c.ato = least;
    quickAcks(tcp, c, tcp.profile.quickAcks);
  } else {
    const gap = now - c.lastTextAt;
    if (gap <= least / 2) c.ato = c.ato / 2 + least / 2;
    else if (gap < c.ato) c.ato = Math.min(c.ato / 2 + gap, c.rto);
    // The sender was idle and may have to start its window again: do not make it wait.
    else if (gap > c.rto) quickAcks(tcp, c, tcp.profile.quickAcks);
  }
  c.lastTextAt = now;
}

/** Acknowledges the next segments at once: as many as half the window holds, two at least, `most` at most. */
export function quickAcks(tcp: Tcp, c: Connection, most: number): void {
  if (tcp.profile.quickAcks === 0) return;
  const halfWindow = Math.floor(c.rcvWnd / (2 * c.rcvMss));
  const count = Math.min(halfWindow === 0 ? 2 : halfWindow, most);
  if (count > c.quickAcks) c.quickAcks = count;
}

/** Something is out of order or marked: what alternates no longer does, and delays are short again. */
export function enterQuickAcks(tcp: Tcp, c: Connection, most: number): void {
  quickAcks(tcp, c, most);
  c.pingPong = 0;
  c.ato = tcp.profile.delayedAckMinMs;
}

/** The peer has said all that it will: what is left to send is most likely the response, and carries the ACK. */
export function expectResponse(tcp: Tcp, c: Connection): void {
  c.pingPong = tcp.profile.pingPongThreshold;
}

/** The FIN is acknowledged like text, with the response or our own FIN; of a connection without any text, at once. */
export function finAwaitsResponse(tcp: Tcp, c: Connection, now: Millis): void {
  expectResponse(tcp, c);
  c.ackPending = true;
  const second = seqDiff(c.rcvNxt, c.rcvWup) > c.rcvMss && selectWindow(c) >= currentWindow(c);
  if (c.ato === 0 || second) c.ackNow = true;
  else if (!c.ackNow) delayAck(tcp, c, now);
}

function delayAck(tcp: Tcp, c: Connection, now: Millis): void {
  const { delayedAckMinMs, delayedAckMaxMs } = tcp.profile;
  let delay = c.ato;
  if (delay > DELAY_HIGH) {
    // RFC 9293 asks for less than half a second, the sender's RTO for less than a round trip more than expected.
    let most = isInteractive(tcp, c) ? delayedAckMaxMs : DELAY_LIMIT;
    if (c.srtt > 0) most = Math.min(most, Math.max(c.srtt, delayedAckMinMs));
    delay = Math.min(delay, most);
  }
  delay = Math.min(Math.max(delay, delayedAckMinMs), delayedAckMaxMs);
  // One that is about to be sent anyway goes now.
  if (c.delayedAckAt <= now + delay / 4) c.ackNow = true;
  else c.delayedAckAt = Math.min(c.delayedAckAt, now + delay);
}

/** The delay is over, and no response carried the ACK. */
export function delayedAckDue(tcp: Tcp, c: Connection): void {
  c.delayedAckAt = NEVER;
  c.ackNow = true;
  if (isInteractive(tcp, c)) {
    // The response did not come in time: they do not alternate after all.
    c.pingPong = 0;
    c.ato = tcp.profile.delayedAckMinMs;
  } else {
    c.ato = Math.min(c.ato * 2, c.rto);
  }
}

/** A segment with an ACK left: nothing is owed any more. */
export function ackSent(c: Connection): void {
  // Only what acknowledged something counts against the quick ones.
  if (c.quickAcks > 0 && (c.ackPending || c.ackNow)) c.quickAcks--;
  c.ackNow = false;
  c.ackPending = false;
  c.delayedAckAt = NEVER;
  c.lastAckSent = c.rcvNxt;
  c.hasDsack = false;
}
