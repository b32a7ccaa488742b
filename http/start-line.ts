import type { Bytes } from '../stack/base/bytes';
import {
  CR,
  DOT,
  FF,
  HTAB,
  LF,
  METHOD_AT,
  METHOD_COLUMN,
  METHOD_CONNECT,
  METHOD_PRI,
  METHOD_PROTOCOLS,
  METHOD_TRIE,
  PROTOCOL_HTTP,
  PROTOCOL_ICE,
  PROTOCOL_RTSP,
  pathEnds,
  SLASH,
  SP,
  TARGET_AUTHORITY,
  TARGET_BAD_AT,
  TARGET_BAD_AUTHORITY,
  TARGET_BAD_CHAR,
  TARGET_BAD_FRAGMENT,
  TARGET_BAD_PATH,
  TARGET_BAD_QUERY,
  TARGET_BAD_SCHEME,
  TARGET_BAD_START,
  TARGET_ENDS,
  TARGET_NEXT,
  TARGET_PATH,
  TARGET_START,
} from './grammar';
import { HEAD_FIELDS, HEAD_REQUEST, HEAD_RESPONSE, type Head } from './head';
import {
  ERRORS,
  LENIENT_OPTIONAL_CR_BEFORE_LF,
  LENIENT_OPTIONAL_LF_AFTER_CR,
  LENIENT_VERSION,
  type ParseError,
} from './parse-errors';

/** States of `Head.state` in a request line (RFC 9112 §3), in their order; RESPONSE and those after it: a status line (§4). */
const METHOD = HEAD_REQUEST;
const METHOD_END = 1;
const TARGET_SPACE = 2;
const TARGET = 3;
const TARGET_LF = 4;
const PROTOCOL_SPACE = 5;
const PROTOCOL = 6;
const MAJOR_SLASH = 7;
const MAJOR = 8;
const VERSION_DOT = 9;
const MINOR = 10;
const VERSION_END = 11;
const VERSION_LF = 12;
const PREFACE = 13;
/** Behind the byte that ended the target, in a line with a version and in one of HTTP/0.9. */
const TARGET_END = 14;
const TARGET_END_09 = 15;
const STATUS_PROTOCOL = HEAD_RESPONSE;
const STATUS_SPACE = 25;
const STATUS_DIGIT = 26;
const STATUS_END = 27;
const REASON = 28;
const STATUS_LF = 29;

const bytesOf = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0));
const PROTOCOLS = [bytesOf('HTTP'), bytesOf('RTSP'), bytesOf('ICE')];
const PROTOCOL_BITS = [PROTOCOL_HTTP, PROTOCOL_RTSP, PROTOCOL_ICE];
const PROTOCOL_ERRORS = [ERRORS.methodNotHttp, ERRORS.methodNotRtsp, ERRORS.methodNotIce];
/** What follows "PRI * HTTP/2.0" in the connection preface (RFC 9113 §3.4). */
const PREFACE_REST = bytesOf('\r\n\r\nSM\r\n\r\n');

const TARGET_ERRORS: readonly ParseError[] = (() => {
  const errors: ParseError[] = [];
  errors[TARGET_BAD_CHAR] = ERRORS.urlBadChar;
  errors[TARGET_BAD_START] = ERRORS.urlBadStart;
  errors[TARGET_BAD_SCHEME] = ERRORS.urlBadScheme;
  errors[TARGET_BAD_AUTHORITY] = ERRORS.urlBadAuthority;
  errors[TARGET_BAD_AT] = ERRORS.urlDoubleAt;
  errors[TARGET_BAD_PATH] = ERRORS.urlBadPath;
  errors[TARGET_BAD_QUERY] = ERRORS.urlBadQuery;
  errors[TARGET_BAD_FRAGMENT] = ERRORS.urlBadFragment;
  return errors;
})();

/** Reads the start line from `p` until its end, the end of the bytes, or a fault; returns where it stopped. */
export function readStartLine(h: Head, b: Bytes, p: number, end: number): number {
  while (p < end && h.state < HEAD_FIELDS) {
    p = h.state < HEAD_RESPONSE ? requestStep(h, b, p, end) : statusStep(h, b, p, end);
  }
  return p;
}

function requestStep(h: Head, b: Bytes, p: number, end: number): number {
  const c = b[p]!;
  switch (h.state) {
    case METHOD:
      return readMethod(h, b, p, end);
    case METHOD_END:
      if (c !== SP) return h.fail(ERRORS.spaceAfterMethod, p, 0);
      h.state = TARGET_SPACE;
      return p + 1;
    case TARGET_SPACE:
      if (c === SP) return p + 1;
      h.targetAt = p - h.at;
      h.mark = h.targetAt;
      h.step = h.method === METHOD_CONNECT ? TARGET_AUTHORITY : TARGET_START;
      h.state = TARGET;
      return p;
    case TARGET:
      return readTarget(h, b, p, end);
    case TARGET_LF:
      if (c !== LF) return h.fail(ERRORS.urlExpectedCrlf, p, 0);
      h.state = TARGET_END_09;
      return p + 1;
    case TARGET_END:
    case TARGET_END_09:
      // Other white space is no separator (RFC 9112 §3), and Node still counts it to the target.
      if (c === HTAB || c === FF) return h.fail(ERRORS.urlBadChar, p, 1);
      h.state = h.state === TARGET_END ? PROTOCOL_SPACE : HEAD_FIELDS;
      return p;
    case PROTOCOL_SPACE:
      if (c === SP) return p + 1;
      h.state = PROTOCOL;
      h.step = 0;
      return p;
    case PROTOCOL:
      return readProtocol(h, c, p);
    case VERSION_END:
      return versionEnd(h, c, p);
    case VERSION_LF:
      if (c !== LF && (h.lenient & LENIENT_OPTIONAL_LF_AFTER_CR) === 0) return h.fail(ERRORS.lfAfterVersion, p, 0);
      h.state = HEAD_FIELDS;
      return c === LF ? p + 1 : p;
    case PREFACE:
      return readPreface(h, c, p);
    default:
      return readVersion(h, c, p);
  }
}

function readMethod(h: Head, b: Bytes, p: number, end: number): number {
  let node = h.step;
  for (; p < end; p++) {
    const next = METHOD_TRIE[node * 32 + METHOD_COLUMN[b[p]!]!]!;
    if (next === 0) {
      if (METHOD_AT[node]! < 0) return h.fail(ERRORS.invalidMethod, p, 0);
      h.method = METHOD_AT[node]!;
      h.state = METHOD_END;
      return p;
    }
    node = next;
  }
  h.step = node;
  return p;
}

function readTarget(h: Head, b: Bytes, p: number, end: number): number {
  const nextState = TARGET_NEXT;
  let state = h.step;
  while (p < end) {
    if (state >= TARGET_PATH) p = pathEnds(b, p, end);
    if (p === end) break;
    const next = nextState[(state << 8) | b[p]!]!;
    if (next >= TARGET_ENDS) {
      if (next === TARGET_ENDS) return targetEnds(h, b, p, end);
      return h.fail(TARGET_ERRORS[next]!, p, next === TARGET_BAD_CHAR || next === TARGET_BAD_AT ? 1 : 0);
    }
    state = next;
    p++;
  }
  h.step = state;
  return p;
}

function targetEnds(h: Head, b: Bytes, p: number, end: number): number {
  const c = b[p]!;
  h.targetBytes = p - h.at - h.targetAt;
  if (!h.endToken(p, 0)) return h.errorAt;
  if (c === SP) {
    if (end - p > 10 && isVersion1(b, p + 1) && b[p + 9] === CR && b[p + 10] === LF && isForHttp1(h.method)) {
      h.versionMajor = 1;
      h.versionMinor = b[p + 8]! - 0x30;
      h.state = HEAD_FIELDS;
      return p + 11;
    }
    h.state = TARGET_END;
    return p + 1;
  }
  // A line that ends here is a request of HTTP/0.9, which Node takes.
  h.versionMajor = 0;
  h.versionMinor = 9;
  h.state = c === CR ? TARGET_LF : TARGET_END_09;
  return p + 1;
}

const isForHttp1 = (method: number): boolean =>
  (METHOD_PROTOCOLS[method]! & PROTOCOL_HTTP) !== 0 && method !== METHOD_PRI;

/** "HTTP/1.0" or "HTTP/1.1": nearly all there is, seen at one glance when it is whole. */
function isVersion1(b: Bytes, p: number): boolean {
  return (
    b[p] === 0x48 &&
    b[p + 1] === 0x54 &&
    b[p + 2] === 0x54 &&
    b[p + 3] === 0x50 &&
    b[p + 4] === SLASH &&
    b[p + 5] === 0x31 &&
    b[p + 6] === DOT &&
    (b[p + 7] === 0x31 || b[p + 7] === 0x30)
  );
}

/** `h.step` is the protocol's number * 8 + position; both forms of start line come here. */
function readProtocol(h: Head, c: number, p: number): number {
  if (h.step === 0) h.step = c === 0x52 ? 8 : c === 0x49 ? 16 : 0;
  const protocol = h.step >> 3;
  const word = PROTOCOLS[protocol]!;
  if (c !== word[h.step & 7]) return h.fail(ERRORS.protocol, p, 0);
  h.step++;
  if ((h.step & 7) < word.length) return p + 1;
  if (!h.isResponse && (METHOD_PROTOCOLS[h.method]! & PROTOCOL_BITS[protocol]!) === 0) {
    return h.fail(PROTOCOL_ERRORS[protocol]!, p, 1);
  }
  h.state = MAJOR_SLASH;
  return p + 1;
}

function readVersion(h: Head, c: number, p: number): number {
  const digit = c - 0x30;
  const isDigit = digit >= 0 && digit <= 9;
  switch (h.state) {
    case MAJOR_SLASH:
      if (c !== SLASH) return h.fail(ERRORS.protocol, p, 0);
      h.state = MAJOR;
      return p + 1;
    case MAJOR:
      if (!isDigit) return h.fail(ERRORS.versionMajor, p, 0);
      h.versionMajor = digit;
      h.state = VERSION_DOT;
      return p + 1;
    case VERSION_DOT:
      if (c !== DOT) return h.fail(ERRORS.versionDot, p, 0);
      h.state = MINOR;
      return p + 1;
    default: // MINOR
      if (!isDigit) return h.fail(ERRORS.versionMinor, p, 0);
      h.versionMinor = digit;
      if (!isVersion(h)) return h.fail(ERRORS.version, p, 1);
      h.state = h.isResponse ? STATUS_SPACE : h.method === METHOD_PRI ? PREFACE : VERSION_END;
      h.step = 0;
      return p + 1;
  }
}

function isVersion(h: Head): boolean {
  if (h.lenient & LENIENT_VERSION) return true;
  const version = h.versionMajor * 10 + h.versionMinor;
  return version === 11 || version === 10 || version === 9 || version === 20;
}

function versionEnd(h: Head, c: number, p: number): number {
  if (c === CR || (c === LF && h.lenient & LENIENT_OPTIONAL_CR_BEFORE_LF)) {
    h.state = VERSION_LF;
    return p + 1;
  }
  return h.fail(ERRORS.crlfAfterVersion, p, c === LF ? 1 : 0);
}

function readPreface(h: Head, c: number, p: number): number {
  if (c !== PREFACE_REST[h.step]) return h.fail(ERRORS.http2Preface, p, 0);
  h.step++;
  return h.step === PREFACE_REST.length ? h.fail(ERRORS.http2, p, 1) : p + 1;
}

function statusStep(h: Head, b: Bytes, p: number, end: number): number {
  const c = b[p]!;
  switch (h.state) {
    case STATUS_PROTOCOL:
      if (end - p > 9 && isVersion1(b, p) && b[p + 8] === SP) {
        h.versionMajor = 1;
        h.versionMinor = b[p + 7]! - 0x30;
        h.state = STATUS_DIGIT;
        h.step = 0;
        return p + 9;
      }
      h.state = PROTOCOL;
      h.step = 0;
      return p;
    case STATUS_SPACE:
      if (c !== SP) return h.fail(ERRORS.spaceAfterVersion, p, 0);
      h.state = STATUS_DIGIT;
      return p + 1;
    case STATUS_DIGIT:
      if (c < 0x30 || c > 0x39) return h.fail(ERRORS.statusCode, p, 0);
      h.status = h.status * 10 + c - 0x30;
      h.step++;
      if (h.step === 3) h.state = STATUS_END;
      return p + 1;
    case STATUS_END:
      return statusEnd(h, c, p);
    case REASON:
      return readReason(h, b, p, end);
    default: // STATUS_LF
      return statusLf(h, c, p);
  }
}

function statusEnd(h: Head, c: number, p: number): number {
  if (c === SP) {
    h.reasonAt = p + 1 - h.at;
    h.mark = h.reasonAt;
    h.state = REASON;
  } else if (c === CR) {
    h.state = STATUS_LF;
  } else if (c === LF && h.lenient & LENIENT_OPTIONAL_CR_BEFORE_LF) {
    h.state = HEAD_FIELDS;
  } else {
    return h.fail(ERRORS.statusLine, p, c === LF ? 1 : 0);
  }
  return p + 1;
}

function readReason(h: Head, b: Bytes, p: number, end: number): number {
  while (p < end && b[p] !== CR && b[p] !== LF) p++;
  if (p === end) return p;
  h.reasonBytes = p - h.at - h.reasonAt;
  if (!h.endToken(p, 1)) return h.errorAt;
  if (b[p] === CR) h.state = STATUS_LF;
  else if (h.lenient & LENIENT_OPTIONAL_CR_BEFORE_LF) h.state = HEAD_FIELDS;
  else return h.fail(ERRORS.crAfterStatusLine, p, 1);
  return p + 1;
}

function statusLf(h: Head, c: number, p: number): number {
  if (c !== LF && (h.lenient & LENIENT_OPTIONAL_LF_AFTER_CR) === 0) return h.fail(ERRORS.lfAfterCr, p, 0);
  h.state = HEAD_FIELDS;
  return c === LF ? p + 1 : p;
}
