import { METHOD_PROTOCOLS, METHODS, PROTOCOL_HTTP, PROTOCOL_RTSP } from '../../../../http/grammar';
import { read, refusal } from './reading';

const line = (start: string): string[] => read(`${start}\r\n\r\n`);

describe('RFC 9112 §3: request line', () => {
  test('method, target and version', () => {
    expect(line('GET /a/b?c=d HTTP/1.1')).toEqual(['begin', 'head GET /a/b?c=d 1.1 keep-alive []', 'complete']);
  });

  test.each(METHODS.filter((m, i) => METHOD_PROTOCOLS[i]! & PROTOCOL_HTTP && m !== 'PRI' && m !== 'CONNECT'))(
    'the method %s',
    (method) => {
      expect(line(`${method} / HTTP/1.1`)[1]).toBe(`head ${method} / 1.1 keep-alive []`);
    },
  );

  test('35 methods besides those of RTSP and the HTTP/2 preface', () => {
    expect(METHODS.filter((m, i) => METHOD_PROTOCOLS[i]! & PROTOCOL_HTTP && m !== 'PRI')).toHaveLength(35);
    expect(METHODS.filter((_, i) => METHOD_PROTOCOLS[i]! & PROTOCOL_RTSP)).toHaveLength(14);
  });

  test.each([
    ['get / HTTP/1.1', 'Invalid method encountered', 0],
    ['GAT / HTTP/1.1', 'Invalid method encountered', 1],
    ['GET_PARA / HTTP/1.1', 'Invalid method encountered', 8],
    ['GETX / HTTP/1.1', 'Expected space after method', 3],
    ['GET\t/ HTTP/1.1', 'Expected space after method', 3],
  ])('%j is no method: %s', (start, reason, at) => {
    expect(line(start)).toEqual(['begin', `HPE_INVALID_METHOD '${reason}' at ${at}`]);
  });

  test('a method is refused with its first wrong byte, before the line is whole', () => {
    expect(read('X')).toEqual(['begin', "HPE_INVALID_METHOD 'Invalid method encountered' at 0"]);
  });

  test('empty lines before a request are skipped (§2.2)', () => {
    expect(read('\r\n\n\r\nGET / HTTP/1.1\r\n\r\n')).toHaveLength(3);
    expect(read('\r\n\r\n')).toEqual([]);
  });

  test('more than one space may separate, as Node has it', () => {
    expect(line('GET   /x   HTTP/1.1')[1]).toBe('head GET /x 1.1 keep-alive []');
  });

  test.each([
    ['GET / HTTP/1.1 \r\n', 'HPE_INVALID_VERSION'],
    ['GET /\tHTTP/1.1\r\n', 'HPE_INVALID_URL'],
    ['GET / \tHTTP/1.1\r\n', 'HPE_INVALID_URL'],
    ['GET / HTTP/1.1\r\r\n', 'HPE_STRICT'],
    ['GET / HTTP/1.1\rX', 'HPE_STRICT'],
    ['GET / HTTP/1.1\n\r\n', 'HPE_INVALID_VERSION'],
    ['GET / HTTP/1.1x\r\n', 'HPE_INVALID_VERSION'],
  ])('white space and line ends are as the RFC has them: %j', (text, code) => {
    expect(refusal(text)).toBe(code);
  });
});

describe('RFC 9112 §3.2: request target', () => {
  test.each([
    '/',
    '*',
    '//',
    '/%20',
    '/a?b?c',
    '/a?b#c',
    '/a#b?c#d',
    'http://host',
    'http://host/',
    'http://u:p@host:80/p?q#f',
    'http://[::1]:8080/',
    '/"<>[]^`{|}~!$&\'()*+,;=:@-._',
    'urn://x?y',
    'http://host?q',
  ])('%s', (target) => {
    expect(line(`GET ${target} HTTP/1.1`)[1]).toBe(`head GET ${target} 1.1 keep-alive []`);
  });

  test.each(['host:443', '[::1]:443', 'u@host:1', 'host/path', 'host?query'])('CONNECT %s', (target) => {
    expect(read(`CONNECT ${target} HTTP/1.1\r\n\r\n`)[1]).toBe(`head CONNECT ${target} 1.1 upgrade keep-alive []`);
  });

  test.each([
    ['1', 'Unexpected start char in url', 4],
    ['?', 'Unexpected start char in url', 4],
    ['ht1p://x', 'Unexpected char in url schema', 6],
    ['http:x', 'Unexpected char in url schema', 9],
    ['http:/x', 'Unexpected char in url schema', 10],
    ['http://a"', 'Unexpected char in url server', 12],
    ['http://a@@b', 'Double @ in url', 14],
    ['/a\x80', 'Invalid char in url path', 6],
    ['/a\x00', 'Invalid char in url path', 6],
    ['/a?\x7f', 'Invalid char in url query', 7],
    ['/a#\xff', 'Invalid char in url fragment start', 7],
    ['/a\tb', 'Invalid characters in url', 7],
    ['/a\f', 'Invalid characters in url', 7],
    ['http\r', 'Invalid characters in url', 9],
  ])('%j is refused: %s', (target, reason, at) => {
    expect(read(`GET ${target} HTTP/1.1\r\n\r\n`).at(-1)).toBe(`HPE_INVALID_URL '${reason}' at ${at}`);
  });

  test('CONNECT takes no path alone for its authority', () => {
    expect(line('CONNECT /x HTTP/1.1')[1]).toContain('CONNECT /x');
    expect(refusal('CONNECT "x HTTP/1.1\r\n\r\n')).toBe('HPE_INVALID_URL');
  });
});

describe('RFC 9112 §2.3: version', () => {
  test.each([
    ['HTTP/1.1', '1.1 keep-alive'],
    ['HTTP/1.0', '1.0'],
    ['HTTP/0.9', '0.9'],
    ['HTTP/2.0', '2.0'],
  ])('%s', (version, shown) => {
    expect(line(`GET / ${version}`)[1]).toBe(`head GET / ${shown} []`);
  });

  test.each([
    ['HTTP/1.2', "HPE_INVALID_VERSION 'Invalid HTTP version' at 14"],
    ['HTTP/3.0', "HPE_INVALID_VERSION 'Invalid HTTP version' at 14"],
    ['HTTP/x.1', "HPE_INVALID_VERSION 'Invalid major version' at 11"],
    ['HTTP/11', "HPE_INVALID_VERSION 'Expected dot' at 12"],
    ['HTTP/1.x', "HPE_INVALID_VERSION 'Invalid minor version' at 13"],
    ['http/1.1', "HPE_INVALID_CONSTANT 'Expected HTTP/, RTSP/ or ICE/' at 6"],
    ['HTTQ/1.1', "HPE_INVALID_CONSTANT 'Expected HTTP/, RTSP/ or ICE/' at 9"],
    ['HTTP1.1', "HPE_INVALID_CONSTANT 'Expected HTTP/, RTSP/ or ICE/' at 10"],
    ['RTSP/1.0', "HPE_INVALID_CONSTANT 'Invalid method for RTSP/x.x request' at 10"],
    ['ICE/1.0', "HPE_INVALID_CONSTANT 'Expected SOURCE method for ICE/x.x request' at 9"],
  ])('%s: %s', (version, error) => {
    const method = version.startsWith('RTSP') ? 'PUT' : 'GET';
    expect(line(`${method} / ${version}`).at(-1)).toBe(error);
  });

  test('a line without a version is HTTP/0.9, which Node takes', () => {
    expect(line('GET /')).toEqual(['begin', 'head GET / 0.9 []', 'complete']);
    expect(read('GET /\n\r\n')).toEqual(['begin', 'head GET / 0.9 []', 'complete']);
    expect(refusal('GET /\rX')).toBe('HPE_INVALID_URL');
  });

  test('other protocols with the same grammar', () => {
    expect(line('DESCRIBE / RTSP/1.0')[1]).toBe('head DESCRIBE / 1.0 []');
    expect(line('SOURCE /x ICE/1.0')[1]).toBe('head SOURCE /x 1.0 []');
    expect(refusal('DESCRIBE / HTTP/1.1\r\n')).toBe('HPE_INVALID_CONSTANT');
  });

  test('the HTTP/2 connection preface is recognised, and anything else with its method refused', () => {
    expect(refusal('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')).toBe('HPE_PAUSED_H2_UPGRADE');
    expect(refusal('PRI * HTTP/2.0\r\n\r\nGET')).toBe('HPE_INVALID_VERSION');
    expect(refusal('PRI * HTTP/1.1\r\nHost: x\r\n\r\n')).toBe('HPE_INVALID_VERSION');
  });
});
