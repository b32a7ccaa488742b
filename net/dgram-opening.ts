import type { LookupAddress } from 'node:dns';
import { EventEmitter } from 'node:events';
import type { Socket } from './dgram';
import type { Callback } from './dgram-arguments';
import { addressException, bufferSizeError, nodeError } from './errors';
import { lookup as lookupName } from './names';
import { nextTick } from './time';

/** Where a socket is on its way from unbound to bound, and from there to connected. */
export type BindState = 'unbound' | 'binding' | 'bound';
export type ConnectState = 'disconnected' | 'connecting' | 'connected';

/** Where a datagram goes whose sender names no address. */
export const loopbackOf = (socket: Socket): string => (socket.type === 'udp4' ? '127.0.0.1' : '::1');

/** Finds an address of the socket's family for a name, by the caller's function or the host's table and dns. */
export function resolve(socket: Socket, name: string, done: (error: Error | null, ip: string) => void): void {
  const family = socket.type === 'udp4' ? 4 : 6;
  const { lookup } = socket._options;
  if (lookup !== undefined) return lookup(name || loopbackOf(socket), family, done);
  const answer = (error: Error | null, found?: string | LookupAddress[]): void => done(error, found as string);
  lookupName(socket._stackHost, name || loopbackOf(socket), { family }, answer);
}

/** Sets the size of a buffer, or only tells it: 0. */
export function bufferSize(socket: Socket, size: number, isReceive: boolean): number {
  if (size >>> 0 !== size) {
    throw nodeError(TypeError, 'ERR_SOCKET_BAD_BUFFER_SIZE', 'Buffer size must be a positive integer');
  }
  const result = socket._handle!.bufferSize(size, isReceive);
  if (typeof result === 'string') {
    throw bufferSizeError(result, isReceive ? 'uv_recv_buffer_size' : 'uv_send_buffer_size');
  }
  return result;
}

// ── binding ──

/** The callback of `bind` is called when the socket listens, and forgotten when it cannot. */
export function onceBound(socket: Socket, callback: Callback): void {
  const forget = (): void => {
    socket.removeListener('error', forget);
    socket.removeListener('listening', listening);
  };
  const listening = (): void => {
    forget();
    callback.call(socket);
  };
  socket.on('error', forget);
  socket.on('listening', listening);
}

export function bindFailed(socket: Socket, error: Error): void {
  socket._bindState = 'unbound';
  socket.emit('error', error);
}

export function bindNow(socket: Socket, ip: string, port: number): void {
  const { reuseAddr, ipv6Only, recvBufferSize, sendBufferSize } = socket._options;
  const handle = socket._handle!;
  const refused = handle.bind(ip, port & 0xffff, reuseAddr === true, ipv6Only === true);
  if (refused !== null) return bindFailed(socket, addressException(refused, 'bind', ip, port));
  handle.owner = socket;
  handle.recvStart();
  socket._bindState = 'bound';
  if (recvBufferSize) bufferSize(socket, recvBufferSize, true);
  if (sendBufferSize) bufferSize(socket, sendBufferSize, false);
  socket.emit('listening');
}

/** Runs `task` now if the socket is bound, else after binding it, in the order of the calls. */
export function afterBinding(socket: Socket, task: () => void): void {
  if (socket._bindState === 'unbound') socket.bind({ port: 0, exclusive: true }, null);
  if (socket._bindState === 'bound') return task();
  if (socket._queue !== undefined) {
    socket._queue.push(task);
    return;
  }
  socket._queue = [task];
  const giveUp = (): void => {
    socket.removeListener('listening', goOn);
    socket._queue = undefined;
  };
  const goOn = (): void => {
    socket.removeListener(EventEmitter.errorMonitor, giveUp);
    const queue = socket._queue ?? [];
    socket._queue = undefined;
    for (const next of queue) next();
  };
  socket.once(EventEmitter.errorMonitor, giveUp);
  socket.once('listening', goOn);
}

// ── connecting ──

export function connectNow(socket: Socket, port: number, name: string, callback: Callback | undefined): void {
  if (callback !== undefined) socket.once('connect', callback as () => void);
  resolve(socket, name, (error, ip) => {
    if (socket._handle === null) return;
    let failure: Error | null = error;
    if (failure === null) {
      const refused = socket._handle.connect(ip, port);
      if (refused !== null) failure = addressException(refused, 'connect', name, port);
    }
    if (failure === null) {
      socket._connectState = 'connected';
      nextTick(() => socket.emit('connect'));
      return;
    }
    socket._connectState = 'disconnected';
    nextTick(() => {
      if (callback === undefined) return socket.emit('error', failure);
      socket.removeListener('connect', callback as () => void);
      return (callback as (error: Error) => void)(failure as Error);
    });
  });
}
