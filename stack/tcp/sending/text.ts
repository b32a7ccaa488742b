import { type Millis, NEVER } from '../../base/bytes';
import { offerRoom } from '../acknowledgment';
import { BUFFER_LIMITED, BUSY, beginTime, endTime, IDLE, WINDOW_LIMITED } from '../busy-time';
import type { Connection } from '../connection';
import { ACK, FIN, PSH } from '../header';
import { mtuProbeBytes, mtuProbeSent, PROBE_WAITS } from '../mtu-search';
import { isReducing } from '../prr';
import { persistDelay, restartRto, scheduleProbe, setRetransmitTimer } from '../retransmit-timer';
import { HAS_FIN } from '../sent-table';
import { type Seq, seqAdd, seqAfter, seqDiff } from '../seq';
import type { Tcp } from '../tcp';
import { noteWindowUse, restartAfterIdle } from '../window-use';
import { burstBytes, emit, isPaced, RULE } from './segment';

/* New text: how much of it, when, and what is remembered of it. */

/** Payload of one frame at most, so that a super-segment with its headers stays below 64 KiB. */
const SUPER_SEGMENT_MAX = 65_535 - 20 - 60 - 40;

/**
 * Sends unsent text as window, congestion window and Nagle (not if `pushing`) allow, the FIN behind the last of it. Then
 * notes how far the congestion window was used.
 */
export function sendNew(tcp: Tcp, c: Connection, pushing: boolean, now: Millis): boolean {
  if (c.finSent) return true;
  if (c.timeKind === IDLE && c.sendBuffer.bytes > 0) beginTime(c, BUSY, now);
  const before = c.sndNxt;
  const packetsBefore = c.packetsOut;
  const done = sendFrames(tcp, c, pushing, now);
  const sent = c.sndNxt !== before;
  const limited = c.inFlight >= c.cwnd;
  if (sent || limited) noteWindowUse(tcp, c, limited, now);
  if (sent) {
    if (c.notSentLimit !== NEVER) offerRoom(tcp, c, now);
    if (c.timeKind === WINDOW_LIMITED) endTime(c, WINDOW_LIMITED, now);
    if (c.wantsRoom && !limited && c.sndNxt === c.sendBuffer.end) beginTime(c, BUFFER_LIMITED, now);
    if (isReducing(c)) countInReduction(c, Math.max(0, c.packetsOut - packetsBefore));
    scheduleProbe(tcp, c, false, now);
  }
  if (done && c.prrHeld > 0) c.prrHeld = 0;
  if (done && !limited && c.lostOut <= c.retransOut && seqDiff(c.sendBuffer.end, c.sndNxt) < c.mss) {
    // The application is behind: what the network could have carried meanwhile is not known.
    c.appLimited = Math.max(c.delivered + c.inFlight, 1);
  }
  return done;
}

/** So many packets went out during a reduction, of which some had been counted before (prr.ts). */
export function countInReduction(c: Connection, packets: number): void {
  const held = Math.min(c.prrHeld, packets);
  c.prrOut += packets - held;
  if (held > 0) c.prrHeld -= held;
}

function sendFrames(tcp: Tcp, c: Connection, pushing: boolean, now: Millis): boolean {
  let burst = 0;
  while (!c.finSent) {
    const available = seqDiff(c.sendBuffer.end, c.sndNxt);
    if (available <= 0) return c.finQueued ? sendFin(tcp, c, now) : true;
    if (c.pacingRate !== NEVER && (burst === 0 || burst >= burstBytes(c) || c.pacingNext <= now)) {
      if (isPaced(c, now)) return true;
      if (burst > 0) {
        // The timer was late, and the next is due as well: in its turn.
        c.pacingAt = c.pacingNext;
        return true;
      }
    }
    if (c.mtuSearch !== null && !pushing) {
      const probe = mtuProbeBytes(tcp, c, available, now);
      if (probe === PROBE_WAITS) return true;
      if (probe > 0) {
        if (!sendMtuProbe(tcp, c, probe, probe === available, now)) return false;
        continue;
      }
    }
    // A SYN-ACK on its way is no part of the windows that Fast Open may send into (RFC 7413 §4.2.2).
    const synAck = c.state === 'SYN-RECEIVED' ? 1 : 0;
    const window = seqDiff(seqAdd(c.sndUna, c.sndWnd), c.sndNxt) + synAck;
    if (c.packetsOut === 0 && window > 0) restartAfterIdle(tcp, c, now);
    const quota = c.cwnd - c.inFlight + synAck;
    if (quota <= 0) return true;
    const record = Math.min(available, recordBytes(c));
    // Only what stands last may be kept back to grow.
    const bytes = howMuch(c, record, window, quota, pushing || record < available);
    if (bytes === 0) {
      if (window < Math.min(record, c.mss)) beginTime(c, WINDOW_LIMITED, now);
      if (c.packetsOut === 0) armPersist(tcp, c, now);
      return true;
    }
    const last = bytes === available;
    const fin = last && c.finQueued && c.sndWnd > seqDiff(c.sndNxt, c.sndUna) + bytes;
    if (!sendSegment(tcp, c, bytes, last, fin, now)) return false;
    burst += bytes;
  }
  return true;
}

/** Bytes until a write said that nothing may be added (calls.ts, END_OF_RECORD); Infinity when none did. */
export function recordBytes(c: Connection): number {
  const ends = c.recordEnds;
  if (ends === null) return NEVER;
  while (ends.length > 0 && seqDiff(ends[0]!, c.sndNxt) <= 0) ends.shift();
  return ends.length > 0 ? seqDiff(ends[0]!, c.sndNxt) : NEVER;
}

/** How many bytes may go as one frame now; 0: none (RFC 9293 §3.8.6.2.1, and Nagle's algorithm §3.7.4). */
function howMuch(c: Connection, available: number, window: number, quota: number, pushing: boolean): number {
  if (window <= 0) return 0;
  const mss = boundToHalfWindow(c);
  let bytes = Math.min(available, window, mss < c.mss ? mss : segmentMax(c, quota));
  if (bytes >= mss) {
    // Whole segments, unless this is all there is and nothing forbids the small rest.
    if (bytes === available && (pushing || !heldByNagle(c, bytes % mss))) return bytes;
    bytes -= bytes % mss;
    return bytes;
  }
  // Less than a segment: the tail of what was written, or a window that shows a silly size.
  if (bytes < available) return 0;
  return !pushing && heldByNagle(c, bytes) ? 0 : bytes;
}

/** A peer whose window never reaches two segments gets smaller ones, or every ACK would wait (Linux does likewise). */
function boundToHalfWindow(c: Connection): number {
  const half = c.sndWndMax > 536 ? c.sndWndMax >> 1 : c.sndWndMax;
  return half > 0 && half < c.mss ? Math.max(half, 8) : c.mss;
}

/**
 * Nagle's algorithm (RFC 9293 §3.7.4): a small segment waits while anything is unacknowledged, or in Minshall's form
 * while another small one is. Corked, it waits anyway.
 */
function heldByNagle(c: Connection, rest: number): boolean {
  if (rest === 0 || c.finQueued || c.urgentOut || c.pushing) return false;
  if (c.corked || c.more) return true;
  if (c.noDelay || c.packetsOut === 0) return false;
  if (c.tcp.profile.nagle === 'rfc') return true;
  return seqAfter(c.sndSmall, c.sndUna) && !seqAfter(c.sndSmall, c.sndNxt);
}

/** Bytes of one frame at most: a segment, or what the device may cut. */
export function segmentMax(c: Connection, quota: number): number {
  // A device would repeat CWR on every segment that it cuts.
  if (c.path.segmentationMax === 0 || c.ecnReducedDue) return c.mss;
  const most = Math.floor(Math.min(SUPER_SEGMENT_MAX, c.path.segmentationMax - 100) / c.mss);
  return Math.max(1, Math.min(quota, most, c.congestion.segmentsMax(c))) * c.mss;
}

export function sendSegment(tcp: Tcp, c: Connection, bytes: number, last: boolean, fin: boolean, now: Millis): boolean {
  const seq = c.sndNxt;
  const taken = emit(tcp, c, seq, bytes, ACK | (last ? PSH : 0) | (fin ? FIN : 0), RULE.data, now);
  if (taken < 0) return false;
  if (taken < bytes) fin = false;
  const end = seqAdd(seq, taken + (fin ? 1 : 0));
  const packets = Math.max(1, Math.ceil(taken / c.mss));
  append(tcp, c, seq, end, packets, fin ? HAS_FIN : 0, now);
  if (taken % boundToHalfWindow(c) !== 0) c.sndSmall = end;
  countText(c, taken, now);
  if (fin) c.finSent = true;
  return true;
}

function countText(c: Connection, bytes: number, now: Millis): void {
  c.bytesSent += bytes;
  c.lastTextSentAt = now;
  // Data soon after the peer's: request and response alternate, so ACKs may wait for the response.
  if (now - c.lastTextAt < c.ato && c.pingPong < 3) c.pingPong++;
}

/** A segment larger than the others, to see whether it gets through: one packet, which no device may cut. */
function sendMtuProbe(tcp: Tcp, c: Connection, bytes: number, last: boolean, now: Millis): boolean {
  const seq = c.sndNxt;
  const taken = emit(tcp, c, seq, bytes, ACK | (last ? PSH : 0), RULE['mtu-probe'], now);
  if (taken < 0) return false;
  const end = seqAdd(seq, taken);
  append(tcp, c, seq, end, 1, 0, now);
  countText(c, taken, now);
  mtuProbeSent(c, seq, end);
  return true;
}

function sendFin(tcp: Tcp, c: Connection, now: Millis): boolean {
  // A FIN takes no text and may go into a closed window: the peer's buffer is not asked for anything.
  const seq = c.sndNxt;
  if (emit(tcp, c, seq, 0, ACK | FIN, RULE.fin, now) < 0) return false;
  append(tcp, c, seq, seqAdd(seq, 1), 1, HAS_FIN, now);
  c.finSent = true;
  return true;
}

/** Notes a first transmission: SND.NXT moves, the retransmission timer runs (RFC 6298 §5.1). */
function append(tcp: Tcp, c: Connection, seq: Seq, end: Seq, packets: number, flags: number, now: Millis): void {
  const first = c.packetsOut === 0;
  if (first) c.firstSentAt = c.deliveredAt = now;
  if (c.inFlight === 0) c.congestion.resumes(c, now);
  const record = tcp.sent.append(c, seq, end, packets, flags, now);
  tcp.sent.setDelivery(record, c.delivered, c.deliveredAt, c.firstSentAt, c.appLimited > 0);
  c.sndNxt = end;
  c.packetsOut += packets;
  if (first || c.retransmitTimer === 'probe' || c.retransmitTimer === 'none') restartRto(tcp, c, now);
}

/** The window is closed and nothing is in flight: only a probe will learn that it has opened (RFC 9293 §3.8.6.1). */
function armPersist(tcp: Tcp, c: Connection, now: Millis): void {
  // A probe that is due arms it, with the backoff that it has reached.
  if (c.retransmitTimer !== 'none' || c.probeDue === 'window') return;
  c.backoff = 0;
  setRetransmitTimer(c, 'persist', now + persistDelay(tcp, c, now));
}
