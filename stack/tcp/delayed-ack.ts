import { type Millis, NEVER } from '../base/bytes';
import type { Connection } from './connection';
import { currentWindow, selectWindow } from './receive-window';
import { seqDiff } from './seq';
import type { Tcp } from './tcp';

/**
 * In-order text has arrived: when is it acknowledged? RFC 9293 §3.8.6.3 (at least every second full segment, within
 * 500 ms), refined as in Linux: at once while the connection is young, and with the response while request and
 * response alternate.
 */
export function textReceived(tcp: Tcp, c: Connection, segmentBytes: number, bytes: number, now: Millis): void {
  if (segmentBytes > c.rcvMss) c.rcvMss = Math.min(segmentBytes, 65_535);
  else if (segmentBytes > 88 && bytes >= segmentBytes)
    c.rcvMss = Math.max(c.rcvMss - ((c.rcvMss - segmentBytes) >> 3), 88);
  estimateGap(tcp, c, now);
  c.ackPending = true;
  if (c.ackNow) return;
  if (seqDiff(c.rcvNxt, c.rcvWup) > c.rcvMss && selectWindow(c) >= currentWindow(c)) {
    c.ackNow = true;
  } else if (c.quickAcks > 0 && c.pingPong === 0) {
    c.ackNow = true;
  } else if (c.delayedAckAt === NEVER) {
    const delay = Math.min(Math.max(c.ato, tcp.profile.delayedAckMinMs), tcp.profile.delayedAckMaxMs);
    c.delayedAckAt = now + delay;
  }
}

/** How long to wait for more, from how it has been arriving (Linux's ATO). */
function estimateGap(tcp: Tcp, c: Connection, now: Millis): void {
  const least = tcp.profile.delayedAckMinMs;
  if (c.ato === 0) {
    c.ato = least;
    c.quickAcks = tcp.profile.quickAcks;
  } else {
    const gap = now - c.lastTextAt;
    if (gap <= least / 2) c.ato = c.ato / 2 + least / 2;
    else if (gap < c.ato) c.ato = Math.min(c.ato / 2 + gap, c.rto);
    else if (gap > c.rto) c.quickAcks = Math.max(c.quickAcks, Math.min(tcp.profile.quickAcks, 2));
  }
  c.lastTextAt = now;
}

/** A segment with an ACK left: nothing is owed any more. */
export function ackSent(c: Connection): void {
  c.ackNow = false;
  c.ackPending = false;
  c.delayedAckAt = NEVER;
  if (c.quickAcks > 0) c.quickAcks--;
  c.lastAckSent = c.rcvNxt;
  c.hasDsack = false;
}
