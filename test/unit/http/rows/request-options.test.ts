import type nodeHttp from 'node:http';
import { Duplex } from 'node:stream';
import { type Bench, event, row, soon, thrown, wrong } from './bench';

/** The bytes of a request with these options. */
const wireOf = (b: Bench, options: nodeHttp.RequestOptions): Promise<string> =>
  b.wire(
    () =>
      void b
        .request(options)
        .on('error', () => {})
        .end(),
  );

/** A Duplex that answers every request it is sent. */
function canned(answer: string): Duplex {
  const stream: Duplex = new Duplex({
    read() {},
    write(_chunk, _encoding, callback) {
      callback();
      process.nextTick(() => stream.push(answer));
    },
  });
  return stream;
}

describe('request options', () => {
  row('H-069 without an agent the global one is used', async (b) => {
    await b.serve();
    const request = b.request({ agent: undefined });
    expect((request as unknown as { agent: unknown }).agent).toBe(b.http.globalAgent);
    await b.finish(request);
  });

  row('H-072 H-073 H-101 auth becomes an Authorization header, unless there is one', async (b) => {
    const basic = Buffer.from('user:pass').toString('base64');
    expect(await wireOf(b, { auth: 'user:pass' })).toContain(`\r\nAuthorization: Basic ${basic}\r\n`);
    const own = await wireOf(b, { auth: 'user:pass', headers: { authorization: 'Mine' } });
    expect(own).toContain('\r\nauthorization: Mine\r\n');
    expect(own).not.toContain('Basic');
  });

  row('H-074 createConnection gives any Duplex', async (b) => {
    await b.serve();
    let calls = 0;
    const { text } = await b.get({
      createConnection: (options) => {
        calls++;
        expect(options).toMatchObject({ host: '127.0.0.1', port: b.port });
        return canned('HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes') as never;
      },
    });
    expect([text, calls]).toEqual(['yes', 1]);
  });

  row('H-075 H-087 defaultPort is connected to, and not named in Host', async (b) => {
    const text = await b.wire(
      () =>
        void b.http.get({ host: '127.0.0.1', defaultPort: b.port } as nodeHttp.RequestOptions).on('error', () => {}),
    );
    expect(text).toContain('\r\nHost: 127.0.0.1\r\n');
    expect(`${thrown(() => b.request({ port: 70_000 }))}`).toBe(
      'RangeError [ERR_SOCKET_BAD_PORT]: Port should be >= 0 and < 65536. Received type number (70000).',
    );
  });

  row('H-076 H-082 family and lookup decide the address', async (b) => {
    await b.serve();
    const asked: unknown[] = [];
    const lookup = (name: string, options: { family?: number }, callback: (...found: unknown[]) => void): void => {
      asked.push(name, options.family);
      callback(null, '127.0.0.1', 4);
    };
    expect((await b.get({ host: 'somewhere', family: 4, lookup: wrong(lookup) })).text).toBe('ok');
    expect(asked).toEqual(['somewhere', 4]);
    const failing = (_name: string, _options: object, callback: (error: Error) => void): void =>
      callback(new Error('no'));
    await expect(b.get({ host: 'elsewhere', lookup: wrong(failing) })).rejects.toThrow('no');
    expect(thrown(() => b.request({ host: 'a', lookup: wrong('x') }))).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
    expect(thrown(() => b.request({ host: 'a', family: 5 }))).toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' });
  });

  row('H-077 headers go out in their order; a list goes out as it is', async (b) => {
    expect(await wireOf(b, { headers: { B: '1', a: 2, C: ['x', 'y'] } })).toMatch(
      /^GET \/ HTTP\/1.1\r\nB: 1\r\na: 2\r\nC: x\r\nC: y\r\nHost: /,
    );
    const list = await wireOf(b, { headers: ['B', '1', 'B', '2'] as never });
    expect(list).toBe('GET / HTTP/1.1\r\nB: 1\r\nB: 2\r\nConnection: keep-alive\r\n\r\n');
  });

  row('H-078 the host is localhost when none is named', (b) => {
    const request = b.http.request({ port: 1 }).on('error', () => {});
    expect(request.host).toBe('localhost');
    request.destroy();
    expect(`${thrown(() => b.request({ host: wrong(5) }))}`).toBe(
      'TypeError [ERR_INVALID_ARG_TYPE]: The "options.host" property must be of type string or one of undefined or null. ' +
        'Received type number (5)',
    );
  });

  row('H-079 hostname wins over host', async (b) => {
    await b.serve();
    expect((await b.get({ host: 'nowhere.invalid', hostname: '127.0.0.1' })).text).toBe('ok');
  });

  row('H-080 insecureHTTPParser takes responses that are refused otherwise', async (b) => {
    await b.answer('HTTP/1.1 200 OK\r\nX: a\x01b\r\nContent-Length: 1\r\n\r\nx');
    await expect(b.get()).rejects.toMatchObject({ code: 'HPE_INVALID_HEADER_TOKEN' });
    expect((await b.get({ insecureHTTPParser: true })).res.headers['x']).toBe('a\x01b');
    expect(thrown(() => b.request({ insecureHTTPParser: wrong('x') }))).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
  });

  row('H-081 localAddress is where the request comes from', async (b) => {
    await b.serve((req, res) => res.end(req.socket.remoteAddress));
    expect((await b.get({ localAddress: '127.0.0.4' })).text).toBe('127.0.0.4');
  });

  row('H-083 maxHeaderSize limits the head of the response', async (b) => {
    await b.serve((_req, res) => void res.setHeader('X', 'x'.repeat(100)).end());
    await expect(b.get({ maxHeaderSize: 50 })).rejects.toMatchObject({ code: 'HPE_HEADER_OVERFLOW' });
  });

  row('H-084 the method is sent in capitals, and has to be a token', async (b) => {
    expect(await wireOf(b, { method: 'put' })).toMatch(/^PUT /);
    expect(`${thrown(() => b.request({ method: 'GE T' }))}`).toBe(
      'TypeError [ERR_INVALID_HTTP_TOKEN]: Method must be a valid HTTP token ["GE T"]',
    );
    expect(thrown(() => b.request({ method: wrong(1) }))).toMatchObject({
      code: 'ERR_INVALID_ARG_TYPE',
      message: 'The "options.method" property must be of type string. Received type number (1)',
    });
  });

  row('H-085 H-086 the path is sent as it is, and has no blanks, controls or letters beyond Latin-1', async (b) => {
    expect(await wireOf(b, {})).toMatch(/^GET \/ /);
    expect(await wireOf(b, { path: '/a?b=%20#c' })).toMatch(/^GET \/a\?b=%20#c /);
    for (const path of ['/a b', '/a\n', '/\u20ac']) {
      expect(`${thrown(() => b.request({ path }))}`).toBe(
        'TypeError [ERR_UNESCAPED_CHARACTERS]: Request path contains unescaped characters',
      );
    }
  });

  row('H-088 the protocol has to be the agent\u2019s', (b) => {
    expect(`${thrown(() => b.request({ protocol: 'https:' }))}`).toBe(
      'TypeError [ERR_INVALID_PROTOCOL]: Protocol "https:" not supported. Expected "http:"',
    );
  });

  row('H-089 H-090 Host is sent, with the port unless it is 80, and addresses in brackets', async (b) => {
    expect(await wireOf(b, {})).toContain(`\r\nHost: 127.0.0.1:${b.port}\r\n`);
    expect(await wireOf(b, { setHost: false })).not.toContain('Host');
    const host = (options: nodeHttp.RequestOptions): unknown => {
      const request = b.http.request({ ...options, createConnection: () => canned('') as never }).on('error', () => {});
      const value = request.getHeader('host');
      request.destroy();
      return value;
    };
    expect(host({ host: '::1', port: 8080 })).toBe('[::1]:8080');
    expect(host({ host: '[::1]', port: 80, defaultPort: 80 })).toBe('[::1]');
    expect(host({ host: 'a.b', port: 80, defaultPort: 80 })).toBe('a.b');
  });

  row('H-091 socketPath wins over host and port', async (b) => {
    const request = b.request({ socketPath: '/nowhere/at/all' });
    const [error] = await event(request, 'error');
    expect(error).toMatchObject({ code: 'ENOENT', syscall: 'connect', address: '/nowhere/at/all' });
  });

  row('H-092 timeout is set before the socket connects', async (b) => {
    await b.answer(() => {});
    const request = b.request({ timeout: 20 });
    let timeout: unknown;
    request.on('socket', (socket) => {
      timeout = socket.timeout;
    });
    request.on('error', () => {});
    request.end();
    await event(request, 'timeout');
    expect(timeout).toBe(20);
    request.destroy();
    expect(`${thrown(() => b.request({ timeout: -1 }))}`).toBe(
      'RangeError [ERR_OUT_OF_RANGE]: The value of "timeout" is out of range. It must be a non-negative finite number. Received -1',
    );
    expect(thrown(() => b.request({ timeout: wrong('x') }))).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
  });

  row('H-093 the callback listens to the response once', async (b) => {
    await b.serve();
    const request = b.http.request({ host: '127.0.0.1', port: b.port }, (res) => res.resume());
    expect(request.listenerCount('response')).toBe(1);
    request.end();
    await event(request, 'close');
    expect(request.listenerCount('response')).toBe(0);
  });

  row('H-094 a ClientRequest comes back', (b) => {
    const request = b.request({ port: 1 }).on('error', () => {});
    expect(request).toBeInstanceOf(b.http.ClientRequest);
    expect(request).toBeInstanceOf(b.http.OutgoingMessage);
    expect([typeof request.write, typeof request.end]).toEqual(['function', 'function']);
    request.destroy();
  });

  row('H-095 nothing is sent before end()', async (b) => {
    let requests = 0;
    await b.serve((_req, res) => {
      requests++;
      res.end();
    });
    const request = b.request();
    await event(request, 'socket');
    await soon(20);
    expect(requests).toBe(0);
    await b.finish(request);
    expect(requests).toBe(1);
  });

  row('H-096 any failure is an error event', async (b) => {
    await expect(b.get({ port: 1 })).rejects.toMatchObject({
      code: 'ECONNREFUSED',
      syscall: 'connect',
      port: 1,
      errno: -111,
    });
    await b.answer('nonsense\r\n\r\n');
    await expect(b.get()).rejects.toMatchObject({
      code: 'HPE_INVALID_CONSTANT',
      reason: 'Expected HTTP/, RTSP/ or ICE/',
    });
    const lookup = (_name: string, _options: object, callback: (error: Error) => void): void =>
      callback(Object.assign(new Error('getaddrinfo ENOTFOUND x'), { code: 'ENOTFOUND' }));
    await expect(b.get({ host: 'x', lookup: wrong(lookup) })).rejects.toMatchObject({ code: 'ENOTFOUND' });
  });

  row('H-097 an error that nobody listens to is thrown', async (b) => {
    const request = b.request({ port: 1 });
    const caught = new Promise((resolve) => {
      request.emit = new Proxy(request.emit, {
        apply(target, self, args) {
          try {
            return Reflect.apply(target, self, args);
          } catch (error) {
            resolve(error);
            return false;
          }
        },
      });
    });
    request.end();
    // A test runs in a realm of its own, whose errors EventEmitter takes for something else.
    const error = (await caught) as Error & { context?: Error };
    expect(error.context ?? error).toMatchObject({ code: 'ECONNREFUSED' });
  });

  row('H-098 H-099 H-100 what headers do', async (b) => {
    const kept = await wireOf(b, { agent: new b.http.Agent(), headers: { Connection: 'keep-alive' } });
    expect(kept).toContain('Connection: keep-alive');
    const post = await b.wire(() => {
      const request = b.request({ method: 'POST', headers: { 'Content-Length': 2 } }).on('error', () => {});
      request.write('a');
      request.end('b');
    });
    expect(post).toMatch(/\r\nContent-Length: 2\r\n/);
    expect(post).not.toContain('Transfer-Encoding');
    const expecting = await b.wire(
      () => void b.request({ method: 'POST', headers: { Expect: '100-continue' } }).on('error', () => {}),
    );
    expect(expecting).toMatch(/^POST \/ HTTP\/1.1\r\nExpect: 100-continue\r\n/);
  });

  row('H-102 what Node has beyond the documentation', async (b) => {
    await b.serve((_req, res) => void res.setHeader('age', ['1', '2']).end());
    expect((await b.get({ joinDuplicateHeaders: true } as nodeHttp.RequestOptions)).res.headers.age).toBe('1, 2');
    expect((await b.get()).res.headers.age).toBe('1');
    const unique = await wireOf(b, { headers: { 'x-a': ['1', '2'] }, uniqueHeaders: ['x-a'] });
    expect(unique).toContain('\r\nx-a: 1; 2\r\n');
    const controller = new AbortController();
    const request = b.request({ signal: controller.signal });
    const failed = event(request, 'error');
    const closed = event(request, 'close');
    controller.abort();
    expect((await failed)[0]).toMatchObject({ name: 'AbortError', code: 'ABORT_ERR' });
    await closed;
  });
});
