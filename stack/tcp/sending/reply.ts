import type { Bytes, Millis } from '../../base/bytes';
import { TCP } from '../../base/datagram';
import { NO_ROOM } from '../../base/transmit';
import { TCP_CHECKSUM, TCP_HEADER_BYTES, writeHeader, writeSynOptions, writeTimestamps } from '../header';
import type { Reply, SynReply } from '../reply';
import type { Tcp } from '../tcp';
import { RULE } from './segment';

/* Segments that belong to nobody's connection. */

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
