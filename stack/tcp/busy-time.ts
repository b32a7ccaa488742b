import type { Millis } from '../base/bytes';
import type { Connection } from './connection';

/**
 * What the sender spends its time on (tcp_info's busy_time, rwnd_limited, sndbuf_limited): having something to send or
 * in flight, and then which of the other limits held it, of several the one with the highest number.
 */
export const IDLE = 0;
export const BUSY = 1;
/** The peer's window has no room for what waits. */
export const WINDOW_LIMITED = 2;
/** Everything written is sent, the network would take more, and the application waits for room in the send buffer. */
export const BUFFER_LIMITED = 3;

/** A condition holds from now on. */
export function beginTime(c: Connection, kind: number, now: Millis): void {
  if (kind > c.timeKind) account(c, kind, now);
}

/** A condition holds no more. */
export function endTime(c: Connection, kind: number, now: Millis): void {
  if (c.timeKind === IDLE) return;
  if (c.packetsOut === 0 && c.sendBuffer.bytes === 0) account(c, IDLE, now);
  else if (kind === c.timeKind && kind !== BUSY) account(c, BUSY, now);
}

function account(c: Connection, kind: number, now: Millis): void {
  const spent = now - c.timeSince;
  if (c.timeKind === BUSY) c.busyTime += spent;
  else if (c.timeKind === WINDOW_LIMITED) c.windowLimitedTime += spent;
  else if (c.timeKind === BUFFER_LIMITED) c.bufferLimitedTime += spent;
  c.timeKind = kind;
  c.timeSince = now;
}

/** Milliseconds spent on a kind of time until now. */
export function timeOf(c: Connection, kind: number, now: Millis): Millis {
  const past = kind === BUSY ? c.busyTime : kind === WINDOW_LIMITED ? c.windowLimitedTime : c.bufferLimitedTime;
  return past + (c.timeKind === kind ? now - c.timeSince : 0);
}
