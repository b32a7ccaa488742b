import { MAPPED } from '../base/address';
import { type Bytes, i32, put16, put32, u16 } from '../base/bytes';
import { checksum } from '../base/checksum';
import { type Datagram, ICMP, ICMPV6 } from '../base/datagram';
import type { Drop } from '../base/drops';
import { IPV4_HEADER_BYTES } from './ipv4';
import { IPV6_HEADER_BYTES, upperLayerAt } from './ipv6';

/** RFC 792 and RFC 4443 share the shape: type, code, checksum, 32 bits that the type defines, body. */
const TYPE = 0;
const CODE = 1;
export const ICMP_CHECKSUM = 2;
const REST = 4;
export const ICMP_HEADER_BYTES = 8;

/** RFC 792 types. */
export const ECHO_REPLY = 0;
export const UNREACHABLE = 3;
export const SOURCE_QUENCH = 4;
export const REDIRECT = 5;
export const ECHO_REQUEST = 8;
export const TIME_EXCEEDED = 11;
export const PARAMETER_PROBLEM = 12;
/** Codes of UNREACHABLE. */
export const PROTOCOL_UNREACHABLE = 2;
export const PORT_UNREACHABLE = 3;
export const FRAGMENTATION_NEEDED = 4;
/** Code of TIME_EXCEEDED. */
export const REASSEMBLY_TIME = 1;

/** RFC 4443 types. */
export const UNREACHABLE_V6 = 1;
export const PACKET_TOO_BIG_V6 = 2;
export const TIME_EXCEEDED_V6 = 3;
export const PARAMETER_PROBLEM_V6 = 4;
export const ECHO_REQUEST_V6 = 128;
export const ECHO_REPLY_V6 = 129;
export const REDIRECT_V6 = 137;
/** Code of UNREACHABLE_V6. */
export const PORT_UNREACHABLE_V6 = 4;

/** One received ICMP message: one reused record. */
export class IcmpMessage {
  type = 0;
  code = 0;
  /** The 32 bits behind the checksum: identifier and sequence number, next-hop MTU, pointer, gateway. */
  rest = 0;
  bodyAt = 0;
  end = 0;
}

/** Fills `into` from the datagram's body, of either family. Returns why it is unusable, or null. */
export function readIcmp(d: Datagram, into: IcmpMessage): Drop | null {
  const b = d.bytes;
  const at = d.bodyAt;
  if (d.end - at < ICMP_HEADER_BYTES) return 'icmp-truncated';
  // RFC 4443 §2.3: with the pseudo-header; RFC 792: without.
  if (checksum(b, at, d.end, d.family === 6 ? d.pseudoSum : 0) !== 0) return 'icmp-bad-checksum';
  into.type = b[at + TYPE]!;
  into.code = b[at + CODE]!;
  into.rest = i32(b, at + REST);
  into.bodyAt = at + ICMP_HEADER_BYTES;
  into.end = d.end;
  return null;
}

/** Writes the header in front of `bodyBytes` bytes that are already in place, and the IPv4 form's checksum over both. */
export function writeIcmp(b: Bytes, at: number, type: number, code: number, rest: number, bodyBytes: number): void {
  b[at + TYPE] = type;
  b[at + CODE] = code;
  put16(b, at + ICMP_CHECKSUM, 0);
  put32(b, at + REST, rest);
  put16(b, at + ICMP_CHECKSUM, checksum(b, at, at + ICMP_HEADER_BYTES + bodyBytes, 0));
}

/** The packet of ours that an error quotes: one reused record. Addresses are words, as in Datagram. */
export class Quote {
  protocol = 0;
  s0 = 0;
  s1 = 0;
  s2 = 0;
  s3 = 0;
  d0 = 0;
  d1 = 0;
  d2 = 0;
  d3 = 0;
  /** The length of the whole packet, as its header says. */
  length = 0;
  sourcePort = 0;
  destinationPort = 0;
  /** TCP's sequence number; the second word of the transport header in any case. */
  seq = 0;
}

/** What of the transport header an error must quote (RFC 1122 §3.2.2): ports and TCP's sequence number. */
const TRANSPORT_BYTES = 8;

/**
 * Reads what an error quotes: an IP header and at least eight bytes behind it (RFC 1122 §3.2.2, RFC 4443 §2.4 (c)).
 * Anything shorter, or a later fragment, is of no use to a transport.
 */
export function readQuote(b: Bytes, at: number, end: number, family: 4 | 6, into: Quote): Drop | null {
  const transport = family === 4 ? readQuoteV4(b, at, end, into) : readQuoteV6(b, at, end, into);
  if (transport < 0 || transport + TRANSPORT_BYTES > end) return 'icmp-bad-quote';
  into.sourcePort = u16(b, transport);
  into.destinationPort = u16(b, transport + 2);
  into.seq = i32(b, transport + 4);
  return null;
}

/** Returns where the transport header begins, or -1. */
function readQuoteV4(b: Bytes, at: number, end: number, into: Quote): number {
  if (end - at < IPV4_HEADER_BYTES || b[at]! >>> 4 !== 4) return -1;
  const headerBytes = (b[at]! & 15) * 4;
  if (headerBytes < IPV4_HEADER_BYTES || (u16(b, at + 6) & 0x1fff) !== 0) return -1;
  into.protocol = b[at + 9]!;
  into.length = u16(b, at + 2);
  into.s0 = into.s1 = into.d0 = into.d1 = 0;
  into.s2 = into.d2 = MAPPED;
  into.s3 = i32(b, at + 12);
  into.d3 = i32(b, at + 16);
  return at + headerBytes;
}

function readQuoteV6(b: Bytes, at: number, end: number, into: Quote): number {
  if (end - at < IPV6_HEADER_BYTES || b[at]! >>> 4 !== 6) return -1;
  into.length = IPV6_HEADER_BYTES + u16(b, at + 4);
  into.s0 = i32(b, at + 8);
  into.s1 = i32(b, at + 12);
  into.s2 = i32(b, at + 16);
  into.s3 = i32(b, at + 20);
  into.d0 = i32(b, at + 24);
  into.d1 = i32(b, at + 28);
  into.d2 = i32(b, at + 32);
  into.d3 = i32(b, at + 36);
  return upperLayerAt(b, at, end, into);
}

const upper = { protocol: 0 };

/**
 * RFC 1122 §3.2.2, RFC 4443 §2.4 (e): no error may be sent about one of these. What cannot be told counts as one, and so
 * does an ICMPv6 redirect.
 */
export function isIcmpError(d: Datagram): boolean {
  if (d.family === 4) {
    return d.protocol === ICMP && (d.bodyAt >= d.end || !QUERIES_V4.has(d.bytes[d.bodyAt]!));
  }
  const at = upperLayerAt(d.bytes, d.headerAt, d.end, upper);
  if (at < 0 || upper.protocol !== ICMPV6) return false;
  return at >= d.end || d.bytes[at]! < ECHO_REQUEST_V6 || d.bytes[at] === REDIRECT_V6;
}

/** Echo, timestamp, information and address mask, each with its reply. */
const QUERIES_V4: ReadonlySet<number> = new Set([ECHO_REPLY, ECHO_REQUEST, 13, 14, 15, 16, 17, 18]);
