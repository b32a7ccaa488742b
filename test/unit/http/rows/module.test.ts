import nodeHttp from 'node:http';
import { MODULES } from '../exchange';
import { row, soon, textOf, thrown, wrong } from './bench';

const ours = MODULES['our http and net'].http;

/** What later versions of Node have besides: docs/differences.md. */
const LATER = ['CloseEvent', 'MessageEvent', 'WebSocket', 'setGlobalProxyFromEnv'];

describe('the module', () => {
  row('H-001 offers a server and a client side', async (b) => {
    await b.serve((_req, res) => res.end('both'));
    expect((await b.get()).text).toBe('both');
  });

  row('H-002 streams bodies, and leaves their content alone', async (b) => {
    const bytes = Buffer.from([0x1f, 0x8b, 8, 0, 255, 0, 13, 10]);
    await b.serve((req, res) => {
      res.writeHead(200, { 'content-encoding': 'gzip', 'content-type': 'application/json' });
      req.pipe(res);
    });
    const { text } = await b.finish(b.request({ method: 'POST' }), bytes);
    expect(Buffer.from(text, 'latin1')).toEqual(bytes);
  });

  row('H-003 METHODS lists, sorted, what the parser accepts', async (b) => {
    const { METHODS } = b.http;
    expect(METHODS).toHaveLength(35);
    expect([...METHODS].sort()).toEqual(METHODS);
    expect(METHODS).toEqual(nodeHttp.METHODS);
    const server = await b.serve((req, res) => res.end(req.method));
    server.on('connect', (_req, socket) => socket.end('HTTP/1.1 200 OK\r\n\r\n'));
    for (const method of ['GET', 'M-SEARCH', 'QUERY', 'CONNECT']) {
      const target = method === 'CONNECT' ? 'a:1' : '/a';
      expect(await b.raw(`${method} ${target} HTTP/1.1\r\nHost: a\r\n\r\n`)).toMatch(/^HTTP\/1.1 200/);
    }
  });

  row('H-004 STATUS_CODES has the standard phrases', async (b) => {
    expect(b.http.STATUS_CODES).toEqual(nodeHttp.STATUS_CODES);
    expect(b.http.STATUS_CODES[404]).toBe('Not Found');
    await b.serve((_req, res) => void res.writeHead(418).end());
    expect((await b.get()).res.statusMessage).toBe("I'm a Teapot");
  });

  row('H-005 maxHeaderSize is read-only', (b) => {
    expect(b.http.maxHeaderSize).toBe(16_384);
    expect(() => {
      (b.http as { maxHeaderSize: number }).maxHeaderSize = 5;
    }).toThrow(TypeError);
    expect(b.http.maxHeaderSize).toBe(16_384);
  });

  test('H-006 the cap is that of --max-http-header-size, also from NODE_OPTIONS', () => {
    const { execArgv } = process;
    const { NODE_OPTIONS } = process.env;
    const capWith = (args: string[], options: string): number => {
      process.execArgv = args;
      process.env['NODE_OPTIONS'] = options;
      let cap = 0;
      jest.isolateModules(() => {
        cap = (require('../../../../http/options') as typeof import('../../../../http/options')).maxHeaderSize;
      });
      return cap;
    };
    try {
      expect(capWith([], '')).toBe(16_384);
      expect(capWith(['--max-http-header-size=100'], '')).toBe(100);
      expect(capWith(['--max_http_header_size', '200'], '')).toBe(200);
      expect(capWith([], '--max-http-header-size=300')).toBe(300);
    } finally {
      process.execArgv = execArgv;
      if (NODE_OPTIONS === undefined) delete process.env['NODE_OPTIONS'];
      else process.env['NODE_OPTIONS'] = NODE_OPTIONS;
    }
  });

  row('H-007 the cap is overridden by a server, and by a request', async (b) => {
    await b.serve(undefined, { maxHeaderSize: 100 });
    expect(await b.raw(`GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(200)}\r\n\r\n`)).toMatch(/^HTTP\/1.1 431 /);
    expect((await b.get()).text).toBe('ok');
    await b.serve((_req, res) => res.end('x'));
    await expect(b.get({ maxHeaderSize: 20 })).rejects.toMatchObject({ code: 'HPE_HEADER_OVERFLOW' });
  });

  row('H-008 globalAgent serves requests that name none', async (b) => {
    await b.serve();
    const request = b.request();
    expect((request as unknown as { agent: unknown }).agent).toBe(b.http.globalAgent);
    await b.finish(request);
    const before = b.http.globalAgent;
    const other = b.agent();
    b.http.globalAgent = other;
    expect(
      (
        b
          .request()
          .on('error', () => {})
          .end() as unknown as { agent: unknown }
      ).agent,
    ).toBe(other);
    b.http.globalAgent = before;
    await soon(20);
  });

  row('H-009 globalAgent keeps connections, as in Node 20', (b) => {
    const { keepAlive, scheduling, maxSockets, maxFreeSockets, options } = b.http.globalAgent as unknown as Record<
      string,
      unknown
    >;
    expect({ keepAlive, scheduling, maxSockets, maxFreeSockets }).toEqual({
      keepAlive: true,
      scheduling: 'lifo',
      maxSockets: Infinity,
      maxFreeSockets: 256,
    });
    expect(options).toMatchObject({ keepAlive: true, timeout: 5000, noDelay: true });
  });

  row('H-010 H-011 createServer gives a Server that calls the listener', async (b) => {
    const listener = (_req: unknown, res: nodeHttp.ServerResponse): void => void res.end();
    const server = b.http.createServer(listener);
    expect(server).toBeInstanceOf(b.http.Server);
    expect(server.listeners('request')).toEqual([listener]);
    expect((b.http.Server as unknown as (on: unknown) => unknown)(listener)).toBeInstanceOf(b.http.Server);
    expect(thrown(() => b.http.createServer(wrong('x')))).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
  });

  row('H-012 H-013 classes for requests and responses can be given', async (b) => {
    class Request extends b.http.IncomingMessage {
      get shout(): string {
        return (this.url ?? '').toUpperCase();
      }
    }
    class Response extends b.http.ServerResponse<Request> {
      say(text: string): void {
        this.end(`${text}!`);
      }
    }
    await b.serve((req, res) => (res as unknown as Response).say((req as Request).shout), {
      IncomingMessage: Request,
      ServerResponse: Response,
    } as never);
    expect((await b.get({ path: '/abc' })).text).toBe('/ABC!');
  });

  row('H-014 insecureHTTPParser takes what is refused otherwise', async (b) => {
    const both = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n';
    await b.serve();
    expect(await b.raw(both)).toMatch(/^HTTP\/1.1 400 /);
    await b.serve(undefined, { insecureHTTPParser: true });
    expect(await b.raw(both)).toMatch(/^HTTP\/1.1 200 /);
    expect(thrown(() => b.http.createServer({ insecureHTTPParser: wrong(1) }))).toMatchObject({
      code: 'ERR_INVALID_ARG_TYPE',
    });
  });

  row('H-015 maxHeaderSize of a server must not be negative', (b) => {
    const error = thrown(() => b.http.createServer({ maxHeaderSize: -1 }));
    expect(`${error}`).toBe(
      'RangeError [ERR_OUT_OF_RANGE]: The value of "maxHeaderSize" is out of range. It must be >= 0 && <= 9007199254740991. Received -1',
    );
  });

  row('H-016 request takes options, or a URL and options', async (b) => {
    await b.serve((req, res) => res.end(req.url));
    const forms = [
      () => b.http.request({ host: '127.0.0.1', port: b.port, path: '/1' }),
      () => b.http.request(`http://127.0.0.1:${b.port}/2`),
      () => b.http.request(`http://127.0.0.1:${b.port}/x`, { path: '/3' }),
      () => b.http.request(new URL(`http://127.0.0.1:${b.port}/4`)),
    ];
    for (const [i, form] of forms.entries()) expect((await b.finish(form())).text).toBe(`/${i + 1}`);
    const called = new Promise<string>((resolve) => {
      b.http.request(`http://127.0.0.1:${b.port}/5`, (res) => resolve(textOf(res))).end();
    });
    expect(await called).toBe('/5');
  });

  row('H-017 a URL is decoded as the URL standard says', async (b) => {
    await b.serve((req, res) => res.end(`${req.url} ${req.headers.authorization}`));
    const url = `http://us%20er:p%3Aw@127.0.0.1:${b.port}/a?b=c#d`;
    const basic = `Basic ${Buffer.from('us er:p:w').toString('base64')}`;
    expect((await b.finish(b.http.request(url))).text).toBe(`/a?b=c ${basic}`);
    expect(thrown(() => b.http.request('no url'))).toMatchObject({ code: 'ERR_INVALID_URL', name: 'TypeError' });
  });

  row('H-018 options win over the URL', async (b) => {
    const text = await b.wire(({ port }) =>
      b.http.get(`http://127.0.0.1:${port}/a`, { path: '/z', headers: { x: '1' } }).on('error', () => {}),
    );
    expect(text).toMatch(/^GET \/z HTTP\/1.1\r\nx: 1\r\n/);
  });

  row('H-019 get sends a GET and ends it; an explicit method is honoured', async (b) => {
    await b.serve((req, res) => res.end(req.method));
    const got = (options: object): Promise<string> =>
      new Promise((resolve) =>
        b.http.get({ host: '127.0.0.1', port: b.port, ...options }, (res) => resolve(textOf(res))),
      );
    expect(await got({})).toBe('GET');
    expect(await got({ method: 'PUT' })).toBe('PUT');
  });

  row('H-020 inherited options are ignored', async (b) => {
    const text = await b.wire(({ port }) => {
      const options = Object.create({ headers: { inherited: 'yes' }, method: 'PUT' });
      b.http.get(Object.assign(options, { host: '127.0.0.1', port })).on('error', () => {});
    });
    expect(text).toMatch(/^GET /);
    expect(text).not.toMatch(/inherited/);
  });

  row('H-021 the callback of get has one argument', async (b) => {
    await b.serve();
    const count = await new Promise((resolve) => {
      b.http.get({ host: '127.0.0.1', port: b.port }, (...args: unknown[]) => {
        (args[0] as nodeHttp.IncomingMessage).resume();
        resolve(args.length);
      });
    });
    expect(count).toBe(1);
  });

  test('H-022 a module is the same however it is reached', () => {
    const { createHttp } = jest.requireActual('../../../../http') as typeof import('../../../../http');
    expect(createHttp(MODULES['our http and net'].net)).toBe(ours);
    expect(Object.keys(ours).sort()).toEqual(
      Object.keys(nodeHttp)
        .filter((name) => name !== 'default' && !LATER.includes(name))
        .sort(),
    );
  });
});
