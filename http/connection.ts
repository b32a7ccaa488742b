import type { Bytes } from '../stack/base/bytes';
import { bodyFraming, CHUNK_DATA, CHUNK_FAILED, CHUNK_LAST, ChunkedReader } from './body';
import { readFields } from './fields';
import { CR, LF } from './grammar';
import { HEAD_DONE, HEAD_FAILED, HEAD_FIELDS, Head, persists, type Role } from './head';
import { ERRORS, LENIENT_DATA_AFTER_CLOSE, LENIENT_KEEP_ALIVE, type ParseError } from './parse-errors';
import { readStartLine } from './start-line';

/** What `onHead` answers: the sum of what applies. */
export const HEAD_GOES_ON = 0;
/** No body follows, whatever the head says: the response to a HEAD request. */
export const HEAD_NO_BODY = 1;
/** HTTP ends with this head: a CONNECT or Upgrade that the application takes, a response to CONNECT. Implies no body. */
export const HEAD_UPGRADE = 2;
/** HTTP goes on although the head asks to leave it: nobody takes the upgrade. */
export const HEAD_NO_UPGRADE = 4;

/** Receives what a reader reads. Calls come in this order and while `HttpReader.read` runs; bytes are lent for the call. */
export interface HttpHandler {
  /** The first byte of a message came. */
  onBegin(): void;
  /** The head is complete. Answers HEAD_ flags. The head is lent for the call. */
  onHead(head: Head): number;
  /** A piece of the body, in place; never empty. */
  onBody(bytes: Bytes, at: number, end: number): void;
  /** The trailer section has fields: `head` now holds these. */
  onTrailers(head: Head): void;
  /** The message is complete. */
  onComplete(): void;
}

export interface HttpReaderOptions {
  readonly role: Role;
  /** Bytes of target, reason, names and values that a head or trailer section may have. Node's default is 16,384. */
  readonly maxHeaderSize: number;
  /** LENIENT_ bits; 0 is strict. */
  readonly lenient: number;
}

/** What the reader expects next. */
export type Receiving =
  | 'start'
  | 'head'
  | 'body-length'
  | 'body-chunked'
  | 'body-until-close'
  | 'trailers'
  | 'upgraded'
  | 'closed'
  | 'failed';

/** A cut head is carried over in pieces of this size, so that little of what follows it is copied in vain. */
const CARRY_PIECE = 1024;
/** A carry buffer beyond this is given back after its head. */
const CARRY_KEPT = 4096;
const NO_BYTES: Bytes = new Uint8Array(0);

/**
 * One direction of an HTTP/1.1 connection: bytes in, events out (RFC 9112). Messages follow each other until one ends the
 * connection, upgrades it, or is at fault. A whole head is read where it lies; only one cut by the end of the bytes is
 * carried over. Between messages the reader remembers nothing of the connection, so it can serve another one.
 */
export class HttpReader {
  /** Valid while `onHead` or `onTrailers` runs. */
  readonly head: Head;
  receiving: Receiving = 'start';
  /** True when no more is read until `resume`. */
  paused = false;
  /** Set once the peer's bytes were refused; nothing is read any more. */
  error: ParseError | null = null;
  /** Where, in the bytes of the call of `read` that refused them. Node's `bytesParsed` is this minus that call's `at`. */
  errorAt = 0;
  /** Where the reader reports to. */
  handler: HttpHandler;
  private readonly chunks: ChunkedReader;
  private readonly lenient: number;
  /** Bytes of a body of known length still to come. */
  private left = 0;
  private noBody = false;
  private upgrade = false;
  private carry: Bytes = NO_BYTES;
  private carried = 0;
  /** Counts `reset`: a handler may do that, and then this reader already belongs to somebody else when it returns. */
  private use = 0;

  constructor(options: HttpReaderOptions, handler: HttpHandler) {
    this.head = new Head(options.role, options.maxHeaderSize, options.lenient);
    this.chunks = new ChunkedReader(options.lenient);
    this.lenient = options.lenient;
    this.handler = handler;
  }

  /**
   * Forgets everything and reports to `handler` from now on: a reader may be used for one connection after the other.
   * Also from inside a handler, when it gives its connection up: the `read` under way then reads no further.
   */
  reset(handler: HttpHandler): void {
    this.use++;
    this.handler = handler;
    this.receiving = 'start';
    this.paused = false;
    this.error = null;
    this.errorAt = 0;
    this.dropCarry();
    this.head.begin();
  }

  /** True between messages, when nothing of the next one has come. */
  get idle(): boolean {
    return this.receiving === 'start';
  }

  /**
   * Reads bytes [at, end) and returns how far it came: `end`, or less when it was paused, refused something (`error`), or
   * came to where HTTP ends (`receiving` is 'upgraded': the rest belongs to the other protocol).
   * Must not be called for the same connection from inside a handler.
   */
  read(b: Bytes, at: number, end: number): number {
    const { use } = this;
    let p = at;
    while (p < end && !this.paused && this.use === use) {
      switch (this.receiving) {
        case 'start':
          p = this.readStart(b, p, end);
          break;
        case 'head':
        case 'trailers':
          if (this.head.state >= HEAD_DONE) {
            // A handler threw when it was given the head: nobody knows how to go on.
            this.receiving = 'failed';
            return p;
          }
          p = this.carried > 0 ? this.readCarried(b, p, end) : this.readInPlace(b, p, end);
          break;
        case 'body-length':
          p = this.readLength(b, p, end);
          break;
        case 'body-chunked':
          p = this.readChunked(b, p, end);
          break;
        case 'body-until-close':
          this.handler.onBody(b, p, end);
          return end;
        case 'closed':
          p = this.readClosed(b, p, end);
          break;
        default: // 'upgraded', 'failed'
          return p;
      }
    }
    return p;
  }

  /** The peer will send no more. A body that lasts until then completes; anything else begun is refused (`error`). */
  finish(): void {
    switch (this.receiving) {
      case 'body-until-close':
        this.receiving = 'closed';
        this.handler.onComplete();
        break;
      case 'start':
      case 'closed':
      case 'upgraded':
      case 'failed':
        break;
      default:
        this.fail(ERRORS.endOfInput, 0);
    }
  }

  /** The body under way is that of a message that asks to leave HTTP, which nobody took it up on. */
  get asksInVain(): boolean {
    return this.head.upgrade && (this.receiving === 'body-length' || this.receiving === 'body-chunked');
  }

  /** Stops reading as soon as the handler returns; `read` then returns how far it came. */
  pause(): void {
    this.paused = true;
  }

  /** Undoes `pause`; the caller then calls `read` with what was left. */
  resume(): void {
    this.paused = false;
  }

  private fail(error: ParseError, at: number): number {
    this.error = error;
    this.errorAt = at;
    this.receiving = 'failed';
    this.dropCarry();
    return at;
  }

  /** Empty lines before a message are skipped (RFC 9112 §2.2). */
  private readStart(b: Bytes, p: number, end: number): number {
    while (p < end && (b[p] === CR || b[p] === LF)) p++;
    if (p === end) return p;
    this.receiving = 'head';
    this.head.begin();
    this.handler.onBegin();
    return p;
  }

  private readInPlace(b: Bytes, p: number, end: number): number {
    const head = this.head;
    head.bytes = b;
    head.at = p;
    const stop = readHead(head, b, p, end);
    if (head.state === HEAD_DONE) return this.headDone(stop);
    if (head.state === HEAD_FAILED) return this.fail(head.error!, head.errorAt);
    this.grow(0, stop - p);
    copy(b, p, stop, this.carry, 0);
    this.carried = stop - p;
    head.bytes = this.carry;
    head.at = 0;
    return stop;
  }

  private readCarried(b: Bytes, p: number, end: number): number {
    const head = this.head;
    while (p < end) {
      const before = this.carried;
      const piece = Math.min(CARRY_PIECE, end - p);
      this.grow(before, piece);
      copy(b, p, p + piece, this.carry, before);
      head.bytes = this.carry;
      const stop = readHead(head, this.carry, before, before + piece);
      const read = p + stop - before;
      if (head.state === HEAD_DONE) {
        // The handler looks at it there; from the next head on it is free.
        if (this.carry.length > CARRY_KEPT) this.carry = NO_BYTES;
        this.carried = 0;
        return this.headDone(read);
      }
      if (head.state === HEAD_FAILED) return this.fail(head.error!, p + head.errorAt - before);
      this.carried = stop;
      p = read;
    }
    return p;
  }

  private grow(used: number, more: number): void {
    if (used + more <= this.carry.length) return;
    let size = Math.max(512, this.carry.length * 2);
    while (size < used + more) size *= 2;
    const grown = new Uint8Array(size);
    grown.set(this.carry.subarray(0, used));
    this.carry = grown;
  }

  private dropCarry(): void {
    this.carried = 0;
    if (this.carry.length > CARRY_KEPT) this.carry = NO_BYTES;
  }

  /** The head, or the trailer section, ends before `p`. */
  private headDone(p: number): number {
    const { head, use } = this;
    if (this.receiving === 'trailers') {
      if (head.fieldCount > 0) this.handler.onTrailers(head);
      if (this.use === use) this.complete();
      return p;
    }
    const answer = this.handler.onHead(head);
    if (this.use !== use) return p;
    this.noBody = (answer & (HEAD_NO_BODY | HEAD_UPGRADE)) !== 0;
    this.upgrade = (answer & HEAD_UPGRADE) !== 0 || (head.upgrade && (answer & HEAD_NO_UPGRADE) === 0);
    switch (bodyFraming(head, this.noBody, this.upgrade)) {
      case 'none':
        this.complete();
        return p;
      case 'tunnel':
        this.upgrade = true;
        this.complete();
        return p;
      case 'length':
        this.left = head.contentLength;
        this.receiving = 'body-length';
        return p;
      case 'chunked':
        this.chunks.begin();
        this.receiving = 'body-chunked';
        return p;
      case 'until-close':
        this.receiving = 'body-until-close';
        return p;
      default: // 'reject'
        return this.fail(ERRORS.transferEncodingRequest, p);
    }
  }

  private readLength(b: Bytes, p: number, end: number): number {
    const { use } = this;
    const to = Math.min(end, p + this.left);
    this.left -= to - p;
    this.handler.onBody(b, p, to);
    if (this.use === use && this.left === 0) this.complete();
    return to;
  }

  private readChunked(b: Bytes, p: number, end: number): number {
    const chunks = this.chunks;
    p = chunks.read(b, p, end);
    switch (chunks.event) {
      case CHUNK_DATA:
        this.handler.onBody(b, chunks.dataAt, chunks.dataEnd);
        break;
      case CHUNK_LAST:
        this.head.beginTrailers();
        this.receiving = 'trailers';
        break;
      case CHUNK_FAILED:
        return this.fail(chunks.error!, chunks.errorAt);
      default: // the line of a chunk, or too few bytes
    }
    return p;
  }

  private complete(): void {
    if (this.upgrade) this.receiving = 'upgraded';
    else if (persists(this.head, this.noBody) || this.lenient & LENIENT_KEEP_ALIVE) this.receiving = 'start';
    else this.receiving = 'closed';
    this.handler.onComplete();
  }

  private readClosed(b: Bytes, p: number, end: number): number {
    if (this.lenient & LENIENT_DATA_AFTER_CLOSE) return end;
    while (p < end && (b[p] === CR || b[p] === LF)) p++;
    return p < end ? this.fail(ERRORS.closed, p + 1) : p;
  }
}

function readHead(head: Head, b: Bytes, p: number, end: number): number {
  if (head.state < HEAD_FIELDS) p = readStartLine(head, b, p, end);
  if (head.state >= HEAD_FIELDS) p = readFields(head, b, p, end);
  if (head.state < HEAD_DONE && head.overflows(p)) return head.fail(ERRORS.headerOverflow, p, 0);
  return p;
}

/** Short copies by hand: a view costs more than it saves. */
function copy(from: Bytes, at: number, end: number, to: Bytes, toAt: number): void {
  if (end - at <= 64) for (; at < end; at++, toAt++) to[toAt] = from[at]!;
  else to.set(from.subarray(at, end), toAt);
}
