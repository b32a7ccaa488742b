import type { Millis } from '../base/bytes';
import { NONE } from '../base/memory';
import type { Connection } from './connection';
import { EVER_RETRANSMITTED, LOST, RETRANSMITTED, SACKED } from './sent-table';
import { type Seq, seqBefore, seqDiff } from './seq';
import type { Tcp } from './tcp';

/**
 * The counters of a connection's scoreboard and the flags of its records change together, here and where records are
 * SACKed (sack.ts), sent again (output.ts) and acknowledged (acknowledgment.ts).
 */

/** Why a packet is taken to be lost; traces show the number. */
export const LOSS_REASONS = ['rack', 'duplicate-acks', 'sack', 'timeout', 'path-mtu', 'fast-open'] as const;
export type LossReason = (typeof LOSS_REASONS)[number];

/** The record is taken to be lost, or its retransmission is: it may be sent again. */
export function markLost(tcp: Tcp, c: Connection, record: number, why: LossReason, now: Millis): void {
  const sent = tcp.sent;
  const flags = sent.flags(record);
  if ((flags & SACKED) !== 0) return;
  if (tcp.trace.on && (flags & (LOST | RETRANSMITTED)) !== LOST) {
    const bytes = seqDiff(sent.end(record), sent.seq(record));
    tcp.trace.add('loss', now, c.id, sent.seq(record), bytes, LOSS_REASONS.indexOf(why));
  }
  const packets = sent.packets(record);
  if ((flags & LOST) === 0) {
    c.lostOut += packets;
    c.lost += packets;
    sent.setFlags(record, flags | LOST);
  } else if ((flags & RETRANSMITTED) !== 0) {
    c.retransOut -= packets;
    c.lost += packets;
    sent.setFlags(record, flags & ~RETRANSMITTED);
  }
  if ((sent.flags(record) & RETRANSMITTED) !== 0) return;
  sent.leaveTimeOrder(c.sent, record);
  const hint = c.sent.lostHint;
  if (hint !== NONE && seqBefore(sent.seq(record), sent.seq(hint))) c.sent.lostHint = record;
}

/** Nothing is lost after all. */
export function unmarkLost(tcp: Tcp, c: Connection): void {
  const sent = tcp.sent;
  for (let record = c.sent.head; record !== NONE; record = sent.next(record)) {
    sent.setFlags(record, sent.flags(record) & ~LOST);
  }
  c.lostOut = 0;
  c.sent.lostHint = NONE;
}

/** The next record to send again, in order, or NONE (RFC 6675 §4, NextSeg rule 1). */
export function nextLost(tcp: Tcp, c: Connection): number {
  if (c.retransOut >= c.lostOut) return NONE;
  const sent = tcp.sent;
  const hint = c.sent.lostHint;
  for (let record = hint === NONE ? c.sent.head : hint; record !== NONE; record = sent.next(record)) {
    if ((sent.flags(record) & (LOST | RETRANSMITTED | SACKED)) === LOST) {
      c.sent.lostHint = record;
      return record;
    }
  }
  return NONE;
}

/** Cuts a record at `at`, strictly inside it; returns the rest. What that changes in packets is counted. */
export function splitRecord(tcp: Tcp, c: Connection, record: number, at: Seq): number {
  const sent = tcp.sent;
  const before = sent.packets(record);
  const flags = sent.flags(record);
  const rest = sent.split(c.sent, record, at, c.mss);
  const change = sent.packets(record) + sent.packets(rest) - before;
  if (change !== 0) {
    c.packetsOut += change;
    if ((flags & SACKED) !== 0) c.sackedOut += change;
    if ((flags & LOST) !== 0) c.lostOut += change;
    if ((flags & RETRANSMITTED) !== 0) c.retransOut += change;
    // Larger segments than when it was sent: fewer packets, of which fewer can have left the network; one is the hole.
    if (!c.sackOk) c.sackedOut = Math.max(0, Math.min(c.sackedOut, c.packetsOut - Math.max(c.lostOut, 1)));
  }
  return rest;
}

/** Something in flight has been sent more than once. */
export function anyRetransmitted(tcp: Tcp, c: Connection): boolean {
  if (c.retransOut > 0) return true;
  const head = c.sent.head;
  return head !== NONE && (tcp.sent.flags(head) & EVER_RETRANSMITTED) !== 0;
}
