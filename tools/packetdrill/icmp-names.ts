import { ICMP_CODES } from '../pcap/icmp-codes';
import type { Named } from './ast';
import type { IpVersion } from './packet';

/** Message types by number: RFC 792, 950 and 1256 for IPv4, RFC 4443 for IPv6. */
const TYPES: Readonly<Record<IpVersion, Readonly<Record<string, number>>>> = {
  4: {
    unreachable: 3,
    time_exceeded: 11,
    parameter_problem: 12,
    echo_request: 8,
    echo_reply: 0,
    redirect: 5,
    source_quench: 4,
    router_advertisement: 9,
    router_solicitation: 10,
    timestamp_request: 13,
    timestamp_reply: 14,
    information_request: 15,
    information_reply: 16,
    address_mask_request: 17,
    address_mask_reply: 18,
  },
  6: {
    unreachable: 1,
    packet_too_big: 2,
    time_exceeded: 3,
    parameter_problem: 4,
    echo_request: 128,
    echo_reply: 129,
    router_solicitation: 133,
    router_advertisement: 134,
    neighbor_solicitation: 135,
    neighbor_advertisement: 136,
    redirect: 137,
  },
};

/** Other names for a code. */
const ALIASES: Readonly<Record<IpVersion, Readonly<Record<string, number>>>> = { 4: {}, 6: { net_unreachable: 0 } };

const own = (table: Readonly<Record<string, number>>, name: string): number | undefined =>
  Object.hasOwn(table, name) ? table[name] : undefined;

function numbered(name: string, prefix: string): number | null {
  const found = new RegExp(`^${prefix}_(\\d{1,3})$`).exec(name);
  return found !== null && Number(found[1]) <= 255 ? Number(found[1]) : null;
}

/** The type that a word names (`unreachable`, `type_7`), or null. */
export function icmpType(version: IpVersion, name: string): Named | null {
  const number = own(TYPES[version], name) ?? numbered(name, 'type');
  return number === null ? null : { name, number };
}

/** The code that a word names for a type (`frag_needed`, `code_4`), or null. */
export function icmpCode(version: IpVersion, type: number, name: string): Named | null {
  const index = ICMP_CODES[version][type]?.indexOf(name) ?? -1;
  if (index >= 0) return { name, number: index };
  const number =
    numbered(name, 'code') ?? (type === TYPES[version]['unreachable'] ? own(ALIASES[version], name) : undefined);
  return number === null || number === undefined ? null : { name, number };
}

/** The names that a script may use for a type, for error messages. */
export const icmpTypeNames = (version: IpVersion): string[] => Object.keys(TYPES[version]);

/** The names that a script may use for a code of a type. */
export const icmpCodeNames = (version: IpVersion, type: number): readonly string[] => ICMP_CODES[version][type] ?? [];

/** How a type is written: its name, or `type_7`. */
export function icmpTypeName(version: IpVersion, type: number): string {
  for (const [name, number] of Object.entries(TYPES[version])) if (number === type) return name;
  return `type_${type}`;
}

/** How a code is written: its name, or `code_7`. */
export const icmpCodeName = (version: IpVersion, type: number, code: number): string =>
  ICMP_CODES[version][type]?.[code] ?? `code_${code}`;
