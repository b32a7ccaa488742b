import { HEAD_NO_BODY } from '../../../../http/connection';
import { read, refusal } from './reading';

const response = (text: string): string[] => read(text, { role: 'response', finish: true });

describe('RFC 9112 §4: status line', () => {
  test('version, status and reason', () => {
    expect(response('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n')).toEqual([
      'begin',
      "head 1.1 404 'Not Found' keep-alive [Content-Length=0]",
      'complete',
    ]);
  });

  test.each([
    ['HTTP/1.1 200 OK', "1.1 200 'OK'"],
    ['HTTP/1.0 200 OK', "1.0 200 'OK'"],
    ['HTTP/1.1 200', "1.1 200 ''"],
    ['HTTP/1.1 200 ', "1.1 200 ''"],
    ['HTTP/1.1 200  two', "1.1 200 ' two'"],
    ['HTTP/1.1 000 \x80\x01', "1.1 0 '\x80\x01'"],
    ['HTTP/1.1 999 a b', "1.1 999 'a b'"],
    ['RTSP/1.0 200 OK', "1.0 200 'OK'"],
    ['ICE/1.0 200 OK', "1.0 200 'OK'"],
    ['HTTP/2.0 200 OK', "2.0 200 'OK'"],
  ])('%j', (line, shown) => {
    expect(response(`${line}\r\n\r\n`)[1]).toBe(`head ${shown} []`);
  });

  test.each([
    ['HTTQ/1.1 200 OK', "HPE_INVALID_CONSTANT 'Expected HTTP/, RTSP/ or ICE/' at 3"],
    ['XTTP/1.1 200 OK', "HPE_INVALID_CONSTANT 'Expected HTTP/, RTSP/ or ICE/' at 0"],
    ['HTTP/1.1\t200 OK', "HPE_INVALID_VERSION 'Expected space after version' at 8"],
    ['HTTP/1.2 200 OK', "HPE_INVALID_VERSION 'Invalid HTTP version' at 8"],
    ['HTTP/1.1  200 OK', "HPE_INVALID_STATUS 'Invalid status code' at 9"],
    ['HTTP/1.1 20 OK', "HPE_INVALID_STATUS 'Invalid status code' at 11"],
    ['HTTP/1.1 -20 OK', "HPE_INVALID_STATUS 'Invalid status code' at 9"],
    ['HTTP/1.1 2000 OK', "HPE_INVALID_STATUS 'Invalid response status' at 12"],
    ['HTTP/1.1 200OK', "HPE_INVALID_STATUS 'Invalid response status' at 12"],
    ['HTTP/1.1 200\nX', "HPE_INVALID_STATUS 'Invalid response status' at 13"],
    ['HTTP/1.1 200 OK\nX', "HPE_CR_EXPECTED 'Missing expected CR after response line' at 16"],
    ['HTTP/1.1 200 OK\rX', "HPE_STRICT 'Expected LF after CR' at 16"],
  ])('%j: %s', (line, error) => {
    expect(response(`${line}\r\n\r\n`).at(-1)).toBe(error);
  });

  test('a bare CR does not end a status line (§2.2)', () => {
    expect(refusal('HTTP/1.1 200 OK\r\rA: b\r\n\r\n', { role: 'response' })).toBe('HPE_STRICT');
    expect(refusal('HTTP/1.1 200\r\rA: b\r\n\r\n', { role: 'response' })).toBe('HPE_STRICT');
  });
});

describe('RFC 9112 §6.3: the body of a response', () => {
  const head = (status: number, fields: string): string => `HTTP/1.1 ${status} X\r\n${fields}\r\n`;
  const next = 'HTTP/1.1 200 Y\r\nContent-Length: 0\r\n\r\n';

  test.each([100, 102, 103, 150, 199, 204, 304])('rule 1: %d has none, whatever its fields say', (status) => {
    for (const field of [
      'Content-Length: 5\r\n',
      'Transfer-Encoding: chunked\r\n',
      'Transfer-Encoding: gzip\r\n',
      '',
    ]) {
      expect(response(head(status, field) + next)).toHaveLength(6);
    }
  });

  test('rule 1: the response to HEAD has none', () => {
    const lines = read(head(200, 'Content-Length: 5\r\n') + next, { role: 'response', answer: HEAD_NO_BODY });
    expect(lines.filter((line) => line === 'complete')).toHaveLength(2);
    expect(read(head(200, '') + next, { role: 'response', answer: HEAD_NO_BODY })).toHaveLength(6);
  });

  test('rule 1 and RFC 9110 §15.2.2: 101 ends HTTP', () => {
    const upgrade = head(101, 'Connection: upgrade\r\nUpgrade: x\r\n');
    expect(response(`${upgrade}bytes`)).toEqual([
      'begin',
      "head 1.1 101 'X' upgrade keep-alive [Connection=upgrade|Upgrade=x]",
      'complete',
      `stops at ${upgrade.length}`,
    ]);
    expect(response(`${head(101, '')}bytes`).at(-1)).toBe('stops at 18');
  });

  test('an Upgrade field in any other response only announces', () => {
    const lines = response(`${head(200, 'Connection: upgrade\r\nUpgrade: x\r\nContent-Length: 2\r\n')}hi`);
    expect(lines.slice(2)).toEqual(['body hi', 'complete']);
  });

  test('rule 4: chunked', () => {
    expect(response(`${head(200, 'Transfer-Encoding: chunked\r\n')}2\r\nhi\r\n0\r\n\r\n${next}`)).toHaveLength(7);
  });

  test.each(['gzip', 'chunked, gzip', 'identity', 'xchunked', 'chunked;q=1', 'chunked\t', ''])(
    'rule 4: with %j as the last coding it goes on until the connection closes',
    (coding) => {
      const lines = response(`${head(200, `Transfer-Encoding: ${coding}\r\n`)}2\r\nhi\r\n0\r\n\r\n`);
      expect(lines.slice(2)).toEqual(['body 2\r\nhi\r\n0\r\n\r\n', 'complete']);
    },
  );

  test.each(['chunked', 'gzip, chunked', 'GZip,Chunked', ', chunked', 'chunked, chunked', 'gzip ,\tchunked '])(
    'rule 4: %j ends in chunked',
    (coding) => {
      expect(response(`${head(200, `Transfer-Encoding: ${coding}\r\n`)}0\r\n\r\n`).at(-1)).toBe('complete');
    },
  );

  test('rule 4: two fields count as one list', () => {
    const both = 'Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n';
    expect(response(`${head(200, both)}0\r\n\r\n${next}`)).toHaveLength(6);
    const reversed = 'Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n';
    expect(response(`${head(200, reversed)}0\r\n\r\n`)[2]).toBe('body 0\r\n\r\n');
  });

  test('rule 6: Content-Length', () => {
    expect(response(`${head(200, 'Content-Length: 3\r\n')}abc${next}`)[2]).toBe('body abc');
  });

  test('rule 8: else until the connection closes', () => {
    expect(response(`${head(200, '')}abc`)).toEqual(['begin', "head 1.1 200 'X' []", 'body abc', 'complete']);
    expect(read(`${head(200, '')}abc`, { role: 'response' }).at(-1)).toBe('body abc');
  });

  test.each([
    ['in its head', 'HTTP/1.1 200'],
    ['in its body', 'HTTP/1.1 200 X\r\nContent-Length: 5\r\n\r\nabc'],
    ['before its body', 'HTTP/1.1 200 X\r\nContent-Length: 5\r\n\r\n'],
    ['in a chunk', 'HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc'],
    ['before the last chunk', 'HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n'],
    ['in the trailer section', 'HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n'],
  ])('§8: a message that ends %s is incomplete', (_where, text) => {
    expect(response(text).at(-1)).toBe("HPE_INVALID_EOF_STATE 'Invalid EOF state' at end");
  });
});
