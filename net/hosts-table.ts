import { isIP } from 'node:net';
import { addressOf, cidrOf, LOOPBACK_ADDRESSES } from './host-options';

const LOOPBACK = LOOPBACK_ADDRESSES.map(cidrOf);

/** The stack's own loopback has this address: what else a machine's table may say is nowhere on it. */
function isHere(text: string): boolean {
  const address = addressOf(text);
  return LOOPBACK.some((range) => range.contains(address));
}

/** The loopback addresses of `name` in the text of a table such as /etc/hosts, each once, IPv4 first. */
export function loopbackOf(name: string, table: string): string[] {
  const found = new Set<string>();
  for (const line of table.split('\n')) {
    const [address = '', ...names] = line.replace(/#.*/, '').trim().split(/\s+/);
    if (names.some((one) => one.toLowerCase() === name) && isIP(address) !== 0 && isHere(address)) found.add(address);
  }
  return [...found].sort((a, b) => isIP(a) - isIP(b));
}
