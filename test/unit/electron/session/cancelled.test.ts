/** Aborts while a connection is in the making: what was opened for it ends, and no timer waits for it. */
import type { Socket } from 'node:net';
import { cert, key } from '../../http/tls-identity';
import { outcomeOf, until } from '../lab';
import { EVERYTHING, Place } from './place';

let place: Place;
let made: { timer: { _destroyed?: boolean }; delay: number }[];
const { setTimeout: realTimeout } = globalThis;
beforeEach(() => {
  place = new Place({ tls: { rejectUnauthorized: false } });
  made = [];
  globalThis.setTimeout = ((run: () => void, delay: number) => {
    const timer = realTimeout(run, delay);
    made.push({ timer: timer as never, delay });
    return timer;
  }) as never;
});
afterEach(() => {
  globalThis.setTimeout = realTimeout;
  place.close();
});

/** Timers of the patience with a handshake that still run. */
const patient = (): number => made.filter(({ timer, delay }) => delay === 30_000 && timer._destroyed !== true).length;

interface Stalling {
  host: string;
  open: Set<Socket>;
  heard: Buffer[];
}

/** Answers the first pieces it gets with these, and then nothing more. */
async function stalling(...answers: (string | number[])[]): Promise<Stalling> {
  const open = new Set<Socket>();
  const heard: Buffer[] = [];
  const origin = await place.accept((socket) => {
    open.add(socket);
    socket.on('close', () => open.delete(socket));
    const left = [...answers];
    socket.on('data', (bytes: Buffer) => {
      heard.push(bytes);
      const answer = left.shift();
      if (answer !== undefined) socket.write(Buffer.from(answer as string));
    });
  });
  return { host: new URL(origin).host, open, heard };
}

const OPENED = 'HTTP/1.1 200 Connected\r\n\r\n';
const REPLIED = [5, 0, 0, 1, 0, 0, 0, 0, 0, 0];

type Phase = [
  name: string,
  scheme: string,
  url: string,
  answers: (string | number[])[],
  pieces: number,
  judged?: boolean,
];

/** `pieces`: so many came to the proxy when it is in that phase. */
const PHASES: Phase[] = [
  ['a CONNECT without an answer', 'http', 'https://a.test/', [], 1],
  ['a CONNECT with half an answer', 'http', 'https://a.test/', ['HTTP/1.1 200 Conn'], 1],
  ['TLS behind a CONNECT', 'http', 'https://a.test/', [OPENED], 2],
  ['TLS behind a CONNECT, to be judged', 'http', 'https://a.test/', [OPENED], 2, true],
  ['TLS with a proxy, for a tunnel', 'https', 'https://a.test/', [], 1],
  ['TLS with a proxy, for http:', 'https', 'http://a.test/', [], 1],
  ['SOCKS5, greeted', 'socks5', 'http://a.test/', [], 1],
  ['SOCKS5, greeted, https:', 'socks5', 'https://a.test/', [], 1],
  ['SOCKS5, the login', 'socks5', 'http://a.test/', [[5, 2]], 2],
  [
    'SOCKS5, half a reply',
    'socks5',
    'http://a.test/',
    [
      [5, 0],
      [5, 0, 0],
    ],
    2,
  ],
  ['TLS behind SOCKS5', 'socks5', 'https://a.test/', [[5, 0], REPLIED], 3],
  ['SOCKS4, asked', 'socks4', 'http://a.test/', [], 1],
  ['TLS behind SOCKS4', 'socks4', 'https://a.test/', [[0, 90, 0, 0, 0, 0, 0, 0]], 2],
  ['a request in absolute form', 'http', 'http://a.test/', [], 1],
  ['TLS without a proxy', 'direct', '', [], 1],
  ['TLS without a proxy, to be judged', 'direct', '', [], 1, true],
];

async function stuckIn([, scheme, url, answers, pieces, judged]: Phase, ending: 'abort' | 'close') {
  const server = await stalling(...answers);
  const login = scheme === 'socks5' ? 'u:p@' : '';
  if (scheme !== 'direct') {
    await place.own.setProxy({ proxyRules: `${scheme}://${login}${server.host}`, proxyBypassRules: EVERYTHING });
  }
  if (judged) place.own.setCertificateVerifyProc((_, callback) => callback(0));
  const request = place.requests.request(scheme === 'direct' ? `https://${server.host}/` : url);
  const outcome = outcomeOf(request);
  request.end();
  await until(() => server.heard.length >= pieces && server.open.size === 1);
  // The client may still be at work on the last piece; what it did before the abort does not matter.
  if (ending === 'abort') request.abort();
  else await place.own.closeAllConnections();
  const { pending } = place.own._core;
  return { now: { pending: pending.size, patient: patient() }, server, outcome };
}

describe.each(['abort', 'close'] as const)('E-051 E-052 E-102: %s', (ending) => {
  test.each(PHASES)('%s', async (...phase) => {
    const { now, server, outcome } = await stuckIn(phase, ending);
    expect(now).toEqual({ pending: 0, patient: 0 });
    const { events, error } = await outcome;
    expect(events.at(-1)).toBe('close');
    if (ending === 'abort') expect(events).toContain('abort');
    else expect(error?.message).toBe('net::ERR_ABORTED');
    await until(() => server.open.size === 0);
  });
});

test('while a name is looked up: neither the proxy nor the origin is called', async () => {
  const { net } = place.modules;
  let looked = 0;
  const sockets: Socket[] = [];
  const connect = net.connect;
  (net as { connect: unknown }).connect = (options: object) => {
    const lookup = (): void => void looked++;
    const socket = (connect as (o: object) => Socket)({ ...options, lookup });
    sockets.push(socket);
    return socket;
  };
  for (const [rules, url] of [
    ['http://slow.test:1', 'https://a.test/'],
    ['http://slow.test:1', 'http://a.test/'],
    ['socks5://slow.test:1', 'http://a.test/'],
    ['direct://', 'https://slow.test/'],
  ] as const) {
    await place.own.setProxy({ proxyRules: rules, proxyBypassRules: EVERYTHING });
    const before = looked;
    const request = place.requests.request(url);
    const outcome = outcomeOf(request);
    request.end();
    await until(() => looked > before);
    request.abort();
    expect([place.own._core.pending.size, patient()]).toEqual([0, 0]);
    expect((await outcome).events).toEqual(['finish', 'abort', 'close']);
  }
  await until(() => sockets.every((socket) => socket.destroyed));
});

test('while a procedure thinks about a certificate; its answer, later, changes nothing', async () => {
  const server = place.modules.https.createServer({ key, cert }, (_, response) => response.end('secret'));
  const open = new Set<unknown>();
  server.on('connection', (socket: Socket) => {
    open.add(socket);
    socket.on('close', () => open.delete(socket));
  });
  const port = await place.listen(server);
  let answer: ((result: number) => void) | undefined;
  place.own.setCertificateVerifyProc((_, callback) => {
    answer = callback;
  });
  const request = place.requests.request(`https://localhost:${port}/`);
  const outcome = outcomeOf(request);
  request.end();
  await until(() => answer !== undefined);
  request.abort();
  expect([place.own._core.pending.size, patient()]).toEqual([0, 0]);
  await outcome;
  answer!(0);
  await until(() => open.size === 0);
  expect(place.own._core.pending.size).toBe(0);
});

test('requests that wait for a connection are not robbed of one by an abort, and an aborted one gets none', async () => {
  let connections = 0;
  const { address } = await place.proxy();
  const [host, port] = address.split(':');
  const relay = await place.accept((near) => {
    connections++;
    const far = place.modules.net.connect({ host: host!, port: Number(port) });
    near.pipe(far).pipe(near);
    near.on('close', () => far.destroy());
    far.on('error', () => near.destroy());
  });
  const origin = await place.serve((_, response) => response.end('here'));
  await place.own.setProxy({ proxyRules: new URL(relay).host, proxyBypassRules: EVERYTHING });
  const requests = Array.from({ length: 40 }, (_, i) => place.requests.request(`${origin}/${i}`));
  const outcomes = requests.map((request) => outcomeOf(request));
  for (const request of requests) request.end();
  await until(() => connections > 0);
  for (const request of requests.slice(0, 20)) request.abort();
  const bodies = (await Promise.all(outcomes)).map(({ body }) => body);
  expect(bodies.slice(20)).toEqual(Array(20).fill('here'));
  expect([place.own._core.pending.size, patient()]).toEqual([0, 0]);
});

test.each([false, true])(
  'requests that wait for a connection all hear of it when there will be none (the first of them aborted: %s)',
  async (aborts) => {
    let refusing = false;
    let asked = 0;
    const refusals: Socket[] = [];
    const refuse = (): void => {
      for (const socket of refusals.splice(0)) socket.write(Buffer.from([0, 91, 0, 0, 0, 0, 0, 0]));
    };
    const open = new Set<Socket>();
    const origin = await place.accept((socket) => {
      open.add(socket);
      let pieces = 0;
      socket.on('data', () => {
        if (refusing) {
          asked++;
          refusals.push(socket);
          if (!aborts || asked > 6) refuse();
        } else if (pieces++ === 0) socket.write(Buffer.from([0, 90, 0, 0, 0, 0, 0, 0]));
        else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\npart');
      });
    });
    await place.own.setProxy({ proxyRules: `socks4://${new URL(origin).host}`, proxyBypassRules: EVERYTHING });
    const ask = () => {
      const request = place.requests.request('http://a.test/');
      const outcome = outcomeOf(request);
      request.end();
      return { request, outcome, responded: new Promise((resolve) => request.on('response', resolve)) };
    };
    const served = Array.from({ length: 6 }, ask);
    await Promise.all(served.map(({ responded }) => responded));
    const waiting = Array.from({ length: 9 }, ask);
    const { agent } = place.own._core.route(new URL('http://a.test/'), {
      type: 'socks4',
      host: '127.0.0.1',
      port: Number(new URL(origin).port),
    });
    await until(() => Object.values(agent.requests)[0]?.length === 9);
    refusing = true;
    for (const socket of open) socket.destroy();
    if (aborts) {
      await until(() => asked === 6);
      waiting.shift()!.request.abort();
      refuse();
    }
    const errors = await Promise.all(waiting.map(({ outcome }) => outcome.then(({ error }) => error?.message)));
    expect(errors).toEqual(Array(aborts ? 8 : 9).fill('net::ERR_SOCKS_CONNECTION_FAILED'));
    await Promise.all(served.map(({ outcome }) => outcome));
    expect([place.own._core.pending.size, patient()]).toEqual([0, 0]);
  },
);

test('the last that waits is aborted: nothing of what was made for it is left', async () => {
  const server = await stalling([0, 90, 0, 0, 0, 0, 0, 0], 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\npart');
  await place.own.setProxy({ proxyRules: `socks4://${server.host}`, proxyBypassRules: EVERYTHING });
  const start = () => {
    const request = place.requests.request('http://a.test/');
    const outcome = outcomeOf(request);
    request.end();
    return { request, outcome, responded: new Promise((resolve) => request.on('response', resolve)) };
  };
  const served = Array.from({ length: 6 }, start);
  await Promise.all(served.map(({ responded }) => responded));
  const last = start();
  const [host, port] = server.host.split(':') as [string, string];
  const { agent } = place.own._core.route(new URL('http://a.test/'), { type: 'socks4', host, port: Number(port) });
  await until(() => Object.values(agent.requests)[0]?.length === 1);
  for (const socket of server.open) socket.destroy();
  await until(() => place.own._core.pending.size === 6);
  last.request.abort();
  expect([place.own._core.pending.size, patient()]).toEqual([0, 0]);
  await Promise.all([last, ...served].map(({ outcome }) => outcome));
  await until(() => server.open.size === 0);
});
