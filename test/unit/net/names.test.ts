import dns from 'node:dns';
import { memoryPair } from '../../../device/memory';
import { createNet, type Net } from '../../../net';
import { createHost, type Host, type HostOptions } from '../../../net/host';
import { lookup } from '../../../net/names';

const hosts: Host[] = [];
afterEach(() => {
  for (const host of hosts.splice(0)) host.close();
});

function host(options: Partial<HostOptions> = {}): Host {
  const made = createHost({ devices: [], ...options });
  hosts.push(made);
  return made;
}

const all = (on: Host, name: string, options: object = {}): Promise<string[] | string> =>
  new Promise((resolve) => {
    lookup(on, name, { ...options, all: true }, ((error: NodeJS.ErrnoException | null, found?: { address: string }[]) =>
      resolve(error ? error.message : found!.map((one) => one.address))) as never);
  });

test('localhost is known', async () => {
  expect(await all(host(), 'localhost')).toEqual(['127.0.0.1', '::1']);
  expect(await all(host(), 'LOCALHOST.', { family: 6 })).toEqual(['::1']);
  expect(await all(host(), 'localhost', { family: 'IPv4' })).toEqual(['127.0.0.1']);
});

test("the host's table comes before DNS", async () => {
  const on = host({ names: { 'db.test': ['10.0.0.7', 'fd00::7'], 'six.test': ['fd00::8'] } });
  expect(await all(on, 'db.test')).toEqual(['10.0.0.7', 'fd00::7']);
  expect(await all(on, 'DB.test', { family: 4 })).toEqual(['10.0.0.7']);
  expect(await all(on, 'six.test', { family: 4 })).toBe('getaddrinfo ENOTFOUND six.test');
});

test('a table with something else than addresses is refused', () => {
  expect(() => host({ names: { 'db.test': ['db2.test'] } })).toThrow(RangeError);
});

test('families that the host has no address of are left out when a program does not ask for them', async () => {
  const [device] = memoryPair();
  const on = host({ devices: [{ device, addresses: ['10.0.0.1/24'] }] });
  expect(await all(on, 'localhost', { hints: dns.ADDRCONFIG })).toEqual(['127.0.0.1']);
  expect(await all(on, 'localhost', { family: 6 })).toEqual(['::1']);
  expect(await all(host({ families: [6] }), 'localhost', { hints: dns.ADDRCONFIG })).toEqual(['::1']);
});

test('a name of nobody goes to DNS', async () => {
  const asked = jest.spyOn(dns, 'lookup').mockImplementation(((
    name: string,
    _: object,
    done: (error: null, found: object[]) => void,
  ) => {
    done(null, [{ address: '192.0.2.1', family: 4, name }]);
  }) as never);
  try {
    expect(await all(host(), 'www.test')).toEqual(['192.0.2.1']);
    expect(asked).toHaveBeenCalledTimes(1);
  } finally {
    asked.mockRestore();
  }
});

test('the answer comes in a later turn, in the context of who asked', async () => {
  const { AsyncLocalStorage } = await import('node:async_hooks');
  const storage = new AsyncLocalStorage<string>();
  let answered = '';
  const done = new Promise<void>((resolve) => {
    storage.run('mine', () => {
      lookup(host(), 'localhost', {}, () => {
        answered = String(storage.getStore());
        resolve();
      });
    });
  });
  expect(answered).toBe('');
  await Promise.resolve();
  expect(answered).toBe('');
  await done;
  expect(answered).toBe('mine');
});

describe('a connection by name', () => {
  async function connect(net: Net, name: string): Promise<string> {
    const c = net.connect({ port: 7000, host: name });
    return new Promise((resolve) => {
      c.on('error', (error) => resolve(error.message));
      c.on('ready', () => {
        resolve(String(c.remoteAddress));
        c.destroy();
      });
    });
  }

  test('reaches the address in the table, over the link or inside the host', async () => {
    const [a, b] = memoryPair();
    const names = { 'server.test': ['10.0.0.2'], 'me.test': ['10.0.0.1'] };
    const client = createNet(host({ devices: [{ device: a, addresses: ['10.0.0.1/24'] }], names }));
    const server = createNet(host({ devices: [{ device: b, addresses: ['10.0.0.2/24'] }] }));
    for (const net of [client, server]) net.createServer((s) => s.resume().on('error', () => {})).listen(7000);
    expect(await connect(client, 'server.test')).toBe('10.0.0.2');
    expect(await connect(client, 'me.test')).toBe('10.0.0.1');
    expect(await connect(client, 'localhost')).toBe('127.0.0.1');
  });
});
