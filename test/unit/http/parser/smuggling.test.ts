import { read, refusal } from './reading';

/*
 * Ways to make two readers of one byte stream disagree about where a request ends, one paragraph of RFC 9112 (or 9110)
 * each. 'refuse': by the code given. Otherwise the one reading that the RFC leaves: the body, and whether the next
 * request is seen.
 */

const NEXT = 'GET /next HTTP/1.1\r\nHost: x\r\n\r\n';
const post = (fields: string, rest: string): string => `POST / HTTP/1.1\r\nHost: x\r\n${fields}\r\n${rest}`;

describe('RFC 9112 §6.1 and §6.3 rule 3: Transfer-Encoding beside Content-Length', () => {
  test.each([
    ['Content-Length: 4\r\nTransfer-Encoding: chunked\r\n', 'HPE_INVALID_TRANSFER_ENCODING'],
    ['Transfer-Encoding: chunked\r\nContent-Length: 4\r\n', 'HPE_INVALID_CONTENT_LENGTH'],
    ['Content-Length: 0\r\nTransfer-Encoding: chunked\r\n', 'HPE_INVALID_TRANSFER_ENCODING'],
    ['Transfer-Encoding: gzip\r\nContent-Length: 4\r\n', 'HPE_INVALID_CONTENT_LENGTH'],
    ['Transfer-Encoding:\r\nContent-Length: 4\r\n', 'HPE_INVALID_CONTENT_LENGTH'],
    ['Content-Length: 4\r\nX: y\r\ntransfer-encoding:chunked\r\n', 'HPE_INVALID_TRANSFER_ENCODING'],
  ])('%j is refused', (fields, code) => {
    expect(refusal(post(fields, `0\r\n\r\n${NEXT}`))).toBe(code);
    expect(refusal(`HTTP/1.1 200 OK\r\n${fields}\r\n`, { role: 'response' })).toBe(code);
  });
});

describe('RFC 9112 §6.3 rule 4: a request whose last coding is not chunked', () => {
  test.each([
    'gzip',
    'identity',
    'chunked, gzip',
    'chunked, identity',
    'xchunked',
    'chunkedx',
    'chunked;x=1',
    'chun ked',
    'chunked chunked',
    '"chunked"',
    'chunked\t',
    'x chunked',
    '',
    ' ',
    ',',
  ])('Transfer-Encoding: %s', (coding) => {
    expect(refusal(post(`Transfer-Encoding: ${coding}\r\n`, `0\r\n\r\n${NEXT}`))).toBe('HPE_INVALID_TRANSFER_ENCODING');
  });

  test.each(['chunked\x0b', '\x0bchunked', 'chunked\x00', 'ch\x00unked', '\x00'])('a control in it: %j', (coding) => {
    expect(refusal(post(`Transfer-Encoding: ${coding}\r\n`, '0\r\n\r\n'))).toBe('HPE_INVALID_HEADER_TOKEN');
  });

  test.each([
    'chunked, chunked',
    'chunked,',
    'chunked\r\nTransfer-Encoding: chunked',
    'chunked\r\nTransfer-Encoding: x',
  ])('§6.1: chunked is applied once, and last: %j', (coding) => {
    expect(refusal(post(`Transfer-Encoding: ${coding}\r\n`, '0\r\n\r\n'))).toBe('HPE_INVALID_TRANSFER_ENCODING');
  });

  test.each([
    'chunked',
    'Chunked',
    'CHUNKED',
    'gzip, chunked',
    'gzip,chunked',
    ', chunked',
    'gzip\r\nTransfer-Encoding: chunked',
    'chunked  ',
  ])('chunked it is: %j', (coding) => {
    const lines = read(post(`Transfer-Encoding: ${coding}\r\n`, `3\r\nabc\r\n0\r\n\r\n${NEXT}`));
    expect(lines.slice(2, 4)).toEqual(['body abc', 'complete']);
    expect(lines.at(-2)).toContain('/next');
  });

  test('in a request that asks for an upgrade, too', () => {
    const upgrade = 'Connection: upgrade\r\nUpgrade: x\r\nTransfer-Encoding: gzip\r\n';
    expect(refusal(post(upgrade, ''))).toBe('HPE_INVALID_TRANSFER_ENCODING');
    expect(refusal('CONNECT h:1 HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n')).toBe('HPE_INVALID_TRANSFER_ENCODING');
  });

  test('a name that only resembles has no meaning', () => {
    for (const name of [
      'Transfer-Encodin',
      'Transfer-Encoding2',
      'X-Transfer-Encoding',
      'Transfer_Encoding',
      'TransferEncoding',
    ]) {
      const lines = read(post(`${name}: chunked\r\nContent-Length: 2\r\n`, `ab${NEXT}`));
      expect(lines[2]).toBe('body ab');
    }
  });
});

describe('RFC 9112 §6.3 rule 5: Content-Length that is not one length', () => {
  test.each([
    ['+5', 'HPE_INVALID_CONTENT_LENGTH'],
    ['-5', 'HPE_INVALID_CONTENT_LENGTH'],
    ['0x5', 'HPE_INVALID_CONTENT_LENGTH'],
    ['5x', 'HPE_INVALID_CONTENT_LENGTH'],
    ['5.0', 'HPE_INVALID_CONTENT_LENGTH'],
    ['5e0', 'HPE_INVALID_CONTENT_LENGTH'],
    ['5 5', 'HPE_INVALID_CONTENT_LENGTH'],
    ['5,5', 'HPE_INVALID_CONTENT_LENGTH'],
    ['5, 6', 'HPE_INVALID_CONTENT_LENGTH'],
    [',5', 'HPE_INVALID_CONTENT_LENGTH'],
    ['"5"', 'HPE_INVALID_CONTENT_LENGTH'],
    ['', 'HPE_INVALID_CONTENT_LENGTH'],
    ['  ', 'HPE_INVALID_CONTENT_LENGTH'],
    ['5\x00', 'HPE_INVALID_CONTENT_LENGTH'],
    ['\x005', 'HPE_INVALID_CONTENT_LENGTH'],
    ['5\x0b', 'HPE_INVALID_CONTENT_LENGTH'],
    ['\xb25', 'HPE_INVALID_CONTENT_LENGTH'],
    ['9007199254740992', 'HPE_INVALID_CONTENT_LENGTH'],
    ['18446744073709551617', 'HPE_INVALID_CONTENT_LENGTH'],
    ['1000000000000000000000000', 'HPE_INVALID_CONTENT_LENGTH'],
    ['5\r\nContent-Length: 5', 'HPE_UNEXPECTED_CONTENT_LENGTH'],
    ['5\r\nContent-Length: 6', 'HPE_UNEXPECTED_CONTENT_LENGTH'],
    ['0\r\ncontent-length: 0', 'HPE_UNEXPECTED_CONTENT_LENGTH'],
  ])('%j', (length, code) => {
    expect(refusal(post(`Content-Length: ${length}\r\n`, `abcde${NEXT}`))).toBe(code);
  });

  test.each([
    ['5', 'abcde'],
    ['05', 'abcde'],
    ['0000000000000000000000005', 'abcde'],
    ['  5  ', 'abcde'],
  ])('%j is one', (length, body) => {
    const lines = read(post(`Content-Length: ${length}\r\n`, `${body}${NEXT}`));
    expect(lines.slice(2, 4)).toEqual([`body ${body}`, 'complete']);
    expect(lines.at(-2)).toContain('/next');
  });

  test('the largest that can be counted is accepted', () => {
    expect(read(post('Content-Length: 9007199254740991\r\n', 'x')).at(-1)).toBe('body x');
  });
});

describe('RFC 9112 §6.3 rule 7: without either field there is no body', () => {
  test.each(['GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'TRACE'])('%s', (method) => {
    const lines = read(`${method} / HTTP/1.1\r\n\r\n${NEXT}`);
    expect(lines).toHaveLength(6);
    expect(lines[4]).toContain('/next');
  });

  test('and a GET with a length has one', () => {
    const lines = read(`GET / HTTP/1.1\r\nContent-Length: ${NEXT.length}\r\n\r\n${NEXT}`);
    expect(lines.slice(2)).toEqual([`body ${NEXT}`, 'complete']);
  });
});

describe('RFC 9112 §2.2 and §5: what might hide a framing field', () => {
  test.each([
    ['a name and a space before the colon', 'Transfer-Encoding : chunked\r\n', 'HPE_INVALID_HEADER_TOKEN'],
    ['a name and a tab before the colon', 'Content-Length\t: 5\r\n', 'HPE_INVALID_HEADER_TOKEN'],
    ['a name after a space', 'A: b\r\n Content-Length: 5\r\n', 'HPE_INVALID_HEADER_TOKEN'],
    ['a name after a bare LF', 'A: b\nContent-Length: 5\r\n', 'HPE_CR_EXPECTED'],
    ['a name after a bare CR', 'A: b\rContent-Length: 5\r\n', 'HPE_LF_EXPECTED'],
    ['a name after CR CR LF', 'A: b\r\r\nContent-Length: 5\r\n', 'HPE_LF_EXPECTED'],
    ['a name after a NUL', 'A: b\x00\r\nContent-Length: 5\r\n', 'HPE_INVALID_HEADER_TOKEN'],
    ['a NUL in a name', 'Content-Length\x00: 5\r\n', 'HPE_INVALID_HEADER_TOKEN'],
    ['a folded value', 'Transfer-Encoding:\r\n chunked\r\n', 'HPE_INVALID_HEADER_TOKEN'],
    ['a folded length', 'Content-Length: 1\r\n 0\r\n', 'HPE_INVALID_HEADER_TOKEN'],
    ['a 8-bit space', 'Transfer-Encoding:\xa0chunked\r\n', 'HPE_INVALID_TRANSFER_ENCODING'],
    ['a vertical tab', 'Transfer-Encoding:\x0bchunked\r\n', 'HPE_INVALID_HEADER_TOKEN'],
    ['an empty name', ': x\r\nContent-Length: 5\r\n', 'HPE_INVALID_HEADER_TOKEN'],
    ['a line without a colon', 'garbage\r\nContent-Length: 5\r\n', 'HPE_INVALID_HEADER_TOKEN'],
  ])('%s', (_what, fields, code) => {
    expect(refusal(post(fields, `abcde${NEXT}`))).toBe(code);
  });

  test('a first line that begins with a space (§2.2)', () => {
    expect(refusal('POST / HTTP/1.1\r\n Content-Length: 5\r\n\r\nabcde')).toBe('HPE_UNEXPECTED_SPACE');
  });
});

describe('RFC 9112 §7.1: chunks that might be read in two ways', () => {
  const chunked = (body: string): string => refusal(post('Transfer-Encoding: chunked\r\n', body + NEXT));

  test.each([
    ['a sign', '+5\r\nabcde\r\n0\r\n\r\n', 'HPE_INVALID_CHUNK_SIZE'],
    ['a minus', '-1\r\nabcde\r\n0\r\n\r\n', 'HPE_INVALID_CHUNK_SIZE'],
    ['0x', '0x5\r\nabcde\r\n0\r\n\r\n', 'HPE_INVALID_CHUNK_SIZE'],
    ['a space before', ' 5\r\nabcde\r\n0\r\n\r\n', 'HPE_INVALID_CHUNK_SIZE'],
    ['a space behind', '5 \r\nabcde\r\n0\r\n\r\n', 'HPE_INVALID_CHUNK_SIZE'],
    ['a tab behind', '5\t\r\nabcde\r\n0\r\n\r\n', 'HPE_INVALID_CHUNK_SIZE'],
    ['no digits', '\r\nabcde\r\n0\r\n\r\n', 'HPE_INVALID_CHUNK_SIZE'],
    ['only an extension', ';x\r\nabcde\r\n0\r\n\r\n', 'HPE_INVALID_CHUNK_SIZE'],
    ['a letter', 'g\r\nabcde\r\n0\r\n\r\n', 'HPE_INVALID_CHUNK_SIZE'],
    ['a decimal point', '5.0\r\nabcde\r\n0\r\n\r\n', 'HPE_INVALID_CHUNK_SIZE'],
    ['more than can be counted', '20000000000000\r\nabcde', 'HPE_INVALID_CHUNK_SIZE'],
    ['more than 64 bits', '10000000000000005\r\nabcde\r\n0\r\n\r\n', 'HPE_INVALID_CHUNK_SIZE'],
    ['a bare LF after the size', '5\nabcde\r\n0\r\n\r\n', 'HPE_CR_EXPECTED'],
    ['a bare CR after the size', '5\rabcde\r\n0\r\n\r\n', 'HPE_STRICT'],
    ['CR CR LF after the size', '5\r\r\nabcde\r\n0\r\n\r\n', 'HPE_STRICT'],
    ['a bare LF after the data', '5\r\nabcde\n0\r\n\r\n', 'HPE_CR_EXPECTED'],
    ['a bare CR after the data', '5\r\nabcde\r0\r\n\r\n', 'HPE_STRICT'],
    ['nothing after the data', '5\r\nabcde0\r\n\r\n', 'HPE_STRICT'],
    ['data that is longer than said', '4\r\nabcde\r\n0\r\n\r\n', 'HPE_STRICT'],
    ['a bare LF in an extension', '5;a\nabcde\r\n0\r\n\r\n', 'HPE_CR_EXPECTED'],
    ['a bare LF in a quoted extension', '5;a="\n"\r\nabcde\r\n0\r\n\r\n', 'HPE_STRICT'],
    ['a bare CR in an extension', '5;a\rb\r\nabcde\r\n0\r\n\r\n', 'HPE_STRICT'],
    ['a bare LF for the trailer section', '5\r\nabcde\r\n0\r\n\n', 'HPE_INVALID_HEADER_TOKEN'],
    ['a length among the trailers (RFC 9110 §6.5.1)', '0\r\nContent-Length: 5\r\n\r\n', 'HPE_INVALID_CONTENT_LENGTH'],
    ['a coding among the trailers', '0\r\nTransfer-Encoding: chunked\r\n\r\n', 'HPE_INVALID_TRANSFER_ENCODING'],
  ])('%s', (_what, body, code) => {
    expect(chunked(body)).toBe(code);
  });

  test('leading zeros and either case are one size', () => {
    const lines = read(
      post(
        'Transfer-Encoding: chunked\r\n',
        `00000000000000000000A\r\n0123456789\r\na\r\n0123456789\r\n00\r\n\r\n${NEXT}`,
      ),
    );
    expect(lines.slice(2, 4)).toEqual(['body 01234567890123456789', 'complete']);
  });
});
