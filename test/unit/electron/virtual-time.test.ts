/** What takes minutes, in a world whose time is made: silence of networks, of servers and of proxies. */
import type * as NodeNet from 'node:net';
import { createElectron, type Electron } from '../../../electron';
import type { ClientRequest } from '../../../electron/client-request';
import { createHttp } from '../../../http';
import { createNet } from '../../../net';
import { createWorld, type Link, type SimHost, type World } from '../../../sim';
import { type Outcome, outcomeOf } from './lab';

const HOUR = 3_600_000;

let world: World;
let link: Link;
let client: SimHost;
let electron: Electron;
beforeEach(() => {
  world = createWorld({ seed: 5, timers: true });
});
afterEach(() => world.close());

function build(linkType: 'ip' | 'ethernet' = 'ip', delayMs = 10): void {
  link = world.link({ delayMs, linkType });
  client = world.host('client', { link, address: '10.0.0.1/24' });
  electron = createElectron(client.host);
}

const server = (): SimHost => world.host('server', { link, address: '10.0.0.2/24' });

/** Runs a request to its end; says how long that took, in seconds. */
async function take(request: ClientRequest): Promise<Outcome & { seconds: number }> {
  const began = world.now;
  const outcome = outcomeOf(request);
  request.end();
  const done = await world.until(outcome, HOUR);
  return { ...done, seconds: (world.now - began) / 1000 };
}

const failure = ({ error, events, seconds }: Outcome & { seconds: number }): unknown[] => {
  const { code, syscall } = (error?.cause ?? {}) as NodeJS.ErrnoException;
  return [error?.message, [code, syscall], events, Math.round(seconds)];
};
const TOLD = ['finish', 'error', 'close'];

describe('E-097: a SYN that nobody answers', () => {
  const framesSent = (): number => link.from(client.devices[0]!).counters.sent;

  test.each(['http', 'https'])('is repeated until the connection has timed out (%s)', async (scheme) => {
    build();
    const outcome = await take(electron.net.request(`${scheme}://10.0.0.2/`));
    // Linux's profile: six SYNs, and 1 + 2 + 4 + 8 + 16 + 32 seconds of waiting for an answer to them.
    expect(failure(outcome)).toEqual(['net::ERR_CONNECTION_TIMED_OUT', ['ETIMEDOUT', 'connect'], TOLD, 63]);
    expect(framesSent()).toBe(6);
  });

  test('is sent to a host that is there, and answered by one that is cut off', async () => {
    build();
    const { host } = server();
    createHttp(createNet(host)).createServer().listen(80);
    // The answers are lost.
    link.from(world.hosts[1]!.devices[0]!).change({ blocked: true });
    const outcome = await take(electron.net.request('http://10.0.0.2/'));
    expect(failure(outcome)).toEqual(['net::ERR_CONNECTION_TIMED_OUT', ['ETIMEDOUT', 'connect'], TOLD, 63]);
    expect(link.from(client.devices[0]!).counters.delivered).toBe(6);
  });

  test('is never sent where nobody has the address: it is unreachable', async () => {
    build('ethernet');
    const outcome = await take(electron.net.request('http://10.0.0.2/'));
    expect(failure(outcome)).toEqual(['net::ERR_ADDRESS_UNREACHABLE', ['EHOSTUNREACH', 'connect'], TOLD, 3]);
  });

  test('rejects fetch with the same error', async () => {
    build();
    await expect(world.until(electron.net.fetch('http://10.0.0.2/'), HOUR)).rejects.toThrow(
      'net::ERR_CONNECTION_TIMED_OUT',
    );
    expect(Math.round(world.now / 1000)).toBe(63);
  });
});

describe('a name with several addresses', () => {
  const HERE = '10.0.0.1';
  const FAR = '10.0.0.2';
  const name = (...addresses: string[]): void => {
    (client.host.names as Map<string, readonly string[]>).set('several.test', addresses);
  };

  // Node gives each address but the last 250 ms.
  test.each([
    ['http', '', /^204$/],
    ['https', '', /^net::ERR_CONNECTION_(RESET|CLOSED)$/],
    ['http', 'http://several.test:80', /^204$/],
    ['http', 'socks5://several.test:80', /^net::ERR_SOCKS_CONNECTION_FAILED$/],
  ])('of which one is far away, and the other refuses: the far one is waited for (%s %s)', async (...all) => {
    const [scheme, proxyRules, expected] = all;
    build('ip', 400);
    const { host } = server();
    let accepted = 0;
    for (const port of [80, 443]) {
      createNet(host)
        .createServer((socket) => {
          accepted++;
          socket.on('error', () => {});
          // What it speaks does not matter: it was reached.
          if (expected.test('204')) socket.on('data', () => socket.end('HTTP/1.1 204 There\r\n\r\n'));
          else socket.destroy();
        })
        .listen(port);
    }
    name(FAR, HERE);
    await electron.session.defaultSession.setProxy({ proxyRules });
    const { status, error } = await take(electron.net.request(`${scheme}://several.test/`));
    expect(String(error?.message ?? status)).toMatch(expected);
    expect(accepted).toBe(1);
  });

  test('of which one does not answer, and the other does: no longer than Node', async () => {
    build();
    const { host } = server();
    createHttp(createNet(host))
      .createServer((_request, response) => response.end())
      .listen(80);
    name('10.0.0.9', FAR);
    const { status, seconds } = await take(electron.net.request('http://several.test/'));
    expect([status, seconds < 1]).toEqual([200, true]);
  });

  test('of which none answers: as long as SYNs are repeated, and not again', async () => {
    build();
    name('10.0.0.8', '10.0.0.9');
    const outcome = await take(electron.net.request('http://several.test/'));
    expect(failure(outcome)).toEqual(['net::ERR_CONNECTION_TIMED_OUT', ['ETIMEDOUT', undefined], TOLD, 63]);
  });

  test('of which one never answers, and the other refuses: it is asked twice, once with patience', async () => {
    build();
    name('10.0.0.9', HERE);
    const outcome = await take(electron.net.request('http://several.test/'));
    expect(failure(outcome)).toEqual(['net::ERR_CONNECTION_TIMED_OUT', ['ETIMEDOUT', undefined], TOLD, 60]);
  });
});

test('E-057: what the server has, and has not acknowledged, does not count; nor what waits to be sent', async () => {
  build();
  const { createServer } = createHttp(createNet(server().host));
  let arrived = 0;
  createServer((request, response) => {
    request.on('data', (chunk: Buffer) => {
      arrived += chunk.length;
    });
    request.on('end', () => response.end());
  }).listen(80);
  const back = link.from(world.hosts[1]!.devices[0]!);
  const request = electron.net.request({ method: 'POST', url: 'http://10.0.0.2/' });
  const outcome = outcomeOf(request);
  const told: number[] = [];
  request.on('upload-progress', (current) => told.push(current));
  request.end(Buffer.alloc(2_000_000));
  await world.run(() => [...client.stack.tcp.connections].some((c) => c.state === 'ESTABLISHED'));
  // From now on no acknowledgement comes back.
  const lift = back.override({ blocked: true });
  await world.run(() => arrived > 0);
  expect(request.getUploadProgress()).toEqual({ active: true, started: true, current: 0, total: 2_000_000 });
  lift();
  await world.run(() => told.length > 0);
  // What is acknowledged has arrived, and not all that arrived needs to be acknowledged.
  expect(told[0]).toBeGreaterThan(0);
  expect(told[0]).toBeLessThanOrEqual(arrived);
  await world.until(outcome, HOUR);
  expect([told.at(-1), arrived]).toEqual([2_000_000, 2_000_000]);
});

test('a server that falls silent in the middle of an upload: ERR_TIMED_OUT, when TCP gives up', async () => {
  build();
  const { createServer } = createHttp(createNet(server().host));
  createServer((request) => void request.resume()).listen(80);
  const request = electron.net.request({ method: 'POST', url: 'http://10.0.0.2/' });
  request.once('upload-progress', () => link.change({ blocked: true }));
  request.write(Buffer.alloc(3_000_000));
  const { error, events, seconds } = await take(request);
  expect([error?.message, (error?.cause as NodeJS.ErrnoException | undefined)?.code]).toEqual([
    'net::ERR_TIMED_OUT',
    'ETIMEDOUT',
  ]);
  expect(events).toEqual(TOLD);
  // Fifteen repetitions of what is first in flight.
  expect(seconds).toBeGreaterThan(600);
});

describe('a handshake that nobody goes on with', () => {
  /** Says `answers` in turn, and then nothing more. Gives how many of its connections are open. */
  function stalling(...answers: (string | number[])[]): () => number {
    const { createServer } = createNet(server().host) as unknown as typeof NodeNet;
    let open = 0;
    createServer((socket) => {
      open++;
      socket.on('close', () => open--);
      socket.on('error', () => {});
      const left = [...answers];
      socket.on('data', () => {
        const answer = left.shift();
        if (answer !== undefined) socket.write(Buffer.from(answer as string));
      });
    }).listen(443);
    return () => open;
  }
  const OPENED = 'HTTP/1.1 200 Connected\r\n\r\n';
  const TIMED_OUT = 'net::ERR_CONNECTION_TIMED_OUT';

  test.each([
    ['TLS', '', [], TIMED_OUT],
    ['TLS behind a CONNECT', 'http://', [OPENED], TIMED_OUT],
    ['TLS behind SOCKS4', 'socks4://', [[0, 90, 0, 0, 0, 0, 0, 0]], TIMED_OUT],
    [
      'TLS behind SOCKS5',
      'socks5://',
      [
        [5, 0],
        [5, 0, 0, 1, 0, 0, 0, 0, 0, 0],
      ],
      TIMED_OUT,
    ],
    ['a CONNECT', 'http://', [], 'net::ERR_TUNNEL_CONNECTION_FAILED'],
    ['SOCKS5', 'socks5://', [], 'net::ERR_SOCKS_CONNECTION_FAILED'],
    ['TLS with a proxy', 'https://', [], 'net::ERR_PROXY_CONNECTION_FAILED'],
  ] as [string, string, (string | number[])[], string][])(
    '%s: half a minute',
    async (_name, scheme, answers, message) => {
      for (const judged of [false, true]) {
        build();
        const open = stalling(...answers);
        const session = electron.session.defaultSession;
        if (scheme !== '') await session.setProxy({ proxyRules: `${scheme}10.0.0.2:443` });
        if (judged) session.setCertificateVerifyProc((_, callback) => callback(0));
        const { error, seconds } = await take(
          electron.net.request(scheme === '' ? 'https://10.0.0.2/' : 'https://a.test/'),
        );
        expect([error?.message, Math.round(seconds)]).toEqual([message, 30]);
        await world.run(() => open() === 0);
        expect([open(), session._core.pending.size]).toEqual([0, 0]);
      }
    },
  );

  test('a proxy that does not answer at all: half a minute, and the next one is tried', async () => {
    build();
    const proxied = { proxyRules: '10.0.0.9:80,10.0.0.2:80' };
    await electron.session.defaultSession.setProxy(proxied);
    createHttp(createNet(server().host))
      .createServer((request, response) => response.end(`for ${request.url}`))
      .listen(80);
    const { body, seconds } = await take(electron.net.request('http://a.test/'));
    expect([body, Math.round(seconds)]).toEqual(['for http://a.test/', 30]);
  });
});
