import nodeHttp from 'node:http';
import nodeNet from 'node:net';
import { createHttp } from '../../../http';
import { createNet } from '../../../net';
import { createHost } from '../../../net/host';

/** A pair of modules to run a scenario on. */
export interface Modules {
  readonly http: typeof nodeHttp;
  readonly net: typeof nodeNet;
}

const stackNet = createNet(createHost({ devices: [] })) as unknown as typeof nodeNet;

/** Node's own; our HTTP over Node's sockets, where text comes as a stream; our HTTP over our sockets, in place. */
export const MODULES = {
  node: { http: nodeHttp, net: nodeNet },
  'our http': { http: createHttp(nodeNet) as unknown as typeof nodeHttp, net: nodeNet },
  'our http and net': { http: createHttp(stackNet) as unknown as typeof nodeHttp, net: stackNet },
} satisfies Record<string, Modules>;

export interface Exchange {
  readonly http: typeof nodeHttp;
  readonly port: number;
  readonly log: (event: string) => void;
}

export interface ExchangeScenario {
  /**
   * What the server does with each connection, once a request's head has come; `told` is what has been logged so far. Default:
   * a short answer.
   */
  answer?(socket: nodeNet.Socket, request: string, log: (event: string) => void, told: readonly string[]): void;
  /** What the server does with a connection at once, instead. */
  accept?(socket: nodeNet.Socket): void;
  options?: nodeHttp.RequestOptions | ((exchange: Exchange) => nodeHttp.RequestOptions);
  /** Makes the request; default: `http.request(options)`, watched and ended. */
  act?(request: nodeHttp.ClientRequest, exchange: Exchange): void;
  /** Do not call end(). */
  open?: boolean;
  /** Milliseconds of silence after which all has been told. */
  quietMs?: number;
}

const REQUEST_EVENTS = ['socket', 'finish', 'response', 'close', 'error', 'abort', 'timeout', 'continue', 'drain'];
const QUIET_MS = 60;
/** Turns of the loop in which nothing more happens; on a busy machine the clock alone would tell too early. */
const QUIET_TURNS = 20;

type Fault = Error & { code?: string };

export const told = (error: Fault): string => `${error.name}:${error.code}:${error.message.replace(/:\d+$/, ':port')}`;

/** Logs what a request, its socket and its response tell. */
export function watch(request: nodeHttp.ClientRequest, log: (event: string) => void): void {
  for (const event of REQUEST_EVENTS) {
    request.on(event, (what) => log(event === 'error' ? `error(${told(what)})` : event));
  }
  request.on('information', (info) => log(`information(${JSON.stringify(info)})`));
  request.on('socket', (socket) => {
    socket.on('connect', () => log('sock.connect'));
    socket.on('end', () => log('sock.end'));
    socket.on('close', () => log('sock.close'));
    socket.on('timeout', () => log('sock.timeout'));
  });
  request.on('response', (response) => {
    response.on('data', (data: Buffer) => log(`res.data(${data.length})`));
    response.on('end', () => log('res.end'));
    response.on('aborted', () => log('res.aborted'));
    response.on('error', (error: Fault) => log(`res.error(${error.code}:${error.message})`));
    response.on('close', () => log('res.close'));
  });
}

const HELLO = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi';

/** Runs a scenario and gives its events once nothing more happens. */
export function play(modules: Modules, scenario: ExchangeScenario): Promise<string[]> {
  const { http, net } = modules;
  const events: string[] = [];
  return new Promise((resolve) => {
    let timer: NodeJS.Timeout | undefined;
    let over = false;
    const log = (event: string): void => {
      events.push(event);
      if (!over) settleSoon();
    };
    const sockets = new Set<nodeNet.Socket>();
    const server = net.createServer({ allowHalfOpen: true }, (socket) => {
      sockets.add(socket);
      socket.on('error', () => {});
      settleSoon();
      serve(socket, scenario, log, events);
    });
    const done = (): void => {
      // What tidying up makes them tell is no part of it.
      const told = [...events];
      over = true;
      for (const socket of sockets) socket.destroy();
      http.globalAgent.destroy();
      server.close(() => resolve(told));
    };
    const settleSoon = (): void => {
      clearTimeout(timer);
      timer = setTimeout(() => quietTurns(() => events.length, done, settleSoon), scenario.quietMs ?? QUIET_MS);
    };
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as nodeNet.AddressInfo;
      const exchange: Exchange = { http, port, log };
      const given = typeof scenario.options === 'function' ? scenario.options(exchange) : scenario.options;
      const request = http.request({ host: '127.0.0.1', port, ...given });
      settleSoon();
      watch(request, log);
      scenario.act?.(request, exchange);
      if (!scenario.open) request.end();
    });
  });
}

/** Calls `quiet` when `count` stays the same for some turns, else `busy`. */
export function quietTurns(count: () => number, quiet: () => void, busy: () => void): void {
  const before = count();
  let left = QUIET_TURNS;
  const turn = (): void => {
    if (count() !== before) busy();
    else if (--left === 0) quiet();
    else setImmediate(turn);
  };
  setImmediate(turn);
}

function serve(
  socket: nodeNet.Socket,
  scenario: ExchangeScenario,
  log: (event: string) => void,
  told: readonly string[],
): void {
  let text = '';
  if (scenario.accept) {
    scenario.accept(socket);
    return;
  }
  socket.on('end', () => socket.end());
  socket.on('data', (data) => {
    text += data.toString('latin1');
    const end = text.indexOf('\r\n\r\n');
    if (end < 0) return;
    const head = text.slice(0, end);
    const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
    const bytes = /expect:/i.test(head) ? 0 : length;
    if (text.length < end + 4 + bytes) return;
    text = text.slice(end + 4 + bytes);
    if (scenario.answer) scenario.answer(socket, head, log, told);
    else socket.write(HELLO);
  });
}

/** Plays a scenario on all modules and expects what Node did. */
export async function expectNodesOrder(scenario: ExchangeScenario): Promise<string[]> {
  const names = Object.keys(MODULES) as (keyof typeof MODULES)[];
  const all = await Promise.all(names.map((name) => play(MODULES[name], scenario)));
  for (const [i, name] of names.entries()) expect({ [name]: all[i] }).toEqual({ [name]: all[0] });
  return all[0]!;
}
