import { asNetError, type BodyFraming, type Phase } from '../../../electron/errors';
import { cert, expired, key } from '../http/tls-identity';
import { Lab, outcomeOf, PlainSession, run, wire } from './lab';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});
afterEach(() => lab.close());

const failure = (code: string, syscall?: string): Error => Object.assign(new Error(code), { code, syscall });

describe('the table', () => {
  const rows: [string, Phase, string, string?, BodyFraming?][] = [
    ['ENOTFOUND', 'connect', 'ERR_NAME_NOT_RESOLVED', 'getaddrinfo'],
    ['EAI_AGAIN', 'connect', 'ERR_NAME_NOT_RESOLVED', 'getaddrinfo'],
    ['ECONNREFUSED', 'connect', 'ERR_CONNECTION_REFUSED', 'connect'],
    ['ETIMEDOUT', 'connect', 'ERR_CONNECTION_TIMED_OUT', 'connect'],
    ['ETIMEDOUT', 'request', 'ERR_TIMED_OUT', 'read'],
    ['EHOSTUNREACH', 'connect', 'ERR_ADDRESS_UNREACHABLE', 'connect'],
    ['ENETUNREACH', 'connect', 'ERR_ADDRESS_UNREACHABLE', 'connect'],
    ['ENETDOWN', 'connect', 'ERR_INTERNET_DISCONNECTED', 'connect'],
    ['ERR_INTERNET_DISCONNECTED', 'connect', 'ERR_INTERNET_DISCONNECTED'],
    ['ECONNRESET', 'connect', 'ERR_CONNECTION_RESET', 'read'],
    ['ECONNRESET', 'connect', 'ERR_CONNECTION_CLOSED'],
    ['ECONNRESET', 'request', 'ERR_CONNECTION_RESET', 'read'],
    ['ECONNRESET', 'request', 'ERR_EMPTY_RESPONSE'],
    ['EPIPE', 'request', 'ERR_CONNECTION_RESET', 'write'],
    ['ECONNABORTED', 'request', 'ERR_CONNECTION_ABORTED', 'write'],
    ['ECONNRESET', 'body', 'ERR_CONNECTION_RESET', 'read', 'length'],
    ['ECONNRESET', 'body', 'ERR_CONTENT_LENGTH_MISMATCH', undefined, 'length'],
    ['ECONNRESET', 'body', 'ERR_INCOMPLETE_CHUNKED_ENCODING', undefined, 'chunked'],
    ['ECONNRESET', 'body', 'ERR_CONNECTION_CLOSED', undefined, 'close'],
    ['HPE_INVALID_CONSTANT', 'request', 'ERR_INVALID_HTTP_RESPONSE'],
    ['HPE_HEADER_OVERFLOW', 'request', 'ERR_RESPONSE_HEADERS_TOO_BIG'],
    ['HPE_UNEXPECTED_CONTENT_LENGTH', 'request', 'ERR_RESPONSE_HEADERS_MULTIPLE_CONTENT_LENGTH'],
    ['HPE_INVALID_CHUNK_SIZE', 'body', 'ERR_INVALID_CHUNKED_ENCODING', undefined, 'chunked'],
    ['HPE_STRICT', 'body', 'ERR_INVALID_CHUNKED_ENCODING', undefined, 'chunked'],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'connect', 'ERR_CERT_AUTHORITY_INVALID'],
    ['ERR_TLS_CERT_ALTNAME_INVALID', 'connect', 'ERR_CERT_COMMON_NAME_INVALID'],
    ['CERT_HAS_EXPIRED', 'connect', 'ERR_CERT_DATE_INVALID'],
    ['CERT_REVOKED', 'connect', 'ERR_CERT_REVOKED'],
    ['CERT_SIGNATURE_FAILURE', 'connect', 'ERR_CERT_INVALID'],
    ['ERR_SSL_WRONG_VERSION_NUMBER', 'connect', 'ERR_SSL_VERSION_OR_CIPHER_MISMATCH'],
    ['EPROTO', 'connect', 'ERR_SSL_PROTOCOL_ERROR'],
    ['ERR_PROXY_CONNECTION_FAILED', 'connect', 'ERR_PROXY_CONNECTION_FAILED'],
    ['ERR_TUNNEL_CONNECTION_FAILED', 'connect', 'ERR_TUNNEL_CONNECTION_FAILED'],
    ['ERR_SOMETHING_OF_NODE', 'connect', 'ERR_FAILED'],
    ['EWHATEVER', 'request', 'ERR_FAILED'],
  ];
  // Rows as they are: a missing column would be taken for a callback.
  test.each(rows.map((row) => ({ row })))('$row.0 while in $row.1 is $row.2', ({ row }) => {
    const [code, phase, name, syscall, framing] = row;
    const cause = failure(code, syscall);
    const error = asNetError(cause, phase, framing);
    expect(error).toMatchObject({ message: `net::${name}`, code: name });
    expect(error.cause).toBe(cause);
  });

  test.each([new Error('bare'), null, undefined, 'text'])('%p is a failure all the same', (cause) => {
    expect(asNetError(cause, 'request').code).toBe('ERR_FAILED');
  });
});

describe('as they happen', () => {
  const failing = async (url: string): Promise<unknown[]> => {
    const { error, events } = await run(lab.request(url));
    return [error?.message, (error?.cause as { code?: string } | undefined)?.code, events];
  };
  const plain = ['finish', 'error', 'close'];

  test('E-093: a name that does not resolve', async () => {
    expect(await failing('http://nowhere.invalid/')).toEqual(['net::ERR_NAME_NOT_RESOLVED', 'ENOTFOUND', plain]);
  });

  test('E-094: nobody listens', async () => {
    expect(await failing('http://127.0.0.1:1/')).toEqual(['net::ERR_CONNECTION_REFUSED', 'ECONNREFUSED', plain]);
  });

  test('E-095: the connection is reset', async () => {
    const origin = await lab.accept((socket) => void socket.once('data', () => socket.resetAndDestroy()));
    expect(await failing(origin)).toEqual(['net::ERR_CONNECTION_RESET', 'ECONNRESET', plain]);
  });

  test('E-095: the connection is reset in the middle of an upload', async () => {
    const origin = await lab.accept((socket) => void socket.once('data', () => socket.resetAndDestroy()));
    const request = lab.request({ method: 'POST', url: origin });
    request.chunkedEncoding = true;
    const outcome = outcomeOf(request);
    request.write(Buffer.alloc(1000));
    const { error, events } = await outcome;
    expect(error?.message).toMatch(/^net::ERR_(CONNECTION_RESET|CONNECTION_ABORTED|FAILED)$/);
    expect(events).toEqual(['error', 'close']);
  });

  test('E-096: the connection is closed without a byte', async () => {
    const origin = await lab.accept((socket) => void socket.resume().once('data', () => socket.end()));
    expect(await failing(origin)).toEqual(['net::ERR_EMPTY_RESPONSE', 'ECONNRESET', plain]);
  });

  test('E-097: there is no way there', async () => {
    expect(await failing('http://203.0.113.1/')).toEqual(['net::ERR_ADDRESS_UNREACHABLE', 'ENETUNREACH', plain]);
  });

  test('E-097: the session is offline', async () => {
    lab.session.offline = true;
    expect((await failing('http://127.0.0.1:1/'))[0]).toBe('net::ERR_INTERNET_DISCONNECTED');
  });

  test('E-098: a certificate that nobody vouches for', async () => {
    const server = lab.modules.https.createServer({ key, cert });
    const port = await lab.listen(server);
    const session = new PlainSession(lab.modules, { rejectUnauthorized: true });
    const { error } = await run(lab.electron.request({ url: `https://localhost:${port}/`, session }));
    session.agents.https.destroy();
    expect(error?.message).toBe('net::ERR_CERT_AUTHORITY_INVALID');
  });

  test('E-098: a certificate that has expired', async () => {
    const port = await lab.listen(lab.modules.https.createServer(expired));
    const session = new PlainSession(lab.modules, { rejectUnauthorized: true, ca: expired.cert });
    const { error } = await run(lab.electron.request({ url: `https://localhost:${port}/`, session }));
    session.agents.https.destroy();
    expect([error?.message, (error?.cause as { code?: string } | undefined)?.code]).toEqual([
      'net::ERR_CERT_DATE_INVALID',
      'CERT_HAS_EXPIRED',
    ]);
  });

  test('E-098: a certificate of another name', async () => {
    const server = lab.modules.https.createServer({ key, cert });
    const port = await lab.listen(server);
    const session = new PlainSession(lab.modules, { rejectUnauthorized: true, ca: cert });
    const { error } = await run(lab.electron.request({ url: `https://other.test:${port}/`, session }));
    expect(error?.message).toBe('net::ERR_CERT_COMMON_NAME_INVALID');
  });

  test.each([
    ['garbage', 'what is this?\r\n\r\n', 'net::ERR_INVALID_HTTP_RESPONSE'],
    ['a bad field', 'HTTP/1.1 200 OK\r\nbad field\r\n\r\n', 'net::ERR_INVALID_HTTP_RESPONSE'],
    ['a head of 20 KiB', `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, 'net::ERR_RESPONSE_HEADERS_TOO_BIG'],
    ['an upgrade', 'HTTP/1.1 101 Hi\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n', 'net::ERR_INVALID_HTTP_RESPONSE'],
  ])('E-099: %s', async (_name, answer, message) => {
    const { origin } = await wire(lab, [answer]);
    expect((await failing(origin))[0]).toBe(message);
  });

  test('E-099: TLS from who does not speak it', async () => {
    const { origin } = await wire(lab, ['']);
    const origin2 = await lab.accept(
      (socket) => void socket.once('data', () => socket.end('HTTP/1.1 400 Bad\r\n\r\n')),
    );
    expect(origin).toBeDefined();
    expect((await failing(origin2.replace('http:', 'https:')))[0]).toMatch(/^net::ERR_SSL_/);
  });

  test('CONNECT is not for requests', async () => {
    const { error } = await run(lab.request({ method: 'CONNECT', url: 'http://127.0.0.1:1/' }));
    expect(error?.message).toBe('net::ERR_INVALID_ARGUMENT');
  });
});

describe('E-100: proxies', () => {
  const failed = (code: string, more: object = {}): Error => Object.assign(new Error(code), { code, ...more });

  /** Makes the session's agents fail as a proxy would make them. */
  const throughProxies = (...errors: (Error | null)[]): void => {
    const { http } = lab.session.agents;
    const connect = http.createConnection.bind(http);
    let next = 0;
    http.createConnection = ((options: object, callback: (error: Error) => void) => {
      const error = errors[next++] ?? null;
      if (error === null) return connect(options as never, callback as never);
      process.nextTick(callback, error);
      return undefined;
    }) as never;
    lab.session.proxies = errors.map((_, i) => ({ type: 'socks5', host: `proxy${i}.test`, port: 1 }));
  };

  test('one that cannot be reached is passed over', async () => {
    const { origin } = await wire(lab);
    throughProxies(failed('ERR_PROXY_CONNECTION_FAILED'), null);
    expect((await run(lab.request(origin))).status).toBe(200);
  });

  test('and so is the next: each has its turn', async () => {
    const { origin } = await wire(lab);
    const refused = failed('ERR_PROXY_CONNECTION_FAILED');
    throughProxies(refused, refused, null);
    expect((await run(lab.request(origin))).status).toBe(200);
  });

  test('the last one is the end', async () => {
    throughProxies(failed('ERR_PROXY_CONNECTION_FAILED'), failed('ERR_PROXY_CONNECTION_FAILED'));
    expect((await run(lab.request('http://127.0.0.1:1'))).error?.message).toBe('net::ERR_PROXY_CONNECTION_FAILED');
  });

  const refusal = {
    statusCode: 407,
    statusMessage: 'No',
    rawHeaders: ['Proxy-Authenticate', 'Basic realm="proxy"'],
  };

  test('a tunnel that wants credentials asks for them', async () => {
    const { origin } = await wire(lab);
    throughProxies(failed('ERR_TUNNEL_CONNECTION_FAILED', { refusal }), null);
    const request = lab.request(origin);
    const infos: unknown[] = [];
    request.on('login', (info, callback) => {
      infos.push(info);
      callback('u', 'p');
    });
    expect((await run(request)).status).toBe(200);
    expect(infos).toEqual([{ isProxy: true, scheme: 'basic', host: 'proxy0.test', port: 1, realm: 'proxy' }]);
  });

  test('without them there is no tunnel, and what the proxy said is not shown as the origin', async () => {
    throughProxies(failed('ERR_TUNNEL_CONNECTION_FAILED', { refusal }));
    const { events, error } = await run(lab.request('http://127.0.0.1:1'));
    expect([events, error?.message]).toEqual([['finish', 'error', 'close'], 'net::ERR_TUNNEL_CONNECTION_FAILED']);
  });

  test('any other answer to CONNECT is the end', async () => {
    throughProxies(failed('ERR_TUNNEL_CONNECTION_FAILED', { refusal: { ...refusal, statusCode: 503 } }));
    const request = lab.request('http://127.0.0.1:1');
    request.on('login', () => {
      throw new Error('not to be asked');
    });
    expect((await run(request)).error?.message).toBe('net::ERR_TUNNEL_CONNECTION_FAILED');
  });
});
