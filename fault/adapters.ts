import http from 'node:http';
import https from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { Duplex } from 'node:stream';
import tls from 'node:tls';
import type { Net, Socket } from '../net';
import { type DispatchTimes, type TaskClock, timedDispatcher } from './dispatcher';

/** Anything that opens a connection for a client: Node's `createConnection`. */
type Connect = (options: object, listener?: () => void) => Socket;

/** What an agent or a connector does beside connecting. */
export interface ConnectHooks {
  /** Resolves names: hosts keep theirs. Default: every name is the server's. */
  readonly lookup?: LookupFunction;
  /** Called with every socket, before it is connected. */
  readonly onSocket?: (socket: Socket) => void;
}

/**
 * Node's own http.Agent whose connections go over a net module of ours. `resolve` tells for a hostname which address is
 * meant.
 */
export function agentOver(
  net: Net,
  resolve: (host: string) => string,
  options: http.AgentOptions = {},
  hooks: ConnectHooks = {},
): http.Agent {
  const agent = new http.Agent({ keepAlive: true, ...options });
  (agent as unknown as { createConnection: Connect }).createConnection = connectOver(net, resolve, hooks);
  return agent;
}

/** The same for https: TLS is Node's own, over sockets of ours. */
export function secureAgentOver(
  net: Net,
  resolve: (host: string) => string,
  options: https.AgentOptions = {},
  hooks: ConnectHooks = {},
): https.Agent {
  const agent = new https.Agent({ keepAlive: true, ...options });
  const connect = connectOver(net, resolve, hooks);
  (agent as unknown as { createConnection(options: object): Duplex }).createConnection = (given) =>
    secureOver(connect(given), given);
  return agent;
}

function secureOver(socket: Socket, given: object): tls.TLSSocket {
  const { host, servername } = given as { host?: string; servername?: string };
  const name = servername ?? (isIP(host ?? '') === 0 ? host : '');
  const options = { ...given, socket, servername: name, path: undefined, port: undefined };
  return tls.connect(options as never);
}

/** `createConnection` over a net module of ours: for every client that takes one. */
export function connectOver(net: Net, resolve: (host: string) => string, hooks: ConnectHooks = {}): Connect {
  return (options, listener) => {
    const given = options as { host?: string; hostname?: string; port?: number | string };
    const { lookup, onSocket } = hooks;
    const name = given.hostname ?? given.host ?? 'localhost';
    const host = lookup === undefined ? resolve(name) : name;
    const made = { ...given, host, hostname: undefined, lookup, path: undefined, port: Number(given.port) };
    const socket = net.connect(made as never, listener);
    onSocket?.(socket);
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
  options: { hostname: string; port: string; protocol: string; servername?: string; timeout?: number },
  callback: (error: Error | null, socket: Duplex | null) => void,
) => void;

/** What undici's own connector may be told, and more. */
export interface ConnectorOptions extends ConnectHooks {
  /** Milliseconds until a connection must stand. Default 10,000. */
  readonly timeout?: number;
  /** Whether TCP probes idle connections. Default true. */
  readonly keepAlive?: boolean;
  /** Milliseconds of silence before the first probe. Default 60,000. */
  readonly keepAliveInitialDelay?: number;
  /** Whether all addresses of a name are tried. Default: as `net` does. */
  readonly autoSelectFamily?: boolean;
}

const CONNECT_TIMEOUT_MS = 10_000;
const PROBE_DELAY_MS = 60_000;

/** Connections for undici and built-in fetch: `new Agent({ connect: connector })`. */
export function connectorOver(
  net: Net,
  resolve: (host: string) => string,
  options: ConnectorOptions = {},
): UndiciConnector {
  const { autoSelectFamily } = options;
  const connect = connectOver(net, resolve, options);
  return (to, callback) => {
    let told = false;
    const once = (error: Error | null, made: Duplex | null): void => {
      if (told) return;
      told = true;
      callback(error, made);
    };
    const isSecure = to.protocol === 'https:';
    const port = Number(to.port || (isSecure ? 443 : 80));
    const socket = connect({ host: to.hostname, port, autoSelectFamily });
    if (options.keepAlive !== false) socket.setKeepAlive(true, options.keepAliveInitialDelay ?? PROBE_DELAY_MS);
    socket.setNoDelay(true);
    const made = isSecure ? secureOver(socket, { host: to.hostname, servername: to.servername ?? undefined }) : socket;
    let standing = false;
    const timeout = options.timeout ?? CONNECT_TIMEOUT_MS;
    socket.setTimeout(timeout, () => {
      if (standing) return;
      const tried = socket.autoSelectFamilyAttemptedAddresses;
      const where = Array.isArray(tried) ? `addresses: ${tried.join(', ')}` : `address: ${to.hostname}:${port}`;
      const text = `Connect Timeout Error (attempted ${where}, timeout: ${timeout}ms)`;
      const error = new Error(text) as NodeJS.ErrnoException;
      error.name = 'ConnectTimeoutError';
      error.code = 'UND_ERR_CONNECT_TIMEOUT';
      made.destroy(error);
    });
    made.once(isSecure ? 'secureConnect' : 'connect', () => {
      standing = true;
      socket.setTimeout(0);
      once(null, made as unknown as Duplex);
    });
    made.on('error', (error: Error) => once(error, null));
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

/** What a dispatcher may be told: as undici's Agent, where the meaning is the same. */
export interface DispatcherOptions extends DispatchTimes {
  /** How many connections there may be at once. Default: any number. */
  readonly connections?: number;
  /** How many requests may be under way on a connection. Default 1. */
  readonly pipelining?: number;
  readonly connect?: ConnectorOptions;
}

/** A dispatcher, as the built-in fetch takes it. */
export interface FetchDispatcher {
  close(): Promise<void>;
  destroy(): Promise<void>;
}

/**
 * A dispatcher for the built-in fetch whose connections come from `connector`, and whose time limits are of `clock`. Node does
 * not export the class; an instance is where fetch looks for its default.
 */
export async function dispatcherFor(
  connector: UndiciConnector,
  clock: TaskClock,
  options: DispatcherOptions = {},
): Promise<FetchDispatcher> {
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
  return timedDispatcher<FetchDispatcher>(existing.constructor, connector, clock, options);
}

/** Serves the connections of a net server of ours with an http.Server of Node's own. */
export function feedServer(server: http.Server, net: Net): ReturnType<Net['createServer']> {
  const listener = net.createServer({ allowHalfOpen: true, noDelay: true } as never, (socket) => {
    server.emit('connection', socket as unknown as import('node:net').Socket);
  });
  return listener;
}
