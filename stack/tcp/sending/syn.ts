import type { Millis } from '../../base/bytes';
import { TCP } from '../../base/datagram';
import { NO_ROOM } from '../../base/transmit';
import type { Connection } from '../connection';
import { ecnSynFlags } from '../ecn';
import type { FastOpening } from '../fast-open';
import { ACK, SYN, TCP_CHECKSUM, TCP_HEADER_BYTES, writeFastOpen, writeHeader, writeSynOptions } from '../header';
import { announcedMss, timestampNow } from '../options';
import { initialWindow, windowTold } from '../receive-window';
import { beforeUserTimeout, setRetransmitTimer } from '../retransmit-timer';
import { EVER_RETRANSMITTED, HAS_SYN } from '../sent-table';
import { type Seq, seqAdd } from '../seq';
import type { Tcp } from '../tcp';
import { countRetransmit } from './retransmission';
import { flowLabelOf, RULE, sentSegment } from './segment';

/* The SYN and the SYN-ACK, with what they agree on. */

export function sendSyn(tcp: Tcp, c: Connection, now: Millis): boolean {
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
    const record = tcp.sent.append(c, c.iss, c.sndNxt, 1, HAS_SYN, now);
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
  const record = tcp.sent.append(c, c.sndNxt, end, 1, 0, now);
  tcp.sent.setDelivery(record, c.delivered, now, now, false);
  fast.text = bytes;
  c.sndNxt = end;
  c.packetsOut++;
  c.bytesSent += bytes;
  c.dataSegmentsOut++;
  c.lastTextSentAt = now;
}
