import { type Bytes, put16, put32, u8, u16, u32 } from '../../stack/base/bytes';
import { finish, fold, sum } from '../../stack/base/checksum';

const IPV4_HEADER = 20;
const IPV6_HEADER = 40;
const ETHERNET_HEADER = 14;
const TCP = 6;
const UDP = 17;
const TCP_HEADER = 20;
const TCP_CHECKSUM = 16;
const UDP_HEADER = 8;
const UDP_CHECKSUM = 6;
const FIN_PSH = 0x09;
const CWR = 0x80;

/** Where the parts of a TCP or UDP frame begin; one is made and filled again for every frame. */
export class Parts {
  ipAt = 0;
  version = 0;
  protocol = 0;
  transportAt = 0;
  /** The end of the datagram by its own length field, never beyond the frame. */
  end = 0;
}

/**
 * Fills `into` from the frame at [at, end). False when the frame is not a whole TCP or UDP datagram (fragments, IPv6
 * extension headers, anything malformed): such a frame is recorded as it is.
 */
export function findParts(b: Bytes, at: number, end: number, ethernet: boolean, into: Parts): boolean {
  let ipAt = at;
  if (ethernet) {
    if (end - at < ETHERNET_HEADER) return false;
    let type = u16(b, at + 12);
    ipAt = at + ETHERNET_HEADER;
    if (type === 0x8100 && end - ipAt >= 4) {
      type = u16(b, ipAt + 2);
      ipAt += 4;
    }
    if (type !== 0x0800 && type !== 0x86dd) return false;
  }
  if (end - ipAt < IPV4_HEADER) return false;
  into.ipAt = ipAt;
  into.version = u8(b, ipAt) >>> 4;
  if (into.version === 4) {
    if ((u16(b, ipAt + 6) & 0x3fff) !== 0) return false;
    into.protocol = u8(b, ipAt + 9);
    into.transportAt = ipAt + (u8(b, ipAt) & 15) * 4;
    into.end = Math.min(end, ipAt + u16(b, ipAt + 2));
  } else if (into.version === 6 && end - ipAt >= IPV6_HEADER) {
    into.protocol = u8(b, ipAt + 6);
    into.transportAt = ipAt + IPV6_HEADER;
    into.end = Math.min(end, into.transportAt + u16(b, ipAt + 4));
  } else {
    return false;
  }
  if (into.transportAt < ipAt + IPV4_HEADER) return false;
  const header = into.protocol === TCP ? TCP_HEADER : into.protocol === UDP ? UDP_HEADER : Infinity;
  return into.transportAt + header <= into.end;
}

/** The pseudo-header's sum for a transport message of `length` bytes (RFC 9293 §3.1, RFC 8200 §8.1). */
function pseudoSum(b: Bytes, p: Parts, length: number): number {
  const addresses = p.version === 4 ? sum(b, p.ipAt + 12, p.ipAt + 20, 0) : sum(b, p.ipAt + 8, p.ipAt + 40, 0);
  return addresses + p.protocol + length;
}

/**
 * Completes a partial checksum in place: the field holds the folded pseudo-header sum, so the sum from `start` to the
 * end of the datagram, field included, is the whole (virtio 1.2 §5.1.6.2, NEEDS_CSUM). Positions outside the frame are
 * left alone.
 */
export function completeChecksum(b: Bytes, start: number, field: number, end: number): void {
  if (start < 0 || field < start || field + 2 > end) return;
  let value = finish(sum(b, start, end, 0));
  // A UDP checksum of zero means "none" (RFC 768); one's complement has a second zero to say it with.
  if (value === 0 && field - start === UDP_CHECKSUM) value = 0xffff;
  put16(b, field, value);
}

/**
 * Completes the checksum of a received frame that its sender marked: `partial` says for certain that the field holds only
 * the pseudo-header sum; without it the frame is known to be good, so the field is completed only when it holds exactly
 * that sum. A checksum that is neither right nor partial is left as it is: it is the evidence.
 */
export function completeReceived(b: Bytes, p: Parts, partial: boolean): void {
  const field = p.transportAt + (p.protocol === TCP ? TCP_CHECKSUM : UDP_CHECKSUM);
  if (partial) {
    completeChecksum(b, p.transportAt, field, p.end);
    return;
  }
  const found = u16(b, field);
  if (p.protocol === UDP && found === 0) return;
  const pseudo = fold(pseudoSum(b, p, p.end - p.transportAt));
  if (found !== pseudo || finish(sum(b, p.transportAt, p.end, pseudo)) === 0) return;
  completeChecksum(b, p.transportAt, field, p.end);
}

/** Where the text of a TCP or UDP message begins. */
const textOf = (b: Bytes, p: Parts): number =>
  p.transportAt + (p.protocol === TCP ? (u8(b, p.transportAt + 12) >>> 4) * 4 : UDP_HEADER);

/** How many frames of at most `segmentBytes` of payload the super-frame is worth; 1 when it is not to be cut. */
export function segmentCount(b: Bytes, p: Parts, segmentBytes: number): number {
  if (segmentBytes <= 0) return 1;
  const textAt = textOf(b, p);
  const header = p.protocol === TCP ? TCP_HEADER : UDP_HEADER;
  if (textAt < p.transportAt + header || textAt >= p.end) return 1;
  return Math.ceil((p.end - textAt) / segmentBytes);
}

/**
 * Writes segment number `index` of `count` that a device would cut from the super-frame at [at, p.end) to `into` at `to`;
 * returns its length. Lengths, IPv4 identification, sequence number, flags and both checksums are those of a real segment,
 * or datagram.
 */
export function cutSegment(
  b: Bytes,
  at: number,
  p: Parts,
  segmentBytes: number,
  index: number,
  count: number,
  into: Bytes,
  to: number,
): number {
  const textAt = textOf(b, p);
  const from = textAt + index * segmentBytes;
  const bytes = Math.min(segmentBytes, p.end - from);
  into.set(b.subarray(at, textAt), to);
  into.set(b.subarray(from, from + bytes), to + (textAt - at));
  const shift = to - at;
  const end = textAt + shift + bytes;
  const ip = p.ipAt + shift;
  const transport = p.transportAt + shift;
  if (p.version === 4) {
    put16(into, ip + 2, end - ip);
    put16(into, ip + 4, u16(b, p.ipAt + 4) + index);
    put16(into, ip + 10, 0);
    put16(into, ip + 10, finish(sum(into, ip, transport, 0)));
  } else {
    put16(into, ip + 4, end - transport);
  }
  const isTcp = p.protocol === TCP;
  if (isTcp) {
    put32(into, transport + 4, u32(b, p.transportAt + 4) + index * segmentBytes);
    // FIN and PSH belong to the last byte, CWR to the first segment (RFC 3168 §6.1.2).
    if (index < count - 1) into[transport + 13] = u8(into, transport + 13) & ~FIN_PSH;
    if (index > 0) into[transport + 13] = u8(into, transport + 13) & ~CWR;
  } else {
    put16(into, transport + 4, end - transport);
  }
  const field = transport + (isTcp ? TCP_CHECKSUM : UDP_CHECKSUM);
  put16(into, field, 0);
  const value = finish(sum(into, transport, end, pseudoSum(b, p, end - transport)));
  put16(into, field, isTcp || value !== 0 ? value : 0xffff);
  return end - to;
}
