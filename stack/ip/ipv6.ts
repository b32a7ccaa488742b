import type { Address } from '../base/address';
import { type Bytes, put16, put32 } from '../base/bytes';

/** RFC 8200 §3: the fixed header. */
const PAYLOAD_LENGTH = 4;
const NEXT_HEADER = 6;
const HOP_LIMIT = 7;
const SOURCE = 8;
const DESTINATION = 24;
export const IPV6_HEADER_BYTES = 40;

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
