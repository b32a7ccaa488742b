import { type Bytes, i32, put16, put32, u16 } from '../base/bytes';
import type { Drop } from '../base/drops';
import { MAC_BYTES } from './frame';

/** RFC 826 for IPv4 over Ethernet: 28 bytes. */
const HARDWARE = 0;
const PROTOCOL = 2;
const HARDWARE_BYTES = 4;
const PROTOCOL_BYTES = 5;
const OPERATION = 6;
const SENDER_MAC = 8;
const SENDER_IP = 14;
const TARGET_MAC = 18;
const TARGET_IP = 24;
export const ARP_BYTES = 28;
export const ARP_REQUEST = 1;
export const ARP_REPLY = 2;

/** One received ARP packet: one reused record. */
export class ArpPacket {
  operation = 0;
  readonly senderMac = new Uint8Array(MAC_BYTES);
  /** IPv4 addresses as signed words. */
  senderIp = 0;
  targetIp = 0;
}

/** Fills `into` from the packet at [at, end). Returns why it is unusable, or null. */
export function readArp(b: Bytes, at: number, end: number, into: ArpPacket): Drop | null {
  if (end - at < ARP_BYTES) return 'arp-truncated';
  if (u16(b, at + HARDWARE) !== 1 || u16(b, at + PROTOCOL) !== 0x0800) return 'arp-malformed';
  if (b[at + HARDWARE_BYTES] !== 6 || b[at + PROTOCOL_BYTES] !== 4) return 'arp-malformed';
  into.operation = u16(b, at + OPERATION);
  if (into.operation !== ARP_REQUEST && into.operation !== ARP_REPLY) return 'arp-malformed';
  for (let i = 0; i < MAC_BYTES; i++) into.senderMac[i] = b[at + SENDER_MAC + i]!;
  into.senderIp = i32(b, at + SENDER_IP);
  into.targetIp = i32(b, at + TARGET_IP);
  // A group address is nobody's own; 0.0.0.0 asks on behalf of no one (a probe, RFC 5227 §2.1.1) and is legal.
  if ((into.senderMac[0]! & 1) !== 0 || into.senderIp >>> 28 >= 14) return 'arp-bad-sender';
  return null;
}

export function writeArp(
  b: Bytes,
  at: number,
  operation: number,
  senderMac: Uint8Array,
  senderIp: number,
  targetMac: Uint8Array | null,
  targetIp: number,
): void {
  put16(b, at + HARDWARE, 1);
  put16(b, at + PROTOCOL, 0x0800);
  b[at + HARDWARE_BYTES] = 6;
  b[at + PROTOCOL_BYTES] = 4;
  put16(b, at + OPERATION, operation);
  for (let i = 0; i < MAC_BYTES; i++) {
    b[at + SENDER_MAC + i] = senderMac[i]!;
    b[at + TARGET_MAC + i] = targetMac === null ? 0 : targetMac[i]!;
  }
  put32(b, at + SENDER_IP, senderIp);
  put32(b, at + TARGET_IP, targetIp);
}
