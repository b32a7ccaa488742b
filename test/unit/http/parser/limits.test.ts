import { CHUNK_EXTENSIONS_MAX } from '../../../../http/body';
import { LENIENT_HEADERS } from '../../../../http/parse-errors';
import { read, readCut, refusal } from './reading';

const OVERFLOW = 'HPE_HEADER_OVERFLOW';

describe('maxHeaderSize counts target, reason, names and values', () => {
  const maxHeaderSize = 100;

  test.each([
    ['target', (n: number) => `GET /${'a'.repeat(n - 1)} HTTP/1.1\r\n\r\n`],
    ['name', (n: number) => `GET / HTTP/1.1\r\n${'a'.repeat(n - 2)}: b\r\n\r\n`],
    ['value', (n: number) => `GET / HTTP/1.1\r\na: ${'b'.repeat(n - 2)}\r\n\r\n`],
    ['values', (n: number) => `GET / HTTP/1.1\r\na: ${'b'.repeat(n - 5)}\r\nc: dd\r\n\r\n`],
    ['connection', (n: number) => `GET / HTTP/1.1\r\nConnection: ${'b'.repeat(n - 11)}\r\n\r\n`],
    [
      'trailers',
      (n: number) => `GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\na: ${'b'.repeat(n - 1)}\r\n\r\n`,
    ],
  ])('%s: 99 of 100 bytes pass, 100 do not', (_what, make) => {
    expect(refusal(make(99), { maxHeaderSize })).toBe('');
    expect(refusal(make(100), { maxHeaderSize })).toBe(OVERFLOW);
  });

  test('reason', () => {
    const make = (n: number): string => `HTTP/1.1 204 ${'a'.repeat(n)}\r\n\r\n`;
    expect(refusal(make(99), { role: 'response', maxHeaderSize })).toBe('');
    expect(refusal(make(100), { role: 'response', maxHeaderSize })).toBe(OVERFLOW);
  });

  test('each head and each trailer section counts for itself', () => {
    const head = `GET / HTTP/1.1\r\na: ${'b'.repeat(60)}\r\nTransfer-Encoding: chunked\r\n\r\n`;
    const message = `${head}0\r\na: ${'b'.repeat(90)}\r\n\r\n`;
    expect(refusal(message + message, { maxHeaderSize })).toBe('');
  });

  test('Node says so where the token or the bytes end', () => {
    const text = `GET /${'a'.repeat(200)} HTTP/1.1\r\n\r\n`;
    const at = (cuts: number[]): string => readCut(text, { maxHeaderSize }, cuts).at(-1)!;
    expect(at([])).toBe("HPE_HEADER_OVERFLOW 'Header overflow' at 205");
    expect(at([150])).toBe("HPE_HEADER_OVERFLOW 'Header overflow' at 150");
    expect(at([50, 150])).toBe("HPE_HEADER_OVERFLOW 'Header overflow' at 150");
  });

  test('the default passes 16,383 bytes and no more', () => {
    const make = (n: number): string => `GET / HTTP/1.1\r\na: ${'b'.repeat(n - 2)}\r\n\r\n`;
    expect(readCut(make(16_383), {}, []).at(-1)).toBe('complete');
    expect(readCut(make(16_384), {}, []).at(-1)).toContain(OVERFLOW);
  });

  test('too long and malformed is too long, however it is cut', () => {
    expect(refusal(`GET / HTTP/1.1\r\n${'a'.repeat(120)}@: b\r\n\r\n`, { maxHeaderSize })).toBe(OVERFLOW);
    expect(refusal(`GET /${'a'.repeat(120)}\x00`, { maxHeaderSize })).toBe(OVERFLOW);
  });
});

describe('nothing that a head is made of is endless', () => {
  const maxHeaderSize = 100;

  test.each([
    ['spaces before the target', `GET ${' '.repeat(1600)}/ HTTP/1.1\r\n\r\n`],
    ['spaces before the version', `GET / ${' '.repeat(1600)}HTTP/1.1\r\n\r\n`],
    ['spaces before a value', `GET / HTTP/1.1\r\na:${' '.repeat(1600)}b\r\n\r\n`],
    ['a value of spaces', `GET / HTTP/1.1\r\na:${' '.repeat(1600)}\r\n\r\n`],
    ['spaces and then a fault', `GET / HTTP/1.1\r\na:${' '.repeat(1600)}\x00`],
  ])('%s', (_what, text) => {
    expect(readCut(text, { maxHeaderSize }, []).at(-1)).toContain(OVERFLOW);
    expect(readCut(text, { maxHeaderSize }, Array.from(text, (_, i) => i).slice(1)).at(-1)).toContain(OVERFLOW);
  });

  test('folds of nothing (lenient)', () => {
    const text = `GET / HTTP/1.1\r\na:${'\r\n '.repeat(600)}b\r\n\r\n`;
    expect(readCut(text, { maxHeaderSize, lenient: LENIENT_HEADERS }, []).at(-1)).toContain(OVERFLOW);
  });

  test('the shortest fields that Node takes are all taken', () => {
    const text = `GET / HTTP/1.1\r\n${'a:\r\n'.repeat(98)}\r\n`;
    expect(read(text, { maxHeaderSize }).at(-1)).toBe('complete');
    expect(refusal(`GET / HTTP/1.1\r\n${'a:\r\n'.repeat(99)}\r\n`, { maxHeaderSize })).toBe(OVERFLOW);
  });
});

describe('chunk extensions are limited', () => {
  const HEAD = 'POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n';
  const last = (body: string, cuts: number[] = []): string => readCut(HEAD + body, {}, cuts).at(-1)!;
  const everywhere = (length: number): number[] => Array.from({ length: HEAD.length + length - 1 }, (_, i) => i + 1);

  test.each([
    ['a name', (n: number) => `;${'a'.repeat(n)}`],
    ['a value', (n: number) => `;a=${'b'.repeat(n - 1)}`],
    ['a quoted value', (n: number) => `;a="${'b'.repeat(n - 3)}"`],
    ['quoted pairs', (n: number) => `;a="${'\\b'.repeat((n - 4) / 2)}c"`],
    ['many', (n: number) => ';ab'.repeat(n / 2)],
  ])('%s of 16 KiB passes, one byte more does not', (_what, make) => {
    const fits = `1${make(CHUNK_EXTENSIONS_MAX)}\r\na\r\n0\r\n\r\n`;
    expect(last(fits)).toBe('complete');
    expect(last(fits, everywhere(fits.length))).toBe('complete');
    const over = `1${make(CHUNK_EXTENSIONS_MAX).replace(';', ';x')}\r\na\r\n0\r\n\r\n`;
    expect(last(over)).toContain("HPE_CHUNK_EXTENSIONS_OVERFLOW 'Chunk extensions overflow'");
    expect(last(over, everywhere(over.length))).toContain('HPE_CHUNK_EXTENSIONS_OVERFLOW');
  });

  test('each chunk counts for itself', () => {
    const chunk = `1;${'a'.repeat(10_000)}\r\na\r\n`;
    expect(last(`${chunk}${chunk}${chunk}0\r\n\r\n`)).toBe('complete');
  });

  test('neither are the separators between them endless', () => {
    expect(last(`1${';'.repeat(CHUNK_EXTENSIONS_MAX + 2)}`)).toContain('HPE_CHUNK_EXTENSIONS_OVERFLOW');
  });
});
