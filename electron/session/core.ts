import { isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import { netError, netErrorCode } from '../errors';
import type {
  AuthChallenge,
  Authorization,
  AuthRequest,
  AuthTarget,
  CookieContext,
  Credentials,
  ElectronModules,
  ProxyServer,
  RequestSession,
  ResolvedEndpoint,
  Route,
  TrackedRequest,
} from '../session-types';
import { WebRequest } from '../web-request';
import type { Attempt } from './attempt';
import { AuthCache } from './auth-cache';
import { CertificateVerdicts, type CertificateVerifyProc } from './certificates';
import { chooseChallenge } from './challenges';
import type { Cookies } from './cookies';
import type { Destination, RealProxy } from './dial';
import { type EmulatedLink, Emulation } from './emulation';
import { bracketed, type ProxyLogin } from './proxy-rules';
import { ProxySettings } from './proxy-settings';
import { type RouteContext, Routes } from './routes';
import { type SSLConfig, tlsOptionsOf } from './ssl-config';
import { defaultUserAgent } from './user-agent';

/** The inner face of a session: what requests and agents ask of it. */
export class SessionCore implements RequestSession, RouteContext {
  userAgent = defaultUserAgent();
  acceptLanguage = '';
  browserHeaders = false;
  contentDecoding = true;
  verifyProc: CertificateVerifyProc | null = null;
  readonly verdicts = new CertificateVerdicts();
  readonly webRequest = new WebRequest();
  readonly auth = new AuthCache();
  readonly proxies = new ProxySettings();
  readonly emulation: Emulation;
  readonly routes: Routes;
  readonly pending = new Set<Attempt>();
  private sslOptions: Readonly<Record<string, unknown>> = {};
  private readonly underWay = new Set<TrackedRequest>();

  constructor(
    readonly modules: ElectronModules,
    readonly cookies: Cookies,
    private readonly ownTls: Readonly<Record<string, unknown>>,
    link: EmulatedLink | null,
  ) {
    this.emulation = new Emulation(link);
    this.routes = new Routes(this);
  }

  /** Options of every TLS connection: the program's, as far as `setSSLConfig` leaves them. */
  get tls(): Readonly<Record<string, unknown>> {
    return { ...this.ownTls, ...this.sslOptions };
  }

  /** @throws TypeError for what it does not know */
  setSSLConfig(config: SSLConfig): void {
    const { ciphers } = this.ownTls as { ciphers?: string };
    this.sslOptions = tlsOptionsOf(config, ciphers);
    this.routes.renew();
  }

  get offline(): boolean {
    return this.emulation.offline;
  }

  // ── cookies ──

  cookieHeader(url: URL, context: CookieContext): string | undefined {
    return this.cookies._header(url, context);
  }

  storeCookies(url: URL, setCookie: readonly string[], context: CookieContext): void {
    this.cookies._take(url, setCookie, context);
  }

  // ── proxies ──

  proxiesFor(url: URL): readonly ProxyServer[] {
    return this.proxies.proxiesFor(url);
  }

  proxyFailed(proxy: ProxyServer): void {
    this.proxies.failed(proxy);
  }

  route(url: URL, proxy: ProxyServer): Route {
    return this.routes.to(url, proxy);
  }

  loginOf(proxy: RealProxy): ProxyLogin | undefined {
    return this.proxies.loginOf(proxy);
  }

  authorizeConnect(proxy: RealProxy, destination: Destination): Authorization | undefined {
    const authority = `${bracketed(destination.host)}:${destination.port}`;
    const target: AuthTarget = { isProxy: true, protocol: `${proxy.type}:`, host: proxy.host, port: proxy.port };
    const url = new URL(`https://${authority}/`);
    return this.auth.preemptive(target, { method: 'CONNECT', url, target: authority, body: [] });
  }

  opened(socket: Duplex): void {
    this.emulation.opened(socket);
  }

  // ── authentication ──

  readChallenge(target: AuthTarget, fields: readonly string[]): AuthChallenge | undefined {
    return chooseChallenge(target, fields);
  }

  preemptiveAuthorization(target: AuthTarget, request: AuthRequest): Authorization | undefined {
    return this.auth.preemptive(target, request);
  }

  credentialsFor(challenge: AuthChallenge, rejected: Credentials | undefined): Credentials | undefined {
    return this.auth.credentialsFor(challenge, rejected);
  }

  rememberCredentials(challenge: AuthChallenge, credentials: Credentials, request: AuthRequest): void {
    this.auth.remember(challenge, credentials, request);
  }

  takeAuthenticationInfo(sent: Authorization, field: string): boolean {
    return this.auth.takeInfo(sent, field);
  }

  forgetCredentials(challenge: AuthChallenge, credentials: Credentials): void {
    this.auth.forget(challenge, credentials);
  }

  authorize(challenge: AuthChallenge, credentials: Credentials, request: AuthRequest): Authorization {
    return this.auth.authorize(challenge, credentials, request);
  }

  // ── requests under way ──

  track(request: TrackedRequest): void {
    this.underWay.add(request);
  }

  untrack(request: TrackedRequest): void {
    this.underWay.delete(request);
  }

  /** Fails what is under way and ends what is idle. */
  closeAllConnections(): void {
    for (const request of [...this.underWay]) request.fail('ERR_ABORTED');
    this.routes.close();
  }

  // ── names ──

  async resolveHost(host: string, options: ResolveHostOptions = {}): Promise<{ endpoints: ResolvedEndpoint[] }> {
    const family = familyOf(options);
    const name = String(host).replace(/^\[|\]$/g, '');
    const literal = isIP(name) as 0 | 4 | 6;
    if (literal !== 0) return { endpoints: endpointsOf([{ address: name, family: literal }], family) };
    if (this.offline) throw netError('ERR_INTERNET_DISCONNECTED');
    let found: { address: string; family: 4 | 6 }[];
    try {
      found = await this.modules.lookup(name, { family });
    } catch (error) {
      throw netError(netErrorCode(error, 'connect'), error);
    }
    return { endpoints: endpointsOf(found, family) };
  }
}

/** What `resolveHost` may be told. */
export interface ResolveHostOptions {
  queryType?: 'A' | 'AAAA';
  source?: 'any' | 'system' | 'dns' | 'mdns' | 'localOnly';
  cacheUsage?: 'allowed' | 'staleAllowed' | 'disallowed';
  secureDnsPolicy?: 'allow' | 'disable';
}

/** @throws TypeError, Error for what cannot be asked */
function familyOf({ queryType, source = 'any' }: ResolveHostOptions): 0 | 4 | 6 {
  if (source === 'mdns' || source === 'dns' || source === 'localOnly') {
    throw new Error(
      `resolveHost: source '${source}' is not built: names are asked of the host's table, then the system`,
    );
  }
  if (source !== 'any' && source !== 'system')
    throw new TypeError(`resolveHost: source '${String(source)}' is not known`);
  if (queryType === undefined) return 0;
  if (queryType !== 'A' && queryType !== 'AAAA') {
    throw new TypeError(`resolveHost: queryType '${String(queryType)}' is neither A nor AAAA`);
  }
  return queryType === 'A' ? 4 : 6;
}

function endpointsOf(found: readonly { address: string; family: 4 | 6 }[], family: 0 | 4 | 6): ResolvedEndpoint[] {
  const fitting = found.filter((one) => family === 0 || one.family === family);
  if (fitting.length === 0) throw netError('ERR_NAME_NOT_RESOLVED');
  return fitting.map((one) => ({ address: one.address, family: one.family === 4 ? 'ipv4' : 'ipv6' }));
}
