import type { Millis } from '../../base/bytes';
import { NONE } from '../../base/memory';
import type { Connection } from '../connection';
import { ACK, FIN, PSH } from '../header';
import { mtuProbeInconclusive } from '../mtu-search';
import { isReducing } from '../prr';
import { beforeUserTimeout, setRetransmitTimer } from '../retransmit-timer';
import { nextLost, splitRecord } from '../scoreboard';
import { EVER_RETRANSMITTED, HAS_FIN, RETRANSMITTED } from '../sent-table';
import { seqAdd, seqDiff } from '../seq';
import type { Tcp } from '../tcp';
import { emit, isPaced, RULE } from './segment';
import { countInReduction, segmentMax } from './text';

/* What was lost, again. */

/** Until pacing, the congestion window or nothing lost is left; the rest waits for the next acknowledgment. */
export function retransmit(tcp: Tcp, c: Connection, now: Millis): boolean {
  const { head } = c.sent;
  let restart = false;
  let done = true;
  while (done) {
    if (isPaced(c, now)) break;
    const record = nextLost(tcp, c);
    const quota = record === NONE ? 0 : c.cwnd - c.inFlight;
    if (quota <= 0 || !fitRecord(tcp, c, record, quota)) {
      c.resend = 'nothing';
      break;
    }
    done = sendRecord(tcp, c, record, RULE.retransmit, now);
    if (done) {
      countResent(tcp, c, record, now);
      // A pending reordering timer finds more losses earlier than the RTO would.
      if (record === head && c.retransmitTimer !== 'reorder') restart = true;
    }
  }
  if (restart) setRetransmitTimer(c, 'rto', now + beforeUserTimeout(c, c.rto, c.stalledAt, now));
  return done;
}

/**
 * A record larger than the quota, the path, one frame or the peer's window is cut; its front is sent. False when the peer
 * has shrunk its window to before the record: only the first one is sent into a closed window, as a probe (SHLD-15 to 17).
 */
function fitRecord(tcp: Tcp, c: Connection, record: number, quota: number): boolean {
  const sent = tcp.sent;
  const seq = sent.seq(record);
  const fin = (sent.flags(record) & HAS_FIN) !== 0 ? 1 : 0;
  const bytes = seqDiff(sent.end(record), seq) - fin;
  let most = segmentMax(c, quota);
  let window = seqDiff(seqAdd(c.sndUna, c.sndWnd), seq);
  if (window <= 0) {
    if (seq !== c.sndUna) return false;
    window = c.mss;
  }
  if (window < most && window < bytes) most = window < c.mss ? window : window - (window % c.mss);
  if (bytes > most) splitRecord(tcp, c, record, seqAdd(seq, most));
  return true;
}

/** Transmits a record again, whole. */
export function sendRecord(tcp: Tcp, c: Connection, record: number, rule: number, now: Millis): boolean {
  const sent = tcp.sent;
  const seq = sent.seq(record);
  const fin = (sent.flags(record) & HAS_FIN) !== 0;
  const bytes = seqDiff(sent.end(record), seq) - (fin ? 1 : 0);
  const taken = emit(tcp, c, seq, bytes, ACK | PSH | (fin ? FIN : 0), rule, now);
  if (taken < 0) return false;
  mtuProbeInconclusive(c);
  // The list of pieces was full: what did not go stays as it was, as a record of its own.
  if (taken < bytes) splitRecord(tcp, c, record, seqAdd(seq, taken));
  sent.setFlags(record, sent.flags(record) | EVER_RETRANSMITTED);
  sent.resent(c.sent, record, now);
  sent.setDelivery(record, c.delivered, c.deliveredAt, c.firstSentAt, c.appLimited > 0);
  countRetransmit(tcp, c, sent.packets(record), taken);
  return true;
}

/** A lost record is in flight again: for the scoreboard, for PRR and for undoing (RFC 3708 §2.2). */
function countResent(tcp: Tcp, c: Connection, record: number, now: Millis): void {
  const packets = tcp.sent.packets(record);
  tcp.sent.setFlags(record, tcp.sent.flags(record) | RETRANSMITTED);
  c.retransOut += packets;
  if (c.retransmittedAt < 0) c.retransmittedAt = now;
  c.undoRetransmissions = Math.max(c.undoRetransmissions, 0) + packets;
  if (isReducing(c)) countInReduction(c, packets);
}

export function countRetransmit(tcp: Tcp, c: Connection, packets: number, bytes: number): void {
  tcp.counters.retransmitted += packets;
  c.totalRetransmits += packets;
  c.bytesRetransmitted += bytes;
}
