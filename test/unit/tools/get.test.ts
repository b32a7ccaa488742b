import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { createElectron, type Electron } from '../../../electron';
import { type Answer, type FetchTarget, fetchTo } from '../../../tools/get/fetch';
import { Gateway } from '../../../tools/get/gateway';
import { openWire, type Wire } from '../../../tools/wire';

// `tapwire get`, from the options on: a stack in memory, whose other end hands connections to the kernel.

let folder = '';
let wire: Wire;
let gateway: Gateway;
let electron: Electron;
const servers: http.Server[] = [];

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tapwire-get-'));
});
afterAll(() => rmSync(folder, { recursive: true }));
beforeEach(() => {
  wire = openWire({ offload: true, forward: { host: '', port: 0 } }, null, 'client');
  gateway = new Gateway(wire);
  electron = createElectron(gateway.modules());
});
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.close();
    server.closeAllConnections();
  }
  await gateway.close();
  wire.close();
});

/** A server of the kernel's; gives its origin. */
async function serve(handler: http.RequestListener): Promise<string> {
  const server = http.createServer(handler);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const echo: http.RequestListener = (request, response) => {
  let bytes = 0;
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
  });
  request.on('end', () => response.end(`${request.method} ${request.url} ${bytes}`));
};

interface Got extends Answer {
  body: string;
  heads: string[];
  uploaded: number[];
}

async function get(url: string, more: Partial<FetchTarget> = {}, signal = new AbortController().signal): Promise<Got> {
  const got = { body: '', heads: [] as string[], uploaded: [] as number[] };
  const out = new Writable({
    write(chunk: Buffer, _encoding, done) {
      got.body += chunk.toString('latin1');
      done();
    },
  });
  const target: FetchTarget = {
    url: new URL(url),
    method: 'GET',
    headers: [],
    session: electron.session.defaultSession,
    cookies: false,
    follows: false,
    login: null,
    proxyLogin: null,
    body: null,
    ...more,
  };
  const answer = await fetchTo(electron, target, out, signal, {
    onRequest: ([line]) => got.heads.push(`> ${line}`),
    onResponse: ([line]) => got.heads.push(`< ${line}`),
    onProgress: () => {},
    onUpload: ({ done }) => got.uploaded.push(done),
  });
  return { ...got, ...answer };
}

test('a response, and the heads as they were', async () => {
  const origin = await serve(echo);
  const { status, reason, body, heads, transfer } = await get(`${origin}/x`);
  expect([status, reason, body, transfer.done]).toEqual([200, 'OK', 'GET /x 0', 8]);
  expect(heads).toEqual(['> GET /x HTTP/1.1', '< HTTP/1.1 200 OK']);
});

test('a redirection is told, or followed, to another server too', async () => {
  const last = await serve(echo);
  const first = await serve((_request, response) =>
    response.writeHead(302, { Location: `${last.replace('127.0.0.1', 'localhost')}/there` }).end(),
  );
  const told = await get(first);
  expect([told.status, told.reason, told.location]).toEqual([302, 'Found', expect.stringMatching(/\/there$/)]);
  const followed = await get(first, { follows: true });
  expect([followed.status, followed.body]).toEqual([200, 'GET /there 0']);
  expect(followed.heads).toEqual([
    '> GET / HTTP/1.1',
    '< HTTP/1.1 302 Found',
    '> GET /there HTTP/1.1',
    '< HTTP/1.1 200 OK',
  ]);
});

test('--user answers once', async () => {
  const origin = await serve((request, response) => {
    if (request.headers.authorization === `Basic ${Buffer.from('me:right').toString('base64')}`) response.end('in');
    else response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="r"' }).end('out');
  });
  expect((await get(origin)).body).toBe('out');
  expect((await get(origin, { login: { username: 'me', password: 'right' } })).body).toBe('in');
  electron = createElectron(gateway.modules());
  expect((await get(origin, { login: { username: 'me', password: 'wrong' } })).status).toBe(401);
});

test('--user is for the server that was named, not for one that it leads to', async () => {
  const login = { username: 'me', password: 'secret' };
  const seen: (string | undefined)[] = [];
  const last = await serve((request, response) => {
    seen.push(request.headers.authorization);
    response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="r"' }).end('who?');
  });
  const first = await serve((_request, response) => response.writeHead(302, { Location: last }).end());
  const { status, body } = await get(first, { follows: true, login });
  expect([status, body, seen]).toEqual([401, 'who?', [undefined]]);
});

test.each([false, true])('a file is sent, and its progress told up to the last byte (chunked: %s)', async (chunked) => {
  const origin = await serve(echo);
  const source = join(folder, 'file');
  writeFileSync(source, Buffer.alloc(2_000_000, 'x'));
  const { body, uploaded } = await get(origin, { method: 'PUT', body: { source, chunked } });
  expect(body).toBe('PUT / 2000000');
  expect(uploaded.at(-1)).toBe(2_000_000);
  expect(uploaded.length).toBeGreaterThan(2);
});

test('text is sent', async () => {
  const origin = await serve(echo);
  const { body } = await get(origin, { method: 'POST', body: { source: Buffer.from('hello'), chunked: false } });
  expect(body).toBe('POST / 5');
});

test('a file that cannot be read is a failure', async () => {
  const origin = await serve(echo);
  const body = { source: join(folder, 'none'), chunked: false };
  await expect(get(origin, { method: 'PUT', body })).rejects.toMatchObject({ code: 'ENOENT' });
});

test('--cookie-jar keeps cookies from one run to the next', async () => {
  const origin = await serve((request, response) => {
    response.setHeader('Set-Cookie', 'a=1; Max-Age=100');
    response.end(request.headers.cookie ?? 'none');
  });
  const path = join(folder, 'jar');
  const bodies: string[] = [];
  for (let i = 0; i < 2; i++) {
    bodies.push((await get(origin, { session: electron.sessionFromFile(path), cookies: true })).body);
  }
  expect(bodies).toEqual(['none', 'a=1']);
});

test('--proxy: the proxy is asked for the whole URL', async () => {
  const proxy = await serve((request, response) => {
    if (request.headers['proxy-authorization'] === undefined) {
      response.writeHead(407, { 'Proxy-Authenticate': 'Basic realm="p"' }).end();
    } else response.end(request.url);
  });
  const session = electron.session.defaultSession;
  await session.setProxy({ proxyRules: proxy, proxyBypassRules: '<-loopback>' });
  const { body } = await get('http://nowhere.invalid/x', { proxyLogin: { username: 'a', password: 'b' } });
  expect(body).toBe('http://nowhere.invalid/x');
});

test('failures are told by their names', async () => {
  await expect(get('http://nowhere.invalid/')).rejects.toThrow('net::ERR_NAME_NOT_RESOLVED');
  const origin = await serve((_request, response) => {
    response.writeHead(200, { 'Content-Length': 10 }).write('abc', () => response.destroy());
  });
  // How the kernel ends such a connection is its affair.
  await expect(get(origin)).rejects.toThrow(/net::ERR_(CONTENT_LENGTH_MISMATCH|CONNECTION_RESET)/);
});

test('a signal ends it', async () => {
  const stop = new AbortController();
  const origin = await serve(() => stop.abort());
  await expect(get(origin, {}, stop.signal)).rejects.toThrow();
});
