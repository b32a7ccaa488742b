import { type Bytes, u8, u16, u32 } from '../../stack/base/bytes';
import { finish, sum } from '../../stack/base/checksum';
import { formatAddress } from './address';
import {
  FO_EXPERIMENT,
  OPTION_ACC_ECN_0,
  OPTION_ACC_ECN_1,
  OPTION_EOL,
  OPTION_EXPERIMENT,
  OPTION_FO,
  OPTION_MD5,
  OPTION_MSS,
  OPTION_NOP,
  OPTION_SACK,
  OPTION_SACK_OK,
  OPTION_TS,
  OPTION_WSCALE,
  PROTOCOL_ICMP,
  PROTOCOL_ICMP6,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
} from './encode';
import {
  type AccEcnCounter,
  AE,
  type IpFields,
  type PacketRecord,
  type QuotedDatagram,
  type TcpOption,
} from './packet';

/** A datagram taken apart, or why it cannot be. */
export type Decoded =
  | { readonly record: PacketRecord; readonly payload: Bytes; readonly error: null }
  | { readonly record: null; readonly payload: null; readonly error: string };

const wrong = (error: string): Decoded => ({ record: null, payload: null, error });

/** The IP header of a datagram and where its body lies. */
interface Body {
  readonly ip: IpFields;
  readonly protocol: number;
  readonly at: number;
  readonly end: number;
  readonly pseudo: number;
}

/** Takes an IP datagram apart and checks its lengths and checksums. Never throws. */
export function decodeFrame(b: Bytes): Decoded {
  const body = readIp(b, 0, b.length, true);
  if (typeof body === 'string') return wrong(body);
  switch (body.protocol) {
    case PROTOCOL_TCP:
      return readTcp(b, body);
    case PROTOCOL_UDP:
      return readUdp(b, body);
    case PROTOCOL_ICMP:
    case PROTOCOL_ICMP6:
      return readIcmp(b, body);
  }
  return wrong(`IP protocol ${body.protocol}`);
}

/** `whole`: the datagram must be all there and its checksum right; a quotation is neither. */
function readIp(b: Bytes, at: number, end: number, whole: boolean): Body | string {
  const version = at < end ? u8(b, at) >>> 4 : 0;
  if (version === 4) return readV4(b, at, end, whole);
  if (version === 6) return readV6(b, at, end, whole);
  return 'not an IP datagram';
}

function readV4(b: Bytes, at: number, end: number, whole: boolean): Body | string {
  if (end - at < 20) return 'a truncated IPv4 header';
  const bodyAt = at + (u8(b, at) & 15) * 4;
  const total = at + u16(b, at + 2);
  if (bodyAt < at + 20 || bodyAt > end) return 'a bad IPv4 header length';
  if (whole && (total > end || total < bodyAt)) return 'a bad IPv4 total length';
  if (whole && finish(sum(b, at, bodyAt, 0)) !== 0) return 'a bad IPv4 header checksum';
  if (whole && (u16(b, at + 6) & 0x3fff) !== 0) return 'an IPv4 fragment';
  const protocol = u8(b, at + 9);
  const ip: IpFields = {
    version: 4,
    ttl: u8(b, at + 8),
    tos: u8(b, at + 1),
    flowLabel: 0,
    source: formatAddress(b.subarray(at + 12, at + 16)),
    destination: formatAddress(b.subarray(at + 16, at + 20)),
  };
  return { ip, protocol, at: bodyAt, end: total, pseudo: sum(b, at + 12, at + 20, protocol + total - bodyAt) };
}

function readV6(b: Bytes, at: number, end: number, whole: boolean): Body | string {
  if (end - at < 40) return 'a truncated IPv6 header';
  const bodyAt = at + 40;
  const total = bodyAt + u16(b, at + 4);
  if (whole && total > end) return 'a bad IPv6 payload length';
  const protocol = u8(b, at + 6);
  const ip: IpFields = {
    version: 6,
    ttl: u8(b, at + 7),
    tos: (u16(b, at) >>> 4) & 0xff,
    flowLabel: u32(b, at) & 0xf_ffff,
    source: formatAddress(b.subarray(at + 8, at + 24)),
    destination: formatAddress(b.subarray(at + 24, at + 40)),
  };
  return { ip, protocol, at: bodyAt, end: total, pseudo: sum(b, at + 8, at + 40, protocol + total - bodyAt) };
}

function readTcp(b: Bytes, { ip, at, end, pseudo }: Body): Decoded {
  if (end - at < 20) return wrong('a truncated TCP header');
  const textAt = at + (u8(b, at + 12) >>> 4) * 4;
  if (textAt < at + 20 || textAt > end) return wrong('a bad TCP data offset');
  if (finish(sum(b, at, end, pseudo)) !== 0) return wrong('a bad TCP checksum');
  const options = readOptions(b, at + 20, textAt);
  if (typeof options === 'string') return wrong(options);
  const record: PacketRecord = {
    protocol: 'tcp',
    ip,
    sourcePort: u16(b, at),
    destinationPort: u16(b, at + 2),
    flags: u8(b, at + 13) | ((u8(b, at + 12) & 1) !== 0 ? AE : 0),
    seq: u32(b, at + 4),
    ack: u32(b, at + 8),
    window: u16(b, at + 14),
    urgent: u16(b, at + 18),
    options,
    payloadBytes: end - textAt,
  };
  return { record, payload: b.subarray(textAt, end), error: null };
}

function readOptions(b: Bytes, at: number, end: number): TcpOption[] | string {
  const options: TcpOption[] = [];
  while (at < end) {
    const number = u8(b, at);
    if (number === OPTION_EOL || number === OPTION_NOP) {
      options.push({ kind: number === OPTION_EOL ? 'eol' : 'nop' });
      at++;
      continue;
    }
    const bytes = at + 1 < end ? u8(b, at + 1) : 0;
    if (bytes < 2 || at + bytes > end) return 'a TCP option with a bad length';
    options.push(readOption(b, number, at + 2, at + bytes));
    at += bytes;
  }
  return options;
}

/** The option whose value is [at, end). One of the wrong length for its number is 'unknown'. */
function readOption(b: Bytes, number: number, at: number, end: number): TcpOption {
  const bytes = end - at;
  if (number === OPTION_MSS && bytes === 2) return { kind: 'mss', value: u16(b, at) };
  if (number === OPTION_WSCALE && bytes === 1) return { kind: 'wscale', value: u8(b, at) };
  if (number === OPTION_SACK_OK && bytes === 0) return { kind: 'sackOK' };
  if (number === OPTION_TS && bytes === 8) return { kind: 'TS', value: u32(b, at), echo: u32(b, at + 4) };
  if (number === OPTION_FO) return { kind: 'FO', cookie: hex(b, at, end) };
  if (number === OPTION_MD5) return { kind: 'md5', digest: hex(b, at, end) };
  if (number === OPTION_SACK && bytes > 0 && bytes % 8 === 0) {
    const blocks = [];
    for (let k = at; k < end; k += 8) blocks.push({ from: u32(b, k), to: u32(b, k + 4) });
    return { kind: 'sack', blocks };
  }
  if (number === OPTION_EXPERIMENT && bytes >= 2 && u16(b, at) === FO_EXPERIMENT) {
    return { kind: 'FOEXP', cookie: hex(b, at + 2, end) };
  }
  if ((number === OPTION_ACC_ECN_0 || number === OPTION_ACC_ECN_1) && bytes % 3 === 0 && bytes > 0 && bytes <= 9) {
    return { kind: 'ECN', counters: readCounters(b, number, at, end) };
  }
  return { kind: 'unknown', number, bytes: hex(b, at, end) };
}

function readCounters(b: Bytes, number: number, at: number, end: number): AccEcnCounter[] {
  const names = number === OPTION_ACC_ECN_0 ? (['e0b', 'ceb', 'e1b'] as const) : (['e1b', 'ceb', 'e0b'] as const);
  const counters: AccEcnCounter[] = [];
  for (let k = at; k < end; k += 3) {
    counters.push({ name: names[(k - at) / 3]!, value: (u8(b, k) << 16) | u16(b, k + 1) });
  }
  return counters;
}

function hex(b: Bytes, at: number, end: number): string {
  let text = '';
  for (; at < end; at++) text += u8(b, at).toString(16).padStart(2, '0');
  return text;
}

function readUdp(b: Bytes, { ip, at, end, pseudo }: Body): Decoded {
  if (end - at < 8 || u16(b, at + 4) !== end - at) return wrong('a bad UDP length');
  const hasChecksum = u16(b, at + 6) !== 0 || ip.version === 6;
  if (hasChecksum && finish(sum(b, at, end, pseudo)) !== 0) return wrong('a bad UDP checksum');
  const record: PacketRecord = {
    protocol: 'udp',
    ip,
    sourcePort: u16(b, at),
    destinationPort: u16(b, at + 2),
    payloadBytes: end - at - 8,
  };
  return { record, payload: b.subarray(at + 8, end), error: null };
}

function readIcmp(b: Bytes, { ip, at, end, pseudo }: Body): Decoded {
  if (end - at < 8) return wrong('a truncated ICMP header');
  const v6 = ip.version === 6;
  if (finish(sum(b, at, end, v6 ? pseudo : 0)) !== 0) return wrong('a bad ICMP checksum');
  const type = u8(b, at);
  const code = u8(b, at + 1);
  const isError = v6 ? type < 128 : [3, 4, 5, 11, 12].includes(type);
  const isEcho = v6 ? type === 128 || type === 129 : type === 0 || type === 8;
  const record: PacketRecord = {
    protocol: 'icmp',
    ip,
    type,
    code,
    mtu: v6 ? (type === 2 ? u32(b, at + 4) : 0) : type === 3 && code === 4 ? u16(b, at + 6) : 0,
    id: isEcho ? u16(b, at + 4) : 0,
    quoted: isError ? readQuote(b, at + 8, end) : null,
    payloadBytes: end - at - 8,
  };
  return { record, payload: b.subarray(at + 8, end), error: null };
}

function readQuote(b: Bytes, at: number, end: number): QuotedDatagram | null {
  const body = readIp(b, at, end, false);
  if (typeof body === 'string' || body.at + 8 > end) return null;
  const { ip, protocol, at: bodyAt } = body;
  const isTcp = protocol === PROTOCOL_TCP;
  const hasOffset = isTcp && bodyAt + 13 <= end;
  const headerBytes = isTcp ? (hasOffset ? (u8(b, bodyAt + 12) >>> 4) * 4 : 20) : 8;
  return {
    protocol,
    source: ip.source,
    destination: ip.destination,
    sourcePort: u16(b, bodyAt),
    destinationPort: u16(b, bodyAt + 2),
    seq: isTcp ? u32(b, bodyAt + 4) : 0,
    payloadBytes: Math.max(0, body.end - bodyAt - headerBytes),
  };
}
