import type { Bytes } from '../stack/base/bytes';

/** What a byte may be part of; `CHAR_CLASS[byte]` is a set of these bits. */
export const CHAR_TOKEN = 1;
/** Field values and quoted pairs: HTAB, SP, VCHAR, obs-text (RFC 9110 §5.5). */
export const CHAR_VALUE = 2;
/** Path of a request target: what RFC 3986 allows and the few more that browsers send raw; no '#', '?', 8-bit bytes. */
export const CHAR_PATH = 4;
/** Authority of a request target, '@' excepted: it may occur once. */
export const CHAR_AUTHORITY = 8;
export const CHAR_ALPHA = 16;
/** qdtext of a quoted string (RFC 9110 §5.6.4). */
export const CHAR_QUOTED = 32;

export const HTAB = 9;
export const LF = 10;
export const FF = 12;
export const CR = 13;
export const SP = 32;
export const QUOTE = 34;
export const COMMA = 44;
export const DOT = 46;
export const SLASH = 47;
export const COLON = 58;
export const SEMICOLON = 59;
export const EQUALS = 61;
export const BACKSLASH = 92;

function classes(): Uint8Array {
  const table = new Uint8Array(256);
  const add = (bit: number, chars: string): void => {
    for (let i = 0; i < chars.length; i++) table[chars.charCodeAt(i)]! |= bit;
  };
  const alpha = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
  const word = `${alpha}0123456789`;
  add(CHAR_ALPHA, alpha);
  add(CHAR_TOKEN, `${word}!#$%&'*+-.^_\`|~`);
  add(CHAR_PATH, `${word}!"$%&'()*+,-./:;<=>@[\\]^_\`{|}~`);
  add(CHAR_AUTHORITY, `${word}-_.!~*'()%;:&=+$,[]`);
  table[HTAB]! |= CHAR_VALUE | CHAR_QUOTED;
  for (let c = SP; c < 256; c++) {
    if (c === 0x7f) continue;
    table[c]! |= CHAR_VALUE;
    if (c !== QUOTE && c !== BACKSLASH) table[c]! |= CHAR_QUOTED;
  }
  return table;
}

export const CHAR_CLASS: Uint8Array = classes();

/** The value of a hexadecimal digit, or -1. */
export const HEX_VALUE: Int8Array = new Int8Array(256).fill(-1);
for (let i = 0; i < 10; i++) HEX_VALUE[0x30 + i] = i;
for (let i = 0; i < 6; i++) {
  HEX_VALUE[0x41 + i] = 10 + i;
  HEX_VALUE[0x61 + i] = 10 + i;
}

// ---- methods ----

/** The protocols whose request lines share this grammar, as bits. */
export const PROTOCOL_HTTP = 1;
export const PROTOCOL_RTSP = 2;
export const PROTOCOL_ICE = 4;

const HTTP_METHODS =
  'DELETE GET HEAD POST PUT CONNECT OPTIONS TRACE COPY LOCK MKCOL MOVE PROPFIND PROPPATCH SEARCH UNLOCK BIND REBIND ' +
  'UNBIND ACL REPORT MKACTIVITY CHECKOUT MERGE M-SEARCH NOTIFY SUBSCRIBE UNSUBSCRIBE PATCH PURGE MKCALENDAR LINK UNLINK ' +
  'SOURCE QUERY PRI';
const RTSP_METHODS =
  'OPTIONS GET POST DESCRIBE ANNOUNCE SETUP PLAY PAUSE TEARDOWN GET_PARAMETER SET_PARAMETER REDIRECT RECORD FLUSH';

/** Every method that a request line may begin with; `head.method` is an index into it. */
export const METHODS: readonly string[] = [...new Set(`${HTTP_METHODS} ${RTSP_METHODS}`.split(' '))];
/** For each method the protocols that it may be used with, as PROTOCOL_ bits. */
export const METHOD_PROTOCOLS: Uint8Array = Uint8Array.from(
  METHODS,
  (name) =>
    (HTTP_METHODS.split(' ').includes(name) ? PROTOCOL_HTTP : 0) |
    (RTSP_METHODS.split(' ').includes(name) ? PROTOCOL_RTSP : 0) |
    (name === 'SOURCE' ? PROTOCOL_ICE : 0),
);
export const METHOD_GET = METHODS.indexOf('GET');
export const METHOD_HEAD = METHODS.indexOf('HEAD');
export const METHOD_POST = METHODS.indexOf('POST');
export const METHOD_CONNECT = METHODS.indexOf('CONNECT');
export const METHOD_PRI = METHODS.indexOf('PRI');

/** `METHOD_TRIE[node * 32 + METHOD_COLUMN[byte]]` is the next node, 0 when no method goes on so. Node 0 is the root. */
export const METHOD_COLUMN: Uint8Array = new Uint8Array(256);
for (let c = 0x41; c <= 0x5a; c++) METHOD_COLUMN[c] = c - 0x40;
METHOD_COLUMN[0x2d] = 27;
METHOD_COLUMN[0x5f] = 28;
/** `METHOD_AT[node]` is the method that ends at the node, or -1. */
export const METHOD_AT: Int8Array = new Int8Array(512).fill(-1);
export const METHOD_TRIE: Int16Array = methodTrie();

function methodTrie(): Int16Array {
  const trie = new Int16Array(512 * 32);
  let nodes = 1;
  METHODS.forEach((name, method) => {
    let node = 0;
    for (let i = 0; i < name.length; i++) {
      const edge = node * 32 + METHOD_COLUMN[name.charCodeAt(i)]!;
      if (trie[edge] === 0) trie[edge] = nodes++;
      node = trie[edge]!;
    }
    METHOD_AT[node] = method;
  });
  return trie;
}

// ---- request target ----

/** States of the request target; `TARGET_NEXT[state << 8 | byte]` is the next one, or an exit from TARGET_ENDS on. */
export const TARGET_START = 0;
export const TARGET_SCHEME = 1;
export const TARGET_SLASH = 2;
export const TARGET_SLASH2 = 3;
export const TARGET_AUTHORITY = 4;
export const TARGET_AUTHORITY_AT = 5;
export const TARGET_PATH = 6;
export const TARGET_QUERY = 7;
export const TARGET_FRAGMENT = 8;
const TARGET_STATES = 9;
export const TARGET_ENDS = 16;
export const TARGET_BAD_CHAR = 17;
export const TARGET_BAD_START = 18;
export const TARGET_BAD_SCHEME = 19;
export const TARGET_BAD_AUTHORITY = 20;
export const TARGET_BAD_AT = 21;
export const TARGET_BAD_PATH = 22;
export const TARGET_BAD_QUERY = 23;
export const TARGET_BAD_FRAGMENT = 24;

/** Where each state goes when the byte fits nothing else. */
const TARGET_OTHERWISE = [
  TARGET_BAD_START,
  TARGET_BAD_SCHEME,
  TARGET_BAD_SCHEME,
  TARGET_BAD_SCHEME,
  TARGET_BAD_AUTHORITY,
  TARGET_BAD_AUTHORITY,
  TARGET_BAD_PATH,
  TARGET_BAD_QUERY,
  TARGET_BAD_FRAGMENT,
];

function targetStep(state: number, c: number): number {
  const kind = CHAR_CLASS[c]!;
  const is = (chars: string): boolean => chars.includes(String.fromCharCode(c));
  if (is('\t\f') && state !== TARGET_SLASH2) return TARGET_BAD_CHAR;
  if (is(' \r\n') && state <= TARGET_SLASH) return TARGET_BAD_CHAR;
  if (is(' \r\n') && state >= TARGET_AUTHORITY) return TARGET_ENDS;
  switch (state) {
    case TARGET_START:
      if (is('/*')) return TARGET_PATH;
      if (kind & CHAR_ALPHA) return TARGET_SCHEME;
      break;
    case TARGET_SCHEME:
      if (kind & CHAR_ALPHA) return TARGET_SCHEME;
      if (is(':')) return TARGET_SLASH;
      break;
    case TARGET_SLASH:
      if (is('/')) return TARGET_SLASH2;
      break;
    case TARGET_SLASH2:
      if (is('/')) return TARGET_AUTHORITY;
      break;
    case TARGET_AUTHORITY:
    case TARGET_AUTHORITY_AT:
      if (is('/')) return TARGET_PATH;
      if (is('?')) return TARGET_QUERY;
      if (is('@')) return state === TARGET_AUTHORITY ? TARGET_AUTHORITY_AT : TARGET_BAD_AT;
      if (kind & CHAR_AUTHORITY) return TARGET_AUTHORITY;
      break;
    case TARGET_PATH:
      if (kind & CHAR_PATH) return TARGET_PATH;
      if (is('?')) return TARGET_QUERY;
      if (is('#')) return TARGET_FRAGMENT;
      break;
    case TARGET_QUERY:
      if (kind & CHAR_PATH || is('?')) return TARGET_QUERY;
      if (is('#')) return TARGET_FRAGMENT;
      break;
    default:
      if (kind & CHAR_PATH || is('?#')) return TARGET_FRAGMENT;
  }
  return TARGET_OTHERWISE[state]!;
}

export const TARGET_NEXT: Uint8Array = Uint8Array.from({ length: TARGET_STATES << 8 }, (_, i) =>
  targetStep(i >> 8, i & 255),
);

// ---- known field names ----

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
    let differs = 0;
    let differsLower = 0;
    for (let i = 0, k = name * NAME_STRIDE; i < bytes; i++, k++) {
      const c = b[at + i]!;
      const known = nameBytes[k]!;
      differs |= c ^ known;
      differsLower |= c ^ (known | 0x20);
    }
    if (differs === 0) return (name << NAME_SHIFT) | SPELLING_CANONICAL;
    if (differsLower === 0) return (name << NAME_SHIFT) | SPELLING_LOWER;
    if ((differs & ~0x20) === 0) return (name << NAME_SHIFT) | SPELLING_OTHER;
  }
  return 0;
}

// ---- leniency and errors ----

/** Ways to be lenient, as bits: those of Node's parser, with Node's numbers. 0 is strict. */
export const LENIENT_HEADERS = 1 << 0;
export const LENIENT_CHUNKED_LENGTH = 1 << 1;
export const LENIENT_KEEP_ALIVE = 1 << 2;
export const LENIENT_TRANSFER_ENCODING = 1 << 3;
export const LENIENT_VERSION = 1 << 4;
export const LENIENT_DATA_AFTER_CLOSE = 1 << 5;
export const LENIENT_OPTIONAL_LF_AFTER_CR = 1 << 6;
export const LENIENT_OPTIONAL_CRLF_AFTER_CHUNK = 1 << 7;
export const LENIENT_OPTIONAL_CR_BEFORE_LF = 1 << 8;
export const LENIENT_SPACES_AFTER_CHUNK_SIZE = 1 << 9;
/** `insecureHTTPParser: true`. */
export const LENIENT_ALL = (1 << 10) - 1;

/** Why a peer's message was refused: Node's `code` and `reason`. */
export interface ParseError {
  readonly code: string;
  readonly reason: string;
}

const error = (code: string, reason: string): ParseError => Object.freeze({ code: `HPE_${code}`, reason });

/** Every way to refuse a message. Codes and reasons are Node's, so that handlers of 'clientError' go on working. */
export const ERRORS = {
  invalidMethod: error('INVALID_METHOD', 'Invalid method encountered'),
  spaceAfterMethod: error('INVALID_METHOD', 'Expected space after method'),
  urlBadChar: error('INVALID_URL', 'Invalid characters in url'),
  urlBadStart: error('INVALID_URL', 'Unexpected start char in url'),
  urlBadScheme: error('INVALID_URL', 'Unexpected char in url schema'),
  urlBadAuthority: error('INVALID_URL', 'Unexpected char in url server'),
  urlDoubleAt: error('INVALID_URL', 'Double @ in url'),
  urlBadPath: error('INVALID_URL', 'Invalid char in url path'),
  urlBadQuery: error('INVALID_URL', 'Invalid char in url query'),
  urlBadFragment: error('INVALID_URL', 'Invalid char in url fragment start'),
  urlExpectedCrlf: error('INVALID_URL', 'Expected CRLF'),
  protocol: error('INVALID_CONSTANT', 'Expected HTTP/, RTSP/ or ICE/'),
  methodNotHttp: error('INVALID_CONSTANT', 'Invalid method for HTTP/x.x request'),
  methodNotRtsp: error('INVALID_CONSTANT', 'Invalid method for RTSP/x.x request'),
  methodNotIce: error('INVALID_CONSTANT', 'Expected SOURCE method for ICE/x.x request'),
  versionMajor: error('INVALID_VERSION', 'Invalid major version'),
  versionDot: error('INVALID_VERSION', 'Expected dot'),
  versionMinor: error('INVALID_VERSION', 'Invalid minor version'),
  version: error('INVALID_VERSION', 'Invalid HTTP version'),
  crlfAfterVersion: error('INVALID_VERSION', 'Expected CRLF after version'),
  lfAfterVersion: error('STRICT', 'Expected CRLF after version'),
  spaceAfterVersion: error('INVALID_VERSION', 'Expected space after version'),
  http2Preface: error('INVALID_VERSION', 'Expected HTTP/2 Connection Preface'),
  http2: error('PAUSED_H2_UPGRADE', 'Pause on PRI/Upgrade'),
  statusCode: error('INVALID_STATUS', 'Invalid status code'),
  statusLine: error('INVALID_STATUS', 'Invalid response status'),
  crAfterStatusLine: error('CR_EXPECTED', 'Missing expected CR after response line'),
  lfAfterCr: error('STRICT', 'Expected LF after CR'),
  spaceAfterStartLine: error('UNEXPECTED_SPACE', 'Unexpected space after start line'),
  fieldToken: error('INVALID_HEADER_TOKEN', 'Invalid header token'),
  fieldChar: error('INVALID_HEADER_TOKEN', 'Invalid header field char'),
  valueChar: error('INVALID_HEADER_TOKEN', 'Invalid header value char'),
  fold: error('INVALID_HEADER_TOKEN', 'Unexpected whitespace after header value'),
  crAfterValue: error('CR_EXPECTED', 'Missing expected CR after header value'),
  lfAfterValue: error('LF_EXPECTED', 'Missing expected LF after header value'),
  lfAfterHeaders: error('STRICT', 'Expected LF after headers'),
  transferEncodingWithLength: error(
    'INVALID_TRANSFER_ENCODING',
    "Transfer-Encoding can't be present with Content-Length",
  ),
  lengthWithTransferEncoding: error('INVALID_CONTENT_LENGTH', "Content-Length can't be present with Transfer-Encoding"),
  transferEncodingValue: error('INVALID_TRANSFER_ENCODING', 'Invalid `Transfer-Encoding` header value'),
  transferEncodingRequest: error('INVALID_TRANSFER_ENCODING', 'Request has invalid `Transfer-Encoding`'),
  lengthEmpty: error('INVALID_CONTENT_LENGTH', 'Empty Content-Length'),
  lengthOverflow: error('INVALID_CONTENT_LENGTH', 'Content-Length overflow'),
  lengthChar: error('INVALID_CONTENT_LENGTH', 'Invalid character in Content-Length'),
  lengthTwice: error('UNEXPECTED_CONTENT_LENGTH', 'Duplicate Content-Length'),
  headerOverflow: error('HEADER_OVERFLOW', 'Header overflow'),
  chunkSizeChar: error('INVALID_CHUNK_SIZE', 'Invalid character in chunk size'),
  chunkSizeOverflow: error('INVALID_CHUNK_SIZE', 'Chunk size overflow'),
  crAfterChunkSize: error('CR_EXPECTED', 'Missing expected CR after chunk size'),
  lfAfterChunkSize: error('STRICT', 'Expected LF after chunk size'),
  extensionChar: error('STRICT', 'Invalid character in chunk extensions'),
  extensionNameChar: error('STRICT', 'Invalid character in chunk extensions name'),
  extensionValueChar: error('STRICT', 'Invalid character in chunk extensions value'),
  extensionQuotedChar: error('STRICT', 'Invalid character in chunk extensions quoted value'),
  extensionQuotedPair: error('STRICT', 'Invalid quoted-pair in chunk extensions quoted value'),
  extensionAfterQuoted: error('STRICT', 'Invalid character in chunk extensions quote value'),
  crAfterExtensionName: error('CR_EXPECTED', 'Missing expected CR after chunk extension name'),
  crAfterExtensionValue: error('CR_EXPECTED', 'Missing expected CR after chunk extension value'),
  chunkExtensionsOverflow: error('CHUNK_EXTENSIONS_OVERFLOW', 'Chunk extensions overflow'),
  crAfterChunk: error('CR_EXPECTED', 'Missing expected CR after chunk data'),
  lfAfterChunk: error('STRICT', 'Expected LF after chunk data'),
  closed: error('CLOSED_CONNECTION', 'Data after `Connection: close`'),
  endOfInput: error('INVALID_EOF_STATE', 'Invalid EOF state'),
} as const;
