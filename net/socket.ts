import diagnostics from 'node:diagnostics_channel';
import { EventEmitter } from 'node:events';
import nodeNet from 'node:net';
import { Duplex } from 'node:stream';
import { type ConnectOptions, normalizeArguments } from './arguments';
import { type Callable, callable } from './callable';
import { TcpHandle } from './handle';
import { newEvents, type StreamOptions } from './lazy-stream';
import { adopt } from './socket-handle';
import { SocketMethods } from './socket-methods';
import { checkOptions, isOnRead, type SocketOptions } from './socket-options';
import { nextTick } from './time';
import { validateAbortSignal } from './validate';

const clientSockets = diagnostics.channel('net.client.socket');
/** The peer has ended, and so did we: an error that says whose doing it is, instead of "write after end". */
function writeAfterFin(this: SocketMethods, ...args: unknown[]): boolean {
  if (!this.writableEnded) return Reflect.apply(Duplex.prototype.write, this, args);
  const callback = typeof args[1] === 'function' ? args[1] : args[2];
  const error = Object.assign(new Error('This socket has been ended by the other party'), { code: 'EPIPE' });
  if (typeof callback === 'function') nextTick(callback, error);
  this.destroy(error);
  return false;
}

function onReadableEnd(this: SocketMethods): void {
  if (!this.allowHalfOpen) this.write = writeAfterFin as SocketMethods['write'];
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

/** What sockets that a server accepts hardly ever use stands on the prototype; those that connect have it themselves. */
function giveUnused(to: SocketMethods): void {
  to.connecting = false;
  to._hadError = false;
  to._parent = null;
  to._host = null;
  to._sockname = null;
  to._peername = null;
  to._pendingData = null;
  to._pendingEncoding = '';
  to._closeAfterHandlingError = false;
  to._attempt = null;
  to._idle = null;
  to._wroteLast = 0;
  to._onread = null;
  to._userBuffer = null;
  to._readState = undefined;
  to._writeState = undefined;
}

giveUnused(SocketMethods.prototype);

function initialize(self: SocketMethods, given?: SocketOptions | number): void {
  const lazy = (given as SocketOptions | undefined)?.streamOptions ?? null;
  // What a server gives is its own, and in order.
  const options: SocketOptions = lazy === null ? { ...(given as SocketOptions) } : (given as SocketOptions);
  if (lazy === null) checkOptions(options);
  if (lazy === null) giveUnused(self);
  // All that is set later is set now, so that it finds room in the object itself.
  self.timeout = undefined;
  self._handle = null;
  self._direct = null;
  self._noDelay = Boolean(options.noDelay);
  self._keepAlive = Boolean(options.keepAlive);
  self._keepAliveDelay = ~~(options.keepAliveInitialDelay! / 1000);
  if (lazy === null && isOnRead(options.onread)) self._onread = options.onread;
  self._readBefore = 0;
  self._writtenBefore = 0;
  self._streamOptions = lazy;
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
  nextTick(() => {
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
