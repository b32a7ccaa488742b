import { type Millis, NEVER } from '../base/bytes';
import { UNA_ADVANCED } from './ack-sample';
import type { Connection } from './connection';
import { seqDiff } from './seq';

/** A threshold that was never set. */
export const SSTHRESH_INFINITE = 0x7fffffff;

/** Whether cwnd is being reduced: in CWR and Recovery, PRR decides what may be sent. */
export const isReducing = (c: Connection): boolean => c.recovery === 'CWR' || c.recovery === 'Recovery';

/** The threshold to remember, should the reduction be undone: what the connection had reached counts. */
export const currentThreshold = (c: Connection): number =>
  isReducing(c) ? c.ssthresh : Math.max(c.ssthresh, (c.cwnd >> 1) + (c.cwnd >> 2));

/**
 * Packets that the window allowed before the acknowledgment in hand, and that wait only because it came in one batch with
 * others: output comes after all of them. From now on they count as in flight, as they are with whoever sends after each
 * acknowledgment: without them the whole flight seems to have left the network, and a round trip goes by with next to
 * nothing sent. `lost`: packets that could be sent again before. Returns how many are new among them.
 */
function holdBack(c: Connection, priorInFlight: number, lost: number): number {
  if (!c.ready || c.pacingRate !== NEVER) return 0;
  const room = Math.max(0, Math.min(c.sndWnd - seqDiff(c.sndNxt, c.sndUna), c.unsent));
  const sendable = lost + Math.floor(room / c.mss) - c.prrHeld;
  const held = Math.min(c.cwnd - priorInFlight - c.prrHeld, sendable);
  if (held <= 0) return 0;
  c.prrHeld += held;
  return held;
}

/** RFC 6937 §3, at the start of a reduction. `priorInFlight`: before the acknowledgment that begins it. */
export function beginReduction(c: Connection, priorInFlight: number, now: Millis): void {
  c.highSeq = c.sndNxt;
  c.probeOut = false;
  c.cwndCredit = 0;
  c.priorCwnd = c.cwnd;
  c.prrDelivered = 0;
  c.prrOut = 0;
  c.prrHeld = 0;
  holdBack(c, priorInFlight, 0);
  c.ssthresh = c.congestion.threshold(c, now);
  c.ecnReducedDue = c.ecnOk;
}

/**
 * RFC 6937 §3, on every acknowledgment: as long as more is in flight than the threshold, send in proportion to what is
 * delivered; below it, one for one (CRB), and one more (SSRB) while the recovery makes progress without new losses.
 * `priorInFlight`: before the acknowledgment.
 */
export function reduceWindow(
  c: Connection,
  priorInFlight: number,
  delivered: number,
  lost: number,
  flags: number,
): void {
  if (delivered <= 0 || c.priorCwnd === 0) return;
  c.prrOut += holdBack(c, priorInFlight, c.lostOut - lost - c.retransOut);
  const inFlight = c.inFlight + c.prrHeld;
  const room = c.ssthresh - inFlight;
  c.prrDelivered += delivered;
  let count: number;
  if (room < 0) {
    count = Math.ceil((c.ssthresh * c.prrDelivered) / c.priorCwnd) - c.prrOut;
  } else {
    count = Math.max(c.prrDelivered - c.prrOut, delivered);
    if ((flags & UNA_ADVANCED) !== 0 && lost === 0) count++;
    count = Math.min(room, count);
  }
  // The first retransmission goes out whatever the window.
  count = Math.max(count, c.prrOut > 0 ? 0 : 1);
  c.cwnd = inFlight + count;
}

/** The reduction is done: cwnd is the threshold, unless it was undone. */
export function endReduction(c: Connection, now: Millis): void {
  if (c.congestion.controlsWindow) return;
  if (c.ssthresh < SSTHRESH_INFINITE && (c.recovery === 'CWR' || c.undoable)) {
    c.cwnd = c.ssthresh;
    c.cwndUsedAt = now;
  }
  c.congestion.reduced(c, now);
}
