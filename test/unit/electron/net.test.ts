import { memoryPair } from '../../../device/memory';
import { modulesOf } from '../../../electron/modules';
import { createHost } from '../../../net/host';
import { cert, key } from '../http/tls-identity';
import { bodyOf, Lab, once, PlainSession, run, wire } from './lab';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});
afterEach(() => lab.close());

describe('E-101: net', () => {
  test('isOnline and online: whether anything beyond this machine could be reached', () => {
    expect([lab.electron.isOnline(), lab.electron.online]).toEqual([false, false]);
    const [device] = memoryPair();
    const host = createHost({ devices: [{ device, addresses: ['10.0.0.1/24'] }] });
    expect(modulesOf(host).online()).toBe(true);
    host.close();
    expect(modulesOf(host).online()).toBe(false);
  });

  test('resolveHost', async () => {
    expect(await lab.electron.resolveHost('both.test')).toEqual({
      endpoints: [
        { address: '127.0.0.1', family: 'ipv4' },
        { address: '::1', family: 'ipv6' },
      ],
    });
  });
});

describe('E-101: net.fetch', () => {
  const { fetch } = { fetch: (...all: Parameters<Lab['electron']['fetch']>) => lab.electron.fetch(...all) };

  test('gives a Response', async () => {
    const { origin, requests } = await wire(lab, [
      'HTTP/1.1 203 Sure\r\nX-Two: 1\r\nX-Two: 2\r\nContent-Length: 7\r\n\r\n{"a":1}',
    ]);
    const response = await fetch(`${origin}/x`, { headers: { 'X-Own': '1' } });
    expect([response.status, response.statusText, response.headers.get('x-two')]).toEqual([203, 'Sure', '1, 2']);
    expect([response.url, response.redirected, response.ok]).toEqual([`${origin}/x`, false, true]);
    expect(await response.json()).toEqual({ a: 1 });
    expect(requests[0]).toMatch(/^GET \/x .*\r\n(.*\r\n)*x-own: 1\r\n/);
  });

  test('sends a body, whatever it is made of', async () => {
    const origin = await lab.serve(async (request, response) => response.end(await bodyOf(request)));
    for (const body of ['text', new Uint8Array([116, 101, 120, 116]), new Blob(['te', 'xt'])]) {
      const response = await fetch(new Request(origin, { method: 'POST', body }));
      expect(await response.text()).toBe('text');
    }
  });

  test('follows redirects, and says so; or not', async () => {
    const { origin } = await wire(lab, [
      'HTTP/1.1 302 Away\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n',
      'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
      'HTTP/1.1 302 Away\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n',
    ]);
    const response = await fetch(origin);
    expect([response.url, response.redirected, await response.text()]).toEqual([`${origin}/b`, true, 'ok']);
    await expect(fetch(origin, { redirect: 'error' })).rejects.toThrow(/redirect policy was 'error'/);
    await expect(fetch(origin, { redirect: 'manual' })).rejects.toThrow('Redirect was cancelled');
  });

  test.each([204, 304])('%i has a null body', async (status) => {
    const { origin } = await wire(lab, [`HTTP/1.1 ${status} X\r\n\r\n`]);
    expect((await fetch(origin)).body).toBeNull();
  });

  test('rejects with the error of the network', async () => {
    await expect(fetch('http://127.0.0.1:1')).rejects.toMatchObject({ message: 'net::ERR_CONNECTION_REFUSED' });
    await expect(fetch('nonsense')).rejects.toThrow();
    await expect(fetch('ftp://x/')).rejects.toThrow(/only supports/);
  });

  test('a body that breaks rejects', async () => {
    const { origin } = await wire(lab, ['HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc'], true);
    const response = await fetch(origin);
    await expect(response.text()).rejects.toThrow();
  });

  test('is aborted by its signal: before, during and after the head', async () => {
    const origin = await lab.serve((request, response) => {
      if (request.url === '/part') response.write('part');
    });
    await expect(fetch(origin, { signal: AbortSignal.abort(new Error('early')) })).rejects.toThrow('early');
    const during = new AbortController();
    const pending = fetch(origin, { signal: during.signal });
    setImmediate(() => during.abort(new Error('now')));
    await expect(pending).rejects.toThrow('now');
    const after = new AbortController();
    const response = await fetch(`${origin}/part`, { signal: after.signal });
    after.abort(new Error('late'));
    await expect(response.text()).rejects.toThrow();
    expect(lab.session.tracked.size).toBe(0);
  });

  test('uses the session that it is given, with its cookies', async () => {
    const { origin, requests } = await wire(lab, ['HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nContent-Length: 0\r\n\r\n']);
    const session = new PlainSession(lab.modules);
    await fetch(origin, { session });
    await fetch(origin, { session });
    await fetch(origin);
    await fetch(origin, { session, credentials: 'omit' });
    expect(requests.map((text) => text.includes('Cookie: a=1'))).toEqual([false, true, false, false]);
    session.agents.http.destroy();
  });
});

test('https: the same over TLS, and its connections serve again', async () => {
  const server = lab.modules.https.createServer({ key, cert }, async (request, response) => {
    response.end(`${(await bodyOf(request)).length}`);
  });
  let connections = 0;
  server.on('secureConnection', () => connections++);
  const origin = `https://localhost:${await lab.listen(server)}`;
  for (const size of [0, 10, 300_000]) {
    const { body } = await run(lab.request({ method: 'POST', url: origin }), Buffer.alloc(size));
    expect(body).toBe(String(size));
  }
  expect(connections).toBe(1);
});

test('E-078: over TLS, redirects that come before the body was read', async () => {
  const server = lab.modules.https.createServer({ key, cert }, async (request, response) => {
    if (request.url === '/') response.writeHead(307, { Location: '/b' }).end();
    else response.end(`${(await bodyOf(request)).length}`);
  });
  const origin = `https://localhost:${await lab.listen(server)}`;
  // Sizes around what is on its way when the server lets go of the connection.
  for (const size of [1, 10_000, 70_000, 140_000, 200_000, 1_000_000]) {
    const { body, error } = await run(lab.request({ method: 'POST', url: origin }), Buffer.alloc(size));
    expect([body, error]).toEqual([String(size), undefined]);
  }
});

test.each([
  ['buffered', false],
  ['chunked', true],
])('E-057, E-058: over TLS progress grows to the whole, %s', async (_name, chunked) => {
  const total = 3 * 1024 * 1024;
  const server = lab.modules.https.createServer({ key, cert }, async (request, response) => {
    response.end(`${(await bodyOf(request)).length}`);
  });
  const origin = `https://localhost:${await lab.listen(server)}`;
  const request = lab.request({ method: 'POST', url: origin });
  request.chunkedEncoding = chunked;
  const told: number[] = [];
  request.on('upload-progress', (current: number) => told.push(current));
  const closed = once(request, 'close');
  const answer = once(request, 'response');
  request.end(Buffer.alloc(total));
  const [response] = await answer;
  expect(request.getUploadProgress()).toEqual({ active: true, started: true, current: total, total });
  response.resume();
  await closed;
  expect(told.length).toBeGreaterThan(3);
  expect(told).toEqual([...told].sort((a, b) => a - b));
  expect(told.at(-1)).toBe(total);
});
