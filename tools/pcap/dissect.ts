import type { LinkType } from '../../device/device';
import { type Bytes, i32, u8, u16, u32 } from '../../stack/base/bytes';
import { finish, sum } from '../../stack/base/checksum';
import { hex, ipv4Text, ipv6Text, macText } from './addresses';
import { dissectIcmp } from './dissect-icmp';
import { dissectTcp, dissectUdp } from './dissect-transport';
import * as f from './format';
import { badChecksum, type Ip, newPacket, type Packet, tooShort } from './packet';

const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_ARP = 0x0806;
const ETHERTYPE_IPV6 = 0x86dd;
const VLAN_TAGS = [0x8100, 0x88a8, 0x9100];
const VLANS_MAX = 4;

const PROTOCOL_ICMP = 1;
const PROTOCOL_TCP = 6;
const PROTOCOL_UDP = 17;
const PROTOCOL_ICMP6 = 58;
/** No next header (RFC 8200 §4.7). */
const PROTOCOL_NONE = 59;
const FRAGMENT = 44;
const AUTHENTICATION = 51;
/** Extension headers that can be passed: hop-by-hop, routing, fragment, AH, destination, mobility, HIP, shim6. */
const EXTENSIONS = new Set([0, 43, FRAGMENT, AUTHENTICATION, 60, 135, 139, 140]);
/** A chain of extension headers longer than this is an attack, not a packet. */
const EXTENSIONS_MAX = 32;

const ETHERTYPES: Readonly<Record<number, string>> = {
  2114: 'wake-on-lan',
  32821: 'rarp',
  34887: 'mpls',
  34915: 'pppoe-discovery',
  34916: 'pppoe',
  34958: 'eapol',
  35020: 'lldp',
  35063: 'ptp',
};

const PROTOCOLS: Readonly<Record<number, string>> = {
  0: 'hop-by-hop',
  2: 'igmp',
  4: 'ipip',
  41: 'ipv6-in-ip',
  43: 'routing',
  44: 'fragment',
  47: 'gre',
  50: 'esp',
  51: 'ah',
  59: 'no-next-header',
  60: 'destination-options',
  88: 'eigrp',
  89: 'ospf',
  103: 'pim',
  112: 'vrrp',
  132: 'sctp',
  136: 'udplite',
};

/** What `dissect` may be told of a frame. */
export interface DissectOptions {
  /** Bytes that the frame had on the wire, when the capture kept fewer. */
  originalLength?: number;
}

/**
 * Reads the frame at [at, end). Total: any bytes give a Packet, and what is wrong with them is in its `problems`, with
 * byte positions counted from the frame's first byte.
 */
export function dissect(
  bytes: Bytes,
  at: number,
  end: number,
  linkType: LinkType | number,
  options: DissectOptions = {},
): Packet {
  const p = newPacket(bytes, at, end, (options.originalLength ?? 0) > end - at);
  switch (linkType) {
    case 'ip':
    case f.LINK_RAW:
    case f.LINK_RAW_BSD:
    case f.LINK_RAW_OPENBSD:
    case f.LINK_IPV4:
    case f.LINK_IPV6:
      dissectIp(p, at, false);
      break;
    case 'ethernet':
    case f.LINK_ETHERNET:
      dissectEthernet(p);
      break;
    case f.LINK_NULL:
    case f.LINK_LOOP:
      dissectLoopback(p);
      break;
    case f.LINK_LINUX_SLL:
      dissectCooked(p, 16, 14);
      break;
    case f.LINK_LINUX_SLL2:
      dissectCooked(p, 20, 0);
      break;
    default:
      p.other = { name: `linktype-${linkType}`, at, end };
  }
  return p;
}

function dissectEthernet(p: Packet): void {
  const b = p.bytes;
  if (tooShort(p, p.at, 14, 'ethernet header')) return;
  let typeAt = p.at + 12;
  const vlans: number[] = [];
  while (VLAN_TAGS.includes(u16(b, typeAt)) && vlans.length < VLANS_MAX) {
    if (tooShort(p, typeAt, 6, 'vlan tag')) return;
    vlans.push(u16(b, typeAt + 2) & 0xfff);
    typeAt += 4;
  }
  const type = u16(b, typeAt);
  p.ethernet = { source: macText(b, p.at + 6), destination: macText(b, p.at), type, vlans };
  dissectEtherType(p, type, typeAt + 2);
}

function dissectEtherType(p: Packet, type: number, at: number): void {
  if (type === ETHERTYPE_IPV4 || type === ETHERTYPE_IPV6) {
    dissectIp(p, at, false);
    if (p.ip !== null && p.ip.version !== (type === ETHERTYPE_IPV4 ? 4 : 6)) {
      p.problems.push(`the link says ${type === ETHERTYPE_IPV4 ? 'IPv4' : 'IPv6'}, the datagram IPv${p.ip.version}`);
    }
  } else if (type === ETHERTYPE_ARP) dissectArp(p, at);
  else if (type < 0x0600) p.other = { name: 'llc', at, end: Math.min(p.end, at + type) };
  else p.other = { name: ETHERTYPES[type] ?? `ethertype-0x${type.toString(16).padStart(4, '0')}`, at, end: p.end };
}

/** BSD loopback: an address family in the writer's byte order, or in network order. */
function dissectLoopback(p: Packet): void {
  if (tooShort(p, p.at, 4, 'loopback header')) return;
  dissectIp(p, p.at + 4, false);
}

/** Linux cooked captures (`tcpdump -i any`): a header with an EtherType in it. */
function dissectCooked(p: Packet, bytes: number, typeAt: number): void {
  if (tooShort(p, p.at, bytes, 'cooked header')) return;
  dissectEtherType(p, u16(p.bytes, p.at + typeAt), p.at + bytes);
}

function dissectArp(p: Packet, at: number): void {
  const b = p.bytes;
  if (tooShort(p, at, 8, 'arp header')) return;
  if (u16(b, at + 2) !== ETHERTYPE_IPV4 || u8(b, at + 4) !== 6 || u8(b, at + 5) !== 4) {
    p.problems.push(`arp for a protocol other than IPv4 over Ethernet at byte ${at - p.at}`);
    p.other = { name: 'arp', at, end: p.end };
    return;
  }
  if (tooShort(p, at, 28, 'arp packet')) return;
  p.arp = {
    operation: u16(b, at + 6),
    senderMac: macText(b, at + 8),
    senderIp: ipv4Text(b, at + 14),
    targetMac: macText(b, at + 18),
    targetIp: ipv4Text(b, at + 24),
  };
  if (p.arp.operation !== 1 && p.arp.operation !== 2) {
    p.problems.push(`arp operation ${p.arp.operation} at byte ${at + 6 - p.at}`);
  }
}

/** Reads the datagram at `at`. In a quote (of an ICMP error) nothing but its beginning need be there or be right. */
function dissectIp(p: Packet, at: number, quoted: boolean): void {
  if (tooShort(p, at, 1, 'ip header')) return;
  const version = u8(p.bytes, at) >>> 4;
  if (version === 4) dissectIpv4(p, at, quoted);
  else if (version === 6) dissectIpv6(p, at, quoted);
  else {
    p.problems.push(`ip version ${version} at byte ${at - p.at}`);
    p.other = { name: 'ip', at, end: p.end };
  }
}

function dissectIpv4(p: Packet, at: number, quoted: boolean): void {
  const b = p.bytes;
  if (tooShort(p, at, 20, 'ip header')) return;
  const header = (u8(b, at) & 15) * 4;
  const length = u16(b, at + 2);
  const fragment = u16(b, at + 6);
  const ip: Ip = {
    version: 4,
    source: ipv4Text(b, at + 12),
    destination: ipv4Text(b, at + 16),
    headerAt: at,
    bodyAt: at + header,
    end: at + length,
    protocol: u8(b, at + 9),
    ttl: u8(b, at + 8),
    tos: u8(b, at + 1),
    id: u16(b, at + 4),
    flowLabel: 0,
    dontFragment: (fragment & 0x4000) !== 0,
    fragmentOffset: (fragment & 0x1fff) * 8,
    moreFragments: (fragment & 0x2000) !== 0,
    options: null,
    extensions: [],
  };
  p.ip = ip;
  if (header < 20) {
    p.problems.push(`bad ip header length ${header} at byte ${at - p.at}`);
    return;
  }
  if (tooShort(p, at, header, 'ip header')) return;
  if (header > 20) ip.options = hex(b, at + 20, at + header);
  if (length === 0) {
    p.problems.push('ip length 0, presumably cut later by a device');
    ip.end = p.end;
  } else if (length < header) {
    p.problems.push(`bad ip length ${length}, less than its header, at byte ${at + 2 - p.at}`);
    return;
  } else if (ip.end > p.end && !p.cut && !quoted) {
    p.problems.push(`truncated datagram: ${p.end - at} of ${length} bytes`);
  }
  if (!quoted) checkIpHeader(p, at, header);
  dissectBody(p, ip, quoted);
}

function checkIpHeader(p: Packet, at: number, header: number): void {
  const b = p.bytes;
  if (finish(sum(b, at, at + header, 0)) === 0) return;
  const found = u16(b, at + 10);
  p.problems.push(badChecksum('ip', found, finish(sum(b, at, at + header, 0xffff - found)), at + 10 - p.at));
}

function dissectIpv6(p: Packet, at: number, quoted: boolean): void {
  const b = p.bytes;
  if (tooShort(p, at, 40, 'ip header')) return;
  const word = i32(b, at);
  const length = u16(b, at + 4);
  const ip: Ip = {
    version: 6,
    source: ipv6Text(b, at + 8),
    destination: ipv6Text(b, at + 24),
    headerAt: at,
    bodyAt: at + 40,
    end: at + 40 + length,
    protocol: u8(b, at + 6),
    ttl: u8(b, at + 7),
    tos: (word >>> 20) & 0xff,
    id: 0,
    flowLabel: word & 0xfffff,
    dontFragment: true,
    fragmentOffset: 0,
    moreFragments: false,
    options: null,
    extensions: [],
  };
  p.ip = ip;
  if (length === 0 && ip.protocol !== PROTOCOL_NONE && p.end > at + 40) {
    p.problems.push('ip length 0, presumably cut later by a device');
    ip.end = p.end;
  } else if (ip.end > p.end && !p.cut && !quoted) {
    p.problems.push(`truncated datagram: ${p.end - at} of ${40 + length} bytes`);
  }
  if (walkExtensions(p, ip)) dissectBody(p, ip, quoted);
}

/** Moves `bodyAt` and `protocol` behind the extension headers (RFC 8200 §4). False when they cannot be followed. */
function walkExtensions(p: Packet, ip: Ip): boolean {
  const b = p.bytes;
  while (EXTENSIONS.has(ip.protocol)) {
    const at = ip.bodyAt;
    if (ip.extensions.length === EXTENSIONS_MAX) {
      p.problems.push(`more than ${EXTENSIONS_MAX} extension headers`);
      return false;
    }
    if (tooShort(p, at, 8, 'extension header')) return false;
    const kind = ip.protocol;
    let bytes = 8 * (u8(b, at + 1) + 1);
    if (kind === FRAGMENT) {
      bytes = 8;
      ip.fragmentOffset = u16(b, at + 2) & 0xfff8;
      ip.moreFragments = (u16(b, at + 2) & 1) !== 0;
      ip.id = u32(b, at + 4);
    } else if (kind === AUTHENTICATION) {
      bytes = 4 * (u8(b, at + 1) + 2);
    }
    ip.extensions.push(kind);
    ip.protocol = u8(b, at);
    if (tooShort(p, at, bytes, 'extension header')) return false;
    ip.bodyAt = at + bytes;
    if (ip.bodyAt > ip.end) {
      p.problems.push(`an extension header ends beyond the datagram, at byte ${at - p.at}`);
      return false;
    }
    if (ip.fragmentOffset > 0) break;
  }
  return true;
}

function dissectBody(p: Packet, ip: Ip, quoted: boolean): void {
  const end = Math.min(p.end, ip.end);
  if (ip.fragmentOffset > 0) return;
  switch (ip.protocol) {
    case PROTOCOL_TCP:
      dissectTcp(p, ip, quoted);
      break;
    case PROTOCOL_UDP:
      dissectUdp(p, ip, quoted);
      break;
    case PROTOCOL_ICMP:
      if (ip.version === 4) dissectIcmpWithQuote(p, ip, quoted);
      else p.other = { name: 'icmp', at: ip.bodyAt, end };
      break;
    case PROTOCOL_ICMP6:
      if (ip.version === 6) dissectIcmpWithQuote(p, ip, quoted);
      else p.other = { name: 'icmp6', at: ip.bodyAt, end };
      break;
    default:
      p.other = { name: protocolName(ip.protocol), at: Math.min(ip.bodyAt, end), end };
  }
}

function dissectIcmpWithQuote(p: Packet, ip: Ip, quoted: boolean): void {
  const quoteAt = dissectIcmp(p, ip, quoted);
  if (quoteAt < 0) return;
  const quote = newPacket(p.bytes, quoteAt, Math.min(p.end, ip.end), true);
  dissectIp(quote, quoteAt, true);
  p.icmp!.quote = quote;
}

/** "udp", "sctp", or "ip-proto-253". */
export function protocolName(protocol: number): string {
  if (protocol === PROTOCOL_TCP) return 'tcp';
  if (protocol === PROTOCOL_UDP) return 'udp';
  if (protocol === PROTOCOL_ICMP) return 'icmp';
  if (protocol === PROTOCOL_ICMP6) return 'icmp6';
  return PROTOCOLS[protocol] ?? `ip-proto-${protocol}`;
}
