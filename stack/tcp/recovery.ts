import type { Millis } from '../base/bytes';
import { NONE } from '../base/memory';
import {
  type AckSample,
  ALERT,
  DATA_SACKED,
  DUPLICATE_SACKED,
  ECHO,
  NOT_DUPLICATE,
  ORIGINAL_ACKED,
  RENEGED,
  RETRANSMISSION_LOST,
  SET_TIMER,
  UNA_ADVANCED,
} from './ack-sample';
import type { Connection } from './connection';
import type { Segment } from './header';
import { mtuProbeLost } from './mtu-search';
import { beginReduction, currentThreshold, endReduction, isReducing, reduceWindow } from './prr';
import { newRenoMarkLost, rackDetectLoss, reorderingWindow, sackMarkLost } from './rack';
import { enterState } from './recovery-state';
import { restartRto, setRetransmitTimer, TIMEOUT_MIN } from './retransmit-timer';
import { anyRetransmitted, markLost } from './scoreboard';
import { SACKED } from './sent-table';
import { seqAfter, seqBefore, seqDiff } from './seq';
import type { Tcp } from './tcp';
import { beginUndo, keepOpen, undoAtEnd, undoByDuplicates, undoPartial, undoTimeout } from './undo';

/**
 * The states of loss recovery, as Linux has them (Open, Disorder, CWR, Recovery, Loss): what an acknowledgment or a timer
 * means for them. Losses are found by rack.ts, windows are reduced by prr.ts, both undone by undo.ts; what is to be sent
 * again is only noted (`c.resend`) for output.ts.
 */

/** A peer that forgot what it SACKed gets this long to remember (Linux: half a round trip, at least 10 ms). */
const RENEGING_DELAY_MIN: Millis = 10;

/** Whether an acknowledgment may be anything but plain progress. */
export const isDubious = (c: Connection, s: AckSample): boolean =>
  (s.flags & NOT_DUPLICATE) === 0 || (s.flags & ALERT) !== 0 || c.recovery !== 'Open';

/** Whether it is a duplicate ACK (RFC 5681 §2): without text, window or progress, and no report of a duplicate either. */
export const isDuplicateAck = (s: AckSample): boolean =>
  (s.flags & (UNA_ADVANCED | NOT_DUPLICATE | DUPLICATE_SACKED)) === 0;

/** A dubious acknowledgment, which stands for so many duplicate ACKs. */
export function alert(tcp: Tcp, c: Connection, seg: Segment, s: AckSample, duplicates: number, now: Millis): void {
  if (c.packetsOut === 0) c.sackedOut = 0;
  // RFC 3168 §6.1.2: congestion that the peer has seen is not undone.
  if ((s.flags & ECHO) !== 0) c.priorSsthresh = 0;
  if (reneges(c, s, now)) return;
  if (!leaveState(tcp, c, seg, now)) return;
  switch (c.recovery) {
    case 'Recovery':
      return inRecovery(tcp, c, seg, s, duplicates, now);
    case 'Loss':
      return inLoss(tcp, c, seg, s, duplicates, now);
    default:
      return mayRecover(tcp, c, s, duplicates, now);
  }
}

/** RFC 2018 §8: the first packet in the queue was SACKed but is not acknowledged. If it stays so, everything is sent again. */
function reneges(c: Connection, s: AckSample, now: Millis): boolean {
  if ((s.flags & RENEGED) === 0 || (s.flags & UNA_ADVANCED) === 0) return false;
  s.flags &= ~SET_TIMER;
  setRetransmitTimer(c, 'rto', now + Math.max(c.srtt / 2, RENEGING_DELAY_MIN));
  return true;
}

/** The recovery point is acknowledged: the state may end. False: nothing more is to be done. */
function leaveState(tcp: Tcp, c: Connection, seg: Segment, now: Millis): boolean {
  if (c.recovery === 'Open') {
    c.retransmittedAt = -1;
    return true;
  }
  if (seqBefore(c.sndUna, c.highSeq)) return true;
  if (c.recovery === 'CWR') {
    // Held until something above is acknowledged, so that CWR has reached the peer (RFC 3168 §6.1.2).
    if (c.sndUna !== c.highSeq) {
      endReduction(c, now);
      enterState(tcp, c, 'Open', now);
    }
  } else if (c.recovery === 'Recovery') {
    if (!c.sackOk) c.sackedOut = 0;
    if (undoAtEnd(tcp, c, seg, now)) return false;
    endReduction(c, now);
  }
  return true;
}

function inRecovery(tcp: Tcp, c: Connection, seg: Segment, s: AckSample, duplicates: number, now: Millis): void {
  if ((s.flags & UNA_ADVANCED) === 0) {
    if (!c.sackOk) addDuplicates(tcp, c, duplicates);
  } else if (undoPartial(tcp, c, seg, s.priorUna, now)) {
    return;
  }
  if (undoByDuplicates(tcp, c, now)) tryOpen(tcp, c, s, now);
  findLosses(tcp, c, s, now);
  if (c.recovery !== 'Recovery') {
    // Undone, but losses are evident: another recovery.
    if (c.lostOut === 0) return;
    enterRecovery(tcp, c, (s.flags & ECHO) !== 0, s.priorInFlight, now);
  }
  c.resend = 'lost';
}

function inLoss(tcp: Tcp, c: Connection, seg: Segment, s: AckSample, duplicates: number, now: Millis): void {
  lossProgress(tcp, c, seg, s, duplicates, now);
  findLosses(tcp, c, s, now);
  if (c.recovery !== 'Open' && (s.flags & RETRANSMISSION_LOST) === 0) return;
  mayRecover(tcp, c, s, duplicates, now);
}

/** Open, Disorder, CWR, and Loss when its retransmissions get lost: does this acknowledgment begin a recovery? */
function mayRecover(tcp: Tcp, c: Connection, s: AckSample, duplicates: number, now: Millis): void {
  if (!c.sackOk) {
    if ((s.flags & UNA_ADVANCED) !== 0) c.sackedOut = 0;
    addDuplicates(tcp, c, duplicates);
  }
  if (c.recovery === 'Open' || c.recovery === 'Disorder') undoByDuplicates(tcp, c, now);
  findLosses(tcp, c, s, now);
  if (c.lostOut === 0) return tryOpen(tcp, c, s, now);
  if (c.mtuSearch !== null && mtuProbeLost(tcp, c, now)) return;
  enterRecovery(tcp, c, (s.flags & ECHO) !== 0, s.priorInFlight, now);
  c.resend = 'lost';
}

/** Looks for what the acknowledgment shows to be lost. */
export function findLosses(tcp: Tcp, c: Connection, s: AckSample, now: Millis): void {
  if (c.sent.head === NONE) return;
  if (!c.sackOk) return newRenoMarkLost(tcp, c, (s.flags & UNA_ADVANCED) !== 0, now);
  const retransmitted = c.retransOut;
  if (!tcp.profile.rack) {
    sackMarkLost(tcp, c, now);
  } else if (c.rackAdvanced) {
    c.rackAdvanced = false;
    const wait = rackDetectLoss(tcp, c, now);
    c.rackProlonged = false;
    if (wait > 0) {
      // No longer than the RTO: a clock that leapt makes round trips, and what they allow for, as long as the leap.
      setRetransmitTimer(c, 'reorder', now + Math.min(wait + TIMEOUT_MIN, c.rto));
      s.flags &= ~SET_TIMER;
    }
  } else if (c.retransmitTimer === 'reorder' && !c.rackProlonged && isDuplicateAck(s)) {
    // A duplicate ACK without news: something more arrived late, so the network does reorder. Wait once more, and only once.
    c.rackProlonged = true;
    const longer = Math.min(reorderingWindow(c) + TIMEOUT_MIN, c.rto);
    setRetransmitTimer(c, 'reorder', Math.max(c.retransmitAt, now + longer));
  }
  if (retransmitted > c.retransOut) s.flags |= RETRANSMISSION_LOST;
}

/** RFC 5681 §3.2, RFC 6675 §5: fast retransmit. */
function enterRecovery(tcp: Tcp, c: Connection, echoed: boolean, priorInFlight: number, now: Millis): void {
  if (!anyRetransmitted(tcp, c)) c.retransmittedAt = -1;
  c.priorSsthresh = 0;
  beginUndo(c);
  if (!isReducing(c)) {
    if (!echoed) c.priorSsthresh = currentThreshold(c);
    beginReduction(c, priorInFlight, now);
  }
  enterState(tcp, c, 'Recovery', now);
}

/** RFC 3168 §6.1.2: the network signals congestion; once a window, cwnd is reduced as for a loss. */
export function enterCwr(tcp: Tcp, c: Connection, priorInFlight: number, now: Millis): void {
  c.priorSsthresh = 0;
  if (c.recovery !== 'Open' && c.recovery !== 'Disorder') return;
  c.undoable = false;
  beginReduction(c, priorInFlight, now);
  enterState(tcp, c, 'CWR', now);
}

/** Nothing is lost: Open or Disorder, unless the peer echoes congestion. */
function tryOpen(tcp: Tcp, c: Connection, s: AckSample, now: Millis): void {
  if (!anyRetransmitted(tcp, c)) c.retransmittedAt = -1;
  if ((s.flags & ECHO) !== 0) enterCwr(tcp, c, s.priorInFlight, now);
  if (c.recovery !== 'CWR') keepOpen(tcp, c, now);
}

/** Without SACK, a duplicate ACK says that some packet has arrived: it counts as one SACKed. */
function addDuplicates(tcp: Tcp, c: Connection, duplicates: number): void {
  if (duplicates === 0) return;
  const before = c.sackedOut;
  c.sackedOut += duplicates;
  limitDuplicates(tcp, c, 0);
  if (c.sackedOut > before) c.delivered += c.sackedOut - before;
}

/** There cannot be more of them than packets beyond the hole: if there are, the network reorders. */
function limitDuplicates(tcp: Tcp, c: Connection, acked: number): void {
  const holes = Math.min(Math.max(c.lostOut, 1), c.packetsOut);
  if (c.sackedOut + holes <= c.packetsOut) return;
  c.sackedOut = c.packetsOut - holes;
  c.reordering = Math.min(c.packetsOut + acked, tcp.profile.reorderingMax);
  c.reorderings++;
}

/** Without SACK, `acked` packets were acknowledged: one filled the hole, the others had been counted as duplicates. */
export function removeDuplicates(tcp: Tcp, c: Connection, acked: number): void {
  c.delivered += Math.max(acked - c.sackedOut, 1);
  c.sackedOut = Math.max(0, c.sackedOut - Math.max(acked - 1, 0));
  limitDuplicates(tcp, c, acked);
}

// ── Loss ──

/** The retransmission timer went off (RFC 5681 §3.1, RFC 6298 §5.4). */
export function enterLoss(tcp: Tcp, c: Connection, now: Millis): void {
  const begins = c.recovery !== 'Recovery' && c.recovery !== 'Loss';
  markAllLost(tcp, c, now);
  const disordered = c.recovery === 'Open' || c.recovery === 'Disorder';
  // Once a window: not again for losses of what the last reduction was about.
  if (disordered || !seqAfter(c.highSeq, c.sndUna) || (c.recovery === 'Loss' && c.retransmits === 0)) {
    c.priorSsthresh = currentThreshold(c);
    c.priorCwnd = c.cwnd;
    c.ssthresh = c.congestion.threshold(c, now);
    c.congestion.timedOut(c, now);
    beginUndo(c);
  }
  c.cwnd = c.inFlight + 1;
  c.cwndCredit = 0;
  c.cwndUsedAt = now;
  // Many duplicates and yet a timeout: the degree of reordering was overestimated.
  const { reordering } = tcp.profile;
  if (disordered && c.sackedOut >= reordering) c.reordering = Math.min(c.reordering, reordering);
  enterState(tcp, c, 'Loss', now);
  c.highSeq = c.sndNxt;
  c.probeOut = false;
  c.ecnReducedDue = c.ecnOk;
  c.frto = tcp.profile.frto && (begins || c.retransmits > 0);
  c.resend = 'lost';
}

/** Everything in flight is lost but what RACK knows to be too young; of a peer that has reneged, the SACKed too. */
function markAllLost(tcp: Tcp, c: Connection, now: Millis): void {
  const sent = tcp.sent;
  const { head } = c.sent;
  const reneged = head !== NONE && (sent.flags(head) & SACKED) !== 0;
  const forget = reneged || tcp.profile.forgetSackAtTimeout;
  if (reneged) c.sackReneged = true;
  if (forget || !c.sackOk) c.sackedOut = 0;
  const youngest = now - c.rackRtt;
  const rack = !forget && tcp.profile.rack && c.sackOk && c.rackSentAt >= 0;
  for (let record = head; record !== NONE; record = sent.next(record)) {
    if (forget) sent.setFlags(record, sent.flags(record) & ~SACKED);
    else if (rack && record !== head && sent.sentAt(record) > youngest) continue;
    markLost(tcp, c, record, 'timeout', now);
  }
  c.sent.lostHint = NONE;
  if (forget) {
    c.sent.highestSacked = NONE;
    c.sackSeenBlocks = 0;
  }
}

/** An acknowledgment in Loss: was the timeout spurious (RFC 5682 §3), is the recovery over? */
function lossProgress(tcp: Tcp, c: Connection, seg: Segment, s: AckSample, duplicates: number, now: Millis): void {
  const recovered = !seqBefore(c.sndUna, c.highSeq);
  const advanced = (s.flags & UNA_ADVANCED) !== 0;
  if (advanced && undoTimeout(tcp, c, seg, false, now)) return;
  if (c.frto) {
    // Step 3.b: what was never sent again arrived, so not everything was lost.
    if ((s.flags & ORIGINAL_ACKED) !== 0 && undoTimeout(tcp, c, seg, true, now)) return;
    if (seqAfter(c.sndNxt, c.highSeq)) {
      // Step 3.a: new text arrived while the old is missing: the loss was real.
      if ((s.flags & DATA_SACKED) !== 0 || duplicates > 0) c.frto = false;
    } else if (advanced && !recovered) {
      c.highSeq = c.sndNxt;
      // Step 2.b: new text tells more than retransmissions would.
      if (hasNewText(c)) {
        c.resend = 'new';
        return;
      }
      c.frto = false;
    }
  }
  if (recovered) {
    undoAtEnd(tcp, c, seg, now);
    return;
  }
  if (!c.sackOk) {
    if (seqAfter(c.sndNxt, c.highSeq) && duplicates > 0) addDuplicates(tcp, c, duplicates);
    else if (advanced) c.sackedOut = 0;
  }
  c.resend = 'lost';
}

/** There is text that was never sent, and the peer's window has room for it. */
const hasNewText = (c: Connection): boolean =>
  seqDiff(c.sendBuffer.end, c.sndNxt) > 0 && seqDiff(c.sndUna, c.sndNxt) + c.sndWnd > 0;

// ── the reordering timer ──

/** RFC 8985 §6.3: what was overtaken has not come. */
export function reorderingTimedOut(tcp: Tcp, c: Connection, now: Millis): void {
  const inFlight = c.inFlight;
  rackDetectLoss(tcp, c, now);
  if (inFlight !== c.inFlight) {
    if (c.recovery !== 'Recovery' && !(c.mtuSearch !== null && mtuProbeLost(tcp, c, now))) {
      enterRecovery(tcp, c, false, inFlight, now);
      if (!c.congestion.controlsWindow) reduceWindow(c, inFlight, 1, 0, 0);
    }
    c.resend = 'lost';
  }
  // The timer in hand was this one: what goes out again restarts it.
  c.retransmitTimer = 'reorder';
  restartRto(tcp, c, now);
}

/**
 * What is marked lost goes again, and not for congestion: a path that takes less, a SYN's text that was not taken. The
 * window stays.
 */
export function resendWithoutBlame(tcp: Tcp, c: Connection, now: Millis): void {
  if (c.recovery !== 'Loss') {
    c.highSeq = c.sndNxt;
    c.ssthresh = currentThreshold(c);
    c.priorSsthresh = 0;
    c.undoable = false;
    enterState(tcp, c, 'Loss', now);
  }
  c.resend = 'lost';
}

/** The whole of recovery after a loss that a probe has repaired (RFC 8985 §7.4.2): one reduction, at once. */
export function reduceForProbe(tcp: Tcp, c: Connection, now: Millis): void {
  beginReduction(c, c.inFlight, now);
  enterState(tcp, c, 'CWR', now);
  endReduction(c, now);
  keepOpen(tcp, c, now);
}
