import type { Address } from '../base/address';
import { type Bytes, i32, put16, put32, u16 } from '../base/bytes';
import { type Datagram, ICMPV6, TCP, UDP } from '../base/datagram';
import type { Drop } from '../base/drops';

/** RFC 8200 §3: the fixed header. */
const PAYLOAD_LENGTH = 4;
const NEXT_HEADER = 6;
const HOP_LIMIT = 7;
const SOURCE = 8;
const DESTINATION = 24;
export const IPV6_HEADER_BYTES = 40;

/** RFC 8200 §4: extension headers, by their protocol numbers. */
const HOP_BY_HOP = 0;
const ROUTING = 43;
export const FRAGMENT_V6 = 44;
export const FRAGMENT_HEADER_BYTES = 8;
const NO_NEXT_HEADER = 59;
const DESTINATION_OPTIONS = 60;
/** An honest chain has each header once, destination options twice; more is an attack on whoever walks it. */
const EXTENSIONS_MAX = 8;

/** RFC 4443 §3.4: codes of a parameter problem. */
export const ERRONEOUS_FIELD = 0;
export const UNKNOWN_NEXT_HEADER = 1;
export const UNKNOWN_OPTION = 2;

/**
 * Fills `into` from the datagram at [at, end), extension headers included. Returns why it is unusable, or null. When the
 * sender is to be told, `into.problemCode` is a parameter problem's code and `into.problemAt` the offset it points to; else
 * the code is -1. Never throws on peer input.
 */
export function readIpv6(b: Bytes, at: number, end: number, into: Datagram): Drop | null {
  into.problemCode = -1;
  if (end - at < IPV6_HEADER_BYTES) return 'ip-truncated';
  if (b[at]! >>> 4 !== 6) return 'ip-bad-version';
  const payload = u16(b, at + PAYLOAD_LENGTH);
  if (end - at < IPV6_HEADER_BYTES + payload) return 'ip-truncated';
  into.family = 6;
  into.bytes = b;
  into.headerAt = at;
  into.bodyAt = at + IPV6_HEADER_BYTES;
  into.end = at + IPV6_HEADER_BYTES + payload;
  into.tos = ((b[at]! & 15) << 4) | (b[at + 1]! >>> 4);
  into.ttl = b[at + HOP_LIMIT]!;
  into.s0 = i32(b, at + SOURCE);
  into.s1 = i32(b, at + SOURCE + 4);
  into.s2 = i32(b, at + SOURCE + 8);
  into.s3 = i32(b, at + SOURCE + 12);
  into.d0 = i32(b, at + DESTINATION);
  into.d1 = i32(b, at + DESTINATION + 4);
  into.d2 = i32(b, at + DESTINATION + 8);
  into.d3 = i32(b, at + DESTINATION + 12);
  into.fragmentAt = 0;
  into.moreFragments = false;
  if (into.s0 >>> 24 === 0xff) return 'ip-bad-source';
  into.protocol = b[at + NEXT_HEADER]!;
  into.nextHeaderAt = at + NEXT_HEADER;
  const bad = isExtension(into.protocol) ? walkExtensions(b, into) : null;
  into.pseudoSum = pseudoSumOf(into);
  // §4.7: what follows is to be ignored.
  return bad === null && into.protocol === NO_NEXT_HEADER ? 'ip-unknown-protocol' : bad;
}

/** The unfolded pseudo-header sum of what `d` now holds (RFC 8200 §8.1). */
function pseudoSumOf(d: Datagram): number {
  return (
    words(d.s0) +
    words(d.s1) +
    words(d.s2) +
    words(d.s3) +
    words(d.d0) +
    words(d.d1) +
    words(d.d2) +
    words(d.d3) +
    d.protocol +
    (d.end - d.bodyAt)
  );
}

const words = (word: number): number => (word >>> 16) + (word & 0xffff);

const isExtension = (protocol: number): boolean =>
  protocol === HOP_BY_HOP || protocol === ROUTING || protocol === FRAGMENT_V6 || protocol === DESTINATION_OPTIONS;

/** Walks from `into.bodyAt` to the first header that is not an extension, or to the body of a fragment. */
function walkExtensions(b: Bytes, into: Datagram): Drop | null {
  for (let count = 0; isExtension(into.protocol); count++) {
    const at = into.bodyAt;
    if (count === EXTENSIONS_MAX) return 'ip-bad-option';
    if (at + 8 > into.end) return 'ip-truncated';
    let bytes = 8;
    if (into.protocol === FRAGMENT_V6) {
      readFragment(b, at, into);
      // RFC 6946 §4: a whole datagram with a fragment header is no fragment of anything.
      if (into.moreFragments || into.fragmentAt > 0) return null;
    } else {
      // RFC 8200 §4.1: hop-by-hop options stand first or are an error.
      if (into.protocol === HOP_BY_HOP && into.nextHeaderAt !== into.headerAt + NEXT_HEADER) {
        return problem(into, UNKNOWN_NEXT_HEADER, into.nextHeaderAt);
      }
      bytes = (b[at + 1]! + 1) * 8;
      if (at + bytes > into.end) return 'ip-truncated';
      const bad = into.protocol === ROUTING ? checkRouting(b, at, into) : checkOptions(b, at + 2, at + bytes, into);
      if (bad !== null) return bad;
    }
    into.protocol = b[at]!;
    into.nextHeaderAt = at;
    into.bodyAt = at + bytes;
  }
  return null;
}

function problem(into: Datagram, code: number, at: number): Drop {
  into.problemCode = code;
  into.problemAt = at - into.headerAt;
  return code === UNKNOWN_NEXT_HEADER ? 'ip-unknown-protocol' : 'ip-bad-option';
}

/** RFC 8200 §4.5. The body is then the fragment's part of the datagram. */
function readFragment(b: Bytes, at: number, into: Datagram): void {
  const offset = u16(b, at + 2);
  into.fragmented = true;
  into.fragmentAt = offset & 0xfff8;
  into.moreFragments = (offset & 1) !== 0;
  into.identification = i32(b, at + 4);
  into.fragmentHeaderAt = at;
  into.fragmentNumberAt = into.nextHeaderAt;
  into.protocol = b[at]!;
  into.nextHeaderAt = at;
  into.bodyAt = at + 8;
}

/** The code of "a first fragment without the whole header chain" (RFC 7112 §5). */
export const INCOMPLETE_HEADER_CHAIN = 3;
/** What of an upper-layer header must be in the first fragment; of one we do not know, a byte. */
const UPPER_LAYER_BYTES: Readonly<Record<number, number>> = { [TCP]: 20, [UDP]: 8, [ICMPV6]: 8 };

/** RFC 8200 §4.5: a first fragment must hold all headers up to the upper layer's, or filters see half a packet. */
export function hasWholeChain(b: Bytes, at: number, end: number, protocol: number): boolean {
  for (let count = 0; isExtension(protocol) && count < EXTENSIONS_MAX; count++) {
    if (at + 8 > end) return false;
    const next = b[at]!;
    at += protocol === FRAGMENT_V6 ? FRAGMENT_HEADER_BYTES : (b[at + 1]! + 1) * 8;
    protocol = next;
  }
  return protocol === NO_NEXT_HEADER || at + (UPPER_LAYER_BYTES[protocol] ?? 1) <= end;
}

/**
 * Where the first header that is no extension begins in the packet at [at, end), which may be cut short; -1 when it is not
 * there, or the packet is a later fragment. `into` gets its protocol number.
 */
export function upperLayerAt(b: Bytes, at: number, end: number, into: { protocol: number }): number {
  let protocol = b[at + NEXT_HEADER]!;
  at += IPV6_HEADER_BYTES;
  for (let count = 0; isExtension(protocol); count++) {
    if (count === EXTENSIONS_MAX || at + 8 > end) return -1;
    if (protocol === FRAGMENT_V6 && (u16(b, at + 2) & 0xfff8) !== 0) return -1;
    const next = b[at]!;
    at += protocol === FRAGMENT_V6 ? FRAGMENT_HEADER_BYTES : (b[at + 1]! + 1) * 8;
    protocol = next;
  }
  into.protocol = protocol;
  return at <= end ? at : -1;
}

/**
 * Turns the headers at `at` of a first fragment, the fragment header cut out, into those of the whole datagram:
 * `payloadBytes` follow the fixed header, `numberAt` is where `protocol` announces the body.
 */
export function makeWholeV6(
  b: Bytes,
  at: number,
  payloadBytes: number,
  trafficClass: number,
  numberAt: number,
  protocol: number,
): void {
  b[at] = 0x60 | (trafficClass >>> 4);
  b[at + 1] = ((trafficClass & 15) << 4) | (b[at + 1]! & 15);
  put16(b, at + PAYLOAD_LENGTH, payloadBytes);
  b[at + numberAt] = protocol;
}

/** RFC 8200 §4.4: with segments left we would have to forward; type 0 is an attack (RFC 5095 §3). */
function checkRouting(b: Bytes, at: number, into: Datagram): Drop | null {
  return b[at + 3] === 0 ? null : problem(into, ERRONEOUS_FIELD, at + 2);
}

/** RFC 8200 §4.2: options we do not know say themselves what to do. */
function checkOptions(b: Bytes, at: number, end: number, into: Datagram): Drop | null {
  while (at < end) {
    const kind = b[at]!;
    if (kind === 0) {
      at++;
      continue;
    }
    if (at + 2 > end || at + 2 + b[at + 1]! > end) return 'ip-bad-option';
    const action = kind >>> 6;
    // PadN and router alert need nothing; action 0 says "skip".
    if (kind !== 1 && action !== 0) {
      if (action === 2 || (action === 3 && !isMulticast(into))) return problem(into, UNKNOWN_OPTION, at);
      return 'ip-bad-option';
    }
    at += 2 + b[at + 1]!;
  }
  return null;
}

const isMulticast = (d: Datagram): boolean => d.d0 >>> 24 === 0xff;

/** Writes a fixed header; `payloadBytes` counts all that follows it. */
export function writeIpv6(
  b: Bytes,
  at: number,
  payloadBytes: number,
  trafficClass: number,
  flowLabel: number,
  hopLimit: number,
  nextHeader: number,
  source: Address,
  destination: Address,
): void {
  put32(b, at, (6 << 28) | (trafficClass << 20) | flowLabel);
  put16(b, at + PAYLOAD_LENGTH, payloadBytes);
  b[at + NEXT_HEADER] = nextHeader;
  b[at + HOP_LIMIT] = hopLimit;
  putAddress(b, at + SOURCE, source);
  putAddress(b, at + DESTINATION, destination);
}

export function putAddress(b: Bytes, at: number, a: Address): void {
  put32(b, at, a.w0);
  put32(b, at + 4, a.w1);
  put32(b, at + 8, a.w2);
  put32(b, at + 12, a.w3);
}
