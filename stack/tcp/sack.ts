import type { Millis } from '../base/bytes';
import { NONE } from '../base/memory';
import { type AckSample, DATA_SACKED, DUPLICATE_SACKED, ORIGINAL_ACKED, PROBE_DUPLICATED } from './ack-sample';
import type { Connection } from './connection';
import type { Segment } from './header';
import { noteReordering, rackAdvance } from './rack';
import { splitRecord } from './scoreboard';
import { EVER_RETRANSMITTED, LOST, RETRANSMITTED, SACKED } from './sent-table';
import { type Seq, seqAdd, seqAfter, seqBefore, seqDiff } from './seq';
import type { Tcp } from './tcp';

/** Edges of the usable blocks of the ACK in hand, in order. Scratch: four blocks at most. */
const blocks = new Int32Array(8);

/** RFC 2018 §5, RFC 2883: marks what the segment's SACK option reports, and gathers what that tells. */
export function takeSack(tcp: Tcp, c: Connection, seg: Segment, s: AckSample, now: Millis): void {
  const priorUna = s.priorUna;
  if (c.sackedOut === 0) c.highestSack = c.sndUna;
  const duplicate = checkDuplicate(c, seg, s);
  // Too old to believe (RFC 5961 §5.2).
  if (seqDiff(priorUna, seg.ack) > c.sndWndMax || c.packetsOut === 0) return;
  let count = 0;
  for (let i = 0; i < seg.sackBlocks; i++) {
    const start = seg.sack[2 * i]! as Seq;
    const end = seg.sack[2 * i + 1]! as Seq;
    const isDuplicate = i === 0 && duplicate;
    if (!isPlausible(c, isDuplicate, start, end) || !seqAfter(end, priorUna)) continue;
    if (isDuplicate) walk(tcp, c, s, start, end, start, true, now);
    else count = insertSorted(count, start, end);
  }
  for (let i = 0; i < count; i++) takeBlock(tcp, c, s, blocks[2 * i]! as Seq, blocks[2 * i + 1]! as Seq, now);
  remember(c, count);
  // In Loss without a way to undo, the order of arrival is that of the retransmissions.
  if (c.recovery !== 'Loss' || c.undoable) noteReordering(tcp, c, s.reordered);
}

function insertSorted(count: number, start: Seq, end: Seq): number {
  let i = count;
  while (i > 0 && seqAfter(blocks[2 * i - 2]! as Seq, start)) {
    blocks[2 * i] = blocks[2 * i - 2]!;
    blocks[2 * i + 1] = blocks[2 * i - 1]!;
    i--;
  }
  blocks[2 * i] = start;
  blocks[2 * i + 1] = end;
  return count + 1;
}

/** Within what is outstanding; a duplicate may also lie below, as far back as it could matter for undoing. */
function isPlausible(c: Connection, duplicate: boolean, start: Seq, end: Seq): boolean {
  if (seqAfter(end, c.sndNxt) || !seqBefore(start, end) || !seqBefore(start, c.sndNxt)) return false;
  if (seqAfter(start, c.sndUna)) return true;
  if (!duplicate || !c.undoable || seqAfter(end, c.sndUna)) return false;
  if (!seqBefore(start, c.undoMarker)) return true;
  if (!seqAfter(end, c.undoMarker)) return false;
  return !seqBefore(start, seqAdd(end, -c.sndWndMax));
}

/** RFC 2883 §4: the first block is a duplicate when it lies below SEG.ACK or inside the second block. */
function checkDuplicate(c: Connection, seg: Segment, s: AckSample): boolean {
  const start = seg.sack[0]! as Seq;
  const end = seg.sack[1]! as Seq;
  if (!seqBefore(start, seg.ack)) {
    if (seg.sackBlocks < 2) return false;
    if (seqAfter(end, seg.sack[3]! as Seq) || seqBefore(start, seg.sack[2]! as Seq)) return false;
  }
  const packets = countDuplicate(c, start, end, s);
  if (packets === 0) return false;
  // Of what is acknowledged already, nothing is left to look at: count it against the retransmissions since the marker.
  if (c.undoable && c.undoRetransmissions > 0 && !seqAfter(end, s.priorUna) && seqAfter(end, c.undoMarker)) {
    c.undoRetransmissions = Math.max(0, c.undoRetransmissions - packets);
  }
  return true;
}

/** Packets in a reported duplicate; 0 when it is not to be believed. */
function countDuplicate(c: Connection, start: Seq, end: Seq, s: AckSample): number {
  const bytes = seqDiff(end, start);
  if (bytes <= 0 || bytes > c.sndWndMax) return 0;
  let packets = 1;
  if (bytes > c.mss) packets = Math.ceil(bytes / c.mss);
  else if (c.probeOut && c.probeEnd === end) s.flags |= PROBE_DUPLICATED;
  c.duplicates += packets;
  // More duplicates than retransmissions: the network copies packets, or the peer lies.
  if (c.duplicates > c.totalRetransmits) return 0;
  // A duplicate without reordering, or of a probe that a timer sent, was not RACK's mistake.
  if (c.reorderings > 0 && (s.flags & PROBE_DUPLICATED) === 0) c.rackDuplicateSeen = true;
  s.flags |= DUPLICATE_SACKED;
  c.delivered += packets;
  return packets;
}

/** Walks the parts of a block that the last ACK's blocks did not cover. */
function takeBlock(tcp: Tcp, c: Connection, s: AckSample, start: Seq, end: Seq, now: Millis): void {
  const seen = c.sackSeen;
  let from = start;
  for (let i = 0; i < c.sackSeenBlocks && seen !== null; i++) {
    const seenStart = seen[2 * i]! as Seq;
    const seenEnd = seen[2 * i + 1]! as Seq;
    if (!seqAfter(seenEnd, from)) continue;
    if (!seqBefore(seenStart, end)) break;
    if (seqBefore(from, seenStart)) walk(tcp, c, s, start, end, from, false, now, seenStart);
    from = seenEnd;
  }
  if (seqBefore(from, end)) walk(tcp, c, s, start, end, from, false, now, end);
}

function remember(c: Connection, count: number): void {
  if (c.sackSeen === null) c.sackSeen = new Int32Array(8);
  for (let i = 0; i < 2 * count; i++) c.sackSeen[i] = blocks[i]!;
  c.sackSeenBlocks = count;
}

/** Marks the records of [from, until) that lie in the block [start, end). */
function walk(
  tcp: Tcp,
  c: Connection,
  s: AckSample,
  start: Seq,
  end: Seq,
  from: Seq,
  duplicate: boolean,
  now: Millis,
  until = end,
): void {
  const sent = tcp.sent;
  for (let record = find(tcp, c, from); record !== NONE; record = sent.next(record)) {
    if (!seqBefore(sent.seq(record), until)) return;
    if (cutToBlock(tcp, c, record, start, end)) mark(tcp, c, s, record, duplicate, now);
  }
}

/** The record that holds `seq`, or the first one after it. */
function find(tcp: Tcp, c: Connection, seq: Seq): number {
  const sent = tcp.sent;
  const hint = c.sent.highestSacked;
  let record = hint !== NONE && !seqAfter(sent.seq(hint), seq) ? hint : c.sent.head;
  while (record !== NONE && !seqAfter(sent.end(record), seq)) record = sent.next(record);
  return record;
}

/**
 * Whether the record lies in the block whole. A super-segment of which only a part does is cut at the packet's boundary;
 * a packet that was SACKed in part counts as not SACKed (it will be, or its rest will be sent again).
 */
function cutToBlock(tcp: Tcp, c: Connection, record: number, start: Seq, end: Seq): boolean {
  const sent = tcp.sent;
  const seq = sent.seq(record);
  const recordEnd = sent.end(record);
  const beginsInside = !seqAfter(start, seq);
  if (beginsInside && !seqBefore(end, recordEnd)) return true;
  if (sent.packets(record) <= 1 || !seqAfter(recordEnd, start)) return false;
  const { mss } = c;
  let bytes: number;
  if (beginsInside) bytes = Math.floor(seqDiff(end, seq) / mss) * mss;
  else bytes = Math.ceil(seqDiff(start, seq) / mss) * mss;
  if (bytes <= 0 || bytes >= seqDiff(recordEnd, seq)) return false;
  splitRecord(tcp, c, record, seqAdd(seq, bytes));
  return beginsInside;
}

/** The record has arrived. */
function mark(tcp: Tcp, c: Connection, s: AckSample, record: number, duplicate: boolean, now: Millis): void {
  const sent = tcp.sent;
  const before = sent.flags(record);
  const seq = sent.seq(record);
  const end = sent.end(record);
  const packets = sent.packets(record);
  let flags = before;
  if (duplicate && (flags & EVER_RETRANSMITTED) !== 0) {
    if (c.undoable && c.undoRetransmissions > 0 && seqAfter(end, c.undoMarker)) {
      c.undoRetransmissions = Math.max(0, c.undoRetransmissions - packets);
    }
    if ((flags & SACKED) !== 0 && seqBefore(seq, s.reordered)) s.reordered = seq;
  }
  if (!seqAfter(end, c.sndUna)) return;
  if ((flags & SACKED) === 0) {
    const sentAt = sent.sentAt(record);
    rackAdvance(c, flags, end, sentAt, now);
    if ((flags & RETRANSMITTED) !== 0) {
      // Not lost: the retransmission is taken to be on its way still.
      if ((flags & LOST) !== 0) {
        flags &= ~(LOST | RETRANSMITTED);
        c.lostOut -= packets;
        c.retransOut -= packets;
      }
    } else {
      if ((flags & EVER_RETRANSMITTED) === 0) sackedOriginal(c, s, seq, end, sentAt);
      if ((flags & LOST) !== 0) {
        flags &= ~LOST;
        c.lostOut -= packets;
      }
    }
    flags |= SACKED;
    s.flags |= DATA_SACKED;
    c.sackedOut += packets;
    c.delivered += packets;
  }
  if (duplicate && (flags & RETRANSMITTED) !== 0) {
    flags &= ~RETRANSMITTED;
    c.retransOut -= packets;
  }
  sent.setFlags(record, flags);
  s.deliveredRecord(c, sent, record);
  sent.leaveTimeOrder(c.sent, record);
  if (!seqBefore(seq, c.highestSack)) {
    c.highestSack = end;
    c.sent.highestSacked = record;
  }
}

/** Something sent once was SACKed: a round-trip time, and, below what was SACKed already, reordering. */
function sackedOriginal(c: Connection, s: AckSample, seq: Seq, end: Seq, sentAt: Millis): void {
  if (seqBefore(seq, c.highestSack) && seqBefore(seq, s.reordered)) s.reordered = seq;
  if (!seqAfter(end, c.highSeq)) s.flags |= ORIGINAL_ACKED;
  if (s.firstSackedAt < 0) s.firstSackedAt = sentAt;
  s.lastSackedAt = sentAt;
}
