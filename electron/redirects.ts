import type { RequestHeaders } from './headers';

/** How many redirects are followed. */
export const REDIRECTS_MAX = 20;

/** Where a redirect leads. */
export interface Redirect {
  statusCode: number;
  /** The method of the next request. */
  method: string;
  url: URL;
  /** The next request has the body of the last one. */
  keepsBody: boolean;
}

const STATUSES = new Set([301, 302, 303, 307, 308]);

/** Fields that speak of a body; they go when it goes. */
const BODY_FIELDS = ['content-type', 'content-encoding', 'content-language', 'content-location', 'origin'];
/** Fields that are nobody's business but that of the origin they were set for. */
const PRIVATE_FIELDS = ['authorization', 'cookie', 'proxy-authorization'];

/** RFC 9110 §15.4 and Fetch §4.4: a 303 asks for a GET, a POST becomes one with 301 and 302 too. */
function methodAfter(status: number, method: string): string {
  if (status === 303) return method === 'HEAD' ? 'HEAD' : 'GET';
  return (status === 301 || status === 302) && method === 'POST' ? 'GET' : method;
}

/** Servers send UTF-8 in Location; a head is read as latin1. */
function decoded(location: string): string {
  const bytes = Buffer.from(location, 'latin1');
  const text = bytes.toString('utf8');
  return text.includes('\ufffd') ? location : text;
}

/**
 * What a response redirects to. Null: it is no redirect. 'invalid': its Location is no URL. 'unsafe': it leads to what
 * is not http or https.
 */
export function redirectOf(
  status: number,
  location: string | undefined,
  method: string,
  from: URL,
): Redirect | null | 'invalid' | 'unsafe' {
  if (!STATUSES.has(status) || location === undefined) return null;
  const text = decoded(location);
  if (!URL.canParse(text, from.href)) return 'invalid';
  const url = new URL(text, from.href);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return 'unsafe';
  // RFC 9110 §10.2.2: a Location without a fragment inherits it.
  if (url.hash === '' && !text.includes('#')) url.hash = from.hash;
  const next = methodAfter(status, method);
  return { statusCode: status, method: next, url, keepsBody: next === method };
}

/** The fields of the next request: without what speaks of a body that is gone, and without what another origin gave. */
export function headersAfter(headers: RequestHeaders, redirect: Redirect, from: URL): RequestHeaders {
  const next = headers.clone();
  if (!redirect.keepsBody) for (const name of BODY_FIELDS) next.remove(name);
  if (redirect.url.origin !== from.origin) for (const name of PRIVATE_FIELDS) next.remove(name);
  return next;
}
