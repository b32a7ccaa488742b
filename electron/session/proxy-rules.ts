/**
 * `proxyRules`: which proxies a URL goes through, in the grammar of Chromium's command line:
 * `[scheme=]server[,server…][;…]`, a server being `[type://]host[:port]` or `direct://`.
 */
import type { ProxyServer } from '../session-types';

/** What rules say: one list for every URL, or lists by the URL's scheme. */
export interface ProxyRules {
  readonly any: readonly ProxyServer[] | null;
  readonly http: readonly ProxyServer[] | null;
  readonly https: readonly ProxyServer[] | null;
  /** For what has no list of its own. */
  readonly socks: readonly ProxyServer[] | null;
}

/** A name and a password that stand in a SOCKS server's URL. */
export interface ProxyLogin {
  readonly username: string;
  readonly password: string;
}

type Type = Exclude<ProxyServer['type'], 'direct'>;

const DEFAULT_PORTS: Readonly<Record<Type, number>> = { http: 80, https: 443, socks4: 1080, socks5: 1080 };
const TYPES: Readonly<Record<string, ProxyServer['type']>> = {
  http: 'http',
  https: 'https',
  socks: 'socks5',
  socks4: 'socks4',
  socks5: 'socks5',
  direct: 'direct',
};

/** The words of a PAC script's answer. */
const PAC_WORDS: Readonly<Record<Type, string>> = { http: 'PROXY', https: 'HTTPS', socks4: 'SOCKS', socks5: 'SOCKS5' };

/** What tells a proxy from others: logins are kept by it. */
export const proxyKey = (proxy: ProxyServer): string =>
  proxy.type === 'direct' ? 'direct' : `${proxy.type}://${bracketed(proxy.host)}:${proxy.port}`;

/** An IPv6 address as it stands before a port. */
export const bracketed = (host: string): string => (host.includes(':') ? `[${host}]` : host);

/** "PROXY a:80; DIRECT", as `resolveProxy` tells it. */
export const pacText = (list: readonly ProxyServer[]): string =>
  list
    .map((one) => (one.type === 'direct' ? 'DIRECT' : `${PAC_WORDS[one.type]} ${bracketed(one.host)}:${one.port}`))
    .join('; ');

/**
 * Reads rules. `logins` gets what stands before an `@`, by `proxyKey`: SOCKS5 has no other way to be told.
 * @throws TypeError that says what is wrong
 */
export function parseProxyRules(text: string, logins: Map<string, ProxyLogin>): ProxyRules {
  const rules: { -readonly [K in keyof ProxyRules]: ProxyRules[K] } = {
    any: null,
    http: null,
    https: null,
    socks: null,
  };
  for (const part of text.split(';')) {
    const entry = part.trim();
    if (entry === '') continue;
    const [, scheme, list] = /^(?:([a-z0-9.+-]+)\s*=)?(.*)$/is.exec(entry)!;
    const name = scheme?.toLowerCase() ?? 'any';
    const servers = list!
      .split(',')
      .map((one) => one.trim())
      .filter((one) => one !== '')
      .map((one) => parseServer(one, name === 'socks' ? 'socks4' : 'http', logins));
    if (name === 'ftp') continue;
    if (name !== 'any' && name !== 'http' && name !== 'https' && name !== 'socks') {
      throw new TypeError(`proxyRules: '${name}=' is for no scheme that is known: http, https, ftp, socks`);
    }
    if (servers.length > 0) rules[name] = [...(rules[name] ?? []), ...servers];
  }
  if (rules.any !== null && (rules.http !== null || rules.https !== null || rules.socks !== null)) {
    throw new TypeError('proxyRules: either one list for all URLs, or one for each scheme');
  }
  return rules;
}

/** @throws TypeError for what is no server */
function parseServer(text: string, usual: Type, logins: Map<string, ProxyLogin>): ProxyServer {
  const [, scheme, rest] = /^(?:([a-z0-9]+):\/\/)?(.*)$/is.exec(text)!;
  const type = scheme === undefined ? usual : TYPES[scheme.toLowerCase()];
  if (type === undefined) {
    throw new TypeError(`proxyRules: '${text}': ${scheme} proxies are not known; ${Object.keys(TYPES).join(', ')} are`);
  }
  if (type === 'direct') {
    if (rest !== '') throw new TypeError(`proxyRules: '${text}': direct:// has no host`);
    return { type };
  }
  if (!URL.canParse(`http://${rest}`)) throw new TypeError(`proxyRules: '${text}' is not [type://]host[:port]`);
  const url = new URL(`http://${rest}`);
  if (url.pathname !== '/' || url.search !== '' || url.hash !== '') {
    throw new TypeError(`proxyRules: '${text}' has more than a host and a port`);
  }
  // The URL hides a port that is the usual one of http.
  const port = url.port === '' ? (/:0*80\/?$/.test(rest!) ? 80 : DEFAULT_PORTS[type]) : Number(url.port);
  if (port === 0) throw new TypeError(`proxyRules: '${text}': nothing listens on port 0`);
  const server: ProxyServer = { type, host: url.hostname.replace(/^\[|\]$/g, ''), port };
  keepLogin(server, url, logins);
  return server;
}

function keepLogin(server: ProxyServer, url: URL, logins: Map<string, ProxyLogin>): void {
  if (url.username === '' && url.password === '') return;
  if (server.type !== 'socks5') {
    throw new TypeError(
      "proxyRules: a name and a password stand before a SOCKS5 server only; HTTP proxies ask: see 'login'",
    );
  }
  const login = { username: decodeURIComponent(url.username), password: decodeURIComponent(url.password) };
  for (const text of [login.username, login.password]) {
    const bytes = Buffer.byteLength(text);
    if (bytes === 0 || bytes > 255)
      throw new TypeError('proxyRules: SOCKS5 takes names and passwords of 1 to 255 bytes');
  }
  logins.set(proxyKey(server), login);
}

/** The proxies for a scheme ('http:'), in the order to try them; null: none is set. */
export function proxiesOf(rules: ProxyRules, protocol: string): readonly ProxyServer[] | null {
  const own = protocol === 'https:' ? rules.https : protocol === 'http:' ? rules.http : null;
  return rules.any ?? own ?? rules.socks;
}
