import type { Millis } from '../base/bytes';
import type { Datagram } from '../base/datagram';
import { NONE } from '../base/memory';
import type { Connection, RecoveryState } from './connection';
import type { Segment } from './header';
import { LOST, RETRANSMITTED, SACKED } from './sent-table';
import { seqDiff } from './seq';
import type { Tcp } from './tcp';

const RECOVERY_NUMBERS: Readonly<Record<RecoveryState, number>> = {
  Open: 0,
  Disorder: 1,
  CWR: 2,
  Recovery: 3,
  Loss: 4,
};

/** What one acknowledgment told. One record is reused for all. */
export class AckSample {
  /** Packets taken off the scoreboard by the cumulative acknowledgment. */
  acked = 0;
  /** Packets newly known to be delivered, cumulatively or selectively. */
  delivered = 0;
  ackedRetransmitted = false;
  windowChanged = false;
  priorUna = 0;
  priorInFlight = 0;
  hasText = false;

  start(c: Connection, seg: Segment, _d: Datagram, windowChanged: boolean): void {
    this.acked = 0;
    this.delivered = 0;
    this.ackedRetransmitted = false;
    this.windowChanged = windowChanged;
    this.priorUna = c.sndUna;
    this.priorInFlight = c.inFlight;
    this.hasText = seg.length > 0;
  }

  newlyDelivered(c: Connection, _record: number, packets: number, _flags: number, now: Millis): void {
    this.delivered += packets;
    c.delivered += packets;
    c.deliveredAt = now;
  }
}

export const newAckSample = (): AckSample => new AckSample();

function enterRecovery(tcp: Tcp, c: Connection, state: RecoveryState, now: Millis): void {
  if (tcp.trace.on) {
    tcp.trace.add(
      'congestion',
      now,
      c.id,
      RECOVERY_NUMBERS[c.recovery],
      RECOVERY_NUMBERS[state],
      c.cwnd,
      c.ssthresh,
      c.inFlight,
    );
  }
  c.recovery = state;
}

/** The scoreboard is up to date: decide what is lost, and what may be in flight. */
export function afterAck(tcp: Tcp, c: Connection, seg: Segment, sample: AckSample, now: Millis): void {
  const advanced = seqDiff(seg.ack, sample.priorUna as never) > 0;
  if (!advanced) {
    // RFC 5681 §2: the five conditions of a duplicate ACK.
    if (sample.hasText || sample.windowChanged || c.packetsOut === 0) return;
    c.dupAcks++;
    if (c.recovery === 'Open' || c.recovery === 'Disorder') {
      enterRecovery(tcp, c, 'Disorder', now);
      if (c.dupAcks >= tcp.profile.reordering) beginFastRecovery(tcp, c, now);
    }
    tcp.wantsOutput(c);
    return;
  }
  c.dupAcks = 0;
  if (c.recovery === 'Recovery' || c.recovery === 'Loss') {
    if (seqDiff(seg.ack, c.highSeq) >= 0) {
      c.cwnd = Math.max(Math.min(c.cwnd, c.ssthresh), 2);
      enterRecovery(tcp, c, 'Open', now);
    } else if (c.recovery === 'Recovery') {
      // RFC 6582 §3.2: a partial acknowledgment says that the next hole is lost too.
      markLost(tcp, c, c.sent.head);
      return;
    } else {
      c.congestion.acknowledged(c, sample.acked, c.srtt, now);
      return;
    }
  } else if (c.recovery === 'Disorder') {
    enterRecovery(tcp, c, 'Open', now);
  }
  if (c.cwndLimited) c.congestion.acknowledged(c, sample.acked, c.srtt, now);
}

function beginFastRecovery(tcp: Tcp, c: Connection, now: Millis): void {
  c.highSeq = c.sndNxt;
  c.ssthresh = c.congestion.threshold(c, now);
  c.cwnd = c.ssthresh;
  enterRecovery(tcp, c, 'Recovery', now);
  markLost(tcp, c, c.sent.head);
}

/** The record is taken to be lost: it may be sent again. */
export function markLost(tcp: Tcp, c: Connection, record: number): void {
  if (record === NONE) return;
  const flags = tcp.sent.flags(record);
  if ((flags & SACKED) !== 0) return;
  const packets = tcp.sent.packets(record);
  if ((flags & RETRANSMITTED) !== 0) c.retransOut -= packets;
  if ((flags & LOST) === 0) c.lostOut += packets;
  tcp.sent.setFlags(record, (flags | LOST) & ~RETRANSMITTED);
}

/** The retransmission timer went off (RFC 5681 §3.1, RFC 6298 §5.4): everything in flight is taken to be lost. */
export function retransmissionTimedOut(tcp: Tcp, c: Connection, now: Millis): void {
  if (c.recovery !== 'Loss') {
    c.ssthresh = c.congestion.threshold(c, now);
    c.highSeq = c.sndNxt;
  }
  enterRecovery(tcp, c, 'Loss', now);
  c.cwnd = 1;
  c.dupAcks = 0;
  for (let record = c.sent.head; record !== NONE; record = tcp.sent.next(record)) markLost(tcp, c, record);
}

/** The next record to send again, in order, or NONE. */
export function nextLost(tcp: Tcp, c: Connection): number {
  if (c.lostOut === 0) return NONE;
  for (let record = c.sent.head; record !== NONE; record = tcp.sent.next(record)) {
    if ((tcp.sent.flags(record) & (LOST | RETRANSMITTED | SACKED)) === LOST) return record;
  }
  return NONE;
}
