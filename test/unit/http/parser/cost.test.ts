import { ChunkedReader } from '../../../../http/body';
import { readFields } from '../../../../http/fields';
import { HEAD_DONE, HEAD_FAILED, HEAD_FIELDS, Head } from '../../../../http/head';
import { LENIENT_ALL } from '../../../../http/parse-errors';
import { readStartLine } from '../../../../http/start-line';
import { bytes } from './reading';

/** The bytes, and how often one of them was looked at. */
function counted(text: string): { b: Uint8Array; looks: () => number } {
  let looks = 0;
  const b = new Proxy(bytes(text), {
    get(target, key) {
      if (typeof key === 'string' && key.charCodeAt(0) <= 0x39) looks++;
      const value = Reflect.get(target, key, target) as unknown;
      return typeof value === 'function' ? (value as (...args: unknown[]) => unknown).bind(target) : value;
    },
  });
  return { b, looks: () => looks };
}

/** How often each byte is looked at when the head comes in pieces of `step` bytes, on average. */
function looksPerByte(text: string, step: number, lenient: number): number {
  const { b, looks } = counted(text);
  const head = new Head('request', 1 << 20, lenient);
  head.bytes = b;
  let p = 0;
  for (let end = step; p < text.length && head.state < HEAD_DONE; end += step) {
    const to = Math.min(end, text.length);
    if (head.state < HEAD_FIELDS) p = readStartLine(head, b, p, to);
    if (head.state >= HEAD_FIELDS) p = readFields(head, b, p, to);
    if (head.state < HEAD_DONE) expect(p).toBe(to);
    if (to === text.length) break;
  }
  expect(head.state === HEAD_DONE || head.state === HEAD_FAILED).toBe(true);
  return looks() / text.length;
}

const line = (n: number, make: (n: number) => string): string => `GET / HTTP/1.1\r\n${make(n)}\r\n\r\n`;
const HEADS: readonly [string, (n: number) => string][] = [
  ['a long target', (n) => `GET /${'a'.repeat(n)} HTTP/1.1\r\n\r\n`],
  ['a long query', (n) => `GET /?${'?'.repeat(n)} HTTP/1.1\r\n\r\n`],
  ['a long authority', (n) => `CONNECT ${'a'.repeat(n)} HTTP/1.1\r\n\r\n`],
  ['a long name', (n) => line(n, (k) => `${'a'.repeat(k)}: b`)],
  ['a long value', (n) => line(n, (k) => `a: ${'b'.repeat(k)}`)],
  ['a long value of spaces', (n) => line(n, (k) => `a:${' '.repeat(k)}`)],
  ['a value that ends in spaces', (n) => line(n, (k) => `a: b${' '.repeat(k)}`)],
  ['a list of options', (n) => line(n, (k) => `Connection: ${'close,'.repeat(k / 6)}x`)],
  ['a list of codings', (n) => line(n, (k) => `Transfer-Encoding: ${'gzip,'.repeat(k / 5)}chunked`)],
  ['a long length', (n) => line(n, (k) => `Content-Length: ${'0'.repeat(k)}1`)],
  ['many fields', (n) => line(n, (k) => 'Accept: b\r\n'.repeat(k / 11).slice(0, -2))],
  ['many short fields', (n) => line(n, (k) => 'a:\r\n'.repeat(k / 4).slice(0, -2))],
  ['many folds', (n) => line(n, (k) => `a: b${'\r\n c'.repeat(k / 4)}`)],
  ['many folds of nothing', (n) => line(n, (k) => `a:${'\r\n '.repeat(k / 3)}b`)],
  ['spaces before the colon', (n) => line(n, (k) => `Upgrade${' '.repeat(k)}: b`)],
  ['a name that nearly has a meaning, over and over', (n) => line(n, (k) => `${'Upgrade '.repeat(k / 8)}: b`)],
];

describe('the cost of a head grows with its length alone', () => {
  test.each(HEADS)('%s', (_what, make) => {
    for (const step of [1, 1 << 20]) {
      const short = looksPerByte(make(300), step, LENIENT_ALL);
      const long = looksPerByte(make(1200), step, LENIENT_ALL);
      expect(short).toBeLessThan(16);
      expect(long).toBeLessThan(short * 1.1 + 0.3);
    }
  });
});

describe('the cost of chunks grows with their length alone', () => {
  test.each([
    ['zeros', (n: number) => '0'.repeat(n)],
    ['an extension', (n: number) => `1;${'a'.repeat(n)}`],
    ['separators', (n: number) => `1;${';'.repeat(n)}`],
    ['small chunks', (n: number) => '1\r\na\r\n'.repeat(n / 6)],
  ])('%s', (_what, make) => {
    for (const step of [1, 1 << 20]) {
      const text = make(1500);
      const { b, looks } = counted(text);
      const chunks = new ChunkedReader(0);
      for (let p = 0, to = step; p < text.length; to += step) {
        const end = Math.min(to, text.length);
        while (p < end) p = chunks.read(b, p, end);
      }
      expect(looks() / text.length).toBeLessThan(4);
    }
  });
});
