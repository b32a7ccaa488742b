import type { Bytes } from '../stack/base/bytes';
import { NAME_EXPECT, NAME_HOST, NAME_SHIFT } from './field-names';
import { METHOD_CONNECT } from './grammar';
import { ERRORS, type ParseError } from './parse-errors';

/** What a message's start line is: a server reads requests, a client responses. */
export type Role = 'request' | 'response';

/** Integers of one field in `Head.fields`. Positions count from the head's first byte. */
export const FIELD_NAME_AT = 0;
export const FIELD_NAME_BYTES = 1;
export const FIELD_VALUE_AT = 2;
/** Without white space around the value. */
export const FIELD_VALUE_BYTES = 3;
/** Name number and spelling as findName gives them; 0 for a name that is not known. */
export const FIELD_NAME_ID = 4;
export const FIELD_INTS = 5;
/** Set in FIELD_NAME_ID when the value is folded over lines: CR and LF have to be taken out of its text. */
export const FIELD_FOLDED = 4;

/** Bits of `Head.flags`: what the fields said about framing and connection. */
export const HAS_KEEP_ALIVE = 1 << 0;
export const HAS_CLOSE = 1 << 1;
export const HAS_CONNECTION_UPGRADE = 1 << 2;
/** The last transfer coding is chunked. */
export const HAS_CHUNKED = 1 << 3;
export const HAS_UPGRADE = 1 << 4;
export const HAS_CONTENT_LENGTH = 1 << 5;
export const HAS_TRANSFER_ENCODING = 1 << 6;

/** `Head.state` at the ends of its machine; the steps between are in start-line.ts and fields.ts. */
export const HEAD_REQUEST = 0;
export const HEAD_RESPONSE = 24;
export const HEAD_FIELDS = 48;
export const HEAD_TRAILERS = 49;
export const HEAD_DONE = 64;
export const HEAD_FAILED = 65;

const FIELDS_INITIAL = 24;
/** A reader that met a head with more fields than this gives the larger array back. */
const FIELDS_KEPT = 64;
const NO_BYTES: Bytes = new Uint8Array(0);

/**
 * One message head, parsed in place: numbers and positions, no strings. A reader has one and uses it again for each
 * message; it is valid, and `bytes` may be looked at, only while the handler's `onHead` or `onTrailers` runs.
 *
 * To make strings, decode `bytes` from `at` to `end` once as latin1 and take substrings at the positions given here,
 * which count from `at`; names that are known need not even that (KNOWN_NAMES).
 */
export class Head {
  // ---- what was read ----
  /** Where the head lies: in the packet, or in the reader's own buffer when a segment's end cut it. */
  bytes: Bytes = NO_BYTES;
  at = 0;
  /** Behind the empty line. */
  end = 0;
  /** Requests: an index into METHODS. */
  method = 0;
  targetAt = 0;
  targetBytes = 0;
  /** Responses: 0 to 999. */
  status = 0;
  reasonAt = 0;
  reasonBytes = 0;
  versionMajor = 0;
  versionMinor = 0;
  /** FIELD_INTS integers for each field, in the order received. */
  fields: Int32Array = new Int32Array(FIELDS_INITIAL * FIELD_INTS);
  fieldCount = 0;
  /** Bytes of body that Content-Length announces; meaningless without HAS_CONTENT_LENGTH in `flags`. */
  contentLength = 0;
  flags = 0;
  /** A request has exactly one Host field (RFC 9112 §3.2); to judge is up to the server. */
  hostCount = 0;
  /** The number of the Expect field, or -1. */
  expectField = -1;
  /** The message asks to leave HTTP behind itself: CONNECT, or Upgrade with `Connection: upgrade` (101 in responses). */
  upgrade = false;
  /** Whether the connection can be used again, as far as the head tells (RFC 9112 §9.3). */
  keepAlive = false;

  // ---- the machine that reads it ----
  state = HEAD_REQUEST;
  error: ParseError | null = null;
  /** Position in `bytes`. */
  errorAt = 0;
  /** Where the token begun begins, from `at`; -1 between tokens. */
  mark = -1;
  /** State within a token: node of the method trie, state of the target, position in a protocol name, list state. */
  step = 0;
  /** What the field at hand means, and how far its value is understood, from `at` (field-values.ts). */
  special = 0;
  list = 0;
  word = 0;
  understood = 0;
  nameAt = 0;
  nameBytes = 0;
  nameId = 0;
  /** Where the value begins, from `at`; -1 before its first byte. */
  valueAt = -1;
  valueEnd = 0;
  folded = 0;
  trailers = false;
  /** Bytes of target, reason, names and values in complete tokens: what maxHeaderSize limits, as in Node. */
  counted = 0;
  readonly isResponse: boolean;

  constructor(
    role: Role,
    /** maxHeaderSize in bytes. */
    public countedMax: number,
    /** LENIENT_ bits. */
    public lenient: number,
  ) {
    this.isResponse = role === 'response';
    this.begin();
  }

  /** Ready for the next message. */
  begin(): void {
    this.state = this.isResponse ? HEAD_RESPONSE : HEAD_REQUEST;
    this.error = null;
    this.method = 0;
    this.targetBytes = 0;
    this.status = 0;
    this.reasonBytes = 0;
    this.contentLength = 0;
    this.flags = 0;
    this.hostCount = 0;
    this.expectField = -1;
    this.upgrade = false;
    this.keepAlive = false;
    this.trailers = false;
    this.beginTokens();
  }

  /** Ready for the trailer section of the same message, which ends like a head. */
  beginTrailers(): void {
    this.state = HEAD_TRAILERS;
    this.trailers = true;
    this.beginTokens();
  }

  private beginTokens(): void {
    this.fieldCount = 0;
    this.counted = 0;
    this.mark = -1;
    this.step = 0;
    if (this.fields.length > FIELDS_KEPT * FIELD_INTS) this.fields = new Int32Array(FIELDS_INITIAL * FIELD_INTS);
  }

  /**
   * All bytes that a head may span. Node counts no white space around values and no line ends, so that a peer could send
   * them without limit; four times maxHeaderSize is beyond any head made of fields that Node takes.
   */
  get spanMax(): number {
    return this.countedMax * 4 + 1024;
  }

  /** True when what precedes `p` is more than maxHeaderSize allows. */
  overflows(p: number): boolean {
    const open = this.mark < 0 ? 0 : p - this.at - this.mark;
    return this.counted + open >= this.countedMax || p - this.at > this.spanMax;
  }

  /**
   * Refuses the head at `p`; `skip` is 1 when the byte at `p` counts as read. Too long a head is refused for that alone,
   * or the verdict would depend on how the bytes were cut.
   */
  fail(error: ParseError, p: number, skip: number): number {
    this.error = this.overflows(p) ? ERRORS.headerOverflow : error;
    this.errorAt = p + skip;
    this.state = HEAD_FAILED;
    return p + skip;
  }

  /** The token begun at `mark` ends before `p`. False when it was one too many, and the head is refused. */
  endToken(p: number, skip: number): boolean {
    this.counted += p - this.at - this.mark;
    this.mark = -1;
    if (this.counted < this.countedMax) return true;
    this.fail(ERRORS.headerOverflow, p, skip);
    return false;
  }

  /** A token of `bytes` was read in one go, up to the byte at `p`. False when it was one too many. */
  token(bytes: number, p: number): boolean {
    this.counted += bytes;
    if (this.counted < this.countedMax) return true;
    this.fail(ERRORS.headerOverflow, p, 1);
    return false;
  }

  /** Appends a field; positions from `at`. */
  addField(nameAt: number, nameBytes: number, valueAt: number, valueBytes: number, nameId: number): void {
    const i = this.fieldCount * FIELD_INTS;
    if (i === this.fields.length) {
      const grown = new Int32Array(this.fields.length * 2);
      grown.set(this.fields);
      this.fields = grown;
    }
    const fields = this.fields;
    fields[i] = nameAt;
    fields[i + FIELD_NAME_BYTES] = nameBytes;
    fields[i + FIELD_VALUE_AT] = valueAt;
    fields[i + FIELD_VALUE_BYTES] = valueBytes;
    fields[i + FIELD_NAME_ID] = nameId;
    const name = nameId >> NAME_SHIFT;
    if (name === NAME_HOST) this.hostCount++;
    else if (name === NAME_EXPECT) this.expectField = this.fieldCount;
    this.fieldCount++;
  }

  /** The empty line was read: `end` is behind it. */
  done(end: number): number {
    if (end - this.at > this.spanMax) return this.fail(ERRORS.headerOverflow, end, 0);
    this.end = end;
    this.state = HEAD_DONE;
    if (this.trailers) return end;
    const asked = (this.flags & HAS_UPGRADE) !== 0 && (this.flags & HAS_CONNECTION_UPGRADE) !== 0;
    // An Upgrade field in any response but a 101 only tells what the server could do (RFC 9110 §7.8).
    this.upgrade = this.isResponse ? asked && this.status === 101 : asked || this.method === METHOD_CONNECT;
    this.keepAlive = persists(this, false);
    return end;
  }
}

/** RFC 9112 §9.3, after the whole message: `noBody` says that a response has none for reasons that its head cannot tell. */
export function persists(head: Head, noBody: boolean): boolean {
  const flags = head.flags;
  if (head.versionMajor > 0 && head.versionMinor > 0) {
    if (flags & HAS_CLOSE) return false;
  } else if ((flags & HAS_KEEP_ALIVE) === 0) {
    return false;
  }
  return !head.isResponse || noBody || !endsWithConnection(head);
}

/** True for a response whose body, if it has one, goes on until the connection closes (RFC 9112 §6.3, rules 1, 4 and 8). */
export function endsWithConnection(head: Head): boolean {
  const { status, flags } = head;
  if ((status >= 100 && status < 200) || status === 204 || status === 304) return false;
  if (flags & HAS_TRANSFER_ENCODING) return (flags & HAS_CHUNKED) === 0;
  return (flags & HAS_CONTENT_LENGTH) === 0;
}
