import type { Millis } from '../base/bytes';
import type { Connection } from './connection';
import { currentThreshold } from './prr';
import { seqBefore } from './seq';
import type { Tcp } from './tcp';

/**
 * RFC 7661 as Linux has it: cwnd tells what the network can carry only as far as it is used, so it grows only while it
 * limits what is sent, and one that is not used decays.
 */

/** RFC 6928 §2, as the profile has it: cwnd at the beginning, and after silence. */
export function initialCwnd(c: Connection): number {
  const { initialWindow, initialWindowBytes } = c.tcp.profile;
  return Math.min(initialWindow, Math.max(2, Math.floor(initialWindowBytes / c.mss)));
}

/** Whether cwnd may grow. In slow start it may reach twice what was really in flight. */
export function isWindowUsed(c: Connection): boolean {
  if (c.cwndLimited) return true;
  return c.cwnd < c.ssthresh && c.cwnd < 2 * c.packetsOutMax;
}

/** Output has sent what it could; `limited`: cwnd stopped it. Keeps the strongest sign of the current window. */
export function noteWindowUse(tcp: Tcp, c: Connection, limited: boolean, now: Millis): void {
  const windowIsOver = !seqBefore(c.sndUna, c.cwndUsageEnd);
  if (windowIsOver || limited || (!c.cwndLimited && c.packetsOut > c.packetsOutMax)) {
    c.cwndLimited = limited;
    c.packetsOutMax = c.packetsOut;
    c.cwndUsageEnd = c.sndNxt;
  }
  if (isWindowUsed(c)) {
    c.cwndUsed = 0;
    c.cwndUsedAt = now;
    return;
  }
  if (c.packetsOut > c.cwndUsed) c.cwndUsed = c.packetsOut;
  if (tcp.profile.slowStartAfterIdle && now - c.cwndUsedAt >= c.rto && !c.congestion.controlsWindow) {
    decay(c, now);
  }
}

/** RFC 2861 §3.1: an RTO long the application used less; the window moves half-way to what it used. */
function decay(c: Connection, now: Millis): void {
  if (c.recovery === 'Open' && !c.wantsRoom) {
    const used = Math.max(c.cwndUsed, initialCwnd(c));
    if (used < c.cwnd) {
      c.ssthresh = currentThreshold(c);
      c.cwnd = (c.cwnd + used) >> 1;
    }
    c.cwndUsed = 0;
  }
  c.cwndUsedAt = now;
}

/** Nothing is in flight and text is about to go: after an idle RTO the window starts again (RFC 5681 §4.1). */
export function restartAfterIdle(tcp: Tcp, c: Connection, now: Millis): void {
  let idle = now - c.lastTextSentAt;
  if (!tcp.profile.slowStartAfterIdle || c.packetsOut > 0 || idle <= c.rto || c.congestion.controlsWindow) return;
  c.congestion.restarts(c, now);
  c.ssthresh = currentThreshold(c);
  const least = Math.min(initialCwnd(c), c.cwnd);
  let cwnd = c.cwnd;
  // Halved for every RTO of silence (RFC 2861 §3.2).
  for (idle -= c.rto; idle > 0 && cwnd > least; idle -= c.rto) cwnd >>= 1;
  c.cwnd = Math.max(cwnd, least);
  c.cwndUsedAt = now;
  c.cwndUsed = 0;
}
