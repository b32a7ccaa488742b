import type { Millis } from '../base/bytes';
import { NONE } from '../base/memory';
import type { AckSample } from './ack-sample';
import type { Connection } from './connection';
import { markLost, splitRecord } from './scoreboard';
import { EVER_RETRANSMITTED, LOST, SACKED } from './sent-table';
import { type Seq, seqAdd, seqAfter, seqDiff } from './seq';
import type { Tcp } from './tcp';

/** Recoveries for which a wider reordering window is kept (RFC 8985 §6.2 step 4). */
export const REORDERING_WINDOW_PERSIST = 16;
const STEPS_MAX = 255;

/** Whether the packet (sentAt, end) was sent before the one that RACK knows as the last one delivered. */
const sentBeforeDelivered = (c: Connection, sentAt: Millis, end: Seq): boolean =>
  sentAt < c.rackSentAt || (sentAt === c.rackSentAt && seqAfter(c.rackEnd, end));

/** RFC 8985 §6.2 step 2: a record was delivered. `flags` are those from before. */
export function rackAdvance(c: Connection, flags: number, end: Seq, sentAt: Millis, now: Millis): void {
  const rtt = now - sentAt;
  // Faster than the path ever was: the acknowledgment is for the original, and says nothing of the retransmission.
  if ((flags & EVER_RETRANSMITTED) !== 0 && rtt < c.minRtt) return;
  c.rackAdvanced = true;
  c.rackRtt = rtt;
  if (sentAt > c.rackSentAt || (sentAt === c.rackSentAt && seqAfter(end, c.rackEnd))) {
    c.rackSentAt = sentAt;
    c.rackEnd = end;
  }
}

/** RFC 8985 §6.2 step 4: how long a packet may be overtaken before it counts as lost. */
export function reorderingWindow(c: Connection): Millis {
  if (c.reorderings === 0) {
    // Nothing was ever reordered: be quick in recovery, and when as much is SACKed as classic fast retransmit asks for.
    if (c.recovery === 'Recovery' || c.recovery === 'Loss') return 0;
    if (c.sackedOut >= c.reordering) return 0;
  }
  return Math.min((c.minRtt / 4) * c.rackSteps, c.srtt);
}

/**
 * RFC 8985 §6.2 step 5: what was sent sufficiently long before something delivered is lost. Returns how long to wait
 * until the rest of what is overtaken will be, or 0.
 */
export function rackDetectLoss(tcp: Tcp, c: Connection, now: Millis): Millis {
  const sent = tcp.sent;
  const limit = c.rackRtt + reorderingWindow(c);
  let wait = 0;
  for (let record = c.sent.earliest; record !== NONE; ) {
    const later = sent.later(record);
    const sentAt = sent.sentAt(record);
    if (!sentBeforeDelivered(c, sentAt, sent.end(record))) break;
    const remaining = limit - (now - sentAt);
    if (remaining <= 0) {
      markLost(tcp, c, record, 'rack', now);
    } else if (remaining > wait) {
      wait = remaining;
    }
    record = later;
  }
  return wait;
}

/** RFC 8985 §6.2 step 4, once a round trip: duplicates that the peer reports widen the window, time narrows it. */
export function rackUpdateWindow(c: Connection, s: AckSample): void {
  if (s.sentDeliveredAt < 0 || s.sentDelivered === 0) return;
  if (s.sentDelivered - c.rackLastDelivered < 0) c.rackDuplicateSeen = false;
  if (c.rackDuplicateSeen) {
    c.rackSteps = Math.min(STEPS_MAX, c.rackSteps + 1);
    c.rackDuplicateSeen = false;
    c.rackLastDelivered = c.delivered;
    c.rackPersist = REORDERING_WINDOW_PERSIST;
  } else if (c.rackPersist === 0) {
    c.rackSteps = 1;
  }
}

/** `low` arrived after something higher had been SACKed, or acknowledged: so far apart can the network reorder. */
export function noteReordering(tcp: Tcp, c: Connection, low: Seq): void {
  const high = c.sackedOut > 0 ? c.highestSack : c.sndUna;
  const distance = seqDiff(high, low);
  if (distance <= 0) return;
  if (distance > c.reordering * c.mss) {
    c.reordering = Math.min(Math.ceil(distance / c.mss), tcp.profile.reorderingMax);
  }
  c.reorderings++;
}

/** RFC 6582 §3.2 for peers without SACK: three duplicates, or a partial acknowledgment, show that the first packet is lost. */
export function newRenoMarkLost(tcp: Tcp, c: Connection, advanced: boolean, now: Millis): void {
  const state = c.recovery;
  const begins = state !== 'Recovery' && state !== 'Loss' && c.sackedOut >= c.reordering;
  if (!begins && !(state === 'Recovery' && advanced)) return;
  const head = c.sent.head;
  if (head === NONE || (tcp.sent.flags(head) & LOST) !== 0) return;
  if (tcp.sent.packets(head) > 1 && seqDiff(tcp.sent.end(head), tcp.sent.seq(head)) > c.mss) {
    splitRecord(tcp, c, head, seqAdd(tcp.sent.seq(head), c.mss));
  }
  markLost(tcp, c, head, 'duplicate-acks', now);
}

/** RFC 6675 §4 IsLost, for those who switch RACK off: lost is what has `reordering` SACKed packets above it. */
export function sackMarkLost(tcp: Tcp, c: Connection, now: Millis): void {
  const sent = tcp.sent;
  let above = c.sackedOut;
  for (let record = c.sent.head; record !== NONE && above >= c.reordering; record = sent.next(record)) {
    const flags = sent.flags(record);
    if ((flags & SACKED) !== 0) above -= sent.packets(record);
    else if ((flags & LOST) === 0) markLost(tcp, c, record, 'sack', now);
  }
}
