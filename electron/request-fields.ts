import { hostField } from '../http/request-options';
import { acceptEncoding } from './decoding';
import { hostnameOf, portOf } from './exchange';
import { type Site, siteOf } from './fetch-metadata';
import type { RequestHeaders } from './headers';
import type { RequestSpec } from './options';
import { priorityField } from './priority';
import { type ReferrerPolicy, referrerFor } from './referrer';
import type { Upload } from './upload';

/** One hop of a request: what a redirect changes. */
export interface Hop {
  url: URL;
  method: string;
  headers: RequestHeaders;
  referrerPolicy: ReferrerPolicy;
  /** Null once a redirect took the body away. */
  upload: Upload | null;
  /** How far from its initiator the chain of redirects has led. */
  site: Site;
}

/** What the session adds. */
export interface SessionFields {
  readonly cookie: string | undefined;
  readonly authorization: string | undefined;
  readonly proxyAuthorization: string | undefined;
}

/** Methods whose requests say that they have no body. */
const WITH_BODY = new Set(['POST', 'PUT', 'PATCH']);

/** Names and values in turn: the application's fields in its order, between what HTTP needs and what the session adds. */
export function requestLines(spec: RequestSpec, hop: Hop, added: SessionFields): string[] {
  const { url, headers } = hop;
  const defaultPort = url.protocol === 'https:' ? 443 : 80;
  const lines = ['Host', hostField(hostnameOf(url), portOf(url), defaultPort), ...framing(hop)];
  const replaced = new Set<string>();
  if (added.cookie !== undefined) replaced.add('cookie');
  if (added.authorization !== undefined) replaced.add('authorization');
  if (added.proxyAuthorization !== undefined) replaced.add('proxy-authorization');
  const own = headers.lines();
  for (let i = 0; i < own.length; i += 2) {
    const name = own[i]!.toLowerCase();
    if (replaced.has(name)) continue;
    const value = name === 'referer' ? referrerFor(own[i + 1]!, url, hop.referrerPolicy) : own[i + 1]!;
    if (value !== undefined) lines.push(own[i]!, value);
  }
  addDefaults(lines, spec, hop);
  if (added.cookie !== undefined) lines.push('Cookie', added.cookie);
  if (added.authorization !== undefined) lines.push('Authorization', added.authorization);
  if (added.proxyAuthorization !== undefined) lines.push('Proxy-Authorization', added.proxyAuthorization);
  return lines;
}

/** How long the body is (RFC 9112 §6). */
function framing({ upload, method }: Hop): string[] {
  if (upload?.chunked) return ['Transfer-Encoding', 'chunked'];
  const bytes = upload?.bytes ?? 0;
  return bytes > 0 || WITH_BODY.has(method) ? ['Content-Length', String(bytes)] : [];
}

/** Fields that are sent unless the application set them. */
function addDefaults(lines: string[], spec: RequestSpec, hop: Hop): void {
  const { session, cache, priority } = spec;
  const add = (name: string, value: string): void => {
    if (value !== '' && !hop.headers.has(name.toLowerCase())) lines.push(name, value);
  };
  if (spec.origin !== '' && hop.method !== 'GET' && hop.method !== 'HEAD') {
    add('Origin', hop.site.tainted ? 'null' : spec.origin);
  }
  add('User-Agent', session.userAgent);
  if (session.contentDecoding) add('Accept-Encoding', acceptEncoding(hop.url, hop.headers.has('range')));
  add('Accept-Language', session.acceptLanguage);
  // Fetch §4.6: what the cache modes ask of caches on the way.
  if (cache === 'no-cache') add('Cache-Control', 'max-age=0');
  if (cache === 'reload' || cache === 'no-store') {
    add('Pragma', 'no-cache');
    add('Cache-Control', 'no-cache');
  }
  if (priority !== undefined) add('Priority', priorityField(priority, spec.priorityIncremental));
  if (session.browserHeaders) {
    add('Sec-Fetch-Site', siteOf(spec.origin, hop.site));
    add('Sec-Fetch-Mode', 'no-cors');
    add('Sec-Fetch-Dest', 'empty');
  }
}
