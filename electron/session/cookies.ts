import { EventEmitter } from 'node:events';
import { CookieJar, Cookie as JarCookie } from 'tough-cookie';
import type { CookieContext } from '../session-types';
import { type CookieChange, CookieStore, isPublicSuffix, siteOf } from './cookie-store';
import type { PartitionFile } from './partition-file';

/** A cookie, as Electron shows it. */
export interface Cookie {
  name: string;
  value: string;
  /** With a dot before it unless the cookie is for one host only. */
  domain: string;
  hostOnly: boolean;
  path: string;
  secure: boolean;
  httpOnly: boolean;
  /** It ends with the session: a partition's file does not have it. */
  session: boolean;
  /** Seconds since 1970; absent for a session's. */
  expirationDate?: number;
  sameSite: SameSite;
}

export type SameSite = 'unspecified' | 'no_restriction' | 'lax' | 'strict';

/** What `cookies.get` looks for; everything given must fit. */
export interface CookieFilter {
  /** Cookies that would be sent there. */
  url?: string;
  name?: string;
  /** Those of the domain and of names below it. */
  domain?: string;
  path?: string;
  secure?: boolean;
  session?: boolean;
  httpOnly?: boolean;
}

/** What `cookies.set` takes. */
export interface CookieDetails {
  /** Where it comes from, as it were. */
  url: string;
  name?: string;
  value?: string;
  /** For the names below it as well. Default: the URL's host alone. */
  domain?: string;
  path?: string;
  secure?: boolean;
  httpOnly?: boolean;
  /** Seconds since 1970. Default: it ends with the session. */
  expirationDate?: number;
  sameSite?: SameSite;
}

/** The first argument of Electron's events. */
export interface SessionEvent {
  preventDefault(): void;
  readonly defaultPrevented: boolean;
}

/** What the events of `Cookies` bring. */
export interface CookiesEvents {
  changed: [event: SessionEvent, cookie: Cookie, cause: CookieChange, removed: boolean];
}

type Internal = JarCookie & { domain: string; path: string };

const TO_JAR: Readonly<Record<SameSite, string | undefined>> = {
  unspecified: undefined,
  no_restriction: 'none',
  lax: 'lax',
  strict: 'strict',
};
const FROM_JAR: Readonly<Record<string, SameSite>> = { none: 'no_restriction', lax: 'lax', strict: 'strict' };

/** RFC 6265bis §5.6: longer ones are nobody's. */
const NAME_AND_VALUE_MAX = 4096;
const ATTRIBUTE_MAX = 1024;

/** What no cookie may contain: it would end, or write header fields. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: those are what is looked for
const UNFIT = /[\x00-\x1f\x7f;]/;

/**
 * `session.cookies`: the jar of a session. Emits 'changed' (event, cookie, cause, removed). The rules are those of RFC
 * 6265bis, the public suffixes included; the jar is tough-cookie.
 */
export class Cookies extends EventEmitter<CookiesEvents> {
  readonly _store: CookieStore;
  readonly _jar: CookieJar;
  readonly _file: PartitionFile | null;

  /**
   * @param keepsAll the file has the cookies of the session, too
   * @throws Error when the file is no file of cookies
   */
  constructor(
    file: PartitionFile | null = null,
    private readonly keepsAll = false,
  ) {
    super();
    this._store = new CookieStore((cookie, cause, removed) => this._changed(cookie, cause, removed));
    this._jar = new CookieJar(this._store, {
      rejectPublicSuffixes: true,
      looseMode: true,
      prefixSecurity: 'strict',
      allowSpecialUseDomain: true,
      enforceSecureOriginOnStorage: true,
    });
    this._file = file;
    if (file !== null) {
      for (const cookie of file.load(readCookies)) this._store.restore(cookie);
      file.contents = () => this._persistent();
    }
  }

  /** Those that fit. @throws (rejects) TypeError for a URL that is none */
  async get(filter: CookieFilter = {}): Promise<Cookie[]> {
    const { url } = filter;
    const all = url ? this._jar.getCookiesSync(parseUrl(url), { sort: true }) : this._store.list();
    return all.map(shown).filter((cookie) => fits(cookie, filter));
  }

  /** Sets a cookie, in the place of one with the same name, domain and path. @throws (rejects) Error that says why not */
  async set(details: CookieDetails): Promise<void> {
    const url = parseUrl(details.url);
    const {
      name = '',
      value = '',
      domain = '',
      path = '',
      httpOnly = false,
      sameSite = 'lax',
      expirationDate,
    } = details;
    if (!(sameSite in TO_JAR)) {
      throw new TypeError(`Failed to set cookie: sameSite '${sameSite}' is none of ${Object.keys(TO_JAR).join(', ')}`);
    }
    if (UNFIT.test(name) || UNFIT.test(value) || UNFIT.test(path) || name.includes('=')) {
      throw new Error('Failed to set cookie: a name, value or path with characters that no cookie can have');
    }
    if (expirationDate !== undefined && !Number.isFinite(expirationDate)) {
      throw new TypeError('Failed to set cookie: expirationDate is a number of seconds');
    }
    const cookie = new JarCookie({
      key: name,
      value,
      domain: domain === '' ? null : domain.replace(/^\./, '').toLowerCase(),
      path: path === '' ? null : path,
      secure: details.secure ?? sameSite === 'no_restriction',
      httpOnly,
      sameSite: TO_JAR[sameSite],
      ...(expirationDate === undefined ? {} : { expires: new Date(expirationDate * 1000) }),
    });
    forOneHost(cookie, url);
    const refused = this._refusal(cookie, url, true);
    if (refused !== null) throw new Error(`Failed to set cookie: ${refused}`);
    try {
      this._jar.setCookieSync(cookie, url);
    } catch (error) {
      throw new Error(`Failed to set cookie: ${(error as Error).message}`);
    }
  }

  /** Removes the cookies of that name that would be sent to `url`. @throws (rejects) TypeError for a URL that is none */
  async remove(url: string, name: string): Promise<void> {
    for (const cookie of this._jar.getCookiesSync(parseUrl(url))) {
      if (cookie.key === name) this._store.drop(cookie, 'explicit');
    }
  }

  /** Writes what is not on disk yet. @throws (rejects) the file system's error */
  async flushStore(): Promise<void> {
    await this._file?.flush();
  }

  // ── the requests' side ──

  /** The Cookie field for a request; undefined when no cookie fits. Never throws. */
  _header(url: URL, context: CookieContext): string | undefined {
    let found = this._jar.getCookiesSync(url, { sort: true });
    if (isCrossSite(url, context)) found = found.filter((cookie) => cookie.sameSite === 'none');
    const text = found.map((cookie) => cookie.cookieString()).join('; ');
    return text === '' ? undefined : text;
  }

  /** Keeps what a response sets and may set. Never throws. */
  _take(url: URL, fields: readonly string[], context: CookieContext): void {
    const crossSite = isCrossSite(url, context);
    for (const field of fields) {
      const cookie = JarCookie.parse(field, { loose: true });
      if (cookie === undefined || (crossSite && cookie.sameSite !== 'none')) continue;
      forOneHost(cookie, url);
      if (this._refusal(cookie, url, false) !== null) continue;
      try {
        this._jar.setCookieSync(cookie, url, { ignoreError: true });
      } catch {
        // tough-cookie throws for domains that are no names, ignoreError or not.
      }
    }
  }

  /** Why a cookie is not taken, beyond what the jar checks. */
  _refusal(cookie: JarCookie, url: URL, explicit: boolean): string | null {
    if (cookie.key === '' && cookie.value === '') return 'it has neither name nor value';
    if (cookie.key.length + cookie.value.length > NAME_AND_VALUE_MAX) return 'it is too long';
    // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what is looked for
    if (/[\x00-\x08\x0a-\x1f\x7f]/.test(cookie.key + cookie.value)) return 'it contains a control character';
    if ((cookie.domain?.length ?? 0) > ATTRIBUTE_MAX) return 'its domain is too long';
    if ((cookie.path?.length ?? 0) > ATTRIBUTE_MAX) cookie.path = null;
    if (cookie.sameSite === 'none' && !cookie.secure) return 'SameSite=None goes with Secure only';
    if (url.protocol === 'http:' && !cookie.secure && !explicit && this._shadowsSecure(cookie, url)) {
      return 'a secure cookie of that name is not for insecure connections to change';
    }
    return null;
  }

  /** RFC 6265bis §5.7, step 13: "leave secure cookies alone". */
  _shadowsSecure(cookie: JarCookie, url: URL): boolean {
    const secured = new URL(url);
    secured.protocol = 'https:';
    return this._jar
      .getCookiesSync(secured, { allPaths: true, expire: false })
      .some((other) => other.secure && other.key === cookie.key && (cookie.path ?? '/').startsWith(other.path ?? '/'));
  }

  /** All cookies, or those that would be sent to one host, are gone. */
  _clear(host?: string): void {
    this._clearWhere(
      ({ domain, hostOnly }) =>
        host === undefined || domain === host || (hostOnly !== true && host.endsWith(`.${domain}`)),
    );
  }

  _clearWhere(fits: (cookie: Pick<JarCookie, 'hostOnly'> & { domain: string }) => boolean): void {
    for (const cookie of this._store.list()) if (fits(cookie as Internal)) this._store.drop(cookie, 'explicit');
  }

  _changed(cookie: JarCookie, cause: CookieChange, removed: boolean): void {
    if (this._isKept(cookie)) this._file?.touch();
    if (this.listenerCount('changed') === 0) return;
    const about = shown(cookie);
    // A listener is the application's: what it throws must not end up in a request.
    process.nextTick(() => this.emit('changed', new ChangeEvent(), about, cause, removed));
  }

  _isKept(cookie: JarCookie): boolean {
    return this.keepsAll || cookie.isPersistent();
  }

  _persistent(): object {
    return {
      cookies: this._store
        .list()
        .filter((cookie) => this._isKept(cookie))
        .map((cookie) => cookie.toJSON()),
    };
  }
}

class ChangeEvent implements SessionEvent {
  defaultPrevented = false;
  preventDefault(): void {
    this.defaultPrevented = true;
  }
}

/** What a partition's file holds. @throws Error when it is something else */
function readCookies(contents: unknown): JarCookie[] {
  const list = (contents as { cookies?: unknown } | null)?.cookies;
  if (!Array.isArray(list)) throw new Error('it has no list of cookies');
  return list.map((one: unknown) => {
    const { domain, path, key = '', value = '' } = (one ?? {}) as Record<string, unknown>;
    const cookie = [domain, path, key, value].every((text) => typeof text === 'string') && JarCookie.fromJSON(one);
    if (!cookie) throw new Error('it has something in it that is no cookie');
    return cookie;
  });
}

/** RFC 6265bis §5.7: a host that is a public suffix, or an address, and names itself as the domain speaks for itself only. */
function forOneHost(cookie: JarCookie, url: URL): void {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (cookie.domain === host && isPublicSuffix(host)) cookie.domain = null;
}

function parseUrl(text: unknown): URL {
  if (typeof text !== 'string' || !URL.canParse(text)) throw new TypeError(`'${String(text)}' is not a URL`);
  return new URL(text);
}

function shown(given: JarCookie): Cookie {
  const cookie = given as Internal;
  const expires = cookie.expiryTime();
  const session = !cookie.isPersistent();
  const about: Cookie = {
    name: cookie.key,
    value: cookie.value,
    domain: cookie.hostOnly ? cookie.domain : `.${cookie.domain}`,
    hostOnly: cookie.hostOnly === true,
    path: cookie.path,
    secure: cookie.secure,
    httpOnly: cookie.httpOnly,
    session,
    sameSite: FROM_JAR[cookie.sameSite ?? ''] ?? 'unspecified',
  };
  if (!session && expires !== undefined) about.expirationDate = expires / 1000;
  return about;
}

function fits(cookie: Cookie, filter: CookieFilter): boolean {
  for (const key of ['name', 'path', 'secure', 'session', 'httpOnly'] as const) {
    if (filter[key] !== undefined && filter[key] !== cookie[key]) return false;
  }
  if (filter.domain === undefined || filter.domain === '') return true;
  const wanted = `.${filter.domain.replace(/^\./, '').toLowerCase()}`;
  return `.${cookie.domain.replace(/^\./, '')}`.endsWith(wanted);
}

/** Asked by another site: then cookies go along that say that they do, and no others. */
function isCrossSite(url: URL, { origin }: CookieContext): boolean {
  if (origin === '') return false;
  if (!URL.canParse(origin)) return true;
  const from = new URL(origin);
  return from.protocol !== url.protocol || siteOf(from.hostname) !== siteOf(url.hostname);
}
