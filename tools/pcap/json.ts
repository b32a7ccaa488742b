import { flagsText, segmentText } from '../notation';
import { httpStartLine } from './application';
import type { SegmentView } from './flows';
import { DIRECTION_INBOUND, DIRECTION_OUTBOUND } from './format';
import type { Packet } from './packet';
import type { CapturedPacket } from './parser';

/** "in", "out" or null. */
export function directionName(direction: number): 'in' | 'out' | null {
  if (direction === DIRECTION_INBOUND) return 'in';
  return direction === DIRECTION_OUTBOUND ? 'out' : null;
}

/** One packet for programs: the object that `tapwire decode --json` prints, one to a line. Absent layers are left out. */
export function packetJson(
  captured: CapturedPacket,
  p: Packet,
  view: SegmentView | null,
  seconds: string,
  line: string,
): Record<string, unknown> {
  const start = p.tcp === null ? null : httpStartLine(p.bytes, p.payloadAt, p.payloadEnd);
  return {
    number: captured.number,
    time: Number(seconds),
    epochNs: String(captured.timeNs),
    interface: captured.iface.name ?? undefined,
    direction: directionName(captured.direction) ?? undefined,
    length: captured.originalLength,
    captured: captured.bytes.length,
    ethernet: p.ethernet ?? undefined,
    arp: p.arp ?? undefined,
    ip: p.ip === null ? undefined : ipJson(p),
    tcp: p.tcp === null ? undefined : tcpJson(p, view),
    udp: p.udp ?? undefined,
    icmp: p.icmp === null ? undefined : icmpJson(p),
    other: p.other === null ? undefined : { name: p.other.name, length: p.other.end - p.other.at },
    http: start ?? undefined,
    flow: view?.flow,
    notes: view?.notes.length ? view.notes : undefined,
    problems: p.problems.length > 0 ? p.problems : undefined,
    comments: captured.comments.length > 0 ? captured.comments : undefined,
    line,
  };
}

function ipJson(p: Packet): Record<string, unknown> {
  const { headerAt, bodyAt, end, ...fields } = p.ip!;
  return { ...fields, headerBytes: bodyAt - headerAt, length: end - headerAt };
}

function tcpJson(p: Packet, view: SegmentView | null): Record<string, unknown> {
  const { flags, whole, ...fields } = p.tcp!;
  const relative = (value: number, base: number | null | undefined): number | undefined =>
    base === null || base === undefined ? undefined : (value - base) >>> 0;
  return {
    ...fields,
    flags: flagsText(flags),
    relativeSeq: relative(fields.seq, view?.seqBase),
    relativeAck: flags & 0x10 ? relative(fields.ack, view?.ackBase) : undefined,
    text: whole ? segmentText(p.tcp!, view, false) : undefined,
  };
}

function icmpJson(p: Packet): Record<string, unknown> {
  const { quote, ...fields } = p.icmp!;
  if (quote?.ip == null) return fields;
  const ports = quote.tcp ?? quote.udp;
  return {
    ...fields,
    quote: {
      source: quote.ip.source,
      destination: quote.ip.destination,
      protocol: quote.ip.protocol,
      sport: ports?.sport,
      dport: ports?.dport,
      seq: quote.tcp?.seq,
    },
  };
}
