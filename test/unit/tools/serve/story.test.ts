import { memoryPair } from '../../../../device/memory';
import { createNet } from '../../../../net';
import { createHost, type Host } from '../../../../net/host';
import { limitTrace } from '../../../../tools/serve/limit-trace';
import { type Story, tellStory } from '../../../../tools/serve/story';

const hosts: Host[] = [];
afterEach(() => {
  for (const host of hosts.splice(0)) host.close();
});

/** The server's story of a connection over which `hello` came and `answer` went. */
async function exchange(traceCapacity?: number): Promise<{ story: Story | null; host: Host }> {
  const [a, b] = memoryPair();
  const client = createHost({ devices: [{ device: a, addresses: ['10.0.0.1/24'] }], seed: 1 });
  const server = createHost({
    devices: [{ device: b, addresses: ['10.0.0.2/24'] }],
    seed: 2,
    trace: true,
    traceCapacity,
  });
  hosts.push(client, server);
  const told = new Promise<Story | null>((resolve) => {
    createNet(server)
      .createServer((socket) => {
        socket.once('data', () => {
          const { localAddress, localPort, remoteAddress, remotePort } = socket;
          const bare = (address: string): string => address.replace('::ffff:', '');
          resolve(tellStory(server, bare(localAddress!), localPort!, bare(remoteAddress!), remotePort!));
        });
      })
      .listen(80);
  });
  // Others before it, whose segments are not its own.
  for (let i = 0; i < 3; i++) {
    const other = createNet(client).connect(80, '10.0.0.2');
    await new Promise<void>((resolve) => other.once('connect', () => resolve()));
    other.destroy();
  }
  createNet(client).connect(80, '10.0.0.2').write('hello');
  return { story: await told, host: server };
}

test('the segments of one connection, from its SYN on, with relative numbers and what they changed', async () => {
  const { story } = await exchange();
  expect(story).toMatchObject({ server: '10.0.0.2:80', state: 'ESTABLISHED', mss: 1448, complete: true });
  expect(story!.client).toMatch(/^10\.0\.0\.1:\d+$/);
  const rows = story!.segments.map(({ from, flags, seq, ack, length, what }) => [from, flags, seq, ack, length, what]);
  expect(rows[0]).toEqual(['client', 'S', 0, null, 0, 'wants a connection, SYN-RECEIVED']);
  expect(rows[1]).toEqual(['server', 'S.', 0, 1, 0, 'syn']);
  expect(rows.at(-1)!.slice(0, 5)).toEqual(['client', 'P.', 1, 1, 5]);
  expect(rows.map((row) => row[5]).join()).toContain('ESTABLISHED');
  expect(rows.length).toBeLessThanOrEqual(4);
  expect(story!.segments[0]!.ms).toBe(0);
});

test('a log that is too short for the beginning says so', async () => {
  const { story } = await exchange(4);
  expect(story!.complete).toBe(false);
});

test('a connection that the stack does not know has no story', async () => {
  const { host } = await exchange();
  expect(tellStory(host, '10.0.0.2', 80, '10.0.0.9', 1)).toBeNull();
  expect(tellStory(host, 'nonsense', 80, '10.0.0.1', 1)).toBeNull();
});

describe('the log rests while requests come faster than people send them', () => {
  beforeEach(() => {
    jest.useFakeTimers({ now: 0 });
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  test('off under load, on again a second later', async () => {
    const { trace } = (await quietHost()).stack;
    let served = 0;
    const listener = limitTrace(trace, () => served++);
    const request = (): void => listener(undefined as never, undefined as never);
    for (let i = 0; i < 64; i++) {
      jest.advanceTimersByTime(10);
      request();
    }
    expect(trace.on).toBe(true);
    for (let i = 0; i < 64; i++) request();
    expect(trace.on).toBe(false);
    jest.advanceTimersByTime(1000);
    expect(trace.on).toBe(true);
    expect(served).toBe(128);
  });
});

async function quietHost(): Promise<Host> {
  const host = createHost({ devices: [], trace: true });
  hosts.push(host);
  return host;
}
