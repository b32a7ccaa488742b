import type { Bytes } from '../stack/base/bytes';
import {
  NAME_CONNECTION,
  NAME_CONTENT_LENGTH,
  NAME_PROXY_CONNECTION,
  NAME_TRANSFER_ENCODING,
  NAME_UPGRADE,
} from './field-names';
import { COMMA, HTAB, SP } from './grammar';
import {
  HAS_CHUNKED,
  HAS_CLOSE,
  HAS_CONNECTION_UPGRADE,
  HAS_CONTENT_LENGTH,
  HAS_KEEP_ALIVE,
  HAS_TRANSFER_ENCODING,
  HAS_UPGRADE,
  type Head,
} from './head';
import { ERRORS, LENIENT_CHUNKED_LENGTH, LENIENT_TRANSFER_ENCODING } from './parse-errors';

/*
 * The four fields whose values the reader itself has to understand, byte by byte and each byte once, so that a value may
 * arrive in any pieces. fields.ts calls, in this order: fieldNamed at the colon, valueBegins at the value's first byte,
 * valueGoesOn for what was scanned, valueStops at the byte that ends a line of it, fieldEnds when no fold follows.
 * Each returns false when the head was refused.
 */

/** `Head.special`: what the field at hand, or the list element just read, means. */
export const GENERAL = 0;
export const CONNECTION = 1;
export const CONTENT_LENGTH = 2;
export const TRANSFER_ENCODING = 3;
export const UPGRADE = 4;
const SAYS_KEEP_ALIVE = 5;
const SAYS_CLOSE = 6;
const SAYS_UPGRADE = 7;
export const SAYS_CHUNKED = 8;

/** `Head.special` by name number. */
const SPECIAL = new Uint8Array(256);
SPECIAL[NAME_CONNECTION] = CONNECTION;
SPECIAL[NAME_PROXY_CONNECTION] = CONNECTION;
SPECIAL[NAME_CONTENT_LENGTH] = CONTENT_LENGTH;
SPECIAL[NAME_TRANSFER_ENCODING] = TRANSFER_ENCODING;
SPECIAL[NAME_UPGRADE] = UPGRADE;

/** `Head.list`: how the bytes of the line at hand are to be understood. */
export const LIST_NONE = 0;
const LIST_DIGITS = 1;
const LIST_CODINGS = 2;
const LIST_OPTIONS = 3;

/** `Head.step` within a list of connection options or transfer codings. */
const ELEMENT = 0;
const WORD = 1;
const AFTER_WORD = 2;
const TOKEN = 3;
const AFTER_COMMA = 4;
/** `Head.step` within Content-Length. */
const DIGITS = 0;
const AFTER_DIGITS = 1;

const bytesOf = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0));
/** Words that mean something, by what they set `Head.special` to. `Head.word` is such a number and a position in it. */
const WORDS: readonly Uint8Array[] = Array.from({ length: 9 }, (_, i) =>
  bytesOf(['keep-alive', 'close', 'upgrade', 'chunked'][i - SAYS_KEEP_ALIVE] ?? ''),
);
const WORD_SHIFT = 8;

/** So many digits never overflow. */
const LENGTH_DIGITS = 15;
const LENGTH_MAX_TENTH = Math.floor(Number.MAX_SAFE_INTEGER / 10);

/** The name of number `name` was read up to the colon at `p`. */
export function fieldNamed(h: Head, name: number, p: number): boolean {
  const special = SPECIAL[name]!;
  h.special = special;
  if (special === GENERAL || h.lenient & LENIENT_CHUNKED_LENGTH) return true;
  // RFC 9112 §6.3 rule 3: both together is an attack until proven otherwise.
  if (special === TRANSFER_ENCODING && h.flags & HAS_CONTENT_LENGTH) {
    h.fail(ERRORS.transferEncodingWithLength, p, 1);
    return false;
  }
  if (special === CONTENT_LENGTH && h.flags & HAS_TRANSFER_ENCODING) {
    h.fail(ERRORS.lengthWithTransferEncoding, p, 1);
    return false;
  }
  return true;
}

/** The value, or a line that continues it, begins at `p`. */
export function valueBegins(h: Head, p: number): boolean {
  h.understood = p - h.at;
  h.list = LIST_NONE;
  switch (h.special) {
    case UPGRADE:
      h.flags |= HAS_UPGRADE;
      h.special = GENERAL;
      return true;
    case TRANSFER_ENCODING:
      // Chunked has to be the last coding of all fields together (RFC 9112 §6.1).
      if (h.flags & HAS_CHUNKED && !mayFollowChunked(h, p)) return false;
      h.flags = (h.flags | HAS_TRANSFER_ENCODING) & ~HAS_CHUNKED;
      h.list = LIST_CODINGS;
      h.step = WORD;
      h.word = SAYS_CHUNKED << WORD_SHIFT;
      return true;
    case CONTENT_LENGTH:
      h.list = LIST_DIGITS;
      h.step = DIGITS;
      if ((h.flags & HAS_CONTENT_LENGTH) === 0) return true;
      h.fail(ERRORS.lengthTwice, p, 0);
      return false;
    case CONNECTION:
      h.list = LIST_OPTIONS;
      h.step = ELEMENT;
      return true;
    case SAYS_CHUNKED:
      // A folded line after "chunked" (lenient): whatever it says, chunked is no longer the last word.
      h.special = GENERAL;
      return true;
    default:
      return true;
  }
}

/**
 * Reads a value that is whole, [at, end), and as ordinary as nearly all are: one word, or digits alone. Returns false,
 * having changed nothing, for any other: then the steps above apply.
 */
export function ordinaryValue(h: Head, b: Bytes, at: number, end: number): boolean {
  switch (h.special) {
    case UPGRADE:
      h.flags |= HAS_UPGRADE;
      return true;
    case CONNECTION:
      if (isWord(SAYS_KEEP_ALIVE, b, at, end)) h.flags |= HAS_KEEP_ALIVE;
      else if (isWord(SAYS_CLOSE, b, at, end)) h.flags |= HAS_CLOSE;
      else if (isWord(SAYS_UPGRADE, b, at, end)) h.flags |= HAS_CONNECTION_UPGRADE;
      else return false;
      return true;
    case TRANSFER_ENCODING:
      if (h.flags & HAS_CHUNKED || !isWord(SAYS_CHUNKED, b, at, end)) return false;
      h.flags |= HAS_TRANSFER_ENCODING | HAS_CHUNKED;
      return true;
    default: // CONTENT_LENGTH
      return ordinaryLength(h, b, at, end);
  }
}

function isWord(says: number, b: Bytes, at: number, end: number): boolean {
  const word = WORDS[says]!;
  if (end - at !== word.length) return false;
  for (let i = 0; i < word.length; i++) {
    // A different case is a different bit in letters; of other bytes none becomes a letter so, and '-' is compared twice.
    if ((b[at + i]! | 0x20) !== word[i]) return false;
  }
  return says !== SAYS_KEEP_ALIVE || b[at + 4] === word[4];
}

function ordinaryLength(h: Head, b: Bytes, at: number, end: number): boolean {
  if (end - at > LENGTH_DIGITS || h.flags & HAS_CONTENT_LENGTH) return false;
  let length = 0;
  for (let p = at; p < end; p++) {
    const digit = b[p]! - 0x30;
    if (digit < 0 || digit > 9) return false;
    length = length * 10 + digit;
  }
  h.contentLength = length;
  h.flags |= HAS_CONTENT_LENGTH;
  return true;
}

function mayFollowChunked(h: Head, p: number): boolean {
  if (h.isResponse || h.lenient & LENIENT_TRANSFER_ENCODING) return true;
  h.fail(ERRORS.transferEncodingValue, p, 1);
  return false;
}

/** The value goes on at least up to `to`. */
export function valueGoesOn(h: Head, b: Bytes, to: number): boolean {
  if (h.list === LIST_NONE) return true;
  let p = h.at + h.understood;
  h.understood = to - h.at;
  if (h.list === LIST_OPTIONS) {
    for (; p < to; p++) optionByte(h, b[p]!);
  } else if (h.list === LIST_CODINGS) {
    for (; p < to; p++) if (!codingByte(h, b[p]!, p)) return false;
  } else {
    for (; p < to; p++) if (!lengthByte(h, b[p]!, p)) return false;
  }
  return true;
}

function lengthByte(h: Head, c: number, p: number): boolean {
  const digit = c - 0x30;
  if (h.step === DIGITS && digit >= 0 && digit <= 9) {
    // What a number cannot count exactly is refused, as Node refuses what 64 bits cannot.
    if (h.contentLength < LENGTH_MAX_TENTH || h.contentLength * 10 + digit <= Number.MAX_SAFE_INTEGER) {
      h.contentLength = h.contentLength * 10 + digit;
      return true;
    }
    h.fail(ERRORS.lengthOverflow, p, 1);
    return false;
  }
  if (c === SP) {
    h.step = AFTER_DIGITS;
    return true;
  }
  h.fail(ERRORS.lengthChar, p, 0);
  return false;
}

/** Goes on in the word that `h.word` is in: false when `c` is not its next byte. `h.step` tells when it is complete. */
function wordGoesOn(h: Head, c: number): boolean {
  const word = WORDS[h.word >> WORD_SHIFT]!;
  const lower = c >= 0x41 && c <= 0x5a ? c | 0x20 : c;
  if (lower !== word[h.word & 0xff]) {
    h.step = TOKEN;
    return false;
  }
  h.word++;
  if ((h.word & 0xff) === word.length) h.step = AFTER_WORD;
  return true;
}

function codingByte(h: Head, c: number, p: number): boolean {
  if (h.step === AFTER_COMMA) {
    if (c === SP || c === HTAB) return true;
    h.step = WORD;
    h.word = SAYS_CHUNKED << WORD_SHIFT;
  }
  if (h.step === WORD) {
    if (wordGoesOn(h, c)) return true;
  } else if (h.step === AFTER_WORD) {
    if (c === SP) return true;
    if (c === COMMA && !mayFollowChunked(h, p)) return false;
    h.step = TOKEN;
  }
  if (c === COMMA) h.step = AFTER_COMMA;
  return true;
}

function optionByte(h: Head, c: number): void {
  if (h.step === ELEMENT) {
    if (c === SP || c === HTAB) return;
    const first = c | 0x20;
    h.word = (first === 0x63 ? SAYS_CLOSE : first === 0x75 ? SAYS_UPGRADE : SAYS_KEEP_ALIVE) << WORD_SHIFT;
    h.step = WORD;
  }
  if (h.step === WORD) {
    if (wordGoesOn(h, c)) {
      if ((h.step as number) === AFTER_WORD) h.special = h.word >> WORD_SHIFT;
      return;
    }
  } else if (h.step === AFTER_WORD) {
    if (c === SP) return;
    if (c === COMMA) {
      fieldEnds(h);
      h.special = CONNECTION;
    } else {
      h.special = GENERAL;
    }
    h.step = TOKEN;
  }
  if (c === COMMA) h.step = ELEMENT;
}

/** The line of the value ends at `p`; not `clean` when what stops it is no line end but a byte that only leniency takes. */
export function valueStops(h: Head, clean: boolean, p: number): boolean {
  if (h.list === LIST_DIGITS) {
    if (!clean) {
      h.fail(ERRORS.lengthChar, p, 0);
      return false;
    }
    h.flags |= HAS_CONTENT_LENGTH;
  } else if (h.list === LIST_CODINGS) {
    h.special = clean && h.step === AFTER_WORD ? SAYS_CHUNKED : GENERAL;
  } else if (h.list === LIST_OPTIONS && !clean && h.step === AFTER_WORD) {
    h.special = GENERAL;
  }
  h.list = LIST_NONE;
  return true;
}

/** No line of the value follows: what the field, or the last element of its list, means takes effect. */
export function fieldEnds(h: Head): void {
  if (h.special === SAYS_KEEP_ALIVE) h.flags |= HAS_KEEP_ALIVE;
  else if (h.special === SAYS_CLOSE) h.flags |= HAS_CLOSE;
  else if (h.special === SAYS_UPGRADE) h.flags |= HAS_CONNECTION_UPGRADE;
  else if (h.special === SAYS_CHUNKED) h.flags |= HAS_CHUNKED;
}

/** The field ended before `p` without a value. */
export function valueMissing(h: Head, p: number): boolean {
  if (h.special === CONTENT_LENGTH) {
    h.fail(ERRORS.lengthEmpty, p, 0);
    return false;
  }
  // Present but naming no coding: then chunked is not the last one (RFC 9112 §6.3 rule 4).
  if (h.special === TRANSFER_ENCODING) h.flags |= HAS_TRANSFER_ENCODING;
  return true;
}
