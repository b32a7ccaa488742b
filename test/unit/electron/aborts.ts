import type { RequestListener } from 'node:http';
import type { Socket } from 'node:net';
import { createElectron } from '../../../electron';
import type { ClientRequest } from '../../../electron/client-request';
import type { ElectronNet } from '../../../electron/net';
import { cert, key } from '../http/tls-identity';
import { Lab, type PlainSession, until } from './lab';

type Random = (below: number) => number;

/** A generator of the same numbers for the same seed. */
export function random(seed: number): Random {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

export interface Left {
  requests: number;
  tracked: number;
  listeners: number;
  sockets: number;
  connections: number;
  endings: Record<string, number>;
}

const EVENTS = ['abort', 'error', 'close', 'response', 'redirect', 'login', 'upload-progress', 'drain'];
const KINDS = 8;

const nothing = (): Left => ({ requests: 0, tracked: 0, listeners: 0, sockets: 0, connections: 0, endings: {} });
/** Notes every timer that is made from now on. The function it gives ends that, and waits until none of them runs. */
function watchTimers(): () => Promise<void> {
  const { setTimeout: once, setInterval: often } = globalThis;
  const made: { _destroyed?: boolean }[] = [];
  const noting = (make: typeof once | typeof often): never =>
    ((...args: Parameters<typeof once>) => {
      const timer = make(...args);
      made.push(timer as unknown as { _destroyed?: boolean });
      return timer;
    }) as never;
  Object.assign(globalThis, { setTimeout: noting(once), setInterval: noting(often) });
  return () => {
    Object.assign(globalThis, { setTimeout: once, setInterval: often });
    return until(() => made.every((timer) => timer._destroyed === true));
  };
}

/** Answers in every way that there is; the path says in which. */
const answer: RequestListener = (request, response) => {
  const kind = Number(request.url!.slice(-1));
  request.on('error', () => {});
  if (kind === 0) response.end('short');
  else if (kind === 1) response.writeHead(302, { Location: '/0' }).end();
  else if (kind === 2) response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="r"' }).end('no');
  else if (kind === 3) request.socket.destroy();
  else if (kind === 4) response.write('part');
  else if (kind === 5) request.resume().on('end', () => response.end(Buffer.alloc(100_000)));
  else if (kind === 6) response.writeHead(307, { Location: '/5' }).end();
  // 7: no answer at all.
};

/** Makes requests to `origins` until each has ended. */
async function requestMany(
  net: ElectronNet,
  origins: readonly string[],
  count: number,
  next: Random,
  left: Left,
  stuck = false,
): Promise<void> {
  const one = async (): Promise<void> => {
    const kind = next(KINDS);
    const url = `${origins[next(origins.length)]}/${kind}`;
    const request = net.request({ method: kind === 5 || kind === 6 ? 'POST' : 'GET', url });
    left.requests++;
    const ending = await play(request, kind, next, stuck);
    left.endings[ending] = (left.endings[ending] ?? 0) + 1;
    left.requests--;
    for (const event of EVENTS) request.removeAllListeners(event);
    left.listeners += request.eventNames().reduce((sum, name) => sum + request.listenerCount(name), 0);
  };
  const workers = Array.from({ length: 20 }, async () => {
    while (count-- > 0) await one();
  });
  await Promise.all(workers);
}

/** Waits until no connection is left, closes the host, and waits until none of the timers runs that were made. */
async function closeWhenQuiet(lab: Lab, left: Left, timersGone: () => Promise<void>): Promise<void> {
  const { tcp } = lab.host.stack;
  await until(() => tcp.connections.size === 0);
  left.connections = tcp.connections.size + tcp.sent.inUse + tcp.store.inUse;
  lab.close();
  await timersGone();
}

/** Listeners that are asked answer later, some of them much later. */
function hesitate({ webRequest }: PlainSession, next: Random): void {
  const later = (callback: (answer: object) => void): void => {
    if (next(10) > 0) setImmediate(callback, next(10) === 0 ? { cancel: true } : {});
    else setTimeout(callback, 20, { cancel: true });
  };
  webRequest.onBeforeRequest((_details, callback) => later(callback));
  webRequest.onBeforeSendHeaders((_details, callback) => later(callback));
  webRequest.onHeadersReceived((_details, callback) => later(callback));
}

/**
 * Many requests of all kinds, each of which is let go, aborted or destroyed at a random moment. What is left then?
 * @param hesitates listeners of `webRequest` hold them up
 */
export async function abortMany(count: number, seed: number, hesitates = false): Promise<Left> {
  const timersGone = watchTimers();
  const lab = new Lab();
  if (hesitates) hesitate(lab.session, random(seed + 1));
  const left = nothing();
  await requestMany(lab.electron, [await lab.serve(answer)], count, random(seed), left);
  left.tracked = lab.session.tracked.size;
  const { http } = lab.session.agents;
  for (const lists of [http.sockets, http.requests] as NodeJS.ReadOnlyDict<unknown[]>[]) {
    await until(() => Object.values(lists).every((list) => list!.length === 0));
  }
  for (const list of Object.values(http.freeSockets)) {
    for (const socket of list!) left.listeners += strayListeners(socket);
  }
  http.destroy();
  await until(() => Object.keys(http.sockets).length + Object.keys(http.freeSockets).length === 0);
  left.sockets = (http as unknown as { totalSocketCount: number }).totalSocketCount;
  await closeWhenQuiet(lab, left, timersGone);
  return left;
}

/** The same with real sessions, over TLS too, and through a proxy that opens tunnels, or not. */
export async function abortManyBehindProxies(count: number, seed: number): Promise<Left> {
  const timersGone = watchTimers();
  const lab = new Lab();
  const next = random(seed);
  const plain = await lab.serve(answer);
  const secure = `https://localhost:${await lab.listen(lab.modules.https.createServer({ key, cert }, answer))}`;
  const proxy = lab.modules.http.createServer(answer);
  proxy.on('connect', (request: { url: string }, socket: Socket) => {
    socket.on('error', () => {});
    const fate = next(4);
    if (fate === 0) socket.end('HTTP/1.1 502 No\r\n\r\n');
    else if (fate === 1) socket.destroy();
    else if (fate === 2) tunnel(lab, request.url, socket);
    // Nothing, until the client has enough of it: who has taken a socket over also has to end it.
    else socket.resume().on('end', () => socket.end());
  });
  const proxyRules = `127.0.0.1:${await lab.listen(proxy)}`;
  const left = nothing();
  for (const mode of ['direct', 'fixed_servers'] as const) {
    const electron = createElectron(lab.host);
    const session = electron.session.defaultSession;
    session.setCertificateVerifyProc((_request, callback) => callback(0));
    await session.setProxy({ mode, proxyRules, proxyBypassRules: '<-loopback>' });
    await requestMany(electron.net, [plain, secure], count / 2, next, left, true);
    await session.closeAllConnections();
    await until(() => session._core.pending.size === 0);
  }
  await closeWhenQuiet(lab, left, timersGone);
  return left;
}

function tunnel(lab: Lab, authority: string, near: Socket): void {
  const [host, port] = authority.split(':');
  const far = lab.modules.net.connect({ host, port: Number(port) });
  far.on('error', () => near.destroy());
  near.on('close', () => far.destroy());
  far.on('close', () => near.destroy());
  near.write('HTTP/1.1 200 OK\r\n\r\n');
  near.pipe(far).pipe(near);
}

/** Listeners of requests on an idle connection; those of its agent belong there. */
function strayListeners(socket: NodeJS.EventEmitter): number {
  return ['drain', 'data', 'connect', 'secureConnect'].reduce((sum, name) => sum + socket.listenerCount(name), 0);
}

/** Ends a request in one of many ways; resolves with the events that ended it. */
function play(request: ClientRequest, kind: number, next: Random, stuck: boolean): Promise<string> {
  const endings: string[] = [];
  let over = false;
  const moment = next(8);
  const stop = (): void => {
    if (next(4) === 0) request.destroy(new Error('mine'));
    else request.abort();
  };
  request.on('abort', () => endings.push('abort'));
  request.on('error', () => endings.push('error'));
  request.on('redirect', () => void (moment === 1 && stop()));
  request.on('login', (_info, callback) => {
    if (moment === 2) stop();
    if (next(2) === 0) callback('u', 'p');
    else setImmediate(callback);
  });
  request.on('upload-progress', () => void (moment === 3 && stop()));
  request.on('response', (response) => {
    response.on('error', () => {});
    if (moment === 4) stop();
    else if (moment === 5) response.on('data', stop);
    else if (moment === 6) response.destroy();
    else response.resume();
  });
  if (kind === 5 || kind === 6) {
    request.chunkedEncoding = next(2) === 0;
    request.write(Buffer.alloc(next(200_000)));
  }
  if (moment !== 7 || next(2) === 0) request.end();
  // What never ends by itself, or may not.
  if (kind === 4 || kind === 7 || moment === 7 || stuck) {
    let turns = stuck ? 500 : next(30);
    const later = (): void => {
      if (over) return;
      if (turns-- <= 0) stop();
      else setImmediate(later);
    };
    later();
  }
  return new Promise((resolve) => {
    request.on('close', () => {
      over = true;
      resolve(endings.join('+') || 'close');
    });
  });
}
