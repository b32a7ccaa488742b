import { Address } from '../base/address';
import type { Millis } from '../base/bytes';
import type { Datagram } from '../base/datagram';
import type { Slab } from '../base/memory';
import type { Connection } from './connection';
import { agreeEcn } from './ecn';
import { acceptChild, answerFastOpen } from './fast-open';
import { ACK, FIN, RST, type Segment, SYN } from './header';
import type { Listener } from './listener';
import { applySynOptions } from './options';
import { initialWindow } from './receive-window';
import { type Seq, seqAdd, seqAfter, seqDiff, seqInWindow } from './seq';
import { applySettings } from './settings';
import { answerWithCookie, cookieArrives } from './syn-cookies';
import type { Tcp } from './tcp';
import type { TimeWait } from './time-wait';

const sourceOf = (d: Datagram): Address => new Address(d.family, d.s0, d.s1, d.s2, d.s3);
const destinationOf = (d: Datagram): Address => new Address(d.family, d.d0, d.d1, d.d2, d.d3);

/** §3.10.7.1: nobody is at home. Everything but a RST earns a RST that the sender will accept. */
export function strayArrives(tcp: Tcp, seg: Segment, d: Datagram, now: Millis): void {
  tcp.drop('tcp-no-connection', now);
  if ((seg.flags & RST) === 0) resetStray(tcp, seg, d);
}

function resetStray(tcp: Tcp, seg: Segment, d: Datagram): void {
  const path = tcp.paths.pathTo(sourceOf(d), destinationOf(d));
  if (path === null) return;
  const acked = (seg.flags & ACK) !== 0;
  tcp.counters.resetsSent++;
  tcp.reply({
    path,
    localPort: seg.destinationPort,
    remotePort: seg.sourcePort,
    seq: acked ? seg.ack : (0 as Seq),
    ack: acked ? (0 as Seq) : seqAdd(seg.seq, seg.length),
    flags: acked ? RST : RST | ACK,
    window: 0,
    timestamps: false,
    tsVal: 0,
    tsEcr: 0,
  });
}

/** §3.10.7.2: LISTEN. `waiting` is a TIME-WAIT of the same four-tuple that the SYN may take over. */
export function listenArrives(
  tcp: Tcp,
  listener: Listener,
  seg: Segment,
  d: Datagram,
  slab: Slab,
  waiting: TimeWait | null,
  now: Millis,
): void {
  if ((seg.flags & RST) !== 0) return tcp.drop('tcp-listen-no-syn', now);
  if ((seg.flags & ACK) !== 0) {
    if (listener.cookiesUntil >= now && cookieArrives(tcp, listener, seg, d, slab, now)) return;
    tcp.drop('tcp-listen-no-syn', now);
    return resetStray(tcp, seg, d);
  }
  // A SYN with FIN is nobody's honest beginning; Linux drops it as well.
  if ((seg.flags & SYN) === 0 || (seg.flags & FIN) !== 0) return tcp.drop('tcp-listen-no-syn', now);
  if (seg.sourcePort === 0) return tcp.drop('tcp-bad-port', now);
  if (listener.accepted.length > listener.backlog) return tcp.drop('tcp-accept-queue-full', now);
  if (listener.halfOpen > listener.backlog && waiting === null) {
    if (tcp.profile.synCookies) return answerWithCookie(tcp, listener, seg, d, now);
    return tcp.drop('tcp-syn-backlog-full', now);
  }
  if (tcp.connections.size >= tcp.limits.connectionsMax) return tcp.drop('memory-pressure', now);
  const path = tcp.paths.pathTo(sourceOf(d), destinationOf(d));
  if (path === null) return tcp.drop('ip-no-route', now);
  if (waiting !== null) tcp.timeWaits.remove(waiting);
  // The path's own addresses: all connections between two hosts share them.
  const c = tcp.newConnection(path.local, seg.destinationPort, path.remote, seg.sourcePort, path, listener, now);
  if (listener.settings !== null) applySettings(tcp, c, listener.settings, now);
  // RFC 6191: continue beyond the old incarnation's sequence space.
  if (waiting !== null) moveBeyond(c, waiting);
  tcp.counters.passiveOpens++;
  acceptSyn(tcp, c, seg, now);
  tcp.enter(c, 'SYN-RECEIVED', now);
  c.fast = answerFastOpen(tcp, listener, seg, d, now);
  if (c.fast?.child === true) acceptChild(tcp, c, c.fast, listener, seg, slab);
  c.synDue = true;
  tcp.wantsOutput(c);
}

/** The successor of a TIME-WAIT: its sequence numbers begin where those of the old connection cannot reach. */
export function moveBeyond(c: Connection, waiting: TimeWait): void {
  if (seqDiff(c.iss, waiting.sndNxt) > 0) return;
  c.iss = seqAdd(waiting.sndNxt, 65_535 + 2);
  c.sndUna = c.sndNxt = c.sndSmall = c.iss;
  c.sendBuffer.restart(seqAdd(c.iss, 1));
}

/** What a SYN tells: sequence number, window, options. Shared by LISTEN and SYN-SENT. */
export function acceptSyn(tcp: Tcp, c: Connection, seg: Segment, now: Millis): void {
  c.irs = seg.seq;
  c.rcvNxt = seqAdd(seg.seq, 1);
  c.rcvWup = c.rcvEdge = c.copied = c.rcvSpaceSeq = c.rcvNxt;
  applySynOptions(tcp, c, seg, now);
  agreeEcn(tcp, c, seg);
  c.rcvWnd = initialWindow(c);
  // The window of a SYN is never scaled (RFC 7323 §2.2).
  c.sndWnd = c.sndWndMax = seg.window;
  c.sndWl1 = seg.seq;
  c.sndWl2 = c.iss;
  c.lastReceivedAt = now;
}

/**
 * §3.10.7.4 for TIME-WAIT. Returns true when the segment is a SYN that may open a new connection (RFC 6191 §2, RFC 9293
 * §3.6.1): its timestamp or its sequence number is beyond everything the old one can have sent.
 */
export function timeWaitArrives(tcp: Tcp, w: TimeWait, seg: Segment, now: Millis): boolean {
  const old = w.timestamps && seg.hasTimestamps && ((seg.tsVal - w.tsRecent) | 0) < 0;
  if ((seg.flags & RST) !== 0) {
    // RFC 1337: an old duplicate RST must not end TIME-WAIT; without the protection an exact one does.
    if (!tcp.profile.protectTimeWait && seg.seq === w.rcvNxt) tcp.timeWaits.remove(w);
    tcp.drop('tcp-time-wait', now);
    return false;
  }
  if ((seg.flags & SYN) !== 0 && (seg.flags & ACK) === 0 && tcp.profile.timeWaitReuse && !old) {
    const newer = w.timestamps && seg.hasTimestamps && ((seg.tsVal - w.tsRecent) | 0) > 0;
    if (newer || seqAfter(seg.seq, w.rcvNxt)) return true;
  }
  if ((seg.flags & FIN) !== 0 && !old) tcp.restartTimeWait(w, now);
  if (!old && seg.hasTimestamps && seqInWindow(seg.seq, w.rcvNxt, 1)) {
    tcp.timeWaits.setTsRecent(w, seg.tsVal);
  }
  tcp.drop('tcp-time-wait', now);
  if (seg.length === 0 && seg.seq === w.rcvNxt && (seg.flags & SYN) === 0) return false;
  acknowledgeAgain(tcp, w, now);
  return false;
}

/** The ACK that a repeated FIN, or anything else of the old connection's, earns: not more often than invalid ACKs do. */
function acknowledgeAgain(tcp: Tcp, w: TimeWait, now: Millis): void {
  if (now - w.lastAckAt < tcp.profile.invalidAckIntervalMs) return;
  tcp.timeWaits.setLastAck(w, now);
  acknowledgeFromTimeWait(tcp, w, now);
}

/** The ACK of the FIN that brings a connection here is none of those that are limited, as in Linux. */
export function acknowledgeFromTimeWait(tcp: Tcp, w: TimeWait, now: Millis): void {
  tcp.reply({
    path: w.path,
    localPort: w.localPort,
    remotePort: w.remotePort,
    seq: w.sndNxt,
    ack: w.rcvNxt,
    flags: ACK,
    window: w.window,
    timestamps: w.timestamps,
    tsVal: (Math.floor(now) + w.tsOffset) | 0,
    tsEcr: w.tsRecent,
  });
}
