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
