import { read, refusal } from './reading';

const request = (fields: string): string => `GET / HTTP/1.1\r\n${fields}\r\n`;
const fieldsOf = (fields: string): string => read(request(fields))[1]!.replace(/^[^[]*/, '');
/** Where the first field line begins. */
const AT = 16;

describe('RFC 9112 §5: field lines', () => {
  test.each([
    ['A: b\r\n', '[A=b]'],
    ['A:b\r\n', '[A=b]'],
    ['A: \t b \t \r\n', '[A=b]'],
    ['A: b c\td\r\n', '[A=b c\td]'],
    ['A:\r\n', '[A=]'],
    ['A:  \t\r\n', '[A=]'],
    ['A::b\r\n', '[A=:b]'],
    ['A: \x80\xff\r\n', '[A=\x80\xff]'],
    ["!#$%&'*+-.^_`|~09Zz: x\r\n", "[!#$%&'*+-.^_`|~09Zz=x]"],
    ['A: 1\r\nB: 2\r\nA: 3\r\n', '[A=1|B=2|A=3]'],
    ['a: 1\r\nHOST: x\r\nCoNtEnT-tYpE: y\r\ncookie: z\r\n', '[a=1|HOST=x|CoNtEnT-tYpE=y|cookie=z]'],
  ])('%j', (fields, shown) => {
    expect(fieldsOf(fields)).toBe(shown);
  });

  test('more fields than the record first has room for, in their order', () => {
    const fields = Array.from({ length: 60 }, (_, i) => `Name-${i}: value-${i}`);
    expect(fieldsOf(`${fields.join('\r\n')}\r\n`)).toBe(`[${fields.map((f) => f.replace(': ', '=')).join('|')}]`);
  });

  test.each([...'()<>@,;\\"/[]?={}', '\x00', '\x1f', '\x7f', '\x80'])('%j is no part of a name', (c) => {
    expect(read(request(`A${c}B: x\r\n`)).at(-1)).toBe(`HPE_INVALID_HEADER_TOKEN 'Invalid header token' at ${AT + 1}`);
  });

  test.each([
    ['no name', ': x\r\n', `HPE_INVALID_HEADER_TOKEN 'Invalid header token' at ${AT}`],
    ['no colon', 'Abc\r\n', `HPE_INVALID_HEADER_TOKEN 'Invalid header token' at ${AT + 3}`],
    [
      'white space before the colon (§5.1)',
      'Abc : x\r\n',
      `HPE_INVALID_HEADER_TOKEN 'Invalid header token' at ${AT + 3}`,
    ],
    ['a tab before the colon', 'Abc\t: x\r\n', `HPE_INVALID_HEADER_TOKEN 'Invalid header token' at ${AT + 3}`],
    [
      'the same in a framing field',
      'Content-Length : 1\r\n',
      `HPE_INVALID_HEADER_TOKEN 'Invalid header field char' at ${AT + 15}`,
    ],
    [
      'white space before the first name (§2.2)',
      ' A: x\r\n',
      `HPE_UNEXPECTED_SPACE 'Unexpected space after start line' at ${AT + 1}`,
    ],
    ['a tab before the first name', '\tA: x\r\n', `HPE_INVALID_HEADER_TOKEN 'Invalid header token' at ${AT}`],
    [
      'a fold (§5.2)',
      'A: x\r\n y\r\n',
      `HPE_INVALID_HEADER_TOKEN 'Unexpected whitespace after header value' at ${AT + 6}`,
    ],
    [
      'a fold by a tab',
      'A: x\r\n\ty\r\n',
      `HPE_INVALID_HEADER_TOKEN 'Unexpected whitespace after header value' at ${AT + 6}`,
    ],
    ['a fold of an empty value', 'A:\r\n y\r\n', `HPE_INVALID_HEADER_TOKEN 'Invalid header value char' at ${AT + 5}`],
    ['NUL (RFC 9110 §5.5)', 'A: x\x00y\r\n', `HPE_INVALID_HEADER_TOKEN 'Invalid header value char' at ${AT + 4}`],
    ['a control', 'A: \x01\r\n', `HPE_INVALID_HEADER_TOKEN 'Invalid header value char' at ${AT + 3}`],
    ['DEL', 'A: x\x7f\r\n', `HPE_INVALID_HEADER_TOKEN 'Invalid header value char' at ${AT + 4}`],
    ['a bare CR (§2.2)', 'A: x\ry\r\n', `HPE_LF_EXPECTED 'Missing expected LF after header value' at ${AT + 5}`],
    ['a bare CR in an empty value', 'A:\rB: c\r\n', `HPE_STRICT 'Expected LF after CR' at ${AT + 3}`],
    ['a bare LF', 'A: x\nB: y\r\n', `HPE_CR_EXPECTED 'Missing expected CR after header value' at ${AT + 4}`],
    [
      'a bare LF in an empty value',
      'A:\nB: y\r\n',
      `HPE_INVALID_HEADER_TOKEN 'Invalid header value char' at ${AT + 3}`,
    ],
    ['a bare LF for an empty line', 'A: x\r\n\n', `HPE_INVALID_HEADER_TOKEN 'Invalid header field char' at ${AT + 7}`],
    ['a bare CR for an empty line', 'A: x\r\n\rB', `HPE_STRICT 'Expected LF after headers' at ${AT + 7}`],
  ])('refuses %s', (_what, fields, error) => {
    expect(read(request(fields)).at(-1)).toBe(error);
  });

  test('a fault is noticed with its byte, before the line is whole', () => {
    expect(refusal('GET / HTTP/1.1\r\nA: x\x00')).toBe('HPE_INVALID_HEADER_TOKEN');
    expect(refusal('GET / HTTP/1.1\r\nContent-Length: 1x')).toBe('HPE_INVALID_CONTENT_LENGTH');
    expect(refusal('GET / HTTP/1.1\r\nTransfer-Encoding: chunked,')).toBe('HPE_INVALID_TRANSFER_ENCODING');
  });
});

describe('RFC 9112 §9.3: persistence', () => {
  const next = 'GET /next HTTP/1.1\r\n\r\n';
  const after = (version: string, fields: string): string[] => read(`GET / ${version}\r\n${fields}\r\n${next}`);
  const persists = (version: string, fields: string): boolean => after(version, fields).length === 6;

  test.each([
    ['HTTP/1.1', '', true],
    ['HTTP/1.1', 'Connection: close\r\n', false],
    ['HTTP/1.1', 'Connection: CLOSE\r\n', false],
    ['HTTP/1.1', 'Connection: keep-alive\r\n', true],
    ['HTTP/1.1', 'Connection: x, close\r\n', false],
    ['HTTP/1.1', 'Connection: close , x\r\n', false],
    ['HTTP/1.1', 'Connection: keep-alive, close\r\n', false],
    ['HTTP/1.1', 'Connection: ,,close\r\n', false],
    ['HTTP/1.1', 'Connection: x\r\nConnection: close\r\n', false],
    ['HTTP/1.1', 'Proxy-Connection: close\r\n', false],
    ['HTTP/1.1', 'Connection: closed\r\n', true],
    ['HTTP/1.1', 'Connection: clos\r\n', true],
    ['HTTP/1.1', 'Connection: close x\r\n', true],
    ['HTTP/1.1', 'Connection: disclose\r\n', true],
    ['HTTP/1.1', 'Connection:\r\n', true],
    ['HTTP/1.0', '', false],
    ['HTTP/1.0', 'Connection: keep-alive\r\n', true],
    ['HTTP/1.0', 'Connection: Keep-Alive, x\r\n', true],
    ['HTTP/1.0', 'Connection: keep\ralive\r\n', false],
    ['HTTP/1.0', 'Connection: keepalive\r\n', false],
  ])('%s with %j: %s', (version, fields, expected) => {
    expect(persists(version, fields)).toBe(expected);
  });

  test('what follows a message that ends the connection is refused, but for empty lines', () => {
    const closing = 'GET / HTTP/1.1\r\nConnection: close\r\n\r\n';
    expect(after('HTTP/1.1', 'Connection: close\r\n').at(-1)).toBe(
      `HPE_CLOSED_CONNECTION 'Data after \`Connection: close\`' at ${closing.length + 1}`,
    );
    expect(read(`${closing}\r\n\r\n`).at(-1)).toBe('complete');
    expect(read(closing, { finish: true }).at(-1)).toBe('complete');
  });
});

describe('RFC 9110 §7.8: upgrade', () => {
  test.each([
    ['Connection: upgrade\r\nUpgrade: x\r\n', true],
    ['Upgrade: x\r\nConnection: keep-alive, Upgrade\r\n', true],
    ['Upgrade: x\r\n', false],
    ['Connection: upgrade\r\n', false],
    ['Connection: upgrade\r\nUpgrade:\r\n', false],
    ['Connection: upgrades\r\nUpgrade: x\r\n', false],
  ])('%j: %s', (fields, upgrades) => {
    const head = request(fields);
    expect(read(`${head}GET / HTTP/1.1\r\n\r\n`).at(-1)).toBe(upgrades ? `stops at ${head.length}` : 'complete');
  });
});
