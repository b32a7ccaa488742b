import diagnostics from 'node:diagnostics_channel';
import { EventEmitter } from 'node:events';
import { type Callable, callable, derive } from './callable';
import { defaultHost } from './default-host';
import { type Callback, readSend, type Sent } from './dgram-arguments';
import {
  afterBinding,
  type BindState,
  bindFailed,
  bindNow,
  bufferSize,
  type ConnectState,
  connectNow,
  loopbackOf,
  onceBound,
  resolve,
} from './dgram-opening';
import { addressException, errnoException, missingArgs, nodeError } from './errors';
import type { SocketName } from './handle';
import type { Host } from './host';
import { nextTick } from './time';
import { UdpHandle } from './udp-handle';
import {
  validateAbortSignal,
  validateFunction,
  validateNumber,
  validatePort,
  validateString,
  validateUint32,
} from './validate';

/** The family of a socket: IPv4 or IPv6. */
export type SocketType = 'udp4' | 'udp6';

type LookupDone = (error: NodeJS.ErrnoException | null, address: string, family: number) => void;

/** Finds a name's address, as `dns.lookup(name, family, done)` does. */
export type DgramLookup = (name: string, family: number, done: LookupDone) => void;

/** What `createSocket` may be told. */
export interface DgramOptions {
  type: SocketType;
  reuseAddr?: boolean;
  ipv6Only?: boolean;
  /** Bytes; the kernel's rule applies: twice that much is given. */
  recvBufferSize?: number;
  sendBufferSize?: number;
  lookup?: DgramLookup;
  signal?: AbortSignal;
}

/** What `bind` may be told. */
export interface BindOptions {
  port?: number;
  address?: string;
  exclusive?: boolean;
  fd?: number;
}

/** Who sent a datagram, and its size in bytes. */
export interface RemoteInfo extends SocketName {
  size: number;
}

type Piece = string | NodeJS.ArrayBufferView;
type Text = Piece | readonly Piece[];

const created = diagnostics.channel('udp.socket');

const notRunning = (): Error => nodeError(Error, 'ERR_SOCKET_DGRAM_NOT_RUNNING', 'Not running');
const isConnected = (): Error => nodeError(Error, 'ERR_SOCKET_DGRAM_IS_CONNECTED', 'Already connected');
const notConnected = (): Error => nodeError(Error, 'ERR_SOCKET_DGRAM_NOT_CONNECTED', 'Not connected');

/** A UDP socket: Node's `dgram.Socket` over a stack of ours. */
class SocketMethods extends EventEmitter {
  declare type: SocketType;
  declare _handle: UdpHandle | null;
  declare _stackHost: Host;
  declare _bindState: BindState;
  declare _connectState: ConnectState;
  /** Calls that wait for the socket to be bound. */
  declare _queue: (() => void)[] | undefined;
  declare _options: Partial<DgramOptions>;

  // ── opening ──

  /** Listens: (port, address, callback), each of which may be missing, or (options, callback). 'listening' follows. */
  bind(first?: unknown, second?: unknown, ...more: unknown[]): this {
    running(this);
    if (this._bindState !== 'unbound') {
      throw nodeError(Error, 'ERR_SOCKET_ALREADY_BOUND', 'Socket is already bound');
    }
    this._bindState = 'binding';
    const callback = [first, second, ...more].findLast((argument) => argument !== undefined);
    if (typeof callback === 'function') onceBound(this, callback as Callback);
    let port = first;
    let address = typeof second === 'function' ? '' : second;
    if (typeof first === 'object' && first !== null) {
      const options = first as BindOptions;
      if (typeof options.fd === 'number' && options.fd > 0) {
        throw nodeError(Error, 'ERR_FEATURE_UNAVAILABLE_ON_PLATFORM', "Descriptors are not the stack's: bind({ fd })");
      }
      port = options.port;
      address = options.address || '';
    }
    const name = address || (this.type === 'udp4' ? '0.0.0.0' : '::');
    resolve(this, name as string, (error, ip) => {
      if (this._handle === null) return;
      if (error) bindFailed(this, error);
      else bindNow(this, ip, typeof port === 'function' ? 0 : Number(port) || 0);
    });
    return this;
  }

  /** Talks to one peer only from now on. 'connect' follows, or the callback gets the error. */
  connect(port: number, address?: string | Callback, callback?: Callback): void {
    const checked = validatePort(port, 'Port', false);
    if (typeof address === 'function') {
      callback = address;
      address = '';
    } else if (address === undefined) {
      address = '';
    }
    validateString(address, 'address');
    if (this._connectState !== 'disconnected') throw isConnected();
    this._connectState = 'connecting';
    const name = address;
    afterBinding(this, () => connectNow(this, checked, name, callback));
  }

  /** The opposite of `connect`. */
  disconnect(): void {
    if (this._connectState !== 'connected') throw notConnected();
    const refused = running(this).disconnect();
    if (refused !== null) throw errnoException(refused, 'connect');
    this._connectState = 'disconnected';
  }

  // ── sending ──

  /**
   * Sends a datagram: (text, port, address, callback) or (text, offset, length, port, address, callback); connected, without
   * port and address. `text` may be a list of pieces. Without a callback errors of sending are not told, as in Node.
   */
  send(text: Text, callback?: Sent): void;
  send(text: Text, port: number | string, callback?: Sent): void;
  send(text: Text, port: number | string, address?: string | null, callback?: Sent): void;
  send(text: Piece, offset: number, length: number, callback?: Sent): void;
  send(
    text: Piece,
    offset: number,
    length: number,
    port: number | string,
    address?: string | null | Sent,
    callback?: Sent,
  ): void;
  send(text: unknown, first?: unknown, second?: unknown, third?: unknown, fourth?: unknown, fifth?: unknown): void {
    const args = [text, first, second, third, fourth, fifth];
    const { pieces, port, address, callback } = readSend(this._connectState === 'connected', args);
    running(this);
    afterBinding(this, () => {
      if (port === null) return sendNow(this, pieces, null, null, 0, callback);
      resolve(this, (address as string | undefined) || loopbackOf(this), (error, ip) => {
        if (error) failed(this, error, callback);
        else sendNow(this, pieces, ip, address as string | undefined, port, callback);
      });
    });
  }

  /** Node's older form, with every argument given. */
  sendto(buffer: Piece, offset: number, length: number, port: number, address: string, callback?: Sent): void {
    validateNumber(offset, 'offset');
    validateNumber(length, 'length');
    validateNumber(port, 'port');
    validateString(address, 'address');
    this.send(buffer, offset, length, port, address, callback);
  }

  // ── closing ──

  close(callback?: Callback): this {
    if (typeof callback === 'function') this.on('close', callback as () => void);
    if (this._queue !== undefined) {
      this._queue.push(() => this.close());
      return this;
    }
    running(this).close();
    this._handle = null;
    nextTick(() => this.emit('close'));
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this._handle === null) return;
    await new Promise<void>((done) => this.close(done as Callback));
  }

  // ── what it is ──

  address(): SocketName {
    const name = running(this).getsockname();
    if (typeof name === 'string') throw errnoException(name, 'getsockname');
    return shape(name);
  }

  remoteAddress(): SocketName {
    const handle = running(this);
    if (this._connectState !== 'connected') throw notConnected();
    const name = handle.getpeername();
    if (typeof name === 'string') throw errnoException(name, 'getpeername');
    return shape(name);
  }

  ref(): this {
    this._handle?.ref();
    return this;
  }

  unref(): this {
    this._handle?.unref();
    return this;
  }

  // ── options: of a closed socket they end in the TypeError that Node gives ──

  setBroadcast(flag: boolean): void {
    check(this._handle!.setBroadcast(Boolean(flag)), 'setBroadcast');
  }

  setTTL(ttl: number): number {
    validateNumber(ttl, 'ttl');
    check(this._handle!.setTTL(ttl), 'setTTL');
    return ttl;
  }

  setMulticastTTL(ttl: number): number {
    validateNumber(ttl, 'ttl');
    check(this._handle!.setMulticastTTL(ttl), 'setMulticastTTL');
    return ttl;
  }

  setMulticastLoopback(flag: boolean): boolean {
    check(this._handle!.setMulticastLoopback(Boolean(flag)), 'setMulticastLoopback');
    return flag;
  }

  setMulticastInterface(address: string): void {
    running(this);
    validateString(address, 'interfaceAddress');
    check(this._handle!.setMulticastInterface(address), 'setMulticastInterface');
  }

  /** Takes what is sent to the group from now on. Neither IGMP nor MLD tells the network of it. */
  addMembership(group: string, interfaceAddress?: string): void {
    running(this);
    if (!group) throw missingArgs('multicastAddress');
    check(this._handle!.setMembership(group, interfaceAddress, true), 'addMembership');
  }

  dropMembership(group: string, interfaceAddress?: string): void {
    running(this);
    if (!group) throw missingArgs('multicastAddress');
    check(this._handle!.setMembership(group, interfaceAddress, false), 'dropMembership');
  }

  addSourceSpecificMembership(_source: string, _group: string, _interfaceAddress?: string): void {
    throw errnoException('ENOSYS', 'addSourceSpecificMembership');
  }

  dropSourceSpecificMembership(_source: string, _group: string, _interfaceAddress?: string): void {
    throw errnoException('ENOSYS', 'dropSourceSpecificMembership');
  }

  setRecvBufferSize(size: number): void {
    bufferSize(this, size, true);
  }

  setSendBufferSize(size: number): void {
    bufferSize(this, size, false);
  }

  getRecvBufferSize(): number {
    return bufferSize(this, 0, true);
  }

  getSendBufferSize(): number {
    return bufferSize(this, 0, false);
  }

  /** Bytes, and datagrams, that the stack had no room for yet. */
  getSendQueueSize(): number {
    return this._handle!.queued.bytes;
  }

  getSendQueueCount(): number {
    return this._handle!.queued.count;
  }

  // ── what the handle tells ──

  handleMessage(bytes: Buffer, from: SocketName): void {
    const { address, family, port } = from;
    this.emit('message', bytes, { address, family, port, size: bytes.length } satisfies RemoteInfo);
  }

  handleError(code: string): void {
    this.emit('error', errnoException(code, 'recvmsg'));
  }
}

/** The handle of a socket that is not closed. */
function running(socket: SocketMethods): UdpHandle {
  if (socket._handle === null) throw notRunning();
  return socket._handle;
}

function check(refused: string | null, syscall: string): void {
  if (refused !== null) throw errnoException(refused, syscall);
}

/** Node lists the address first. */
const shape = ({ address, family, port }: SocketName): SocketName => ({ address, family, port });

// ── sending ──

function failed(socket: SocketMethods, error: Error, callback: Sent | undefined): void {
  if (callback !== undefined) nextTick(callback, error);
  else nextTick(() => socket.emit('error', error));
}

function sendNow(
  socket: SocketMethods,
  pieces: readonly Uint8Array[],
  ip: string | null,
  address: string | null | undefined,
  port: number,
  callback: Sent | undefined,
): void {
  const handle = socket._handle;
  if (handle === null) return;
  const bytes = pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
  handle.send(bytes, ip, port, (code) => {
    if (callback === undefined) return;
    if (code === null) nextTick(callback, null, bytes.length);
    else nextTick(callback, addressException(code, 'send', address as string, port));
  });
}

// ── construction ──

function initialize(socket: SocketMethods, type: SocketType | DgramOptions, listener?: Callback): void {
  EventEmitter.call(socket as never);
  const options: Partial<DgramOptions> = typeof type === 'object' && type !== null ? type : {};
  const kind = typeof type === 'object' && type !== null ? type.type : type;
  if (options.recvBufferSize) validateUint32(options.recvBufferSize, 'options.recvBufferSize');
  if (options.sendBufferSize) validateUint32(options.sendBufferSize, 'options.sendBufferSize');
  if (options.lookup !== undefined) validateFunction(options.lookup, 'lookup');
  if (kind !== 'udp4' && kind !== 'udp6') {
    throw nodeError(TypeError, 'ERR_SOCKET_BAD_TYPE', 'Bad socket type specified. Valid types are: udp4, udp6');
  }
  if (socket._stackHost === undefined) socket._stackHost = defaultHost();
  socket.type = kind;
  socket._options = options;
  socket._bindState = 'unbound';
  socket._connectState = 'disconnected';
  socket._queue = undefined;
  socket._handle = new UdpHandle(socket._stackHost, kind === 'udp6');
  if (typeof listener === 'function') socket.on('message', listener as never);
  if (options.signal !== undefined) closeOnAbort(socket, options.signal);
  if (created.hasSubscribers) created.publish({ socket });
}

function closeOnAbort(socket: SocketMethods, signal: AbortSignal): void {
  validateAbortSignal(signal, 'options.signal');
  const abort = (): void => {
    if (socket._handle !== null) socket.close();
  };
  if (signal.aborted) return abort();
  signal.addEventListener('abort', abort, { once: true });
  socket.once('close', () => signal.removeEventListener('abort', abort));
}

/** Node's `dgram.Socket`, callable without `new` as well. */
export const Socket: Callable<SocketMethods, [type: SocketType | DgramOptions, listener?: Callback]> = callable(
  'Socket',
  SocketMethods,
  EventEmitter,
  initialize,
);
export type Socket = SocketMethods;

/** What `require('dgram')` gives, over one host. */
export interface Dgram {
  Socket: typeof Socket;
  createSocket(type: SocketType | DgramOptions, listener?: (message: Buffer, from: RemoteInfo) => void): Socket;
}

/** Node's `dgram` over `host`; null means the default host. */
export function createDgram(host: Host | null): Dgram {
  const SocketClass = host === null ? Socket : derive(Socket, { _stackHost: host });
  return {
    Socket: SocketClass,
    createSocket: (type, listener) => new SocketClass(type, listener as Callback | undefined),
  };
}

/** `dgram` on the default host. */
export const dgram: Dgram = createDgram(null);
/** `createSocket` of the default host's module; see Dgram. */
export const createSocket = dgram.createSocket;
