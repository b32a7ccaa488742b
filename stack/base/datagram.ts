import type { Bytes } from './bytes';

/** Protocol numbers (IPv4's protocol, IPv6's next header). */
export const ICMP = 1;
export const TCP = 6;
export const UDP = 17;
export const ICMPV6 = 58;

/** What the network may say of a packet (RFC 1122 §3.2.2, RFC 4443 §3), by Linux's names. */
export type NetworkError =
  | 'EACCES'
  | 'ECONNREFUSED'
  | 'EHOSTDOWN'
  | 'EHOSTUNREACH'
  | 'EMSGSIZE'
  | 'ENETUNREACH'
  | 'ENONET'
  | 'ENOPROTOOPT'
  | 'EOPNOTSUPP'
  | 'EPROTO';

/**
 * What the IP layer read from one datagram: one reused record, valid until the next. Addresses are four words each, IPv4
 * in mapped form (see Address), so that what stands above need not care about the family.
 */
export class Datagram {
  family: 4 | 6 = 4;
  bytes: Bytes = new Uint8Array(0);
  /** The IP header's first byte, the payload's first byte, and the end (padding excluded). */
  headerAt = 0;
  bodyAt = 0;
  end = 0;
  protocol = 0;
  /** Traffic class: DSCP and, in the low two bits, ECN (RFC 3168). */
  tos = 0;
  ttl = 0;
  s0 = 0;
  s1 = 0;
  s2 = 0;
  s3 = 0;
  d0 = 0;
  d1 = 0;
  d2 = 0;
  d3 = 0;
  /** Came in a link broadcast or multicast frame, or to an IP broadcast or multicast address. */
  notUnicast = false;
  /** The unfolded sum of the pseudo-header: addresses, protocol, payload length. */
  pseudoSum = 0;
  /** The transport checksum needs no look: the device vouches for it. */
  checksumValid = false;
  /** Payload of each original segment when the device joined several; 0 otherwise. */
  segmentBytes = 0;
  /** Fragment offset in bytes and the more-fragments flag; 0 and false for a whole datagram. */
  fragmentAt = 0;
  moreFragments = false;
  identification = 0;
  /** IPv6: it came with a fragment header, whether or not it was whole. */
  fragmented = false;
  /** IPv6: where the fragment header is, and where the number 44 that announces it stands. */
  fragmentHeaderAt = 0;
  fragmentNumberAt = 0;
  /** Where the number of the body's protocol stands: what an ICMPv6 "unknown next header" points to. */
  nextHeaderAt = 0;
  /** ICMPv6 parameter problem to send: its code, or -1, and the offset in the datagram. */
  problemCode = -1;
  problemAt = 0;
}
