import { type Bytes, u8, u16, u32 } from '../../stack/base/bytes';
import { finish, fold, sum } from '../../stack/base/checksum';
import { hex } from './addresses';
import { badChecksum, type ChecksumState, type Ip, type Packet, type Tcp, type TcpOption, tooShort } from './packet';

const TCP_HEADER = 20;
const TCP_CHECKSUM = 16;
const UDP_HEADER = 8;
const UDP_CHECKSUM = 6;
/** Ports and sequence number: what an ICMP error quotes at least (RFC 792). */
const QUOTED_BYTES = 8;

/** The pseudo-header's sum without its length. */
export function pseudoSum(b: Bytes, ip: Ip, protocol: number): number {
  const at = ip.headerAt;
  return protocol + (ip.version === 4 ? sum(b, at + 12, at + 20, 0) : sum(b, at + 8, at + 40, 0));
}

/**
 * Judges the checksum of the message at [at, end): its field stands at `field`. A wrong one is added to the problems;
 * one that holds only the pseudo-header sum was left to the sender's device, which is normal where no device is.
 */
export function judgeChecksum(p: Packet, ip: Ip, at: number, end: number, field: number, name: string): ChecksumState {
  if (end > p.end || ip.moreFragments || ip.fragmentOffset > 0) return 'unknown';
  const b = p.bytes;
  const addresses = pseudoSum(b, ip, ip.protocol);
  const pseudo = name === 'icmp' ? 0 : addresses + (end - at);
  if (finish(sum(b, at, end, pseudo)) === 0) return 'good';
  const found = u16(b, field);
  if (name !== 'icmp' && (found === fold(pseudo) || found === fold(addresses))) return 'partial';
  const right = finish(sum(b, at, end, pseudo + (0xffff - found)));
  p.problems.push(badChecksum(name, found, right, field - p.at));
  return 'bad';
}

/** Fills `p.tcp` from the body of `ip`. */
export function dissectTcp(p: Packet, ip: Ip, quoted: boolean): void {
  const b = p.bytes;
  const at = ip.bodyAt;
  const end = Math.min(p.end, ip.end);
  if (quoted && end - at >= QUOTED_BYTES && end - at < TCP_HEADER) {
    p.tcp = portsOnly(b, at);
    return;
  }
  if (ip.end - at < TCP_HEADER) {
    p.problems.push(`truncated tcp header: ${Math.max(0, ip.end - at)} of ${TCP_HEADER} bytes at byte ${at - p.at}`);
    return;
  }
  if (tooShort(p, at, TCP_HEADER, 'tcp header')) return;
  const header = (u8(b, at + 12) >>> 4) * 4;
  const bad = header < TCP_HEADER || at + header > ip.end;
  p.tcp = {
    sport: u16(b, at),
    dport: u16(b, at + 2),
    seq: u32(b, at + 4),
    ack: u32(b, at + 8),
    flags: ((u8(b, at + 12) & 1) << 8) | u8(b, at + 13),
    window: u16(b, at + 14),
    urgent: u16(b, at + 18),
    options: [],
    length: bad ? 0 : ip.end - at - header,
    checksum: quoted ? 'unknown' : judgeChecksum(p, ip, at, ip.end, at + TCP_CHECKSUM, 'tcp'),
    whole: true,
  };
  if (bad) {
    const limit = header < TCP_HEADER ? 'less than 20' : `more than the ${ip.end - at} that are there`;
    p.problems.push(`bad tcp header length ${header}, ${limit}, at byte ${at + 12 - p.at}`);
    return;
  }
  readTcpOptions(p, at + TCP_HEADER, Math.min(at + header, end), p.tcp.options);
  if (at + header > end && !quoted) tooShort(p, at, header, 'tcp header');
  p.payloadAt = Math.min(at + header, end);
  p.payloadEnd = end;
}

function portsOnly(b: Bytes, at: number): Tcp {
  return {
    sport: u16(b, at),
    dport: u16(b, at + 2),
    seq: u32(b, at + 4),
    ack: 0,
    flags: 0,
    window: 0,
    urgent: 0,
    options: [],
    length: 0,
    checksum: 'unknown',
    whole: false,
  };
}

function readTcpOptions(p: Packet, at: number, end: number, into: TcpOption[]): void {
  const b = p.bytes;
  while (at < end) {
    const kind = u8(b, at);
    if (kind === 0) {
      into.push({ kind: 'eol' });
      return;
    }
    if (kind === 1) {
      into.push({ kind: 'nop' });
      at++;
      continue;
    }
    const bytes = at + 1 < end ? u8(b, at + 1) : 0;
    if (bytes < 2 || at + bytes > end) {
      if (p.cut && p.end === end) p.problems.push('cut in the tcp options');
      else p.problems.push(`bad tcp option ${kind}: length ${bytes} with ${end - at} left, at byte ${at - p.at}`);
      return;
    }
    into.push(tcpOption(b, kind, at + 2, at + bytes));
    at += bytes;
  }
}

/** The option `kind` with its value at [at, end); one of unexpected length is shown raw. */
function tcpOption(b: Bytes, kind: number, at: number, end: number): TcpOption {
  const bytes = end - at;
  if (kind === 2 && bytes === 2) return { kind: 'mss', value: u16(b, at) };
  if (kind === 3 && bytes === 1) return { kind: 'wscale', shift: u8(b, at) };
  if (kind === 4 && bytes === 0) return { kind: 'sackOK' };
  if (kind === 5 && bytes > 0 && bytes % 8 === 0) {
    const blocks: [number, number][] = [];
    for (; at < end; at += 8) blocks.push([u32(b, at), u32(b, at + 4)]);
    return { kind: 'sack', blocks };
  }
  if (kind === 8 && bytes === 8) return { kind: 'TS', val: u32(b, at), ecr: u32(b, at + 4) };
  if (kind === 19 && bytes === 16) return { kind: 'md5', digest: hex(b, at, end) };
  if (kind === 34) return { kind: 'FO', cookie: hex(b, at, end), experimental: false };
  if (kind === 254 && bytes >= 2 && u16(b, at) === 0xf989) {
    return { kind: 'FO', cookie: hex(b, at + 2, end), experimental: true };
  }
  if ((kind === 172 || kind === 174) && bytes % 3 === 0 && bytes <= 9) return accurateEcn(b, kind, at, end);
  return { kind: 'other', number: kind, hex: hex(b, at, end) };
}

/** Accurate ECN: three counters, the order by the kind, those at the end may be left out. */
function accurateEcn(b: Bytes, kind: number, at: number, end: number): TcpOption {
  const counter = (i: number): number | null =>
    at + 3 * i + 3 <= end ? (u8(b, at + 3 * i) << 16) | u16(b, at + 3 * i + 1) : null;
  const [first, last] = [counter(0), counter(2)];
  return kind === 172
    ? { kind: 'ECN', e0b: first, ceb: counter(1), e1b: last }
    : { kind: 'ECN', e0b: last, ceb: counter(1), e1b: first };
}

/** Fills `p.udp` from the body of `ip`. */
export function dissectUdp(p: Packet, ip: Ip, quoted: boolean): void {
  const b = p.bytes;
  const at = ip.bodyAt;
  if (ip.end - at < UDP_HEADER) {
    p.problems.push(`truncated udp header: ${Math.max(0, ip.end - at)} of ${UDP_HEADER} bytes at byte ${at - p.at}`);
    return;
  }
  if (tooShort(p, at, UDP_HEADER, 'udp header')) return;
  const length = u16(b, at + 4);
  p.udp = {
    sport: u16(b, at),
    dport: u16(b, at + 2),
    length: Math.max(0, length - UDP_HEADER),
    checksum: 'unknown',
  };
  const more = ip.moreFragments;
  if (length < UDP_HEADER || (at + length > ip.end && !more)) {
    if (!quoted) p.problems.push(`bad udp length ${length} with ${ip.end - at} bytes there, at byte ${at + 4 - p.at}`);
    return;
  }
  const end = Math.min(p.end, ip.end, at + length);
  p.payloadAt = at + UDP_HEADER;
  p.payloadEnd = Math.max(end, p.payloadAt);
  if (quoted) return;
  if (u16(b, at + UDP_CHECKSUM) !== 0) {
    p.udp.checksum = judgeChecksum(p, ip, at, at + length, at + UDP_CHECKSUM, 'udp');
  } else {
    p.udp.checksum = 'none';
    if (ip.version === 6 && !more) p.problems.push('no udp checksum, which IPv6 requires');
  }
}
