import { type Bytes, put16, put32, u16 } from '../base/bytes';
import { checksum } from '../base/checksum';
import type { Datagram } from '../base/datagram';
import type { Drop } from '../base/drops';

/** RFC 792. */
const TYPE = 0;
const CODE = 1;
const CHECKSUM = 2;
const REST = 4;
export const ICMP_HEADER_BYTES = 8;

export const ECHO_REPLY = 0;
export const UNREACHABLE = 3;
export const SOURCE_QUENCH = 4;
export const REDIRECT = 5;
export const ECHO_REQUEST = 8;
export const TIME_EXCEEDED = 11;
export const PARAMETER_PROBLEM = 12;

/** One received ICMP message: one reused record. */
export class IcmpMessage {
  type = 0;
  code = 0;
  /** The 32 bits behind the checksum: identifier and sequence number, next-hop MTU, pointer, gateway. */
  rest = 0;
  bodyAt = 0;
  end = 0;
}

/** Fills `into` from the datagram's body. Returns why it is unusable, or null. */
export function readIcmp(d: Datagram, into: IcmpMessage): Drop | null {
  const b = d.bytes;
  const at = d.bodyAt;
  if (d.end - at < ICMP_HEADER_BYTES) return 'icmp-truncated';
  if (checksum(b, at, d.end, 0) !== 0) return 'icmp-bad-checksum';
  into.type = b[at + TYPE]!;
  into.code = b[at + CODE]!;
  into.rest = (u16(b, at + REST) << 16) | u16(b, at + REST + 2);
  into.bodyAt = at + ICMP_HEADER_BYTES;
  into.end = d.end;
  return null;
}

/** Writes the header in front of `bodyBytes` bytes that are already in place, and the checksum over both. */
export function writeIcmp(b: Bytes, at: number, type: number, code: number, rest: number, bodyBytes: number): void {
  b[at + TYPE] = type;
  b[at + CODE] = code;
  put16(b, at + CHECKSUM, 0);
  put32(b, at + REST, rest);
  put16(b, at + CHECKSUM, checksum(b, at, at + ICMP_HEADER_BYTES + bodyBytes, 0));
}
