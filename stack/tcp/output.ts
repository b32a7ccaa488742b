import { type Bytes, type Millis, NEVER } from '../base/bytes';
import { TCP } from '../base/datagram';
import { NONE } from '../base/memory';
import { NO_ROOM } from '../base/transmit';
import { offerRoom } from './acknowledgment';
import { BUFFER_LIMITED, BUSY, beginTime, endTime, IDLE, WINDOW_LIMITED } from './busy-time';
import type { Connection } from './connection';
import { ackSent } from './delayed-ack';
import { ECT_0, ecnSynFlags } from './ecn';
import type { FastOpening } from './fast-open';
import {
  ACK,
  CWR,
  ECE,
  FIN,
  PSH,
  SYN,
  TCP_CHECKSUM,
  TCP_HEADER_BYTES,
  URG,
  writeFastOpen,
  writeHeader,
  writeSack,
  writeSynOptions,
  writeTimestamps,
} from './header';
import { mtuProbeBytes, mtuProbeInconclusive, mtuProbeSent, PROBE_WAITS } from './mtu-search';
import { announcedMss, timestampNow } from './options';
import { isReducing } from './prr';
import { initialWindow, selectWindow, windowTold } from './receive-window';
import type { Reply, SynReply } from './reply';
import { beforeUserTimeout, persistDelay, restartRto, scheduleProbe, setRetransmitTimer } from './retransmit-timer';
import { nextLost, splitRecord } from './scoreboard';
import { EVER_RETRANSMITTED, HAS_FIN, HAS_SYN, RETRANSMITTED, SACKED } from './sent-table';
import { type Seq, seqAdd, seqAfter, seqDiff } from './seq';
import type { Tcp } from './tcp';
import { noteWindowUse, restartAfterIdle } from './window-use';

/** Why a segment was sent, for the trace. */
export const RULES = [
  'syn',
  'data',
  'retransmit',
  'fin',
  'ack',
  'window-probe',
  'keep-alive',
  'tail-probe',
  'reply',
  'mtu-probe',
] as const;
const RULE = Object.fromEntries(RULES.map((rule, i) => [rule, i])) as Record<(typeof RULES)[number], number>;

/** Payload of one frame at most, so that a super-segment with its headers stays below 64 KiB. */
const SUPER_SEGMENT_MAX = 65_535 - 20 - 60 - 40;

/**
 * Sends what the connection has due: the only place that builds its segments, called once per batch, so that ACKs
 * coalesce and a response carries the ACK. Returns false when the link's queue is full; state is then as if the rest had
 * not been tried.
 */
export function output(tcp: Tcp, c: Connection, now: Millis): boolean {
  if (c.state === 'CLOSED') return true;
  let done = true;
  if (c.synDue) done = sendSyn(tcp, c, now);
  if (done && c.mayTransfer) {
    // SACK blocks take room that full segments do not have: they go ahead on a segment of their own.
    if (c.ackNow && (c.sackRecentCount > 0 || c.hasDsack)) done = sendAck(tcp, c, now);
    c.pacingAt = NEVER;
    done = done && sendTailProbe(tcp, c, now) && sendText(tcp, c, now);
    c.pacingHeld = c.pacingAt < NEVER;
    done = done && sendProbe(tcp, c, now) && sendAck(tcp, c, now);
  } else if (done && c.ackNow && c.state === 'SYN-RECEIVED') {
    done = sendAck(tcp, c, now);
  }
  tcp.deadlines.update(c, c.nextDeadline());
  return done;
}

// ── SYN ──

function sendSyn(tcp: Tcp, c: Connection, now: Millis): boolean {
  const out = tcp.out;
  const at = out.begin(c.path);
  if (at === NO_ROOM) return false;
  const passive = c.state === 'SYN-RECEIVED';
  const scale = passive ? (c.rcvScale > 0 || c.sndScale > 0 ? c.rcvScale : -1) : tcp.profile.windowScale;
  let optionsEnd = writeSynOptions(
    out.header,
    at + TCP_HEADER_BYTES,
    announcedMss(c),
    scale,
    passive ? c.sackOk : tcp.profile.sack,
    passive ? c.timestamps : tcp.profile.timestamps,
    timestampNow(c, now),
    passive ? c.tsRecent : 0,
  );
  // Fast Open goes with the first one only: whoever dropped that one may have dropped it for the option.
  const first = c.packetsOut === 0;
  const fast = first ? c.fast : null;
  if (fast !== null && fast.cookie !== null) {
    optionsEnd = writeFastOpen(out.header, optionsEnd, fast.cookie, fast.experimental);
  }
  const flags = (passive ? SYN | ACK : SYN) | ecnSynFlags(c, passive, !first);
  const window = initialWindow(c);
  const headerBytes = optionsEnd - at;
  writeHeader(
    out.header,
    at,
    c.localPort,
    c.remotePort,
    c.iss,
    passive ? c.rcvNxt : (0 as Seq),
    headerBytes,
    flags,
    window,
    0,
  );
  const text = fast === null ? 0 : Math.min(fast.textMax, c.sendBuffer.bytes);
  const taken = text > 0 ? c.sendBuffer.gather(seqAdd(c.iss, 1), text, out) : 0;
  out.flowLabel = flowLabelOf(c);
  out.end(headerBytes, TCP, c.tos, c.hopLimit, TCP_CHECKSUM, 0);
  windowTold(c, window);
  c.lastAckSent = c.rcvNxt;
  c.ackNow = false;
  c.synDue = false;
  sentSegment(tcp, c, flags, c.iss, taken, window, RULE.syn, now);
  if (first) {
    c.sndNxt = seqAdd(c.iss, 1);
    // A SYN is no small segment for Nagle's algorithm.
    c.sndSmall = c.iss;
    const record = tcp.sent.append(c.sent, c.iss, c.sndNxt, 1, HAS_SYN, now);
    tcp.sent.setDelivery(record, c.delivered, now, now, false);
    c.firstSentAt = c.deliveredAt = now;
    c.packetsOut = 1;
    if (fast !== null && taken > 0) sentInSyn(tcp, c, fast, taken, now);
  } else {
    const record = c.sent.head;
    tcp.sent.setFlags(record, tcp.sent.flags(record) | EVER_RETRANSMITTED);
    tcp.sent.resent(c.sent, record, now);
    countRetransmit(tcp, c, 1, 0);
    if (c.retransmittedAt < 0) c.retransmittedAt = now;
  }
  const wait = Math.min(c.rto * 2 ** c.backoff, tcp.profile.rtoMaxMs);
  setRetransmitTimer(c, 'rto', now + beforeUserTimeout(c, wait, c.stalledAt, now));
  return true;
}

/** The SYN's text stands on the scoreboard as a packet of its own: the peer may take the one without the other. */
function sentInSyn(tcp: Tcp, c: Connection, fast: FastOpening, bytes: number, now: Millis): void {
  const end = seqAdd(c.sndNxt, bytes);
  const record = tcp.sent.append(c.sent, c.sndNxt, end, 1, 0, now);
  tcp.sent.setDelivery(record, c.delivered, now, now, false);
  fast.text = bytes;
  c.sndNxt = end;
  c.packetsOut++;
  c.bytesSent += bytes;
  c.dataSegmentsOut++;
  c.lastTextSentAt = now;
}

// ── text: what is lost, then what is new ──

/**
 * Lost segments go first, in order, as far as the congestion window lets them (RFC 6675 §5, NextSeg rule 1); F-RTO wants
 * to see what becomes of new text before.
 */
function sendText(tcp: Tcp, c: Connection, now: Millis): boolean {
  if (c.resend === 'lost') {
    if (!retransmit(tcp, c, now)) return false;
  } else if (c.resend === 'new') {
    if (!sendNew(tcp, c, true, now)) return false;
    c.resend = 'nothing';
    if (seqAfter(c.sndNxt, c.highSeq)) return true;
    c.frto = false;
    return retransmit(tcp, c, now);
  }
  return sendNew(tcp, c, false, now);
}

/** Until pacing, the congestion window or nothing lost is left; the rest waits for the next acknowledgment. */
function retransmit(tcp: Tcp, c: Connection, now: Millis): boolean {
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
function sendRecord(tcp: Tcp, c: Connection, record: number, rule: number, now: Millis): boolean {
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

function countRetransmit(tcp: Tcp, c: Connection, packets: number, bytes: number): void {
  tcp.counters.retransmitted += packets;
  c.totalRetransmits += packets;
  c.bytesRetransmitted += bytes;
}

/** Bytes of one frame at most: a segment, or what the device may cut. */
function segmentMax(c: Connection, quota: number): number {
  // A device would repeat CWR on every segment that it cuts.
  if (c.path.segmentationMax === 0 || c.ecnReducedDue) return c.mss;
  const most = Math.floor(Math.min(SUPER_SEGMENT_MAX, c.path.segmentationMax - 100) / c.mss);
  return Math.max(1, Math.min(quota, most, c.congestion.segmentsMax(c))) * c.mss;
}

// ── new data ──

/**
 * Sends unsent text as window, congestion window and Nagle (not if `pushing`) allow, the FIN behind the last of it. Then
 * notes how far the congestion window was used.
 */
function sendNew(tcp: Tcp, c: Connection, pushing: boolean, now: Millis): boolean {
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
function countInReduction(c: Connection, packets: number): void {
  const held = Math.min(c.prrHeld, packets);
  c.prrOut += packets - held;
  if (held > 0) c.prrHeld -= held;
}

function sendFrames(tcp: Tcp, c: Connection, pushing: boolean, now: Millis): boolean {
  while (!c.finSent) {
    const available = seqDiff(c.sendBuffer.end, c.sndNxt);
    if (available <= 0) return c.finQueued ? sendFin(tcp, c, now) : true;
    if (isPaced(c, now)) return true;
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
  }
  return true;
}

/** Bytes until a write said that nothing may be added (calls.ts, END_OF_RECORD); Infinity when none did. */
function recordBytes(c: Connection): number {
  const ends = c.recordEnds;
  if (ends === null) return NEVER;
  while (ends.length > 0 && seqDiff(ends[0]!, c.sndNxt) <= 0) ends.shift();
  return ends.length > 0 ? seqDiff(ends[0]!, c.sndNxt) : NEVER;
}

/** Whether the pacing rate forbids to send yet; a deadline is set then. */
function isPaced(c: Connection, now: Millis): boolean {
  if (c.pacingRate === NEVER || now >= c.pacingNext) return false;
  c.pacingAt = c.pacingNext;
  return true;
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

function sendSegment(tcp: Tcp, c: Connection, bytes: number, last: boolean, fin: boolean, now: Millis): boolean {
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
  const record = tcp.sent.append(c.sent, seq, end, packets, flags, now);
  tcp.sent.setDelivery(record, c.delivered, c.deliveredAt, c.firstSentAt, c.appLimited > 0);
  c.sndNxt = end;
  c.packetsOut += packets;
  if (first || c.retransmitTimer === 'probe' || c.retransmitTimer === 'none') restartRto(tcp, c, now);
}

// ── probes and ACKs ──

/**
 * RFC 8985 §7.3: the tail of the flight has not been acknowledged for two round trips. One segment beyond cwnd, of new
 * text if there is any, else the last one again, makes the peer tell.
 */
function sendTailProbe(tcp: Tcp, c: Connection, now: Millis): boolean {
  if (!c.tailProbeDue) return true;
  const probed = c.packetsOut === 0 || c.probeOut || c.lostOut > 0 ? 'not' : probeTail(tcp, c, now);
  if (probed === 'later') return false;
  c.tailProbeDue = false;
  if (probed === 'sent') {
    c.probeOut = true;
    c.probeEnd = c.sndNxt;
    setRetransmitTimer(c, 'none', NEVER);
  } else {
    c.retransmitTimer = 'probe';
  }
  restartRto(tcp, c, now);
  return true;
}

function probeTail(tcp: Tcp, c: Connection, now: Millis): 'sent' | 'not' | 'later' {
  c.probeRetransmitted = false;
  const available = seqDiff(c.sendBuffer.end, c.sndNxt);
  const window = seqDiff(seqAdd(c.sndUna, c.sndWnd), c.sndNxt);
  const bytes = Math.min(available, recordBytes(c), c.mss);
  if (bytes > 0 && window >= bytes) {
    const last = bytes === available;
    return sendSegment(tcp, c, bytes, last, last && c.finQueued && window > bytes, now) ? 'sent' : 'later';
  }
  const sent = tcp.sent;
  let record = c.sent.tail;
  while (record !== NONE && (sent.flags(record) & SACKED) !== 0) record = sent.prev(record);
  if (record === NONE) return 'not';
  // The last segment of it, at the size of now: it may have been sent when segments were smaller, or larger.
  const seq = sent.seq(record);
  const fin = (sent.flags(record) & HAS_FIN) !== 0 ? 1 : 0;
  const ahead = Math.floor((seqDiff(sent.end(record), seq) - fin - 1) / c.mss) * c.mss;
  if (ahead > 0) record = splitRecord(tcp, c, record, seqAdd(seq, ahead));
  if (!sendRecord(tcp, c, record, RULE['tail-probe'], now)) return 'later';
  c.probeRetransmitted = true;
  return 'sent';
}

/** The window is closed and nothing is in flight: only a probe will learn that it has opened (RFC 9293 §3.8.6.1). */
function armPersist(tcp: Tcp, c: Connection, now: Millis): void {
  // A probe that is due arms it, with the backoff that it has reached.
  if (c.retransmitTimer !== 'none' || c.probeDue === 'window') return;
  c.backoff = 0;
  setRetransmitTimer(c, 'persist', now + persistDelay(tcp, c, now));
}

/** A segment without text, one before what the peer expects: it must answer with an ACK (§3.8.4, §3.8.6.1). */
function sendProbe(tcp: Tcp, c: Connection, now: Millis): boolean {
  if (c.probeDue === 'none') return true;
  const rule = c.probeDue === 'window' ? RULE['window-probe'] : RULE['keep-alive'];
  if (c.probeDue === 'window' && (c.packetsOut > 0 || seqDiff(c.sendBuffer.end, c.sndNxt) <= 0)) {
    c.probeDue = 'none';
    return true;
  }
  // A window smaller than a segment is used by the probe itself: text makes progress, if slowly.
  const window = seqDiff(seqAdd(c.sndUna, c.sndWnd), c.sndNxt);
  if (c.probeDue === 'window' && window > 0) {
    const bytes = Math.min(window, seqDiff(c.sendBuffer.end, c.sndNxt), recordBytes(c), c.mss);
    c.probeDue = 'none';
    return sendSegment(tcp, c, bytes, false, false, now);
  }
  if (emit(tcp, c, seqAdd(c.sndUna, -1), 0, ACK, rule, now) < 0) return false;
  if (c.probeDue === 'window') setRetransmitTimer(c, 'persist', now + persistDelay(tcp, c, now));
  c.probeDue = 'none';
  return true;
}

function sendAck(tcp: Tcp, c: Connection, now: Millis): boolean {
  if (!c.ackNow) return true;
  return emit(tcp, c, c.sndNxt, 0, ACK, RULE.ack, now) >= 0;
}

// ── one segment ──

/**
 * Builds one segment, with as much of [seq, seq + bytes) as one frame's list of pieces takes, and hands it down. Returns
 * the bytes taken, or -1 when the link's queue is full.
 */
function emit(tcp: Tcp, c: Connection, seq: Seq, bytes: number, flags: number, rule: number, now: Millis): number {
  const out = tcp.out;
  const at = out.begin(c.path);
  if (at === NO_ROOM) return -1;
  const header = out.header;
  let optionsEnd = at + TCP_HEADER_BYTES;
  if (c.timestamps) optionsEnd = writeTimestamps(header, optionsEnd, timestampNow(c, now), c.tsRecent);
  if (c.sackRecentCount > 0 || c.hasDsack) optionsEnd = writeSackOption(c, header, optionsEnd, bytes);
  const headerBytes = optionsEnd - at;
  const taken = bytes > 0 ? c.sendBuffer.gather(seq, bytes, out) : 0;
  if (taken < bytes) flags &= ~(FIN | PSH);
  const window = selectWindow(c);
  windowTold(c, window);
  let urgentPointer = 0;
  if (c.urgentOut && seqAfter(c.sndUp, seq)) {
    flags |= URG;
    urgentPointer = Math.min(seqDiff(c.sndUp, seq), 0xffff);
  }
  let tos = c.tos;
  if (c.ecnOk) {
    if (c.ecnEcho) flags |= ECE;
    // RFC 3168 §6.1.5: ECT and CWR on new text only.
    if (taken > 0 && seq === c.sndNxt) {
      tos |= ECT_0;
      if (c.ecnReducedDue) flags |= CWR;
      c.ecnReducedDue = false;
    }
  }
  const shown = Math.min(window >> c.rcvScale, 0xffff);
  writeHeader(header, at, c.localPort, c.remotePort, seq, c.rcvNxt, headerBytes, flags, shown, urgentPointer);
  out.flowLabel = flowLabelOf(c);
  out.end(headerBytes, TCP, tos, c.hopLimit, TCP_CHECKSUM, taken > c.mss && rule !== RULE['mtu-probe'] ? c.mss : 0);
  ackSent(c);
  if (c.pacingRate !== NEVER && taken > 0) pace(c, taken, now);
  sentSegment(tcp, c, flags, seq, taken, shown, rule, now);
  if (taken > 0) c.dataSegmentsOut++;
  return taken;
}

/**
 * RFC 6437 §3: the same for all of a connection's datagrams, and of no pattern over many. It is made of the initial sequence
 * number, which is that already and which whoever sees the label can see as well.
 */
const flowLabelOf = (c: Connection): number => Math.imul(c.iss, 0x9e3779b1) >>> 12;

/** The next segment's time. What a timer was late by is made up for, a pause that the application or cwnd made is not. */
function pace(c: Connection, bytes: number, now: Millis): void {
  const since = c.pacingHeld ? now - PACING_LATE_MAX : now;
  c.pacingNext = Math.max(c.pacingNext, since) + bytes / c.pacingRate;
}

/** How late the timer of a busy event loop may be without costing throughput: so much goes out in one burst. */
const PACING_LATE_MAX: Millis = 20;

function sentSegment(
  tcp: Tcp,
  c: Connection,
  flags: number,
  seq: Seq,
  bytes: number,
  window: number,
  rule: number,
  now: Millis,
): void {
  c.segmentsOut++;
  c.lastSentAt = now;
  tcp.counters.segmentsOut++;
  if (tcp.trace.on) tcp.trace.add('segment-out', now, c.id, flags, seq, c.rcvNxt, bytes, window, rule);
  if (rule === RULE.retransmit) for (const observer of tcp.observers) observer.retransmitted(c, bytes, now);
}

const edges = new Int32Array(8);

/** RFC 2018 §4 and RFC 2883 §4: a duplicate first, then the blocks, newest first, as many as fit beside `bytes` of text. */
function writeSackOption(c: Connection, header: Uint8Array, at: number, bytes: number): number {
  if (!c.sackOk) return at;
  // 40 bytes of options: three blocks with timestamps, four without.
  const most = Math.min(c.timestamps ? 3 : 4, (c.mss - bytes - 4) >> 3);
  let blocks = 0;
  if (c.hasDsack && most > 0) {
    edges[0] = c.dsackStart;
    edges[1] = c.dsackEnd;
    blocks = 1;
  }
  for (let i = 0; i < c.sackRecentCount && blocks < most; i++, blocks++) {
    edges[2 * blocks] = c.sackRecent![2 * i]!;
    edges[2 * blocks + 1] = c.sackRecent![2 * i + 1]!;
  }
  return blocks === 0 ? at : writeSack(header, at, edges, blocks);
}

// ── without a connection ──

function writeSynReply(b: Bytes, at: number, s: SynReply): number {
  return writeSynOptions(b, at, s.mss, s.windowScale, s.sackPermitted, s.timestamps, s.tsVal, s.tsEcr);
}

/** Sends what nobody's connection sends. Returns false when the link's queue is full. */
export function sendReply(tcp: Tcp, reply: Reply, now: Millis): boolean {
  const out = tcp.out;
  const at = out.begin(reply.path);
  if (at === NO_ROOM) return false;
  let optionsEnd = at + TCP_HEADER_BYTES;
  if (reply.timestamps) optionsEnd = writeTimestamps(out.header, optionsEnd, reply.tsVal, reply.tsEcr);
  if (reply.syn !== undefined) optionsEnd = writeSynReply(out.header, optionsEnd, reply.syn);
  const headerBytes = optionsEnd - at;
  writeHeader(
    out.header,
    at,
    reply.localPort,
    reply.remotePort,
    reply.seq,
    reply.ack,
    headerBytes,
    reply.flags,
    reply.window,
    0,
  );
  out.end(headerBytes, TCP, 0, 64, TCP_CHECKSUM, 0);
  tcp.counters.segmentsOut++;
  if (tcp.trace.on)
    tcp.trace.add('segment-out', now, 0, reply.flags, reply.seq, reply.ack, 0, reply.window, RULE.reply);
  return true;
}
