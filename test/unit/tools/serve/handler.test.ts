import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PERIOD, piece } from '../../../../tools/serve/bytes';
import { createHandler } from '../../../../tools/serve/handler';
import type { Story } from '../../../../tools/serve/story';

// The handler is an ordinary listener: here it runs on Node's own http.

const facts = { wire: 'in <memory>', why: 'a test', version: '1.2.3' };
const story: Story = {
  client: '10.0.0.1:5000',
  server: '10.0.0.2:80',
  state: 'ESTABLISHED',
  rttMs: 1.5,
  cwnd: 10,
  mss: 1460,
  complete: true,
  segments: [
    { ms: 0, from: 'client', flags: 'S', seq: 0, ack: null, length: 0, window: 64_240, what: 'wants a connection' },
    { ms: 0.1, from: 'server', flags: 'S.', seq: 0, ack: 1, length: 0, window: 65_535, what: 'syn, <SYN-RECEIVED>' },
  ],
};

const errors: unknown[] = [];
const servers: http.Server[] = [];
let folder = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tapwire-serve-'));
  writeFileSync(join(folder, 'hello.txt'), 'hello, world\n');
  writeFileSync(join(folder, '.secret'), 'no');
  writeFileSync(join(folder, 'a<b>&"c.html'), 'x');
  mkdirSync(join(folder, 'sub dir'));
  writeFileSync(join(folder, 'sub dir', 'index.html'), '<p>index</p>');
  mkdirSync(join(folder, 'bytes'));
  writeFileSync(join(folder, 'bytes', '3'), 'a file');
  symlinkSync('nowhere', join(folder, 'dangling'));
});

afterAll(() => {
  rmSync(folder, { recursive: true });
});

afterEach(() => {
  for (const server of servers.splice(0)) {
    server.close();
    server.closeAllConnections();
  }
  expect(errors.splice(0)).toEqual([]);
});

function start(root: string | null, known: Story | null = story): Promise<number> {
  const server = http.createServer(
    createHandler({ root, facts, storyOf: () => known, onError: (e) => errors.push(e) }),
  );
  servers.push(server);
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port)));
}

interface Got {
  status: number;
  headers: http.IncomingHttpHeaders;
  body: Buffer;
}

function ask(port: number, path: string, options: http.RequestOptions = {}, body?: Buffer | string): Promise<Got> {
  return new Promise((resolve, reject) => {
    const req = http.request({ host: '127.0.0.1', port, path, agent: false, ...options }, (res) => {
      const chunks: Buffer[] = [];
      res.on('data', (chunk: Buffer) => chunks.push(chunk));
      res.on('end', () => resolve({ status: res.statusCode!, headers: res.headers, body: Buffer.concat(chunks) }));
      res.on('error', reject);
    });
    req.on('error', reject);
    req.end(body);
  });
}

const text = async (port: number, path: string, options?: http.RequestOptions, body?: string): Promise<string> =>
  (await ask(port, path, options, body)).body.toString();

describe('the page', () => {
  test('a terminal gets text, with the segments so far', async () => {
    const page = await ask(await start(null), '/');
    expect(page.headers['content-type']).toBe('text/plain; charset=utf-8');
    const lines = page.body.toString().split('\n');
    expect(lines).toContain('wire  in <memory>');
    expect(lines).toContain(
      'This connection so far: 10.0.0.1:5000 > 10.0.0.2:80, ESTABLISHED, round trip 1.500 ms, congestion window 10 segments of 1460 bytes',
    );
    expect(lines).toContain('     ms  from    flags  seq  ack  length  window  what');
    expect(lines).toContain('  0.000  client  S        0            0   64240  wants a connection');
    expect(lines).toContain('  0.100  server  S.       0    1       0   65535  syn, <SYN-RECEIVED>');
  });

  test('a browser gets HTML, with everything escaped', async () => {
    const page = await ask(await start(null), '/?x', { headers: { Accept: 'text/html,*/*' } });
    expect(page.headers['content-type']).toBe('text/html; charset=utf-8');
    const html = page.body.toString();
    expect(html).toContain('Wire: in &lt;memory&gt;');
    expect(html).toContain('<td>syn, &lt;SYN-RECEIVED&gt;</td>');
    expect(html).not.toContain('<memory>');
  });

  test('a request that came over something else says so', async () => {
    expect(await text(await start(null, null), '/')).toContain('did not come over the stack');
  });
});

describe('/bytes', () => {
  test('N bytes, the same every time, others with another seed', async () => {
    const port = await start(null);
    const one = await ask(port, '/bytes/3000000?seed=7');
    const two = await ask(port, '/bytes/3000000?seed=7');
    const other = await ask(port, '/bytes/3000000?seed=8');
    expect(one.headers['content-length']).toBe('3000000');
    expect(one.body.length).toBe(3_000_000);
    expect(one.body.equals(two.body)).toBe(true);
    expect(one.body.equals(other.body)).toBe(false);
    // The content is part of the interface: labs compare with what they computed elsewhere.
    expect(createHash('sha256').update(one.body).digest('hex')).toBe(
      'ef448b6795fde635a20df0e75e9ef27408e1d771700bbc8b9e48161cc4678744',
    );
  });

  test('a piece is what stands at its place', () => {
    const whole = Buffer.concat([piece(1, 0, PERIOD), piece(1, PERIOD, 1000)]);
    for (const at of [0, 1, 65_536, PERIOD - 1, PERIOD, PERIOD + 5]) {
      expect(
        Buffer.from(piece(1, at, 10)).equals(whole.subarray(at, Math.min(at + 10, at < PERIOD ? PERIOD : at + 10))),
      ).toBe(true);
    }
  });

  test.each(['0', '1', '262144', '262145'])('%s bytes', async (n) => {
    expect((await ask(await start(null), `/bytes/${n}`)).body.length).toBe(Number(n));
  });

  test.each(['/bytes/x', '/bytes/-1', '/bytes/1e9', '/bytes/99999999999999', '/bytes/1?seed=x'])(
    '%s is refused',
    async (path) => {
      expect((await ask(await start(null), path)).status).toBe(400);
    },
  );

  test('HEAD has the length and no body', async () => {
    const head = await ask(await start(null), '/bytes/1000', { method: 'HEAD' });
    expect([head.status, head.headers['content-length'], head.body.length]).toEqual([200, '1000', 0]);
  });

  test('a client that leaves in the middle stops the pump', async () => {
    const port = await start(null);
    await new Promise<void>((resolve) => {
      const socket = net.connect(port, '127.0.0.1', () =>
        socket.write('GET /bytes/1000000000 HTTP/1.1\r\nHost: x\r\n\r\n'),
      );
      socket.once('data', () => socket.destroy());
      socket.on('close', () => resolve());
    });
    await new Promise<void>((resolve) => {
      const look = (): void => {
        servers[0]!.getConnections((_, count) => (count === 0 ? resolve() : setImmediate(look)));
      };
      look();
    });
  });
});

describe('the other labs', () => {
  test('/sink counts and hashes', async () => {
    const body = Buffer.from('x'.repeat(100_000));
    const got = await ask(await start(null), '/sink', { method: 'POST' }, body);
    expect(JSON.parse(got.body.toString())).toEqual({
      bytes: 100_000,
      sha256: createHash('sha256').update(body).digest('hex'),
      ms: expect.any(Number) as number,
    });
  });

  test('/echo gives back bytes and type', async () => {
    const got = await ask(await start(null), '/echo', { method: 'POST', headers: { 'Content-Type': 'text/x' } }, 'abc');
    expect([got.body.toString(), got.headers['content-type']]).toEqual(['abc', 'text/x']);
  });

  test('/delay waits', async () => {
    const port = await start(null);
    const startedMs = performance.now();
    expect(await text(port, '/delay/30')).toBe('answered after 30 ms\n');
    expect(performance.now() - startedMs).toBeGreaterThanOrEqual(29);
  });

  test.each([200, 204, 304, 404, 503])('/status/%d', async (code) => {
    const got = await ask(await start(null), `/status/${code}`);
    expect([got.status, got.body.toString()]).toEqual([code, code === 204 || code === 304 ? '' : `${code}\n`]);
  });

  test('/headers shows the request as it arrived', async () => {
    const got = await text(await start(null), '/headers', { headers: { 'X-MiXed': 'a' } });
    expect(JSON.parse(got)).toMatchObject({ method: 'GET', url: '/headers', httpVersion: '1.1' });
    expect((JSON.parse(got) as { headers: string[][] }).headers).toContainEqual(['X-MiXed', 'a']);
  });

  test('wrong methods, wrong numbers, unknown paths', async () => {
    const port = await start(null);
    const sink = await ask(port, '/sink');
    expect([sink.status, sink.headers.allow]).toEqual([405, 'POST, PUT']);
    for (const path of ['/status/100', '/status/600', '/delay/9999999', '/delay/']) {
      expect([path, (await ask(port, path)).status]).toEqual([path, 400]);
    }
    for (const path of ['/nothing', '/bytes', '/bytes/1/2', '/sink/1', '/constructor', '/__proto__/1', '//']) {
      expect([path, (await ask(port, path)).status]).toEqual([path, 404]);
    }
  });
});

describe('files', () => {
  test('a file with its type, and a range of it', async () => {
    const port = await start(folder);
    const whole = await ask(port, '/hello.txt');
    expect([whole.body.toString(), whole.headers['content-type'], whole.headers['accept-ranges']]).toEqual([
      'hello, world\n',
      'text/plain; charset=utf-8',
      'bytes',
    ]);
    const part = await ask(port, '/hello.txt', { headers: { Range: 'bytes=7-11' } });
    expect([part.status, part.body.toString(), part.headers['content-range']]).toEqual([206, 'world', 'bytes 7-11/13']);
    const again = await ask(port, '/hello.txt', { headers: { 'If-None-Match': whole.headers.etag! } });
    expect(again.status).toBe(304);
    expect((await ask(port, '/hello.txt', { headers: { Range: 'bytes=99-' } })).status).toBe(416);
  });

  test('a folder is listed, folders first, nothing hidden, all escaped', async () => {
    const html = await text(await start(folder), '/');
    const links = [...html.matchAll(/<a href="([^"]*)">([^<]*)<\/a>/g)].map((match) => [match[1], match[2]]);
    expect(links).toEqual([
      ['./bytes/', 'bytes/'],
      ['./sub%20dir/', 'sub dir/'],
      ['./a%3Cb%3E%26%22c.html', 'a&lt;b&gt;&amp;&quot;c.html'],
      ['./dangling', 'dangling'],
      ['./hello.txt', 'hello.txt'],
    ]);
  });

  test('index.html stands for its folder', async () => {
    const port = await start(folder);
    expect(await text(port, '/sub%20dir/')).toBe('<p>index</p>');
    const moved = await ask(port, '/sub%20dir');
    expect([moved.status, moved.headers.location]).toEqual([301, '/sub%20dir/']);
    const slashes = await ask(port, '//sub%20dir');
    expect(slashes.headers.location ?? '').not.toMatch(/^\/\//);
  });

  test.each([
    '/../etc/passwd',
    '/%2e%2e/%2e%2e/etc/passwd',
    '/..%2f..%2fetc/passwd',
    '/.secret',
    '/nowhere',
    '/a%00b',
    '/%',
    '/dangling',
  ])('%s is not served', async (path) => {
    const got = await ask(await start(folder), path);
    expect([path, [400, 403, 404].includes(got.status)]).toEqual([path, true]);
  });

  test('files come first, labs after them, the page not at all', async () => {
    const port = await start(folder);
    expect(await text(port, '/bytes/3')).toBe('a file');
    expect((await ask(port, '/bytes/4')).body.length).toBe(4);
    expect(JSON.parse(await text(port, '/sink', { method: 'POST' }, 'abc'))).toMatchObject({ bytes: 3 });
    expect(await text(port, '/')).not.toContain('tapwire');
  });
});

test('an error of ours is a 500, and is told', async () => {
  const server = http.createServer(
    createHandler({
      root: null,
      facts,
      storyOf: () => {
        throw new Error('broken');
      },
      onError: (error) => errors.push((error as Error).message),
    }),
  );
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const got = await ask((server.address() as AddressInfo).port, '/');
  expect(got.status).toBe(500);
  expect(errors.splice(0)).toEqual(['broken']);
});
