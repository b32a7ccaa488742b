import { ACK, AE, CWR, ECE, FIN, PSH, RST, SYN, URG } from '../pcap/packet';

/** TCP flag bits, as in bytes 12 and 13 of the header. */
export { ACK, AE, CWR, ECE, FIN, PSH, RST, SYN, URG };

/** Letters of the notation in the order in which they are printed; '.' stands for ACK. */
export const FLAG_LETTERS: readonly (readonly [string, number])[] = [
  ['F', FIN],
  ['S', SYN],
  ['R', RST],
  ['P', PSH],
  ['E', ECE],
  ['W', CWR],
  ['U', URG],
  ['A', AE],
];

/** The three-bit AccECN counter that AE, CWR and ECE form after the handshake (RFC 9768 §3.2.2). */
export const ACE_BITS = AE | CWR | ECE;
export const aceOf = (flags: number): number =>
  ((flags & AE) !== 0 ? 4 : 0) | ((flags & CWR) !== 0 ? 2 : 0) | ((flags & ECE) !== 0 ? 1 : 0);
export const aceBits = (ace: number): number =>
  ((ace & 4) !== 0 ? AE : 0) | ((ace & 2) !== 0 ? CWR : 0) | ((ace & 1) !== 0 ? ECE : 0);

/** A range of sequence space, `to` not included. */
export interface SackBlock {
  from: number;
  to: number;
}

/** A TCP option. Hexadecimal text is lower case, two digits a byte. */
export type TcpOption =
  | { kind: 'nop' }
  | { kind: 'eol' }
  | { kind: 'mss'; value: number }
  | { kind: 'wscale'; value: number }
  | { kind: 'sackOK' }
  | { kind: 'sack'; blocks: SackBlock[] }
  | { kind: 'TS'; value: number; echo: number }
  | { kind: 'FO'; cookie: string }
  | { kind: 'FOEXP'; cookie: string }
  | { kind: 'md5'; digest: string }
  | { kind: 'ECN'; counters: AccEcnCounter[] }
  | { kind: 'unknown'; number: number; bytes: string };

/** One counter of the AccECN option (RFC 9768 §3.2.3), in the order in which it stands on the wire. */
export interface AccEcnCounter {
  name: 'e0b' | 'ceb' | 'e1b';
  value: number;
}

export type IpVersion = 4 | 6;

/** What the IP header says, apart from its addresses. */
export interface IpFields {
  version: IpVersion;
  /** Time to live, or hop limit. */
  ttl: number;
  /** The whole octet: DSCP and ECN; the traffic class of IPv6. */
  tos: number;
  /** IPv6 only; 0 otherwise. */
  flowLabel: number;
  /** In the notation of `address.ts`. */
  source: string;
  destination: string;
}

/** A TCP segment as plain numbers. `seq` and `ack` are live or relative to the script, as the holder knows. */
export interface TcpRecord {
  protocol: 'tcp';
  ip: IpFields;
  sourcePort: number;
  destinationPort: number;
  flags: number;
  seq: number;
  ack: number;
  /** The field as on the wire, not scaled. */
  window: number;
  urgent: number;
  options: TcpOption[];
  payloadBytes: number;
}

export interface UdpRecord {
  protocol: 'udp';
  ip: IpFields;
  sourcePort: number;
  destinationPort: number;
  payloadBytes: number;
}

/** What an ICMP message quotes of the datagram that caused it; null when it quotes nothing that can be read. */
export interface QuotedDatagram {
  protocol: number;
  source: string;
  destination: string;
  sourcePort: number;
  destinationPort: number;
  /** Of a quoted TCP segment; 0 otherwise. */
  seq: number;
  /** Payload of the quoted datagram, by its length fields. */
  payloadBytes: number;
}

export interface IcmpRecord {
  protocol: 'icmp';
  ip: IpFields;
  type: number;
  code: number;
  /** The next-hop MTU of `frag_needed` and `packet_too_big`; 0 otherwise. */
  mtu: number;
  /** The identifier of an echo; 0 otherwise. */
  id: number;
  quoted: QuotedDatagram | null;
  payloadBytes: number;
}

export type PacketRecord = TcpRecord | UdpRecord | IcmpRecord;

/** How much of sequence space a segment takes (RFC 9293 §3.4). */
export const segmentLength = (flags: number, payloadBytes: number): number =>
  payloadBytes + ((flags & SYN) !== 0 ? 1 : 0) + ((flags & FIN) !== 0 ? 1 : 0);

/** The first option of a kind, or undefined. */
export function findOption<K extends TcpOption['kind']>(
  options: readonly TcpOption[],
  kind: K,
): Extract<TcpOption, { kind: K }> | undefined {
  return options.find((option): option is Extract<TcpOption, { kind: K }> => option.kind === kind);
}
