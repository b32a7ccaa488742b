import { EventEmitter } from 'node:events';
import type * as NodeHttp from 'node:http';
import type { FetchInit, FetchInput } from '../fetch';
import type { ResolvedEndpoint } from '../session-types';
import type { WebRequest } from '../web-request';
import { refuseBrowserOnly } from './browser-only';
import type { CertificateVerifyProc } from './certificates';
import { type ClearDataOptions, readClearing } from './clear-data';
import type { Cookies } from './cookies';
import type { ResolveHostOptions, SessionCore } from './core';
import type { NetworkEmulation } from './emulation';
import type { ProxyConfig } from './proxy-settings';
import type { SSLConfig } from './ssl-config';
import { acceptLanguageOf, checkUserAgent } from './user-agent';

/** `session.fetch`: what `net.fetch` is for the default session. */
export type SessionFetch = (session: Session, input: FetchInput, init?: FetchInit) => Promise<Response>;

/** What `preconnect` takes. */
export interface PreconnectOptions {
  /** Of which only the origin matters. */
  url: string;
  /** From 1 to 6; default 1. */
  numSockets?: number;
}

/** What `clearStorageData` takes. */
export interface ClearStorageDataOptions {
  /** "https://a.test"; default: all. */
  origin?: string;
  /** Only 'cookies' is there to be cleared. */
  storages?: readonly string[];
  quotas?: readonly string[];
}

const PRECONNECT_MAX = 6;

/**
 * Electron's Session: cookies, logins, proxies and connections that requests share. Made by `fromPartition` only.
 * What needs a browser throws and says so.
 */
export class Session extends EventEmitter {
  /** The jar. */
  readonly cookies: Cookies;
  /** Its file; null for one that is kept in memory. */
  readonly storagePath: string | null;
  readonly _core: SessionCore;
  readonly _fetch: SessionFetch | null;

  constructor(core: SessionCore, storagePath: string | null, fetch: SessionFetch | null) {
    super();
    this.cookies = core.cookies;
    this.storagePath = storagePath;
    this._core = core;
    this._fetch = fetch;
  }

  /** True when its cookies outlive the process. */
  isPersistent(): boolean {
    return this.cookies._file !== null;
  }

  getStoragePath(): string | null {
    return this.storagePath;
  }

  /** Whether requests carry Sec-Fetch-* fields, as a browser's do. Default false. */
  get browserHeaders(): boolean {
    return this._core.browserHeaders;
  }
  set browserHeaders(on: boolean) {
    this._core.browserHeaders = Boolean(on);
  }

  /**
   * Whether responses are asked for in codings, and decoded, as Electron does: gzip, deflate and br. Without, nothing is
   * asked for and bodies come as they were sent. Default true.
   */
  get contentDecoding(): boolean {
    return this._core.contentDecoding;
  }
  set contentDecoding(on: boolean) {
    this._core.contentDecoding = Boolean(on);
  }

  /** Listeners that see, and may change, what requests of this session send and get. */
  get webRequest(): WebRequest {
    return this._core.webRequest;
  }

  // ── proxies ──

  /**
   * Sets the proxies for further requests; idle connections are not used again.
   * @throws (rejects) TypeError for rules that cannot be read, Error for what is not built
   */
  async setProxy(config: ProxyConfig): Promise<void> {
    this._core.proxies.set(config ?? {});
    this._core.routes.renew();
  }

  /** "PROXY a:80; DIRECT", as a PAC script would say it. @throws (rejects) TypeError for what is no URL */
  async resolveProxy(url: string | URL): Promise<string> {
    return this._core.proxies.textFor(new URL(url));
  }

  /** There is nothing to fetch again; proxies that failed are tried in their places again. */
  async forceReloadProxyConfig(): Promise<void> {
    this._core.proxies.forgive();
  }

  // ── what requests call themselves ──

  /** @throws TypeError for what is no line of text, or no list of languages */
  setUserAgent(userAgent: string, acceptLanguages?: string): void {
    const agent = checkUserAgent(userAgent);
    if (acceptLanguages !== undefined) this._core.acceptLanguage = acceptLanguageOf(acceptLanguages);
    this._core.userAgent = agent;
  }

  getUserAgent(): string {
    return this._core.userAgent;
  }

  // ── connections ──

  /**
   * Has `proc` decide about servers' certificates; null: the usual check. It concerns connections made from now on.
   * @throws TypeError for what is neither
   */
  setCertificateVerifyProc(proc: CertificateVerifyProc | null): void {
    if (proc !== null && typeof proc !== 'function') throw new TypeError('Must pass null or function');
    this._core.verifyProc = proc;
    this._core.verdicts.clear();
    this._core.routes.renew();
  }

  /**
   * Sets the versions and suites of TLS for connections made from now on; idle ones are not used again.
   * @throws TypeError for what it does not know
   */
  setSSLConfig(config: SSLConfig): void {
    this._core.setSSLConfig(config ?? {});
  }

  /** Fails the requests under way with net::ERR_ABORTED, and ends all connections. */
  async closeAllConnections(): Promise<void> {
    this._core.closeAllConnections();
  }

  /** Opens connections that requests to the origin will find. @throws TypeError, RangeError */
  preconnect(options: PreconnectOptions): void {
    const { url: text, numSockets = 1 } = options ?? {};
    if (typeof text !== 'string' || !URL.canParse(text))
      throw new TypeError('Must pass non-empty valid url to session.preconnect.');
    if (!Number.isInteger(numSockets) || numSockets < 1 || numSockets > PRECONNECT_MAX) {
      throw new RangeError(`numSocketsToPreconnect is outside range [1,${PRECONNECT_MAX}]`);
    }
    const url = new URL(text);
    if (url.protocol !== 'http:' && url.protocol !== 'https:') throw new TypeError('preconnect: http and https only');
    const { agent } = this._core.route(url, this._core.proxiesFor(url)[0]!);
    for (let i = 0; i < numSockets; i++) openIdle(agent, url);
  }

  /** The addresses of a name, or of an address itself. @throws (rejects) net::ERR_NAME_NOT_RESOLVED */
  resolveHost(host: string, options?: ResolveHostOptions): Promise<{ endpoints: ResolvedEndpoint[] }> {
    return this._core.resolveHost(host, options);
  }

  /** Names are asked anew for each connection: there is no cache. */
  async clearHostResolverCache(): Promise<void> {}

  /** @throws RangeError for numbers that make no sense, Error when there is no link to slow down */
  enableNetworkEmulation(options: NetworkEmulation): void {
    this._core.emulation.enable(options ?? {});
  }

  disableNetworkEmulation(): void {
    this._core.emulation.disable();
  }

  // ── what is kept ──

  /** Forgets all logins. Connections that were made with them end, too. */
  async clearAuthCache(): Promise<void> {
    this._core.auth.clear();
    this._core.routes.renew();
  }

  /** Removes the cookies, all or those of one origin. @throws (rejects) TypeError for what is no origin */
  async clearStorageData(options: ClearStorageDataOptions = {}): Promise<void> {
    const { origin, storages } = options;
    if (storages !== undefined && !storages.includes('cookies')) return;
    this.cookies._clear(origin === undefined ? undefined : new URL(origin).hostname);
    await this.cookies.flushStore();
  }

  /**
   * Removes all that is kept, cookies and logins, or the cookies of some sites. Idle connections end, unless they shall
   * not.
   * @throws (rejects) TypeError for options that are not known, or contradict each other
   */
  async clearData(options: ClearDataOptions = {}): Promise<void> {
    const { cookies, covers, everything } = readClearing(options);
    if (everything) this._core.auth.clear();
    if (cookies) this.cookies._clearWhere(({ domain }) => covers === null || covers(domain));
    if (options.avoidClosingConnections !== true) this._core.routes.renew();
    await this.cookies.flushStore();
  }

  /** Nothing but cookies is stored, and those have `cookies.flushStore`. */
  flushStorageData(): void {}

  /** There is no HTTP cache: 0. */
  async getCacheSize(): Promise<number> {
    return 0;
  }
  async clearCache(): Promise<void> {}

  /** A request as `fetch` makes it. @throws (rejects) NetError */
  fetch(input: FetchInput, init?: FetchInit): Promise<Response> {
    if (this._fetch === null)
      return Promise.reject(new Error('session.fetch: these sessions were made without requests'));
    return this._fetch(this, input, init);
  }
}

refuseBrowserOnly(Session.prototype);

/** What an agent asks of a request while it makes a connection for it. */
interface Pretended {
  getHeader(name: string): undefined;
  readonly shouldKeepAlive: true;
  readonly res: null;
}

const nobody: Pretended = { getHeader: () => undefined, shouldKeepAlive: true, res: null };

type Creating = NodeHttp.Agent & {
  createSocket(request: Pretended, options: object, callback: (error: Error | null, socket?: Idle) => void): void;
};
interface Idle extends NodeJS.EventEmitter {
  _httpMessage?: unknown;
  destroyed: boolean;
}

/** A connection for nobody, which the agent keeps for whoever comes. One that fails is no news: a request will tell. */
function openIdle(agent: NodeHttp.Agent, url: URL): void {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const port = Number(url.port) || (url.protocol === 'https:' ? 443 : 80);
  (agent as Creating).createSocket(nobody, { host, port }, (error, socket) => {
    if (error || socket === undefined || socket.destroyed) return;
    socket._httpMessage = nobody;
    socket.emit('free');
  });
}
