import { EventEmitter } from 'node:events';
import { Duplex } from 'node:stream';
import { commit, reserve, send } from '../stack/tcp/calls';
import { type ConnectOptions, isNormalized, normalizeArguments } from './arguments';
import { beginConnect, type ConnectAttempt, connectFinished } from './connect';
import { defaultHost } from './default-host';
import type { DirectConsumer } from './direct';
import { errnoException, nodeError, noticedException } from './errors';
import { type HandleOwner, type SocketName, TcpHandle } from './handle';
import type { Host } from './host';
import type { IdleTimer } from './idle-timer';
import { KernelHandle } from './kernel-handle';
import { defineLazyStream, type LazyStream, type StreamOptions } from './lazy-stream';
import { WRITES_ARE_CANCELED } from './running-node';
import type { Server } from './server';
import { destroySocket } from './socket-destroy';
import { adopt, useUserBuffer } from './socket-handle';
import { setIdleTime } from './socket-idle';
import type { OnReadOptions } from './socket-options';
import { bytesWritten, type Chunks, type WriteCallback, writeGeneric } from './socket-writes';

/** Whatever a listener takes: the events decide. */
// biome-ignore lint/suspicious/noExplicitAny: EventEmitter's own listener type
type Listener = (...args: any[]) => void;

/**
 * A TCP connection as a Duplex: Node's `net.Socket` over a stack of ours. What the class holds are its methods; `Socket`
 * in socket.ts is the constructor.
 */
export class SocketMethods extends Duplex implements HandleOwner {
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
    return bytesWritten(this);
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
    if (!this.destroyed) setIdleTime(this, msecs, callback);
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
    beginConnect(this, options);
    return this;
  }

  handleConnected(handle: object, code: string | null): void {
    connectFinished(this, handle, code, handle instanceof KernelHandle ? handle.path : undefined);
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
    writeGeneric(this, several, data, encoding, callback);
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

  override end(data?: unknown, encoding?: unknown, callback?: unknown): this {
    super.end(data, encoding as BufferEncoding, callback as () => void);
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
    if (consumer === null || consumer.keeps) return;
    this._direct = null;
    if (this._handle instanceof TcpHandle) {
      this._handle.direct = null;
      // What the consumer held back is pushed now, until the stream says no.
      if (!this.connecting && !this.isPaused()) this._handle.readStart();
    }
    consumer.onDetached?.();
  }

  /** Of the text that the consumer is just given: a view to keep, whose memory is never written again. Null: to be copied. */
  directView(bytes: Uint8Array, at: number, end: number): Buffer | null {
    return this._handle instanceof TcpHandle ? this._handle.lentView(bytes, at, end) : null;
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
    handle.sent();
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
    destroySocket(this, error, callback);
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
