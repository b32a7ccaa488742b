import type { NetworkError } from '../base/datagram';
import type { IcmpMessage } from './icmp';
import {
  FRAGMENTATION_NEEDED,
  PACKET_TOO_BIG_V6,
  PARAMETER_PROBLEM,
  PARAMETER_PROBLEM_V6,
  SOURCE_QUENCH,
  TIME_EXCEEDED,
  TIME_EXCEEDED_V6,
  UNREACHABLE,
  UNREACHABLE_V6,
} from './icmp';
import { UNKNOWN_NEXT_HEADER } from './ipv6';

/** What one kind of error means to whoever sent the packet. */
export interface IcmpMeaning {
  readonly name: NetworkError;
  /** TCP: RFC 1122 §4.2.3.9 lets it end a connection; MUST-56 lists those that must not. */
  readonly hard: boolean;
  /** UDP: a connected socket hears of it, as on Linux. */
  readonly fatal: boolean;
}

const meaning = (name: NetworkError, fatal = false, hard = false): IcmpMeaning => ({ name, hard, fatal });

/** Codes of "destination unreachable" (RFC 1122 §3.2.2.1, RFC 1812 §5.2.7.1), as Linux reads them. */
const UNREACHABLE_CODES: readonly (IcmpMeaning | null)[] = [
  meaning('ENETUNREACH'),
  meaning('EHOSTUNREACH'),
  meaning('ENOPROTOOPT', true, true),
  meaning('ECONNREFUSED', true, true),
  meaning('EMSGSIZE', true),
  meaning('EOPNOTSUPP'),
  meaning('ENETUNREACH', true),
  meaning('EHOSTDOWN', true),
  meaning('ENONET', true),
  meaning('ENETUNREACH', true),
  meaning('EHOSTUNREACH', true),
  meaning('ENETUNREACH'),
  meaning('EHOSTUNREACH'),
  meaning('EHOSTUNREACH', true),
  meaning('EHOSTUNREACH', true),
  meaning('EHOSTUNREACH', true),
];

/** RFC 4443 §3.1. */
const UNREACHABLE_CODES_V6: readonly IcmpMeaning[] = [
  meaning('ENETUNREACH'),
  meaning('EACCES', false, true),
  meaning('EHOSTUNREACH'),
  meaning('EHOSTUNREACH'),
  meaning('ECONNREFUSED', true, true),
  meaning('EACCES', true),
  meaning('EACCES', true),
];

/** An address that nobody on the link answers for: what a router would say of it (RFC 4861 §7.2.2). */
export const NEIGHBOR_UNREACHABLE: IcmpMeaning = meaning('EHOSTUNREACH');
const EXCEEDED = meaning('EHOSTUNREACH');
const PROBLEM = meaning('EPROTO', true);
const PROBLEM_NEXT_HEADER_V6 = meaning('EPROTO', true, true);

/** Whether a message is one of the errors, known or not. */
export function isErrorType(family: 4 | 6, type: number): boolean {
  if (family === 6) return type < 128;
  return type === UNREACHABLE || type === SOURCE_QUENCH || type === TIME_EXCEEDED || type === PARAMETER_PROBLEM;
}

export const isTooBig = (family: 4 | 6, m: IcmpMessage): boolean =>
  family === 4 ? m.type === UNREACHABLE && m.code === FRAGMENTATION_NEEDED : m.type === PACKET_TOO_BIG_V6;

/** What an error means; null for what means nothing to a transport: source quench (RFC 6633, MUST-55), unknown codes. */
export function meaningOf(family: 4 | 6, m: IcmpMessage): IcmpMeaning | null {
  if (family === 4) {
    if (m.type === UNREACHABLE) return UNREACHABLE_CODES[m.code] ?? null;
    if (m.type === TIME_EXCEEDED) return EXCEEDED;
    return m.type === PARAMETER_PROBLEM ? PROBLEM : null;
  }
  switch (m.type) {
    case UNREACHABLE_V6:
      return UNREACHABLE_CODES_V6[m.code] ?? null;
    case TIME_EXCEEDED_V6:
      return EXCEEDED;
    case PARAMETER_PROBLEM_V6:
      return m.code === UNKNOWN_NEXT_HEADER ? PROBLEM_NEXT_HEADER_V6 : PROBLEM;
    default:
      return null;
  }
}

/** RFC 1191 §7.1's table of likely MTUs. */
const PLATEAUS = [65_535, 32_000, 17_914, 8166, 4352, 2002, 1492, 1006, 508, 296, 68];

/** The next lower plateau, for a router that names no size. */
export const plateauBelow = (bytes: number): number => PLATEAUS.find((plateau) => plateau < bytes) ?? 68;
