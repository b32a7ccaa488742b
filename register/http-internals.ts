import type { Agent } from '../http/agent';
import { IncomingMessage } from '../http/incoming';
import type { HttpModule } from '../http/module';
import { OutgoingMessage } from '../http/outgoing';
import { CHUNKED } from '../http/outgoing-head';
import { idleReadersMax, setIdleReadersMax } from '../http/reader-pool';
import {
  beforeClose,
  beginChecking,
  connectionListener,
  kConnectionsCheckingInterval,
  storeOptions,
  uniqueHeadersOf,
} from '../http/server';
import { ServerResponse } from '../http/server-response';
import { STATUS_CODES } from '../http/status-codes';
import type { MessageSocket } from '../http/transport';
import { hasInvalidChar, isToken, validateHeaderName, validateHeaderValue } from '../http/validators';

function readStart(socket: MessageSocket | null): void {
  if (socket && !socket._paused && socket.readable) socket.resume();
}

function readStop(socket: MessageSocket | null): void {
  socket?.pause();
}

/**
 * Node's `_http_*` modules, old names under which programs still reach the classes of `http`: what ours are to be patched
 * with, by module.
 */
export function httpInternals(http: HttpModule): Record<string, object> {
  const agent = { Agent: http.Agent };
  Object.defineProperty(agent, 'globalAgent', {
    get: () => http.globalAgent,
    set: (value: Agent) => {
      http.globalAgent = value;
    },
    enumerable: true,
  });
  return {
    _http_agent: agent,
    _http_client: { ClientRequest: http.ClientRequest },
    _http_common: {
      _checkInvalidHeaderChar: hasInvalidChar,
      _checkIsHttpToken: isToken,
      chunkExpression: CHUNKED,
      parsers: {
        get max(): number {
          return idleReadersMax();
        },
        set max(max: number) {
          setIdleReadersMax(max);
        },
      },
    },
    _http_incoming: { IncomingMessage, readStart, readStop },
    _http_outgoing: {
      OutgoingMessage,
      parseUniqueHeadersOption: uniqueHeadersOf,
      validateHeaderName,
      validateHeaderValue,
    },
    _http_server: {
      _connectionListener: connectionListener,
      httpServerPreClose: beforeClose,
      kConnectionsCheckingInterval,
      Server: http.Server,
      ServerResponse,
      setupConnectionsTracking: beginChecking,
      STATUS_CODES,
      storeHTTPOptions(this: never, options: object): void {
        storeOptions(this, options);
      },
    },
  };
}
