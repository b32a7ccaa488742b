import { type Millis, NEVER } from '../base/bytes';
import type { Datagram } from '../base/datagram';
import { ACKNOWLEDGED, type Connection, WRITABLE } from './connection';
import type { Segment } from './header';
import { timestampNow } from './options';
import { afterAck, newAckSample } from './recovery';
import { rttSample, setRto } from './rtt';
import { EVER_RETRANSMITTED, LOST, RETRANSMITTED, SACKED } from './sent-table';
import { seqAfter, seqDiff } from './seq';
import type { Tcp } from './tcp';

/** What one acknowledgment told, gathered on the way and given to loss recovery. One reused record. */
const sample = newAckSample();

/** §3.10.7.4, fifth: an ACK within what RFC 5961 lets through. */
export function acknowledged(tcp: Tcp, c: Connection, seg: Segment, d: Datagram, now: Millis): void {
  const windowChanged = updateWindow(c, seg);
  sample.start(c, seg, d, windowChanged);
  if (seqAfter(seg.ack, c.sndUna)) {
    advanceSend(tcp, c, seg, now);
  } else if (c.packetsOut === 0) {
    // Nothing in flight: at most an answer to a probe of ours.
    if (c.retransmitTimer === 'persist') answerToProbe(tcp, c, now);
    tcp.wantsOutput(c);
    return;
  }
  if (c.state === 'CLOSED') return;
  afterAck(tcp, c, seg, sample, now);
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

/** SEG.ACK is new: everything before it is released, a round-trip time may be had from it. */
export function advanceSend(tcp: Tcp, c: Connection, seg: Segment, now: Millis): void {
  const acked = seqDiff(seg.ack, c.sndUna);
  const rtt = releaseAcked(tcp, c, seg, now);
  c.sndUna = seg.ack;
  if (c.urgentOut && seqDiff(c.sndUna, c.sndUp) >= 0) c.urgentOut = false;
  c.bytesAcked += acked;
  if (c.sendBuffer.bytes > 0) c.sendBuffer.acknowledge(seg.ack);
  c.backoff = 0;
  c.retransmits = 0;
  c.stalledSince = now;
  if (rtt >= 0) rttSample(c, rtt, tcp.profile);
  else if (c.srtt > 0) setRto(c, tcp.profile);
  if (tcp.trace.on && rtt >= 0) {
    tcp.trace.add('rtt-sample', now, c.id, Math.round(rtt * 1000), Math.round(c.srtt * 1000), Math.round(c.rto * 1000));
  }
  // RFC 6298 §5.2, §5.3: restarted by every new ACK, off when all is acknowledged.
  if (c.packetsOut === 0) {
    c.retransmitTimer = 'none';
    c.retransmitAt = NEVER;
  } else {
    c.retransmitTimer = 'rto';
    c.retransmitAt = now + c.rto;
  }
  tellOwner(tcp, c);
  if (c.finSent && c.packetsOut === 0 && c.sndUna === c.sndNxt) finAcknowledged(tcp, c, now);
}

function tellOwner(tcp: Tcp, c: Connection): void {
  // Send buffer autotuning: two windows, so that the application fills one while the other is in flight (Linux's sndbuf).
  if (!c.sendLimitFixed && c.sendLimit < tcp.profile.sendBufferMax) {
    c.sendLimit = Math.min(Math.max(c.sendLimit, 2 * c.cwnd * c.mss), tcp.profile.sendBufferMax);
  }
  if (c.wantsAcknowledged) tcp.signal(c, ACKNOWLEDGED);
  // Not for every byte: a third of the buffer free makes a wake-up worth it (Linux's sk_stream_write_space).
  if (c.wantsRoom && c.sendBuffer.bytes * 3 <= c.sendLimit * 2) {
    c.wantsRoom = false;
    tcp.signal(c, WRITABLE);
  }
}

/** Takes acknowledged records off the scoreboard. Returns a round-trip time, or -1 (Karn). */
function releaseAcked(tcp: Tcp, c: Connection, seg: Segment, now: Millis): Millis {
  const sent = tcp.sent;
  const list = c.sent;
  let firstSentAt = -1;
  let retransmitted = false;
  while (list.head >= 0) {
    const record = list.head;
    const flags = sent.flags(record);
    const whole = seqDiff(sent.end(record), seg.ack) <= 0;
    if (!whole && seqDiff(sent.seq(record), seg.ack) >= 0) break;
    if ((flags & EVER_RETRANSMITTED) !== 0) retransmitted = true;
    else if ((flags & SACKED) === 0 && firstSentAt < 0) firstSentAt = sent.sentAt(record);
    const before = sent.packets(record);
    let left = 0;
    if (!whole) {
      sent.setSeq(record, seg.ack);
      left = Math.min(before, Math.ceil(seqDiff(sent.end(record), seg.ack) / c.mss));
      sent.setPackets(record, left);
    }
    const gone = before - left;
    c.packetsOut -= gone;
    if ((flags & SACKED) !== 0) c.sackedOut -= gone;
    else sample.newlyDelivered(c, record, gone, flags, now);
    if ((flags & LOST) !== 0) c.lostOut -= gone;
    if ((flags & RETRANSMITTED) !== 0) c.retransOut -= gone;
    sample.acked += gone;
    if (!whole) break;
    sent.remove(list, record);
  }
  if (retransmitted) sample.ackedRetransmitted = true;
  if (firstSentAt >= 0 && !retransmitted) return now - firstSentAt;
  // With timestamps the echo tells which transmission is meant (RFC 7323 §4).
  if (c.timestamps && seg.hasTimestamps && seg.tsEcr !== 0) {
    const age = (timestampNow(c, now) - seg.tsEcr) | 0;
    if (age >= 0 && age < 0x7fffffff / 1000) return Math.max(age, 1);
  }
  return -1;
}

/** Our FIN is acknowledged. */
function finAcknowledged(tcp: Tcp, c: Connection, now: Millis): void {
  switch (c.state) {
    case 'FIN-WAIT-1':
      tcp.enter(c, 'FIN-WAIT-2', now);
      if (c.orphaned) c.lingerAt = now + tcp.profile.finWait2Ms;
      return;
    case 'CLOSING':
      return tcp.enterTimeWait(c, now);
    case 'LAST-ACK':
      return tcp.remove(c, now);
  }
}

/** The peer answers a window probe: it lives (MUST-37), and the window may be open again. */
function answerToProbe(tcp: Tcp, c: Connection, now: Millis): void {
  c.backoff = 0;
  c.retransmits = 0;
  c.stalledSince = now;
  if (c.sndWnd > 0) {
    c.retransmitTimer = 'none';
    c.retransmitAt = NEVER;
  } else {
    c.retransmitAt = now + Math.min(c.rto, tcp.profile.rtoMaxMs);
  }
}
