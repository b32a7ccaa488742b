import { isToken } from '../http/validators';
import { RequestHeaders } from './headers';
import { isPriority, type Priority } from './priority';
import { isReferrerPolicy, type ReferrerPolicy } from './referrer';
import type { RequestSession, Sessions } from './session-types';

const CREDENTIALS = ['include', 'omit', 'same-origin'] as const;
const REDIRECT_MODES = ['follow', 'error', 'manual'] as const;
const CACHE_MODES = ['default', 'no-store', 'reload', 'no-cache', 'force-cache', 'only-if-cached'] as const;

/** Values of the option `credentials`: whether cookies and logins go along. */
export type CredentialsMode = (typeof CREDENTIALS)[number];
/** Values of the option `redirect`: follow, fail, or ask the listener of 'redirect'. */
export type RedirectMode = (typeof REDIRECT_MODES)[number];
/** Values of the option `cache`: those of fetch. Nothing is cached here (docs/electron.md). */
export type CacheMode = (typeof CACHE_MODES)[number];

/** What `net.request` takes. */
export interface ClientRequestOptions {
  /** Default 'GET'. */
  method?: string;
  /** An absolute http or https URL; wins over the parts below. */
  url?: string | URL;
  /** The same as `url`. */
  href?: string;
  /** 'http:' (the default) or 'https:'. */
  protocol?: string;
  /** "hostname:port"; wins over `hostname` and `port`. */
  host?: string;
  /** Default 'localhost'. */
  hostname?: string;
  port?: number | string;
  /** Path and query; default '/'. */
  path?: string;
  headers?: Record<string, string | readonly string[]>;
  /** An instance of `Session`; default: the default session. */
  session?: object;
  /** Names a session; passed over when `session` is given. */
  partition?: string;
  /** Whether cookies and authentication of the session are used; unset: authentication only. */
  credentials?: CredentialsMode;
  /** Cookies of the session are sent and stored; counts only while `credentials` is unset. */
  useSessionCookies?: boolean;
  redirect?: RedirectMode;
  /** Who caused the request: decides what is same-origin. */
  origin?: string;
  referrerPolicy?: ReferrerPolicy;
  cache?: CacheMode;
  priority?: Priority;
  priorityIncremental?: boolean;
  /** There are no handlers to bypass: accepted, without effect. */
  bypassCustomProtocolHandlers?: boolean;
}

/** A request as asked for, everything checked. */
export interface RequestSpec {
  readonly url: URL;
  readonly method: string;
  readonly headers: RequestHeaders;
  readonly session: RequestSession;
  readonly credentials: CredentialsMode | undefined;
  readonly useSessionCookies: boolean;
  readonly redirect: RedirectMode;
  readonly origin: string;
  readonly referrerPolicy: ReferrerPolicy;
  readonly cache: CacheMode;
  /** Undefined: not asked for, and not told to the server. */
  readonly priority: Priority | undefined;
  readonly priorityIncremental: boolean;
}

/** @throws Error for any other scheme */
function checkScheme(url: URL): URL {
  if (url.protocol === 'http:' || url.protocol === 'https:') return url;
  throw new Error('ClientRequest only supports http: and https: protocols');
}

/** @throws TypeError for what is no absolute URL, or a path with a space */
function urlOf(options: ClientRequestOptions): URL {
  const whole = options.url ?? options.href;
  if (whole !== undefined) return checkScheme(new URL(String(whole)));
  const { protocol = 'http:', path = '/' } = options;
  if (protocol !== 'http:' && protocol !== 'https:') {
    throw new Error('ClientRequest only supports http: and https: protocols');
  }
  if (typeof path !== 'string' || path.includes(' ')) {
    throw new TypeError('Request path contains unescaped characters');
  }
  // Put together as text: "//x" is a path here, not another host.
  return new URL(`${protocol}//${authorityOf(options)}${path.startsWith('/') ? '' : '/'}${path}`);
}

/** @throws TypeError for what would not stay the authority */
function authorityOf({ host, hostname, port }: ClientRequestOptions): string {
  const name = hostname || 'localhost';
  const bracketed = name.includes(':') && !name.startsWith('[') ? `[${name}]` : name;
  const text = host || (port === undefined || port === null || port === '' ? bracketed : `${bracketed}:${port}`);
  if (/[/\\?#@\s]/.test(text)) throw new TypeError(`Invalid host "${text}"`);
  return text;
}

/** @throws TypeError */
function oneOf<T extends string>(value: unknown, name: string, list: readonly T[]): T | undefined {
  if (value === undefined || list.includes(value as T)) return value as T | undefined;
  throw new TypeError(`${name} should be one of ${list.slice(0, -1).join(', ')} or ${list[list.length - 1]}`);
}

function sessionOf<S extends object>(options: ClientRequestOptions, sessions: Sessions<S>): RequestSession {
  const { session, partition } = options;
  if (session !== undefined && session !== null) {
    if (!(session instanceof sessions.Session)) {
      throw new TypeError('`session` should be an instance of the Session class');
    }
    return sessions.requestSession(session as S);
  }
  if (partition === undefined || partition === null) return sessions.requestSession(sessions.defaultSession);
  if (typeof partition !== 'string') throw new TypeError('`partition` should be a string');
  return sessions.requestSession(sessions.fromPartition(partition));
}

function headersOf(given: unknown): RequestHeaders {
  const headers = new RequestHeaders();
  if (given === undefined) return headers;
  if (given === null || typeof given !== 'object' || Array.isArray(given)) {
    throw new TypeError('headers must be an object');
  }
  for (const [name, value] of Object.entries(given)) headers.set(name, value);
  return headers;
}

function methodOf(method: unknown): string {
  if (method === undefined || method === null || method === '') return 'GET';
  if (typeof method !== 'string' || !isToken(method)) throw new TypeError(`Invalid method "${String(method)}"`);
  return method.toUpperCase();
}

/** An origin in its usual form, so that it can be compared; '' is none. @throws TypeError */
function originOf(origin: unknown): string {
  if (origin === undefined || origin === null || origin === '') return '';
  if (typeof origin !== 'string') throw new TypeError('`origin` should be a string');
  return URL.canParse(origin) ? new URL(origin).origin : origin;
}

/**
 * Reads what `net.request` was given.
 * @throws TypeError, Error for what cannot be a request
 */
export function readOptions<S extends object>(
  input: string | URL | ClientRequestOptions,
  sessions: Sessions<S>,
): RequestSpec {
  const options: ClientRequestOptions =
    typeof input === 'string' || input instanceof URL ? { url: input } : (input ?? missing());
  const { referrerPolicy = '', redirect, priority } = options;
  const url = urlOf(options);
  const credentials = oneOf(options.credentials, 'credentials', CREDENTIALS);
  const origin = originOf(options.origin);
  if (credentials === 'same-origin' && origin === '') {
    throw new Error('credentials: same-origin requires origin to be set');
  }
  if (redirect !== undefined && !REDIRECT_MODES.includes(redirect)) {
    throw new Error('redirect mode should be one of follow, error or manual');
  }
  if (!isReferrerPolicy(referrerPolicy)) throw new TypeError(`Unknown referrerPolicy "${String(referrerPolicy)}"`);
  if (priority !== undefined && !isPriority(priority)) throw new TypeError(`Unknown priority "${String(priority)}"`);
  return {
    url,
    method: methodOf(options.method),
    headers: headersOf(options.headers),
    session: sessionOf(options, sessions),
    credentials,
    useSessionCookies: options.useSessionCookies === true,
    redirect: redirect ?? 'follow',
    origin,
    referrerPolicy,
    cache: oneOf(options.cache, 'cache', CACHE_MODES) ?? 'default',
    priority,
    priorityIncremental: options.priorityIncremental ?? true,
  };
}

function missing(): never {
  throw new TypeError('A URL or options are required');
}
