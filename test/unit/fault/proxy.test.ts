/** The proxy over loopback, in real time: the kernel's programs on both sides know nothing of it. */
import net from 'node:net';
import { ControlServer, FaultProxy, rst, split, type Toxic } from '../../../fault';

let upstream: net.Server;
let port: number;
const open: { close(): Promise<void> }[] = [];

beforeEach(async () => {
  upstream = net.createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', (chunk) => socket.write(chunk));
    socket.on('end', () => socket.end());
  });
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
  port = (upstream.address() as net.AddressInfo).port;
});
afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
  await new Promise((resolve) => upstream.close(resolve));
});

async function made(): Promise<FaultProxy> {
  const proxy = new FaultProxy({ name: 'p', listen: '127.0.0.1:0', upstream: `127.0.0.1:${port}`, seed: 1 });
  open.push(proxy);
  await proxy.enable();
  return proxy;
}

/** Sends text; resolves with what came back, how the connection ended, and after how many milliseconds. */
function say(to: string, text: string, forMs = 30_000): Promise<{ got: string; end: string; ms: number }> {
  const [host, at] = to.split(':');
  const began = performance.now();
  return new Promise((resolve) => {
    let got = '';
    const socket = net.connect({ host: host!, port: Number(at) });
    const done = (end: string): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ got, end, ms: performance.now() - began });
    };
    const timer = setTimeout(() => done('silence'), forMs);
    socket.on('connect', () => socket.write(text));
    socket.on('data', (chunk) => {
      got += chunk.toString();
      if (got.length >= text.length) done('whole');
    });
    socket.on('end', () => done('end'));
    socket.on('error', (error: NodeJS.ErrnoException) => done(error.code ?? error.message));
  });
}

test('untouched, bytes go through', async () => {
  const proxy = await made();
  expect(await say(proxy.listen, 'hello')).toMatchObject({ got: 'hello', end: 'whole' });
});

test('a rule at a byte: the client gets the bytes before it and a genuine reset', async () => {
  const proxy = await made();
  // So long a gap that a client on a busy machine reads before the reset is there: together they would be an end.
  proxy.engine.on({ dir: 's2c', seqAt: 3 }).do(split(1000), rst({ to: 'c' }));
  expect(await say(proxy.listen, 'hello')).toMatchObject({ got: 'hel', end: 'ECONNRESET' });
});

test.each([
  ['latency', { latency: 150 }, 'whole', 'hello'],
  ['timeout', { timeout: 100 }, 'end', ''],
  ['timeout', { timeout: 0 }, 'silence', ''],
  ['reset_peer', { timeout: 0 }, 'ECONNRESET', ''],
  ['reset_peer', { timeout: 100 }, 'ECONNRESET', ''],
  ['limit_data', { bytes: 2 }, 'end', 'he'],
  ['slicer', { average_size: 1, delay: 1000 }, 'whole', 'hello'],
  ['packet_loss', { loss_rate: 1 }, 'silence', ''],
  ['packet_loss', { loss_rate: 0, correlation: 1 }, 'whole', 'hello'],
  ['slicer', { average_size: 2, size_variation: 1, delay: 100 }, 'whole', 'hello'],
  ['slow_close', { delay: 60_000 }, 'whole', 'hello'],
  ['bandwidth', { rate: 0 }, 'silence', ''],
])('toxic %s %j: %s', async (type, attributes, end, got) => {
  const proxy = await made();
  proxy.add({ name: 't', type, stream: 'downstream', toxicity: 1, attributes });
  const outcome = await say(proxy.listen, 'hello', end === 'silence' ? 500 : 30_000);
  // A connection whose handshake cannot be finished says nothing either.
  expect(outcome).toMatchObject({ end, got });
  if (type === 'latency') expect(outcome.ms).toBeGreaterThanOrEqual(150);
  if (end === 'silence') {
    proxy.remove('t');
    expect(await say(proxy.listen, 'again')).toMatchObject({ got: 'again' });
  }
});

/** A client that says nothing; resolves with how the connection ended. */
function listenTo(to: string): { end: Promise<string>; connected: Promise<void>; close(): void } {
  const socket = net.connect({ host: '127.0.0.1', port: Number(to.split(':')[1]) });
  const end = new Promise<string>((resolve) => {
    socket.on('end', () => resolve('end'));
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    socket.resume();
  });
  const connected = new Promise<void>((resolve) => void socket.on('connect', () => resolve()));
  return { end, connected, close: () => void socket.destroy() };
}

const timeout = (ms: number): Toxic => ({
  name: 't',
  type: 'timeout',
  stream: 'downstream',
  toxicity: 1,
  attributes: { timeout: ms },
});

test('timeout closes a connection on which nobody says anything, also one that was there before', async () => {
  const proxy = await made();
  const before = listenTo(proxy.listen);
  await before.connected;
  proxy.add(timeout(50));
  const after = listenTo(proxy.listen);
  expect(await Promise.all([before.end, after.end])).toEqual(['end', 'end']);
  for (const one of [before, after]) one.close();
});

test('timeout 0 closes what it swallowed when it is taken away', async () => {
  const proxy = await made();
  proxy.add(timeout(0));
  const said = say(proxy.listen, 'hello');
  while (proxy.engine.exchanges.count === 0 && proxy.engine.conns.every((conn) => conn.s.sent === 0))
    await new Promise((resolve) => setTimeout(resolve, 5));
  proxy.remove('t');
  expect(await said).toMatchObject({ end: 'end', got: '' });
});

test('slices vary in size', async () => {
  const proxy = await made();
  const attributes = { average_size: 10, size_variation: 5, delay: 0 };
  proxy.add({ name: 't', type: 'slicer', stream: 'downstream', toxicity: 1, attributes });
  const text = 'x'.repeat(1000);
  expect(await say(proxy.listen, text)).toMatchObject({ got: text });
  const sizes = proxy.engine.trace.delivered().filter(({ dir, length }) => dir === 's2c' && length > 0);
  const lengths = new Set(sizes.map(({ length }) => length));
  expect(lengths.size).toBeGreaterThan(3);
  expect(Math.max(...lengths)).toBeLessThanOrEqual(15);
});

test('toxicity 0 touches nothing', async () => {
  const proxy = await made();
  proxy.add({ name: 't', type: 'reset_peer', stream: 'downstream', toxicity: 0, attributes: {} });
  expect(await say(proxy.listen, 'hello')).toMatchObject({ end: 'whole' });
});

describe('the control API', () => {
  async function api(): Promise<(method: string, path: string, body?: unknown) => Promise<[number, unknown]>> {
    const control = new ControlServer();
    open.push(control);
    const at = await control.listen(0);
    return async (method, path, body) => {
      const response = await fetch(`http://127.0.0.1:${at}${path}`, {
        method,
        body: body === undefined ? undefined : JSON.stringify(body),
      });
      const text = await response.text();
      return [
        response.status,
        text === '' ? null : text.startsWith('{') || text.startsWith('[') ? JSON.parse(text) : text,
      ];
    };
  }

  test("toxiproxy's paths: proxies, toxics, disabling, reset", async () => {
    const ask = await api();
    const [status, proxy] = await ask('POST', '/proxies', { name: 'db', upstream: `127.0.0.1:${port}` });
    expect([status, proxy]).toMatchObject([201, { name: 'db', enabled: true, toxics: [] }]);
    const { listen } = proxy as { listen: string };
    expect(await ask('POST', '/proxies', { name: 'db', upstream: 'x:1' })).toMatchObject([409, {}]);
    expect(await ask('POST', '/proxies/db/toxics', { type: 'reset_peer' })).toMatchObject([
      200,
      { name: 'reset_peer_downstream', toxicity: 1 },
    ]);
    expect(await ask('POST', '/proxies/db/toxics', { type: 'reset_peer' })).toMatchObject([409, { status: 409 }]);
    expect(
      await ask('POST', '/proxies/db/toxics', { type: 'packet_loss', attributes: { correlation: 1.5 } }),
    ).toMatchObject([400, { error: 'correlation is 1.5: from 0 to 1' }]);
    expect((await say(listen, 'hello')).end).toBe('ECONNRESET');
    expect(await ask('GET', '/proxies/db/toxics')).toMatchObject([200, [{ type: 'reset_peer' }]]);
    expect((await ask('DELETE', '/proxies/db/toxics/reset_peer_downstream'))[0]).toBe(204);
    expect((await say(listen, 'hello')).end).toBe('whole');
    await ask('POST', '/proxies/db', { enabled: false });
    expect((await say(listen, 'hello')).end).toBe('ECONNREFUSED');
    expect((await ask('POST', '/reset'))[0]).toBe(204);
    expect((await say(listen, 'hello')).end).toBe('whole');
    expect((await ask('DELETE', '/proxies/db'))[0]).toBe(204);
    expect(await ask('GET', '/proxies/db')).toMatchObject([404, {}]);
    expect(await ask('GET', '/version')).toMatchObject([200, {}]);
  });

  test('populate tells what it made before what it could not', async () => {
    const ask = await api();
    const [status, body] = await ask('POST', '/populate', [
      { name: 'a', listen: '127.0.0.1:0', upstream: `127.0.0.1:${port}` },
      { name: 'b', listen: 'nonsense', upstream: `127.0.0.1:${port}` },
    ]);
    expect([status, body]).toMatchObject([
      400,
      { error: expect.stringContaining('nonsense'), proxies: [{ name: 'a' }] },
    ]);
  });

  test('a rule that never acted says so, with what came nearest', async () => {
    const ask = await api();
    const [, proxy] = await ask('POST', '/proxies', { name: 'p', upstream: `127.0.0.1:${port}` });
    await ask('POST', '/proxies/p/rules', { match: { dir: 's2c', seqAt: 4096 }, do: [{ do: 'rst', to: 'c' }] });
    await say((proxy as { listen: string }).listen, 'hello');
    expect(await ask('GET', '/proxies/p/rules')).toMatchObject([
      200,
      [{ hits: 0, unused: 'the longest stream s2c has 5 bytes (connection 1)' }],
    ]);
  });

  test('rules of our own, trace and capture', async () => {
    const ask = await api();
    const [, proxy] = await ask('POST', '/proxies', { name: 'p', upstream: `127.0.0.1:${port}` });
    expect(
      await ask('POST', '/proxies/p/rules', {
        match: { dir: 's2c', seqAt: 2 },
        do: [
          { do: 'split', gapMs: 1000 },
          { do: 'rst', to: 'c' },
        ],
        label: 'cut at 2',
      }),
    ).toEqual([201, { label: 'cut at 2' }]);
    expect(await say((proxy as { listen: string }).listen, 'hello')).toMatchObject({ got: 'he', end: 'ECONNRESET' });
    expect(await ask('GET', '/proxies/p/rules')).toMatchObject([200, [{ label: 'cut at 2', hits: 1 }]]);
    const [, trace] = await ask('GET', '/proxies/p/trace');
    expect((trace as { lines: string[] }).lines.join('\n')).toContain('cut at 2');
    expect((await ask('GET', '/proxies/p/capture'))[0]).toBe(200);
  });

  test.each([
    [{ match: { p: 7 }, do: [{ do: 'drop' }] }, 'rule.match.p is 7: a number from 0 to 1'],
    [{ do: [{ do: 'explode' }] }, 'there is no action "explode"'],
    [{ do: [{ do: 'rst' }] }, '"to"'],
    [{}, 'rule needs "do"'],
  ])('refuses %j', async (rule, message) => {
    const ask = await api();
    await ask('POST', '/proxies', { name: 'p', upstream: `127.0.0.1:${port}` });
    const [status, body] = await ask('POST', '/proxies/p/rules', rule);
    expect([status, (body as { error: string }).error]).toEqual([400, expect.stringContaining(message)]);
  });
});
