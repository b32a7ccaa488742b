import type * as NodeHttp from 'node:http';
import { isIP, type Socket, SocketAddress } from 'node:net';
import type { Duplex } from 'node:stream';
import { PATIENT, wasHasty } from '../patience';
import type { ElectronModules, ProxyServer, RouteError } from '../session-types';
import { type Attempt, abandon, type Dialed } from './attempt';
import { bracketed, type ProxyLogin, proxyKey } from './proxy-rules';
import { routeError } from './route-error';
import { Socks4, Socks5, type SocksHandshake, type SocksStep, type SocksTarget } from './socks';

/** A proxy that is one. */
export type RealProxy = Exclude<ProxyServer, { type: 'direct' }>;

/** Where a connection is to end. `host` has no brackets. */
export interface Destination {
  readonly host: string;
  readonly port: number;
}

/** What a session knows that dialing needs. */
export interface DialContext {
  readonly modules: ElectronModules;
  /** Options of every TLS connection: `ca`, say. */
  readonly tls: Readonly<Record<string, unknown>>;
  /** Connections in the making; `closeAllConnections` ends them. */
  readonly pending: Set<Attempt>;
  loginOf(proxy: RealProxy): ProxyLogin | undefined;
  /** The Proxy-Authorization of a CONNECT, when one is known. */
  authorizeConnect(proxy: RealProxy, destination: Destination): { value: string; credentials: ProxyLogin } | undefined;
  readonly userAgent: string;
}

const unreachable = (proxy: RealProxy, cause: Error): RouteError =>
  routeError('ERR_PROXY_CONNECTION_FAILED', `${proxyKey(proxy)} cannot be reached: ${cause.message}`, { cause });

/** A connection to a proxy; with TLS, to one that speaks that. Fails with ERR_PROXY_CONNECTION_FAILED. */
export function dialProxy(
  context: DialContext,
  attempt: Attempt,
  proxy: RealProxy,
  done: Dialed,
  patience: object = {},
): void {
  const { host, port, type } = proxy;
  const { modules } = context;
  const secured = type === 'https';
  // TLS has no names for addresses.
  const socket: Duplex = secured
    ? modules.tls.connect({
        ...context.tls,
        ...patience,
        host,
        port,
        servername: isIP(host) ? '' : host,
        ALPNProtocols: ['http/1.1'],
      })
    : modules.net.connect({ ...patience, host, port, noDelay: true });
  const stop = attempt.watch(socket, (error) => {
    abandon(socket);
    if (patience !== PATIENT && wasHasty(error)) attempt.run(() => dialProxy(context, attempt, proxy, done, PATIENT));
    else done(unreachable(proxy, error));
  });
  socket.once(secured ? 'secureConnect' : 'connect', () => {
    if (stop()) done(null, socket);
  });
}

// ── SOCKS ──

function socksTarget({ host, port }: Destination): SocksTarget {
  const family = isIP(host) as 0 | 4 | 6;
  return { host, port, address: family === 0 ? null : { family, bytes: addressBytes(host, family) } };
}

function addressBytes(host: string, family: 4 | 6): Uint8Array {
  if (family === 4) return Uint8Array.from(host.split('.').map(Number));
  // In canonical form: eight groups, one run of zeros left out at most.
  const { address } = new SocketAddress({ address: host, family: 'ipv6' });
  const text = address.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, a, b, c, d) =>
    [Number(a) * 256 + Number(b), Number(c) * 256 + Number(d)].map((group) => group.toString(16)).join(':'),
  );
  const [before, after] = text.split('::').map((part) => (part === '' ? [] : part.split(':')));
  const middle = new Array<string>(8 - before!.length - (after?.length ?? 0)).fill('0');
  const groups = [...before!, ...middle, ...(after ?? [])].map((group) => Number.parseInt(group, 16));
  return Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 0xff]));
}

/** A connection to `destination` through a SOCKS server. */
export function dialSocks(
  context: DialContext,
  attempt: Attempt,
  proxy: RealProxy,
  destination: Destination,
  done: Dialed,
): void {
  const target = socksTarget(destination);
  const handshake = proxy.type === 'socks4' ? new Socks4(target) : new Socks5(target, context.loginOf(proxy));
  dialProxy(context, attempt, proxy, (error, socket) => {
    if (error !== null) done(error);
    else shakeHands(attempt, socket!, handshake, done);
  });
}

function shakeHands(attempt: Attempt, socket: Duplex, handshake: SocksHandshake, done: Dialed): void {
  const finish = (error: Error | null): void => {
    socket.off('readable', onReadable);
    if (error !== null) {
      abandon(socket);
      done(error);
    } else {
      // Only then does the stream know that nobody listens, and flow for whoever listens next.
      process.nextTick(done, null, socket);
    }
  };
  const stop = attempt.watch(socket, (error) =>
    finish(routeError('ERR_SOCKS_CONNECTION_FAILED', `SOCKS: ${error.message}`, { cause: error })),
  );
  const act = (step: SocksStep): void => {
    if (step.do === 'send') {
      socket.write(step.bytes);
    } else if (step.do === 'done') {
      if (!stop()) return;
      finish(null);
      if (step.rest.length > 0) socket.unshift(step.rest);
    } else if (step.do === 'fail' && stop()) {
      finish(routeError(step.failure.code, step.failure.message));
    }
  };
  const onReadable = (): void => {
    const bytes = socket.read() as Uint8Array | null;
    if (bytes !== null) act(handshake.take(bytes));
  };
  socket.on('readable', onReadable);
  act(handshake.begin());
}

// ── CONNECT ──

/** A connection to `destination` through an HTTP proxy's CONNECT (RFC 9110 §9.3.6). */
export function dialTunnel(
  context: DialContext,
  attempt: Attempt,
  proxy: RealProxy,
  destination: Destination,
  done: Dialed,
): void {
  dialProxy(context, attempt, proxy, (error, socket) => {
    if (error !== null) done(error);
    else askForTunnel(context, attempt, proxy, destination, socket!, done);
  });
}

function askForTunnel(
  context: DialContext,
  attempt: Attempt,
  proxy: RealProxy,
  destination: Destination,
  socket: Duplex,
  done: Dialed,
): void {
  const authority = `${bracketed(destination.host)}:${destination.port}`;
  const headers: Record<string, string> = {
    Host: authority,
    'Proxy-Connection': 'keep-alive',
    Connection: 'keep-alive',
  };
  if (context.userAgent !== '') headers['User-Agent'] = context.userAgent;
  const failed = (message: string, more: Partial<RouteError>): void => {
    abandon(socket);
    done(routeError('ERR_TUNNEL_CONNECTION_FAILED', message, more));
  };
  let request: NodeHttp.ClientRequest;
  let sent: ReturnType<DialContext['authorizeConnect']>;
  try {
    sent = context.authorizeConnect(proxy, destination);
    if (sent !== undefined) headers['Proxy-Authorization'] = sent.value;
    request = context.modules.http.request({
      method: 'CONNECT',
      host: proxy.host,
      port: proxy.port,
      path: authority,
      headers,
      createConnection: () => socket as Socket,
    });
  } catch (error) {
    failed((error as Error).message, { cause: error });
    return;
  }
  const stop = attempt.watch(socket, (error) => failed(error.message, { cause: error }));
  request.on('error', (error) => {
    if (stop()) failed(error.message, { cause: error });
  });
  request.on('connect', (response, tunnel, head) => {
    if (!stop()) return;
    const { statusCode = 0, statusMessage = '', rawHeaders } = response;
    if (statusCode < 200 || statusCode > 299) {
      const refusal = { statusCode, statusMessage, rawHeaders, sent };
      failed(`${proxyKey(proxy)} answers CONNECT ${authority} with ${statusCode} ${statusMessage}`, { refusal });
      return;
    }
    if (head.length > 0) tunnel.unshift(head);
    done(null, tunnel);
  });
  request.end();
}
