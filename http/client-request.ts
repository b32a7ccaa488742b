import diagnostics from 'node:diagnostics_channel';
import { addAbortSignal, finished } from 'node:stream';
import { entryBegins, observers } from '../net/observed';
import { nextTick } from '../net/time';
import type { Agent, ConnectionOptions } from './agent';
import { type ClientConnection, type ClientSocket, connectionOf, emitError } from './client-connection';
import { Bare, type Constructor, inherit, methods } from './construct';
import {
  type CodedError,
  connectionReset,
  headersSent,
  invalidArgType,
  invalidHttpToken,
  invalidProtocol,
} from './errors';
import type { IncomingMessage } from './incoming';
import { OutgoingMessage } from './outgoing';
import type { HttpProfile } from './profiles';
import { checkHost, checkPath, hostField, type RequestOptions, readArguments } from './request-options';
import { uniqueHeadersOf } from './server';
import type { MessageSocket } from './transport';
import { isToken, timerDuration, validateBoolean, validateInteger } from './validators';

const requestStart = diagnostics.channel('http.client.request.start');

/** A request under way, as `http.request` gives it. */
export interface ClientRequest extends OutgoingMessage {
  agent: Agent | null | undefined;
  socketPath: string | undefined;
  timeout: number | undefined;
  method: string;
  path: string;
  host: string;
  protocol: string;
  maxHeaderSize: number | undefined;
  insecureHTTPParser: boolean | undefined;
  joinDuplicateHeaders: boolean | undefined;
  /** The response; null until it comes. */
  res: IncomingMessage | null;
  aborted: boolean;
  timeoutCb: ((this: ClientSocket) => void) | null;
  upgradeOrConnect: boolean;
  parser: ClientConnection | null;
  maxHeadersCount: number | null;
  /** The connection had served another request before. */
  reusedSocket: boolean;
  socket: ClientSocket | null;
  /** The response has ended. */
  _ended: boolean;
  _destroyedWith: Error | undefined;
  /** The profile wants 'abort' before the 'close' of a request that has no socket yet. */
  _abortsFirst: boolean;
  _abortTold: boolean;

  abort(): void;
  onSocket(socket: ClientSocket | undefined, error?: Error | null): void;
  setNoDelay(noDelay?: boolean): void;
  setSocketKeepAlive(enable?: boolean, initialDelay?: number): void;
  clearTimeout(callback?: () => void): void;
  _deferToConnect(method: string | null | undefined, args: unknown[]): void;
  /** Its response began: the request is done when that has ended. */
  _expectEnd(response: IncomingMessage): void;
  _forgetTimeout(socket: ClientSocket): void;
}

/** Where requests without an agent of their own go. */
export interface ClientEnvironment {
  readonly createConnection: (options: object) => unknown;
  readonly globalAgent: Agent;
  readonly profile: HttpProfile;
}

export type ClientRequestConstructor = Constructor<
  ClientRequest,
  [input?: unknown, options?: unknown, listener?: unknown]
>;

// ── what the constructor is made of ──

/** @throws TypeError ERR_INVALID_ARG_TYPE */
function agentFor(options: RequestOptions, defaultAgent: Agent): Agent | null | undefined {
  const agent = options.agent as Agent | false | null | undefined;
  if (agent === false) return new (defaultAgent.constructor as new () => Agent)();
  if (agent === null || agent === undefined) {
    return typeof options.createConnection === 'function' ? agent : defaultAgent;
  }
  if (typeof agent.addRequest === 'function') return agent;
  throw invalidArgType('options.agent', ['Agent-like Object', 'undefined', 'false'], agent);
}

/** @throws TypeError ERR_INVALID_ARG_TYPE, ERR_INVALID_HTTP_TOKEN */
function methodFor(method: unknown): string {
  if (method === null || method === undefined || method === '') return 'GET';
  if (typeof method !== 'string') throw invalidArgType('options.method', 'string', method);
  if (!isToken(method)) throw invalidHttpToken('Method', method);
  return method.toUpperCase();
}

/** Methods whose requests usually have no body: without a length, none is announced. */
const BODILESS = new Set(['GET', 'HEAD', 'DELETE', 'OPTIONS', 'TRACE', 'CONNECT']);

function readLimits(request: ClientRequest, options: RequestOptions): void {
  const { maxHeaderSize, insecureHTTPParser, joinDuplicateHeaders } = options;
  if (maxHeaderSize !== undefined) validateInteger(maxHeaderSize, 'maxHeaderSize', 0);
  request.maxHeaderSize = maxHeaderSize;
  if (insecureHTTPParser !== undefined) validateBoolean(insecureHTTPParser, 'options.insecureHTTPParser');
  request.insecureHTTPParser = insecureHTTPParser;
  if (joinDuplicateHeaders !== undefined) validateBoolean(joinDuplicateHeaders, 'options.joinDuplicateHeaders');
  request.joinDuplicateHeaders = joinDuplicateHeaders;
}

/** Headers as an object can still be changed; a list is sent as it is. */
function setHeaders(request: ClientRequest, options: RequestOptions, port: unknown, defaultPort: unknown): void {
  const { headers } = options;
  if (Array.isArray(headers)) {
    request._storeHeader(requestLine(request), headers);
    return;
  }
  if (headers) {
    for (const name of Object.keys(headers)) request.setHeader(name, (headers as Record<string, unknown>)[name]);
  }
  const setHost = options.setHost === undefined || Boolean(options.setHost);
  if (request.host && setHost && !request.getHeader('host')) {
    request.setHeader('Host', hostField(request.host, port, defaultPort));
  }
  if (options.auth && !request.getHeader('Authorization')) {
    request.setHeader('Authorization', `Basic ${Buffer.from(options.auth).toString('base64')}`);
  }
  if (request.getHeader('expect')) {
    if (request._header) throw headersSent('render');
    request._storeHeader(requestLine(request), request._outHeaders);
  }
}

const requestLine = (request: ClientRequest): string => `${request.method} ${request.path} HTTP/1.1\r\n`;

/** The request gets a socket of its own. */
function connectAlone(request: ClientRequest, options: RequestOptions, environment: ClientEnvironment): void {
  request._last = true;
  request.shouldKeepAlive = false;
  const connectOptions: RequestOptions = { ...options };
  // To a socket, `path` is that of a local one.
  connectOptions.path = (options.socketPath as string | undefined) ?? undefined;
  if (typeof options.createConnection !== 'function') {
    request.onSocket(environment.createConnection(connectOptions) as ClientSocket);
    return;
  }
  let created = false;
  const onCreate = (error: Error | null | undefined, socket?: unknown): void => {
    if (created) return;
    created = true;
    if (error) nextTick(emitError, request, error);
    else request.onSocket(socket as ClientSocket);
  };
  try {
    const socket = options.createConnection(connectOptions, onCreate);
    if (socket) onCreate(null, socket);
  } catch (error) {
    onCreate(error as Error);
  }
}

function initialize(request: ClientRequest, options: RequestOptions, listener: unknown, env: ClientEnvironment): void {
  const defaultAgent = (options._defaultAgent as Agent | undefined) || env.globalAgent;
  const agent = agentFor(options, defaultAgent);
  request.agent = agent;
  checkPath(options.path);
  const protocol = options.protocol || defaultAgent.protocol;
  const expected = agent?.protocol || defaultAgent.protocol;
  if (protocol !== expected) throw invalidProtocol(protocol, expected);

  const defaultPort = options.defaultPort || agent?.defaultPort;
  const connectOptions = Object.assign(new Bare(), options) as RequestOptions;
  connectOptions.port = options.port || defaultPort || 80;
  connectOptions.host = checkHost(options.hostname, 'hostname') || checkHost(options.host, 'host') || 'localhost';
  request.socketPath = options.socketPath;
  if (options.timeout !== undefined) request.timeout = timerDuration(options.timeout, 'timeout');
  if (options.signal) {
    addAbortSignal(options.signal, request as unknown as NodeJS.ReadableStream & ClientRequest);
    delete connectOptions.signal;
  }
  request.method = methodFor(options.method);
  readLimits(request, options);
  request.path = options.path || '/';
  if (listener) request.once('response', listener as (response: IncomingMessage) => void);
  request.useChunkedEncodingByDefault = !BODILESS.has(request.method);
  request.host = connectOptions.host;
  request.protocol = protocol;
  if (agent) {
    // A connection that nobody will use again is not to be kept.
    const reuses = agent.keepAlive || Number.isFinite(agent.maxSockets);
    request._last = !reuses;
    request.shouldKeepAlive = reuses;
  }
  setHeaders(request, options, connectOptions.port, defaultPort);
  request._uniqueHeaders = uniqueHeadersOf(options.uniqueHeaders);
  if (agent) agent.addRequest(request, connectOptions as ConnectionOptions);
  else connectAlone(request, connectOptions, env);
}

// ── from socket to end ──

function onSocketTick(request: ClientRequest, socket: ClientSocket | undefined, error?: Error | null): void {
  if (!request.destroyed && !error) {
    useSocket(request, socket!);
    request._flush();
    return;
  }
  request.destroyed = true;
  if (request._abortsFirst && request.aborted) emitAbort(request);
  if (!socket) {
    endUnsent(request, error || request._destroyedWith);
  } else if (!error && request.agent && !socket.destroyed) {
    // Another request can have it.
    socket.emit('free');
    endUnsent(request, request._destroyedWith);
  } else {
    socket.destroy(error || request._destroyedWith);
    finished(socket, (failure) => {
      const own = (failure as CodedError | null)?.code === 'ERR_STREAM_PREMATURE_CLOSE' ? null : failure;
      endUnsent(request, own || error);
    });
  }
}

/** The end of a request that never had a socket. */
function endUnsent(request: ClientRequest, error: Error | null | undefined): void {
  const reason = error || (request.aborted ? null : connectionReset('socket hang up'));
  if (reason) emitError(request, reason);
  request._closed = true;
  request.emit('close');
}

function useSocket(request: ClientRequest, socket: ClientSocket): void {
  request.socket = socket;
  connectionOf(socket).begin(request);
  if (request.timeout !== undefined || request.agent?.options?.timeout) listenToTimeout(request);
  request.emit('socket', socket);
}

function emitTimeout(this: ClientSocket): void {
  this._httpMessage?.emit('timeout');
}

/** While a response comes, it hears of timeouts, too. */
function emitResponseTimeout(this: ClientSocket): void {
  this._httpMessage?.res?.emit('timeout');
}

function listenToTimeout(request: ClientRequest): void {
  if (request.timeoutCb) return;
  request.timeoutCb = emitTimeout;
  if (request.socket) request.socket.once('timeout', emitTimeout);
  else request.on('socket', (socket: ClientSocket) => socket.once('timeout', emitTimeout));
}

function setSocketTimeout(socket: ClientSocket, msecs: number): void {
  if (socket.connecting) socket.once('connect', () => socket.setTimeout!(msecs));
  else socket.setTimeout!(msecs);
}

function responseEnded(this: IncomingMessage): void {
  const request = this.req as ClientRequest;
  const { socket } = request;
  if (socket) request._forgetTimeout(socket);
  request._ended = true;
  if (!request.shouldKeepAlive) {
    if (!socket!.writable) return;
    if (typeof socket!.destroySoon === 'function') socket!.destroySoon();
    else socket!.end();
  } else if (request.writableFinished && !this.aborted) {
    keepConnection(request);
  }
}

/** The whole response may come before the request is sent. */
function requestFinished(this: ClientRequest): void {
  if (this.shouldKeepAlive && this._ended) keepConnection(this);
}

/** The exchange is over and the connection can serve another one. */
function keepConnection(request: ClientRequest): void {
  const socket = request.socket!;
  if (request.timeoutCb) {
    socket.setTimeout!(0, request.timeoutCb as () => void);
    request.timeoutCb = null;
  }
  connectionOf(socket).letGo();
  // After what the application does at the response's end.
  nextTick(freeSocket, request);
  request.destroyed = true;
  // A destroyed response must not take the next exchange with it.
  if (request.res) request.res.socket = null as unknown as ClientSocket;
}

function freeSocket(request: ClientRequest): void {
  request._emitClose();
  request.socket?.emit('free');
}

function emitAbort(request: ClientRequest): void {
  if (request._abortTold) return;
  request._abortTold = true;
  request.emit('abort');
}

const requestMethods: Partial<ClientRequest> & ThisType<ClientRequest> = {
  _finish() {
    this.emit('prefinish');
    if (requestStart.hasSubscribers) requestStart.publish({ request: this });
    if (observers.http !== null) {
      const { method, protocol, host, path } = this;
      entryBegins(this, 'HttpClient', {
        req: { method, url: `${protocol}//${host}${path}`, headers: this.getHeaders() },
      });
    }
  },

  _implicitHeader() {
    if (this._header) throw headersSent('render');
    this._storeHeader(requestLine(this), this._outHeaders);
  },

  abort() {
    if (this.aborted) return;
    this.aborted = true;
    nextTick(emitAbort, this);
    this.destroy();
  },

  destroy(error?: Error) {
    if (this.destroyed) return this;
    this.destroyed = true;
    // Nobody cares for more of the response.
    this.res?._dump();
    this._destroyedWith = error;
    this.socket?.destroy(error);
    return this;
  },

  onSocket(socket: ClientSocket | undefined, error?: Error | null) {
    nextTick(onSocketTick, this, socket, error);
  },

  _expectEnd(response: IncomingMessage) {
    response.req = this;
    response.on('end', responseEnded);
    this.on('finish', requestFinished);
    this.socket!.on('timeout', emitResponseTimeout);
  },

  _forgetTimeout(socket: ClientSocket) {
    if (this.timeoutCb) socket.removeListener('timeout', this.timeoutCb);
    socket.removeListener('timeout', emitResponseTimeout);
  },

  /** Calls a method of the socket once there is one and it is connected. */
  _deferToConnect(method: string | null | undefined, args: unknown[]) {
    const call = (): void => {
      if (method) (this.socket as unknown as Record<string, (...a: unknown[]) => void>)[method]!(...args);
    };
    const onSocket = (): void => {
      if (this.socket!.writable) call();
      else this.socket!.once('connect', call);
    };
    if (this.socket) onSocket();
    else this.once('socket', onSocket);
  },

  setTimeout(msecs: number, callback?: (socket: MessageSocket) => void) {
    if (this._ended) return this;
    listenToTimeout(this);
    const duration = timerDuration(msecs, 'msecs');
    if (callback) this.once('timeout', callback as () => void);
    if (this.socket) setSocketTimeout(this.socket, duration);
    else this.once('socket', (socket: ClientSocket) => setSocketTimeout(socket, duration));
    return this;
  },

  setNoDelay(noDelay?: boolean) {
    this._deferToConnect('setNoDelay', [noDelay]);
  },

  setSocketKeepAlive(enable?: boolean, initialDelay?: number) {
    this._deferToConnect('setKeepAlive', [enable, initialDelay]);
  },

  clearTimeout(callback?: () => void) {
    this.setTimeout(0, callback);
  },
};

/** The class `http.ClientRequest` of a module: `environment` is where its requests go by default. */
export function clientRequestClass(environment: ClientEnvironment): ClientRequestConstructor {
  const ClientRequest = function (this: ClientRequest, input?: unknown, options?: unknown, listener?: unknown): void {
    (OutgoingMessage as unknown as { call(self: object): void }).call(this);
    this._ended = false;
    this.res = null;
    this.aborted = false;
    this.timeoutCb = null;
    this.upgradeOrConnect = false;
    this.parser = null;
    this.maxHeadersCount = null;
    this.reusedSocket = false;
    const [given, onResponse] = readArguments(input, options, listener);
    initialize(this, given, onResponse, environment);
  } as unknown as ClientRequestConstructor;
  inherit(ClientRequest, OutgoingMessage);
  methods(ClientRequest.prototype, requestMethods);
  const { abortBeforeClose, emptyWrites } = environment.profile;
  const defaults = { _abortsFirst: abortBeforeClose, _abortTold: false, _skipsEmptyWrites: !emptyWrites };
  Object.assign(ClientRequest.prototype, defaults);
  return ClientRequest;
}
