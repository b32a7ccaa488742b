import type { Millis } from '../base/bytes';
import type { Connection } from './connection';
import { EVER_RETRANSMITTED, SACKED, type SentTable } from './sent-table';
import { type Seq, seqAfter } from './seq';

/** The segment carried text, SYN or FIN: it is no duplicate ACK (RFC 5681 §2). */
export const HAS_TEXT = 1;
/** SND.WND changed: no duplicate ACK either. */
export const WINDOW_CHANGED = 2;
/** Text or FIN newly acknowledged. */
export const DATA_ACKED = 4;
/** Some of what was acknowledged had been sent more than once (Karn, RFC 6298 §3). */
export const RETRANSMITTED_ACKED = 8;
export const SYN_ACKED = 16;
/** Something newly SACKed. */
export const DATA_SACKED = 32;
/** The peer echoes congestion (RFC 3168 §6.1.3). */
export const ECHO = 64;
/** A retransmission was found to be lost. */
export const RETRANSMISSION_LOST = 128;
/** Something sent once, before SND.NXT stood at the recovery point, was delivered: evidence for F-RTO. */
export const ORIGINAL_ACKED = 256;
export const UNA_ADVANCED = 512;
/** The first SACK block reported a duplicate (RFC 2883). */
export const DUPLICATE_SACKED = 1024;
/** ... which is the tail loss probe. */
export const PROBE_DUPLICATED = 2048;
/** The retransmission timer is to be set anew. */
export const SET_TIMER = 4096;
/** What is first in the queue now had been SACKed: the peer has forgotten it (RFC 2018 §8). */
export const RENEGED = 8192;
/** One packet was in flight: its ACK may have been delayed, so it is no sample of the path's minimum. */
export const MAYBE_DELAYED = 16_384;

export const ACKED = DATA_ACKED | SYN_ACKED;
export const NOT_DUPLICATE = HAS_TEXT | WINDOW_CHANGED | ACKED;
export const ALERT = DATA_SACKED | ECHO | DUPLICATE_SACKED;
export const PROGRESS = ACKED | DATA_SACKED;

/**
 * What one acknowledgment told, gathered on its way through the scoreboard and handed to loss recovery and congestion
 * control. One record is reused for all; counts are packets, times milliseconds, -1 where there is none.
 */
export class AckSample {
  /** Bits of the constants above. */
  flags = 0;
  /** Before the acknowledgment: SND.UNA, the end of what was SACKed, what was in flight. */
  priorUna = 0 as Seq;
  priorHighestSack = 0 as Seq;
  priorPackets = 0;
  priorInFlight = 0;
  priorDelivered = 0;
  priorLost = 0;
  /** Packets taken off the scoreboard by the cumulative acknowledgment. */
  acked = 0;
  /** Packets newly known to have been delivered, cumulatively or selectively, and newly taken to be lost. */
  delivered = 0;
  lost = 0;
  // Times travel in fields: a fraction handed from function to function would be boxed, for every segment.
  /** Transmission times of the first and last newly acknowledged packets that were sent once, cumulatively and by SACK. */
  firstAckedAt: Millis = -1;
  lastAckedAt: Millis = -1;
  firstSackedAt: Millis = -1;
  lastSackedAt: Millis = -1;
  /** Round-trip times of the first of either kind. */
  ackedRtt: Millis = -1;
  sackedRtt: Millis = -1;
  /** What goes into the smoothed round-trip time. */
  measuredRtt: Millis = -1;
  /** The lowest sequence number that arrived later than a higher one. */
  reordered = 0 as Seq;
  /** Round-trip time of the last packet delivered, of either kind: for congestion control. */
  rtt: Millis = -1;

  // ── the delivery rate (draft-cheng-iccrg-delivery-rate-estimation) ──
  /** `Connection.delivered` and its time when the last packet delivered was sent; time -1 without a sample. */
  sentDelivered = 0;
  sentDeliveredAt: Millis = -1;
  private sentEnd = 0 as Seq;
  appLimited = false;
  /** The last packet delivered was a retransmission. */
  retransmission = false;
  /** Packets delivered between its transmission and now, and how long that took; -1 when it cannot be told. */
  rateDelivered = -1;
  interval: Millis = -1;

  start(c: Connection): void {
    this.flags = 0;
    this.priorUna = c.sndUna;
    this.priorHighestSack = c.sackedOut > 0 ? c.highestSack : c.sndUna;
    this.priorPackets = c.packetsOut;
    this.priorInFlight = c.inFlight;
    this.priorDelivered = c.delivered;
    this.priorLost = c.lost;
    this.acked = 0;
    this.delivered = 0;
    this.lost = 0;
    this.firstAckedAt = -1;
    this.lastAckedAt = -1;
    this.firstSackedAt = -1;
    this.lastSackedAt = -1;
    this.ackedRtt = -1;
    this.sackedRtt = -1;
    this.measuredRtt = -1;
    this.reordered = c.sndNxt;
    this.rtt = -1;
    this.sentDeliveredAt = -1;
    this.rateDelivered = -1;
    this.interval = -1;
  }

  /** A record was delivered just now: the one sent last gives the rate sample. Call before it leaves the table. */
  deliveredRecord(c: Connection, sent: SentTable, record: number): void {
    const deliveredAt = sent.deliveredAt(record);
    if (deliveredAt < 0) return;
    const sentAt = sent.sentAt(record);
    const end = sent.end(record);
    const later = sentAt > c.firstSentAt || (sentAt === c.firstSentAt && seqAfter(end, this.sentEnd));
    if (this.sentDeliveredAt < 0 || later) {
      const flags = sent.flags(record);
      this.sentDelivered = sent.delivered(record);
      this.sentDeliveredAt = deliveredAt;
      this.sentEnd = end;
      this.appLimited = sent.isAppLimited(record);
      this.retransmission = (flags & EVER_RETRANSMITTED) !== 0;
      this.interval = sentAt - sent.firstSentAt(record);
      c.firstSentAt = sentAt;
    }
    if ((sent.flags(record) & SACKED) !== 0) sent.markSampled(record);
  }

  /** Everything is counted: completes the rate sample. */
  finish(c: Connection, now: Millis): void {
    this.delivered = c.delivered - this.priorDelivered;
    this.lost = c.lost - this.priorLost;
    if (c.appLimited > 0 && c.delivered > c.appLimited) c.appLimited = 0;
    if (this.delivered > 0) c.deliveredAt = now;
    if (this.sentDeliveredAt < 0 || c.sackReneged) {
      this.interval = -1;
      return;
    }
    this.rateDelivered = c.delivered - this.sentDelivered;
    // The longer of the sending and the acknowledging phase: ACKs may arrive compressed.
    this.interval = Math.max(this.interval, now - this.sentDeliveredAt);
    // Less than the shortest round trip cannot be: a retransmission was taken for another.
    if (this.interval < c.minRtt) this.interval = -1;
    else this.note(c);
  }

  /** Keeps the last rate that the network set, or a higher one that the application did, for tcp_info. */
  private note(c: Connection): void {
    const better = this.rateDelivered * c.rateInterval >= c.rateDelivered * this.interval;
    if (this.appLimited && !better) return;
    c.rateDelivered = this.rateDelivered;
    c.rateInterval = this.interval;
    c.rateAppLimited = this.appLimited;
  }
}
