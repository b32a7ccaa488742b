import {
  LENIENT_ALL,
  LENIENT_CHUNKED_LENGTH,
  LENIENT_DATA_AFTER_CLOSE,
  LENIENT_HEADERS,
  LENIENT_KEEP_ALIVE,
  LENIENT_OPTIONAL_CR_BEFORE_LF,
  LENIENT_OPTIONAL_CRLF_AFTER_CHUNK,
  LENIENT_OPTIONAL_LF_AFTER_CR,
  LENIENT_SPACES_AFTER_CHUNK_SIZE,
  LENIENT_TRANSFER_ENCODING,
  LENIENT_VERSION,
} from '../../../../http/parse-errors';
import { read, refusal } from './reading';

const CHUNKED = 'POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n';
const CLOSING = 'GET / HTTP/1.1\r\nConnection: close\r\n\r\n';
const NEXT = 'GET /next HTTP/1.1\r\n\r\n';

/** What each flag alone permits, and what it makes of it. Without the flag the same bytes are refused. */
const PERMITTED: readonly [string, number, string, string[]][] = [
  [
    'headers: a control in a value',
    LENIENT_HEADERS,
    'GET / HTTP/1.1\r\nA: x\x00\x01y\r\n\r\n',
    ['begin', 'head GET / 1.1 keep-alive [A=x\x00\x01y]', 'complete'],
  ],
  [
    'headers: a fold, which becomes part of the value',
    LENIENT_HEADERS,
    'GET / HTTP/1.1\r\nA: x\r\n  y\r\n\tz \r\n\r\n',
    ['begin', 'head GET / 1.1 keep-alive [A=x  y\tz]', 'complete'],
  ],
  [
    'headers: a fold of an empty value',
    LENIENT_HEADERS,
    'GET / HTTP/1.1\r\nA:\r\n x\r\n\r\n',
    ['begin', 'head GET / 1.1 keep-alive [A=x]', 'complete'],
  ],
  [
    'headers: a fold of nothing',
    LENIENT_HEADERS,
    'GET / HTTP/1.1\r\nA: x\r\n \r\nB: \r\n \r\n\r\n',
    ['begin', 'head GET / 1.1 keep-alive [A=x|B=]', 'complete'],
  ],
  [
    'headers: a space before the first name',
    LENIENT_HEADERS,
    'GET / HTTP/1.1\r\n A: x\r\n\r\n',
    ['begin', 'head GET / 1.1 keep-alive [A=x]', 'complete'],
  ],
  [
    'headers: spaces behind the name of a framing field, which keeps its meaning',
    LENIENT_HEADERS,
    'POST / HTTP/1.1\r\nContent-Length  : 2\r\n\r\nab',
    ['begin', 'head POST / 1.1 keep-alive [Content-Length  =2]', 'body ab', 'complete'],
  ],
  [
    'headers: more after these spaces, which takes the meaning away',
    LENIENT_HEADERS,
    'POST / HTTP/1.1\r\nContent-Length x: 2\r\n\r\n',
    ['begin', 'head POST / 1.1 keep-alive [Content-Length x=2]', 'complete'],
  ],
  [
    'headers: a bare CR behind a colon',
    LENIENT_HEADERS,
    'GET / HTTP/1.1\r\nA:\rB: x\r\n\r\n',
    ['begin', 'head GET / 1.1 keep-alive [A=|B=x]', 'complete'],
  ],
  [
    'chunked length: Content-Length loses against Transfer-Encoding',
    LENIENT_CHUNKED_LENGTH,
    'POST / HTTP/1.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n',
    ['begin', 'head POST / 1.1 keep-alive [Content-Length=2|Transfer-Encoding=chunked]', 'body a', 'complete'],
  ],
  [
    'chunked length: in the other order',
    LENIENT_CHUNKED_LENGTH,
    'POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n1\r\na\r\n0\r\n\r\n',
    ['begin', 'head POST / 1.1 keep-alive [Transfer-Encoding=chunked|Content-Length=2]', 'body a', 'complete'],
  ],
  [
    'keep-alive: a message after one that closes',
    LENIENT_KEEP_ALIVE,
    CLOSING + NEXT,
    ['begin', 'head GET / 1.1 [Connection=close]', 'complete', 'begin', 'head GET /next 1.1 keep-alive []', 'complete'],
  ],
  [
    'data after close: it is thrown away',
    LENIENT_DATA_AFTER_CLOSE,
    CLOSING + NEXT,
    ['begin', 'head GET / 1.1 [Connection=close]', 'complete'],
  ],
  [
    'transfer encoding: a request whose body ends with the connection',
    LENIENT_TRANSFER_ENCODING,
    'POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\nab',
    ['begin', 'head POST / 1.1 keep-alive [Transfer-Encoding=gzip]', 'body ab'],
  ],
  [
    'transfer encoding: codings after chunked',
    LENIENT_TRANSFER_ENCODING,
    'POST / HTTP/1.1\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n',
    ['begin', 'head POST / 1.1 keep-alive [Transfer-Encoding=chunked, chunked]', 'complete'],
  ],
  [
    'version: any two digits',
    LENIENT_VERSION,
    'GET / HTTP/5.6\r\n\r\n',
    ['begin', 'head GET / 5.6 keep-alive []', 'complete'],
  ],
  [
    'LF after CR is optional: behind the head',
    LENIENT_OPTIONAL_LF_AFTER_CR,
    'GET / HTTP/1.1\rA: b\r\n\rGET /next HTTP/1.1\r\n\r\n',
    ['begin', 'head GET / 1.1 keep-alive [A=b]', 'complete', 'begin', 'head GET /next 1.1 keep-alive []', 'complete'],
  ],
  [
    'LF after CR is optional: behind a chunk size',
    LENIENT_OPTIONAL_LF_AFTER_CR,
    `${CHUNKED}1\ra\r\n0\r\n\r\n`,
    ['begin', 'head POST / 1.1 keep-alive [Transfer-Encoding=chunked]', 'body a', 'complete'],
  ],
  [
    'CR LF after a chunk is optional',
    LENIENT_OPTIONAL_CRLF_AFTER_CHUNK,
    `${CHUNKED}1\r\na1\r\nb\r1\r\nc0\r\n\r\n`,
    ['begin', 'head POST / 1.1 keep-alive [Transfer-Encoding=chunked]', 'body abc', 'complete'],
  ],
  [
    'CR before LF is optional: in a field line and for the empty line',
    LENIENT_OPTIONAL_CR_BEFORE_LF,
    'GET / HTTP/1.1\r\nA: b\nC:\nD: e\n\n',
    ['begin', 'head GET / 1.1 keep-alive [A=b|C=|D=e]', 'complete'],
  ],
  [
    'CR before LF is optional: in chunks',
    LENIENT_OPTIONAL_CR_BEFORE_LF,
    `${CHUNKED}1\r\na\n1;x\nb\n1;x=y\nc\n1;x="y"\nd\n0\r\nT: x\n\n`,
    ['begin', 'head POST / 1.1 keep-alive [Transfer-Encoding=chunked]', 'body abcd', 'trailers [T=x]', 'complete'],
  ],
  [
    'spaces after a chunk size',
    LENIENT_SPACES_AFTER_CHUNK_SIZE,
    `${CHUNKED}1 \t\r\na\r\n0 ;x\r\n\r\n`,
    ['begin', 'head POST / 1.1 keep-alive [Transfer-Encoding=chunked]', 'body a', 'complete'],
  ],
];

describe('each way to be lenient', () => {
  test.each(PERMITTED)('%s', (_what, flag, text, lines) => {
    expect(read(text, { lenient: flag })).toEqual(lines);
  });

  test.each(PERMITTED)('refused without it: %s', (_what, flag, text) => {
    expect(refusal(text)).not.toBe('');
    if (flag !== LENIENT_KEEP_ALIVE && flag !== LENIENT_DATA_AFTER_CLOSE) {
      expect(
        refusal(text, { lenient: LENIENT_ALL & ~flag & ~LENIENT_CHUNKED_LENGTH & ~LENIENT_TRANSFER_ENCODING }),
      ).not.toBe('');
    }
  });

  test('in a response, too', () => {
    const role = 'response';
    expect(read('HTTP/1.1 204\nA: b\n\n', { role, lenient: LENIENT_OPTIONAL_CR_BEFORE_LF }).at(-1)).toBe('complete');
    expect(read('HTTP/1.1 204 X\nA: b\n\n', { role, lenient: LENIENT_OPTIONAL_CR_BEFORE_LF }).at(-1)).toBe('complete');
    expect(read('HTTP/1.1 204\rA: b\r\n\r\n', { role, lenient: LENIENT_OPTIONAL_LF_AFTER_CR }).at(-1)).toBe('complete');
    expect(read('HTTP/7.7 204\r\n\r\n', { role, lenient: LENIENT_VERSION }).at(-1)).toBe('complete');
  });

  test('the length of a skipped body is not added to the next one', () => {
    const options = { role: 'response' as const, lenient: LENIENT_KEEP_ALIVE };
    const first = 'HTTP/1.1 304 X\r\nConnection: close\r\nContent-Length: 5\r\n\r\n';
    const lines = read(`${first}HTTP/1.1 200 Y\r\nContent-Length: 2\r\n\r\nab`, options);
    expect(lines.slice(-2)).toEqual(['body ab', 'complete']);
  });
});

describe('what a folded value means (lenient headers)', () => {
  const framing = (fields: string): string[] =>
    read(`POST / HTTP/1.1\r\n${fields}\r\n0\r\n\r\n${NEXT}`, { lenient: LENIENT_HEADERS });

  test('a coding on its first line of text counts', () => {
    expect(framing('Transfer-Encoding:\r\n chunked\r\n').slice(2)).toHaveLength(4);
  });

  test.each(['chunked\r\n , x', 'gzip,\r\n chunked', 'chunked\r\n '])('beyond that it does not: %j', (coding) => {
    expect(framing(`Transfer-Encoding: ${coding}\r\n`).at(-1)).toContain('HPE_INVALID_TRANSFER_ENCODING');
  });

  test('a length has one line', () => {
    expect(framing('Content-Length: 1\r\n 0\r\n').at(-1)).toContain('HPE_UNEXPECTED_CONTENT_LENGTH');
    expect(framing('Content-Length:\r\n 5\r\n')[2]).toBe('body 0\r\n\r\n');
  });

  test('connection options on any line', () => {
    expect(framing('Connection: x\r\n close\r\n').at(-1)).toContain('HPE_CLOSED_CONNECTION');
    expect(framing('Connection: close\r\n x\r\n').at(-1)).toContain('HPE_CLOSED_CONNECTION');
  });

  test('none behind a byte that only leniency takes', () => {
    const head = 'GET / HTTP/1.1\r\nConnection: x\x01, close\r\n\r\n';
    expect(read(head + NEXT, { lenient: LENIENT_HEADERS }).at(-1)).toBe('complete');
  });
});
