import type { Bytes } from '../stack/base/bytes';

/** What a byte may be part of; `CHAR_CLASS[byte]` is a set of these bits. */
const CHAR_TOKEN = 1;
/** Field values and quoted pairs: HTAB, SP, VCHAR, obs-text (RFC 9110 §5.5). */
const CHAR_VALUE = 2;
/** Path of a request target: what RFC 3986 allows and the few more that browsers send raw; no '#', '?', 8-bit bytes. */
const CHAR_PATH = 4;
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

const CHAR_CLASS: Uint8Array = classes();

// Exported by another statement: what is exported where it is declared, a compiler to CommonJS reads through `exports`
// each time, and the loops below pass here for every byte.
export { CHAR_CLASS, CHAR_PATH, CHAR_TOKEN, CHAR_VALUE };

/** Where the token that begins at `p` ends: the first byte that is no part of one, or `end`. */
export function tokenEnds(b: Bytes, p: number, end: number): number {
  const kinds = CHAR_CLASS;
  while (p < end && (kinds[b[p]!]! & CHAR_TOKEN) !== 0) p++;
  return p;
}

/** Where the first byte from `p` on is that no field value may contain, or `end`. Four at a time: most bytes come here. */
export function valueEnds(b: Bytes, p: number, end: number): number {
  const kinds = CHAR_CLASS;
  const fours = end - 3;
  while (p < fours && (kinds[b[p]!]! & kinds[b[p + 1]!]! & kinds[b[p + 2]!]! & kinds[b[p + 3]!]! & CHAR_VALUE) !== 0) {
    p += 4;
  }
  while (p < end && (kinds[b[p]!]! & CHAR_VALUE) !== 0) p++;
  return p;
}

/** Where the path from `p` on ends: the first byte that is no part of one, or `end`. */
export function pathEnds(b: Bytes, p: number, end: number): number {
  const kinds = CHAR_CLASS;
  while (p < end && (kinds[b[p]!]! & CHAR_PATH) !== 0) p++;
  return p;
}

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
