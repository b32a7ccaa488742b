import type * as NodeNet from 'node:net';
import { METHODS as ALL_METHODS } from './grammar';
import { IncomingMessage } from './incoming';
import { maxHeaderSize } from './options';
import { OutgoingMessage } from './outgoing';
import { setIdleReadersMax } from './reader-pool';
import { connectionListener, type RequestListener, type Server, type ServerOptions, serverClass } from './server';
import { ServerResponse } from './server-response';
import { STATUS_CODES } from './status-codes';
import './trailers';
import { validateHeaderName, validateHeaderValue, validateInteger } from './validators';

/** The net module that HTTP runs on: that of a host of ours, or any with the same classes. */
export type NetModule = Pick<typeof NodeNet, 'Server' | 'Socket' | 'createConnection' | 'isIP'>;

/** The module `http` on a net module: what `require('http')` gives, over another stack. */
export function createHttp(net: NetModule) {
  const ServerClass = serverClass(net.Server);

  const http = {
    _connectionListener: connectionListener,
    METHODS: [...ALL_METHODS].filter((name) => name !== 'PRI').sort(),
    STATUS_CODES,
    IncomingMessage,
    OutgoingMessage,
    Server: ServerClass,
    ServerResponse,
    /** A server that calls `listener` for every request. @throws TypeError, RangeError for options that make no sense */
    createServer(options?: ServerOptions | RequestListener, listener?: RequestListener): Server {
      return new ServerClass(options, listener);
    },
    validateHeaderName,
    validateHeaderValue,
    /** How many readers are kept for further connections. */
    setMaxIdleHTTPParsers(max: number): void {
      validateInteger(max, 'max', 1);
      setIdleReadersMax(max);
    },
  };
  Object.defineProperty(http, 'maxHeaderSize', { get: () => maxHeaderSize, enumerable: true, configurable: true });
  return http as typeof http & { readonly maxHeaderSize: number };
}

export type HttpModule = ReturnType<typeof createHttp>;
