import { MAPPED } from '../base/address';
import { type Bytes, i32, put16, put32, u16 } from '../base/bytes';
import { checksum, fold } from '../base/checksum';
import type { Datagram } from '../base/datagram';
import type { Drop } from '../base/drops';

/** RFC 791 §3.1. */
const TOS = 1;
const LENGTH = 2;
const ID = 4;
const FRAGMENT = 6;
const TTL = 8;
const PROTOCOL = 9;
const CHECKSUM = 10;
const SOURCE = 12;
const DESTINATION = 16;
export const IPV4_HEADER_BYTES = 20;
export const DONT_FRAGMENT = 0x4000;
export const MORE_FRAGMENTS = 0x2000;

const END_OF_OPTIONS = 0;
const NO_OPERATION = 1;
export const LOOSE_SOURCE_ROUTE = 131;
export const STRICT_SOURCE_ROUTE = 137;

/** Fills `into` from the datagram at [at, end). Returns why it is unusable, or null. Never throws on peer input. */
export function readIpv4(b: Bytes, at: number, end: number, into: Datagram): Drop | null {
  into.problemCode = -1;
  if (end - at < IPV4_HEADER_BYTES) return 'ip-truncated';
  if (b[at]! >>> 4 !== 4) return 'ip-bad-version';
  const headerBytes = (b[at]! & 15) * 4;
  if (headerBytes < IPV4_HEADER_BYTES) return 'ip-bad-header-length';
  const length = u16(b, at + LENGTH);
  if (length < headerBytes) return 'ip-bad-total-length';
  if (end - at < length) return 'ip-truncated';
  if (checksum(b, at, at + headerBytes, 0) !== 0) return 'ip-bad-checksum';
  const source = i32(b, at + SOURCE);
  const destination = i32(b, at + DESTINATION);
  // RFC 1122 §3.2.1.3: a source is one host's own address. Multicast, class E with the limited broadcast: never.
  if (source >>> 28 >= 14) return 'ip-bad-source';
  into.family = 4;
  into.bytes = b;
  into.headerAt = at;
  into.bodyAt = at + headerBytes;
  into.end = at + length;
  into.protocol = b[at + PROTOCOL]!;
  into.tos = b[at + TOS]!;
  into.ttl = b[at + TTL]!;
  into.s0 = into.s1 = into.d0 = into.d1 = 0;
  into.s2 = into.d2 = MAPPED;
  into.s3 = source;
  into.d3 = destination;
  into.identification = u16(b, at + ID);
  const fragment = u16(b, at + FRAGMENT);
  into.fragmentAt = (fragment & 0x1fff) * 8;
  into.moreFragments = (fragment & MORE_FRAGMENTS) !== 0;
  into.pseudoSum = pseudoSumV4(source, destination, into.protocol) + (length - headerBytes);
  return headerBytes > IPV4_HEADER_BYTES ? checkOptions(b, at + IPV4_HEADER_BYTES, at + headerBytes) : null;
}

/** Options are walked for their lengths; unknown kinds are ignored (RFC 1122 §3.2.1.8, MUST-50). */
function checkOptions(b: Bytes, at: number, end: number): Drop | null {
  while (at < end) {
    const kind = b[at]!;
    if (kind === END_OF_OPTIONS) return null;
    if (kind === NO_OPERATION) {
      at++;
      continue;
    }
    if (at + 2 > end) return 'ip-bad-option';
    const bytes = b[at + 1]!;
    if (bytes < 2 || at + bytes > end) return 'ip-bad-option';
    // RFC 7126 §4.3, §4.4: packets with source routes are dropped by default; they serve attackers only.
    if (kind === LOOSE_SOURCE_ROUTE || kind === STRICT_SOURCE_ROUTE) return 'ip-source-route-refused';
    at += bytes;
  }
  return null;
}

/** The pseudo-header's unfolded sum without the length, which callers add (RFC 9293 §3.1). */
export function pseudoSumV4(source: number, destination: number, protocol: number): number {
  return (source >>> 16) + (source & 0xffff) + (destination >>> 16) + (destination & 0xffff) + protocol;
}

/**
 * Turns the header at `at` of a first fragment into that of the whole datagram of `length` bytes: no fragment any more, and
 * `tos` with the congestion mark of all fragments (RFC 3168 §5.3).
 */
export function makeWholeV4(b: Bytes, at: number, length: number, tos: number): void {
  b[at + TOS] = tos;
  put16(b, at + LENGTH, length);
  put16(b, at + FRAGMENT, 0);
  put16(b, at + CHECKSUM, 0);
  put16(b, at + CHECKSUM, checksum(b, at, at + (b[at]! & 15) * 4, 0));
}

/** Writes a 20-byte header with its checksum. `length` counts the whole datagram. */
export function writeIpv4(
  b: Bytes,
  at: number,
  length: number,
  identification: number,
  flags: number,
  tos: number,
  ttl: number,
  protocol: number,
  source: number,
  destination: number,
): void {
  b[at] = 0x45;
  b[at + TOS] = tos;
  put16(b, at + LENGTH, length);
  put16(b, at + ID, identification);
  put16(b, at + FRAGMENT, flags);
  b[at + TTL] = ttl;
  b[at + PROTOCOL] = protocol;
  put32(b, at + SOURCE, source);
  put32(b, at + DESTINATION, destination);
  const total =
    0x4500 + tos + length + identification + flags + (ttl << 8) + pseudoSumV4(source, destination, protocol);
  put16(b, at + CHECKSUM, ~fold(total) & 0xffff);
}
