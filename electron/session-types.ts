/**
 * What a request asks of its session, and what a session asks of a request under way. `electron/session/` implements
 * `RequestSession`; everything else in this folder knows sessions by this file only.
 */
import type * as NodeHttp from 'node:http';
import type * as NodeHttps from 'node:https';
import type * as NodeNet from 'node:net';
import type * as NodeTls from 'node:tls';
import type { WebRequest } from './web-request';

// ── what everything runs on ──

/** One address of a name, as `net.resolveHost` tells it. */
export interface ResolvedEndpoint {
  address: string;
  family: 'ipv4' | 'ipv6' | 'unspec';
}

/** Node's modules, over a stack of ours or Node's own; typed as Node types them. */
export interface ElectronModules {
  readonly net: Pick<typeof NodeNet, 'connect' | 'createServer' | 'isIP'>;
  readonly http: Pick<typeof NodeHttp, 'request' | 'Agent'>;
  readonly https: Pick<typeof NodeHttps, 'request' | 'Agent'>;
  readonly tls: Pick<typeof NodeTls, 'connect'>;
  /** Asks for a name's addresses, as `dns.lookup` with `all: true`; rejects with ENOTFOUND, EAI_AGAIN. */
  lookup(name: string, options: { family?: 0 | 4 | 6 }): Promise<{ address: string; family: 4 | 6 }[]>;
  /** True while an interface is up that has a route. */
  online(): boolean;
}

// ── proxies ──

/** One way to an origin, of which a list is tried in order. `host` has no brackets. */
export type ProxyServer =
  | { readonly type: 'direct' }
  | { readonly type: 'http' | 'https' | 'socks4' | 'socks5'; readonly host: string; readonly port: number };

/** How a request gets to its origin: an agent that connects, and what the request-target then looks like. */
export interface Route {
  /**
   * Makes the connection whatever it takes: TCP, SOCKS, CONNECT, TLS, certificate verification, emulated conditions. Keep
   * alive, at most six sockets a host. Its errors are those of Node's modules, or a `RouteError`.
   */
  readonly agent: NodeHttp.Agent;
  /** True for http: through an HTTP proxy: the request-target is the whole URL, and 407 can come as a response. */
  readonly absoluteForm: boolean;
  /** A request that was destroyed before it had a connection: what is made for it ends at once. Absent: `agent` sees to it. */
  cancel?(request: NodeHttp.ClientRequest): void;
}

/** A failure that Node has no code for. The agent hands it to the request as its 'error'. */
export interface RouteError extends Error {
  code:
    | 'ERR_PROXY_CONNECTION_FAILED' // the proxy could not be reached: the next of the list is tried; `cause` says why
    | 'ERR_TUNNEL_CONNECTION_FAILED' // the proxy answered CONNECT with anything but 2xx: `refusal`
    | 'ERR_SOCKS_CONNECTION_FAILED'
    | 'ERR_SOCKS_CONNECTION_HOST_UNREACHABLE'
    | 'ERR_INTERNET_DISCONNECTED' // emulated: offline
    | 'ERR_CERT_AUTHORITY_INVALID' // what a certificate verification procedure decided
    | 'ERR_CERT_COMMON_NAME_INVALID'
    | 'ERR_CERT_DATE_INVALID'
    | 'ERR_CERT_REVOKED'
    | 'ERR_CERT_INVALID'
    | 'ERR_FAILED'
    | 'ERR_ABORTED';
  cause?: unknown;
  /** The proxy's response to CONNECT; with 407 the request asks for credentials and tries again. */
  refusal?: { statusCode: number; statusMessage: string; rawHeaders: readonly string[]; sent?: Authorization };
}

// ── authentication ──

/** Who asks for credentials: an origin, or a proxy. `host` has no brackets; `port` is always a number. */
export interface AuthTarget {
  readonly isProxy: boolean;
  readonly protocol: string;
  readonly host: string;
  readonly port: number;
}

/** The challenge that is answered: the strongest scheme of those offered that is supported. */
export interface AuthChallenge extends AuthTarget {
  readonly scheme: 'basic' | 'digest';
  readonly realm: string;
  /** All parameters, names in lower case, values without quotes. */
  readonly parameters: Readonly<Record<string, string>>;
}

export interface Credentials {
  readonly username: string;
  readonly password: string;
}

/** The value of an Authorization or Proxy-Authorization field, and whose it is. */
export interface Authorization {
  readonly value: string;
  readonly credentials: Credentials;
  /** Which challenge it answers. */
  readonly challenge?: AuthChallenge;
  /** What a server that knows the password says in return (RFC 7616 §3.5); absent when that cannot be told beforehand. */
  readonly rspauth?: string;
}

/** The request that a value is computed for. */
export interface AuthRequest {
  readonly method: string;
  /** Decides which protection space it is in; of CONNECT, that of the origin behind it. */
  readonly url: URL;
  /** The request-target as it stands on the request line: path and query, the whole URL, or host:port. */
  readonly target: string;
  /** The whole body, for `qop=auth-int`; null when it is not known before it is sent. */
  readonly body: Iterable<Uint8Array> | null;
}

// ── what a session knows of a request under way ──

export interface TrackedRequest {
  /** Fails the request with `net::<code>`, for instance ERR_ABORTED when the session closes all its connections. */
  fail(code: string): void;
}

/** For whom cookies are asked. */
export interface CookieContext {
  readonly method: string;
  /** The initiator's origin; '' is the program itself, which is always first party. */
  readonly origin: string;
}

/** A session, as a request sees it. Nothing here waits but name resolution. */
export interface RequestSession {
  /** '' sends no User-Agent. */
  readonly userAgent: string;
  /** '' sends no Accept-Language. */
  readonly acceptLanguage: string;
  /** Sec-Fetch-* are sent. */
  readonly browserHeaders: boolean;
  /** Accept-Encoding is sent, and bodies lose their content codings. */
  readonly contentDecoding: boolean;
  /** Emulated: every request fails with ERR_INTERNET_DISCONNECTED. */
  readonly offline: boolean;

  /** Who listens to what requests send and get. */
  readonly webRequest: WebRequest;

  /** The Cookie field for a URL; undefined when no cookie fits. Never throws. */
  cookieHeader(url: URL, context: CookieContext): string | undefined;
  /** Takes the Set-Cookie fields of a response; what cannot be parsed or is not allowed is passed over. Never throws. */
  storeCookies(url: URL, setCookie: readonly string[], context: CookieContext): void;

  /** The ways to a URL, in the order to try them; never empty. */
  proxiesFor(url: URL): readonly ProxyServer[];
  /** It could not be reached, and the next was tried: for a while it comes after the others. */
  proxyFailed(proxy: ProxyServer): void;
  route(url: URL, proxy: ProxyServer): Route;

  /**
   * The challenge to answer among the WWW-Authenticate or Proxy-Authenticate fields; undefined when no scheme is
   * supported or nothing can be parsed. Never throws.
   */
  readChallenge(target: AuthTarget, fields: readonly string[]): AuthChallenge | undefined;
  /** What to send before anybody asked: credentials of the protection space that the URL is in. Proxies know one space. */
  preemptiveAuthorization(target: AuthTarget, request: AuthRequest): Authorization | undefined;
  /**
   * The credentials kept for a challenge. `rejected` are those that led to it: they are forgotten and not given again,
   * unless the challenge only says that a nonce is stale.
   */
  credentialsFor(challenge: AuthChallenge, rejected: Credentials | undefined): Credentials | undefined;
  /** Keeps credentials, and the challenge, so that further requests and CONNECTs are authorized before they are asked. */
  rememberCredentials(challenge: AuthChallenge, credentials: Credentials, request: AuthRequest): void;
  /** Takes an Authentication-Info or Proxy-Authentication-Info field of the response to what was `sent`: true when there is another nonce. */
  takeAuthenticationInfo(sent: Authorization, field: string): boolean;
  forgetCredentials(challenge: AuthChallenge, credentials: Credentials): void;
  /** Computes the answer to a challenge. */
  authorize(challenge: AuthChallenge, credentials: Credentials, request: AuthRequest): Authorization;

  /** A request began, and ended: `closeAllConnections` fails those in between. */
  track(request: TrackedRequest): void;
  untrack(request: TrackedRequest): void;

  /** The addresses of a name. */
  resolveHost(host: string, options?: object): Promise<{ endpoints: ResolvedEndpoint[] }>;
}

/** What `electron/session/index.ts` exports as `createSessions(modules: ElectronModules): Sessions`. */
export interface Sessions<Session extends object = object> {
  /** `session` of a request must be an instance of it. */
  readonly Session: abstract new (
    ...args: never[]
  ) => Session;
  readonly defaultSession: Session;
  /** The same for the same name; '' is the default session. @throws for a persistent one without a folder */
  fromPartition(partition: string, options?: { cache?: boolean }): Session;
  /** The inner face of a session. */
  requestSession(session: Session): RequestSession;
}
