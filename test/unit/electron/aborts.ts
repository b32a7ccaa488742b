import type { ClientRequest } from '../../../electron/client-request';
import { Lab, until } from './lab';

/** A generator of the same numbers for the same seed. */
export function random(seed: number): (below: number) => number {
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

/** Many requests of all kinds, each of which is let go, aborted or destroyed at a random moment. What is left then? */
export async function abortMany(count: number, seed: number): Promise<Left> {
  const lab = new Lab();
  const next = random(seed);
  const origin = await lab.serve((request, response) => {
    const kind = Number(request.url!.slice(1));
    request.on('error', () => {});
    if (kind === 0) response.end('short');
    else if (kind === 1) response.writeHead(302, { Location: '/0' }).end();
    else if (kind === 2) response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="r"' }).end('no');
    else if (kind === 3) request.socket.destroy();
    else if (kind === 4) response.write('part');
    else if (kind === 5) request.resume().on('end', () => response.end(Buffer.alloc(100_000)));
    else if (kind === 6) response.writeHead(307, { Location: '/5' }).end();
    // 7: no answer at all.
  });
  const left: Left = { requests: 0, tracked: 0, listeners: 0, sockets: 0, connections: 0, endings: {} };
  const one = (): Promise<void> => {
    const kind = next(8);
    const request = lab.request({ method: kind === 5 || kind === 6 ? 'POST' : 'GET', url: `${origin}/${kind}` });
    left.requests++;
    return play(request, kind, next).then((ending) => {
      left.endings[ending] = (left.endings[ending] ?? 0) + 1;
      left.requests--;
      for (const event of EVENTS) request.removeAllListeners(event);
      left.listeners += request.eventNames().reduce((sum, name) => sum + request.listenerCount(name), 0);
    });
  };
  const workers = Array.from({ length: 20 }, async () => {
    while (count-- > 0) await one();
  });
  await Promise.all(workers);
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
  const { tcp } = lab.host.stack;
  await until(() => tcp.connections.size === 0);
  left.connections = tcp.connections.size + tcp.sent.inUse + tcp.store.inUse;
  lab.close();
  return left;
}

/** Listeners of requests on an idle connection; those of its agent belong there. */
function strayListeners(socket: NodeJS.EventEmitter): number {
  return ['drain', 'data', 'connect', 'secureConnect'].reduce((sum, name) => sum + socket.listenerCount(name), 0);
}

/** Ends a request in one of many ways; resolves with the events that ended it. */
function play(request: ClientRequest, kind: number, next: (below: number) => number): Promise<string> {
  const endings: string[] = [];
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
  // What never ends by itself.
  if (kind === 4 || kind === 7 || moment === 7) {
    let turns = next(30);
    const later = (): void => {
      if (turns-- <= 0) stop();
      else setImmediate(later);
    };
    later();
  }
  return new Promise((resolve) => request.on('close', () => resolve(endings.join('+') || 'close')));
}
