import { type Bytes, u8, u16, u32 } from '../../stack/base/bytes';
import { ipv4Text, ipv6Text, macText } from './addresses';
import { judgeChecksum } from './dissect-transport';
import { ICMP_CODES } from './icmp-codes';
import { type Icmp, type Ip, type Packet, tooShort } from './packet';

const HEADER = 8;

interface Kind {
  name: string;
  codes?: readonly string[];
  /** The packet that caused it follows the header. */
  quotes?: boolean;
}

const TYPES4: Readonly<Record<number, Kind>> = {
  0: { name: 'echo_reply' },
  3: { name: 'unreachable', codes: ICMP_CODES[4][3], quotes: true },
  4: { name: 'source_quench', quotes: true },
  5: { name: 'redirect', codes: ICMP_CODES[4][5], quotes: true },
  8: { name: 'echo_request' },
  9: { name: 'router_advertisement' },
  10: { name: 'router_solicitation' },
  11: { name: 'time_exceeded', codes: ICMP_CODES[4][11], quotes: true },
  12: { name: 'parameter_problem', quotes: true },
  13: { name: 'timestamp_request' },
  14: { name: 'timestamp_reply' },
};
const TYPES6: Readonly<Record<number, Kind>> = {
  1: { name: 'unreachable', codes: ICMP_CODES[6][1], quotes: true },
  2: { name: 'packet_too_big', quotes: true },
  3: { name: 'time_exceeded', codes: ICMP_CODES[6][3], quotes: true },
  4: { name: 'parameter_problem', codes: ICMP_CODES[6][4], quotes: true },
  128: { name: 'echo_request' },
  129: { name: 'echo_reply' },
  130: { name: 'mld_query' },
  131: { name: 'mld_report' },
  132: { name: 'mld_done' },
  133: { name: 'router_solicitation' },
  134: { name: 'router_advertisement' },
  135: { name: 'neighbor_solicitation' },
  136: { name: 'neighbor_advertisement' },
  137: { name: 'redirect' },
  143: { name: 'mld2_report' },
};

/**
 * Fills `p.icmp` from the body of `ip`: ICMP over IPv4, ICMPv6 over IPv6. Returns where the packet that an error quotes
 * begins, or -1 when there is none.
 */
export function dissectIcmp(p: Packet, ip: Ip, quoted: boolean): number {
  const b = p.bytes;
  const at = ip.bodyAt;
  if (ip.end - at < HEADER) {
    p.problems.push(`truncated icmp header: ${Math.max(0, ip.end - at)} of ${HEADER} bytes at byte ${at - p.at}`);
    return -1;
  }
  if (tooShort(p, at, HEADER, 'icmp header')) return -1;
  const type = u8(b, at);
  const code = u8(b, at + 1);
  const kind = (ip.version === 4 ? TYPES4 : TYPES6)[type];
  const icmp: Icmp = {
    version: ip.version,
    type,
    code,
    name: kind?.name ?? `type_${type}`,
    details: '',
    quote: null,
    length: ip.end - at - HEADER,
    checksum: 'unknown',
  };
  p.icmp = icmp;
  const end = Math.min(p.end, ip.end);
  if (!quoted) icmp.checksum = judgeChecksum(p, ip, at, ip.end, at + 2, ip.version === 4 ? 'icmp' : 'icmp6');
  const words = [codeText(kind, code), restText(b, ip, type, code, at, end)];
  icmp.details = words.filter((word) => word !== '').join(' ');
  return kind?.quotes && !quoted && at + HEADER < end ? at + HEADER : -1;
}

function codeText(kind: Kind | undefined, code: number): string {
  if (kind?.codes !== undefined) return kind.codes[code] ?? `code_${code}`;
  return code === 0 ? '' : `code_${code}`;
}

/** What the four bytes after the checksum, and the body of neighbour discovery, say. */
function restText(b: Bytes, ip: Ip, type: number, code: number, at: number, end: number): string {
  if (ip.version === 4) {
    if (type === 0 || type === 8) return `id ${u16(b, at + 4)} seq ${u16(b, at + 6)}`;
    if (type === 3 && code === 4) return `mtu ${u16(b, at + 6)}`;
    if (type === 5) return `to ${ipv4Text(b, at + 4)}`;
    if (type === 12) return `pointer ${u8(b, at + 4)}`;
    return '';
  }
  if (type === 128 || type === 129) return `id ${u16(b, at + 4)} seq ${u16(b, at + 6)}`;
  if (type === 2) return `mtu ${u32(b, at + 4)}`;
  if (type === 4) return `pointer ${u32(b, at + 4)}`;
  if (type === 133) return discoveryOptions(b, at + HEADER, end);
  if (type === 134) return routerText(b, at, end);
  if ((type === 135 || type === 136 || type === 137) && end - at < 24) return '';
  if (type === 135) return join(`who-has ${ipv6Text(b, at + 8)}`, discoveryOptions(b, at + 24, end));
  if (type === 136)
    return join(`${ipv6Text(b, at + 8)} is-at`, neighborFlags(b, at), discoveryOptions(b, at + 24, end));
  if (type === 137 && end - at >= 40) return `${ipv6Text(b, at + 24)} to ${ipv6Text(b, at + 8)}`;
  if ((type === 130 || type === 131 || type === 132) && end - at >= 24) return ipv6Text(b, at + 8);
  return '';
}

const join = (...words: string[]): string => words.filter((word) => word !== '').join(' ');

/** Router, Solicited and Override (RFC 4861 §4.4). */
function neighborFlags(b: Bytes, at: number): string {
  const bits = u8(b, at + 4);
  const text = `${bits & 0x80 ? 'R' : ''}${bits & 0x40 ? 'S' : ''}${bits & 0x20 ? 'O' : ''}`;
  return text === '' ? '' : `[${text}]`;
}

function routerText(b: Bytes, at: number, end: number): string {
  if (end - at < 16) return '';
  const bits = u8(b, at + 5);
  const flags = `${bits & 0x80 ? 'M' : ''}${bits & 0x40 ? 'O' : ''}`;
  return join(
    `hops ${u8(b, at + 4)}`,
    flags === '' ? '' : `[${flags}]`,
    `lifetime ${u16(b, at + 6)}`,
    discoveryOptions(b, at + 16, end),
  );
}

/** The options of neighbour discovery (RFC 4861 §4.6) in angle brackets; "" when there are none. */
function discoveryOptions(b: Bytes, at: number, end: number): string {
  const found: string[] = [];
  while (at + 8 <= end) {
    const type = u8(b, at);
    const bytes = u8(b, at + 1) * 8;
    if (bytes === 0 || at + bytes > end) {
      found.push(`bad option ${type}`);
      break;
    }
    if (type === 1) found.push(`source ${macText(b, at + 2)}`);
    else if (type === 2) found.push(`target ${macText(b, at + 2)}`);
    else if (type === 3 && bytes >= 32) found.push(`prefix ${ipv6Text(b, at + 16)}/${u8(b, at + 2)}`);
    else if (type === 5) found.push(`mtu ${u32(b, at + 4)}`);
    else found.push(`option ${type}`);
    at += bytes;
  }
  return found.length === 0 ? '' : `<${found.join(',')}>`;
}
