import { Address } from '../base/address';
import { type Bytes, i32, put32 } from '../base/bytes';
import type { Datagram } from '../base/datagram';
import type { Drop } from '../base/drops';
import { putAddress } from './ipv6';

/** Neighbor Discovery (RFC 4861 §4): messages carried in ICMPv6. */
export const ROUTER_SOLICITATION = 133;
export const ROUTER_ADVERTISEMENT = 134;
export const NEIGHBOR_SOLICITATION = 135;
export const NEIGHBOR_ADVERTISEMENT = 136;

const SOURCE_LINK_ADDRESS = 1;
const TARGET_LINK_ADDRESS = 2;
export const NEIGHBOR_MESSAGE_BYTES = 32;

/** Flags of an advertisement, in the first of its 32 bits (§4.4). */
const ROUTER = 1 << 31;
const SOLICITED = 1 << 30;
const OVERRIDE = 1 << 29;

/** One received solicitation or advertisement: one reused record. */
export class NeighborMessage {
  target = new Address(6, 0, 0, 0, 0);
  solicited = false;
  override = false;
  router = false;
  /** Where the link address option's six bytes are in the datagram; -1 without one. */
  macAt = -1;
}

/** §7.1: what must hold of a solicitation or advertisement before it is believed. */
export function readNeighborMessage(d: Datagram, isAdvertisement: boolean, into: NeighborMessage): Drop | null {
  const b = d.bytes;
  const at = d.bodyAt;
  if (d.ttl !== 255 || b[at + 1] !== 0 || d.end - at < 24) return 'ndp-invalid';
  into.target = new Address(6, i32(b, at + 8), i32(b, at + 12), i32(b, at + 16), i32(b, at + 20));
  if (into.target.isMulticast) return 'ndp-invalid';
  const flags = i32(b, at + 4);
  into.router = (flags & ROUTER) !== 0;
  into.solicited = (flags & SOLICITED) !== 0;
  into.override = (flags & OVERRIDE) !== 0;
  into.macAt = -1;
  const wanted = isAdvertisement ? TARGET_LINK_ADDRESS : SOURCE_LINK_ADDRESS;
  for (let p = at + 24; p < d.end; ) {
    if (p + 2 > d.end) return 'ndp-invalid';
    const bytes = b[p + 1]! * 8;
    if (bytes === 0 || p + bytes > d.end) return 'ndp-invalid';
    if (b[p] === wanted && bytes === 8) into.macAt = p + 2;
    p += bytes;
  }
  const unspecified = d.s0 === 0 && d.s1 === 0 && d.s2 === 0 && d.s3 === 0;
  // A probe for duplicates has no address to answer to, so it must not name one (§7.1.1).
  if (!isAdvertisement && unspecified && into.macAt >= 0) return 'ndp-invalid';
  // A solicited answer goes to one node (§7.1.2).
  if (isAdvertisement && into.solicited && d.d0 >>> 24 === 0xff) return 'ndp-invalid';
  return null;
}

/** The body of a solicitation or advertisement behind the ICMPv6 header: flags are in the header's 32 bits. */
export function writeNeighborBody(
  b: Bytes,
  at: number,
  target: Address,
  isAdvertisement: boolean,
  mac: Uint8Array,
): void {
  putAddress(b, at, target);
  b[at + 16] = isAdvertisement ? TARGET_LINK_ADDRESS : SOURCE_LINK_ADDRESS;
  b[at + 17] = 1;
  for (let i = 0; i < 6; i++) b[at + 18 + i] = mac[i]!;
}

/** §7.2.4: we are no router, our answer overrides what is cached. */
export const advertisementFlags = (solicited: boolean): number => (solicited ? SOLICITED | OVERRIDE : OVERRIDE);

/** RFC 4291 §2.7.1: ff02::1:ff and the last 24 bits. */
export const solicitedNode = (a: Address): Address =>
  new Address(6, 0xff020000 | 0, 0, 1, 0xff000000 | (a.w3 & 0xffffff));

/** RFC 2464 §7: 33:33 and the last 32 bits of the group. */
export function multicastMac(group: Address): Uint8Array {
  const mac = Uint8Array.of(0x33, 0x33, 0, 0, 0, 0);
  put32(mac, 2, group.w3);
  return mac;
}

export const ALL_NODES = new Address(6, 0xff020000 | 0, 0, 0, 1);
