/**
 * An IP address as four 32-bit words, IPv4 in its IPv6-mapped form (::ffff:a.b.c.d, RFC 4291 §2.5.5.2), so that one
 * connection table and one comparison serve both families. Immutable.
 */
export class Address {
  constructor(
    readonly family: 4 | 6,
    readonly w0: number,
    readonly w1: number,
    readonly w2: number,
    readonly w3: number,
  ) {}

  static v4(word: number): Address {
    return new Address(4, 0, 0, MAPPED, word | 0);
  }

  equals(other: Address): boolean {
    return (
      this.family === other.family &&
      this.w3 === other.w3 &&
      this.w2 === other.w2 &&
      this.w1 === other.w1 &&
      this.w0 === other.w0
    );
  }

  /** 0.0.0.0 or :: */
  get isUnspecified(): boolean {
    return this.w3 === 0 && this.w0 === 0 && this.w1 === 0 && (this.family === 4 || this.w2 === 0);
  }

  get isLoopback(): boolean {
    if (this.family === 4) return this.w3 >>> 24 === 127;
    return this.w0 === 0 && this.w1 === 0 && this.w2 === 0 && this.w3 === 1;
  }

  get isMulticast(): boolean {
    return this.family === 4 ? this.w3 >>> 28 === 14 : this.w0 >>> 24 === 0xff;
  }

  /** 255.255.255.255; a subnet's own broadcast address is the interface's knowledge. */
  get isLimitedBroadcast(): boolean {
    return this.family === 4 && this.w3 === -1;
  }

  get isLinkLocal(): boolean {
    return this.family === 4 ? this.w3 >>> 16 === 0xa9fe : this.w0 >>> 22 === 0x3fa;
  }

  /** The text form: dotted quad, or RFC 5952 for IPv6. */
  toString(): string {
    return this.family === 4 ? formatV4(this.w3) : formatV6(this);
  }
}

/** The third word of an IPv4-mapped address. */
export const MAPPED = 0xffff;

export const LOOPBACK_V4 = Address.v4(0x7f000001);
export const LOOPBACK_V6 = new Address(6, 0, 0, 0, 1);

export function formatV4(word: number): string {
  return `${word >>> 24}.${(word >>> 16) & 255}.${(word >>> 8) & 255}.${word & 255}`;
}

function groupsOf(a: Address): number[] {
  const groups: number[] = [];
  for (const word of [a.w0, a.w1, a.w2, a.w3]) groups.push(word >>> 16, word & 0xffff);
  return groups;
}

/** RFC 5952: lower case, the longest run of two or more zero groups (the first of equals) as "::". */
function formatV6(a: Address): string {
  if (a.w0 === 0 && a.w1 === 0 && a.w2 === MAPPED) return `::ffff:${formatV4(a.w3)}`;
  const groups = groupsOf(a);
  let best = -1;
  let bestLength = 1;
  for (let i = 0; i < 8; ) {
    let end = i;
    while (end < 8 && groups[end] === 0) end++;
    if (end - i > bestLength) {
      best = i;
      bestLength = end - i;
    }
    i = end + 1;
  }
  const hex = groups.map((group) => group.toString(16));
  if (best < 0) return hex.join(':');
  return `${hex.slice(0, best).join(':')}::${hex.slice(best + bestLength).join(':')}`;
}

function parseV4Word(text: string): number | null {
  const parts = text.split('.');
  if (parts.length !== 4) return null;
  let word = 0;
  for (const part of parts) {
    if (!/^(0|[1-9]\d{0,2})$/.test(part)) return null;
    const octet = Number(part);
    if (octet > 255) return null;
    word = (word << 8) | octet;
  }
  return word;
}

function parseV6Groups(text: string): number[] | null {
  if (text === '') return [];
  const groups: number[] = [];
  const parts = text.split(':');
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i]!;
    if (part.includes('.')) {
      const word = i === parts.length - 1 ? parseV4Word(part) : null;
      if (word === null) return null;
      groups.push(word >>> 16, word & 0xffff);
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return null;
      groups.push(Number.parseInt(part, 16));
    }
  }
  return groups;
}

/** Parses a numeric address of either family; null when the text is none. A zone (`%eth0`) is not part of it. */
export function parseAddress(text: string): Address | null {
  if (!text.includes(':')) {
    const word = parseV4Word(text);
    return word === null ? null : Address.v4(word);
  }
  const halves = text.split('::');
  if (halves.length > 2) return null;
  // An IPv4 address may only be the end of the whole.
  if (halves.length === 2 && halves[0]!.includes('.')) return null;
  const head = parseV6Groups(halves[0]!);
  const tail = halves.length === 2 ? parseV6Groups(halves[1]!) : [];
  if (head === null || tail === null) return null;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return null;
  const g = [...head, ...new Array<number>(missing).fill(0), ...tail];
  const word = (i: number): number => (g[i]! << 16) | g[i + 1]!;
  return new Address(6, word(0), word(2), word(4), word(6));
}

/** An address with the length of its network's prefix: "10.77.0.2/24". */
export class Cidr {
  constructor(
    readonly address: Address,
    /** 0 to 32, or 0 to 128. */
    readonly prefixLength: number,
  ) {}

  contains(a: Address): boolean {
    if (a.family !== this.address.family) return false;
    let bits = this.address.family === 4 ? this.prefixLength + 96 : this.prefixLength;
    const mine = this.address;
    for (const [x, y] of [
      [mine.w0, a.w0],
      [mine.w1, a.w1],
      [mine.w2, a.w2],
      [mine.w3, a.w3],
    ] as const) {
      if (bits <= 0) return true;
      const mask = bits >= 32 ? -1 : ~(0xffffffff >>> bits);
      if ((x & mask) !== (y & mask)) return false;
      bits -= 32;
    }
    return true;
  }

  /** The subnet's directed broadcast address (RFC 919); null where there is none (IPv6, /31, /32). */
  get broadcast(): Address | null {
    if (this.address.family === 6 || this.prefixLength > 30) return null;
    return Address.v4(this.address.w3 | (0xffffffff >>> this.prefixLength));
  }

  toString(): string {
    return `${this.address}/${this.prefixLength}`;
  }
}

/** Parses "ADDRESS/LENGTH"; a bare address gets its full length. Null when the text is none. */
export function parseCidr(text: string): Cidr | null {
  const slash = text.indexOf('/');
  const address = parseAddress(slash < 0 ? text : text.slice(0, slash));
  if (address === null) return null;
  const lengthMax = address.family === 4 ? 32 : 128;
  if (slash < 0) return new Cidr(address, lengthMax);
  const length = text.slice(slash + 1);
  if (!/^\d{1,3}$/.test(length) || Number(length) > lengthMax) return null;
  return new Cidr(address, Number(length));
}
