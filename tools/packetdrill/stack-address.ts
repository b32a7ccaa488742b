import { type Address, parseAddress } from '../../stack/base/address';
import type { SocketAddress } from './target';

/** The stack's address for what a socket call names; an IPv4-mapped one is IPv4. Null when the text is no address. */
export function toAddress(ip: string): Address | null {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(ip);
  return parseAddress(mapped === null ? ip : mapped[1]!);
}

/** How a socket of a family shows an address: IPv4 on AF_INET6 is mapped. */
export function toSocketAddress(address: Address, port: number, domain: 'inet' | 'inet6'): SocketAddress {
  const ip = address.toString();
  return { ip: domain === 'inet6' && address.family === 4 ? `::ffff:${ip}` : ip, port };
}
