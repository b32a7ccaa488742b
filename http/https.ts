import { EventEmitter } from 'node:events';
import { urlToHttpOptions } from 'node:url';
import { promisify } from 'node:util';
import type { Net } from '../net';
import type { Agent, AgentConstructor, AgentOptions, ConnectionOptions } from './agent';
import type { ClientRequest } from './client-request';
import { type Constructor, inherit, methods } from './construct';
import { createHttp, type HttpOptions, type NetModule, type Request } from './module';
import { checkProfile, defaultProfile, type HttpProfile, type HttpProfileName, PROFILES } from './profiles';
import { asGet, isUrl } from './request-options';
import {
  answerRejection,
  beforeClose,
  beginChecking,
  connectionListener,
  initializeServing,
  type RequestListener,
  type Server,
  type ServerOptions,
  servingMethods,
  storeOptions,
} from './server';
import { createTls, type TlsModule } from './tls';
import { validateObject } from './validators';

/** An agent for secured connections; remembers TLS sessions, so that later connections are cheaper. */
export interface HttpsAgent extends Agent {
  maxCachedSessions: number;
  _sessionCache: { map: Record<string, unknown>; list: string[] };
  _getSession(key: string): unknown;
  _cacheSession(key: string, session: unknown): void;
  _evictSession(key: string): void;
}

/** Options that make a connection another one, in Node's order; `getName` shows them all. */
const NAMED = [
  'ca',
  'cert',
  'clientCertEngine',
  'ciphers',
  'key',
  'pfx',
  'rejectUnauthorized',
  'servername',
  'minVersion',
  'maxVersion',
  'secureProtocol',
  'crl',
  'honorCipherOrder',
  'ecdhCurve',
  'dhparam',
  'secureOptions',
  'sessionIdContext',
  'sigalgs',
  'privateKeyIdentifier',
  'privateKeyEngine',
] as const;

/** Those that count even when they are false or 0. */
const ALWAYS = new Set<string>(['rejectUnauthorized', 'honorCipherOrder', 'secureOptions']);

function secureName(options: ConnectionOptions): string {
  let name = '';
  for (const field of NAMED) {
    const value = options[field];
    const given = ALWAYS.has(field) ? value !== undefined : Boolean(value);
    const shown = given && !(field === 'servername' && value === options.host);
    name += `:${shown ? (field === 'sigalgs' ? JSON.stringify(value) : value) : ''}`;
  }
  return name;
}

/** The arguments of `createConnection`: options, or port and host before them. */
function connectionOptions(port: unknown, host: unknown, options: unknown): ConnectionOptions {
  if (port !== null && typeof port === 'object') return port as ConnectionOptions;
  const from = host !== null && typeof host === 'object' ? host : typeof options === 'object' ? options : {};
  const all = { ...from } as ConnectionOptions;
  if (typeof port === 'number') all.port = port;
  if (typeof host === 'string') all.host = host;
  return all;
}

function agentClass(Base: AgentConstructor, tls: TlsModule): Constructor<HttpsAgent, [options?: AgentOptions | null]> {
  const base = Base as unknown as { call(self: object, options: unknown): void; prototype: Agent };
  const Agent = function (this: HttpsAgent, options?: AgentOptions | null): unknown {
    if (!(this instanceof Agent)) return new Agent(options);
    base.call(this, options);
    this.defaultPort = 443;
    this.protocol = 'https:';
    this.maxCachedSessions = (this.options['maxCachedSessions'] as number | undefined) ?? 100;
    this._sessionCache = { map: {}, list: [] };
    return undefined;
  } as unknown as Constructor<HttpsAgent, [options?: AgentOptions | null]>;
  inherit(Agent, Base);
  methods(Agent.prototype, {
    createConnection(port: unknown, host?: unknown, given?: unknown) {
      const options = connectionOptions(port, host, given);
      const key = options['_agentKey'] as string | undefined;
      if (!key) return tls.connect(options) as never;
      const session = this._getSession(key);
      const socket = tls.connect(session ? { session, ...options } : options);
      socket.on('session', (fresh) => this._cacheSession(key, fresh));
      // A session that led to an error may be why.
      socket.once('close', (failed) => {
        if (failed) this._evictSession(key);
      });
      return socket as never;
    },

    getName(options: ConnectionOptions = {}) {
      return base.prototype.getName.call(this, options) + secureName(options);
    },

    _getSession(key: string) {
      return this._sessionCache.map[key];
    },

    _cacheSession(key: string, session: unknown) {
      const { map, list } = this._sessionCache;
      if (this.maxCachedSessions === 0) return;
      if (!map[key]) {
        if (list.length >= this.maxCachedSessions) delete map[list.shift()!];
        list.push(key);
      }
      map[key] = session;
    },

    _evictSession(key: string) {
      const { map, list } = this._sessionCache;
      const at = list.indexOf(key);
      if (at < 0) return;
      list.splice(at, 1);
      delete map[key];
    },
  });
  return Agent;
}

type ServerConstructor = Constructor<Server, [options?: unknown, listener?: unknown]>;

function serverClass(tls: TlsModule, profile: HttpProfile): ServerConstructor {
  const base = tls.Server as unknown as {
    call(self: object, options: object, listener: unknown): void;
    prototype: Record<string | symbol, (...args: unknown[]) => unknown>;
  };
  const Server = function (this: Server, options?: unknown, listener?: unknown): unknown {
    if (!(this instanceof Server)) return new Server(options, listener);
    if (typeof options === 'function') {
      listener = options;
      options = {};
    } else if (options == null) {
      options = {};
    } else {
      validateObject(options, 'options');
    }
    const given = options as ServerOptions & { ALPNProtocols?: unknown; ALPNCallback?: unknown };
    storeOptions(this, given);
    const ALPNProtocols = given.ALPNProtocols || given.ALPNCallback ? undefined : ['http/1.1'];
    base.call(this, { noDelay: true, ALPNProtocols, ...given }, connectionListener);
    initializeServing(this, given, listener, profile);
    this.on('tlsClientError', ((error: Error, socket: { destroy(error: Error): void }) => {
      if (!this.emit('clientError', error, socket)) socket.destroy(error);
    }) as never);
    this.on('listening', beginChecking as never);
    return undefined;
  } as unknown as ServerConstructor;
  inherit(Server, tls.Server);
  Object.assign(Server.prototype, servingMethods);
  methods(Server.prototype, {
    close(...args: unknown[]) {
      beforeClose(this);
      Reflect.apply(base.prototype['close']!, this, args);
      return this;
    },
  });
  const symbols = Server.prototype as unknown as Record<symbol, unknown>;
  const rejected = base.prototype[EventEmitter.captureRejectionSymbol]!;
  symbols[EventEmitter.captureRejectionSymbol] = function (this: Server, error: Error, event: string, ...a: unknown[]) {
    answerRejection.call(this, rejected, error, event, ...a);
  };
  symbols[Symbol.asyncDispose] = async function (this: Server): Promise<void> {
    await promisify(this.close as (callback: (error?: Error) => void) => void).call(this);
  };
  return Server;
}

function makeHttps(net: NetModule, name: HttpProfileName) {
  const profile = PROFILES[name];
  const http = createHttp(net, { profile: name });
  const tls = createTls(net);
  const AgentClass = agentClass(http.Agent, tls);
  const ServerClass = serverClass(tls, profile);
  let globalAgent: HttpsAgent = new AgentClass(profile.globalAgent);

  /** Sends a request over TLS. @throws TypeError, RangeError for what cannot be sent */
  function request(...args: unknown[]): ClientRequest {
    let options: Record<string, unknown> = {};
    if (typeof args[0] === 'string') options = urlToHttpOptions(new URL(args.shift() as string)) as never;
    else if (isUrl(args[0])) options = urlToHttpOptions(args.shift() as URL) as never;
    if (args[0] && typeof args[0] !== 'function') Object.assign(options, args.shift());
    options['_defaultAgent'] = globalAgent;
    return new http.ClientRequest(options, ...args);
  }
  /** Sends a request without a body over TLS. */
  function get(first?: unknown, second?: unknown, third?: unknown): ClientRequest {
    const made = profile.getHonoursMethod ? request(first, second, third) : request(...asGet(first, second, third));
    made.end();
    return made;
  }

  const https = {
    Agent: AgentClass,
    get globalAgent(): HttpsAgent {
      return globalAgent;
    },
    set globalAgent(agent: HttpsAgent) {
      globalAgent = agent;
    },
    Server: ServerClass,
    /** A server that calls `listener` for every request. @throws TypeError, RangeError for options that make no sense */
    createServer: (options?: object | RequestListener, listener?: RequestListener): Server =>
      new ServerClass(options, listener),
    get: get as Request,
    request: request as Request,
  };
  return { https, tls };
}

/** What `require('https')` gives, over another stack. */
export type HttpsModule = ReturnType<typeof makeHttps>['https'];

const modules = new WeakMap<object, Map<string, ReturnType<typeof makeHttps>>>();

function modulesFor(net: NetModule, options: HttpOptions): ReturnType<typeof makeHttps> {
  const profile = options.profile === undefined ? defaultProfile() : checkProfile(options.profile);
  let byProfile = modules.get(net);
  if (byProfile === undefined) {
    byProfile = new Map();
    modules.set(net, byProfile);
  }
  let made = byProfile.get(profile);
  if (made === undefined) {
    made = makeHttps(net, profile);
    byProfile.set(profile, made);
  }
  return made;
}

/**
 * The module `https` on a net module, always the same for the same one.
 * @throws RangeError for a profile that does not exist
 */
export const createHttps = (net: Net | NetModule, options: HttpOptions = {}): HttpsModule =>
  modulesFor(net as NetModule, options).https;

/** What of the module `tls` differs on a net module; the rest is Node's. */
export const tlsOf = (net: NetModule): TlsModule => modulesFor(net, {}).tls;
