import { type Millis, NEVER } from '../base/bytes';
import { TCP } from '../base/datagram';
import { NONE } from '../base/memory';
import { NO_ROOM } from '../base/transmit';
import type { Connection } from './connection';
import { ackSent } from './delayed-ack';
import {
  ACK,
  FIN,
  PSH,
  SYN,
  TCP_CHECKSUM,
  TCP_HEADER_BYTES,
  URG,
  writeHeader,
  writeSack,
  writeSynOptions,
  writeTimestamps,
} from './header';
import { announcedMss, timestampNow } from './options';
import { initialWindow, selectWindow } from './receive-window';
import { nextLost } from './recovery';
import type { Reply } from './reply';
import { APP_LIMITED, EVER_RETRANSMITTED, HAS_FIN, HAS_SYN, LOST, RETRANSMITTED } from './sent-table';
import { type Seq, seqAdd, seqAfter, seqDiff } from './seq';
import type { Tcp } from './tcp';

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
  if (done && c.synchronized) {
    // SACK blocks take room that full segments do not have: they go ahead on a segment of their own.
    if (c.ackNow && (c.sackRecentCount > 0 || c.hasDsack)) done = sendAck(tcp, c, now);
    done = done && retransmit(tcp, c, now) && sendNew(tcp, c, now) && sendProbe(tcp, c, now) && sendAck(tcp, c, now);
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
  const optionsEnd = writeSynOptions(
    out.header,
    at + TCP_HEADER_BYTES,
    announcedMss(c),
    scale,
    passive ? c.sackOk : tcp.profile.sack,
    passive ? c.timestamps : tcp.profile.timestamps,
    timestampNow(c, now),
    passive ? c.tsRecent : 0,
  );
  const flags = passive ? SYN | ACK : SYN;
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
  out.end(headerBytes, TCP, c.tos, c.hopLimit, TCP_CHECKSUM, 0);
  c.rcvWnd = window;
  c.rcvWup = c.rcvNxt;
  c.lastAckSent = c.rcvNxt;
  c.ackNow = false;
  c.synDue = false;
  sentSegment(tcp, c, flags, c.iss, 0, window, RULE.syn, now);
  if (c.packetsOut === 0) {
    c.sndNxt = seqAdd(c.iss, 1);
    c.sndSmall = c.sndNxt;
    tcp.sent.append(c.sent, c.iss, c.sndNxt, 1, HAS_SYN, now);
    c.packetsOut = 1;
    c.stalledSince = now;
  } else {
    const record = c.sent.head;
    tcp.sent.setFlags(record, tcp.sent.flags(record) | EVER_RETRANSMITTED);
    tcp.sent.resent(c.sent, record, now);
    countRetransmit(tcp, c, 1, 0);
  }
  c.retransmitTimer = 'rto';
  c.retransmitAt = now + Math.min(c.rto * 2 ** c.backoff, tcp.profile.rtoMaxMs);
  return true;
}

// ── retransmission ──

/** Lost segments go first, in order, as far as the congestion window lets them (RFC 6675 §5, NextSeg rule 1). */
function retransmit(tcp: Tcp, c: Connection, now: Millis): boolean {
  while (c.lostOut > 0) {
    const record = nextLost(tcp, c);
    if (record === NONE) return true;
    const quota = c.cwnd - c.inFlight;
    if (quota <= 0) return true;
    trimToQuota(tcp, c, record, quota);
    if (!sendRecord(tcp, c, record, RULE.retransmit, now)) return false;
  }
  return true;
}

/** A record larger than the quota, the path or one frame is cut; its front is sent. */
function trimToQuota(tcp: Tcp, c: Connection, record: number, quota: number): void {
  const sent = tcp.sent;
  const most = segmentMax(c, quota);
  const bytes = seqDiff(sent.end(record), sent.seq(record));
  if (bytes > most + 1 || (bytes > most && (sent.flags(record) & HAS_FIN) === 0)) {
    const before = sent.packets(record);
    const lost = (sent.flags(record) & LOST) !== 0;
    const rest = sent.split(c.sent, record, seqAdd(sent.seq(record), most), c.mss);
    const change = sent.packets(record) + sent.packets(rest) - before;
    c.packetsOut += change;
    if (lost) c.lostOut += change;
  }
}

/** Transmits a record again, whole. */
export function sendRecord(tcp: Tcp, c: Connection, record: number, rule: number, now: Millis): boolean {
  const sent = tcp.sent;
  const seq = sent.seq(record);
  const flags = sent.flags(record);
  const fin = (flags & HAS_FIN) !== 0;
  const bytes = seqDiff(sent.end(record), seq) - (fin ? 1 : 0);
  const taken = emit(tcp, c, seq, bytes, ACK | PSH | (fin ? FIN : 0), rule, now);
  if (taken < 0) return false;
  if (taken < bytes) {
    // The list of pieces was full: what did not go stays lost, as a record of its own.
    const before = sent.packets(record);
    const rest = sent.split(c.sent, record, seqAdd(seq, taken), c.mss);
    const change = sent.packets(record) + sent.packets(rest) - before;
    c.packetsOut += change;
    if ((flags & LOST) !== 0) c.lostOut += change;
  }
  const packets = sent.packets(record);
  if ((sent.flags(record) & RETRANSMITTED) === 0) c.retransOut += packets;
  sent.setFlags(record, sent.flags(record) | RETRANSMITTED | EVER_RETRANSMITTED);
  sent.resent(c.sent, record, now);
  countRetransmit(tcp, c, packets, taken);
  if (c.retransmitTimer !== 'rto') {
    c.retransmitTimer = 'rto';
    c.retransmitAt = now + c.rto;
  } else if (c.retransmitAt === NEVER) {
    c.retransmitAt = now + c.rto;
  }
  return true;
}

function countRetransmit(tcp: Tcp, c: Connection, packets: number, bytes: number): void {
  tcp.counters.retransmitted += packets;
  c.totalRetransmits += packets;
  c.bytesRetransmitted += bytes;
}

/** Bytes of one frame at most: a segment, or what the device may cut. */
function segmentMax(c: Connection, quota: number): number {
  if (c.path.segmentationMax === 0) return c.mss;
  const most = Math.min(SUPER_SEGMENT_MAX, c.path.segmentationMax - 100);
  return Math.max(1, Math.min(quota, Math.floor(most / c.mss))) * c.mss;
}

// ── new data ──

/** Sends unsent text as window, congestion window and Nagle allow, the FIN behind the last of it. */
function sendNew(tcp: Tcp, c: Connection, now: Millis): boolean {
  c.cwndLimited = false;
  while (!c.finSent) {
    const available = seqDiff(c.sendBuffer.end, c.sndNxt);
    if (available <= 0) return c.finQueued ? sendFin(tcp, c, now) : true;
    const quota = c.cwnd - c.inFlight;
    if (quota <= 0) {
      c.cwndLimited = true;
      return true;
    }
    const window = seqDiff(seqAdd(c.sndUna, c.sndWnd), c.sndNxt);
    const bytes = howMuch(c, available, window, quota);
    if (bytes === 0) {
      if (c.packetsOut === 0) armPersist(tcp, c, now);
      return true;
    }
    const last = bytes === available;
    const fin = last && c.finQueued && c.sndWnd > seqDiff(c.sndNxt, c.sndUna) + bytes;
    if (!sendText(tcp, c, bytes, last, fin, now)) return false;
  }
  return true;
}

/** How many bytes may go as one frame now; 0: none (RFC 9293 §3.8.6.2.1, and Nagle's algorithm §3.7.4). */
function howMuch(c: Connection, available: number, window: number, quota: number): number {
  if (window <= 0) return 0;
  const mss = boundToHalfWindow(c);
  let bytes = Math.min(available, window, segmentMax(c, quota));
  if (bytes >= mss) {
    // Whole segments, unless this is all there is and nothing forbids the small rest.
    if (bytes === available && !heldByNagle(c, bytes % mss)) return bytes;
    bytes -= bytes % mss;
    return bytes;
  }
  // Less than a segment: the tail of what was written, or a window that shows a silly size.
  if (bytes < available) return 0;
  return heldByNagle(c, bytes) ? 0 : bytes;
}

/** A peer whose window never reaches two segments gets smaller ones, or every ACK would wait (Linux does likewise). */
function boundToHalfWindow(c: Connection): number {
  const half = c.sndWndMax > 536 ? c.sndWndMax >> 1 : c.sndWndMax;
  return half > 0 && half < c.mss ? Math.max(half, 8) : c.mss;
}

/** Minshall's form: a small segment waits while another small one is unacknowledged; corked, it waits anyway. */
function heldByNagle(c: Connection, rest: number): boolean {
  if (rest === 0 || c.finQueued || c.urgentOut) return false;
  if (c.corked) return true;
  if (c.noDelay || c.packetsOut === 0) return false;
  return seqAfter(c.sndSmall, c.sndUna) && !seqAfter(c.sndSmall, c.sndNxt);
}

function sendText(tcp: Tcp, c: Connection, bytes: number, last: boolean, fin: boolean, now: Millis): boolean {
  const seq = c.sndNxt;
  const taken = emit(tcp, c, seq, bytes, ACK | (last ? PSH : 0) | (fin ? FIN : 0), RULE.data, now);
  if (taken < 0) return false;
  if (taken < bytes) fin = false;
  const end = seqAdd(seq, taken + (fin ? 1 : 0));
  const packets = Math.max(1, Math.ceil(taken / c.mss));
  append(tcp, c, seq, end, packets, fin ? HAS_FIN : 0, now);
  c.bytesSent += taken;
  if (taken % c.mss !== 0) c.sndSmall = end;
  // Data soon after the peer's: request and response alternate, so ACKs may wait for the response.
  if (now - c.lastTextAt < c.ato && c.pingPong < 3) c.pingPong++;
  if (fin) c.finSent = true;
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
  if (c.packetsOut === 0) {
    c.stalledSince = now;
    c.firstSentAt = c.deliveredAt = now;
  }
  const record = tcp.sent.append(c.sent, seq, end, packets, c.cwndLimited ? flags : flags | APP_LIMITED, now);
  tcp.sent.setDelivery(record, c.delivered, c.deliveredAt, c.firstSentAt);
  c.sndNxt = end;
  c.packetsOut += packets;
  if (c.inFlight >= c.cwnd) c.cwndLimited = true;
  if (c.retransmitTimer === 'none' || c.retransmitTimer === 'persist') {
    c.retransmitTimer = 'rto';
    c.retransmitAt = now + c.rto;
  }
}

// ── probes and ACKs ──

/** The window is closed and nothing is in flight: only a probe will learn that it has opened (RFC 9293 §3.8.6.1). */
function armPersist(tcp: Tcp, c: Connection, now: Millis): void {
  if (c.retransmitTimer !== 'none') return;
  c.retransmitTimer = 'persist';
  c.retransmitAt = now + Math.min(c.rto * 2 ** c.backoff, tcp.profile.rtoMaxMs);
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
    const bytes = Math.min(window, seqDiff(c.sendBuffer.end, c.sndNxt), c.mss);
    c.probeDue = 'none';
    return sendText(tcp, c, bytes, false, false, now);
  }
  if (emit(tcp, c, seqAdd(c.sndUna, -1), 0, ACK, rule, now) < 0) return false;
  if (c.probeDue === 'window') armPersist(tcp, c, now);
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
  c.rcvWnd = window;
  c.rcvWup = c.rcvNxt;
  let urgentPointer = 0;
  if (c.urgentOut && seqAfter(c.sndUp, seq)) {
    flags |= URG;
    urgentPointer = Math.min(seqDiff(c.sndUp, seq), 0xffff);
  }
  const shown = Math.min(window >> c.rcvScale, 0xffff);
  writeHeader(header, at, c.localPort, c.remotePort, seq, c.rcvNxt, headerBytes, flags, shown, urgentPointer);
  out.end(headerBytes, TCP, c.tos, c.hopLimit, TCP_CHECKSUM, taken > c.mss ? c.mss : 0);
  ackSent(c);
  sentSegment(tcp, c, flags, seq, taken, shown, rule, now);
  if (taken > 0) c.dataSegmentsOut++;
  return taken;
}

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
    edges[2 * blocks] = c.sackRecent[2 * i]!;
    edges[2 * blocks + 1] = c.sackRecent[2 * i + 1]!;
  }
  return blocks === 0 ? at : writeSack(header, at, edges, blocks);
}

// ── without a connection ──

/** Sends what nobody's connection sends. Returns false when the link's queue is full. */
export function sendReply(tcp: Tcp, reply: Reply, now: Millis): boolean {
  const out = tcp.out;
  const at = out.begin(reply.path);
  if (at === NO_ROOM) return false;
  let optionsEnd = at + TCP_HEADER_BYTES;
  if (reply.timestamps) optionsEnd = writeTimestamps(out.header, optionsEnd, reply.tsVal, reply.tsEcr);
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
