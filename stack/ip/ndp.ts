import { Address } from '../base/address';
import { type Bytes, i32, put32 } from '../base/bytes';
import type { Datagram } from '../base/datagram';
import type { Drop } from '../base/drops';
import { putAddress } from './ipv6';

/** Neighbor Discovery (RFC 4861 §4): messages carried in ICMPv6. */
export const NEIGHBOR_SOLICITATION = 135;
export const NEIGHBOR_ADVERTISEMENT = 136;

const SOURCE_LINK_ADDRESS = 1;
const TARGET_LINK_ADDRESS = 2;
export const NEIGHBOR_MESSAGE_BYTES = 32;
const FLAGS = 4;
const TARGET = 8;
const DESTINATION = 24;
/** A solicitation or advertisement, and a redirect, without options. */
const NEIGHBOR_BYTES_MIN = 24;
const REDIRECT_BYTES_MIN = 40;
/** Only a neighbour's packet still has it: no router has passed it on (§7.1). */
export const NDP_HOP_LIMIT = 255;

/** Flags of an advertisement, in the first of its 32 bits (§4.4). */
const ROUTER = 1 << 31;
const SOLICITED = 1 << 30;
const OVERRIDE = 1 << 29;

/** One received solicitation, advertisement or redirect: one reused record. */
export class NeighborMessage {
  target = new Address(6, 0, 0, 0, 0);
  /** Of a redirect: what it is about. */
  destination = new Address(6, 0, 0, 0, 0);
  solicited = false;
  override = false;
  router = false;
  /** Where the link address option's six bytes are in the datagram; -1 without one. */
  macAt = -1;
}

const addressAt = (b: Bytes, at: number): Address =>
  new Address(6, i32(b, at), i32(b, at + 4), i32(b, at + 8), i32(b, at + 12));

/** What §7.1 and §8.1 ask of every message, and RFC 6980 §5: that it came whole, where guards on the way could read it. */
const isGenuine = (d: Datagram, bytesMin: number): boolean =>
  d.ttl === NDP_HOP_LIMIT && !d.fragmented && d.bytes[d.bodyAt + 1] === 0 && d.end - d.bodyAt >= bytesMin;

/** §7.1: what must hold of a solicitation or advertisement before it is believed. */
export function readNeighborMessage(d: Datagram, isAdvertisement: boolean, into: NeighborMessage): Drop | null {
  const b = d.bytes;
  const at = d.bodyAt;
  if (!isGenuine(d, NEIGHBOR_BYTES_MIN)) return 'ndp-invalid';
  into.target = addressAt(b, at + TARGET);
  if (into.target.isMulticast) return 'ndp-invalid';
  const flags = i32(b, at + FLAGS);
  into.router = (flags & ROUTER) !== 0;
  into.solicited = (flags & SOLICITED) !== 0;
  into.override = (flags & OVERRIDE) !== 0;
  const wanted = isAdvertisement ? TARGET_LINK_ADDRESS : SOURCE_LINK_ADDRESS;
  if (!readOptions(d, at + NEIGHBOR_BYTES_MIN, wanted, into)) return 'ndp-invalid';
  if (isAdvertisement) {
    // A solicited answer goes to one node (§7.1.2).
    return into.solicited && d.d0 >>> 24 === 0xff ? 'ndp-invalid' : null;
  }
  const unspecified = d.s0 === 0 && d.s1 === 0 && d.s2 === 0 && d.s3 === 0;
  if (!unspecified) return null;
  // A probe for duplicates has no address to answer to, so it names none, and it goes to the solicited-node group (§7.1.1).
  const toGroup = d.d0 === (0xff020000 | 0) && d.d1 === 0 && d.d2 === 1 && d.d3 >>> 24 === 0xff;
  return into.macAt >= 0 || !toGroup ? 'ndp-invalid' : null;
}

/** §8.1: what must hold of a redirect but for its sender being the router in use. */
export function readRedirect(d: Datagram, into: NeighborMessage): Drop | null {
  const b = d.bytes;
  const at = d.bodyAt;
  if (!isGenuine(d, REDIRECT_BYTES_MIN) || d.s0 >>> 22 !== LINK_LOCAL) return 'ndp-invalid';
  into.target = addressAt(b, at + TARGET);
  into.destination = addressAt(b, at + DESTINATION);
  if (into.destination.isMulticast) return 'ndp-invalid';
  if (!into.target.isLinkLocal && !into.target.equals(into.destination)) return 'ndp-invalid';
  return readOptions(d, at + REDIRECT_BYTES_MIN, TARGET_LINK_ADDRESS, into) ? null : 'ndp-invalid';
}

/** fe80::/10, in the first ten bits. */
const LINK_LOCAL = 0x3fa;

/** Looks for the link address among the options; false when they are malformed (§7.1: none has length 0). */
function readOptions(d: Datagram, at: number, wanted: number, into: NeighborMessage): boolean {
  const b = d.bytes;
  into.macAt = -1;
  while (at < d.end) {
    if (at + 2 > d.end) return false;
    const bytes = b[at + 1]! * 8;
    if (bytes === 0 || at + bytes > d.end) return false;
    if (b[at] === wanted && bytes === 8) into.macAt = at + 2;
    at += bytes;
  }
  return true;
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

export const ALL_NODES = new Address(6, 0xff020000 | 0, 0, 0, 1);

/** The link address of a group: RFC 2464 §7 (33:33 and the last 32 bits), RFC 1112 §6.4 (01:00:5e and the last 23). */
export function multicastMac(group: Address): Uint8Array {
  const mac = new Uint8Array(6);
  put32(mac, 2, group.w3);
  if (group.family === 6) mac.set([0x33, 0x33]);
  else mac.set([0x01, 0x00, 0x5e, (group.w3 >>> 16) & 0x7f]);
  return mac;
}
