import diagnostics from 'node:diagnostics_channel';
import { EventEmitter } from 'node:events';
import nodeNet from 'node:net';
import { Duplex, type DuplexOptions } from 'node:stream';
import { commit, reserve, send } from '../stack/tcp/calls';
import { type ConnectOptions, isNormalized, normalizeArguments } from './arguments';
import { type Callable, callable } from './callable';
import { beginConnect, type ConnectAttempt, connectFinished } from './connect';
import { defaultHost } from './default-host';
import type { DirectConsumer } from './direct';
import { errnoException, invalidArgValue, nodeError, noticedException } from './errors';
import { type HandleOwner, type SocketName, TcpHandle } from './handle';
import type { Host } from './host';
import { IdleTimer } from './idle-timer';
import { KernelHandle } from './kernel-handle';
import { defineLazyStream, type LazyStream, newEvents, type StreamOptions } from './lazy-stream';
import { WRITES_ARE_CANCELED } from './running-node';
import type { Server } from './server';
import { timerDuration, validateAbortSignal, validateFunction, validateNumber } from './validate';

/** The `onread` option: text is put into memory of the caller's choice. */
export interface OnReadOptions {
  buffer: Uint8Array | (() => Uint8Array);
  /** False pauses the socket. */
  callback(bytes: number, buffer: Uint8Array): boolean | undefined;
}

/** What `new Socket` may be told, beside the options of a Duplex. */
export interface SocketOptions extends DuplexOptions {
  fd?: number;
  handle?: TcpHandle | KernelHandle;
  /** False: nothing will be read. */
  readable?: boolean;
  pauseOnCreate?: boolean;
  manualStart?: boolean;
  noDelay?: boolean;
  keepAlive?: boolean;
  /** Milliseconds. */
  keepAliveInitialDelay?: number;
  onread?: OnReadOptions | null;
  signal?: AbortSignal;
  /** Of a server's own sockets: the stream is made with these when it is first looked at. */
  streamOptions?: StreamOptions | null;
}

/** Whatever a listener takes: the events decide. */
// biome-ignore lint/suspicious/noExplicitAny: EventEmitter's own listener type
type Listener = (...args: any[]) => void;
type WriteCallback = (error?: Error | null) => void;
type Chunks = Array<{ chunk: Uint8Array | string; encoding: BufferEncoding }> & { allBuffers?: boolean };

const bytesOf = (chunk: Uint8Array | string, encoding: string): Uint8Array =>
  typeof chunk === 'string' ? Buffer.from(chunk, encoding as BufferEncoding) : chunk;

const lengthOf = (chunk: Uint8Array | string, encoding?: string): number =>
  typeof chunk === 'string' ? Buffer.byteLength(chunk, encoding as BufferEncoding) : chunk.length;

const clientSockets = diagnostics.channel('net.client.socket');

/**
 * A TCP connection as a Duplex: Node's `net.Socket` over a stack of ours. What the class holds are its methods; `Socket`
 * below is the constructor.
 */
class SocketMethods extends Duplex implements HandleOwner {
  // Set by `initialize`; `declare` because no constructor of this class ever runs.
  declare connecting: boolean;
  declare timeout: number | undefined;
  declare server: Server | null;
  declare _server: Server | null;
  declare _handle: TcpHandle | KernelHandle | null;
  declare _hadError: boolean;
  declare _parent: SocketMethods | null;
  declare _host: string | null;
  declare _sockname: Partial<SocketName> | null;
  declare _peername: Partial<SocketName> | null;
  declare _pendingData: Uint8Array | string | Chunks | null;
  declare _pendingEncoding: string;
  declare _closeAfterHandlingError: boolean;
  declare _aborted: boolean | undefined;
  declare resetAndClosing: boolean | undefined;
  declare autoSelectFamilyAttemptedAddresses: string[] | undefined;
  /** The host that the socket connects on; a module made for a host sets it on its prototype. */
  declare _stackHost: Host;
  declare _attempt: ConnectAttempt | null;
  declare _idle: IdleTimer | null;
  declare _direct: DirectConsumer | null;
  declare _streamOptions: StreamOptions | null;
  declare _readState: unknown;
  declare _writeState: unknown;
  declare _wroteLast: number;
  declare _noDelay: boolean;
  declare _keepAlive: boolean;
  declare _keepAliveDelay: number;
  declare _onread: OnReadOptions | null;
  declare _userBuffer: Uint8Array | null;
  declare _readBefore: number;
  declare _writtenBefore: number;

  // ── names, counts and states ──

  address(): Partial<SocketName> {
    return this._getsockname();
  }

  get localAddress(): string | undefined {
    return this._getsockname().address;
  }
  get localPort(): number | undefined {
    return this._getsockname().port;
  }
  get localFamily(): string | undefined {
    return this._getsockname().family;
  }
  get remoteAddress(): string | undefined {
    return this._getpeername().address;
  }
  get remotePort(): number | undefined {
    return this._getpeername().port;
  }
  get remoteFamily(): string | undefined {
    return this._getpeername().family;
  }

  _getsockname(): Partial<SocketName> {
    const handle = this._handle;
    if (!(handle instanceof TcpHandle)) return {};
    if (this._sockname === null) {
      this._sockname = {};
      handle.getsockname(this._sockname);
    }
    return this._sockname;
  }

  _getpeername(): Partial<SocketName> {
    const handle = this._handle;
    if (!(handle instanceof TcpHandle) || this.connecting) return this._peername ?? {};
    if (this._peername === null) {
      const name: Partial<SocketName> = {};
      if (handle.getpeername(name) !== 0) return name;
      this._peername = name;
    }
    return this._peername;
  }

  get bytesRead(): number {
    return this._handle ? this._handle.bytesRead : this._readBefore;
  }

  get _bytesDispatched(): number {
    return this._handle ? this._handle.bytesWritten : this._writtenBefore;
  }

  /** Bytes sent or waiting to be, in the stream's buffers too. */
  get bytesWritten(): number {
    let bytes = this._bytesDispatched;
    const buffered = (this as unknown as { writableBuffer?: Chunks }).writableBuffer;
    if (!buffered) return undefined as unknown as number;
    for (const { chunk, encoding } of buffered) bytes += lengthOf(chunk, encoding);
    const pending = this._pendingData;
    if (Array.isArray(pending)) {
      for (const entry of pending as Chunks) bytes += lengthOf(entry.chunk, entry.encoding);
    } else if (pending) {
      bytes += lengthOf(pending as Uint8Array | string, this._pendingEncoding);
    }
    return bytes;
  }

  get bufferSize(): number | undefined {
    return this._handle ? this.writableLength : undefined;
  }

  get _connecting(): boolean {
    return this.connecting;
  }

  get pending(): boolean {
    return !this._handle || this.connecting;
  }

  get readyState(): 'opening' | 'open' | 'readOnly' | 'writeOnly' | 'closed' {
    if (this.connecting) return 'opening';
    if (this.readable) return this.writable ? 'open' : 'readOnly';
    return this.writable ? 'writeOnly' : 'closed';
  }

  // ── options ──

  setNoDelay(enable?: boolean): this {
    const on = enable === undefined ? true : Boolean(enable);
    const changed = on !== this._noDelay;
    this._noDelay = on;
    if (changed) (this._handle as TcpHandle | null)?.setNoDelay?.(on);
    return this;
  }

  /** @param initialDelay milliseconds of silence before the first probe; whole seconds count. */
  setKeepAlive(enable?: boolean, initialDelay?: number): this {
    const on = Boolean(enable);
    const delay = ~~(initialDelay! / 1000);
    const changed = on !== this._keepAlive || (on && delay !== this._keepAliveDelay);
    this._keepAlive = on;
    this._keepAliveDelay = delay;
    if (changed) (this._handle as TcpHandle | null)?.setKeepAlive?.(on, delay);
    return this;
  }

  setTimeout(msecs: number, callback?: () => void): this {
    if (this.destroyed) return this;
    this.timeout = msecs;
    const duration = timerDuration(msecs, 'msecs');
    this._idle?.cancel();
    this._idle = null;
    if (duration === 0) {
      if (callback !== undefined) {
        validateFunction(callback, 'callback');
        this.removeListener('timeout', callback);
      }
      return this;
    }
    this._idle = new IdleTimer(this._stackHost.loop, duration, () => this._onTimeout());
    if (callback !== undefined) {
      validateFunction(callback, 'callback');
      this.once('timeout', callback);
    }
    return this;
  }

  _unrefTimer(): void {
    for (let s: SocketMethods | null = this; s !== null; s = s._parent) s._idle?.activity();
  }

  _onTimeout(): void {
    const handle = this._handle;
    // A long write that moves on is activity.
    if (this._wroteLast > 0 && handle !== null && this._wroteLast !== handle.writeQueueSize) {
      this._wroteLast = handle.writeQueueSize;
      this._unrefTimer();
      return;
    }
    this.emit('timeout');
  }

  ref(): this {
    if (this._handle === null) this.once('connect', this.ref);
    else this._handle.ref?.();
    return this;
  }

  unref(): this {
    if (this._handle === null) this.once('connect', this.unref);
    else this._handle.unref?.();
    return this;
  }

  // ── connecting ──

  connect(...args: unknown[]): this {
    const [options, callback] = isNormalized<ConnectOptions>(args[0])
      ? args[0]
      : normalizeArguments<ConnectOptions>(args);
    if (callback !== null) this.once('connect', callback as () => void);
    if (this._parent?.connecting) return this;
    if (options.port === undefined && options.path == null) {
      throw nodeError(TypeError, 'ERR_MISSING_ARGS', 'The "options" or "port" or "path" argument must be specified');
    }
    // A socket may be used again: the peer's FIN had replaced write().
    if (this.write !== SocketMethods.prototype.write) this.write = SocketMethods.prototype.write;
    if (this.destroyed) {
      this._handle = null;
      this._peername = null;
      this._sockname = null;
    }
    if (this._handle === null) adopt(this, new TcpHandle(this._stackHost));
    this._unrefTimer();
    this.connecting = true;
    beginConnect(this as unknown as Socket, options);
    return this;
  }

  handleConnected(handle: object, code: string | null): void {
    connectFinished(this as unknown as Socket, handle, code, handle instanceof KernelHandle ? handle.path : undefined);
  }

  /** The handle is connected: what was asked of it before is done now. */
  _opened(): void {
    this.connecting = false;
    this._sockname = null;
    this._unrefTimer();
    const tcp = this._handle as Partial<TcpHandle>;
    if (this._noDelay) tcp.setNoDelay?.(true);
    if (this._keepAlive) tcp.setKeepAlive?.(true, this._keepAliveDelay);
    this.emit('connect');
    this.emit('ready');
    if (this._handle === null) return;
    if (this._direct !== null) this._handle.readStart();
    else if (!this.isPaused()) Duplex.prototype.read.call(this, 0);
  }

  // ── reading ──

  override _read(n: number): void {
    if (this.connecting || this._handle === null) this.once('connect', () => this._read(n));
    else if (!this._handle.reading) this._handle.readStart?.();
  }

  override read(n?: number): unknown {
    if (this._direct !== null) {
      // The stream's own machinery asks when it flows; anybody else wants the socket as a stream.
      if (n === 0 || this.readableFlowing) return null;
      this.detachDirect();
    }
    this._restartReading();
    return super.read(n);
  }

  override isPaused(): boolean {
    return this._streamOptions ? false : super.isPaused();
  }

  override push(chunk: unknown, encoding?: BufferEncoding): boolean {
    // Somebody puts text into the stream himself: it goes where the rest of it goes.
    if (this._direct !== null && chunk !== null) this.detachDirect();
    return super.push(chunk, encoding);
  }

  override pause(): this {
    const handle = this._handle;
    if (this._bypassesStream && !this.connecting && handle?.reading) handle.readStop();
    return super.pause();
  }

  override resume(): this {
    this._restartReading();
    return super.resume();
  }

  /** Text does not go through the stream, so its calls have to start and stop the flow themselves. */
  get _bypassesStream(): boolean {
    return this._onread !== null || this._direct !== null;
  }

  _restartReading(): void {
    const handle = this._handle;
    if (this._bypassesStream && !this.connecting && handle !== null && !handle.reading) handle.readStart();
  }

  // Node's HTTP server puts these on secured sockets, too, which know no direct way.
  override on(event: string | symbol, listener: Listener): this {
    // All others are no concern of the stream's.
    if (event !== 'data' && event !== 'readable') return EventEmitter.prototype.on.call(this, event, listener) as this;
    if (this._direct) this.detachDirect();
    return super.on(event, listener);
  }

  override addListener(event: string | symbol, listener: Listener): this {
    return this.on(event, listener);
  }

  override prependListener(event: string | symbol, listener: Listener): this {
    if (this._direct && (event === 'data' || event === 'readable')) this.detachDirect();
    return super.prependListener(event, listener);
  }

  handleActive(): void {
    this._unrefTimer();
  }

  handleText(chunk: Buffer): boolean {
    return this.destroyed ? true : this.push(chunk);
  }

  handleFilled(bytes: number): boolean {
    const { callback, buffer } = this._onread!;
    const more = Reflect.apply(callback, this, [bytes, this._userBuffer!]) !== false;
    if (typeof buffer === 'function') useUserBuffer(this, buffer());
    return more;
  }

  handleEnd(): void {
    if ((this as unknown as { _readableState: { endEmitted: boolean } })._readableState.endEmitted) return;
    this.push(null);
    Duplex.prototype.read.call(this, 0);
  }

  handleFailed(code: string, syscall = 'read'): void {
    this.destroy(noticedException(code, syscall));
  }

  handleAbandoned(): void {
    this.destroy();
  }

  // ── writing ──

  override _write(data: Uint8Array | string, encoding: string, callback: WriteCallback): void {
    this._writeGeneric(false, data, encoding, callback);
  }

  override _writev(chunks: Chunks, callback: WriteCallback): void {
    this._writeGeneric(true, chunks, '', callback);
  }

  _writeGeneric(several: boolean, data: Uint8Array | string | Chunks, encoding: string, callback: WriteCallback): void {
    if (this.connecting) {
      this._pendingData = data;
      this._pendingEncoding = encoding;
      const onClose = (): void => callback(closedBeforeConnection());
      this.once('connect', () => {
        this.off('close', onClose);
        this._writeGeneric(several, data, encoding, callback);
      });
      this.once('close', onClose);
      return;
    }
    this._pendingData = null;
    this._pendingEncoding = '';
    const handle = this._handle;
    if (handle === null) return callback(nodeError(Error, 'ERR_SOCKET_CLOSED', 'Socket is closed'));
    if (encoding === 'buffer' && typeof data === 'string') {
      throw nodeError(TypeError, 'ERR_INVALID_ARG_TYPE', 'Second argument must be a buffer');
    }
    this._unrefTimer();
    const chunks = several
      ? (data as Chunks).map((entry) => bytesOf(entry.chunk, entry.encoding))
      : [bytesOf(data as Uint8Array | string, encoding)];
    const outcome = handle.write(chunks, (code) => this._written(code, callback));
    if (outcome === true) callback();
    // All of it, as in Node: that some fitted at once already counts as progress.
    else if (outcome === false) this._wroteLast = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    else callback(errnoException(outcome, 'write'));
  }

  /** A write that had to wait is done. */
  _written(code: string | null, callback: WriteCallback): void {
    if (code !== null && (WRITES_ARE_CANCELED || !this.destroyed)) return callback(errnoException(code, 'write'));
    if (this.destroyed) return callback(null);
    this._unrefTimer();
    this._wroteLast = 0;
    callback(null);
  }

  override _final(callback: WriteCallback): void {
    if (this.pending) {
      this.once('connect', () => this._final(callback));
      return;
    }
    this._handle!.shutdown(() => callback());
  }

  override end(...args: unknown[]): this {
    Reflect.apply(super.end, this, args);
    return this;
  }

  // ── the direct way (net/direct.ts) ──

  /**
   * Text goes to `consumer` in place instead of the stream. False when streaming already began, or when this socket is
   * not one of our stack.
   */
  attachDirect(consumer: DirectConsumer): boolean {
    const flowing =
      this.readableFlowing === true || this.listenerCount('data') > 0 || this.listenerCount('readable') > 0;
    if (this.destroyed || flowing || this.readableLength > 0 || this.readableEnded || this._onread !== null)
      return false;
    if (!(this._handle instanceof TcpHandle) || this.readableEncoding !== null) return false;
    this._direct = consumer;
    this._handle.direct = consumer;
    if (!this.connecting && !this.isPaused()) this._handle.readStart();
    return true;
  }

  /** From now on text goes to the stream. */
  detachDirect(): void {
    const consumer = this._direct;
    if (consumer === null) return;
    this._direct = null;
    if (this._handle instanceof TcpHandle) {
      this._handle.direct = null;
      // What the consumer held back is pushed now, until the stream says no.
      if (!this.connecting && !this.isPaused()) this._handle.readStart();
    }
    consumer.onDetached?.();
  }

  /** The consumer takes text again; what was held comes in a later call of onText. */
  resumeDirect(): void {
    if (this._direct !== null && this._handle !== null && !this.connecting) this._handle.readStart();
  }

  /** Bytes may go straight to the send buffer: nothing else of this socket's waits before them. */
  get directWritable(): boolean {
    const c = this._handle === null || this.connecting ? null : this._handle.connection;
    if (this._direct === null || c === null || c.finQueued || c.state === 'CLOSED') return false;
    return this.writableLength === 0 && this.writableCorked === 0 && !this.writableEnded;
  }

  /** Contiguous room for `wanted` bytes in the send buffer, at directMemory[directAt]. When there is none, onRoom follows. */
  directReserve(wanted: number): boolean {
    const c = this._handle!.connection!;
    if (reserve(c, wanted)) return true;
    c.wantsRoom = true;
    return false;
  }

  get directMemory(): Uint8Array {
    return this._handle!.connection!.sendBuffer.tailMemory;
  }

  get directAt(): number {
    return this._handle!.connection!.sendBuffer.tailAt;
  }

  /** `n` bytes were written where directReserve said. */
  directCommit(n: number): void {
    const handle = this._handle as TcpHandle;
    commit(handle.host.stack.tcp, handle.connection!, n);
    this._sentDirectly(handle, n);
  }

  /** Copies bytes into the send buffer and returns how many; onRoom follows when that is fewer than `n`. */
  directSend(bytes: Uint8Array, at: number, n: number): number {
    const handle = this._handle as TcpHandle;
    const taken = send(handle.host.stack.tcp, handle.connection!, bytes, at, n);
    if (taken > 0) this._sentDirectly(handle, taken);
    return taken;
  }

  _sentDirectly(handle: TcpHandle, n: number): void {
    handle.bytesWritten += n;
    this._unrefTimer();
    handle.host.schedule();
  }

  // ── closing ──

  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once('finish', this.destroy);
  }

  /** Closes with a RST instead of a FIN. */
  resetAndDestroy(): this {
    if (this._handle === null) this.destroy(nodeError(Error, 'ERR_SOCKET_CLOSED', 'Socket is closed'));
    else if (!(this._handle instanceof TcpHandle)) {
      throw nodeError(TypeError, 'ERR_INVALID_HANDLE_TYPE', 'This handle type cannot be sent');
    } else if (this.connecting) this.once('connect', () => this._reset());
    else this._reset();
    return this;
  }

  _reset(): this {
    this.resetAndClosing = true;
    return this.destroy();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.connecting = false;
    for (let s: SocketMethods | null = this; s !== null; s = s._parent) {
      s._idle?.cancel();
      s._idle = null;
    }
    this._attempt?.cancel();
    this._attempt = null;
    const direct = this._direct;
    this._direct = null;
    // Just before the socket's own 'error', which comes by nextTick as well.
    if (error && direct !== null) process.nextTick(() => direct.onError(error));
    const handle = this._handle;
    if (handle === null) {
      callback(error);
      process.nextTick(() => this.emit('close'));
    } else {
      this._readBefore = handle.bytesRead;
      this._writtenBefore = handle.bytesWritten;
      const emitClose = (): void => void this.emit('close', Boolean(error));
      if (this.resetAndClosing) {
        this.resetAndClosing = false;
        (handle as TcpHandle).reset(emitClose);
      } else {
        handle.close(emitClose);
      }
      this._handle = null;
      this._sockname = null;
      callback(error);
    }
    if (this._server !== null) {
      this._server._connections--;
      this._server._emitCloseIfDrained?.();
    }
  }
}

Object.defineProperty(SocketMethods.prototype, '_stackHost', {
  get: defaultHost,
  set(this: object, value: Host) {
    Object.defineProperty(this, '_stackHost', { value, writable: true, configurable: true, enumerable: false });
  },
  configurable: true,
});

defineLazyStream(SocketMethods.prototype as unknown as LazyStream);

const closedBeforeConnection = (): Error =>
  nodeError(Error, 'ERR_SOCKET_CLOSED_BEFORE_CONNECTION', 'Socket closed before the connection was established');

/** Makes `handle` the socket's: for a new connection, or a further attempt at one. */
export function adopt(socket: SocketMethods, handle: TcpHandle | KernelHandle): void {
  if (!socket._streamOptions) (socket as unknown as { _undestroy(): void })._undestroy();
  socket._sockname = null;
  socket._handle = handle;
  handle.owner = socket;
  if (handle instanceof TcpHandle) handle.direct = socket._direct;
  if (socket._onread !== null) {
    const { buffer } = socket._onread;
    useUserBuffer(socket, typeof buffer === 'function' ? buffer() : buffer);
  }
}

function useUserBuffer(socket: SocketMethods, buffer: unknown): void {
  if (!(buffer instanceof Uint8Array)) return;
  socket._userBuffer = buffer;
  if (socket._handle !== null) socket._handle.userBuffer = buffer;
}

/** The peer has ended, and so did we: an error that says whose doing it is, instead of "write after end". */
function writeAfterFin(this: SocketMethods, ...args: unknown[]): boolean {
  if (!this.writableEnded) return Reflect.apply(Duplex.prototype.write, this, args);
  const callback = typeof args[1] === 'function' ? args[1] : args[2];
  const error = Object.assign(new Error('This socket has been ended by the other party'), { code: 'EPIPE' });
  if (typeof callback === 'function') process.nextTick(callback, error);
  this.destroy(error);
  return false;
}

function onReadableEnd(this: SocketMethods): void {
  if (!this.allowHalfOpen) this.write = writeAfterFin as SocketMethods['write'];
}

function checkOptions(options: SocketOptions): void {
  for (const name of ['objectMode', 'readableObjectMode', 'writableObjectMode'] as const) {
    if (options[name]) throw invalidArgValue(`options.${name}`, options[name], 'is not supported');
  }
  if (options.keepAliveInitialDelay !== undefined) {
    validateNumber(options.keepAliveInitialDelay, 'options.keepAliveInitialDelay');
    if (options.keepAliveInitialDelay < 0) options.keepAliveInitialDelay = 0;
  }
}

/** Node's own class, even if this module takes its place later. */
const NodeSocket = nodeNet.Socket;

/**
 * Descriptors and handles of the kernel's (standard input and output, child processes) are for Node's own class: it makes
 * the object, or goes on with the one that a class derived from it began.
 */
function makeElsewhere(self: unknown, [options]: [options?: SocketOptions | number]): object | null {
  // Asked of the prototypes: a drop-in's `instanceof` counts secured sockets of Node's among ours.
  if (self instanceof NodeSocket && !Object.prototype.isPrototypeOf.call(Socket.prototype, self)) {
    Reflect.apply(NodeSocket as unknown as () => void, self, [options]);
    return self;
  }
  const fd = typeof options === 'number' ? options : options?.fd;
  const handle = typeof options === 'object' ? options?.handle : undefined;
  const foreign = fd !== undefined || (handle != null && !(handle instanceof TcpHandle) && 'getProviderType' in handle);
  return foreign ? new NodeSocket(options as nodeNet.SocketConstructorOpts) : null;
}

const isOnRead = (onread: OnReadOptions | null | undefined): onread is OnReadOptions =>
  onread != null &&
  typeof onread === 'object' &&
  (onread.buffer instanceof Uint8Array || typeof onread.buffer === 'function') &&
  typeof onread.callback === 'function';

function initialize(self: SocketMethods, given?: SocketOptions | number): void {
  const lazy = (given as SocketOptions | undefined)?.streamOptions ?? null;
  // What a server gives is its own, and in order.
  const options: SocketOptions = lazy === null ? { ...(given as SocketOptions) } : (given as SocketOptions);
  if (lazy === null) checkOptions(options);
  self.connecting = false;
  self._hadError = false;
  self._handle = null;
  self._parent = null;
  self._host = null;
  self._sockname = null;
  self._peername = null;
  self._pendingData = null;
  self._pendingEncoding = '';
  self._closeAfterHandlingError = false;
  self._attempt = null;
  self._idle = null;
  self._direct = null;
  self._wroteLast = 0;
  self._noDelay = Boolean(options.noDelay);
  self._keepAlive = Boolean(options.keepAlive);
  self._keepAliveDelay = ~~(options.keepAliveInitialDelay! / 1000);
  self._onread = isOnRead(options.onread) ? options.onread : null;
  self._userBuffer = null;
  self._readBefore = 0;
  self._writtenBefore = 0;
  self._streamOptions = lazy;
  self._readState = undefined;
  self._writeState = undefined;
  if (lazy === null) beginStream(self, options);
  else beginLazily(self, lazy);
  self.on('end', onReadableEnd);
  self.server = null;
  self._server = null;
  if (options.signal) watchAbort(self, options.signal);
  if (options.handle) {
    adopt(self, options.handle);
    const { host } = options.handle;
    if (host !== undefined && self._stackHost !== host) self._stackHost = host;
    startReading(self, options);
  }
}

function beginLazily(self: SocketMethods, options: StreamOptions): void {
  const emitter = self as unknown as { _events: object; _eventsCount: number };
  emitter._events = newEvents();
  emitter._eventsCount = 0;
  (EventEmitter as unknown as { call(self: object): void }).call(self);
  self.allowHalfOpen = options.allowHalfOpen;
}

function beginStream(self: SocketMethods, options: SocketOptions): void {
  options.allowHalfOpen = Boolean(options.allowHalfOpen);
  // 'close' is ours to emit: it waits for the handle.
  options.emitClose = false;
  options.autoDestroy = true;
  options.decodeStrings = false;
  (Duplex as unknown as { call(self: SocketMethods, options: SocketOptions): void }).call(self, options);
}

function startReading(self: SocketMethods, options: SocketOptions): void {
  if (options.readable === false) return;
  if (options.pauseOnCreate) {
    self._handle!.readStop();
    (self as unknown as { readableFlowing: boolean | null }).readableFlowing = false;
  } else if (self._streamOptions) {
    self._handle!.readStart();
  } else if (!options.manualStart) {
    self.read(0);
  }
}

function watchAbort(self: SocketMethods, signal: AbortSignal): void {
  validateAbortSignal(signal, 'options.signal');
  const onAbort = (): void => {
    self._aborted = true;
  };
  process.nextTick(() => {
    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    self.once('close', () => signal.removeEventListener('abort', onAbort));
  });
}

/** `net.Socket` on the default host; modules made for another host derive theirs from it. */
export const Socket: Callable<SocketMethods, [options?: SocketOptions | number]> = callable(
  'Socket',
  SocketMethods,
  Duplex,
  initialize,
  makeElsewhere,
);
export type Socket = SocketMethods;

/** `net.connect` with sockets of the given class. */
export function connectWith(SocketClass: typeof Socket, args: readonly unknown[]): Socket {
  const normalized = normalizeArguments<ConnectOptions & SocketOptions>(args);
  const [options] = normalized;
  const socket = new SocketClass(options as SocketOptions);
  if (clientSockets.hasSubscribers) clientSockets.publish({ socket });
  if (options.timeout) socket.setTimeout(options.timeout);
  return socket.connect(normalized);
}
