import type { LinkType } from '../device/device';
import { type Bytes, i32, put16, put32, u8, u16 } from '../stack/base/bytes';
import { checksum, fold } from '../stack/base/checksum';
import { completeReceived, cutSegment, findParts, Parts, segmentCount } from '../tools/pcap/complete';

const parts = new Parts();
const TCP = 6;
const ETHERNET_HEADER = 14;
const IPV4_HEADER = 20;
const TCP_HEADER = 20;

export const FIN = 0x01;
export const SYN = 0x02;
export const RST = 0x04;
export const ACK = 0x10;

/** What a network card makes of a frame with a partial checksum: whole segments of at most `segmentBytes` of text. */
export function cutFrame(frame: Bytes, linkType: LinkType, segmentBytes: number): Bytes[] {
  if (!findParts(frame, 0, frame.length, linkType === 'ethernet', parts)) return [frame];
  const count = segmentCount(frame, parts, segmentBytes);
  if (count === 1) {
    completeReceived(frame, parts, true);
    return [frame];
  }
  const pieces: Bytes[] = [];
  for (let i = 0; i < count; i++) {
    const into = new Uint8Array(frame.length);
    pieces.push(into.subarray(0, cutSegment(frame, 0, parts, segmentBytes, i, count, into, 0)));
  }
  return pieces;
}

/** What a forger must know of a segment that passed. Numbers are those on the wire, signed. */
export interface SeenSegment {
  readonly flags: number;
  readonly seq: number;
  readonly ack: number;
  readonly window: number;
  /** Text, SYN and FIN. */
  readonly length: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
}

/** Reads an IPv4 TCP frame; null when it is none. */
export function readSegment(frame: Bytes, linkType: LinkType): SeenSegment | null {
  if (!findParts(frame, 0, frame.length, linkType === 'ethernet', parts)) return null;
  if (parts.protocol !== TCP || parts.version !== 4) return null;
  const t = parts.transportAt;
  const flags = u8(frame, t + 13);
  const text = parts.end - t - (u8(frame, t + 12) >>> 4) * 4;
  return {
    flags,
    seq: i32(frame, t + 4),
    ack: i32(frame, t + 8),
    window: u16(frame, t + 14),
    length: text + ((flags & SYN) !== 0 ? 1 : 0) + ((flags & FIN) !== 0 ? 1 : 0),
    sourcePort: u16(frame, t),
    destinationPort: u16(frame, t + 2),
  };
}

/**
 * A bare segment that seems to come from the sender of `frame`: same addresses and ports, no options, no text. Null when
 * `frame` is not TCP over IPv4.
 */
export function forgeSegment(frame: Bytes, linkType: LinkType, flags: number, seq: number, ack: number): Bytes | null {
  if (readSegment(frame, linkType) === null) return null;
  const link = linkType === 'ethernet' ? ETHERNET_HEADER : 0;
  const forged = new Uint8Array(link + IPV4_HEADER + TCP_HEADER);
  forged.set(frame.subarray(0, link + IPV4_HEADER));
  const ip = link;
  const tcp = link + IPV4_HEADER;
  forged[ip] = 0x45;
  put16(forged, ip + 2, IPV4_HEADER + TCP_HEADER);
  put16(forged, ip + 10, 0);
  put16(forged, ip + 10, checksum(forged, ip, tcp, 0));
  forged.set(frame.subarray(parts.transportAt, parts.transportAt + 4), tcp);
  put32(forged, tcp + 4, seq);
  put32(forged, tcp + 8, ack);
  forged[tcp + 12] = 5 << 4;
  forged[tcp + 13] = flags;
  put16(forged, tcp + 14, 1024);
  sumSegment(forged, ip, tcp, forged.length);
  return forged;
}

/** Turns the window of a TCP segment to zero, in place, as a middlebox would. SYNs are left alone. */
export function closeWindow(frame: Bytes, linkType: LinkType): void {
  const seen = readSegment(frame, linkType);
  if (seen === null || (seen.flags & (SYN | RST)) !== 0) return;
  if (checksumOf(frame, parts.ipAt, parts.transportAt, parts.end) !== 0) return;
  put16(frame, parts.transportAt + 14, 0);
  sumSegment(frame, parts.ipAt, parts.transportAt, parts.end);
}

function checksumOf(b: Bytes, ip: number, tcp: number, end: number): number {
  const addresses = u16(b, ip + 12) + u16(b, ip + 14) + u16(b, ip + 16) + u16(b, ip + 18);
  return checksum(b, tcp, end, fold(addresses + TCP + (end - tcp)));
}

function sumSegment(b: Bytes, ip: number, tcp: number, end: number): void {
  put16(b, tcp + 16, 0);
  put16(b, tcp + 16, checksumOf(b, ip, tcp, end));
}
