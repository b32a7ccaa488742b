import { type Bytes, put16, u16 } from '../base/bytes';

/** Ethernet II (RFC 894): destination, source, type; 14 bytes, no check sequence, which devices keep to themselves. */
export const ETHERNET_HEADER_BYTES = 14;
export const MAC_BYTES = 6;
const SOURCE = 6;
const TYPE = 12;

export const TYPE_IPV4 = 0x0800;
export const TYPE_ARP = 0x0806;
export const TYPE_IPV6 = 0x86dd;

/** The type field; below 0x600 it is a length (IEEE 802.3), which nothing here understands. */
export const etherType = (b: Bytes, at: number): number => u16(b, at + TYPE);
/** The group bit: broadcast or multicast. */
export const isGroup = (b: Bytes, at: number): boolean => (b[at]! & 1) !== 0;
export const isSourceGroup = (b: Bytes, at: number): boolean => (b[at + SOURCE]! & 1) !== 0;
/** A link address with the group bit is nobody's own: no neighbour has it (RFC 1812 §3.3.2). */
export const isMacGroup = (mac: Bytes, at: number): boolean => (mac[at]! & 1) !== 0;

/** Whether the six bytes at `at` are `mac`. */
export function macEquals(b: Bytes, at: number, mac: Uint8Array): boolean {
  for (let i = 0; i < MAC_BYTES; i++) if (b[at + i] !== mac[i]) return false;
  return true;
}

/** Writes a header of 14 bytes. */
export function writeEthernet(b: Bytes, at: number, destination: Uint8Array, source: Uint8Array, type: number): void {
  for (let i = 0; i < MAC_BYTES; i++) b[at + i] = destination[i]!;
  for (let i = 0; i < MAC_BYTES; i++) b[at + SOURCE + i] = source[i]!;
  put16(b, at + TYPE, type);
}

/** Everybody on the link. */
export const BROADCAST_MAC = new Uint8Array(MAC_BYTES).fill(0xff);

/** "02:00:00:00:00:01" */
export function formatMac(b: Bytes, at = 0): string {
  return Array.from(b.subarray(at, at + MAC_BYTES), (octet) => octet.toString(16).padStart(2, '0')).join(':');
}
