import type { Millis } from '../base/bytes';
import type { Connection } from './connection';
import type { Segment } from './header';
import { timestampNow } from './options';
import { noteReordering, REORDERING_WINDOW_PERSIST } from './rack';
import { enterState } from './recovery-state';
import { anyRetransmitted, unmarkLost } from './scoreboard';
import type { Seq } from './seq';
import type { Tcp } from './tcp';

/** Recovery begins: what is in flight a second time already may be reported as duplicate later. */
export function beginUndo(c: Connection): void {
  c.undoable = true;
  c.undoMarker = c.sndUna;
  c.undoRetransmissions = c.retransOut + (c.probeOut && c.probeRetransmitted ? 1 : 0);
  // 0 would say that all retransmissions have been proven needless.
  if (c.undoRetransmissions === 0) c.undoRetransmissions = NOTHING_SENT_AGAIN;
}

export const NOTHING_SENT_AGAIN = -1;

/** What was acknowledged had only been late: its echoed timestamp is older than our first retransmission (RFC 3522). */
function wasOnlyLate(c: Connection, seg: Segment): boolean {
  if (c.retransmittedAt < 0) return true;
  if (!c.timestamps || !seg.hasTimestamps || seg.tsEcr === 0) return false;
  return ((seg.tsEcr - timestampNow(c, c.retransmittedAt)) | 0) < 0;
}

/** Whether every retransmission of this recovery turned out to be needless. */
export const mayUndo = (c: Connection, seg: Segment): boolean =>
  c.undoable && (c.undoRetransmissions === 0 || wasOnlyLate(c, seg));

/** RFC 4015: window and threshold are what they were. */
function undoReduction(tcp: Tcp, c: Connection, nothingLost: boolean, now: Millis): void {
  if (nothingLost) unmarkLost(tcp, c);
  if (c.priorSsthresh > 0) {
    c.cwnd = c.congestion.restored(c, now);
    if (c.priorSsthresh > c.ssthresh) {
      c.ssthresh = c.priorSsthresh;
      c.ecnReducedDue = false;
    }
  }
  c.cwndUsedAt = now;
  c.undoable = false;
  // What is left may be lost by itself.
  c.rackAdvanced = true;
}

/**
 * RFC 6582 §4: without SACK a duplicate ACK of the recovery point may still come and must not start another recovery, so
 * the state is held until something beyond it is acknowledged.
 */
const mustNotReopen = (c: Connection): boolean => !c.sackOk && c.sndUna === c.highSeq;

/** The recovery point is reached. Returns true when the state must be held nevertheless. */
export function undoAtEnd(tcp: Tcp, c: Connection, seg: Segment, now: Millis): boolean {
  if (mayUndo(c, seg)) undoReduction(tcp, c, false, now);
  else if (c.rackPersist > 0) c.rackPersist--;
  if (mustNotReopen(c)) return true;
  enterState(tcp, c, 'Open', now);
  c.sackReneged = false;
  return false;
}

/** RFC 3708: all retransmissions were reported as duplicates. */
export function undoByDuplicates(tcp: Tcp, c: Connection, now: Millis): boolean {
  if (!c.undoable || c.undoRetransmissions !== 0) return false;
  c.rackPersist = Math.min(REORDERING_WINDOW_PERSIST, c.rackPersist + 1);
  undoReduction(tcp, c, false, now);
  return true;
}

/** In Loss: the timeout was spurious, by F-RTO's judgement (`proven`) or by timestamps and duplicates. */
export function undoTimeout(tcp: Tcp, c: Connection, seg: Segment, proven: boolean, now: Millis): boolean {
  if (!proven && !mayUndo(c, seg)) return false;
  undoReduction(tcp, c, true, now);
  c.retransmits = 0;
  if (mustNotReopen(c)) return true;
  if (proven || c.sackOk) {
    enterState(tcp, c, 'Open', now);
    c.sackReneged = false;
  }
  return true;
}

/**
 * In Recovery, a partial acknowledgment: if the hole was filled by a packet that had only been late, there is more
 * reordering than thought. Returns true while retransmissions are out that could still tell otherwise.
 */
export function undoPartial(tcp: Tcp, c: Connection, seg: Segment, priorUna: Seq, now: Millis): boolean {
  if (!c.undoable || !wasOnlyLate(c, seg)) return false;
  noteReordering(tcp, c, priorUna);
  if (c.retransOut > 0) return true;
  if (!anyRetransmitted(tcp, c)) c.retransmittedAt = -1;
  undoReduction(tcp, c, true, now);
  keepOpen(tcp, c, now);
  return false;
}

/** Open, or Disorder while something is SACKed, lost or sent again. */
export function keepOpen(tcp: Tcp, c: Connection, now: Millis): void {
  const clean = c.sackedOut === 0 && c.lostOut === 0 && !anyRetransmitted(tcp, c);
  const state = clean ? 'Open' : 'Disorder';
  if (c.recovery === state) return;
  enterState(tcp, c, state, now);
  c.highSeq = c.sndNxt;
}
