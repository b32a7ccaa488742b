import { memoryPair } from '../../../device/memory';
import { createNet, type Net, type Server, type Socket } from '../../../net';
import { createHost, type Host } from '../../../net/host';
import { once, pass, turns } from './both';

const hosts: Host[] = [];
afterEach(() => {
  for (const host of hosts.splice(0)) host.close();
});

/** How many things hold the process. */
const holds = (host: Host): number => (host as unknown as { references: number }).references;

function alone(): { host: Host; net: Net } {
  const host = createHost({ devices: [], seed: 1 });
  hosts.push(host);
  return { host, net: createNet(host) };
}

async function pair(net: Net, options: object = {}): Promise<{ server: Server; s: Socket; c: Socket }> {
  let s!: Socket;
  const server = net.createServer({ allowHalfOpen: true, ...options }, (socket) => (s = socket));
  server.listen(7000);
  const c = net.connect({ port: 7000, host: '127.0.0.1', allowHalfOpen: true });
  await once(c, 'ready');
  await turns();
  return { server, s, c };
}

describe('what holds the process', () => {
  test('a listening server does, until it is unrefd or closed', async () => {
    const { host, net } = alone();
    const server = net.createServer();
    expect(holds(host)).toBe(0);
    server.listen(7000);
    expect(holds(host)).toBe(1);
    server.unref();
    expect(holds(host)).toBe(0);
    server.ref();
    server.ref();
    expect(holds(host)).toBe(1);
    server.close();
    expect(holds(host)).toBe(0);
    await once(server, 'close');
  });

  test('a server that was unrefd before it listened never does', () => {
    const { host, net } = alone();
    net.createServer().unref().listen(7000);
    expect(holds(host)).toBe(0);
  });

  test('sockets that read do', async () => {
    const { host, net } = alone();
    const { server, s, c } = await pair(net);
    server.unref();
    expect(holds(host)).toBe(2);
    s.unref();
    c.unref();
    expect(holds(host)).toBe(0);
    c.ref();
    expect(holds(host)).toBe(1);
    c.destroy();
    expect(holds(host)).toBe(0);
    await once(c, 'close');
  });

  test('a socket that never read anything does not', async () => {
    const { host, net } = alone();
    const { server, s, c } = await pair(net, { pauseOnConnect: true });
    server.unref();
    c.unref();
    expect(s.isPaused()).toBe(true);
    expect(holds(host)).toBe(0);
    s.resume();
    await turns();
    expect(holds(host)).toBe(1);
  });

  test('a socket whose peer has ended does not', async () => {
    const { host, net } = alone();
    const { server, s, c } = await pair(net);
    server.unref();
    c.unref();
    s.resume();
    c.end();
    await once(s, 'end');
    expect(s.writable).toBe(true);
    expect(holds(host)).toBe(0);
  });

  test('connecting does, though unrefd', async () => {
    const { host, net } = alone();
    net.createServer().unref().listen(7000);
    const c = net.connect(7000, '127.0.0.1').unref();
    await new Promise(process.nextTick);
    expect(c.connecting).toBe(true);
    expect(holds(host)).toBe(1);
    await once(c, 'ready');
    expect(holds(host)).toBeLessThanOrEqual(1);
    c.destroy();
  });

  test('a write that waits does, though unrefd', async () => {
    const { host, net } = alone();
    const { server, s, c } = await pair(net, { pauseOnConnect: true });
    server.unref();
    c.unref();
    expect(holds(host)).toBe(0);
    c.write(Buffer.alloc(12_000_000));
    expect(holds(host)).toBe(1);
    s.unref();
    s.resume();
    await once(c, 'drain');
    expect(holds(host)).toBe(0);
  });

  test('a refused connection does no longer', async () => {
    const { host, net } = alone();
    const c = net.connect(9, '127.0.0.1');
    c.on('error', () => {});
    await once(c, 'close');
    expect(holds(host)).toBe(0);
  });

  test('every way to close gives it back', async () => {
    const { host, net } = alone();
    for (const close of ['end', 'destroy', 'destroySoon', 'resetAndDestroy'] as const) {
      const { server, s, c } = await pair(net);
      s.on('error', () => {});
      s.on('end', () => s.end());
      s.resume();
      c.resume();
      c.write('x');
      c[close]();
      await Promise.all([once(s, 'close'), once(c, 'close')]);
      server.close();
      await once(server, 'close');
      expect(holds(host)).toBe(0);
    }
  });

  test('a host that is closed holds nothing, whatever its sockets do', async () => {
    const { host, net } = alone();
    const { s, c } = await pair(net);
    host.close();
    s.destroy();
    c.write('x');
    c.destroy();
    const late = net.connect(7000, '127.0.0.1');
    const error = await new Promise<NodeJS.ErrnoException>((resolve) => late.on('error', resolve));
    expect(error.code).toBe('ENETUNREACH');
    expect((host as unknown as { hold: unknown }).hold).toBe(null);
  });
});

describe('last words', () => {
  function two(): { net: Net; host: Host; other: Net } {
    const [a, b] = memoryPair();
    const host = createHost({ devices: [{ device: a, addresses: ['10.0.0.1/24'] }], seed: 1 });
    const peer = createHost({ devices: [{ device: b, addresses: ['10.0.0.2/24'] }], seed: 2 });
    hosts.push(host, peer);
    // The peer's program goes on; without, the link between the two would not be looked after.
    peer.retain();
    return { net: createNet(host), host, other: createNet(peer) };
  }

  test('hold the process until the peer has them', async () => {
    const { net, host, other } = two();
    let got = '';
    other.createServer((s) => s.on('data', (chunk) => (got += chunk))).listen(7000);
    const c = net.connect(7000, '10.0.0.2');
    await once(c, 'ready');
    c.write('goodbye');
    c.destroy();
    expect(holds(host)).toBe(1);
    await once(c, 'close');
    while (holds(host) > 0) await turns(1);
    expect(got).toBe('goodbye');
  });

  test('but not for ever', async () => {
    const { net, host, other } = two();
    other.createServer(() => {}).listen(7000);
    const c = net.connect(7000, '10.0.0.2');
    await once(c, 'ready');
    // The cable is cut: nobody will acknowledge.
    hosts[1]!.close();
    c.write('goodbye');
    c.destroy();
    expect(holds(host)).toBe(1);
    await pass(3100);
    expect(holds(host)).toBe(0);
  });

  test('are none after a reset', async () => {
    const { net, host, other } = two();
    other.createServer((s) => s.on('error', () => {})).listen(7000);
    const c = net.connect(7000, '10.0.0.2');
    await once(c, 'ready');
    c.resetAndDestroy();
    expect(holds(host)).toBe(0);
    await once(c, 'close');
  });
});
