import { type Millis, NEVER } from '../../base/bytes';
import { TCP } from '../../base/datagram';
import { NO_ROOM } from '../../base/transmit';
import type { Connection } from '../connection';
import { ackSent } from '../delayed-ack';
import { ECT_0 } from '../ecn';
import {
  CWR,
  ECE,
  FIN,
  PSH,
  TCP_CHECKSUM,
  TCP_HEADER_BYTES,
  URG,
  writeHeader,
  writeSack,
  writeTimestamps,
} from '../header';
import { timestampNow } from '../options';
import { selectWindow, windowTold } from '../receive-window';
import { type Seq, seqAfter, seqDiff } from '../seq';
import type { Tcp } from '../tcp';

/* One segment, and what is noted of every one. */

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

export const RULE = Object.fromEntries(RULES.map((rule, i) => [rule, i])) as Record<(typeof RULES)[number], number>;

/**
 * Builds one segment, with as much of [seq, seq + bytes) as one frame's list of pieces takes, and hands it down. Returns
 * the bytes taken, or -1 when the link's queue is full.
 */
export function emit(
  tcp: Tcp,
  c: Connection,
  seq: Seq,
  bytes: number,
  flags: number,
  rule: number,
  now: Millis,
): number {
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

/** The next segment's time. What a timer was late by is made up for, a pause that the application or cwnd made is not. */
function pace(c: Connection, bytes: number, now: Millis): void {
  const since = c.pacingHeld ? now - PACING_LATE_MAX : now;
  c.pacingNext = Math.max(c.pacingNext, since) + bytes / c.pacingRate;
}

/** How late the timer of a busy event loop may be without costing throughput: so much goes out in one burst. */
const PACING_LATE_MAX: Millis = 20;

/** Whether the pacing rate forbids to send yet; a deadline is set then. */
export function isPaced(c: Connection, now: Millis): boolean {
  if (c.pacingRate === NEVER || now >= c.pacingNext) return false;
  c.pacingAt = c.pacingNext;
  return true;
}

/**
 * Bytes of new text that pacing lets go at once: one super-segment's, whether or not the device cuts such, as Linux does.
 * A full queue drops the ends of bursts, so that who sends longer ones, the faster flow, loses more: without them the
 * slowest of BBR's flows would lose most, and be taken for policed.
 */
export function burstBytes(c: Connection): number {
  const most = c.congestion.segmentsMax(c);
  return most === Number.POSITIVE_INFINITY ? 0 : most * c.mss;
}

export function sentSegment(
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

/**
 * RFC 6437 §3: the same for all of a connection's datagrams, and of no pattern over many. It is made of the initial sequence
 * number, which is that already and which whoever sees the label can see as well.
 */
export const flowLabelOf = (c: Connection): number => Math.imul(c.iss, 0x9e3779b1) >>> 12;

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
