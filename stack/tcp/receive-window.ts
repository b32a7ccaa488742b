import type { Millis } from '../base/bytes';
import type { Connection } from './connection';
import { type Seq, seqAdd, seqAfter, seqDiff } from './seq';
import type { Tcp } from './tcp';

/**
 * Bytes of text that the receive buffer still takes. A buffer below one step of the scale could never show a window at
 * all, so an empty one takes at least that.
 */
function freeSpace(c: Connection): number {
  // The stack is short of memory: who holds text gets no more until he has read it.
  if (c.charged > 0 && c.tcp.store.admits(c.charged, 1) === 0) return 0;
  const free = Math.max(0, Math.max(c.receiveLimit, 1 << c.rcvScale) - c.charged);
  return c.windowClamp > 0 ? Math.min(free, c.windowClamp) : free;
}

/** Before scaling is agreed: at most what 16 bits hold. */
export function initialWindow(c: Connection): number {
  return Math.min(c.receiveLimit >> 1, c.windowClamp > 0 ? c.windowClamp : 0xffff, 0xffff);
}

/** What is left of the window last told. */
export const currentWindow = (c: Connection): number => Math.max(0, c.rcvWnd - seqDiff(c.rcvNxt, c.rcvWup));

/** What is left of the widest window ever told: all of it is accepted, even if the scale made a later one smaller (RFC 7323 §2.4). */
export const acceptedWindow = (c: Connection): number => Math.max(0, seqDiff(c.rcvEdge, c.rcvNxt));

/** A segment with this window leaves. */
export function windowTold(c: Connection, window: number): void {
  c.rcvWnd = window;
  c.rcvWup = c.rcvNxt;
  const edge = seqAdd(c.rcvNxt, window);
  if (seqAfter(edge, c.rcvEdge)) c.rcvEdge = edge;
}

/**
 * The window to announce, in bytes (RFC 9293 §3.8.6.2.2): never less than was told before (SHLD-14), in units of the
 * scale, and no small steps: until a full segment or half the buffer is free again the old edge stays (MUST-39).
 */
export function selectWindow(c: Connection): number {
  const unit = (1 << c.rcvScale) - 1;
  const current = currentWindow(c);
  const free = Math.min(freeSpace(c), 0xffff << c.rcvScale);
  const step = Math.min(c.rcvMss, c.receiveLimit >> 1);
  const offered = free & ~unit;
  if (offered - current >= step) return offered;
  // The old edge stays. The scale cannot express it exactly: rounded up where there is room, else down (RFC 7323 §2.4).
  const up = (current + unit) & ~unit;
  return up <= free ? up : current & ~unit;
}

/** The application has taken `n` bytes: the buffer may grow, and the peer may have to be told of the new room. */
export function textTaken(tcp: Tcp, c: Connection, n: number, now: Millis): void {
  c.copied = seqAdd(c.copied, n);
  if (c.urgentIn && seqDiff(c.copied, c.rcvUp) >= 0) c.urgentIn = false;
  tuneBuffer(tcp, c, now);
  if (c.finReceived || !c.synchronized) return;
  const current = currentWindow(c);
  const offered = selectWindow(c);
  if (offered > 0 && offered >= 2 * current && offered - current >= Math.min(c.rcvMss, c.receiveLimit >> 1)) {
    c.ackNow = true;
    tcp.wantsOutput(c);
  }
}

/**
 * Receive buffer autotuning: what the application took in one round trip, doubled, is what the window must hold for the
 * sender never to wait (Linux's dynamic right-sizing).
 */
function tuneBuffer(tcp: Tcp, c: Connection, now: Millis): void {
  if (c.receiveLimitFixed || c.rcvRtt === 0 || now - c.rcvSpaceAt < c.rcvRtt) return;
  const taken = seqDiff(c.copied, c.rcvSpaceSeq);
  if (taken > c.rcvSpace) {
    c.rcvSpace = taken;
    const wanted = Math.min(2 * (2 * taken + 16 * c.rcvMss), tcp.profile.receiveBufferMax);
    if (wanted > c.receiveLimit) c.receiveLimit = wanted;
  }
  c.rcvSpaceSeq = c.copied;
  c.rcvSpaceAt = now;
}

/** The receiver's own estimate of the round trip: by timestamps, else the time one window takes to arrive. */
export function measureReceiverRtt(c: Connection, tsEcrAge: Millis, now: Millis): void {
  if (tsEcrAge >= 0) {
    c.rcvRtt = c.rcvRtt === 0 ? Math.max(tsEcrAge, 1) : c.rcvRtt + (Math.max(tsEcrAge, 1) - c.rcvRtt) / 8;
    return;
  }
  if (seqDiff(c.rcvNxt, c.rcvRttSeq) < 0 && c.rcvRttSeq !== (0 as Seq)) return;
  if (c.rcvRttSeq !== (0 as Seq)) {
    const sample = Math.max(now - c.rcvRttAt, 0.01);
    // Slow applications stretch the sample: the smallest counts.
    c.rcvRtt = c.rcvRtt === 0 ? sample : Math.min(c.rcvRtt, sample);
  }
  c.rcvRttSeq = seqAdd(c.rcvNxt, Math.max(c.rcvWnd, 1));
  c.rcvRttAt = now;
}
