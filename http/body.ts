import type { Bytes } from '../stack/base/bytes';
import {
  BACKSLASH,
  CHAR_CLASS,
  CHAR_QUOTED,
  CHAR_TOKEN,
  CHAR_VALUE,
  CR,
  EQUALS,
  HEX_VALUE,
  HTAB,
  LF,
  METHOD_CONNECT,
  QUOTE,
  SEMICOLON,
  SP,
} from './grammar';
import { HAS_CHUNKED, HAS_CONTENT_LENGTH, HAS_TRANSFER_ENCODING, type Head } from './head';
import {
  ERRORS,
  LENIENT_CHUNKED_LENGTH,
  LENIENT_OPTIONAL_CR_BEFORE_LF,
  LENIENT_OPTIONAL_CRLF_AFTER_CHUNK,
  LENIENT_OPTIONAL_LF_AFTER_CR,
  LENIENT_SPACES_AFTER_CHUNK_SIZE,
  LENIENT_TRANSFER_ENCODING,
  type ParseError,
} from './parse-errors';

/** How the body of a message is delimited. */
export type Framing = 'none' | 'tunnel' | 'length' | 'chunked' | 'until-close' | 'reject';

/**
 * RFC 9112 §6.3, its eight rules in order. 'reject' instead of a guess: a guess here is request smuggling.
 *
 * `noBody` is the handler's word that none follows (the response to HEAD), `upgrade` that HTTP ends with this message.
 * 'tunnel': no body, and what follows the head is not HTTP.
 */
export function bodyFraming(h: Head, noBody: boolean, upgrade: boolean): Framing {
  const { flags, status, isResponse } = h;
  // Rule 1: responses to HEAD, 1xx, 204 and 304 end with their head, whatever its fields say; 101 ends HTTP too.
  if (isResponse && status === 101) return 'tunnel';
  if (noBody || (isResponse && ((status >= 100 && status < 200) || status === 204 || status === 304))) {
    return upgrade ? 'tunnel' : 'none';
  }
  // Rule 2, seen from both ends: after CONNECT a tunnel. (A client's handler says so, with `upgrade` and `noBody`.)
  const tunnel = upgrade && !isResponse && h.method === METHOD_CONNECT;
  // Rule 3: Content-Length beside Transfer-Encoding was refused while reading (field-values.ts), or leniently loses.
  if (flags & HAS_TRANSFER_ENCODING) {
    // Rule 4: chunked as the final coding delimits; without it a response ends with the connection, a request cannot.
    if (flags & HAS_CHUNKED) return tunnel ? 'tunnel' : 'chunked';
    if (isResponse) return 'until-close';
    if ((h.lenient & (LENIENT_CHUNKED_LENGTH | LENIENT_TRANSFER_ENCODING)) === 0) return 'reject';
    return tunnel || (upgrade && h.contentLength === 0) ? 'tunnel' : 'until-close';
  }
  // Rule 5: an invalid Content-Length was refused while reading.
  // Rule 6: a valid one is the length.
  if (flags & HAS_CONTENT_LENGTH && h.contentLength > 0) return tunnel ? 'tunnel' : 'length';
  // Rule 7: a request without either has no body; nor has a message of length 0.
  if (!isResponse || flags & HAS_CONTENT_LENGTH) return upgrade ? 'tunnel' : 'none';
  // Rule 8: any other response ends with the connection.
  return 'until-close';
}

/** What `ChunkedReader.read` came upon. */
export const CHUNK_NOTHING = 0;
/** The line of a chunk was read: its size is in `size`. */
export const CHUNK_BEGINS = 1;
/** Bytes of body at [dataAt, dataEnd). */
export const CHUNK_DATA = 2;
/** The line of the last chunk was read; the trailer section follows. */
export const CHUNK_LAST = 3;
export const CHUNK_FAILED = 4;

/** As in Node: bytes of names and values of extensions in one chunk. */
export const CHUNK_EXTENSIONS_MAX = 16_384;

const SIZE_BEGINS = 0;
const SIZE = 1;
const SIZE_SPACE = 2;
const SIZE_LF = 3;
const EXTENSION = 4;
const EXTENSION_NAME = 5;
const EXTENSION_VALUE = 6;
const EXTENSION_QUOTED = 7;
const EXTENSION_PAIR = 8;
const EXTENSION_QUOTED_END = 9;
const DATA = 10;
const DATA_CR = 11;
const DATA_LF = 12;

const SIZE_MAX_SIXTEENTH = Math.floor(Number.MAX_SAFE_INTEGER / 16);

/** The chunked transfer coding (RFC 9112 §7.1), up to the trailer section. */
export class ChunkedReader {
  /** Of the chunk at hand, in bytes. */
  size = 0;
  dataAt = 0;
  dataEnd = 0;
  event = CHUNK_NOTHING;
  error: ParseError | null = null;
  errorAt = 0;
  private state = SIZE_BEGINS;
  /** Of the chunk at hand, what has not come yet. */
  private left = 0;
  /** Names and values of extensions, and all between: neither may be endless. */
  private extensionBytes = 0;
  private separators = 0;

  constructor(private readonly lenient: number) {}

  begin(): void {
    this.state = SIZE_BEGINS;
    this.event = CHUNK_NOTHING;
    this.error = null;
  }

  /** Reads from `p` until an event or the end of the bytes, returns where it stopped, and sets `event`. */
  read(b: Bytes, p: number, end: number): number {
    this.event = CHUNK_NOTHING;
    while (p < end && this.event === CHUNK_NOTHING) {
      if (this.state >= DATA) p = this.readData(b, p, end);
      else if (this.state >= EXTENSION) p = this.readExtension(b[p]!, p);
      else p = this.readSize(b[p]!, p);
    }
    return p;
  }

  private fail(error: ParseError, p: number, skip: number): number {
    this.error = error;
    this.errorAt = p + skip;
    this.event = CHUNK_FAILED;
    return p + skip;
  }

  private readSize(c: number, p: number): number {
    switch (this.state) {
      case SIZE_BEGINS:
        if (HEX_VALUE[c]! < 0) return this.fail(ERRORS.chunkSizeChar, p, 0);
        this.size = HEX_VALUE[c]!;
        this.extensionBytes = 0;
        this.separators = 0;
        this.state = SIZE;
        return p + 1;
      case SIZE:
        if (HEX_VALUE[c]! < 0) return this.sizeEnds(c, p);
        // What a number cannot count exactly is refused, as Node refuses what 64 bits cannot.
        if (this.size > SIZE_MAX_SIXTEENTH) return this.fail(ERRORS.chunkSizeOverflow, p, 1);
        this.size = this.size * 16 + HEX_VALUE[c]!;
        return p + 1;
      case SIZE_SPACE:
        return this.sizeEnds(c, p);
      default: // SIZE_LF
        if (c === LF) return this.lineEnds(p + 1);
        if (this.lenient & LENIENT_OPTIONAL_LF_AFTER_CR) return this.lineEnds(p);
        return this.fail(ERRORS.lfAfterChunkSize, p, 0);
    }
  }

  private sizeEnds(c: number, p: number): number {
    if (c === CR) this.state = SIZE_LF;
    else if (c === SEMICOLON) this.state = EXTENSION;
    else if (c === LF) {
      if ((this.lenient & LENIENT_OPTIONAL_CR_BEFORE_LF) === 0) return this.fail(ERRORS.crAfterChunkSize, p, 1);
      this.state = SIZE_LF;
    } else if (c === SP || c === HTAB) {
      if ((this.lenient & LENIENT_SPACES_AFTER_CHUNK_SIZE) === 0) return this.fail(ERRORS.chunkSizeChar, p, 1);
      this.state = SIZE_SPACE;
    } else return this.fail(ERRORS.chunkSizeChar, p, 0);
    return p + 1;
  }

  private lineEnds(p: number): number {
    this.left = this.size;
    this.state = this.size > 0 ? DATA : SIZE_BEGINS;
    this.event = this.size > 0 ? CHUNK_BEGINS : CHUNK_LAST;
    return p;
  }

  private readExtension(c: number, p: number): number {
    const kind = CHAR_CLASS[c]!;
    switch (this.state) {
      case EXTENSION:
        if (c === SP || c === CR) return this.fail(ERRORS.extensionChar, p, 1);
        this.state = EXTENSION_NAME;
        return p;
      case EXTENSION_NAME:
        if (kind & CHAR_TOKEN) return this.extensionByte(p);
        if (c === EQUALS) return this.separator(EXTENSION_VALUE, p);
        return this.extensionEnds(c, p, ERRORS.crAfterExtensionName, ERRORS.extensionNameChar, 1);
      case EXTENSION_VALUE:
        if (c === QUOTE) this.state = EXTENSION_QUOTED;
        if (c === QUOTE || kind & CHAR_TOKEN) return this.extensionByte(p);
        return this.extensionEnds(c, p, ERRORS.crAfterExtensionValue, ERRORS.extensionValueChar, 1);
      case EXTENSION_QUOTED:
        if (c === QUOTE) this.state = EXTENSION_QUOTED_END;
        else if (c === BACKSLASH) this.state = EXTENSION_PAIR;
        else if ((kind & CHAR_QUOTED) === 0) return this.fail(ERRORS.extensionQuotedChar, p, 1);
        return this.extensionByte(p);
      case EXTENSION_PAIR:
        if ((kind & CHAR_VALUE) === 0) return this.fail(ERRORS.extensionQuotedPair, p, 1);
        this.state = EXTENSION_QUOTED;
        return this.extensionByte(p);
      default: // EXTENSION_QUOTED_END
        return this.extensionEnds(c, p, ERRORS.crAfterExtensionValue, ERRORS.extensionAfterQuoted, 0);
    }
  }

  private extensionByte(p: number): number {
    this.extensionBytes++;
    if (this.extensionBytes > CHUNK_EXTENSIONS_MAX) return this.fail(ERRORS.chunkExtensionsOverflow, p, 1);
    return p + 1;
  }

  private separator(next: number, p: number): number {
    this.separators++;
    // Node does not count these, so that ";;;…" could go on for ever.
    if (this.separators > CHUNK_EXTENSIONS_MAX) return this.fail(ERRORS.chunkExtensionsOverflow, p, 1);
    this.state = next;
    return p + 1;
  }

  private extensionEnds(c: number, p: number, bareLf: ParseError, bad: ParseError, skip: number): number {
    if (c === SEMICOLON) return this.separator(EXTENSION, p);
    if (c === CR) {
      this.state = SIZE_LF;
      return p + 1;
    }
    if (c !== LF) return this.fail(bad, p, skip);
    if ((this.lenient & LENIENT_OPTIONAL_CR_BEFORE_LF) === 0) return this.fail(bareLf, p, 0);
    this.state = SIZE_LF;
    return p;
  }

  private readData(b: Bytes, p: number, end: number): number {
    if (this.state === DATA) {
      this.dataAt = p;
      this.dataEnd = Math.min(end, p + this.left);
      this.left -= this.dataEnd - p;
      if (this.left === 0) this.state = DATA_CR;
      this.event = CHUNK_DATA;
      return this.dataEnd;
    }
    const c = b[p]!;
    if (this.state === DATA_CR) {
      if (c === CR) {
        this.state = DATA_LF;
        return p + 1;
      }
      if (c === LF) {
        if ((this.lenient & LENIENT_OPTIONAL_CR_BEFORE_LF) === 0) return this.fail(ERRORS.crAfterChunk, p, 1);
        this.state = SIZE_BEGINS;
        return p + 1;
      }
    } else if (c === LF) {
      this.state = SIZE_BEGINS;
      return p + 1;
    }
    if ((this.lenient & LENIENT_OPTIONAL_CRLF_AFTER_CHUNK) === 0) return this.fail(ERRORS.lfAfterChunk, p, 0);
    this.state = SIZE_BEGINS;
    return p;
  }
}
