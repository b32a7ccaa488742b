/** How many connections there are at once to one host: those that are still being made count. */
import type { Socket } from 'node:net';
import { cert, key } from '../../http/tls-identity';
import { type Outcome, outcomeOf, until } from '../lab';
import { EVERYTHING, Place } from './place';

const GRANTED = [0, 90, 0, 0, 0, 0, 0, 0];
const REFUSED = [0, 91, 0, 0, 0, 0, 0, 0];
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

let place: Place;
beforeEach(() => {
  place = new Place({ tls: { rejectUnauthorized: false } });
});
afterEach(() => place.close());

/** Connections that wait for what `answer` gives for the next piece, until `go` is called. */
async function gate(answer: (piece: number, heard: string) => string | number[]) {
  const made = { host: '', most: 0, open: 0, held: [] as (() => void)[], go: () => {} };
  let going = false;
  const origin = await place.accept((socket) => {
    made.most = Math.max(made.most, ++made.open);
    socket.on('close', () => made.open--);
    let piece = 0;
    socket.on('data', (bytes: Buffer) => {
      const say = (): void => void socket.write(Buffer.from(answer(piece++, bytes.toString('latin1')) as string));
      if (going) say();
      else made.held.push(say);
    });
  });
  made.host = new URL(origin).host;
  made.go = () => {
    going = true;
    for (const say of made.held.splice(0)) say();
  };
  return made;
}

const start = (url: string, count: number) =>
  Array.from({ length: count }, () => {
    const request = place.requests.request(url);
    const outcome = outcomeOf(request);
    request.end();
    return { request, outcome };
  });
const all = (started: { outcome: Promise<Outcome> }[]): Promise<Outcome[]> =>
  Promise.all(started.map(({ outcome }) => outcome));
const waiting = (): number => {
  const { routes } = place.own._core.routes as unknown as { routes: Map<string, { agent: { requests: object } }> };
  return [...routes.values()].flatMap(({ agent }) => Object.values(agent.requests)).flat().length;
};

describe('E-102: six connections to one host, in whatever phase', () => {
  test('through SOCKS; all that wait are served', async () => {
    const server = await gate((piece) => (piece === 0 ? GRANTED : OK));
    await place.own.setProxy({ proxyRules: `socks4://${server.host}`, proxyBypassRules: EVERYTHING });
    const started = start('http://a.test/', 20);
    await until(() => place.own._core.pending.size + waiting() === 20);
    expect([place.own._core.pending.size, waiting()]).toEqual([6, 14]);
    await until(() => server.held.length === 6);
    server.go();
    expect((await all(started)).map(({ body }) => body)).toEqual(Array(20).fill('ok'));
    expect(server.most).toBe(6);
  });

  test('hosts do not take them from each other', async () => {
    const server = await gate((piece) => (piece === 0 ? GRANTED : OK));
    await place.own.setProxy({ proxyRules: `socks4://${server.host}`, proxyBypassRules: EVERYTHING });
    const started = [...start('http://a.test/', 8), ...start('http://b.test/', 8)];
    await until(() => place.own._core.pending.size + waiting() === 16);
    expect([place.own._core.pending.size, waiting()]).toEqual([12, 4]);
    server.go();
    expect((await all(started)).map(({ status }) => status)).toEqual(Array(16).fill(200));
  });

  /** Serves over TLS; counts its connections. */
  const secureOrigin = async (): Promise<{ url: string; connections: number }> => {
    const made = { url: '', connections: 0 };
    const server = place.modules.https.createServer({ key, cert }, (_, response) => response.end('ok'));
    server.on('connection', () => made.connections++);
    made.url = `https://127.0.0.1:${await place.listen(server)}/`;
    return made;
  };

  test('through tunnels', async () => {
    const proxy = await place.proxy();
    const { url } = await secureOrigin();
    await place.own.setProxy({ proxyRules: proxy.address, proxyBypassRules: EVERYTHING });
    expect((await all(start(url, 20))).map(({ body }) => body)).toEqual(Array(20).fill('ok'));
    expect(proxy.connections).toHaveLength(6);
  });

  test('over TLS', async () => {
    const origin = await secureOrigin();
    expect((await all(start(origin.url, 20))).map(({ body }) => body)).toEqual(Array(20).fill('ok'));
    expect(origin.connections).toBe(6);
  });

  test('over TLS, while somebody thinks about the certificate', async () => {
    const origin = await secureOrigin();
    const answers: ((result: number) => void)[] = [];
    place.own.setCertificateVerifyProc((_, callback) => void answers.push(callback));
    const started = start(origin.url, 20);
    await until(() => origin.connections === 6 && answers.length > 0);
    expect([place.own._core.pending.size, waiting()]).toEqual([6, 14]);
    for (const answer of answers) answer(0);
    expect((await all(started)).map(({ body }) => body)).toEqual(Array(20).fill('ok'));
    expect(origin.connections).toBe(6);
  });

  test('those that fail make room, and each that waits has its own failure', async () => {
    let most = 0;
    const server = await gate(() => {
      most = Math.max(most, place.own._core.pending.size);
      return REFUSED;
    });
    await place.own.setProxy({ proxyRules: `socks4://${server.host}`, proxyBypassRules: EVERYTHING });
    const started = start('http://a.test/', 20);
    await until(() => server.held.length === 6);
    server.go();
    const messages = (await all(started)).map(({ error }) => error?.message);
    expect(messages).toEqual(Array(20).fill('net::ERR_SOCKS_CONNECTION_FAILED'));
    expect([most, place.own._core.pending.size, waiting()]).toEqual([6, 0, 0]);
    await until(() => server.open === 0);
  });

  test('what was made for an aborted request is for those that wait, and ends with the last of them', async () => {
    const server = await gate(() => GRANTED);
    await place.own.setProxy({ proxyRules: `socks4://${server.host}`, proxyBypassRules: EVERYTHING });
    const started = start('http://a.test/', 8);
    await until(() => server.held.length === 6);
    for (const { request } of started.slice(0, 6)) request.abort();
    expect([place.own._core.pending.size, waiting()]).toEqual([6, 2]);
    started[6]!.request.abort();
    expect([place.own._core.pending.size, waiting()]).toEqual([6, 1]);
    started[7]!.request.abort();
    expect([place.own._core.pending.size, waiting()]).toEqual([0, 0]);
    for (const { events } of await all(started)) expect(events).toEqual(['finish', 'abort', 'close']);
    await until(() => server.open === 0);
  });

  test('a connection that fails is no affair of whom it was made for, once that has another', async () => {
    const held: (() => void)[] = [];
    const sockets: Socket[] = [];
    let holds = false;
    let answerLate = (): void => {};
    const origin = await place.accept((socket) => {
      sockets.push(socket);
      let piece = 0;
      socket.on('data', (bytes: Buffer) => {
        if (piece++ > 0) {
          if (bytes.includes('/late')) answerLate = () => socket.write(OK);
          else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\npart');
        } else if (holds) held.push(() => socket.write(Buffer.from(REFUSED)));
        else socket.write(Buffer.from(GRANTED));
      });
    });
    await place.own.setProxy({ proxyRules: `socks4://${new URL(origin).host}`, proxyBypassRules: EVERYTHING });
    const parts = start('http://a.test/part', 6);
    await Promise.all(parts.map(({ request }) => new Promise((resolve) => request.on('response', resolve))));
    const late = start('http://a.test/late', 1)[0]!;
    await until(() => waiting() === 1);
    holds = true;
    sockets[0]!.destroy();
    // One has been lost: another is made for whom waits, who gets the next that is free before.
    await until(() => held.length === 1);
    sockets[1]!.write('rest');
    const sent = answerLate;
    await until(() => answerLate !== sent);
    held[0]!();
    await until(() => place.own._core.pending.size === 0);
    answerLate();
    expect((await late.outcome).body).toBe('ok');
    for (const socket of sockets) socket.destroy();
    await all(parts);
  });
});
