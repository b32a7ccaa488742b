import { Address } from '../base/address';
import type { Millis } from '../base/bytes';
import type { Datagram } from '../base/datagram';
import type { Slab } from '../base/memory';
import type { Path } from '../base/transmit';
import { ACK, CWR, ECE, Segment, SYN } from './header';
import type { Listener } from './listener';
import { DEFAULT_MSS_V4, DEFAULT_MSS_V6 } from './options';
import { initialWindow, windowTold } from './receive-window';
import type { SynReply } from './reply';
import { segmentArrives } from './segment-arrives';
import { EVER_RETRANSMITTED, HAS_SYN } from './sent-table';
import { type Seq, seqAdd, seqDiff } from './seq';
import { applySettings } from './settings';
import type { Tcp } from './tcp';
import { acceptSyn } from './without-connection';

/*
 * SYN cookies (RFC 4987 §3.6): when the backlog of half-open connections is full, a SYN is answered without keeping
 * anything. What must be known of it comes back in the ACK: its MSS, roughly, in the initial sequence number, which only
 * whoever got the SYN-ACK knows, and the other options in the timestamp, as Linux encodes them.
 */

/** A cookie is good for the minute in which it was made and the next. */
const PERIOD_MS = 60_000;
const PERIODS_VALID = 2;
/** Three bytes of the number are for the keyed hash and the MSS in it, one is for the minute. */
const DATA_MASK = 0xffffff;
const PERIOD_SHIFT = 24;
/** Indices of the table lie so far apart that a number that is off by a little is no cookie. */
const DATA_STEP = 0x10101;

/** The values of MSS that a cookie can tell, by far the most frequent ones. */
const MSS_V4 = [536, 1300, 1440, 1460] as const;
const MSS_V6 = [1220, 1420, 1440, 8940] as const;

/** The low bits of the timestamp: the peer's window scale (15: none), SACK, ECN. */
const OPTION_BITS = 6;
const OPTION_MASK = (1 << OPTION_BITS) - 1;
const SCALE_MASK = 15;
const NO_SCALE = 15;
const SACK_BIT = 16;
const ECN_BIT = 32;

/** What tells the two hashes of a cookie apart, the second with the period added. */
const TAG_PEER = 0x5343;
const TAG_DATA = 0x53430000;

const periodOf = (now: Millis): number => Math.floor(now / PERIOD_MS);

const mssTable = (family: 4 | 6): readonly number[] => (family === 4 ? MSS_V4 : MSS_V6);

/** A cookie for the peer whose SYN has the number `irs`; `data` is an index of the table of MSS values. */
function makeCookie(
  tcp: Tcp,
  local: Address,
  remote: Address,
  ports: number,
  irs: Seq,
  now: Millis,
  data: number,
): Seq {
  const period = periodOf(now);
  const hidden = (tcp.hashTuple(local, remote, ports, TAG_DATA + period) + data * DATA_STEP) & DATA_MASK;
  return ((tcp.hashTuple(local, remote, ports, TAG_PEER) + irs + (period << PERIOD_SHIFT) + hidden) | 0) as Seq;
}

/** The data in a cookie; -1: it is none of ours, or too old. */
function readCookie(
  tcp: Tcp,
  local: Address,
  remote: Address,
  ports: number,
  irs: Seq,
  now: Millis,
  cookie: Seq,
): number {
  const rest = (cookie - tcp.hashTuple(local, remote, ports, TAG_PEER) - irs) | 0;
  const period = periodOf(now);
  const age = (period - (rest >>> PERIOD_SHIFT)) & 0xff;
  if (age >= PERIODS_VALID) return -1;
  const data = (rest - tcp.hashTuple(local, remote, ports, TAG_DATA + period - age)) & DATA_MASK;
  const index = data / DATA_STEP;
  return Number.isInteger(index) && index < mssTable(remote.family).length ? index : -1;
}

/** The clock of our timestamps, the options in its low bits; never ahead of the true one. */
function encodeTimestamp(clock: number, seg: Segment, sack: boolean, ecn: boolean): number {
  const scale = seg.windowScale >= 0 ? Math.min(seg.windowScale, SCALE_MASK - 1) : NO_SCALE;
  const bits = scale | (sack ? SACK_BIT : 0) | (ecn ? ECN_BIT : 0);
  const encoded = (clock & ~OPTION_MASK) | bits;
  return seqDiff(encoded as Seq, clock as Seq) > 0 ? (encoded - (1 << OPTION_BITS)) | 0 : encoded;
}

/** The backlog is full: answers the SYN and keeps nothing. */
export function answerWithCookie(tcp: Tcp, listener: Listener, seg: Segment, d: Datagram, now: Millis): void {
  const local = new Address(d.family, d.d0, d.d1, d.d2, d.d3);
  const remote = new Address(d.family, d.s0, d.s1, d.s2, d.s3);
  const path = tcp.paths.pathTo(remote, local);
  if (path === null) return tcp.drop('ip-no-route', now);
  listener.cookiesUntil = now + PERIODS_VALID * PERIOD_MS;
  const offered = seg.mss > 0 ? seg.mss : d.family === 4 ? DEFAULT_MSS_V4 : DEFAULT_MSS_V6;
  const table = mssTable(d.family);
  let data = table.length - 1;
  while (data > 0 && table[data]! > offered) data--;
  const ports = (seg.destinationPort << 16) | seg.sourcePort;
  const syn = synOptions(tcp, listener, seg, path, now);
  tcp.counters.cookiesSent++;
  tcp.reply({
    path,
    localPort: seg.destinationPort,
    remotePort: seg.sourcePort,
    seq: makeCookie(tcp, local, remote, ports, seg.seq, now, data),
    ack: seqAdd(seg.seq, 1),
    flags: syn.ecn ? SYN | ACK | ECE : SYN | ACK,
    window: Math.min((listener.settings?.receiveLimit || tcp.profile.receiveBufferInitial) >> 1, 0xffff),
    timestamps: false,
    tsVal: 0,
    tsEcr: 0,
    syn,
  });
}

/** Without timestamps nothing but the MSS comes back, so nothing else is agreed. */
function synOptions(tcp: Tcp, listener: Listener, seg: Segment, path: Path, now: Millis): SynReply {
  const { profile } = tcp;
  const headers = path.local.family === 4 ? 40 : 60;
  // As in every SYN,ACK: where the path takes less than the link, its way back most likely does as well.
  const most = Math.min(path.linkMtu, path.mtu, 65_535) - headers;
  const userMss = listener.settings?.userMss ?? 0;
  const timestamps = profile.timestamps && seg.hasTimestamps;
  const sackPermitted = timestamps && profile.sack && seg.sackPermitted;
  const scaled = timestamps && profile.windowScale >= 0 && seg.windowScale >= 0;
  const ecn = timestamps && profile.ecn !== 'off' && (seg.flags & (ECE | CWR)) === (ECE | CWR);
  const clock = (Math.floor(now) + tcp.timestampOffset(path.local, path.remote)) | 0;
  return {
    mss: userMss > 0 ? Math.min(userMss, most) : most,
    windowScale: scaled ? profile.windowScale : -1,
    sackPermitted,
    timestamps,
    tsVal: encodeTimestamp(clock, seg, sackPermitted, ecn),
    tsEcr: seg.tsVal,
    ecn,
  };
}

/** The SYN of the connection that a cookie opens: one reused record. */
const remembered = new Segment();

/**
 * An ACK for a listener: with a cookie of ours it opens a connection, as if its SYN had been kept. Returns false when it
 * has none. Looked at only while cookies are about that were given out.
 */
export function cookieArrives(
  tcp: Tcp,
  listener: Listener,
  seg: Segment,
  d: Datagram,
  slab: Slab,
  now: Millis,
): boolean {
  if (listener.cookiesUntil < now || (seg.flags & SYN) !== 0) return false;
  const local = new Address(d.family, d.d0, d.d1, d.d2, d.d3);
  const remote = new Address(d.family, d.s0, d.s1, d.s2, d.s3);
  const ports = (seg.destinationPort << 16) | seg.sourcePort;
  const iss = seqAdd(seg.ack, -1);
  const irs = seqAdd(seg.seq, -1);
  const data = readCookie(tcp, local, remote, ports, irs, now, iss);
  if (data < 0) {
    tcp.counters.cookiesFailed++;
    tcp.drop('tcp-bad-cookie', now);
    return false;
  }
  if (listener.accepted.length > listener.backlog) tcp.drop('tcp-accept-queue-full', now);
  else if (tcp.connections.size >= tcp.limits.connectionsMax) tcp.drop('memory-pressure', now);
  else openFromCookie(tcp, listener, seg, d, slab, local, remote, iss, mssTable(d.family)[data]!, now);
  return true;
}

function openFromCookie(
  tcp: Tcp,
  listener: Listener,
  seg: Segment,
  d: Datagram,
  slab: Slab,
  local: Address,
  remote: Address,
  iss: Seq,
  mss: number,
  now: Millis,
): void {
  const path = tcp.paths.pathTo(remote, local);
  if (path === null) return tcp.drop('ip-no-route', now);
  const c = tcp.newConnection(path.local, seg.destinationPort, path.remote, seg.sourcePort, path, listener, now);
  if (listener.settings !== null) applySettings(tcp, c, listener.settings, now);
  c.iss = iss;
  c.sndUna = c.cwndUsageEnd = iss;
  c.sendBuffer.restart(seqAdd(iss, 1));
  rememberSyn(seg, mss, seg.tsEcr & OPTION_MASK);
  acceptSyn(tcp, c, remembered, now);
  tcp.enter(c, 'SYN-RECEIVED', now);
  tcp.counters.passiveOpens++;
  tcp.counters.cookiesReceived++;
  // The SYN-ACK counts as sent, at a time that nobody knows any more: no round-trip time follows from it (Karn).
  windowTold(c, initialWindow(c));
  c.lastAckSent = c.rcvNxt;
  c.sndNxt = seqAdd(iss, 1);
  c.sndSmall = iss;
  const record = tcp.sent.append(c, iss, c.sndNxt, 1, HAS_SYN | EVER_RETRANSMITTED, now);
  tcp.sent.setDelivery(record, c.delivered, now, now, false);
  c.firstSentAt = c.deliveredAt = now;
  c.packetsOut = 1;
  segmentArrives(tcp, c, seg, d, slab, now);
  tcp.wantsOutput(c);
}

/** The SYN that `seg` is the answer to our answer to, as far as it came back; `bits` stood in the timestamp. */
function rememberSyn(seg: Segment, mss: number, bits: number): void {
  const timestamps = seg.hasTimestamps;
  const scale = bits & SCALE_MASK;
  remembered.seq = seqAdd(seg.seq, -1);
  remembered.window = seg.window;
  remembered.flags = timestamps && (bits & ECN_BIT) !== 0 ? SYN | ECE | CWR : SYN;
  remembered.mss = mss;
  remembered.hasTimestamps = timestamps;
  remembered.tsVal = seg.tsVal;
  remembered.sackPermitted = timestamps && (bits & SACK_BIT) !== 0;
  remembered.windowScale = timestamps && scale !== NO_SCALE ? scale : -1;
}
