import diagnostics from 'node:diagnostics_channel';
import { EventEmitter } from 'node:events';
import nodeNet from 'node:net';
import { getDefaultHighWaterMark } from 'node:stream';
import { getSystemErrorName } from 'node:util';
import { isNormalized, isPath, type ListenOptions, normalizeArguments, toNumber } from './arguments';
import { type Callable, callable } from './callable';
import { defaultHost } from './default-host';
import { errnoException, invalidArgType, invalidArgValue, listenException, nodeError } from './errors';
import { type SocketName, TcpHandle } from './handle';
import type { Host } from './host';
import { type KernelHandle, KernelServerHandle } from './kernel-handle';
import { StreamOptions } from './lazy-stream';
import { lookup } from './names';
import { ServerHandle } from './server-handle';
import { sharedPort } from './shared-port';
import { Socket } from './socket';
import { nextTick } from './time';
import { validateAbortSignal, validateNumber, validatePort } from './validate';

/** What `createServer` may be told. */
export interface ServerOptions {
  allowHalfOpen?: boolean;
  pauseOnConnect?: boolean;
  noDelay?: boolean;
  keepAlive?: boolean;
  /** Milliseconds. */
  keepAliveInitialDelay?: number;
  highWaterMark?: number;
}

/** What a 'drop' event tells. */
export interface DroppedConnection {
  localAddress?: string;
  localPort?: number;
  localFamily?: string;
  remoteAddress?: string;
  remotePort?: number;
  remoteFamily?: string;
}

type CloseCallback = (error?: Error) => void;

/** The kernel rounds 511 up to a queue of 512, as Node asks it to. */
const BACKLOG = 511;

const serverSockets = diagnostics.channel('net.server.socket');
const listening = diagnostics.tracingChannel('net.server.listen');

/** A TCP server: Node's `net.Server` over a stack of ours. */
class ServerMethods extends EventEmitter {
  declare _connections: number;
  declare _handle: ServerHandle | KernelServerHandle | null;
  declare _usingWorkers: boolean;
  declare _workers: unknown[];
  declare _unref: boolean;
  declare _listeningId: number;
  declare _connectionKey: string;
  declare _pipeName: string | undefined;
  declare allowHalfOpen: boolean;
  declare pauseOnConnect: boolean;
  declare noDelay: boolean;
  declare keepAlive: boolean;
  declare keepAliveInitialDelay: number;
  declare highWaterMark: number;
  declare maxConnections: number | undefined;
  declare _stackHost: Host;
  /** The class of the sockets it hands out. */
  declare _socketClass: typeof Socket;
  declare _streamOptions: StreamOptions | null;

  // ── listening ──

  listen(...args: unknown[]): this {
    const [given, callback] = isNormalized<ListenOptions>(args[0]) ? args[0] : normalizeArguments<ListenOptions>(args);
    if (this._handle !== null) {
      throw nodeError(
        Error,
        'ERR_SERVER_ALREADY_LISTEN',
        'Listen method has been called more than once without closing.',
      );
    }
    if (listening.asyncStart.hasSubscribers) listening.asyncStart.publish({ server: this, options: given });
    if (callback !== null) this.once('listening', callback as () => void);
    const backlog = toNumber(args.length > 1 && args[1]) || toNumber(args.length > 2 && args[2]) || 0;
    const options = ((given as { _handle?: ListenOptions; handle?: ListenOptions })._handle ??
      (given as { handle?: ListenOptions }).handle ??
      given) as ListenOptions;
    this._listeningId++;
    closeOnAbort(this, options);
    if (typeof options.fd === 'number' && options.fd >= 0) {
      this._listenInKernel({ fd: options.fd }, backlog);
      return this;
    }
    const first = args[0];
    const portOmitted =
      args.length === 0 || typeof first === 'function' || (options.port === undefined && 'port' in options);
    if (portOmitted || options.port === null) options.port = 0;
    if (typeof options.port === 'number' || typeof options.port === 'string') {
      this._listenOnPort(options, validatePort(options.port, 'options.port'), options.backlog || backlog);
      return this;
    }
    if (options.path && isPath(options.path)) {
      this._pipeName = options.path;
      this._listenInKernel(options, options.backlog || backlog);
      return this;
    }
    const known = 'port' in options || 'path' in options;
    throw invalidArgValue('options', options, known ? undefined : 'must have the property "port" or "path"');
  }

  private _listenOnPort(options: ListenOptions, port: number, backlog: number): void {
    if (!options.host) return this._listenAt(options, null, port, 4, backlog);
    const id = this._listeningId;
    lookup(this._stackHost, options.host, {}, (error: Error | null, address?: unknown, family?: number) => {
      if (id !== this._listeningId) return;
      if (error) this.emit('error', error);
      else this._listenAt(options, address as string, port, family ?? 4, backlog);
    });
  }

  private _listenAt(
    options: ListenOptions,
    address: string | null,
    port: number,
    family: number,
    backlog: number,
  ): void {
    if (!options.exclusive) sharedPort.asked?.(this, { address, port, addressType: family });
    this._listen2(address, port, family, backlog, undefined, Number(options.ipv6Only === true));
  }

  /** Opens the port; the outcome is told by nextTick. Node's name for it, which some programs wrap. */
  _listen2(address: string | null, port: number, family: number, backlog: number, _fd: unknown, flags = 0): void {
    const handle = ServerHandle.listen(this._stackHost, address ?? '::', port, backlog || BACKLOG, flags !== 0);
    if (typeof handle === 'string') {
      const error = listenException(handle, address ?? '::', port);
      nextTick(() => this._listenFailed(error));
      return;
    }
    this._connectionKey = `${address === null ? 6 : family}:${address ?? '::'}:${port}`;
    this._listens(handle);
  }

  /** Unix sockets and descriptors are not the stack's business. */
  _listenInKernel(options: ListenOptions, backlog: number): void {
    const { path, fd, readableAll, writableAll } = options;
    const wanted = { path, fd, readableAll, writableAll, backlog: backlog || BACKLOG };
    const id = this._listeningId;
    const opened = (handle: KernelServerHandle): void => {
      if (id !== this._listeningId) return handle.close();
      this._connectionKey = `-1:${path ?? null}:-1`;
      this._listens(handle);
    };
    const handle = KernelServerHandle.listen(wanted, (error) => this._listenFailed(error), opened);
    if (handle !== null) opened(handle);
  }

  _listens(handle: ServerHandle | KernelServerHandle): void {
    this._handle = handle;
    if (handle instanceof ServerHandle) handle.owner = this;
    handle.onconnection = (error: number, connection: TcpHandle | KernelHandle) => {
      if (error === 0) this._accepted(connection);
    };
    if (handle instanceof KernelServerHandle) handle.ours = handle.onconnection;
    if (listening.asyncEnd.hasSubscribers) listening.asyncEnd.publish({ server: this });
    if (this._unref) this.unref();
    nextTick(() => {
      if (this._handle !== null) this.emit('listening');
    });
  }

  _listenFailed(error: Error): void {
    if (listening.error.hasSubscribers) listening.error.publish({ server: this, error });
    this.emit('error', error);
  }

  _accepted(handle: TcpHandle | KernelHandle): void {
    if (this.maxConnections && this._connections >= this.maxConnections) {
      if (handle instanceof TcpHandle) this.emit('drop', endsOf(handle));
      else this.emit('drop');
      handle.close();
      return;
    }
    const socket = new this._socketClass({
      handle,
      allowHalfOpen: this.allowHalfOpen,
      pauseOnCreate: this.pauseOnConnect,
      readableHighWaterMark: this.highWaterMark,
      writableHighWaterMark: this.highWaterMark,
      streamOptions: this._optionsFor(handle),
    });
    if (this.noDelay) socket.setNoDelay(true);
    if (this.keepAlive) socket.setKeepAlive(true, this.keepAliveInitialDelay * 1000);
    this._connections++;
    socket.server = this as unknown as Server;
    socket._server = this as unknown as Server;
    this.emit('connection', socket);
    if (serverSockets.hasSubscribers) serverSockets.publish({ socket });
  }

  /** What the stream of a socket is to be made with once somebody looks at it; null: at once. */
  _optionsFor(handle: TcpHandle | KernelHandle): StreamOptions | null {
    const { allowHalfOpen, highWaterMark } = this;
    if (!(handle instanceof TcpHandle) || this.pauseOnConnect || !Number.isInteger(highWaterMark)) return null;
    const known = this._streamOptions;
    if (known?.allowHalfOpen === allowHalfOpen && known.readableHighWaterMark === highWaterMark) return known;
    this._streamOptions = new StreamOptions(allowHalfOpen, highWaterMark, highWaterMark);
    return this._streamOptions;
  }

  get listening(): boolean {
    return this._handle !== null;
  }

  address(): SocketName | string | null {
    const name: Partial<SocketName> = {};
    if (this._handle instanceof KernelServerHandle) return this._handle.address() as SocketName | string | null;
    if (this._handle === null) return this._pipeName ?? null;
    const errno = this._handle.getsockname(name);
    if (errno !== 0) throw errnoException(getSystemErrorName(errno), 'address');
    return name as SocketName;
  }

  getConnections(callback: (error: Error | null, connections: number) => void): this {
    const connections = this._connections;
    nextTick(callback, null, connections);
    return this;
  }

  ref(): this {
    this._unref = false;
    this._handle?.ref();
    return this;
  }

  unref(): this {
    this._unref = true;
    this._handle?.unref();
    return this;
  }

  // ── closing ──

  close(callback?: CloseCallback): this {
    this._listeningId++;
    if (typeof callback === 'function') {
      if (this._handle !== null) this.once('close', callback);
      else this.once('close', () => callback(nodeError(Error, 'ERR_SERVER_NOT_RUNNING', 'Server is not running.')));
    }
    if (this._handle !== null) {
      this._handle.close();
      this._handle = null;
    }
    this._emitCloseIfDrained();
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this._handle === null) return;
    await new Promise<void>((resolve, reject) => {
      this.close((error) => (error ? reject(error) : resolve()));
    });
  }

  /** No port and no connection any more: 'close' follows. */
  _emitCloseIfDrained(): void {
    if (this._handle !== null || this._connections !== 0) return;
    nextTick(() => this.emit('close'));
  }

  override [EventEmitter.captureRejectionSymbol](error: Error, event: string | symbol, ...args: unknown[]): void {
    if (event === 'connection') (args[0] as Socket).destroy(error);
    else this.emit('error', error);
  }
}

Object.defineProperty(ServerMethods.prototype, '_stackHost', { get: defaultHost, configurable: true });
Object.defineProperty(ServerMethods.prototype, '_socketClass', { value: Socket, configurable: true, writable: true });

function endsOf(handle: TcpHandle): DroppedConnection {
  const local: Partial<SocketName> = {};
  const remote: Partial<SocketName> = {};
  handle.getsockname(local);
  handle.getpeername(remote);
  return {
    localAddress: local.address,
    localPort: local.port,
    localFamily: local.family,
    remoteAddress: remote.address,
    remotePort: remote.port,
    remoteFamily: remote.family,
  };
}

function closeOnAbort(server: ServerMethods, options: ListenOptions): void {
  const { signal } = options;
  if (signal === undefined) return;
  validateAbortSignal(signal, 'options.signal');
  const onAborted = (): void => void server.close();
  if (signal.aborted) {
    nextTick(onAborted);
    return;
  }
  signal.addEventListener('abort', onAborted, { once: true });
  server.once('close', () => signal.removeEventListener('abort', onAborted));
}

function initialize(
  self: ServerMethods,
  given?: ServerOptions | ((socket: Socket) => void),
  listener?: (socket: Socket) => void,
): void {
  (EventEmitter as unknown as { call(self: object): void }).call(self);
  const isListener = typeof given === 'function';
  if (!isListener && given != null && typeof given !== 'object') throw invalidArgType('options', 'Object', given);
  const options: ServerOptions = isListener ? {} : { ...given };
  const onConnection = isListener ? given : listener;
  if (typeof onConnection === 'function') self.on('connection', onConnection);
  if (options.keepAliveInitialDelay !== undefined) {
    validateNumber(options.keepAliveInitialDelay, 'options.keepAliveInitialDelay');
    if (options.keepAliveInitialDelay < 0) options.keepAliveInitialDelay = 0;
  }
  if (options.highWaterMark !== undefined) {
    validateNumber(options.highWaterMark, 'options.highWaterMark');
    if (options.highWaterMark < 0) options.highWaterMark = getDefaultHighWaterMark(false);
  }
  self._connections = 0;
  self._streamOptions = null;
  self._handle = null;
  self._usingWorkers = false;
  self._workers = [];
  self._unref = false;
  self._listeningId = 1;
  self.allowHalfOpen = options.allowHalfOpen || false;
  self.pauseOnConnect = !!options.pauseOnConnect;
  self.noDelay = Boolean(options.noDelay);
  self.keepAlive = Boolean(options.keepAlive);
  self.keepAliveInitialDelay = ~~(options.keepAliveInitialDelay! / 1000);
  self.highWaterMark = options.highWaterMark ?? getDefaultHighWaterMark(false);
}

/** Node's own class, even if this module takes its place later. */
const NodeServer = nodeNet.Server;

/** What derives from Node's own class, such as its TLS servers, is that class's to make. */
function makeElsewhere(self: unknown, args: unknown[]): object | null {
  if (!(self instanceof NodeServer) || self instanceof Server) return null;
  Reflect.apply(NodeServer as unknown as () => void, self, args);
  return self;
}

/** `net.Server` on the default host; modules made for another host derive theirs from it. */
export const Server: Callable<
  ServerMethods,
  [options?: ServerOptions | ((socket: Socket) => void) | null, listener?: (socket: Socket) => void]
> = callable(
  'Server',
  ServerMethods,
  EventEmitter,
  initialize as (self: ServerMethods, ...args: unknown[]) => void,
  makeElsewhere,
);
export type Server = ServerMethods;
