import type * as NodeNet from 'node:net';
import { Duplex } from 'node:stream';
import nodeTls from 'node:tls';
import { nextTick } from '../net/time';
import { inherit } from './construct';
import type { NetModule } from './module';

/**
 * TLS over a stack of ours: Node's own `tls`, which takes any Duplex, over our sockets. Cryptography is none of our
 * business. What this adds is what a socket has that a Duplex has not: addresses, 'connect', options, listening.
 */
export interface TlsModule {
  connect(...args: unknown[]): nodeTls.TLSSocket;
  TLSSocket: typeof nodeTls.TLSSocket;
  Server: TlsServerConstructor;
  createServer(options?: unknown, listener?: unknown): nodeTls.Server;
}

export type TlsServerConstructor = { new (options?: unknown, listener?: unknown): nodeTls.Server; prototype: object };

/** Taken when this is loaded: a program's `tls` may get other ones. */
const NodeTLSSocket = nodeTls.TLSSocket;
const NodeServer = nodeTls.Server as unknown as {
  call(self: object, options: object, listener?: unknown): void;
  prototype: object;
};
const nodeConnect = nodeTls.connect as (options: object) => nodeTls.TLSSocket;

export interface OurSocket extends NodeNet.Socket {
  allowHalfOpen: boolean;
  attachDirect?: unknown;
  _handle?: Record<string, (...args: unknown[]) => unknown> | null;
  /** What secures it. */
  _secured?: Wrapped;
}

interface Wrapped extends nodeTls.TLSSocket {
  connecting: boolean;
  _parent?: unknown;
  _handle?: {
    _parent?: Record<string, unknown>;
    _parentWrap?: StreamWrap;
    useUserBuffer?(buffer: Uint8Array): void;
  } | null;
}

/** What Node puts between TLS and a stream. */
interface StreamWrap {
  _handle: object | null;
  doWrite(request: object, chunks: Uint8Array[]): number;
  doShutdown(request: object): number;
  finishWrite(handle: NativeStream, code: number): void;
}

interface NativeStream {
  finishWrite(request: object, code: number): void;
  finishShutdown(request: object, code: number): void;
}

/** A socket of a stack of ours, rather than Node's or any other stream. */
export const isOurs = (socket: unknown): socket is OurSocket =>
  typeof (socket as OurSocket | null | undefined)?.attachDirect === 'function';

/**
 * True while Node's TLS looks at a socket of ours. A drop-in's `net.Socket` denies its instances then: TLS would look for
 * a kernel's handle in them.
 */
export const tlsLooks = { now: false };

function asDuplex<T>(make: () => T): T {
  const before = tlsLooks.now;
  tlsLooks.now = true;
  try {
    return make();
  } finally {
    tlsLooks.now = before;
  }
}

/** Methods of handles that TLS passes on to what is below it. */
const HANDLE_METHODS = ['getpeername', 'getsockname', 'setNoDelay', 'setKeepAlive', 'ref', 'unref'] as const;

/** When the peer has ended, TLS still has something to say: the end is its affair, not the raw socket's. */
function letEndSecurely(socket: OurSocket): void {
  socket.allowHalfOpen = true;
  if (socket.write !== writeUnlessEnded) socket.write = writeUnlessEnded as OurSocket['write'];
}

const duplexWrite = Duplex.prototype.write as (...args: unknown[]) => boolean;

/** TLS speaks for itself: all that it was given is written. */
const isOwnAffair = (secured: Wrapped | undefined): boolean => secured !== undefined && secured.writableLength === 0;

const isBroken = (socket: OurSocket): boolean =>
  (socket._handle as { connection?: { state: string } | null } | null)?.connection?.state === 'CLOSED';

/** What TLS would still say when its side has ended, or the peer is gone, is of no use to anybody, and no error. */
function writeUnlessEnded(this: OurSocket, ...args: unknown[]): boolean {
  if (!this.writableEnded && !(isOwnAffair(this._secured) && isBroken(this))) return duplexWrite.apply(this, args);
  const callback = args[args.length - 1];
  if (typeof callback === 'function') nextTick(callback as () => void);
  return true;
}

/** It connects, or nobody has told it to yet. */
const isYetToConnect = (socket: OurSocket): boolean => socket.connecting || (!socket._handle && !socket.destroyed);

/**
 * What Node puts between TLS and a stream takes one write at a time and asserts it, but TLS begins another when a peer asks
 * for a new handshake amid a write: these wait for each other here, and the end for them.
 */
function oneWriteAfterAnother(wrap: StreamWrap): void {
  const { doWrite, doShutdown, finishWrite } = wrap;
  const waiting: [request: object, chunks: Uint8Array[]][] = [];
  let busy = false;
  let end: object | null = null;
  wrap.doWrite = (request, chunks) => {
    if (busy) {
      waiting.push([request, chunks]);
      return 0;
    }
    busy = true;
    return doWrite.call(wrap, request, chunks);
  };
  wrap.doShutdown = (request) => {
    if (!busy) return doShutdown.call(wrap, request);
    end = request;
    return 0;
  };
  wrap.finishWrite = (handle, code) => {
    finishWrite.call(wrap, handle, code);
    busy = false;
    if (wrap._handle === null) {
      for (const [request] of waiting.splice(0)) handle.finishWrite(request, code);
      if (end !== null) handle.finishShutdown(end, code);
      end = null;
      return;
    }
    const next = waiting.shift();
    if (next !== undefined) {
      wrap.doWrite(...next);
    } else if (end !== null) {
      const request = end;
      end = null;
      doShutdown.call(wrap, request);
    }
  };
}

/** Makes a secured socket over one of ours tell what it would over a kernel's. */
function connectToSocket(secured: Wrapped, socket: OurSocket): void {
  secured._parent = socket;
  Object.defineProperty(socket, '_secured', { value: secured, configurable: true });
  letEndSecurely(socket);
  const wrap = secured._handle?._parentWrap;
  if (typeof wrap?.finishWrite === 'function') oneWriteAfterAnother(wrap);
  // Before anybody else hears of it.
  socket.prependListener('close', () => void secured.destroy());
  const below = secured._handle?._parent;
  if (below) {
    for (const name of HANDLE_METHODS) {
      below[name] = (...args: unknown[]) => socket._handle?.[name]?.(...args) ?? 0;
    }
  }
  if (!isYetToConnect(socket)) return;
  secured.connecting = true;
  socket.once('connect', () => {
    secured.connecting = false;
    // To connect made the socket's `write` its class's own.
    letEndSecurely(socket);
    secured.emit('connect');
    secured.emit('ready');
  });
}

function secure(socket: unknown, make: () => nodeTls.TLSSocket): nodeTls.TLSSocket {
  if (!isOurs(socket)) return make();
  const secured = asDuplex(make) as Wrapped;
  connectToSocket(secured, socket);
  return secured;
}

type Starts = { _start(this: nodeTls.TLSSocket): void };

/**
 * The handshake begins when the socket below is connected, as Node's does. Over what it takes for any Duplex, Node begins
 * at once, and what goes wrong at once is told before the program can listen.
 */
function startOnceConnected<T>(socket: unknown, make: () => T): T {
  if (!isOurs(socket) || !isYetToConnect(socket)) return make();
  const prototype = NodeTLSSocket.prototype as unknown as Starts;
  const start = prototype._start;
  prototype._start = function () {
    this.once('connect', start);
  };
  try {
    return make();
  } finally {
    prototype._start = start;
  }
}

/** Text goes into memory of the caller's choice (the `onread` option), which Node does not offer over a Duplex. */
function readInto(secured: Wrapped, onread: OnRead): void {
  const { buffer, callback } = onread;
  const first = typeof buffer === 'function' ? buffer() : buffer;
  if (!(first instanceof Uint8Array) || typeof callback !== 'function') return;
  const fields = secured as unknown as Record<symbol, unknown>;
  for (const symbol of Object.getOwnPropertySymbols(secured)) {
    if (symbol.description === 'kBuffer') fields[symbol] = first;
    if (symbol.description === 'kBufferCb') fields[symbol] = callback;
    if (symbol.description === 'kBufferGen') fields[symbol] = typeof buffer === 'function' ? buffer : null;
  }
  secured._handle?.useUserBuffer?.(first);
}

interface OnRead {
  buffer: Uint8Array | (() => Uint8Array);
  callback: (bytes: number, buffer: Uint8Array) => boolean;
}

interface ConnectOptions extends Record<string, unknown> {
  socket?: unknown;
  allowHalfOpen?: boolean;
  onread?: OnRead | null;
  path?: string;
  timeout?: number;
}

/** Options may stand after port and host, and win over them. */
function readArguments(net: NetModule, args: unknown[]): [ConnectOptions, unknown] {
  const normalize = (net as unknown as { _normalizeArgs(args: unknown[]): [ConnectOptions, unknown] })._normalizeArgs;
  const [options, callback] = normalize(args);
  const further = [args[1], args[2]].find((one) => one !== null && typeof one === 'object');
  return [Object.assign(options, further), callback];
}

/** A secured socket that was never to live, by a signal that came before it, leaves nothing behind. */
function closeTogether(secured: nodeTls.TLSSocket, socket: NodeNet.Socket): void {
  if (secured.destroyed) socket.destroy();
  else secured.once('close', () => socket.destroy());
}

/** What concerns the secured socket, or streams of other kinds, is not for the socket below. */
const NOT_BELOW = Object.fromEntries(
  ['timeout', 'signal', 'onread', 'encoding', 'objectMode', 'readableObjectMode', 'writableObjectMode'].map((name) => [
    name,
    undefined,
  ]),
);

function connectOver(net: NetModule, args: unknown[]): nodeTls.TLSSocket {
  const [options, callback] = readArguments(net, args);
  let { socket } = options;
  const own = !socket && !options.path;
  const below = { ...options, ...NOT_BELOW, allowHalfOpen: false };
  if (own) {
    // It sets out when TLS has found nothing wrong with the options.
    socket = new net.Socket(below as unknown as NodeNet.SocketConstructorOpts);
  }
  const make = () => startOnceConnected(socket, () => nodeConnect(socket ? { ...options, socket } : options));
  const secured = secure(socket, make);
  if (typeof callback === 'function') secured.once('secureConnect', callback as () => void);
  if (own) {
    (socket as NodeNet.Socket).connect(below as unknown as NodeNet.SocketConnectOpts);
    secured.allowHalfOpen = Boolean(options.allowHalfOpen);
    if (options.onread) readInto(secured as Wrapped, options.onread);
    closeTogether(secured, socket as NodeNet.Socket);
    if (options.timeout) secured.setTimeout(options.timeout);
    (socket as NodeNet.Socket).on('lookup', (...found) => secured.emit('lookup', ...found));
  }
  return secured;
}

/** It was made over nothing: it is told to connect itself. */
function connectsBelow(net: NetModule, secured: nodeTls.TLSSocket, socket: NodeNet.Socket): void {
  closeTogether(secured, socket);
  (secured as { connect: unknown }).connect = (...args: unknown[]) => {
    const [options, callback] = readArguments(net, args);
    if (typeof callback === 'function') secured.once('connect', callback as () => void);
    socket.connect(options as unknown as NodeNet.SocketConnectOpts);
    return secured;
  };
}

/** `tls.TLSSocket`, which takes sockets of ours, too. Instances are Node's. */
function socketClass(net: NetModule): typeof nodeTls.TLSSocket {
  function TLSSocket(socket: unknown, options: unknown): nodeTls.TLSSocket {
    const Target = new.target === (TLSSocket as unknown) || new.target === undefined ? NodeTLSSocket : new.target;
    const below = socket ?? new net.Socket();
    const secured = secure(below, () => Reflect.construct(NodeTLSSocket, [below, options], Target));
    if (socket == null) {
      secured.allowHalfOpen = Boolean((options as ConnectOptions | undefined)?.allowHalfOpen);
      connectsBelow(net, secured, below as NodeNet.Socket);
    }
    return secured;
  }
  TLSSocket.prototype = NodeTLSSocket.prototype;
  Object.setPrototypeOf(TLSSocket, NodeTLSSocket);
  return TLSSocket as unknown as typeof nodeTls.TLSSocket;
}

/** A TLS server: Node's in all that concerns TLS, over a listening server of ours. */
interface StackServer extends nodeTls.Server {
  _below: NodeNet.Server;
}

/** What is asked of the server below. */
const PASSED_ON = ['address', 'getConnections', 'ref', 'unref'] as const;
const FIELDS = [
  '_handle',
  '_connections',
  'listening',
  'maxConnections',
  '_connectionKey',
  'dropMaxConnection',
] as const;

function passOn(server: StackServer): void {
  for (const event of ['listening', 'close', 'error', 'drop'] as const) {
    server._below.on(event, (...args: unknown[]) => void server.emit(event, ...args));
  }
  server._below.on('connection', (socket: OurSocket & { server?: unknown }) => {
    socket.server = server;
    server.emit('connection', socket);
  });
  for (const field of FIELDS) {
    Object.defineProperty(server, field, {
      get: () => (server._below as unknown as Record<string, unknown>)[field],
      set: (value) => {
        (server._below as unknown as Record<string, unknown>)[field] = value;
      },
      configurable: true,
      enumerable: true,
    });
  }
}

/** Node's listener for raw connections is to take ours for streams. */
function securesOurSockets(server: StackServer): void {
  const [listener] = server.listeners('connection') as Array<(this: object, socket: unknown) => void>;
  server.removeListener('connection', listener!);
  server.on('connection', (socket: unknown) => {
    if (!isOurs(socket)) {
      listener!.call(server, socket);
      return;
    }
    const secured = securedBy(() => asDuplex(() => listener!.call(server, socket)));
    if (secured === null) letEndSecurely(socket);
    else connectToSocket(secured, socket);
  });
}

/** The secured socket that Node makes meanwhile, and keeps to itself until its handshake is done. */
function securedBy(make: () => void): Wrapped | null {
  const prototype = NodeTLSSocket.prototype as unknown as { _init(this: Wrapped, ...args: unknown[]): void };
  const init = prototype._init;
  let made: Wrapped | null = null;
  prototype._init = function (...args) {
    made = this;
    init.apply(this, args);
  };
  try {
    make();
  } finally {
    prototype._init = init;
  }
  return made;
}

function serverClass(net: NetModule): TlsServerConstructor {
  const Server = function (this: StackServer, options?: unknown, listener?: unknown): unknown {
    if (!(this instanceof Server)) return new Server(options, listener);
    const given = (typeof options === 'function' ? {} : (options ?? {})) as object;
    const onSecure = typeof options === 'function' ? options : listener;
    NodeServer.call(this, given);
    this._below = new net.Server(given as NodeNet.ServerOpts);
    passOn(this);
    securesOurSockets(this);
    if (onSecure) this.on('secureConnection', onSecure as never);
    return undefined;
  } as unknown as TlsServerConstructor;
  inherit(Server, NodeServer);
  const prototype = Server.prototype as Record<string, unknown>;
  for (const name of ['listen', 'close', ...PASSED_ON] as const) {
    prototype[name] = function (this: StackServer, ...args: unknown[]): unknown {
      const below = this._below as unknown as Record<string, (...args: unknown[]) => unknown>;
      const result = below[name]!(...args);
      return result === below ? this : result;
    };
  }
  return Server;
}

/** TLS over a net module of ours. */
export function createTls(net: NetModule): TlsModule {
  const Server = serverClass(net);
  return {
    connect: (...args) => connectOver(net, args),
    TLSSocket: socketClass(net),
    Server,
    createServer: (options, listener) => new Server(options, listener),
  };
}
