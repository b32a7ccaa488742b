import { dateGeneration, utcDate } from './date';
import { invalidArgValue, trailerInvalid } from './errors';
import {
  HEADER_CONNECTION,
  HEADER_CONTENT_DISPOSITION,
  HEADER_CONTENT_LENGTH,
  HEADER_COOKIE,
  HEADER_DATE,
  HEADER_EXPECT,
  HEADER_KEEP_ALIVE,
  HEADER_OTHER,
  HEADER_TRAILER,
  HEADER_TRANSFER_ENCODING,
  type HeaderName,
  headerName,
  isAscii,
  OutgoingHeaders,
} from './outgoing-headers';
import type { OutgoingMessage } from './outgoing-message';

/** Bits for the fields that were among those set. */
const SAW_CONNECTION = 1;
const SAW_LENGTH = 2;
const SAW_CODING = 4;
const SAW_DATE = 8;
const SAW_EXPECT = 16;
const SAW_TRAILER = 32;

const CLOSE = /(?:^|\W)close(?:$|\W)/i;
export const CHUNKED = /(?:^|\W)chunked(?:$|\W)/i;

/** Headers in any form that `writeHead` and request options take. */
export type HeadersArgument = OutgoingHeaders | Record<string, unknown> | readonly unknown[] | null | undefined;

/** The lines of a head and what they said. */
class HeadLines {
  seen = 0;

  constructor(
    readonly message: OutgoingMessage,
    /** Begins with the first line. */
    public text: string,
    /** Whether all of `text` is ASCII, as far as is known without looking. */
    public ascii: boolean,
  ) {}

  addAll(headers: Exclude<HeadersArgument, null | undefined>): void {
    if (headers instanceof OutgoingHeaders) {
      const { names, values } = headers;
      for (let i = 0; i < names.length; i++) this.add(names[i]!, values[i], false);
    } else if (!Array.isArray(headers)) {
      for (const key in headers as Record<string, unknown>) {
        if (Object.hasOwn(headers, key)) this.add(headerName(key), (headers as Record<string, unknown>)[key], true);
      }
    } else if (Array.isArray(headers[0])) {
      for (const pair of headers) this.add(headerName(pair[0]), pair[1], true);
    } else {
      if (headers.length % 2 !== 0) throw invalidArgValue('headers', headers);
      for (let i = 0; i < headers.length; i += 2) this.add(headerName(headers[i]), headers[i + 1], true);
    }
  }

  /** One header as an application set it: a line, or a line for each value of a list. */
  private add(name: HeaderName, value: unknown, check: boolean): void {
    const { kind } = name;
    if (kind === HEADER_OTHER && typeof value === 'string') {
      if (check) name.check(value);
      check = false;
      const line = name.lineFor(value);
      if (line !== '') {
        this.text += line;
        return;
      }
    }
    // RFC 6266 §4.3, as Node has it: with a length announced, file names go out byte by byte.
    if (kind === HEADER_CONTENT_DISPOSITION && this.message._contentLength) {
      value = Array.isArray(value) ? value.map(latin1) : latin1(value);
    }
    if (!Array.isArray(value)) {
      this.line(name, value, check);
    } else if ((value.length > 1 && kind === HEADER_COOKIE) || this.message._uniqueHeaders?.has(name.lower)) {
      this.line(name, value.join('; '), check);
    } else {
      for (const one of value) this.line(name, one, check);
    }
  }

  private line(name: HeaderName, value: unknown, check: boolean): void {
    if (check) name.check(value);
    this.text += `${name.text}: ${value}\r\n`;
    if (this.ascii && typeof value !== 'number') this.ascii = isAscii(value);
    if (name.kind !== HEADER_OTHER) this.note(name.kind, value);
  }

  private note(kind: number, value: unknown): void {
    const { message } = this;
    switch (kind) {
      case HEADER_CONNECTION:
        this.seen |= SAW_CONNECTION;
        message._removedConnection = false;
        if (CLOSE.test(value as string)) message._last = true;
        else message.shouldKeepAlive = true;
        break;
      case HEADER_TRANSFER_ENCODING:
        this.seen |= SAW_CODING;
        message._removedTE = false;
        if (CHUNKED.test(value as string)) message.chunkedEncoding = true;
        break;
      case HEADER_CONTENT_LENGTH:
        this.seen |= SAW_LENGTH;
        message._contentLength = Number(value);
        message._removedContLen = false;
        break;
      case HEADER_DATE:
        this.seen |= SAW_DATE;
        break;
      case HEADER_EXPECT:
        this.seen |= SAW_EXPECT;
        break;
      case HEADER_TRAILER:
        this.seen |= SAW_TRAILER;
        break;
      case HEADER_KEEP_ALIVE:
        message._defaultKeepAlive = false;
        break;
      default:
    }
  }

  /** What nobody set and the message needs: Date, Connection, and how the body is delimited. */
  complete(): void {
    const { message } = this;
    if (message.chunkedEncoding && (message.statusCode === 204 || message.statusCode === 304)) {
      // No body may follow, not even the last chunk; closing tells a client that expects one.
      message.chunkedEncoding = false;
      message.shouldKeepAlive = false;
    }
    const dated = message.sendDate && (this.seen & SAW_DATE) === 0;
    if (message._removedConnection || (this.seen & SAW_CONNECTION) !== 0) {
      if (message._removedConnection) message._last = !message.shouldKeepAlive;
      if (dated) this.text += `Date: ${utcDate()}\r\n`;
    } else {
      this.connection(dated);
    }
    if ((this.seen & (SAW_LENGTH | SAW_CODING)) === 0) this.framing();
    if (message.chunkedEncoding !== true && (this.seen & SAW_TRAILER) !== 0) throw trailerInvalid();
  }

  private connection(dated: boolean): void {
    const { message } = this;
    const keeps =
      message.shouldKeepAlive &&
      ((this.seen & SAW_LENGTH) !== 0 || message.useChunkedEncodingByDefault || Boolean(message.agent));
    if (!keeps) message._last = true;
    if (!keeps || message.maxRequestsOnConnectionReached) {
      if (dated) this.text += `Date: ${utcDate()}\r\n`;
      this.text += 'Connection: close\r\n';
      return;
    }
    const timeout = message._defaultKeepAlive ? message._keepAliveTimeout : 0;
    // Nearly every response: its three lines are ready.
    if (dated && (message._maxRequestsPerSocket | 0) <= 0) {
      this.text += usualLines(timeout);
      return;
    }
    if (dated) this.text += `Date: ${utcDate()}\r\n`;
    this.text += 'Connection: keep-alive\r\n';
    if (!timeout) return;
    const most = (message._maxRequestsPerSocket | 0) > 0 ? `, max=${message._maxRequestsPerSocket}` : '';
    this.text += `Keep-Alive: timeout=${Math.floor(timeout / 1000)}${most}\r\n`;
  }

  private framing(): void {
    const { message } = this;
    if (!message._hasBody) {
      message.chunkedEncoding = false;
    } else if (!message.useChunkedEncodingByDefault) {
      message._last = true;
    } else if (
      (this.seen & SAW_TRAILER) === 0 &&
      !message._removedContLen &&
      typeof message._contentLength === 'number'
    ) {
      this.text += `Content-Length: ${message._contentLength}\r\n`;
    } else if (!message._removedTE) {
      this.text += 'Transfer-Encoding: chunked\r\n';
      message.chunkedEncoding = true;
    } else {
      // The application took both away: only the connection's end can tell where the body ends.
      message._last = true;
    }
  }
}

const latin1 = (value: unknown): Buffer => Buffer.from(value as string, 'latin1');

let lines = '';
let linesOf = -1;
let linesTimeout = -1;

/** The three lines that nearly every response has, made once a second. */
function usualLines(timeout: number): string {
  const generation = dateGeneration();
  if (linesOf !== generation || linesTimeout !== timeout) {
    const hint = timeout ? `Keep-Alive: timeout=${Math.floor(timeout / 1000)}\r\n` : '';
    lines = `Date: ${utcDate()}\r\nConnection: keep-alive\r\n${hint}`;
    linesOf = generation;
    linesTimeout = timeout;
  }
  return lines;
}

/**
 * Renders a message's head, with what HTTP needs beside the headers given, into `message._header`.
 * @throws TypeError for names and values that may not be sent
 */
export function renderHead(
  message: OutgoingMessage,
  firstLine: string,
  ascii: boolean,
  headers: HeadersArgument,
): void {
  const head = new HeadLines(message, firstLine, ascii);
  if (headers) head.addAll(headers as Exclude<HeadersArgument, null | undefined>);
  head.complete();
  message._header = `${head.text}\r\n`;
  message._headIsAscii = head.ascii;
  message._headerSent = false;
  // A client that expects 100 waits for the answer, so its head cannot wait for the body.
  if ((head.seen & SAW_EXPECT) !== 0) message._send('');
}
