import type { Bytes } from '../stack/base/bytes';

/** Names that decide framing or the connection's fate, by number; the rest of KNOWN_NAMES follows. */
export const NAME_UNKNOWN = 0;
export const NAME_CONNECTION = 1;
export const NAME_PROXY_CONNECTION = 2;
export const NAME_CONTENT_LENGTH = 3;
export const NAME_TRANSFER_ENCODING = 4;
export const NAME_UPGRADE = 5;
export const NAME_HOST = 6;
export const NAME_EXPECT = 7;

const NAMES =
  'Connection Proxy-Connection Content-Length Transfer-Encoding Upgrade Host Expect ' +
  'Accept Accept-Charset Accept-Encoding Accept-Language Accept-Ranges Access-Control-Allow-Credentials ' +
  'Access-Control-Allow-Headers Access-Control-Allow-Methods Access-Control-Allow-Origin Access-Control-Expose-Headers ' +
  'Access-Control-Max-Age Access-Control-Request-Headers Access-Control-Request-Method Age Allow Alt-Svc Authorization ' +
  'Cache-Control CDN-Loop Content-Disposition Content-Encoding Content-Language Content-Location Content-Range ' +
  'Content-Security-Policy Content-Type Cookie Date DNT ETag Expires Forwarded From If-Match If-Modified-Since ' +
  'If-None-Match If-Range If-Unmodified-Since Keep-Alive Last-Modified Link Location Max-Forwards Origin Pragma Priority ' +
  'Proxy-Authenticate Proxy-Authorization Range Referer Referrer-Policy Retry-After Sec-CH-UA Sec-CH-UA-Mobile ' +
  'Sec-CH-UA-Platform Sec-Fetch-Dest Sec-Fetch-Mode Sec-Fetch-Site Sec-Fetch-User Sec-WebSocket-Accept ' +
  'Sec-WebSocket-Extensions Sec-WebSocket-Key Sec-WebSocket-Protocol Sec-WebSocket-Version Server Server-Timing ' +
  'Set-Cookie Strict-Transport-Security TE Traceparent Tracestate Trailer Upgrade-Insecure-Requests User-Agent Vary Via ' +
  'WWW-Authenticate X-Content-Type-Options X-Forwarded-For X-Forwarded-Host X-Forwarded-Proto X-Frame-Options ' +
  'X-Powered-By X-Real-IP X-Request-ID X-Requested-With X-XSS-Protection';

/** Canonical spelling by number; [0] is empty. */
export const KNOWN_NAMES: readonly string[] = ['', ...NAMES.split(' ')];
/** Lower case by number: what `headers` is keyed with. */
export const KNOWN_NAMES_LOWER: readonly string[] = KNOWN_NAMES.map((name) => name.toLowerCase());

/** How a known name was spelled: then no byte of it needs decoding. */
export const SPELLING_OTHER = 0;
export const SPELLING_CANONICAL = 1;
export const SPELLING_LOWER = 2;
/** findName gives `number << NAME_SHIFT | spelling`. */
export const NAME_SHIFT = 3;

const NAME_STRIDE = 32;
const HASH_SIZE = 512;
const nameBytes = new Uint8Array(KNOWN_NAMES.length * NAME_STRIDE);
const nameLengths = Uint8Array.from(KNOWN_NAMES, (name) => name.length);
/** First candidate of a hash, and the next one of the same hash. */
const hashFirst = new Uint8Array(HASH_SIZE);
const hashNext = new Uint8Array(KNOWN_NAMES.length);

/** Length, first, last and middle byte tell nearly all known names apart; letter case does not count. */
function nameHash(b: Bytes, at: number, bytes: number): number {
  const first = b[at]! & 0x1f;
  const last = b[at + bytes - 1]! & 0x1f;
  const middle = b[at + (bytes >> 1)]! & 0x1f;
  return (first ^ (last << 4) ^ (middle << 2) ^ (bytes * 29)) & (HASH_SIZE - 1);
}

for (let name = KNOWN_NAMES.length - 1; name > 0; name--) {
  for (let i = 0; i < nameLengths[name]!; i++) nameBytes[name * NAME_STRIDE + i] = KNOWN_NAMES[name]!.charCodeAt(i);
  const hash = nameHash(nameBytes, name * NAME_STRIDE, nameLengths[name]!);
  hashNext[name] = hashFirst[hash]!;
  hashFirst[hash] = name;
}

/**
 * The number and spelling of a field name, `number << NAME_SHIFT | spelling`, or 0 when it is not a known one. The bytes
 * must be a token: only then does a difference of one bit mean a difference of case.
 */
export function findName(b: Bytes, at: number, bytes: number): number {
  for (let name = hashFirst[nameHash(b, at, bytes)]!; name !== 0; name = hashNext[name]!) {
    if (nameLengths[name] !== bytes) continue;
    const known = name * NAME_STRIDE;
    let i = 0;
    while (i < bytes && b[at + i] === nameBytes[known + i]) i++;
    if (i === bytes) return (name << NAME_SHIFT) | SPELLING_CANONICAL;
    const spelling = otherSpelling(b, at, bytes, known);
    if (spelling >= 0) return (name << NAME_SHIFT) | spelling;
  }
  return 0;
}

/** How the name is spelled if it is, but for case, the one at `known`; else -1. */
function otherSpelling(b: Bytes, at: number, bytes: number, known: number): number {
  let differs = 0;
  let differsLower = 0;
  for (let i = 0; i < bytes; i++) {
    const c = b[at + i]!;
    const k = nameBytes[known + i]!;
    differs |= c ^ k;
    differsLower |= c ^ (k | 0x20);
  }
  if (differsLower === 0) return SPELLING_LOWER;
  return (differs & ~0x20) === 0 ? SPELLING_OTHER : -1;
}
