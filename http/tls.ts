import type * as NodeNet from 'node:net';
import nodeNet from 'node:net';
import nodeTls from 'node:tls';
import { inherit } from './construct';
import type { NetModule } from './module';
import { type OurSocket, type Secured, type TlsStream, tlsStreamOver } from './tls-stream';

/**
 * TLS over a stack of ours: Node's own `tls` over our sockets. Cryptography is none of our business. What this adds is what
 * makes Node take them for its own: a stream in the place of a kernel's handle (`tls-stream.ts`), connecting, listening.
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

/** A socket of a stack of ours, rather than Node's or any other stream. */
export const isOurs = (socket: unknown): socket is OurSocket =>
  typeof (socket as OurSocket | null | undefined)?.attachDirect === 'function';

/** It connects, or nobody has told it to yet. */
const isYetToConnect = (socket: OurSocket): boolean => socket.connecting || (!socket._handle && !socket.destroyed);

type SocketClass = { prototype: object };

const isInstance = Function.prototype[Symbol.hasInstance];

/** Node's TLS asks whether what it is given is a `net.Socket`. Of a drop-in's it is; else Node's own class says so meanwhile. */
function asInstance<T>(socket: OurSocket, make: () => T): T {
  const asked = nodeNet.Socket as SocketClass;
  if (isInstance.call(asked, socket)) return make();
  const before = Object.getOwnPropertyDescriptor(asked, Symbol.hasInstance);
  Object.defineProperty(asked, Symbol.hasInstance, {
    value(this: unknown, object: unknown): boolean {
      return object === socket || isInstance.call(this, object);
    },
    configurable: true,
  });
  try {
    return make();
  } finally {
    if (before === undefined) delete (asked as { [Symbol.hasInstance]?: unknown })[Symbol.hasInstance];
    else Object.defineProperty(asked, Symbol.hasInstance, before);
  }
}

/** `make` makes a secured socket of Node's, and finds `stream` where a kernel's handle would be. */
function over<T>(stream: TlsStream, make: () => T): T {
  const socket = stream.socket as { _handle?: unknown };
  const handle = socket._handle;
  socket._handle = stream;
  try {
    return asInstance(stream.socket, make);
  } finally {
    socket._handle = handle;
  }
}

/** Joins what Node made over `stream` and the socket below. */
function join(secured: nodeTls.TLSSocket, stream: TlsStream): void {
  const { socket } = stream;
  stream.secured = secured as Secured;
  if (isYetToConnect(socket)) (secured as { connecting: boolean }).connecting = true;
  else stream.attach();
}

function secure(socket: unknown, make: () => nodeTls.TLSSocket): nodeTls.TLSSocket {
  if (!isOurs(socket)) return make();
  const stream = tlsStreamOver(socket);
  const secured = over(stream, make);
  join(secured, stream);
  return secured;
}

type Starts = { _start(this: nodeTls.TLSSocket): void };

/**
 * The handshake begins when the socket below is connected. Node's would begin at once: to it, one that has a handle and does
 * not connect is connected.
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

/** Text goes into memory of the caller's choice (the `onread` option), which Node does not offer over a socket. */
function readInto(secured: nodeTls.TLSSocket, onread: OnRead): void {
  const { buffer, callback } = onread;
  const first = typeof buffer === 'function' ? buffer() : buffer;
  if (!(first instanceof Uint8Array) || typeof callback !== 'function') return;
  const fields = secured as unknown as Record<symbol, unknown>;
  for (const symbol of Object.getOwnPropertySymbols(secured)) {
    if (symbol.description === 'kBuffer') fields[symbol] = first;
    if (symbol.description === 'kBufferCb') fields[symbol] = callback;
    if (symbol.description === 'kBufferGen') fields[symbol] = typeof buffer === 'function' ? buffer : null;
  }
  (secured as unknown as { _handle: Reader | null })._handle?.useUserBuffer(first);
}

interface Reader {
  useUserBuffer(buffer: Uint8Array): void;
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

/** One that was made for it is not seen by anybody: the secured socket says what it would. */
function readyTogether(secured: nodeTls.TLSSocket, socket: NodeNet.Socket): void {
  socket.once('connect', () => secured.emit('ready'));
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
  const make = () => nodeConnect(socket ? { ...options, socket } : options);
  const secured = startOnceConnected(socket, () => secure(socket, make));
  if (typeof callback === 'function') secured.once('secureConnect', callback as () => void);
  if (own) {
    (socket as NodeNet.Socket).connect(below as unknown as NodeNet.SocketConnectOpts);
    secured.allowHalfOpen = Boolean(options.allowHalfOpen);
    if (options.onread) readInto(secured, options.onread);
    readyTogether(secured, socket as NodeNet.Socket);
    closeTogether(secured, socket as NodeNet.Socket);
    if (options.timeout) secured.setTimeout(options.timeout);
    (socket as NodeNet.Socket).on('lookup', (...found) => secured.emit('lookup', ...found));
  }
  return secured;
}

/** It was made over nothing: it is told to connect itself. */
function connectsBelow(net: NetModule, secured: nodeTls.TLSSocket, socket: NodeNet.Socket): void {
  readyTogether(secured, socket);
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

/** Node's listener for raw connections is to take ours for its own. */
function securesOurSockets(server: StackServer): void {
  const [listener] = server.listeners('connection') as Array<(this: object, socket: unknown) => void>;
  server.removeListener('connection', listener!);
  server.on('connection', (socket: unknown) => {
    if (!isOurs(socket)) {
      listener!.call(server, socket);
      return;
    }
    const stream = tlsStreamOver(socket);
    const secured = securedBy(() => over(stream, () => listener!.call(server, socket)));
    if (secured !== null) join(secured, stream);
  });
}

/** The secured socket that Node makes meanwhile, and keeps to itself until its handshake is done. */
function securedBy(make: () => void): nodeTls.TLSSocket | null {
  type Initializes = { _init(this: nodeTls.TLSSocket, ...args: unknown[]): void };
  const prototype = NodeTLSSocket.prototype as unknown as Initializes;
  const init = prototype._init;
  let made: nodeTls.TLSSocket | null = null;
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
