import type * as NodeHttp from 'node:http';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import type { ProxyServer, Route } from '../session-types';
import { type CertificateVerifyProc, decide } from './certificates';
import { type DialContext, type Dialed, dialProxy, dialSocks, dialTunnel, type RealProxy, watchOver } from './dial';
import { proxyKey } from './proxy-rules';
import { routeError } from './route-error';

/** Chromium's numbers: to one host, and through one proxy. */
const SOCKETS_PER_HOST = 6;
const SOCKETS_PER_PROXY = 32;
/** So many routes are kept; a session that goes through more proxies than that makes them anew. */
const ROUTES_MAX = 64;

/** What routes need of their session, beside what dialing needs. */
export interface RouteContext extends DialContext {
  readonly offline: boolean;
  readonly verifyProc: CertificateVerifyProc | null;
  /** A connection begins; for the emulated link. */
  opened(socket: Duplex): void;
}

/** What an agent is asked for a connection with. */
interface ConnectOptions extends Record<string, unknown> {
  host: string;
  port: number | string;
  servername?: string;
}

/** Node's types say less than its agents do. */
type Connecting = Omit<NodeHttp.Agent, 'createConnection' | 'getName'> & {
  createConnection(options: ConnectOptions, callback: Dialed): Duplex | undefined;
  getName(options?: object): string;
  _getSession?(key: string): unknown;
  _cacheSession?(key: string, session: unknown): void;
  _evictSession?(key: string): void;
};

/** The agents of a session: one for each protocol and proxy. */
export class Routes {
  private readonly routes = new Map<string, Route>();

  constructor(private readonly context: RouteContext) {}

  /** The way to a URL through a proxy, or direct. */
  to(url: URL, proxy: ProxyServer): Route {
    const secured = url.protocol === 'https:';
    const key = `${url.protocol} ${proxyKey(proxy)}`;
    let route = this.routes.get(key);
    if (route === undefined) {
      route = secured ? this.secured(proxy) : this.plain(proxy);
      if (this.routes.size >= ROUTES_MAX) this.forgetOldest();
      this.routes.set(key, route);
    }
    return route;
  }

  /** Ends all connections, those in the making too. New requests get new agents. */
  close(): void {
    for (const { agent } of this.routes.values()) agent.destroy();
    this.routes.clear();
    for (const socket of this.context.pending) socket.destroy(routeError('ERR_ABORTED', 'all connections are closed'));
  }

  /** Idle connections end and are not used again; those in use serve to their end. */
  renew(): void {
    for (const { agent } of this.routes.values()) retire(agent);
    this.routes.clear();
  }

  private forgetOldest(): void {
    const [key, route] = this.routes.entries().next().value!;
    this.routes.delete(key);
    retire(route.agent);
  }

  // ── http: ──

  private plain(proxy: ProxyServer): Route {
    const { context } = this;
    const direct = proxy.type === 'direct';
    const socks = proxy.type === 'socks4' || proxy.type === 'socks5';
    const absoluteForm = !direct && !socks;
    const maxSockets = absoluteForm ? SOCKETS_PER_PROXY : SOCKETS_PER_HOST;
    const agent = new context.modules.http.Agent({ keepAlive: true, maxSockets }) as unknown as Connecting;
    const usual = agent.createConnection;
    agent.createConnection = (options, callback) => {
      if (context.offline) return failSoon(callback);
      if (direct) return this.opened(usual.call(agent, options, callback) as Duplex);
      if (absoluteForm) dialProxy(context, proxy, this.opening(callback));
      else dialSocks(context, proxy, destinationOf(options), this.opening(callback));
      return undefined;
    };
    // One connection to a proxy serves all origins.
    if (absoluteForm) agent.getName = () => proxyKey(proxy);
    return { agent: agent as unknown as NodeHttp.Agent, absoluteForm };
  }

  // ── https: ──

  private secured(proxy: ProxyServer): Route {
    const { context } = this;
    const agent = new context.modules.https.Agent({
      keepAlive: true,
      maxSockets: SOCKETS_PER_HOST,
    }) as unknown as Connecting;
    agent.createConnection = (options, callback) => {
      if (context.offline) return failSoon(callback);
      if (proxy.type === 'direct') {
        const { host, port } = options;
        const socket = context.modules.net.connect({ ...below(options), host, port: Number(port) });
        this.opened(socket);
        return this.secure(agent, socket, options, callback);
      }
      const dial = proxy.type === 'socks4' || proxy.type === 'socks5' ? dialSocks : dialTunnel;
      dial(context, proxy as RealProxy, destinationOf(options), (error, socket) => {
        if (error !== null) return callback(error);
        this.opened(socket!);
        const made = this.secure(agent, socket!, options, callback);
        if (made !== undefined) callback(null, made);
      });
      return undefined;
    };
    return { agent: agent as unknown as NodeHttp.Agent, absoluteForm: false };
  }

  /** TLS on a connection. Undefined: the callback gets it, once a procedure has had its say. */
  private secure(agent: Connecting, socket: Duplex, options: ConnectOptions, callback: Dialed): TLSSocket | undefined {
    const { context } = this;
    const { verifyProc } = context;
    const key = options['_agentKey'] as string | undefined;
    const session = key === undefined ? undefined : agent._getSession?.(key);
    const secured = context.modules.tls.connect({
      ...(session === undefined ? {} : { session: session as Buffer }),
      ...context.tls,
      ...options,
      ...(verifyProc === null ? {} : { rejectUnauthorized: false }),
      ALPNProtocols: ['http/1.1'],
      path: undefined,
      port: Number(options.port),
      socket,
    });
    // What ends below ends above, and no connection stays behind a TLS that failed.
    secured.once('close', () => socket.destroy());
    if (key !== undefined) {
      secured.on('session', (fresh) => agent._cacheSession?.(key, fresh));
      secured.once('close', (failed: unknown) => {
        if (failed) agent._evictSession?.(key);
      });
    }
    if (verifyProc === null) return secured;
    this.askProcedure(verifyProc, secured, options, callback);
    return undefined;
  }

  private askProcedure(
    proc: CertificateVerifyProc,
    secured: TLSSocket,
    options: ConnectOptions,
    callback: Dialed,
  ): void {
    const stop = watchOver(this.context, secured, (error) => callback(error!));
    secured.once('secureConnect', () => {
      decide(proc, secured, options.servername || options.host, (error) => {
        if (!stop()) return;
        if (error === null) {
          callback(null, secured);
          return;
        }
        secured.on('error', () => {});
        secured.destroy();
        callback(error);
      });
    });
  }

  private opened<T extends Duplex>(socket: T): T {
    this.context.opened(socket);
    return socket;
  }

  private opening(callback: Dialed): Dialed {
    return (error, socket) => callback(error, socket === undefined ? undefined : this.opened(socket));
  }
}

const destinationOf = ({ host, port }: ConnectOptions): { host: string; port: number } => ({
  host,
  port: Number(port),
});

/** What of a secured connection's options concerns the one below. */
function below(options: ConnectOptions): object {
  const { localAddress, family, lookup, autoSelectFamily, noDelay = true, keepAlive, keepAliveInitialDelay } = options;
  const wanted = { localAddress, family, lookup, autoSelectFamily, noDelay, keepAlive, keepAliveInitialDelay };
  return Object.fromEntries(Object.entries(wanted).filter(([, value]) => value !== undefined));
}

function failSoon(callback: Dialed): undefined {
  process.nextTick(callback, routeError('ERR_INTERNET_DISCONNECTED', 'the session is emulated to be offline'));
  return undefined;
}

/** Its idle connections end now, the others after their exchange. */
function retire(agent: NodeHttp.Agent): void {
  (agent as { keepAlive?: boolean }).keepAlive = false;
  for (const list of Object.values(agent.freeSockets)) for (const socket of [...(list ?? [])]) socket.destroy();
}
