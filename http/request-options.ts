import { urlToHttpOptions } from 'node:url';
import { invalidArgType, unescapedCharacters } from './errors';
import type { IncomingMessage } from './incoming';

/** What `request` takes, beside what the agent and the socket take. */
export interface RequestOptions {
  agent?: unknown;
  _defaultAgent?: unknown;
  auth?: string | null;
  createConnection?: (options: object, callback: (error: Error | null, socket?: unknown) => void) => unknown;
  defaultPort?: number | string;
  headers?: Record<string, unknown> | readonly unknown[];
  host?: string | null;
  hostname?: string | null;
  insecureHTTPParser?: boolean;
  joinDuplicateHeaders?: boolean;
  maxHeaderSize?: number;
  method?: string;
  path?: string | null;
  port?: number | string | null;
  protocol?: string | null;
  setHost?: boolean;
  signal?: AbortSignal;
  socketPath?: string;
  /** Milliseconds of silence until 'timeout'. */
  timeout?: number;
  uniqueHeaders?: Array<string | string[]>;
  [other: string]: unknown;
}

export type ResponseListener = (response: IncomingMessage) => void;

/** Node's test for URL objects: legacy url.parse objects, which have `path`, are plain options. */
export const isUrl = (value: unknown): value is URL => {
  const url = value as { href?: string; protocol?: string; auth?: string; path?: string } | null;
  return Boolean(url?.href && url.protocol && url.auth === undefined && url.path === undefined);
};

/**
 * The arguments of `request`: a URL or not, options or not, a listener or not. Options win over the URL; only an object's
 * own properties count.
 * @throws TypeError ERR_INVALID_URL
 */
export function readArguments(input: unknown, options: unknown, listener: unknown): [RequestOptions, unknown] {
  let base: RequestOptions | null = null;
  if (typeof input === 'string') base = urlToHttpOptions(new URL(input)) as RequestOptions;
  else if (isUrl(input)) base = urlToHttpOptions(input) as RequestOptions;
  else {
    listener = options;
    options = input;
  }
  if (typeof options === 'function') {
    listener = options;
    return [base ?? {}, listener];
  }
  return [Object.assign(base ?? {}, options), listener];
}

/** The same arguments for a GET, whatever method they name. */
export function asGet(input: unknown, options: unknown, listener: unknown): [RequestOptions, unknown] {
  const [given, onResponse] = readArguments(input, options, listener);
  return [{ ...given, method: 'GET' }, onResponse];
}

/** @throws TypeError ERR_INVALID_ARG_TYPE */
export function checkHost(host: unknown, name: string): string | null | undefined {
  if (host === null || host === undefined || typeof host === 'string') return host;
  throw invalidArgType(`options.${name}`, ['string', 'undefined', 'null'], host);
}

const NOT_PATH = /[^\u0021-\u00ff]/;

/** @throws TypeError ERR_UNESCAPED_CHARACTERS */
export function checkPath(path: unknown): void {
  if (path && NOT_PATH.test(String(path))) throw unescapedCharacters('Request path');
}

/** The Host field: the port unless it is the usual one, IPv6 addresses in brackets (RFC 3986 §3.2.2). */
export function hostField(host: string, port: unknown, defaultPort: unknown): string {
  const colons = host.split(':').length - 1;
  const name = colons > 1 && !host.startsWith('[') ? `[${host}]` : host;
  return port && Number(port) !== defaultPort ? `${name}:${port}` : name;
}
