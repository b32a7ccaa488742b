import { type Millis, NEVER } from '../base/bytes';
import { NONE } from '../base/memory';
import {
  ACKED,
  type AckSample,
  ALERT,
  DATA_ACKED,
  DUPLICATE_SACKED,
  ECHO,
  HAS_TEXT,
  MAYBE_DELAYED,
  ORIGINAL_ACKED,
  PROGRESS,
  RENEGED,
  RETRANSMITTED_ACKED,
  SET_TIMER,
  SYN_ACKED,
  UNA_ADVANCED,
  WINDOW_CHANGED,
} from './ack-sample';
import { BUFFER_LIMITED, BUSY, endTime } from './busy-time';
import { ACKNOWLEDGED, type Connection, WRITABLE } from './connection';
import { echoesCongestion } from './ecn';
import type { Segment } from './header';
import { abortWithReset } from './lifecycle';
import { mtuProbeAcknowledged } from './mtu-search';
import { isReducing, reduceWindow } from './prr';
import { noteReordering, rackAdvance, rackUpdateWindow } from './rack';
import { alert, isDubious, isDuplicateAck, removeDuplicates } from './recovery';
import { persistDelay, setRetransmitTimer, setTimerAfterAck, stopRetransmitTimer } from './retransmit-timer';
import { updateRtt } from './rtt';
import { takeSack } from './sack';
import { EVER_RETRANSMITTED, HAS_SYN, LOST, RETRANSMITTED, SACKED } from './sent-table';
import { seqAfter, seqBefore, seqDiff } from './seq';
import { probeAcknowledged } from './tail-probe';
import type { Tcp } from './tcp';

/** §3.10.7.4, fifth: an ACK within what RFC 5961 lets through. Nothing is sent from here. */
export function acknowledged(tcp: Tcp, c: Connection, seg: Segment, now: Millis): void {
  const s = tcp.ackSample;
  s.start(c);
  c.lastAckReceivedAt = now;
  c.more = false;
  const advance = seqDiff(seg.ack, c.sndUna);
  if (advance < 0) return oldAcknowledged(tcp, c, seg, s, now);
  if (seg.length > 0) s.flags |= HAS_TEXT;
  if (updateWindow(c, seg)) s.flags |= WINDOW_CHANGED;
  if (advance > 0) advanceUna(c, seg, s, advance);
  if (seg.sackBlocks > 0 && c.sackOk) takeSack(tcp, c, seg, s, now);
  if (echoesCongestion(c, seg)) s.flags |= ECHO;
  c.softError = null;
  c.windowProbes = 0;
  if (s.priorPackets === 0) return nothingOutstanding(tcp, c, seg, s, now);
  takeAck(tcp, c, seg, s, now);
  if (advance > 0) {
    if (c.packetsOut === 0) endTime(c, BUSY, now);
    tellOwner(tcp, c, now);
    if (c.finSent && c.packetsOut === 0 && c.sndUna === c.sndNxt) finAcknowledged(tcp, c, now);
  }
}

/** The SYN-ACK acknowledges our SYN: the same steps, before the connection is established. */
export function synAcknowledged(tcp: Tcp, c: Connection, seg: Segment, now: Millis): void {
  const s = tcp.ackSample;
  s.start(c);
  advanceUna(c, seg, s, seqDiff(seg.ack, c.sndUna));
  takeAck(tcp, c, seg, s, now);
}

/** Scoreboard, round-trip time, losses, timer, window: in this order, as Linux has it. */
function takeAck(tcp: Tcp, c: Connection, seg: Segment, s: AckSample, now: Millis): void {
  releaseAcked(tcp, c, seg, s, now);
  if (c.mtuSearch !== null) mtuProbeAcknowledged(c);
  if (c.sackOk) rackUpdateWindow(c, s);
  if (c.probeOut) probeAcknowledged(tcp, c, seg, s, now);
  if (isDubious(c, s)) alert(tcp, c, seg, s, isDuplicateAck(s) ? 1 : 0, now);
  if ((s.flags & SET_TIMER) !== 0) setTimerAfterAck(tcp, c, now);
  if ((s.flags & PROGRESS) !== 0) tcp.paths.confirm(c.path);
  s.finish(c, now);
  if ((s.flags & ECHO) !== 0) c.deliveredCe += s.delivered;
  // A handshake says nothing of how much the network carries.
  if ((s.flags & PROGRESS) !== SYN_ACKED) controlWindow(tcp, c, s, now);
}

/** How much may be in flight from here on. */
function controlWindow(tcp: Tcp, c: Connection, s: AckSample, now: Millis): void {
  const { congestion } = c;
  if (congestion.controlsWindow) return congestion.control(c, s, now);
  if (isReducing(c)) return reduceWindow(c, s.priorInFlight, s.delivered, s.lost, s.flags);
  // Where the network reorders much, SACKed packets are progress as well.
  const progress = c.reordering > tcp.profile.reordering ? PROGRESS : DATA_ACKED;
  if ((s.flags & progress) !== 0) congestion.acknowledged(c, s.delivered, now);
}

/** An ACK below SND.UNA: only what it SACKs may be news. */
function oldAcknowledged(tcp: Tcp, c: Connection, seg: Segment, s: AckSample, now: Millis): void {
  if (seg.sackBlocks === 0 || !c.sackOk) return;
  takeSack(tcp, c, seg, s, now);
  alert(tcp, c, seg, s, 0, now);
}

/** Nothing was in flight: at most an answer to a probe of ours, or a late report of a duplicate. */
function nothingOutstanding(tcp: Tcp, c: Connection, seg: Segment, s: AckSample, now: Millis): void {
  if ((s.flags & DUPLICATE_SACKED) !== 0) alert(tcp, c, seg, s, 0, now);
  if (c.retransmitTimer === 'persist') answerToProbe(tcp, c, now);
  if (c.probeOut) probeAcknowledged(tcp, c, seg, s, now);
}

/** The peer answers a window probe: it lives (MUST-37), and the window may be open again. */
function answerToProbe(tcp: Tcp, c: Connection, now: Millis): void {
  if (c.sndWnd > 0) {
    c.backoff = 0;
    c.windowProbesSince = -1;
    stopRetransmitTimer(c);
  } else {
    setRetransmitTimer(c, 'persist', now + persistDelay(tcp, c, now));
  }
}

/**
 * SND.WND follows the newest segment only (SND.WL1, SND.WL2), or an old one's advice could reopen or close the window.
 * Returns whether it changed.
 */
function updateWindow(c: Connection, seg: Segment): boolean {
  const newer = seqDiff(seg.seq, c.sndWl1) > 0 || (seg.seq === c.sndWl1 && seqDiff(seg.ack, c.sndWl2) >= 0);
  if (!newer) return false;
  const window = seg.window << c.sndScale;
  const changed = window !== c.sndWnd;
  c.sndWnd = window;
  c.sndWl1 = seg.seq;
  c.sndWl2 = seg.ack;
  if (window > c.sndWndMax) c.sndWndMax = window;
  return changed;
}

/** SND.UNA moves: the text before it is released. */
function advanceUna(c: Connection, seg: Segment, s: AckSample, bytes: number): void {
  s.flags |= UNA_ADVANCED;
  c.retransmits = 0;
  c.stalledAt = -1;
  c.sndUna = seg.ack;
  c.bytesAcked += bytes;
  if (c.urgentOut && seqDiff(c.sndUna, c.sndUp) >= 0) c.urgentOut = false;
  if (c.sendBuffer.bytes > 0) c.sendBuffer.acknowledge(seg.ack);
}

function tellOwner(tcp: Tcp, c: Connection, now: Millis): void {
  // Send buffer autotuning: two windows, so that the application fills one while the other is in flight (Linux's sndbuf).
  if (!c.sendLimitFixed && c.sendLimit < tcp.profile.sendBufferMax) {
    c.sendLimit = Math.min(Math.max(c.sendLimit, 2 * c.cwnd * c.mss), tcp.profile.sendBufferMax);
  }
  if (c.wantsAcknowledged) tcp.signal(c, ACKNOWLEDGED);
  offerRoom(tcp, c, now);
}

/** Not for every byte: a third of the buffer free makes a wake-up worth it (Linux's sk_stream_write_space). */
export function offerRoom(tcp: Tcp, c: Connection, now: Millis): void {
  if (!c.wantsRoom || c.sendBuffer.bytes * 3 > c.sendLimit * 2) return;
  if (c.notSentLimit !== NEVER && 2 * c.unsent >= c.notSentLimit) return;
  c.wantsRoom = false;
  endTime(c, BUFFER_LIMITED, now);
  tcp.signal(c, WRITABLE);
}

/** Takes acknowledged records off the scoreboard, and times from those that were sent once. */
function releaseAcked(tcp: Tcp, c: Connection, seg: Segment, s: AckSample, now: Millis): void {
  const { sent } = tcp;
  const list = c.sent;
  let lastBytes = 0;
  s.reordered = c.sndNxt;
  while (list.head !== NONE) {
    const record = list.head;
    const seq = sent.seq(record);
    const whole = !seqAfter(sent.end(record), seg.ack);
    if (!whole && !seqBefore(seq, seg.ack)) break;
    const flags = sent.flags(record);
    const packets = whole ? sent.packets(record) : trimRecord(tcp, c, record, seg);
    if (packets === 0) break;
    if ((flags & (RETRANSMITTED | EVER_RETRANSMITTED)) !== 0) {
      if ((flags & RETRANSMITTED) !== 0) c.retransOut -= packets;
      s.flags |= RETRANSMITTED_ACKED;
    } else if ((flags & SACKED) === 0) {
      s.lastAckedAt = sent.sentAt(record);
      if (s.firstAckedAt < 0) s.firstAckedAt = s.lastAckedAt;
      if (seqBefore(seq, s.reordered)) s.reordered = seq;
      if (!seqAfter(sent.end(record), c.highSeq)) s.flags |= ORIGINAL_ACKED;
    }
    if ((flags & SACKED) !== 0) {
      c.sackedOut -= packets;
    } else if (c.sackOk) {
      c.delivered += packets;
      // A probe that arrived as well says nothing new of the order, and a SYN-ACK nothing of text sent after it.
      if ((flags & HAS_SYN) === 0 || !c.passive) rackAdvance(c, flags, sent.end(record), sent.sentAt(record), now);
    }
    if ((flags & LOST) !== 0) c.lostOut -= packets;
    c.packetsOut -= packets;
    s.acked += packets;
    s.deliveredRecord(c, sent, record);
    lastBytes = seqDiff(sent.end(record), seq);
    s.flags |= (flags & HAS_SYN) !== 0 ? SYN_ACKED : DATA_ACKED;
    if (!whole) break;
    sent.remove(list, record);
  }
  if ((s.flags & SYN_ACKED) !== 0) c.retransmittedAt = -1;
  if (list.head === NONE) sent.settle(c);
  else if ((sent.flags(list.head) & SACKED) !== 0) s.flags |= RENEGED;
  if (
    s.acked === 1 &&
    lastBytes < c.mss &&
    s.sentDelivered + 1 === c.delivered &&
    (s.flags & (ALERT | SYN_ACKED)) === 0
  ) {
    s.flags |= MAYBE_DELAYED;
  }
  takeTimes(tcp, c, seg, s, now);
}

/** A record is acknowledged in part: its rest stays. Returns the packets that are gone. */
function trimRecord(tcp: Tcp, c: Connection, record: number, seg: Segment): number {
  const { sent } = tcp;
  const before = sent.packets(record);
  sent.setSeq(record, seg.ack);
  const left = Math.min(before, Math.ceil(seqDiff(sent.end(record), seg.ack) / c.mss));
  sent.setPackets(record, left);
  return before - left;
}

/** Round-trip time, reordering, and whether the timer starts anew. */
function takeTimes(tcp: Tcp, c: Connection, seg: Segment, s: AckSample, now: Millis): void {
  if (s.firstAckedAt >= 0 && (s.flags & RETRANSMITTED_ACKED) === 0) {
    s.ackedRtt = now - s.firstAckedAt;
    s.rtt = now - s.lastAckedAt;
  }
  if (s.firstSackedAt >= 0) {
    s.sackedRtt = now - s.firstSackedAt;
    s.rtt = now - s.lastSackedAt;
  }
  const sampled = updateRtt(c, s, seg, tcp.profile, now);
  if (sampled && tcp.trace.on) {
    tcp.trace.add(
      'rtt-sample',
      now,
      c.id,
      Math.round(s.rtt * 1000),
      Math.round(c.srtt * 1000),
      Math.round(c.rto * 1000),
    );
  }
  if ((s.flags & ACKED) !== 0) {
    s.flags |= SET_TIMER;
    if (!c.sackOk) {
      removeDuplicates(tcp, c, s.acked);
      // Without SACK it may have been the retransmission.
      if ((s.flags & RETRANSMITTED_ACKED) !== 0) s.flags &= ~ORIGINAL_ACKED;
    } else if (seqBefore(s.reordered, s.priorHighestSack)) {
      noteReordering(tcp, c, s.reordered);
    }
  } else if (sampled && s.sackedRtt >= 0 && c.sent.head !== NONE && s.sackedRtt > now - tcp.sent.sentAt(c.sent.head)) {
    // Text sent before the head's last transmission keeps arriving: the head still has its time.
    s.flags |= SET_TIMER;
  }
  if ((s.flags & SYN_ACKED) === 0) c.congestion.sampled(c, s, now);
}

/** Our FIN is acknowledged. */
function finAcknowledged(tcp: Tcp, c: Connection, now: Millis): void {
  switch (c.state) {
    case 'FIN-WAIT-1':
      tcp.enter(c, 'FIN-WAIT-2', now);
      if (!c.orphaned) return;
      if (c.finWait2 < 0) return abortWithReset(tcp, c, now);
      c.lingerAt = now + c.finWait2;
      return;
    case 'CLOSING':
      return tcp.enterTimeWait(c, now);
    case 'LAST-ACK':
      return tcp.remove(c, now);
  }
}
