import { isIPv4, isIPv6 } from 'node:net';

/** An address with the length of its network's prefix: 10.0.0.1/24, fd00::1/64. */
export interface Cidr {
  readonly family: 4 | 6;
  /** 4 or 16 bytes. */
  readonly address: Uint8Array;
  readonly prefix: number;
}

/**
 * Reads "address/prefix"; without a prefix the network is the address alone.
 *
 * @throws TypeError with code ERR_INVALID_ARG_VALUE on anything else.
 */
export function parseCidr(text: string): Cidr {
  const [address = '', length, rest] = text.split('/');
  const family = isIPv4(address) ? 4 : isIPv6(address) && !address.includes('%') ? 6 : 0;
  const widest = family === 4 ? 32 : 128;
  const prefix = length === undefined ? widest : /^\d{1,3}$/.test(length) ? Number(length) : Number.NaN;
  if (family === 0 || rest !== undefined || !(prefix <= widest)) {
    const error = new TypeError(`"${text}" is not an address with a prefix length, like 10.0.0.1/24 or fd00::1/64`);
    throw Object.assign(error, { code: 'ERR_INVALID_ARG_VALUE' });
  }
  return { family, address: family === 4 ? bytes4(address) : bytes6(address), prefix };
}

const bytes4 = (text: string): Uint8Array => Uint8Array.from(text.split('.'), Number);

/** `text` is known to be an IPv6 address. */
function bytes6(text: string): Uint8Array {
  const bytes = new Uint8Array(16);
  const [left = '', right] = text.split('::');
  const head = words(left);
  const tail = right === undefined ? [] : words(right);
  for (const [i, word] of head.entries()) putWord(bytes, i, word);
  for (const [i, word] of tail.entries()) putWord(bytes, 8 - tail.length + i, word);
  return bytes;
}

/** The 16-bit words of one side of "::", a dotted IPv4 tail (RFC 4291 §2.2) included. */
function words(side: string): number[] {
  if (side === '') return [];
  return side.split(':').flatMap((part) => {
    if (!part.includes('.')) return [Number.parseInt(part, 16)];
    const [a, b, c, d] = bytes4(part) as unknown as [number, number, number, number];
    return [(a << 8) | b, (c << 8) | d];
  });
}

function putWord(bytes: Uint8Array, index: number, word: number): void {
  bytes[index * 2] = word >>> 8;
  bytes[index * 2 + 1] = word;
}

/** The address in its usual writing (RFC 5952 for IPv6), without the prefix. */
export function addressText(address: Uint8Array): string {
  if (address.length === 4) return address.join('.');
  const groups = Array.from({ length: 8 }, (_, i) => ((address[i * 2]! << 8) | address[i * 2 + 1]!).toString(16));
  const [from, length] = longestZeros(groups);
  if (length < 2) return groups.join(':');
  return `${groups.slice(0, from).join(':')}::${groups.slice(from + length).join(':')}`;
}

/** Where the longest run of zero groups begins, the first of equals, and its length (RFC 5952 §4.2). */
function longestZeros(groups: readonly string[]): [number, number] {
  let best = 0;
  let bestLength = 0;
  for (let i = 0, run = 0; i < groups.length; i++) {
    run = groups[i] === '0' ? run + 1 : 0;
    if (run > bestLength) {
      bestLength = run;
      best = i - run + 1;
    }
  }
  return [best, bestLength];
}

export const cidrText = (cidr: Cidr): string => `${addressText(cidr.address)}/${cidr.prefix}`;

/** Whether `address` lies in the network of `cidr`. */
export function contains(cidr: Cidr, address: Uint8Array): boolean {
  if (cidr.address.length !== address.length) return false;
  for (let bit = 0; bit < cidr.prefix; bit += 8) {
    const mask = 0xff << Math.max(0, 8 - (cidr.prefix - bit));
    if (((cidr.address[bit >>> 3]! ^ address[bit >>> 3]!) & mask & 0xff) !== 0) return false;
  }
  return true;
}

/**
 * Reads a link address, "02:00:00:00:00:01".
 *
 * @throws TypeError with code ERR_INVALID_ARG_VALUE on anything else, and on a group address.
 */
export function parseMac(text: string): Uint8Array {
  const bytes = Uint8Array.from(text.split(':'), (part) =>
    /^[0-9a-f]{1,2}$/i.test(part) ? Number.parseInt(part, 16) : -1,
  );
  const valid = /^([0-9a-f]{1,2}:){5}[0-9a-f]{1,2}$/i.test(text) && (bytes[0]! & 1) === 0;
  if (valid) return bytes;
  const error = new TypeError(`"${text}" is not the link address of one station, like 02:00:00:00:00:01`);
  throw Object.assign(error, { code: 'ERR_INVALID_ARG_VALUE' });
}

export const macText = (mac: Uint8Array): string =>
  Array.from(mac, (byte) => byte.toString(16).padStart(2, '0')).join(':');
