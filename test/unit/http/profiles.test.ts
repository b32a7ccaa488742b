import { createHttp } from '../../../http';
import { PROFILES } from '../../../http/profiles';
import { MODULES } from './exchange';
import { Bench, event, soon } from './rows/bench';

const net = MODULES['our http and net'].net;
const docs14 = createHttp(net, { profile: 'docs14' }) as unknown as typeof import('node:http');

describe('profile docs14: what the documentation of Node 14 says', () => {
  let b: Bench;
  beforeEach(() => {
    b = new Bench({ http: docs14, net });
  });
  afterEach(() => b.close());

  test('C-02 servers time out after two minutes', () => {
    const server = docs14.createServer();
    expect(server.timeout).toBe(120_000);
    server.timeout = 5;
    server.setTimeout();
    expect(server.timeout).toBe(120_000);
  });

  test('C-03 a head that takes too long is a timeout of the server', async () => {
    const server = await b.serve(undefined, { headersTimeout: 30, connectionsCheckingInterval: 10 });
    // While it is told: behind it the socket is destroyed.
    const told: unknown[] = [];
    server.on('timeout', (raw) => told.push(raw.remotePort));
    const socket = net.connect(b.port, '127.0.0.1').on('error', () => {});
    socket.write('GET ');
    await event(socket, 'connect');
    const { localPort } = socket;
    socket.resume();
    await event(socket, 'close');
    expect(told).toEqual([localPort]);
  });

  test('C-04 the global agent does not keep connections', () => {
    const { keepAlive, options } = docs14.globalAgent as unknown as { keepAlive: boolean; options: object };
    expect(keepAlive).toBe(false);
    expect(options).not.toHaveProperty('timeout');
  });

  test('C-06 to write nothing does nothing', async () => {
    let called = false;
    const text = await b.wire(() => {
      const request = b.request({ method: 'POST' }).on('error', () => {});
      request.write('', () => {
        called = true;
      });
      setTimeout(() => request.end('x'), 20);
    });
    expect(text).toMatch(/Content-Length: 1\r\n\r\nx$/);
    expect(called).toBe(false);
    await b.serve((_req, res) => {
      res.write('');
      expect(res.headersSent).toBe(false);
      res.end();
    });
    await b.get();
  });

  test('C-07 get sends a GET', async () => {
    await b.serve((req, res) => res.end(req.method));
    const request = docs14.get({ host: '127.0.0.1', port: b.port, method: 'POST' });
    const [res] = (await event(request, 'response')) as [NodeJS.ReadableStream];
    res.resume();
    expect(request.method).toBe('GET');
  });

  test('C-10 abort is told before close', async () => {
    const request = b.request({ port: 1 });
    const events: string[] = [];
    for (const name of ['abort', 'close', 'error']) request.on(name, () => events.push(name));
    request.abort();
    await soon(20);
    expect(events).toEqual(['abort', 'close']);
  });

  test('profiles have the same rows, and only known ones are taken', () => {
    expect(Object.keys(PROFILES.docs14)).toEqual(Object.keys(PROFILES.node20));
    expect(() => createHttp(net, { profile: 'docs99' as never })).toThrow(
      new RangeError("unknown HTTP profile 'docs99': one of node20, docs14"),
    );
    expect(createHttp(net, { profile: 'node20' })).not.toBe(docs14);
  });
});
