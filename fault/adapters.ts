import http from 'node:http';
import { Duplex } from 'node:stream';
import type { Net, Socket } from '../net';

/** Anything that opens a connection for a client: Node's `createConnection`. */
type Connect = (options: object, listener?: () => void) => Socket;

/**
 * Node's own http.Agent whose connections go over a net module of ours. `resolve` tells for a hostname which address is
 * meant.
 */
export function agentOver(net: Net, resolve: (host: string) => string, options: http.AgentOptions = {}): http.Agent {
  const agent = new http.Agent({ keepAlive: true, ...options });
  const connect = connectOver(net, resolve);
  (agent as unknown as { createConnection: Connect }).createConnection = connect;
  return agent;
}

/** `createConnection` over a net module of ours: for every client that takes one. */
export function connectOver(net: Net, resolve: (host: string) => string): Connect {
  return (options, listener) => {
    const given = options as { host?: string; hostname?: string; port?: number | string };
    const host = resolve(given.hostname ?? given.host ?? 'localhost');
    const made = { ...given, host, hostname: undefined, lookup: undefined, path: undefined, port: Number(given.port) };
    const socket = net.connect(made as never, listener);
    socket.once('connect', () => keepAsyncScope(socket));
    return socket;
  };
}

/** Node's agent renews the async scope of a socket that it uses again, through calls that only handles of its own have. */
function keepAsyncScope(socket: Socket): void {
  const handle = socket._handle as { asyncReset?: unknown; getProviderType?: unknown } | null;
  if (handle !== null && typeof handle.getProviderType !== 'function') handle.asyncReset = undefined;
}

/** What undici's `connect` option may be: it gets a socket for an origin, and a time limit. */
export type UndiciConnector = (
  options: { hostname: string; port: string; protocol: string; timeout?: number },
  callback: (error: Error | null, socket: Duplex | null) => void,
) => void;

const CONNECT_TIMEOUT_MS = 10_000;

/** Connections for undici and built-in fetch: `new Agent({ connect: connector })`. */
export function connectorOver(
  net: Net,
  resolve: (host: string) => string,
  timeoutMs = CONNECT_TIMEOUT_MS,
): UndiciConnector {
  return (options, callback) => {
    if (options.protocol === 'https:')
      return callback(new Error('https over this connector: wrap the socket in tls'), null);
    let told = false;
    const once = (error: Error | null, made: Duplex | null): void => {
      if (told) return;
      told = true;
      callback(error, made);
    };
    const socket = net.connect({ host: resolve(options.hostname), port: Number(options.port || 80) } as never);
    socket.setKeepAlive(true, 60_000);
    socket.setNoDelay(true);
    socket.setTimeout(timeoutMs, () => {
      if (!socket.connecting) return;
      const error = new Error('Connect Timeout Error') as NodeJS.ErrnoException;
      error.name = 'ConnectTimeoutError';
      error.code = 'UND_ERR_CONNECT_TIMEOUT';
      socket.destroy(error);
    });
    socket.once('connect', () => {
      socket.setTimeout(0);
      once(null, socket as unknown as Duplex);
    });
    socket.on('error', (error: Error) => once(error, null));
  };
}

/** A wire may have taken the global one. */
const realImmediate = setImmediate;

/** A connector to a server that has one answer for everybody, without any network. */
const nowhere: UndiciConnector = (_, callback) => {
  const socket = new Duplex({
    read() {},
    write(_chunk, _encoding, done) {
      realImmediate(() => {
        this.push('HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
        this.push(null);
      });
      done();
    },
  });
  realImmediate(() => callback(null, socket));
};

/**
 * Has an undici compile its parser, which it does in turns of the real loop when its first response is awaited: a wire's
 * clock would go on in between, and the first run of a test would not be like the second.
 */
export async function warmUp(request: (url: string, connect: UndiciConnector) => Promise<unknown>): Promise<void> {
  await request('http://0.0.0.0/', nowhere).catch(() => {});
}

const DISPATCHER = Symbol.for('undici.globalDispatcher.1');

let warm: Promise<void> | null = null;

/**
 * A dispatcher for the built-in fetch whose connections come from `connector`. Node does not export the class; an instance
 * is where fetch looks for its default.
 */
export async function dispatcherFor(
  connector: UndiciConnector,
  options: { readonly connections?: number } = {},
): Promise<{ close(): Promise<void>; destroy(): Promise<void> }> {
  // A test runner may give tests a global object of their own; fetch keeps its default in the one where it was made.
  const home = fetch.constructor('return globalThis') as () => object;
  const holder = home() as Record<symbol, { constructor: new (options: object) => never } | undefined>;
  if (holder[DISPATCHER] === undefined) await fetch('data:,').then((response) => response.text());
  const existing = holder[DISPATCHER];
  if (existing === undefined) throw new Error('this Node has no built-in fetch whose connections could be replaced');
  warm ??= warmUp(async (url, connect) => {
    const dispatcher = new existing.constructor({ connect });
    await (await fetch(url, { dispatcher } as RequestInit)).arrayBuffer();
  });
  await warm;
  return new existing.constructor({ ...options, connect: connector });
}

/** Serves the connections of a net server of ours with an http.Server of Node's own. */
export function feedServer(server: http.Server, net: Net): ReturnType<Net['createServer']> {
  const listener = net.createServer({ allowHalfOpen: true, noDelay: true } as never, (socket) => {
    server.emit('connection', socket as unknown as import('node:net').Socket);
  });
  return listener;
}
