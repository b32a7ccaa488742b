import type { Millis } from '../base/bytes';
import type { Datagram } from '../base/datagram';
import type { Slab } from '../base/memory';
import { acknowledged, synAcknowledged } from './acknowledgment';
import { CONNECTED, type Connection, END, READABLE, URGENT } from './connection';
import { enterQuickAcks, expectResponse, finAwaitsResponse, textReceived } from './delayed-ack';
import { ecnReceived } from './ecn';
import { noteFastOpenReset, synAckAnswers } from './fast-open';
import { ACK, FIN, RST, type Segment, SYN, URG } from './header';
import { abortWithReset, established } from './lifecycle';
import { timestampNow } from './options';
import { appendText, discardBeyondHole, drainContiguous, noteFin, queueBeyondHole } from './reassembler';
import { NODE_COST } from './receive-store';
import { acceptedWindow, measureReceiverRtt } from './receive-window';
import { type Seq, seqAdd, seqAfter, seqBefore, seqDiff, seqInWindow } from './seq';
import type { Tcp } from './tcp';
import { acceptSyn } from './without-connection';

/** RFC 7323 §5.5: after this much silence a timestamp proves nothing. */
const PAWS_IDLE_MS = 24 * 24 * 3600 * 1000;

/**
 * §3.10.7, the connection being open. Steps run in the RFC's order; a step that returns false has dealt with the segment.
 * Nothing is sent from here: what is due is noted on the connection for output.ts.
 */
export function segmentArrives(tcp: Tcp, c: Connection, seg: Segment, d: Datagram, slab: Slab, now: Millis): void {
  c.segmentsIn++;
  if (c.state === 'SYN-SENT') return arrivesSynSent(tcp, c, seg, slab, now); // §3.10.7.3
  // §3.10.7.4, all other states:
  if (!checkSequence(tcp, c, seg, now)) return; // first, with PAWS
  if (!checkReset(tcp, c, seg, now)) return; // second, with RFC 5961 §3.2
  // third: security, which nobody uses: see docs/deviations.md
  if (!checkSyn(tcp, c, seg, now)) return; // fourth, with RFC 5961 §4.2
  if (!checkAck(tcp, c, seg, now)) return; // fifth
  if (c.ecnOk) ecnReceived(tcp, c, seg, d);
  if ((seg.flags & URG) !== 0) checkUrgent(tcp, c, seg); // sixth
  if (seg.textBytes > 0) takeText(tcp, c, seg, d, slab, now); // seventh
  if ((seg.flags & FIN) !== 0) checkFin(tcp, c, seg, now); // eighth
}

// ── §3.10.7.3 SYN-SENT ──

function arrivesSynSent(tcp: Tcp, c: Connection, seg: Segment, slab: Slab, now: Millis): void {
  const hasAck = (seg.flags & ACK) !== 0;
  const ackAcceptable = hasAck && seqAfter(seg.ack, c.iss) && !seqAfter(seg.ack, c.sndNxt);
  if (hasAck && !ackAcceptable) {
    tcp.drop('tcp-bad-ack', now);
    if ((seg.flags & RST) === 0) resetFor(tcp, c, seg.ack);
    return;
  }
  if ((seg.flags & RST) !== 0) {
    // RFC 5961 §3.2 leaves SYN-SENT as it was: a RST counts when it acknowledges our SYN.
    if (ackAcceptable) tcp.fail(c, 'ECONNREFUSED', now);
    else tcp.drop('tcp-rst-out-of-window', now);
    return;
  }
  if ((seg.flags & SYN) === 0) return tcp.drop('tcp-no-connection', now);
  // Timestamps that we never sent: an old duplicate of another incarnation (RFC 7323 §5.3 (R1), as Linux does).
  if (hasAck && c.timestamps && seg.hasTimestamps && seg.tsEcr !== 0 && echoIsWrong(c, seg, now)) {
    tcp.drop('tcp-paws', now);
    return resetFor(tcp, c, seg.ack);
  }
  acceptSyn(tcp, c, seg, now);
  // Our SYN has told the window.
  c.rcvEdge = seqAdd(c.rcvNxt, c.rcvWnd);
  if (hasAck) {
    synAcknowledged(tcp, c, seg, now);
    if (c.fast !== null) synAckAnswers(tcp, c, c.fast, seg, now);
    // Text that waits carries the ACK, and what answers it may come soon.
    if (seqDiff(c.sendBuffer.end, c.sndNxt) > 0) enterQuickAcks(tcp, c, tcp.profile.quickAcks);
    established(tcp, c, now);
    tcp.signal(c, CONNECTED);
    c.ackNow = true;
    // What else it carries is dealt with from the sixth step on; the SYN stands before the text.
    if ((seg.flags & URG) !== 0) checkUrgent(tcp, c, seg);
    seg.seq = seqAdd(seg.seq, 1);
    if (seg.textBytes > 0) takeText(tcp, c, seg, null, slab, now);
    if ((seg.flags & FIN) !== 0) checkFin(tcp, c, seg, now);
    return;
  }
  // Simultaneous open (MUST-10): answer with a SYN-ACK that carries our first SYN's number.
  tcp.enter(c, 'SYN-RECEIVED', now);
  c.synDue = true;
}

function echoIsWrong(c: Connection, seg: Segment, now: Millis): boolean {
  const age = (timestampNow(c, now) - seg.tsEcr) | 0;
  return age < 0 || age > now - c.openedAt + 1;
}

/** <SEQ=SEG.ACK><CTL=RST>: for an acknowledgment of something that was never sent. */
function resetFor(tcp: Tcp, c: Connection, ack: Seq): void {
  tcp.counters.resetsSent++;
  tcp.reply({
    path: c.path,
    localPort: c.localPort,
    remotePort: c.remotePort,
    seq: ack,
    ack: 0 as Seq,
    flags: RST,
    window: 0,
    timestamps: false,
    tsVal: 0,
    tsEcr: 0,
  });
}

// ── first: sequence number ──

function checkSequence(tcp: Tcp, c: Connection, seg: Segment, now: Millis): boolean {
  if (repeatsSynAck(c, seg)) acceptSynAck(tcp, c, seg);
  if (c.timestamps && (seg.flags & RST) === 0) {
    if (!seg.hasTimestamps) {
      // RFC 7323 §3.2: once agreed, a segment without timestamps is not to be trusted. Linux takes it nevertheless.
      if (tcp.profile.timestampsRequired) {
        tcp.drop('tcp-no-timestamp', now);
        return false;
      }
    } else if (seqDiff(seg.tsVal as Seq, c.tsRecent as Seq) < 0 && now - c.tsRecentAt < PAWS_IDLE_MS) {
      tcp.drop('tcp-paws', now);
      if (!repeatsSyn(c, seg)) acknowledgeInvalid(tcp, c, seg, now);
      return false;
    }
  }
  const window = acceptedWindow(c);
  if ((seg.flags & RST) !== 0) {
    // RFC 5961 §3.2: its number alone counts, not how far its text reaches.
    if (seg.seq === c.rcvNxt || seqInWindow(seg.seq, c.rcvNxt, window)) return true;
    tcp.drop('tcp-rst-out-of-window', now);
    return false;
  }
  if (!acceptable(seg, c.rcvNxt, window)) {
    if (repeatsSyn(c, seg)) {
      c.synDue = true;
      tcp.drop('tcp-duplicate', now);
      return false;
    }
    if ((seg.flags & SYN) !== 0) {
      challenge(tcp, c, now);
      tcp.drop('tcp-syn-challenge', now);
      return false;
    }
    tcp.drop(seqBefore(seg.seq, c.rcvNxt) ? 'tcp-duplicate' : 'tcp-out-of-window', now);
    // A zero window takes no text, but acknowledgments, urgent pointers and RSTs all the same (§3.10.7.4, MUST-66).
    const zeroWindow = window === 0 && seg.seq === c.rcvNxt;
    acknowledgeInvalid(tcp, c, seg, now);
    if (!zeroWindow) return false;
    seg.textBytes = 0;
    seg.flags &= ~FIN;
  }
  c.lastReceivedAt = now;
  c.probesSent = 0;
  return true;
}

/** The table of §3.10.7.4: is any of the segment inside the window? */
export function acceptable(seg: Segment, rcvNxt: Seq, window: number): boolean {
  const length = seg.length;
  if (length === 0)
    return window === 0 ? seg.seq === rcvNxt : seqInWindow(seg.seq, rcvNxt, window) || seg.seq === rcvNxt;
  if (window === 0) return false;
  return (
    seqInWindow(seg.seq, rcvNxt, window) ||
    seqInWindow(seqAdd(seg.seq, length - 1), rcvNxt, window) ||
    covers(seg, rcvNxt, length)
  );
}

/** A segment longer than the window that begins before and ends behind it. */
const covers = (seg: Segment, rcvNxt: Seq, length: number): boolean =>
  !seqAfter(seg.seq, rcvNxt) && seqAfter(seqAdd(seg.seq, length), rcvNxt);

/** Simultaneous open: the peer answers our SYN with a SYN-ACK of the number that its SYN had (RFC 9293 §3.5, figure 7). */
const repeatsSynAck = (c: Connection, seg: Segment): boolean =>
  c.state === 'SYN-RECEIVED' &&
  !c.passive &&
  (seg.flags & (SYN | ACK | RST)) === (SYN | ACK) &&
  seg.seq === c.irs &&
  seg.ack === c.sndNxt;

/** The SYN in it is a duplicate; the rest counts. */
function acceptSynAck(tcp: Tcp, c: Connection, seg: Segment): void {
  if (c.sackOk && tcp.profile.dsack && !c.hasDsack) {
    c.hasDsack = true;
    c.dsackStart = c.irs;
    c.dsackEnd = seqAdd(c.irs, 1);
  }
  seg.flags &= ~SYN;
  seg.seq = seqAdd(seg.seq, 1);
  c.ackNow = true;
}

/** The peer sends its SYN again: our SYN-ACK was lost. */
const repeatsSyn = (c: Connection, seg: Segment): boolean =>
  c.state === 'SYN-RECEIVED' && (seg.flags & (SYN | ACK | RST)) === SYN && seg.seq === c.irs;

/** An ACK for what is out of place, at most every half second for segments without text (as Linux limits ACK loops). */
function acknowledgeInvalid(tcp: Tcp, c: Connection, seg: Segment, now: Millis): void {
  if (c.state === 'SYN-RECEIVED' && (seg.flags & SYN) === 0 && !c.passive) return void (c.ackNow = true);
  if (seg.textBytes > 0) {
    const end = seqAdd(seg.seq, seg.textBytes);
    // RFC 2883 §4.1: a duplicate below RCV.NXT is reported once.
    if (c.sackOk && tcp.profile.dsack && seqBefore(seg.seq, c.rcvNxt) && !c.hasDsack) {
      c.hasDsack = true;
      c.dsackStart = seg.seq;
      c.dsackEnd = seqAfter(end, c.rcvNxt) ? c.rcvNxt : end;
    }
    enterQuickAcks(tcp, c, tcp.profile.quickAcks);
  } else if ((seg.flags & FIN) === 0) {
    if (now - c.lastInvalidAckAt < tcp.profile.invalidAckIntervalMs) return;
    c.lastInvalidAckAt = now;
  }
  c.ackNow = true;
}

/** RFC 5961: an ACK that only the true peer can make sense of, so many a second (§10). */
export function challenge(tcp: Tcp, c: Connection, now: Millis): void {
  if (now - c.challengeWindowAt >= 1000) {
    c.challengeWindowAt = now;
    c.challenges = 0;
  }
  if (c.challenges >= tcp.profile.challengeAcksPerSecond) return;
  c.challenges++;
  c.ackNow = true;
}

// ── second: RST ──

function checkReset(tcp: Tcp, c: Connection, seg: Segment, now: Millis): boolean {
  if ((seg.flags & RST) === 0) return true;
  if (seg.seq !== c.rcvNxt) {
    // RFC 5961 §3.2: inside the window but not exact: ask.
    challenge(tcp, c, now);
    tcp.drop('tcp-rst-challenge', now);
    return false;
  }
  switch (c.state) {
    case 'SYN-RECEIVED':
      // MUST-11: a passive open goes back to LISTEN in silence; an active one is told.
      if (c.fast?.child === true) {
        if (c.listener !== null) noteFastOpenReset(c.listener, now);
        tcp.fail(c, 'ECONNRESET', now);
      } else if (c.passive) tcp.remove(c, now);
      else tcp.fail(c, 'ECONNREFUSED', now);
      return false;
    case 'CLOSING':
    case 'LAST-ACK':
    case 'TIME-WAIT':
      if (c.orphaned) tcp.remove(c, now);
      else tcp.fail(c, 'ECONNRESET', now);
      return false;
    case 'CLOSE-WAIT':
      tcp.fail(c, 'EPIPE', now);
      return false;
    default:
      tcp.fail(c, 'ECONNRESET', now);
      return false;
  }
}

// ── fourth: SYN ──

function checkSyn(tcp: Tcp, c: Connection, seg: Segment, now: Millis): boolean {
  if ((seg.flags & SYN) === 0) return true;
  challenge(tcp, c, now);
  tcp.drop('tcp-syn-challenge', now);
  return false;
}

// ── fifth: ACK ──

function checkAck(tcp: Tcp, c: Connection, seg: Segment, now: Millis): boolean {
  if ((seg.flags & ACK) === 0) {
    tcp.drop('tcp-no-ack', now);
    return false;
  }
  const opening = c.state === 'SYN-RECEIVED';
  if (opening) {
    if (!seqAfter(seg.ack, c.sndUna) || seqAfter(seg.ack, c.sndNxt)) {
      tcp.drop('tcp-bad-ack', now);
      resetFor(tcp, c, seg.ack);
      return false;
    }
    // Window scaling applies from here on (RFC 7323 §2.2): the window of this very segment is scaled.
    c.sndWnd = seg.window << c.sndScale;
    c.sndWl1 = seg.seq;
    c.sndWl2 = seg.ack;
    if (!finishPassiveOpen(tcp, c, now)) return false;
  }
  if (seqAfter(seg.ack, c.sndNxt)) {
    tcp.drop('tcp-bad-ack', now);
    challenge(tcp, c, now);
    return false;
  }
  if (seqDiff(c.sndUna, seg.ack) > Math.max(c.sndWndMax, 0)) {
    // RFC 5961 §5.2: older than anything in flight can be.
    tcp.drop('tcp-old-ack', now);
    challenge(tcp, c, now);
    return false;
  }
  // RFC 7323 §4.3 (2): TS.Recent follows segments that reach back to the last ACK sent; a forged one stops here at last.
  if (c.timestamps && seg.hasTimestamps && !seqAfter(seg.seq, c.lastAckSent)) {
    c.tsRecent = seg.tsVal;
    c.tsRecentAt = now;
  }
  acknowledged(tcp, c, seg, now);
  if (opening && !c.passive && c.fast !== null) synAckAnswers(tcp, c, c.fast, seg, now);
  return c.state !== 'CLOSED';
}

/** The handshake's third segment: the connection is the application's, if the accept queue has room. */
function finishPassiveOpen(tcp: Tcp, c: Connection, now: Millis): boolean {
  const listener = c.listener;
  if (listener === null || c.fast?.child === true) {
    established(tcp, c, now);
    tcp.signal(c, CONNECTED);
    return true;
  }
  if (listener.closed) {
    abortWithReset(tcp, c, now);
    return false;
  }
  if (listener.accepted.length > listener.backlog) {
    // As if the ACK were lost: the peer's text or our SYN-ACK's retransmission tries again (tcp_abort_on_overflow=0).
    tcp.drop('tcp-accept-queue-full', now);
    if (tcp.profile.abortOnOverflow) {
      // In answer to that ACK: nothing but the SYN was sent, so its SEG.ACK is SND.NXT.
      resetFor(tcp, c, c.sndNxt);
      tcp.remove(c, now);
    }
    return false;
  }
  established(tcp, c, now);
  if (tcp.trace.on) tcp.trace.add('accept', now, c.id, listener.port);
  listener.accepted.push(c);
  tcp.signalListener(listener);
  return true;
}

// ── sixth: URG ──

function checkUrgent(tcp: Tcp, c: Connection, seg: Segment): void {
  if (c.finReceived) return;
  // RFC 6093 §3.1: the pointer marks the octet after the urgent text (MUST-62).
  const up = seqAdd(seg.seq, seg.urgentPointer);
  if (c.urgentIn && !seqAfter(up, c.rcvUp)) return;
  if (!seqAfter(up, c.rcvNxt)) return;
  c.rcvUp = up;
  c.urgentIn = true;
  tcp.signal(c, URGENT);
}

// ── seventh: text ──

function takeText(tcp: Tcp, c: Connection, seg: Segment, d: Datagram | null, slab: Slab, now: Millis): void {
  if (c.finReceived) return tcp.drop('tcp-text-after-close', now);
  if (c.orphaned && seqAfter(seqAdd(seg.seq, seg.textBytes), c.rcvNxt)) {
    // Nobody will read it: the peer must learn that its text is lost (RFC 1122 §4.2.2.13, SHLD-3), with the one number
    // that it accepts in a RST (RFC 5961 §3.2).
    tcp.drop('tcp-text-after-close', now);
    resetFor(tcp, c, seg.ack);
    return tcp.remove(c, now);
  }
  let at = seg.textAt;
  let bytes = seg.textBytes;
  let seq = seg.seq;
  const before = seqDiff(c.rcvNxt, seq);
  if (before > 0) {
    if (c.sackOk && tcp.profile.dsack && !c.hasDsack) {
      c.hasDsack = true;
      c.dsackStart = seq;
      c.dsackEnd = seqAdd(seq, Math.min(before, bytes));
    }
    enterQuickAcks(tcp, c, tcp.profile.quickAcks);
    if (before >= bytes) {
      c.ackNow = true;
      return tcp.drop('tcp-duplicate', now);
    }
    at += before;
    bytes -= before;
    seq = c.rcvNxt;
  }
  const room = acceptedWindow(c) - seqDiff(seq, c.rcvNxt);
  if (bytes > room) {
    bytes = room;
    c.ackNow = true;
    // What is cut off takes the FIN behind it along.
    seg.flags &= ~FIN;
    if (bytes <= 0) return tcp.drop('tcp-out-of-window', now);
  }
  if (isFull(c, bytes)) {
    // What fills the hole is worth more than all beyond it, which then has to come again (RFC 2018 §8).
    if (seq === c.rcvNxt) discardBeyondHole(c, tcp.store);
    if (isFull(c, bytes)) {
      c.ackNow = true;
      return tcp.drop('tcp-receive-buffer-full', now);
    }
  }
  const admitted = tcp.store.admits(c.charged, bytes);
  if (admitted < bytes) {
    c.ackNow = true;
    tcp.drop('memory-pressure', now);
    if (admitted === 0) return;
    bytes = admitted;
    seg.flags &= ~FIN;
  }
  c.dataSegmentsIn++;
  if (seq === c.rcvNxt) {
    appendText(c, tcp.store, slab, at, bytes);
    if (c.oooNodes > 0 || c.sackRecentCount > 0 || c.finSeqKnown) {
      // RFC 5681 §4.2: a hole filled, wholly or in part, is acknowledged at once.
      drainContiguous(c, tcp.store);
      c.ackNow = true;
      if (c.finSeqKnown && c.rcvNxt === c.finSeq) finReached(tcp, c, now);
    }
    tcp.signal(c, READABLE);
    if ((seg.flags & FIN) !== 0) expectResponse(tcp, c);
    textReceived(tcp, c, d !== null && d.segmentBytes > 0 ? d.segmentBytes : seg.textBytes, bytes, now);
    const age =
      c.timestamps && seg.hasTimestamps && seg.textBytes >= c.rcvMss ? (timestampNow(c, now) - seg.tsEcr) | 0 : -1;
    measureReceiverRtt(c, seg.tsEcr === 0 ? -1 : age, now);
  } else {
    c.outOfOrder++;
    queueBeyondHole(c, tcp.store, seq, slab, at, bytes);
    c.ackNow = true;
    enterQuickAcks(tcp, c, tcp.profile.quickAcks);
  }
}

/** More memory than the buffer stands for, what the queue itself costs included. */
const isFull = (c: Connection, bytes: number): boolean =>
  c.charged + bytes + NODE_COST > c.receiveLimit + (c.receiveLimit >> 1) + 65_536;

// ── eighth: FIN ──

function checkFin(tcp: Tcp, c: Connection, seg: Segment, now: Millis): void {
  if (c.finReceived) {
    c.ackNow = true;
    return;
  }
  const finSeq = seqAdd(seg.seq, seg.textBytes);
  if (finSeq !== c.rcvNxt) {
    // Beyond a hole: remembered, and acted on when the text before it is there.
    if (seqAfter(finSeq, c.rcvNxt)) {
      c.finSeq = finSeq;
      c.finSeqKnown = true;
      c.ackNow = true;
      if (c.sackOk) noteFin(c);
    }
    return;
  }
  finReached(tcp, c, now);
}

function finReached(tcp: Tcp, c: Connection, now: Millis): void {
  c.finReceived = true;
  c.finSeq = c.rcvNxt;
  // Whatever came from beyond it is nobody's.
  discardBeyondHole(c, tcp.store);
  c.rcvNxt = seqAdd(c.rcvNxt, 1);
  tcp.signal(c, END);
  switch (c.state) {
    case 'SYN-RECEIVED':
    case 'ESTABLISHED':
      tcp.enter(c, 'CLOSE-WAIT', now);
      finAwaitsResponse(tcp, c, now);
      break;
    case 'FIN-WAIT-1':
      // Our FIN is not acknowledged yet, or step five would have moved us on.
      c.ackNow = true;
      tcp.enter(c, 'CLOSING', now);
      break;
    case 'FIN-WAIT-2':
      c.ackNow = true;
      tcp.enterTimeWait(c, now);
      break;
  }
}
