import type * as http from 'node:http';
import { asNetError, type NetError, netError, netErrorCode, requestError } from './errors';
import { Exchange, type ExchangeOwner, hostnameOf, portOf } from './exchange';
import { FIRST_PARTY, metadataOffence, step } from './fetch-metadata';
import { Interception } from './interception';
import type { RequestSpec } from './options';
import { wasHasty } from './patience';
import { headersAfter, REDIRECTS_MAX, type Redirect, redirectOf } from './redirects';
import { policyFrom } from './referrer';
import { type Hop, requestLines } from './request-fields';
import { ResponseHead, valuesOf } from './response-head';
import type {
  AuthChallenge,
  Authorization,
  AuthRequest,
  AuthTarget,
  Credentials,
  ElectronModules,
  ProxyServer,
  Route,
  RouteError,
  TrackedRequest,
} from './session-types';
import { sameSite } from './site';
import type { Upload } from './upload';

/** Who is asked for credentials, in the words of the 'login' event. */
export interface AuthInfo {
  isProxy: boolean;
  scheme: string;
  host: string;
  port: number;
  realm: string;
}

/** Answers a challenge; without both arguments the request goes on without credentials. */
export type LoginCallback = (username?: string, password?: string) => void;

/** The request that a transaction works for. After `failed` it hears nothing more. */
export interface TransactionOwner {
  /** True: somebody listens and will call back, now or later. */
  login(info: AuthInfo, callback: LoginCallback): boolean;
  /** Synchronously tells of a redirect. False: it is not to be followed. */
  redirect(redirect: Redirect, headers: Record<string, string[]>): boolean;
  responded(exchange: Exchange, response: http.IncomingMessage, head: ResponseHead): void;
  uploaded(): void;
  failed(error: NetError): void;
}

/** Challenges that are answered without asking anybody, in a row: a server that is never content is not asked for ever. */
const SILENT_ANSWERS_MAX = 3;
/** Connections that turned out to be dead before they served a request. */
const REVIVALS_MAX = 8;
/** Methods that may be sent twice (RFC 9110 §9.2.2). */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'TRACE']);

/** One side of authentication: the origin, or the proxy. */
class Login {
  /** Asked for, and answered with. */
  answer: { challenge: AuthChallenge; credentials: Credentials } | null = null;
  /** What the last request had. */
  sent: Authorization | undefined = undefined;
  silent = 0;
  /** Credentials in the URL are tried once. */
  triedUrl = false;
}

/**
 * The life of a request on the network: hop by hop, with challenges answered and proxies tried, until a response is there
 * for the application or nothing can be done any more.
 */
export class Transaction implements TrackedRequest, ExchangeOwner {
  private readonly hop: Hop;
  private exchange: Exchange | null = null;
  /** Their responses are still read, so that the connection can be used again. */
  private readonly discarded = new Set<Exchange>();
  private redirects = 0;
  private revivals = 0;
  private patient = false;
  private proxies: readonly ProxyServer[] = [];
  private proxyIndex = 0;
  private origin = new Login();
  private readonly proxy = new Login();
  private readonly interception: Interception;
  private started = false;
  over = false;

  constructor(
    private readonly modules: ElectronModules,
    private readonly spec: RequestSpec,
    private readonly upload: Upload,
    private readonly owner: TransactionOwner,
  ) {
    const { url, method, headers, referrerPolicy, origin } = spec;
    const site = step(FIRST_PARTY, origin, null, url, sameSite);
    this.hop = { url, method, headers, referrerPolicy, upload, site };
    this.interception = new Interception(spec.session.webRequest);
  }

  /** The body, if there is one, is on its way: there is a connection. */
  get uploadBegan(): boolean {
    const { exchange, hop } = this;
    return hop.upload !== null && exchange !== null && exchange.phase !== 'connect';
  }

  get uploadedBytes(): number {
    return this.exchange?.uploaded ?? 0;
  }

  /** Begins in the next tick. What is written by then decides whether there is a body. */
  start(): void {
    this.started = true;
    if (!this.upload.chunked && this.upload.bytes === 0) this.hop.upload = null;
    this.spec.session.track(this);
    process.nextTick(() => this.begin());
  }

  private begin(): void {
    if (this.over) return;
    const { spec, hop } = this;
    const offence = hop.headers.offence();
    const wrong = metadataOffence(hop.headers);
    if (offence !== null) this.end(offence);
    else if (wrong !== null) this.end(netError('ERR_INVALID_ARGUMENT', new TypeError(wrong)));
    else if (hop.method === 'CONNECT') {
      this.end(netError('ERR_INVALID_ARGUMENT', new TypeError('CONNECT is for proxies, not for requests')));
    } else if (spec.cache === 'only-if-cached') this.end(netError('ERR_CACHE_MISS'));
    else this.beginHop();
  }

  private beginHop(): void {
    this.interception.beforeRequest(this.hop, ({ cancel, redirectURL }) => {
      if (this.over) return;
      if (cancel === true) this.block();
      else if (redirectURL && redirectURL !== this.hop.url.href) this.divert(redirectURL);
      else this.connect();
    });
  }

  /** A listener has another URL asked, as if the server had wanted it. */
  private divert(to: string): void {
    const head = ResponseHead.internalRedirect(to);
    this.followable(redirectOf(head.statusCode, to, this.hop.method, this.hop.url), head);
  }

  /** A listener does not want it. */
  private block(): void {
    this.end(netError('ERR_BLOCKED_BY_CLIENT'));
  }

  private connect(): void {
    this.proxies = this.spec.session.proxiesFor(this.hop.url);
    this.proxyIndex = 0;
    this.send();
  }

  // ── one exchange ──

  private send(): void {
    if (this.over) return;
    const { spec, hop } = this;
    const { session } = spec;
    if (session.offline) {
      this.end(netError('ERR_INTERNET_DISCONNECTED'));
      return;
    }
    try {
      const route = session.route(hop.url, this.proxies[this.proxyIndex]!);
      const target = targetOf(hop.url, route.absoluteForm);
      const cookie = this.sendsCookies ? session.cookieHeader(hop.url, this.cookieContext) : undefined;
      const authRequest = this.authRequest(target);
      this.origin.sent = this.sendsAuth ? this.authorization(this.origin, this.originTarget, authRequest) : undefined;
      this.proxy.sent = route.absoluteForm ? this.authorization(this.proxy, this.proxyTarget, authRequest) : undefined;
      const lines = requestLines(spec, hop, {
        cookie,
        authorization: this.origin.sent?.value,
        proxyAuthorization: this.proxy.sent?.value,
      });
      this.interception.beforeSendHeaders(hop, lines, (sent) => {
        if (this.over) return;
        if (sent === null) this.block();
        else this.exchangeOn(route, target, sent);
      });
    } catch (error) {
      this.end(netError('ERR_INVALID_ARGUMENT', error));
    }
  }

  private exchangeOn(route: Route, target: string, lines: string[]): void {
    const { modules, spec, patient } = this;
    const { url, method, upload } = this.hop;
    const priority = spec.priority ?? 'idle';
    try {
      this.exchange = new Exchange({ modules, route, url, method, target, lines, upload, priority, patient }, this);
    } catch (error) {
      // What a header or a path turned out not to be.
      this.end(netError('ERR_INVALID_ARGUMENT', error));
    }
  }

  private get sendsAuth(): boolean {
    const { credentials, origin } = this.spec;
    return credentials === 'same-origin' ? this.hop.url.origin === origin : credentials !== 'omit';
  }

  private get sendsCookies(): boolean {
    const { credentials, useSessionCookies } = this.spec;
    return credentials === undefined ? useSessionCookies : this.sendsAuth;
  }

  private get cookieContext(): { method: string; origin: string } {
    return { method: this.hop.method, origin: this.spec.origin };
  }

  uploaded(exchange: Exchange): void {
    if (exchange === this.exchange) this.owner.uploaded();
  }

  failed(exchange: Exchange, error: unknown): void {
    if (this.over || exchange !== this.exchange) return;
    const { code, refusal } = error as Partial<RouteError>;
    if (this.canRevive(exchange, error)) {
      this.revivals++;
      this.send();
    } else if (!this.patient && exchange.phase === 'connect' && wasHasty(error)) {
      this.patient = true;
      this.send();
    } else if (code === 'ERR_PROXY_CONNECTION_FAILED' && this.proxyIndex + 1 < this.proxies.length) {
      this.spec.session.proxyFailed(this.proxies[this.proxyIndex]!);
      this.proxyIndex++;
      this.send();
    } else if (code === 'ERR_TUNNEL_CONNECTION_FAILED' && refusal?.statusCode === 407) {
      const fields = valuesOf(refusal.rawHeaders, 'proxy-authenticate');
      this.proxy.sent = refusal.sent;
      const authRequest = {
        ...this.authRequest(`${hostnameOf(this.hop.url)}:${portOf(this.hop.url)}`),
        method: 'CONNECT',
      };
      this.challenged(this.proxy, this.proxyTarget, fields, authRequest, () => this.end(asNetError(error, 'connect')));
    } else {
      this.end(asNetError(error, exchange.phase));
    }
  }

  /** A kept connection that the server had given up: the request goes out again, if that does no harm. */
  private canRevive(exchange: Exchange, error: unknown): boolean {
    if (!exchange.wasReused || this.revivals >= REVIVALS_MAX) return false;
    const code = netErrorCode(error, exchange.phase);
    const dead = code === 'ERR_CONNECTION_RESET' || code === 'ERR_EMPTY_RESPONSE' || code === 'ERR_CONNECTION_ABORTED';
    // That nothing was acknowledged proves nothing: a reset may overtake the acknowledgement of what was read.
    return dead && IDEMPOTENT.has(this.hop.method) && (this.hop.upload?.rewindable ?? true);
  }

  // ── its response ──

  responded(exchange: Exchange, response: http.IncomingMessage): void {
    if (this.over || exchange !== this.exchange) {
      response.resume();
      return;
    }
    this.interception.headersReceived(this.hop, ResponseHead.of(response), (head) => {
      if (this.over || exchange !== this.exchange) return;
      if (head === null) this.block();
      else this.answered(exchange, response, head);
    });
  }

  private answered(exchange: Exchange, response: http.IncomingMessage, head: ResponseHead): void {
    const { session } = this.spec;
    const { url, method } = this.hop;
    const setCookie = head.headers['set-cookie'] as string[] | undefined;
    if (setCookie !== undefined && this.sendsCookies) session.storeCookies(url, setCookie, this.cookieContext);
    this.takeInfo(this.origin, head.headers['authentication-info']);
    if (this.throughProxy) this.takeInfo(this.proxy, head.headers['proxy-authentication-info']);
    const status = head.statusCode;
    const target = targetOf(url, this.throughProxy);
    const deliver = (): void => this.deliver(exchange, response, head);
    if (status === 401 && this.sendsAuth) {
      const fields = head.valuesOf('www-authenticate');
      this.challenged(this.origin, this.originTarget, fields, this.authRequest(target), deliver);
      return;
    }
    if (status === 407 && this.throughProxy) {
      const fields = head.valuesOf('proxy-authenticate');
      this.challenged(this.proxy, this.proxyTarget, fields, this.authRequest(target), deliver);
      return;
    }
    const redirect = redirectOf(status, head.headersDistinct['location']?.[0], method, url);
    if (redirect === null) deliver();
    else this.followable(redirect, head);
  }

  private followable(redirect: ReturnType<typeof redirectOf>, head: ResponseHead): void {
    if (redirect === null) return;
    if (redirect === 'unsafe') this.end(netError('ERR_UNSAFE_REDIRECT'));
    else if (redirect === 'invalid') this.end(netError('ERR_INVALID_REDIRECT'));
    else this.redirected(redirect, head);
  }

  private takeInfo(login: Login, field: string | string[] | undefined): void {
    const { sent } = login;
    if (sent === undefined || field === undefined) return;
    // What it answered was for the nonce before.
    if (this.spec.session.takeAuthenticationInfo(sent, String(field))) login.answer = null;
  }

  private get throughProxy(): boolean {
    const proxy = this.proxies[this.proxyIndex]!;
    return this.hop.url.protocol === 'http:' && (proxy.type === 'http' || proxy.type === 'https');
  }

  private deliver(exchange: Exchange, response: http.IncomingMessage, head: ResponseHead): void {
    if (this.over) return;
    this.interception.responseStarted(this.hop, head);
    this.owner.responded(exchange, response, head);
  }

  /** The exchange's response is not for the application. */
  private discard(): void {
    const { exchange } = this;
    this.exchange = null;
    if (exchange === null) return;
    this.discarded.add(exchange);
    exchange.request.once('close', () => this.discarded.delete(exchange));
    exchange.discard();
  }

  // ── redirects ──

  private redirected(redirect: Redirect, head: ResponseHead): void {
    const { hop, spec } = this;
    if (spec.redirect === 'error') {
      this.end(requestError("Attempted to redirect, but redirect policy was 'error'", 'ERR_FAILED'));
      return;
    }
    if (++this.redirects > REDIRECTS_MAX) {
      this.end(netError('ERR_TOO_MANY_REDIRECTS'));
      return;
    }
    this.interception.beforeRedirect(hop, head, redirect.url);
    const wanted = this.owner.redirect(redirect, head.headersDistinct);
    if (this.over) return;
    if (!wanted) {
      this.end(requestError('Redirect was cancelled', 'ERR_ABORTED'));
      return;
    }
    if (redirect.keepsBody && hop.upload !== null && !hop.upload.rewindable) {
      this.end(netError('ERR_UPLOAD_STREAM_REWIND_NOT_SUPPORTED'));
      return;
    }
    this.discard();
    this.follow(redirect, policyFrom(head.headersDistinct['referrer-policy']));
  }

  private follow(redirect: Redirect, policy: ReturnType<typeof policyFrom>): void {
    const { hop } = this;
    const from = hop.url;
    hop.headers = headersAfter(hop.headers, redirect, from);
    hop.site = step(hop.site, this.spec.origin, from.origin, redirect.url, sameSite);
    hop.method = redirect.method;
    hop.url = redirect.url;
    if (policy !== undefined) hop.referrerPolicy = policy;
    if (!redirect.keepsBody) {
      hop.upload?.release();
      hop.upload = null;
    }
    this.origin = new Login();
    this.patient = false;
    this.beginHop();
  }

  // ── authentication ──

  private get originTarget(): AuthTarget {
    const { url } = this.hop;
    return { isProxy: false, protocol: url.protocol, host: hostnameOf(url), port: portOf(url) };
  }

  private get proxyTarget(): AuthTarget {
    const proxy = this.proxies[this.proxyIndex]!;
    if (proxy.type === 'direct') throw new Error('There is no proxy to log in to');
    return { isProxy: true, protocol: `${proxy.type}:`, host: proxy.host, port: proxy.port };
  }

  private authRequest(target: string): AuthRequest {
    const { method, url, upload } = this.hop;
    return { method, url, target, body: upload === null ? [] : upload.whole };
  }

  private authorization(login: Login, target: AuthTarget, request: AuthRequest): Authorization | undefined {
    const { session } = this.spec;
    const { answer } = login;
    if (answer !== null) return session.authorize(answer.challenge, answer.credentials, request);
    return session.preemptiveAuthorization(target, request);
  }

  /** Answers a challenge and sends the request again, or calls `giveUp`. */
  private challenged(
    login: Login,
    target: AuthTarget,
    fields: readonly string[],
    request: AuthRequest,
    giveUp: () => void,
  ): void {
    const { session } = this.spec;
    const challenge = session.readChallenge(target, fields);
    const rewindable = this.hop.upload?.rewindable ?? true;
    if (challenge === undefined || !rewindable) {
      giveUp();
      return;
    }
    const { exchange } = this;
    const use = (credentials: Credentials): void => {
      login.answer = { challenge, credentials };
      this.discard();
      this.send();
    };
    const kept = session.credentialsFor(challenge, login.sent?.credentials);
    if (kept !== undefined && login.silent++ < SILENT_ANSWERS_MAX) return use(kept);
    login.answer = null;
    const given = login === this.origin ? this.credentialsInUrl(login) : undefined;
    if (given !== undefined) {
      session.rememberCredentials(challenge, given, request);
      return use(given);
    }
    let answered = false;
    const callback: LoginCallback = (username, password) => {
      if (answered || this.over || exchange !== this.exchange) return;
      answered = true;
      if (username === undefined || password === undefined) {
        giveUp();
        return;
      }
      const credentials = { username: String(username), password: String(password) };
      login.silent = 0;
      session.rememberCredentials(challenge, credentials, request);
      use(credentials);
    };
    const { isProxy, scheme, host, port, realm } = challenge;
    if (!this.owner.login({ isProxy, scheme, host, port, realm }, callback)) callback();
  }

  private credentialsInUrl(login: Login): Credentials | undefined {
    const { username, password } = this.hop.url;
    if (login.triedUrl || (username === '' && password === '')) return undefined;
    login.triedUrl = true;
    return { username: percentDecoded(username), password: percentDecoded(password) };
  }

  // ── the end ──

  /** The session closes all its connections. */
  fail(code: string): void {
    this.end(netError(code));
  }

  /** Nothing more will happen. The owner is told why. */
  end(error: NetError): void {
    if (this.over) return;
    this.close(error.message);
    this.owner.failed(error);
  }

  /** Lets go of everything; `reason` is for who listens to the session's requests, null: all went well. */
  close(reason: string | null = 'net::ERR_ABORTED'): void {
    if (this.over) return;
    this.over = true;
    this.interception.ended(this.hop, reason);
    if (this.started) this.spec.session.untrack(this);
    this.upload.release();
    this.exchange?.abandon();
    for (const exchange of this.discarded) exchange.abandon();
    this.discarded.clear();
  }

  /** The response was read: its connection goes on to serve others. */
  complete(reason: string | null): void {
    this.exchange = null;
    this.close(reason);
  }
}

/** RFC 9112 §3.2: path and query, or, to a proxy, the whole URL without what is not for it. */
function targetOf(url: URL, absoluteForm: boolean): string {
  const path = `${url.pathname}${url.search}`;
  return absoluteForm ? `${url.protocol}//${url.host}${path}` : path;
}

function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
