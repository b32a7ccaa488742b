import type nodeHttp from 'node:http';
import { Duplex } from 'node:stream';
import { EXTRA_FIELDS_ARE_REFUSED } from '../../../../net/running-node';
import { event, row, soon, thrown } from './bench';

const ignore = (): void => {};
const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
/** The time of checks in these tests, milliseconds. */
const CHECKING = 15;

/** Two ends of a stream in memory. */
function duplexPair(): [Duplex, Duplex] {
  const ends: Duplex[] = [];
  for (const other of [1, 0]) {
    ends.push(
      new Duplex({
        read() {},
        write(chunk, _encoding, callback) {
          ends[other]!.push(chunk);
          callback();
        },
        final(callback) {
          ends[other]!.push(null);
          callback();
        },
      }),
    );
  }
  return [ends[0]!, ends[1]!];
}

describe('servers', () => {
  row('H-158 H-159 H-171 a Server is one of net, and listens', async (b) => {
    const server = b.http.createServer();
    expect(server).toBeInstanceOf(b.net.Server);
    expect(server.listening).toBe(false);
    await b.listen(server);
    expect(server.listening).toBe(true);
    expect(server.address()).toMatchObject({ address: '127.0.0.1', family: 'IPv4' });
    server.close();
    expect(server.listening).toBe(false);
  });

  row('what somebody pushes into a connection is read as if it had come', async (b) => {
    const server = await b.serve((req, res) => res.end(`asked for ${req.url}`));
    server.on('connection', (socket) => socket.push('GET /pushed HTTP/1.1\r\nHost: a\r\n\r\n'));
    const socket = b.net.connect(b.port, '127.0.0.1');
    expect(String((await event(socket, 'data'))[0])).toContain('asked for /pushed');
    socket.destroy();
  });

  row('H-160 maxHeadersCount limits the headers of requests', async (b) => {
    const server = await b.serve((req, res) => res.end(JSON.stringify(req.headers)));
    expect(server.maxHeadersCount).toBeNull();
    server.maxHeadersCount = 2;
    const codes: unknown[] = [];
    if (EXTRA_FIELDS_ARE_REFUSED) {
      server.on('clientError', (error: Error & { code?: string }, socket) => {
        codes.push(error.code);
        socket.end('HTTP/1.1 431 x\r\n\r\n');
      });
    }
    const text = await b.raw('GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\nY: 2\r\n\r\n');
    if (EXTRA_FIELDS_ARE_REFUSED) expect([text, codes]).toEqual(['HTTP/1.1 431 x\r\n\r\n', ['HPE_HEADER_OVERFLOW']]);
    else expect(text).toContain('{"host":"a","x":"1"}');
    expect(await b.raw('GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n\r\n')).toContain('{"host":"a","x":"1"}');
  });

  row('H-161 H-162 H-163 H-194 a head that takes too long is answered with 408, however it drips', async (b) => {
    const server = await b.serve(undefined, {
      headersTimeout: 60,
      requestTimeout: 1000,
      connectionsCheckingInterval: CHECKING,
    });
    expect([server.headersTimeout, b.http.createServer().headersTimeout]).toEqual([60, 60_000]);
    let timeouts = 0;
    server.on('timeout', () => timeouts++);
    const codes: unknown[] = [];
    const socket = b.net.connect(b.port, '127.0.0.1').on('error', ignore);
    const drip = setInterval(() => socket.write('G'), 10);
    let text = '';
    socket.on('data', (data) => {
      text += data;
    });
    await event(socket, 'close');
    clearInterval(drip);
    expect(text).toMatch(/^HTTP\/1.1 (408 Request Timeout|400 Bad Request)\r\nConnection: close\r\n\r\n$/);
    const silent = b.net.connect(b.port, '127.0.0.1').on('error', ignore);
    let answer = '';
    silent.write('GET / HTTP/1.1\r\n');
    silent.on('data', (data) => {
      answer += data;
    });
    server.on('clientError', (error: NodeJS.ErrnoException, raw) => {
      codes.push(error.code);
      raw.end('HTTP/1.1 408 Mine\r\n\r\n');
    });
    await event(silent, 'close');
    expect(answer).toMatch(/^HTTP\/1.1 408 Mine/);
    expect([codes, timeouts]).toEqual([['ERR_HTTP_REQUEST_TIMEOUT'], 0]);
  });

  row('requestTimeout limits the whole request', async (b) => {
    await b.serve(ignore, { headersTimeout: 40, requestTimeout: 40, connectionsCheckingInterval: CHECKING });
    const socket = b.net.connect(b.port, '127.0.0.1').on('error', ignore);
    let text = '';
    socket.on('data', (data) => {
      text += data;
    });
    socket.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab');
    await event(socket, 'close');
    expect(text).toMatch(/^HTTP\/1.1 408 /);
  });

  row('H-164 H-165 H-167 H-180 an idle connection ends after keepAliveTimeout, one second later', async (b) => {
    const server = await b.serve((_req, res) => res.end('x'), { keepAliveTimeout: 1 });
    expect([server.keepAliveTimeout, b.http.createServer().keepAliveTimeout]).toEqual([1, 5000]);
    let served: { timeout?: number } | undefined;
    server.on('connection', (socket) => {
      socket.setTimeout(77_777);
      served = socket;
    });
    const socket = b.net.connect(b.port, '127.0.0.1');
    socket.write(GET);
    await event(socket, 'data');
    await soon(10);
    expect(served!.timeout).toBe(1001);
    const from = performance.now();
    socket.write(GET);
    socket.resume();
    await event(socket, 'close');
    const waited = performance.now() - from;
    expect(waited).toBeGreaterThan(990);
    expect(waited).toBeLessThan(1900);
  });

  row('H-166 keepAliveTimeout 0 leaves connections alone', async (b) => {
    await b.serve((_req, res) => res.end('x'), { keepAliveTimeout: 0 });
    expect(await b.raw(GET)).not.toContain('Keep-Alive: ');
  });

  row('H-168 H-169 H-170 H-172 H-174 H-175 server.timeout ends silent sockets; 0, the default, does not', async (b) => {
    const server = await b.serve(ignore);
    expect(server.timeout).toBe(0);
    const calm = b.net.connect(b.port, '127.0.0.1');
    await soon(10);
    expect(server.setTimeout(30)).toBe(server);
    expect(server.timeout).toBe(30);
    const socket = b.net.connect(b.port, '127.0.0.1');
    socket.write(GET);
    socket.resume();
    await event(socket, 'close');
    expect(calm.destroyed).toBe(false);
    calm.destroy();
  });

  row('H-172 H-173 a listener to timeout gets the socket and decides', async (b) => {
    const server = await b.serve(ignore);
    const timedOut = new Promise<{ destroyed: boolean; destroy(): void }>((resolve) =>
      server.setTimeout(30, resolve as never),
    );
    const socket = b.net.connect(b.port, '127.0.0.1');
    socket.write(GET);
    const raw = await timedOut;
    await soon(20);
    expect(raw.destroyed).toBe(false);
    raw.destroy();
    socket.destroy();
  });

  row('H-176 H-196 close ends idle connections and waits for the others', async (b) => {
    let finish = ignore;
    const server = await b.serve((_req, res) => {
      finish = () => void res.end('late');
    });
    const asked = event(server, 'request');
    const busy = b.raw(GET);
    await asked;
    let closed = false;
    const done = event(server, 'close');
    server.close(() => {
      closed = true;
    });
    await soon(15);
    expect(closed).toBe(false);
    finish();
    await busy;
    await done;
    expect(closed).toBe(true);
    const again = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => server.close(resolve));
    expect(again).toMatchObject({ code: 'ERR_SERVER_NOT_RUNNING' });
  });

  row('H-177 H-178 H-186 each connection is told, and its socket is nobody else\u2019s', async (b) => {
    const server = await b.serve();
    const connection = event(server, 'connection');
    await b.raw(GET);
    const [socket] = (await connection) as [{ listenerCount(name: string): number; server: unknown }];
    expect(socket).toBeInstanceOf(b.net.Socket);
    expect([socket.listenerCount('readable'), socket.server]).toEqual([0, server]);
  });

  row('H-179 a Duplex can be injected', async (b) => {
    const server = b.http.createServer((req, res) => void req.pipe(res));
    const [near, far] = duplexPair();
    server.emit('connection', far);
    near.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc');
    let text = '';
    for await (const chunk of near) text += chunk;
    expect(text).toMatch(/^HTTP\/1.1 200 OK\r\n.*chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n$/s);
  });

  row('H-181 H-182 CONNECT hands the socket over, or ends it', async (b) => {
    const server = await b.serve();
    expect(await b.raw('CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n')).toBe('');
    const seen: unknown[] = [];
    server.on('connect', (req: nodeHttp.IncomingMessage, socket, head) => {
      seen.push(req.method, req.url, socket.listenerCount('data'), String(head), socket instanceof b.net.Socket);
      socket.end('HTTP/1.1 200 OK\r\n\r\n');
    });
    expect(await b.raw('CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\nmore')).toBe('HTTP/1.1 200 OK\r\n\r\n');
    expect(seen).toEqual(['CONNECT', 'a:1', 0, 'more', true]);
  });

  row('H-183 H-184 H-185 an upgrade is offered, and need not be taken', async (b) => {
    const server = await b.serve((_req, res) => res.end('plain'));
    const asking = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n';
    expect(await b.raw(asking)).toMatch(/plain$/);
    const seen: unknown[] = [];
    server.on('upgrade', (req: nodeHttp.IncomingMessage & { upgrade?: boolean }, socket, head) => {
      seen.push(req.upgrade, socket.listenerCount('data'), String(head));
      socket.end('HTTP/1.1 101 Switching\r\n\r\n');
    });
    expect(await b.raw(`${asking}more`)).toBe('HTTP/1.1 101 Switching\r\n\r\n');
    expect(seen).toEqual([true, 0, 'more']);
  });

  row('H-187 several requests come on a connection, and answers keep their order', async (b) => {
    await b.serve((req, res) => void setTimeout(() => res.end(req.url), req.url === '/1' ? 15 : 1));
    const text = await b.raw(['/1', '/2', '/3'].map((path) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`).join(''));
    expect(text.match(/\/\d$|\/\d(?=HTTP)/g)).toEqual(['/1', '/2', '/3']);
  });

  row('H-188 H-189 H-190 Expect: 100-continue', async (b) => {
    const asking = 'POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n';
    const server = await b.serve((req, res) => void req.pipe(res));
    expect(await b.raw(asking, 'x')).toMatch(/^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 200 OK\r\n/);
    server.once('checkContinue', (req: nodeHttp.IncomingMessage, res) => {
      res.writeContinue();
      req.pipe(res);
    });
    expect(await b.raw(asking, 'x')).toMatch(/^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 200 OK\r\n/);
    server.once('checkContinue', (_req, res) => res.writeHead(400).end());
    expect(await b.raw(asking)).toMatch(/^HTTP\/1.1 400 Bad Request\r\nDate: [^\r]*\r\nConnection: close\r\n/);
  });

  row('H-191 H-192 other expectations', async (b) => {
    const asking = 'GET / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n';
    const server = await b.serve();
    expect(await b.raw(asking)).toMatch(/^HTTP\/1.1 417 Expectation Failed\r\n/);
    server.on('checkExpectation', (_req, res) => res.writeHead(412).end());
    expect(await b.raw(asking)).toMatch(/^HTTP\/1.1 412 /);
  });

  row('H-193 clientError leaves the socket to its listener', async (b) => {
    const server = await b.serve();
    const told = event(server, 'clientError');
    // A client that stays: only the server could end the connection.
    const client = b.net.connect(b.port, '127.0.0.1').on('error', () => {});
    client.write('nonsense\r\n\r\n');
    const [error, socket] = (await told) as [Error & { rawPacket: Buffer }, { destroyed: boolean; destroy(): void }];
    expect(error).toMatchObject({
      code: 'HPE_INVALID_METHOD',
      reason: 'Invalid method encountered',
      bytesParsed: expect.any(Number),
    });
    expect(String(error.rawPacket)).toBe('nonsense\r\n\r\n');
    await soon(10);
    expect(socket.destroyed).toBe(false);
    socket.destroy();
    client.destroy();
  });

  row('H-194 the answers that clientError has by default', async (b) => {
    await b.serve((req) => void req.resume());
    expect(await b.raw('nonsense\r\n\r\n')).toBe('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n');
    expect(await b.raw(`GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`)).toBe(
      'HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\n\r\n',
    );
    const extensions = `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;${'x'.repeat(20_000)}`;
    expect(await b.raw(extensions)).toBe('HTTP/1.1 413 Payload Too Large\r\nConnection: close\r\n\r\n');
  });

  row('H-195 a socket that cannot be written to ends at once', async (b) => {
    const server = await b.serve();
    server.on('connection', (socket) => socket.end());
    await soon(5);
    expect(await b.raw('nonsense\r\n\r\n')).toBe('');
  });

  row('H-197 HTTP/1.1 without Host is refused, unless it need not be there', async (b) => {
    await b.serve();
    expect(await b.raw('GET / HTTP/1.1\r\n\r\n')).toMatch(/^HTTP\/1.1 400 Bad Request\r\nConnection: close\r\n/);
    await b.serve(undefined, { requireHostHeader: false });
    expect(await b.raw('GET / HTTP/1.1\r\n\r\n')).toMatch(/^HTTP\/1.1 200 /);
  });

  row('H-198 what Node has beyond the documentation', async (b) => {
    const server = await b.serve((_req, res) => res.end('x'), {
      joinDuplicateHeaders: true,
      uniqueHeaders: ['x-u'],
      noDelay: false,
    });
    expect(server.requestTimeout).toBe(300_000);
    expect(server.maxRequestsPerSocket).toBe(0);
    server.maxRequestsPerSocket = 1;
    let dropped = 0;
    server.on('dropRequest', () => dropped++);
    const text = await b.raw(GET + GET);
    expect(text).toMatch(/Connection: close\r\n.*HTTP\/1.1 503 Service Unavailable/s);
    expect(dropped).toBe(1);
    server.maxRequestsPerSocket = 0;
    const idle = b.net.connect(b.port, '127.0.0.1');
    idle.write(GET);
    await event(idle, 'data');
    await soon(10);
    server.closeIdleConnections();
    await event(idle, 'close');
    const fresh = b.net.connect(b.port, '127.0.0.1');
    await event(fresh, 'connect');
    await soon(10);
    server.closeAllConnections();
    await event(fresh, 'close');
    expect(thrown(() => b.http.createServer({ headersTimeout: 10, requestTimeout: 5 }))).toMatchObject({
      code: 'ERR_OUT_OF_RANGE',
      message: 'The value of "headersTimeout" is out of range. It must be <= requestTimeout. Received 10',
    });
  });
});
