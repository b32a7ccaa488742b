import { EventEmitter } from 'node:events';
import type { Server as NetServer } from 'node:net';
import { promisify } from 'node:util';
import { time } from '../net/time';
import { type Constructor, inherit, methods } from './construct';
import { outOfRange } from './errors';
import { IdleList } from './idle-list';
import { IncomingMessage } from './incoming';
import { isInsecure, maxHeaderSize } from './options';
import { type HttpProfile, PROFILES } from './profiles';
import { type ReaderPool, readerPool } from './reader-pool';
import { clock, Served } from './served';
import { ServerConnection, serve } from './server-connection';
import { requestTimedOut } from './server-failure';
import { ServerResponse } from './server-response';
import { STATUS_CODES } from './status-codes';
import type { MessageSocket } from './transport';
import { validateBoolean, validateInteger, validateObject } from './validators';

/** What `createServer` takes; times in milliseconds. */
export interface ServerOptions {
  IncomingMessage?: typeof IncomingMessage;
  ServerResponse?: typeof ServerResponse;
  insecureHTTPParser?: boolean;
  maxHeaderSize?: number;
  requestTimeout?: number;
  headersTimeout?: number;
  keepAliveTimeout?: number;
  connectionsCheckingInterval?: number;
  requireHostHeader?: boolean;
  joinDuplicateHeaders?: boolean;
  rejectNonStandardBodyWrites?: boolean;
  uniqueHeaders?: Array<string | string[]>;
  noDelay?: boolean;
  keepAlive?: boolean;
  keepAliveInitialDelay?: number;
  highWaterMark?: number;
}

/** Answers a request: a server's 'request' listener. */
export type RequestListener = (request: IncomingMessage, response: ServerResponse) => void;

/** What an HTTP server is beside a server of sockets; https' shares it. */
export interface HttpServing {
  maxHeaderSize: number | undefined;
  insecureHTTPParser: boolean | undefined;
  requestTimeout: number;
  headersTimeout: number;
  keepAliveTimeout: number;
  connectionsCheckingInterval: number;
  requireHostHeader: boolean;
  joinDuplicateHeaders: boolean | undefined;
  rejectNonStandardBodyWrites: boolean;
  httpAllowHalfOpen: boolean;
  timeout: number;
  maxHeadersCount: number | null;
  maxRequestsPerSocket: number;
  _IncomingMessage: typeof IncomingMessage;
  _ServerResponse: typeof ServerResponse;
  _uniqueHeaders: Set<string> | null;
  _firstConnection: ServerConnection | null;
  _idleLists: IdleList[];
  _served: Served | null;
  _profile: HttpProfile;

  closeAllConnections(): void;
  closeIdleConnections(): void;
  setTimeout(msecs?: number, callback?: (socket: MessageSocket) => void): this;
  /** The list of connections that wait this long for their next request. */
  _waiting(duration: number): IdleList;
  _connectionGone(connection: ServerConnection): void;
}

/** Answers HTTP requests on a listening socket. */
export interface Server extends Omit<NetServer, 'close' | 'addListener' | 'on' | 'once'>, HttpServing {
  close(callback?: (error?: Error) => void): this;
  on(event: string | symbol, listener: (...args: never[]) => void): this;
  once(event: string | symbol, listener: (...args: never[]) => void): this;
}

/** The property under which Node's own servers keep the timer of their checks; `_http_server` exports it. */
export const kConnectionsCheckingInterval = Symbol('http.server.connectionsCheckingInterval');

interface Checked {
  [kConnectionsCheckingInterval]?: NodeJS.Timeout;
}

const wholeNumber = (value: number | undefined, name: string, otherwise: number): number => {
  if (value === undefined) return otherwise;
  validateInteger(value, name, 0);
  return value;
};

const yesOrNo = (value: boolean | undefined, name: string): boolean | undefined => {
  if (value !== undefined) validateBoolean(value, `options.${name}`);
  return value;
};

/** Checks the options and puts them where servers have them. @throws TypeError, RangeError */
export function storeOptions(server: HttpServing, options: ServerOptions): void {
  server._IncomingMessage = options.IncomingMessage || IncomingMessage;
  server._ServerResponse = options.ServerResponse || ServerResponse;
  if (options.maxHeaderSize !== undefined) validateInteger(options.maxHeaderSize, 'maxHeaderSize', 0);
  server.maxHeaderSize = options.maxHeaderSize;
  server.insecureHTTPParser = yesOrNo(options.insecureHTTPParser, 'insecureHTTPParser');
  server.requestTimeout = wholeNumber(options.requestTimeout, 'requestTimeout', 300_000);
  server.headersTimeout = wholeNumber(
    options.headersTimeout,
    'headersTimeout',
    Math.min(60_000, server.requestTimeout),
  );
  if (server.requestTimeout > 0 && server.headersTimeout > server.requestTimeout) {
    throw outOfRange('headersTimeout', '<= requestTimeout', options.headersTimeout);
  }
  server.keepAliveTimeout = wholeNumber(options.keepAliveTimeout, 'keepAliveTimeout', 5000);
  server.connectionsCheckingInterval = wholeNumber(
    options.connectionsCheckingInterval,
    'connectionsCheckingInterval',
    30_000,
  );
  server.requireHostHeader = yesOrNo(options.requireHostHeader, 'requireHostHeader') ?? true;
  server.joinDuplicateHeaders = yesOrNo(options.joinDuplicateHeaders, 'joinDuplicateHeaders');
  server.rejectNonStandardBodyWrites =
    yesOrNo(options.rejectNonStandardBodyWrites, 'rejectNonStandardBodyWrites') ?? false;
}

/** Names of headers whose several values are sent in one line. */
export const uniqueHeadersOf = (list: Array<string | string[]> | undefined): Set<string> | null =>
  Array.isArray(list) ? new Set(list.map((name) => String(name).toLowerCase())) : null;

/** What a server becomes beside a server of sockets; for constructors. */
export function initializeServing(
  server: HttpServing,
  options: ServerOptions,
  listener: unknown,
  profile: HttpProfile,
): void {
  const events = server as unknown as EventEmitter;
  if (listener) events.on('request', listener as (...args: unknown[]) => void);
  server.httpAllowHalfOpen = false;
  server._firstConnection = null;
  server._idleLists = [];
  server._served = null;
  server.timeout = profile.serverTimeout;
  server._profile = profile;
  server.maxHeadersCount = null;
  server.maxRequestsPerSocket = 0;
  server._uniqueHeaders = uniqueHeadersOf(options.uniqueHeaders);
}

/** Looks after messages that take too long, from `listen` to `close`. */
export function beginChecking(this: HttpServing & Checked): void {
  const running = this[kConnectionsCheckingInterval];
  if (running) time.clearInterval(running);
  this[kConnectionsCheckingInterval] = time.setInterval(() => check(this), this.connectionsCheckingInterval).unref();
}

/** What `close` does before it closes the listening socket. */
export function beforeClose(server: HttpServing): void {
  server.closeIdleConnections();
  time.clearInterval((server as Checked)[kConnectionsCheckingInterval]);
}

function check(server: HttpServing): void {
  if (server.headersTimeout === 0 && server.requestTimeout === 0) return;
  const now = clock();
  for (const connection of connectionsOf(server)) {
    if (!connection.expired(now, server.headersTimeout, server.requestTimeout)) continue;
    // Told once.
    connection.messageStart = 0;
    if (server._profile.headersTimeoutEvent) (server as unknown as EventEmitter).emit('timeout', connection.socket);
    requestTimedOut(connection.socket);
  }
}

/** A copy of the list: what is done to one may remove others. */
function connectionsOf(server: HttpServing): ServerConnection[] {
  const all: ServerConnection[] = [];
  // A server that is not one of ours, such as http2's, has none until it serves one.
  for (let c = server._firstConnection ?? null; c !== null; c = c.next) all.push(c);
  return all;
}

/** Under what Node's servers keep the classes of their messages: those that others made are asked. A drop-in knows it. */
export const classKeys: { message: PropertyKey; response: PropertyKey } = {
  message: '_IncomingMessage',
  response: '_ServerResponse',
};

/** Makes a server of somebody else's, such as http2's that speaks HTTP/1 too, one that can serve; it keeps what it has. */
function adopt(server: HttpServing): void {
  const own = server as unknown as Record<string, unknown>;
  own['_IncomingMessage'] = own[classKeys.message as string] ?? own['_IncomingMessage'];
  own['_ServerResponse'] = own[classKeys.response as string] ?? own['_ServerResponse'];
  const ready = {} as HttpServing;
  initializeServing(ready, {}, undefined, PROFILES.node20);
  storeOptions(ready, { requestTimeout: server.requestTimeout, headersTimeout: server.headersTimeout });
  for (const [name, value] of Object.entries({ ...servingMethods, ...ready })) own[name] ??= value;
}

/** What this connection shares with the one before it, unless the server's options have changed since. */
function sharedBy(server: Server, { write }: MessageSocket, pool: ReaderPool, headersMax: number): Served {
  const last = server._served;
  if (last?.server === server && last.pool === pool && last.headersMax === headersMax && last.write === write)
    return last;
  server._served = new Served(server, pool, headersMax, write);
  return server._served;
}

/** The 'connection' listener: `http._connectionListener`. Any Duplex can be served. */
export function connectionListener(this: Server, socket: MessageSocket): void {
  if (this._profile === undefined) adopt(this);
  socket.server = this;
  if (this.timeout && typeof socket.setTimeout === 'function') socket.setTimeout(this.timeout);
  const pool = readerPool('request', this.maxHeaderSize || maxHeaderSize, isInsecure(this.insecureHTTPParser));
  const headersMax = typeof this.maxHeadersCount === 'number' ? this.maxHeadersCount : 1000;
  const connection = new ServerConnection(sharedBy(this, socket, pool, headersMax), socket);
  connection.next = this._firstConnection ?? null;
  if (connection.next !== null) connection.next.previous = connection;
  this._firstConnection = connection;
  serve(connection);
}

/** The methods of HTTP servers, over whatever server of sockets. */
export const servingMethods: Partial<HttpServing> & ThisType<HttpServing & EventEmitter> = {
  closeAllConnections() {
    for (const connection of connectionsOf(this)) connection.socket.destroy();
  },

  closeIdleConnections() {
    for (const connection of connectionsOf(this)) {
      if (!connection.isIdle) continue;
      const response = connection.socket._httpMessage as ServerResponse | null | undefined;
      if (!response || response.finished) connection.socket.destroy();
    }
  },

  setTimeout(msecs?: number, callback?: (socket: MessageSocket) => void) {
    this.timeout = msecs === undefined && this._profile.serverTimeout > 0 ? this._profile.serverTimeout : msecs!;
    if (callback) this.on('timeout', callback);
    return this;
  },

  _waiting(duration: number) {
    for (const list of this._idleLists) if (list.duration === duration) return list;
    const list = new IdleList(duration);
    this._idleLists.push(list);
    return list;
  },

  _connectionGone(connection: ServerConnection) {
    const { previous, next } = connection;
    if (previous !== null) previous.next = next;
    else if (this._firstConnection === connection) this._firstConnection = next;
    if (next !== null) next.previous = previous;
    connection.previous = connection.next = null;
  },
};

/** A listener that is async and fails: what its request is told. Other events: what the server of sockets does. */
export function answerRejection(
  this: HttpServing,
  base: (...args: unknown[]) => void,
  error: Error,
  event: string,
  ...args: unknown[]
): void {
  if (event !== 'request') {
    base.call(this, error, event, ...args);
    return;
  }
  const response = args[1] as ServerResponse;
  if (response.headersSent || response.writableEnded) {
    response.destroy();
    return;
  }
  // What the handler meant to send with a success may not fit a failure.
  for (const name of response.getHeaderNames()) response.removeHeader(name);
  response.statusCode = 500;
  response.end(STATUS_CODES[500]);
}

export type ServerConstructor = Constructor<Server, [options?: unknown, listener?: unknown]>;

/** The class `http.Server` over a net module's `Server`. */
export function serverClass(Base: typeof NetServer, profile: HttpProfile): ServerConstructor {
  const base = Base as unknown as { call(self: object, options: object): void; prototype: NetServer };
  const Server = function (this: Server, options?: unknown, listener?: unknown): unknown {
    if (!(this instanceof Server)) return new Server(options, listener);
    if (typeof options === 'function') {
      listener = options;
      options = {};
    } else if (options == null) {
      options = {};
    } else {
      validateObject(options, 'options');
    }
    const given = options as ServerOptions;
    storeOptions(this, given);
    const { keepAlive, keepAliveInitialDelay, highWaterMark } = given;
    const noDelay = given.noDelay ?? true;
    base.call(this, { allowHalfOpen: true, noDelay, keepAlive, keepAliveInitialDelay, highWaterMark });
    initializeServing(this, given, listener, profile);
    this.on('connection', connectionListener as (...args: never[]) => void);
    this.on('listening', beginChecking as (...args: never[]) => void);
    return undefined;
  } as unknown as ServerConstructor;
  inherit(Server, Base);
  Object.assign(Server.prototype, servingMethods);
  methods(Server.prototype, {
    close(...args: unknown[]) {
      beforeClose(this);
      Reflect.apply(base.prototype.close, this, args);
      return this;
    },
  });
  const baseRejection = (base.prototype as unknown as Record<symbol, (...args: unknown[]) => void>)[
    EventEmitter.captureRejectionSymbol
  ]!;
  const symbols = Server.prototype as unknown as Record<symbol, unknown>;
  symbols[EventEmitter.captureRejectionSymbol] = function (this: Server, error: Error, event: string, ...a: unknown[]) {
    answerRejection.call(this, baseRejection, error, event, ...a);
  };
  symbols[Symbol.asyncDispose] = async function (this: Server): Promise<void> {
    await promisify(this.close as (callback: (error?: Error) => void) => void).call(this);
  };
  return Server;
}
