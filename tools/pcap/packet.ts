import type { Bytes } from '../../stack/base/bytes';

/**
 * What the decoder reads from one frame. Made by `dissect`; every position is an index into `bytes`. Fields of layers
 * that are absent, or too damaged to read, are null; what is wrong stands in `problems`.
 */
export interface Packet {
  readonly bytes: Bytes;
  readonly at: number;
  readonly end: number;
  /** The capture kept less than was on the wire, so a short header is nobody's fault. */
  readonly cut: boolean;
  ethernet: Ethernet | null;
  arp: Arp | null;
  ip: Ip | null;
  tcp: Tcp | null;
  udp: Udp | null;
  icmp: Icmp | null;
  /** What was not decoded further: its name and where it stands. */
  other: Other | null;
  /** Application bytes of TCP and UDP that are in the capture; empty otherwise. */
  payloadAt: number;
  payloadEnd: number;
  readonly problems: string[];
}

export interface Ethernet {
  source: string;
  destination: string;
  /** The EtherType behind any VLAN tags, or the length of an 802.3 frame. */
  type: number;
  vlans: number[];
}

export interface Arp {
  operation: number;
  senderMac: string;
  senderIp: string;
  targetMac: string;
  targetIp: string;
}

export interface Ip {
  version: 4 | 6;
  source: string;
  destination: string;
  headerAt: number;
  /** Behind the header with its options, or behind the extension headers. */
  bodyAt: number;
  /** Where the datagram ends by its own length: beyond the captured bytes when it was cut. */
  end: number;
  /** The protocol of the body: a number of the IANA registry. */
  protocol: number;
  ttl: number;
  /** The 8 bits of DSCP and ECN. */
  tos: number;
  /** IPv4 identification, or that of an IPv6 fragment header. */
  id: number;
  flowLabel: number;
  dontFragment: boolean;
  fragmentOffset: number;
  moreFragments: boolean;
  /** IPv4 options in hexadecimal; null when there are none. */
  options: string | null;
  /** IPv6 extension headers by their numbers. */
  extensions: number[];
}

/** 'partial': the sender left the rest to its device. 'unknown': the bytes to check are not all there. */
export type ChecksumState = 'good' | 'bad' | 'partial' | 'none' | 'unknown';

export type TcpOption =
  | { kind: 'mss'; value: number }
  | { kind: 'nop' }
  | { kind: 'eol' }
  | { kind: 'wscale'; shift: number }
  | { kind: 'sackOK' }
  | { kind: 'sack'; blocks: [number, number][] }
  | { kind: 'TS'; val: number; ecr: number }
  | { kind: 'FO'; cookie: string; experimental: boolean }
  | { kind: 'md5'; digest: string }
  | { kind: 'ECN'; e0b: number | null; ceb: number | null; e1b: number | null }
  | { kind: 'other'; number: number; hex: string };

export interface Tcp {
  sport: number;
  dport: number;
  seq: number;
  ack: number;
  /** The flags as the wire has them, with AE (once NS) as 0x100. */
  flags: number;
  window: number;
  urgent: number;
  options: TcpOption[];
  /** Text bytes on the wire, which may be more than the capture kept. */
  length: number;
  checksum: ChecksumState;
  /** False when only the first 8 bytes were there (an ICMP quote): ports and sequence number alone are known. */
  whole: boolean;
}

export interface Udp {
  sport: number;
  dport: number;
  length: number;
  checksum: ChecksumState;
}

export interface Icmp {
  version: 4 | 6;
  type: number;
  code: number;
  /** As the packetdrill language calls it, or "type_N". */
  name: string;
  /** What belongs to the type: "mtu 1400", "id 1 seq 2". */
  details: string;
  /** The packet that an error quotes. */
  quote: Packet | null;
  /** Bytes behind the eight of the header. */
  length: number;
  checksum: ChecksumState;
}

export interface Other {
  name: string;
  at: number;
  end: number;
}

/** The ninth flag, which once was NS (RFC 9768); the others are the stack's. */
export const AE = 0x100;
export { ACK, CWR, ECE, FIN, PSH, RST, SYN, URG } from '../../stack/tcp/header';

/** An empty packet for the frame at [at, end). */
export function newPacket(bytes: Bytes, at: number, end: number, cut: boolean): Packet {
  return {
    bytes,
    at,
    end,
    cut,
    ethernet: null,
    arp: null,
    ip: null,
    tcp: null,
    udp: null,
    icmp: null,
    other: null,
    payloadAt: end,
    payloadEnd: end,
    problems: [],
  };
}

/** Notes that a header is not all there. Returns true when so. */
export function tooShort(p: Packet, at: number, bytes: number, what: string): boolean {
  const there = Math.max(0, p.end - at);
  if (there >= bytes) return false;
  p.problems.push(p.cut ? `cut in the ${what}` : `truncated ${what}: ${there} of ${bytes} bytes at byte ${at - p.at}`);
  return true;
}

/** The words for a wrong checksum: what was found, what would be right, and where. */
export function badChecksum(what: string, found: number, right: number, at: number): string {
  const text = (value: number): string => `0x${value.toString(16).padStart(4, '0')}`;
  return `bad ${what} checksum ${text(found)} at byte ${at}, right is ${text(right)}`;
}
