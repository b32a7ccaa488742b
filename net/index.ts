/**
 * `tapwire/net`: what `require('net')` gives, on the default host, which is in memory unless the program chose another.
 * `createNet` makes the same module for any other host.
 */
import { BlockList, isIP, isIPv4, isIPv6, SocketAddress } from 'node:net';
import { type ConnectOptions, normalizeArguments } from './arguments';
import { derive } from './callable';
import {
  getDefaultAutoSelectFamily,
  getDefaultAutoSelectFamilyAttemptTimeout,
  setDefaultAutoSelectFamily,
  setDefaultAutoSelectFamilyAttemptTimeout,
} from './defaults';
import type { Host } from './host';
import { Server, type ServerOptions } from './server';
import { connectWith, Socket } from './socket';
import type { SocketOptions } from './socket-options';

export type { ConnectOptions, ListenOptions } from './arguments';
export type { DirectConsumer } from './direct';
export type { SocketName } from './handle';
export type { ServerOptions } from './server';
export type { OnReadOptions, SocketOptions } from './socket-options';

type ConnectionListener = (socket: Socket) => void;
type ConnectListener = () => void;

/** What `require('net')` gives, over one host. */
export interface Net {
  Socket: typeof Socket;
  Stream: typeof Socket;
  Server: typeof Server;
  connect(options: ConnectOptions & SocketOptions, listener?: ConnectListener): Socket;
  connect(port: number | string, host?: string, listener?: ConnectListener): Socket;
  connect(portOrPath: number | string, listener?: ConnectListener): Socket;
  createConnection: Net['connect'];
  createServer(options?: ServerOptions | ConnectionListener | null, listener?: ConnectionListener): Server;
  isIP: typeof isIP;
  isIPv4: typeof isIPv4;
  isIPv6: typeof isIPv6;
  BlockList: typeof BlockList;
  SocketAddress: typeof SocketAddress;
  getDefaultAutoSelectFamily: typeof getDefaultAutoSelectFamily;
  setDefaultAutoSelectFamily: typeof setDefaultAutoSelectFamily;
  getDefaultAutoSelectFamilyAttemptTimeout: typeof getDefaultAutoSelectFamilyAttemptTimeout;
  setDefaultAutoSelectFamilyAttemptTimeout: typeof setDefaultAutoSelectFamilyAttemptTimeout;
  _normalizeArgs(args: readonly unknown[]): unknown[];
  _setSimultaneousAccepts(): void;
}

let warned = false;

/** Does nothing but warn: it was for Windows, and Node deprecated it. */
function setSimultaneousAccepts(): void {
  if (warned) return;
  warned = true;
  process.emitWarning(
    'net._setSimultaneousAccepts() is deprecated and will be removed.',
    'DeprecationWarning',
    'DEP0121',
  );
}

/**
 * Node's `net` over `host`: its sockets connect from it, its servers listen on it. Null means the default host, made when
 * it is first needed. Classes of different hosts share one implementation: each derives from the default host's.
 */
export function createNet(host: Host | null): Net {
  let SocketClass = Socket;
  let ServerClass = Server;
  if (host !== null) {
    SocketClass = derive(Socket, { _stackHost: host });
    ServerClass = derive(Server, { _stackHost: host, _socketClass: SocketClass });
  }
  // Functions, because Node's may be called with `new`.
  function connect(...args: unknown[]): Socket {
    return connectWith(SocketClass, args);
  }
  function createServer(options?: ServerOptions | ConnectionListener | null, listener?: ConnectionListener): Server {
    return new ServerClass(options, listener);
  }
  return {
    _normalizeArgs: normalizeArguments as Net['_normalizeArgs'],
    _setSimultaneousAccepts: setSimultaneousAccepts,
    BlockList,
    SocketAddress,
    connect,
    createConnection: connect,
    createServer,
    isIP,
    isIPv4,
    isIPv6,
    Server: ServerClass,
    Socket: SocketClass,
    Stream: SocketClass,
    getDefaultAutoSelectFamily,
    setDefaultAutoSelectFamily,
    getDefaultAutoSelectFamilyAttemptTimeout,
    setDefaultAutoSelectFamilyAttemptTimeout,
  };
}

/** `net` on the default host. */
export const net: Net = createNet(null);

export {
  BlockList,
  getDefaultAutoSelectFamily,
  getDefaultAutoSelectFamilyAttemptTimeout,
  isIP,
  isIPv4,
  isIPv6,
  normalizeArguments as _normalizeArgs,
  Server,
  Socket,
  Socket as Stream,
  SocketAddress,
  setDefaultAutoSelectFamily,
  setDefaultAutoSelectFamilyAttemptTimeout,
  setSimultaneousAccepts as _setSimultaneousAccepts,
};
/** Opens a connection; a failure is the socket's 'error'. @throws TypeError or RangeError for bad arguments, as Node's */
export const connect = net.connect;
/** Another name of `connect`. */
export const createConnection = net.createConnection;
/** Makes a server of sockets. @throws TypeError for bad options, as Node's */
export const createServer = net.createServer;
