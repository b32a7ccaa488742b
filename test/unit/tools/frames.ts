import { put16, put32 } from '../../../stack/base/bytes';
import { finish, fold, sum } from '../../../stack/base/checksum';

/** Builds frames for the tests of the captures: plain, readable, nothing shared with the code under test. */

export const CLIENT = '10.77.0.1';
export const SERVER = '10.77.0.2';
export const CLIENT6 = 'fd00::1';
export const SERVER6 = 'fd00::2';

export function addressBytes(text: string): Uint8Array {
  if (!text.includes(':')) return Uint8Array.from(text.split('.').map(Number));
  const [head, tail] = text.split('::') as [string, string | undefined];
  const words = (part: string): number[] => (part === '' ? [] : part.split(':').map((w) => Number.parseInt(w, 16)));
  const before = words(head);
  const after = tail === undefined ? [] : words(tail);
  const all = [...before, ...new Array<number>(8 - before.length - after.length).fill(0), ...after];
  return Uint8Array.from(all.flatMap((w) => [w >>> 8, w & 255]));
}

export const ascii = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0));

export function concat(...parts: Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

export interface IpFields {
  from?: string;
  to?: string;
  ttl?: number;
  tos?: number;
  id?: number;
  /** The 16 bits with flags and fragment offset. */
  fragment?: number;
}

export function ip(protocol: number, body: Uint8Array, fields: IpFields = {}): Uint8Array {
  const from = addressBytes(fields.from ?? CLIENT);
  const to = addressBytes(fields.to ?? SERVER);
  if (from.length === 16) {
    const header = new Uint8Array(40);
    put32(header, 0, 0x60000000 | ((fields.tos ?? 0) << 20));
    put16(header, 4, body.length);
    header[6] = protocol;
    header[7] = fields.ttl ?? 64;
    header.set(from, 8);
    header.set(to, 24);
    return concat(header, body);
  }
  const header = new Uint8Array(20);
  header[0] = 0x45;
  header[1] = fields.tos ?? 0;
  put16(header, 2, 20 + body.length);
  put16(header, 4, fields.id ?? 1);
  put16(header, 6, fields.fragment ?? 0x4000);
  header[8] = fields.ttl ?? 64;
  header[9] = protocol;
  header.set(from, 12);
  header.set(to, 16);
  put16(header, 10, finish(sum(header, 0, 20, 0)));
  return concat(header, body);
}

/** The pseudo-header's sum, not complemented. */
export function pseudo(protocol: number, length: number, fields: IpFields): number {
  const both = concat(addressBytes(fields.from ?? CLIENT), addressBytes(fields.to ?? SERVER));
  return sum(both, 0, both.length, protocol + length);
}

export interface TcpFields extends IpFields {
  sport?: number;
  dport?: number;
  seq?: number;
  ack?: number;
  /** Letters of S F R P E W U A and `.`. */
  flags?: string;
  win?: number;
  urg?: number;
  options?: number[];
  text?: Uint8Array | string;
  /** Leave only the pseudo-header sum in the checksum field. */
  partial?: boolean;
}

const BITS: Record<string, number> = { F: 1, S: 2, R: 4, P: 8, '.': 16, U: 32, E: 64, W: 128 };

export function tcp(fields: TcpFields = {}): Uint8Array {
  const options = Uint8Array.from(fields.options ?? []);
  const text = typeof fields.text === 'string' ? ascii(fields.text) : (fields.text ?? new Uint8Array(0));
  const header = new Uint8Array(20 + options.length);
  put16(header, 0, fields.sport ?? 51234);
  put16(header, 2, fields.dport ?? 80);
  put32(header, 4, fields.seq ?? 0);
  put32(header, 8, fields.ack ?? 0);
  let flags = 0;
  for (const letter of fields.flags ?? '.') flags |= BITS[letter] ?? 0;
  header[12] = ((header.length / 4) << 4) | (fields.flags?.includes('A') ? 1 : 0);
  header[13] = flags;
  put16(header, 14, fields.win ?? 65535);
  put16(header, 18, fields.urg ?? 0);
  header.set(options, 20);
  const segment = concat(header, text);
  const sumOfPseudo = pseudo(6, segment.length, fields);
  put16(segment, 16, fields.partial ? fold(sumOfPseudo) : finish(sum(segment, 0, segment.length, sumOfPseudo)));
  return ip(6, segment, fields);
}

export interface UdpFields extends IpFields {
  sport?: number;
  dport?: number;
  text?: Uint8Array | string;
}

export function udp(fields: UdpFields = {}): Uint8Array {
  const text = typeof fields.text === 'string' ? ascii(fields.text) : (fields.text ?? new Uint8Array(0));
  const header = new Uint8Array(8);
  put16(header, 0, fields.sport ?? 5000);
  put16(header, 2, fields.dport ?? 53);
  put16(header, 4, 8 + text.length);
  const datagram = concat(header, text);
  put16(datagram, 6, finish(sum(datagram, 0, datagram.length, pseudo(17, datagram.length, fields))) || 0xffff);
  return ip(17, datagram, fields);
}

export function icmp(type: number, code: number, rest: number, body: Uint8Array, fields: IpFields = {}): Uint8Array {
  const header = new Uint8Array(8);
  header[0] = type;
  header[1] = code;
  put32(header, 4, rest);
  const message = concat(header, body);
  const v6 = (fields.from ?? CLIENT).includes(':');
  const initial = v6 ? pseudo(58, message.length, fields) : 0;
  put16(message, 2, finish(sum(message, 0, message.length, initial)));
  return ip(v6 ? 58 : 1, message, fields);
}

const MAC_A = [2, 0, 0, 0, 0, 1];
const MAC_B = [2, 0, 0, 0, 0, 2];

export function ethernet(type: number, body: Uint8Array): Uint8Array {
  return concat(Uint8Array.from([...MAC_B, ...MAC_A, type >>> 8, type & 255]), body);
}

export function arp(operation: number, sender: string, target: string): Uint8Array {
  const head = Uint8Array.from([0, 1, 8, 0, 6, 4, 0, operation, ...MAC_A]);
  return ethernet(
    0x0806,
    concat(head, addressBytes(sender), Uint8Array.from([0, 0, 0, 0, 0, 0]), addressBytes(target)),
  );
}
