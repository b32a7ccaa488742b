import { read, refusal } from './reading';

const HEAD = 'POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n';
const after = (body: string): string[] => read(HEAD + body).slice(2);

describe('RFC 9112 §7.1: chunked transfer coding', () => {
  test('chunks, in either case and of any length', () => {
    expect(after('3\r\nabc\r\n0A\r\n0123456789\r\na\r\nabcdefghij\r\n0\r\n\r\n')).toEqual([
      'body abc0123456789abcdefghij',
      'complete',
    ]);
  });

  test('line ends within a chunk are data', () => {
    expect(after('4\r\n\r\n\r\n\r\n0\r\n\r\n')).toEqual(['body \r\n\r\n', 'complete']);
  });

  test('no chunk but the last', () => {
    expect(after('0\r\n\r\n')).toEqual(['complete']);
  });

  test('a message after it on the same connection', () => {
    expect(after('1\r\na\r\n0\r\n\r\nGET /next HTTP/1.1\r\n\r\n')).toHaveLength(5);
  });
});

describe('RFC 9112 §7.1.1: chunk extensions are skipped', () => {
  test.each([
    ';a',
    ';a=b',
    ';a="b c"',
    ';a="\\"\\\\"',
    ';a;b=c;d="e"',
    ';a=b"c"',
    ';;a',
    ';a=',
    ';=b',
    ';a=""',
    ';a="\x80\t"',
  ])('%j', (extension) => {
    expect(after(`1${extension}\r\na\r\n0${extension}\r\n\r\n`)).toEqual(['body a', 'complete']);
  });

  test.each([
    ['; a', 'Invalid character in chunk extensions'],
    [';a b', 'Invalid character in chunk extensions name'],
    [';a\x00', 'Invalid character in chunk extensions name'],
    [';\x80', 'Invalid character in chunk extensions name'],
    [';a=b c', 'Invalid character in chunk extensions value'],
    [';a="\x00"', 'Invalid character in chunk extensions quoted value'],
    [';a="\\\x01"', 'Invalid quoted-pair in chunk extensions quoted value'],
    [';a="b"c', 'Invalid character in chunk extensions quote value'],
    [';', 'Invalid character in chunk extensions'],
    [';a;', 'Invalid character in chunk extensions'],
  ])('%j is none: %s', (extension, reason) => {
    expect(after(`1${extension}\r\na\r\n0\r\n\r\n`).at(-1)).toContain(`HPE_STRICT '${reason}'`);
  });
});

describe('RFC 9112 §7.1.2: trailer section', () => {
  test('its fields come apart from those of the head', () => {
    expect(after('1\r\na\r\n0\r\nDigest: x\r\nX: y\r\n\r\n')).toEqual([
      'body a',
      'trailers [Digest=x|X=y]',
      'complete',
    ]);
  });

  test('it begins after the last chunk only', () => {
    expect(refusal(`${HEAD}1\r\na\r\nDigest: x\r\n\r\n`)).toBe('HPE_INVALID_CHUNK_SIZE');
  });

  test('its lines obey the same grammar', () => {
    expect(refusal(`${HEAD}0\r\nA : b\r\n\r\n`)).toBe('HPE_INVALID_HEADER_TOKEN');
    expect(refusal(`${HEAD}0\r\n A: b\r\n\r\n`)).toBe('HPE_INVALID_HEADER_TOKEN');
    expect(refusal(`${HEAD}0\r\nA: b\r\n c\r\n\r\n`)).toBe('HPE_INVALID_HEADER_TOKEN');
    expect(refusal(`${HEAD}0\r\n\rX`)).toBe('HPE_STRICT');
  });

  test('Connection: close in it still closes, as in Node', () => {
    expect(refusal(`${HEAD}0\r\nConnection: close\r\n\r\nGET / HTTP/1.1\r\n\r\n`)).toBe('HPE_CLOSED_CONNECTION');
  });
});
