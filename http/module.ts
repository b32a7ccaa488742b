import type * as NodeNet from 'node:net';
import type { Net } from '../net';
import { type Agent, agentClass } from './agent';
import { type ClientRequest, clientRequestClass } from './client-request';
import { debugHttp } from './debug';
import { METHODS as ALL_METHODS, METHOD_PROTOCOLS, PROTOCOL_HTTP } from './grammar';
import { IncomingMessage } from './incoming';
import { maxHeaderSize } from './options';
import { OutgoingMessage } from './outgoing';
import { checkProfile, defaultProfile, type HttpProfile, type HttpProfileName, PROFILES } from './profiles';
import { setIdleReadersMax } from './reader-pool';
import { asGet, type RequestOptions, type ResponseListener } from './request-options';
import { connectionListener, type RequestListener, type Server, type ServerOptions, serverClass } from './server';
import { ServerResponse } from './server-response';
import { STATUS_CODES } from './status-codes';
import './trailers';
import { validateHeaderName, validateHeaderValue, validateInteger } from './validators';

/** The net module that HTTP runs on, as Node types it. */
export type NetModule = Pick<typeof NodeNet, 'Server' | 'Socket' | 'createConnection' | 'isIP'>;

/** What the parser takes in HTTP, in alphabetical order. PRI only announces HTTP/2. */
const METHODS = ALL_METHODS.filter((name, i) => METHOD_PROTOCOLS[i]! & PROTOCOL_HTTP && name !== 'PRI').sort();

/** How many readers are kept for further connections. @throws RangeError ERR_OUT_OF_RANGE */
function setMaxIdleHTTPParsers(max: number): void {
  validateInteger(max, 'max', 1);
  setIdleReadersMax(max);
}

function makeHttp(net: NetModule, profile: HttpProfile) {
  const AgentClass = agentClass(net);
  const environment = {
    createConnection: net.createConnection as (options: object) => unknown,
    globalAgent: new AgentClass(profile.globalAgent),
    profile,
  };
  const ServerClass = serverClass(net.Server, profile);
  const ClientRequestClass = clientRequestClass(environment);

  /** Sends a request; the response comes as an event. @throws TypeError, RangeError for what cannot be sent */
  function request(url: unknown, options?: unknown, listener?: unknown): ClientRequest {
    return new ClientRequestClass(url, options, listener);
  }
  /** Sends a request without a body. */
  function get(url: unknown, options?: unknown, listener?: unknown): ClientRequest {
    const made = profile.getHonoursMethod ? request(url, options, listener) : request(...asGet(url, options, listener));
    made.end();
    return made;
  }
  /** A server that calls `listener` for every request. @throws TypeError, RangeError for options that make no sense */
  function createServer(options?: ServerOptions | RequestListener, listener?: RequestListener): Server {
    return new ServerClass(options, listener);
  }

  const http = {
    _connectionListener: connectionListener,
    METHODS,
    STATUS_CODES,
    Agent: AgentClass,
    ClientRequest: ClientRequestClass,
    IncomingMessage,
    OutgoingMessage,
    Server: ServerClass,
    ServerResponse,
    createServer,
    validateHeaderName,
    validateHeaderValue,
    get: get as Request,
    request: request as Request,
    setMaxIdleHTTPParsers,
  };
  Object.defineProperty(http, 'maxHeaderSize', { get: () => maxHeaderSize, enumerable: true, configurable: true });
  Object.defineProperty(http, 'globalAgent', {
    get: () => environment.globalAgent,
    set: (agent: Agent) => {
      environment.globalAgent = agent;
    },
    enumerable: true,
    configurable: true,
  });
  return http as typeof http & { readonly maxHeaderSize: number; globalAgent: Agent };
}

/** `http.request` and `http.get`. */
export interface Request {
  (url: string | URL | RequestOptions, listener?: ResponseListener): ClientRequest;
  (url: string | URL, options: RequestOptions, listener?: ResponseListener): ClientRequest;
}

/** What `require('http')` gives, over another stack. */
export type HttpModule = ReturnType<typeof makeHttp>;

/** How a module of HTTP is to behave. */
export interface HttpOptions {
  /** Where Node's versions differ: PROFILES. Default: TAPWIRE_HTTP of the environment, else 'node20'. */
  profile?: HttpProfileName;
}

const modules = new WeakMap<object, Map<string, HttpModule>>();

/**
 * The module `http` on a net module, that of a host of ours or any with the same classes; always the same for the same one.
 * @throws RangeError for a profile that does not exist
 */
export function createHttp(netModule: Net | NetModule, options: HttpOptions = {}): HttpModule {
  const net = netModule as NetModule;
  debugHttp();
  const profile = options.profile === undefined ? defaultProfile() : checkProfile(options.profile);
  let made = modules.get(net);
  if (made === undefined) {
    made = new Map();
    modules.set(net, made);
  }
  let http = made.get(profile);
  if (http === undefined) {
    http = makeHttp(net, PROFILES[profile]);
    made.set(profile, http);
  }
  return http;
}
