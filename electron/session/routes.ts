import type * as NodeHttp from 'node:http';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import type { ProxyServer, Route } from '../session-types';
import { type Attempt, abandon, type Dialed } from './attempt';
import type { CertificateVerdicts, CertificateVerifyProc } from './certificates';
import { type DialContext, dialProxy, dialSocks, dialTunnel, type RealProxy } from './dial';
import { type Connecting, type ConnectOptions, Making } from './making';
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
  /** What it decided before. */
  readonly verdicts: CertificateVerdicts;
  /** A connection begins; for the emulated link. */
  opened(socket: Duplex): void;
}

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
    for (const attempt of [...this.context.pending]) {
      attempt.cancel(routeError('ERR_ABORTED', 'all connections are closed'));
    }
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
    const making = new Making(agent, context.pending);
    const usual = agent.createConnection;
    agent.createConnection = (options, callback) => {
      if (context.offline) return failSoon(callback);
      if (direct) return this.opened(usual.call(agent, options, callback) as Duplex);
      making.begin(options, this.opening(callback), (attempt) => {
        if (absoluteForm) dialProxy(context, attempt, proxy, attempt.finish);
        else dialSocks(context, attempt, proxy, destinationOf(options), attempt.finish);
      });
      return undefined;
    };
    // One connection to a proxy serves all origins.
    if (absoluteForm) agent.getName = () => proxyKey(proxy);
    return routeOf(agent, making, absoluteForm);
  }

  // ── https: ──

  private secured(proxy: ProxyServer): Route {
    const { context } = this;
    const agent = new context.modules.https.Agent({
      keepAlive: true,
      maxSockets: SOCKETS_PER_HOST,
    }) as unknown as Connecting;
    const making = new Making(agent, context.pending);
    agent.createConnection = (options, callback) => {
      if (context.offline) return failSoon(callback);
      if (proxy.type === 'direct') {
        making.begin(options, callback, (attempt) => this.secure(agent, attempt, this.connect(options), options));
        return undefined;
      }
      const dial = proxy.type === 'socks4' || proxy.type === 'socks5' ? dialSocks : dialTunnel;
      making.begin(options, callback, (attempt) => {
        dial(context, attempt, proxy as RealProxy, destinationOf(options), (error, socket) => {
          if (error !== null) attempt.finish(error);
          else attempt.run(() => this.secure(agent, attempt, this.opened(socket!), options));
        });
      });
      return undefined;
    };
    return routeOf(agent, making, false);
  }

  private connect(options: ConnectOptions): Duplex {
    const { host, port } = options;
    return this.opened(this.context.modules.net.connect({ ...below(options), host, port: Number(port) }));
  }

  /** TLS on a connection. Any certificate will do at first where a procedure has its say about it. */
  private tlsOn(agent: Connecting, socket: Duplex, options: ConnectOptions, anyCertificate: boolean): TLSSocket {
    const { context } = this;
    const key = options['_agentKey'] as string | undefined;
    const session = key === undefined ? undefined : agent._getSession?.(key);
    const secured = context.modules.tls.connect({
      ...(session === undefined ? {} : { session: session as Buffer }),
      ...context.tls,
      ...options,
      ...(anyCertificate ? { rejectUnauthorized: false } : {}),
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
    return secured;
  }

  /** TLS with an origin, on a connection of the session's or on what a proxy made: the attempt's last step. */
  private secure(agent: Connecting, attempt: Attempt, socket: Duplex, options: ConnectOptions): void {
    const { verifyProc, verdicts } = this.context;
    attempt.hold(socket);
    const secured = this.tlsOn(agent, socket, options, verifyProc !== null);
    const stop = attempt.watch(secured, attempt.finish, socket);
    const judged = (error: Error | null): void => {
      if (!stop()) return;
      if (error !== null) abandon(secured);
      attempt.finish(error, secured);
    };
    secured.once('secureConnect', () => {
      if (verifyProc === null) judged(null);
      else verdicts.decide(verifyProc, secured, options.servername || options.host, judged);
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

const routeOf = (agent: Connecting, making: Making, absoluteForm: boolean): Route => ({
  agent: agent as unknown as NodeHttp.Agent,
  absoluteForm,
  cancel: (request) => making.cancel(request),
});

const destinationOf = ({ host, port }: ConnectOptions): { host: string; port: number } => ({
  host,
  port: Number(port),
});

/** What of a secured connection's options concerns the one below. */
function below(options: ConnectOptions): object {
  const { localAddress, family, lookup, noDelay = true, keepAlive, keepAliveInitialDelay } = options;
  const { autoSelectFamily, autoSelectFamilyAttemptTimeout } = options;
  const choosing = { autoSelectFamily, autoSelectFamilyAttemptTimeout };
  const wanted = { localAddress, family, lookup, ...choosing, noDelay, keepAlive, keepAliveInitialDelay };
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
