/*
 * Frames built by hand, field by field, sharing nothing with the code under test. Every checksum is right unless a field
 * says otherwise.
 */

export const US = '10.0.0.1';
export const PEER = '10.0.0.2';
export const US6 = 'fd00::1';
export const PEER6 = 'fd00::2';
export const US_LL = 'fe80::1';
export const OUR_MAC = '02:00:00:00:00:01';
export const PEER_MAC = '02:00:00:00:00:02';
export const BROADCAST = 'ff:ff:ff:ff:ff:ff';

export const ICMP = 1;
export const TCP = 6;
export const UDP = 17;
export const ICMP6 = 58;
export const HOP_BY_HOP = 0;
export const ROUTING = 43;
export const FRAGMENT = 44;
export const NO_NEXT = 59;
export const DESTINATION = 60;

export const SYN = 2;
export const RST = 4;
export const ACK = 16;

export const word = (n: number): number[] => [(n >>> 8) & 255, n & 255];
export const long = (n: number): number[] => [...word(n >>> 16), ...word(n & 0xffff)];
export const mac = (text: string): number[] => text.split(':').map((part) => Number.parseInt(part, 16));
export const bytesOf = (n: number, first = 0): Uint8Array =>
  Uint8Array.from({ length: n }, (_, i) => (first + i) & 255);

/** The bytes of a numeric address. */
export function address(text: string): number[] {
  if (!text.includes(':')) return text.split('.').map(Number);
  const [head, tail] = text.split('::') as [string, string | undefined];
  const groups = (part: string): number[] => (part === '' ? [] : part.split(':').map((w) => Number.parseInt(w, 16)));
  const before = groups(head);
  const after = tail === undefined ? [] : groups(tail);
  const zeros = tail === undefined ? 0 : 8 - before.length - after.length;
  return [...before, ...new Array<number>(zeros).fill(0), ...after].flatMap(word);
}

export function sum16(bytes: Iterable<number>): number {
  const b = [...bytes];
  let total = 0;
  for (let i = 0; i < b.length; i += 2) total += (b[i]! << 8) | (b[i + 1] ?? 0);
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return total;
}

const complement = (sum: number): number => ~sum & 0xffff;

export interface Ip4Fields {
  from?: string;
  to?: string;
  ttl?: number;
  tos?: number;
  id?: number;
  /** Fragment offset in bytes. */
  offset?: number;
  more?: boolean;
  df?: boolean;
  options?: number[];
  /** Overrides of header fields. */
  length?: number;
  checksum?: number;
}

export function ip4(protocol: number, body: Iterable<number>, f: Ip4Fields = {}): Uint8Array {
  const text = [...body];
  const options = f.options ?? [];
  while (options.length % 4 !== 0) options.push(0);
  const headerBytes = 20 + options.length;
  const flags = (f.df === true ? 0x4000 : 0) | (f.more === true ? 0x2000 : 0) | ((f.offset ?? 0) / 8);
  const header = [
    0x40 | (headerBytes / 4),
    f.tos ?? 0,
    ...word(f.length ?? headerBytes + text.length),
    ...word(f.id ?? 1),
    ...word(flags),
    f.ttl ?? 64,
    protocol,
    0,
    0,
    ...address(f.from ?? PEER),
    ...address(f.to ?? US),
    ...options,
  ];
  header.splice(10, 2, ...word(f.checksum ?? complement(sum16(header))));
  return Uint8Array.from([...header, ...text]);
}

export interface Ip6Fields {
  from?: string;
  to?: string;
  hops?: number;
  tos?: number;
  length?: number;
}

export function ip6(next: number, body: Iterable<number>, f: Ip6Fields = {}): Uint8Array {
  const text = [...body];
  const first = (6 << 28) | ((f.tos ?? 0) << 20);
  return Uint8Array.from([
    ...long(first),
    ...word(f.length ?? text.length),
    next,
    f.hops ?? 64,
    ...address(f.from ?? PEER6),
    ...address(f.to ?? US6),
    ...text,
  ]);
}

/** An options header (hop-by-hop, destination): `options` padded to the header's length. */
export function optionsHeader(next: number, options: number[]): number[] {
  const bytes = [next, 0, ...options];
  const missing = (8 - (bytes.length % 8)) % 8;
  if (missing === 1) bytes.push(0);
  else if (missing > 1) bytes.push(1, missing - 2, ...new Array<number>(missing - 2).fill(0));
  bytes[1] = bytes.length / 8 - 1;
  return bytes;
}

export const routingHeader = (next: number, type: number, segmentsLeft: number): number[] => [
  next,
  0,
  type,
  segmentsLeft,
  0,
  0,
  0,
  0,
];

export const fragmentHeader = (next: number, offset: number, more: boolean, id = 1): number[] => [
  next,
  0,
  ...word(offset | (more ? 1 : 0)),
  ...long(id),
];

/** The pseudo-header of either family. */
function pseudo(protocol: number, length: number, from: string, to: string): number[] {
  return [...address(from), ...address(to), ...long(length), 0, 0, 0, protocol];
}

interface Ends {
  from?: string;
  to?: string;
}

const endsOf = (f: Ends, v6: boolean): [string, string] => [f.from ?? (v6 ? PEER6 : PEER), f.to ?? (v6 ? US6 : US)];

export interface UdpFields extends Ends {
  v6?: boolean;
  sport?: number;
  dport?: number;
  length?: number;
  checksum?: number;
}

/** A UDP header and its text. */
export function udp(text: Iterable<number>, f: UdpFields = {}): number[] {
  const body = [...text];
  const [from, to] = endsOf(f, f.v6 === true || f.from?.includes(':') === true);
  const length = f.length ?? 8 + body.length;
  const all = [...word(f.sport ?? 5000), ...word(f.dport ?? 7), ...word(length), 0, 0, ...body];
  const sum = complement(sum16([...all, ...(all.length % 2 === 1 ? [0] : []), ...pseudo(UDP, length, from, to)]));
  all.splice(6, 2, ...word(f.checksum ?? (sum === 0 ? 0xffff : sum)));
  return all;
}

export interface TcpFields extends Ends {
  v6?: boolean;
  sport?: number;
  dport?: number;
  seq?: number;
  ack?: number;
  flags?: number;
  window?: number;
  options?: number[];
  text?: Iterable<number>;
}

export function tcp(f: TcpFields = {}): number[] {
  const [from, to] = endsOf(f, f.v6 === true || f.from?.includes(':') === true);
  const options = f.options ?? [];
  const text = [...(f.text ?? [])];
  const all = [
    ...word(f.sport ?? 5000),
    ...word(f.dport ?? 80),
    ...long(f.seq ?? 1000),
    ...long(f.ack ?? 0),
    ((20 + options.length) / 4) << 4,
    f.flags ?? SYN,
    ...word(f.window ?? 65_535),
    0,
    0,
    0,
    0,
    ...options,
    ...text,
  ];
  const padded = [...all, ...(all.length % 2 === 1 ? [0] : []), ...pseudo(TCP, all.length, from, to)];
  all.splice(16, 2, ...word(complement(sum16(padded))));
  return all;
}

/** An ICMP message. */
export function icmp4(type: number, code: number, rest: number, body: Iterable<number> = []): number[] {
  const all = [type, code, 0, 0, ...long(rest), ...body];
  all.splice(2, 2, ...word(complement(sum16(all))));
  return all;
}

/** An ICMPv6 message between `from` and `to`. */
export function icmp6(type: number, code: number, rest: number, body: Iterable<number> = [], f: Ends = {}): number[] {
  const [from, to] = endsOf(f, true);
  const all = [type, code, 0, 0, ...long(rest), ...body];
  const padded = [...all, ...(all.length % 2 === 1 ? [0] : []), ...pseudo(ICMP6, all.length, from, to)];
  all.splice(2, 2, ...word(complement(sum16(padded))));
  return all;
}

export interface EthernetFields {
  to?: string;
  from?: string;
  type?: number;
}

/** An Ethernet frame around a datagram; the type follows from its version. */
export function ethernet(body: Iterable<number>, f: EthernetFields = {}): Uint8Array {
  const text = [...body];
  const type = f.type ?? (text[0]! >> 4 === 6 ? 0x86dd : 0x0800);
  return Uint8Array.from([...mac(f.to ?? OUR_MAC), ...mac(f.from ?? PEER_MAC), ...word(type), ...text]);
}

export interface ArpFields {
  operation?: number;
  senderMac?: string;
  sender?: string;
  targetMac?: string;
  target?: string;
  /** The frame's own addresses. */
  to?: string;
}

/** An ARP packet in its frame. Default: the peer asks for us. */
export function arp(f: ArpFields = {}): Uint8Array {
  const operation = f.operation ?? 1;
  const senderMac = f.senderMac ?? PEER_MAC;
  const body = [
    ...word(1),
    ...word(0x0800),
    6,
    4,
    ...word(operation),
    ...mac(senderMac),
    ...address(f.sender ?? PEER),
    ...mac(f.targetMac ?? (operation === 1 ? '00:00:00:00:00:00' : OUR_MAC)),
    ...address(f.target ?? US),
  ];
  return ethernet(body, { type: 0x0806, from: senderMac, to: f.to ?? (operation === 1 ? BROADCAST : OUR_MAC) });
}

/** A neighbour discovery option with a link address: 1 source, 2 target. */
export const linkOption = (kind: number, text: string): number[] => [kind, 1, ...mac(text)];

export interface NdpFields {
  from?: string;
  to?: string;
  target?: string;
  flags?: number;
  options?: number[];
  hops?: number;
  code?: number;
}

/** The solicited-node group of an address. */
export const solicited = (text: string): string => {
  const a = address(text);
  const hex = (n: number): string => n.toString(16).padStart(2, '0');
  return `ff02::1:ff${hex(a[13]!)}:${hex(a[14]!)}${hex(a[15]!)}`;
};

/** A neighbour solicitation. Default: the peer asks for us. */
export function solicitation(f: NdpFields = {}): Uint8Array {
  const from = f.from ?? PEER6;
  const target = f.target ?? US6;
  const to = f.to ?? solicited(target);
  const body = [...address(target), ...(f.options ?? linkOption(1, PEER_MAC))];
  return ip6(ICMP6, icmp6(135, f.code ?? 0, 0, body, { from, to }), { from, to, hops: f.hops ?? 255 });
}

const SOLICITED_FLAG = 0x40000000;
export const OVERRIDE_FLAG = 0x20000000;

/** A neighbour advertisement. Default: the peer answers us. */
export function advertisement(f: NdpFields = {}): Uint8Array {
  const from = f.from ?? PEER6;
  const to = f.to ?? US6;
  const body = [...address(f.target ?? from), ...(f.options ?? linkOption(2, PEER_MAC))];
  const flags = f.flags ?? SOLICITED_FLAG | OVERRIDE_FLAG;
  return ip6(ICMP6, icmp6(136, f.code ?? 0, flags, body, { from, to }), { from, to, hops: f.hops ?? 255 });
}
