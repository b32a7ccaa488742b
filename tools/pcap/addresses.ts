import { type Bytes, u8, u16 } from '../../stack/base/bytes';

/** "10.0.0.1": the address in the four bytes at `at`. */
export function ipv4Text(b: Bytes, at: number): string {
  return `${u8(b, at)}.${u8(b, at + 1)}.${u8(b, at + 2)}.${u8(b, at + 3)}`;
}

/** The address in the sixteen bytes at `at`, as RFC 5952 §4 writes it. */
export function ipv6Text(b: Bytes, at: number): string {
  let bestAt = -1;
  let best = 1;
  for (let i = 0; i < 8; i++) {
    let run = 0;
    while (i + run < 8 && u16(b, at + 2 * (i + run)) === 0) run++;
    if (run > best) {
      best = run;
      bestAt = i;
    }
    i += run;
  }
  // Addresses that stand for IPv4 ones show them (§5).
  const mapped = bestAt === 0 && best === 5 && u16(b, at + 10) === 0xffff;
  const words = mapped ? 6 : 8;
  let text = '';
  for (let i = 0; i < words; i++) {
    if (i === bestAt) {
      text += '::';
      i += best - 1;
      continue;
    }
    if (text !== '' && !text.endsWith(':')) text += ':';
    text += u16(b, at + 2 * i).toString(16);
  }
  return mapped ? `${text}:${ipv4Text(b, at + 12)}` : text;
}

/** An IPv4 or IPv6 address by its length in bytes. */
export function addressText(b: Bytes, at: number, bytes: number): string {
  return bytes === 4 ? ipv4Text(b, at) : ipv6Text(b, at);
}

/** "02:00:00:00:00:01". */
export function macText(b: Bytes, at: number): string {
  let text = hex(b, at, at + 1);
  for (let i = 1; i < 6; i++) text += `:${hex(b, at + i, at + i + 1)}`;
  return text;
}

/** The bytes [at, end) as hexadecimal digits. */
export function hex(b: Bytes, at: number, end: number): string {
  let text = '';
  for (; at < end; at++) text += u8(b, at).toString(16).padStart(2, '0');
  return text;
}

/** The 4 or 16 bytes of an address in any spelling that the RFCs allow (RFC 4291 §2.2); null when it is none. */
export function parseAddress(text: string): Uint8Array | null {
  if (!text.includes(':')) return parseIpv4(text);
  const sides = text.split('::');
  if (sides.length > 2) return null;
  const head = parseWords(sides[0]!, sides.length === 1);
  const tail = sides.length === 2 ? parseWords(sides[1]!, true) : [];
  if (head === null || tail === null) return null;
  const missing = 16 - head.length - tail.length;
  if (sides.length === 2 ? missing < 2 : missing !== 0) return null;
  return Uint8Array.from([...head, ...new Array<number>(missing).fill(0), ...tail]);
}

function parseIpv4(text: string): Uint8Array | null {
  const parts = text.split('.');
  if (parts.length !== 4) return null;
  const numbers = parts.map((part) => (/^(0|[1-9]\d{0,2})$/.test(part) ? Number(part) : 256));
  return numbers.every((n) => n <= 255) ? Uint8Array.from(numbers) : null;
}

/** Bytes of colon-separated words; the last may be an IPv4 address when the text ends there. */
function parseWords(text: string, last: boolean): number[] | null {
  if (text === '') return [];
  const bytes: number[] = [];
  const words = text.split(':');
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    if (last && i === words.length - 1 && word.includes('.')) {
      const v4 = parseIpv4(word);
      if (v4 === null) return null;
      bytes.push(...v4);
    } else if (/^[0-9a-fA-F]{1,4}$/.test(word)) {
      const value = Number.parseInt(word, 16);
      bytes.push(value >>> 8, value & 0xff);
    } else return null;
  }
  return bytes.length <= 16 ? bytes : null;
}
