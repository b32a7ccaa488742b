import { inspect } from 'node:util';
import type { ParseError } from './parse-errors';

/** An error as Node's own modules throw it: `code` is what programs test. */
export interface CodedError extends Error {
  code: string;
}

/** Where an AbortError or a connection error came from, and what a parse error adds. */
export interface HttpParseError extends CodedError {
  /** The parser's own words, without "Parse Error: ". */
  reason: string;
  /** Bytes of the packet that were read before the fault. */
  bytesParsed: number;
  /** A copy of the packet at fault. */
  rawPacket?: Buffer;
}

type ErrorClass = new (message: string) => Error;

/**
 * An error with Node's three marks: `code`, the code in the first line of the stack, and in `toString`. The class's own
 * `name` stays, so that `error.name === 'TypeError'`.
 */
function coded(Base: ErrorClass, code: string, message: string): CodedError {
  const error = new Base(message) as CodedError;
  const name = error.name;
  Object.defineProperty(error, 'name', { value: `${name} [${code}]`, configurable: true, writable: true });
  Error.captureStackTrace(error, coded);
  void error.stack; // rendered now, while the name carries the code
  delete (error as { name?: string }).name;
  Object.defineProperty(error, 'toString', {
    value(this: CodedError) {
      return `${this.name} [${code}]: ${this.message}`;
    },
    configurable: true,
    writable: true,
  });
  error.code = code;
  return error;
}

/** How Node names a value that has the wrong type. */
function received(value: unknown): string {
  if (value == null) return ` Received ${value}`;
  if (typeof value === 'function') return ` Received function ${value.name}`;
  if (typeof value === 'object') {
    const name = (value as { constructor?: { name?: string } }).constructor?.name;
    return name ? ` Received an instance of ${name}` : ` Received ${inspect(value, { depth: -1 })}`;
  }
  let text = inspect(value, { colors: false });
  if (text.length > 28) text = `${text.slice(0, 25)}...`;
  return ` Received type ${typeof value} (${text})`;
}

const listOf = (words: readonly string[]): string =>
  words.length < 3 ? words.join(' or ') : `${words.slice(0, -1).join(', ')}, or ${words[words.length - 1]}`;

const PRIMITIVES = new Set(['string', 'number', 'boolean', 'function', 'object', 'bigint', 'symbol', 'Function']);

/** The part of the message that says what would have been right: types, then classes, then other words. */
function expected(allowed: readonly string[]): string {
  const types = allowed.filter((word) => PRIMITIVES.has(word)).map((word) => word.toLowerCase());
  const classes = allowed.filter((word) => !PRIMITIVES.has(word) && /^[A-Z][A-Za-z0-9]*$/.test(word));
  const others = allowed.filter((word) => !PRIMITIVES.has(word) && !classes.includes(word));
  const parts: string[] = [];
  if (types.length > 0) parts.push(`${types.length > 1 ? 'one of type' : 'of type'} ${listOf(types)}`);
  if (classes.length > 0) parts.push(`an instance of ${listOf(classes)}`);
  if (others.length > 1) parts.push(`one of ${listOf(others)}`);
  else if (others.length === 1) parts.push(`${others[0]!.toLowerCase() === others[0] ? '' : 'an '}${others[0]}`);
  return parts.join(' or ');
}

/** @returns TypeError ERR_INVALID_ARG_TYPE */
export function invalidArgType(name: string, allowed: string | readonly string[], value: unknown): CodedError {
  const list = typeof allowed === 'string' ? [allowed] : allowed;
  const what = name.endsWith(' argument') ? name : `"${name}" ${name.includes('.') ? 'property' : 'argument'}`;
  return coded(TypeError, 'ERR_INVALID_ARG_TYPE', `The ${what} must be ${expected(list)}.${received(value)}`);
}

/** @returns TypeError ERR_INVALID_ARG_VALUE */
export function invalidArgValue(name: string, value: unknown, reason = 'is invalid'): CodedError {
  let text = inspect(value);
  if (text.length > 128) text = `${text.slice(0, 128)}...`;
  const what = name.includes('.') ? 'property' : 'argument';
  return coded(TypeError, 'ERR_INVALID_ARG_VALUE', `The ${what} '${name}' ${reason}. Received ${text}`);
}

/** @returns RangeError ERR_OUT_OF_RANGE */
export function outOfRange(name: string, range: string, value: unknown): CodedError {
  let text: string;
  if (typeof value === 'number' && Number.isInteger(value) && Math.abs(value) > 2 ** 32) {
    text = String(value).replace(/\B(?=(\d{3})+$)/g, '_');
  } else {
    text = inspect(value);
  }
  return coded(
    RangeError,
    'ERR_OUT_OF_RANGE',
    `The value of "${name}" is out of range. It must be ${range}. Received ${text}`,
  );
}

export const headersSent = (verb: string): CodedError =>
  coded(Error, 'ERR_HTTP_HEADERS_SENT', `Cannot ${verb} headers after they are sent to the client`);

export const invalidHttpToken = (label: string, value: unknown): CodedError =>
  coded(TypeError, 'ERR_INVALID_HTTP_TOKEN', `${label} must be a valid HTTP token ["${value}"]`);

export const invalidHeaderValue = (value: unknown, name: string): CodedError =>
  coded(TypeError, 'ERR_HTTP_INVALID_HEADER_VALUE', `Invalid value "${value}" for header "${name}"`);

export const invalidChar = (where: string, name?: string): CodedError =>
  coded(TypeError, 'ERR_INVALID_CHAR', `Invalid character in ${where}${name === undefined ? '' : ` ["${name}"]`}`);

export const invalidStatusCode = (value: unknown): CodedError =>
  coded(RangeError, 'ERR_HTTP_INVALID_STATUS_CODE', `Invalid status code: ${value}`);

export const trailerInvalid = (): CodedError =>
  coded(Error, 'ERR_HTTP_TRAILER_INVALID', 'Trailers are invalid with this transfer encoding');

export const bodyNotAllowed = (): CodedError =>
  coded(Error, 'ERR_HTTP_BODY_NOT_ALLOWED', 'Adding content for this request method or response status is not allowed.');

export const contentLengthMismatch = (sent: number, announced: number): CodedError =>
  coded(
    Error,
    'ERR_HTTP_CONTENT_LENGTH_MISMATCH',
    `Response body's content-length of ${sent} byte(s) does not match the content-length of ${announced} byte(s) set in header`,
  );

export const socketAssigned = (): CodedError =>
  coded(Error, 'ERR_HTTP_SOCKET_ASSIGNED', 'Socket already assigned');

export const socketEncoding = (): CodedError =>
  coded(Error, 'ERR_HTTP_SOCKET_ENCODING', 'Changing the socket encoding is not allowed per RFC7230 Section 3.');

export const requestTimeout = (): CodedError =>
  coded(Error, 'ERR_HTTP_REQUEST_TIMEOUT', 'Request timeout');

export const methodNotImplemented = (name: string): CodedError =>
  coded(Error, 'ERR_METHOD_NOT_IMPLEMENTED', `The ${name} method is not implemented`);

export const unescapedCharacters = (what: string): CodedError =>
  coded(TypeError, 'ERR_UNESCAPED_CHARACTERS', `${what} contains unescaped characters`);

export const invalidProtocol = (actual: unknown, wanted: string): CodedError =>
  coded(TypeError, 'ERR_INVALID_PROTOCOL', `Protocol "${actual}" not supported. Expected "${wanted}"`);

export const streamNullValues = (): CodedError =>
  coded(TypeError, 'ERR_STREAM_NULL_VALUES', 'May not write null values to stream');

export const streamWriteAfterEnd = (): CodedError => coded(Error, 'ERR_STREAM_WRITE_AFTER_END', 'write after end');

export const streamDestroyed = (what: string): CodedError =>
  coded(Error, 'ERR_STREAM_DESTROYED', `Cannot call ${what} after a stream was destroyed`);

export const streamAlreadyFinished = (what: string): CodedError =>
  coded(Error, 'ERR_STREAM_ALREADY_FINISHED', `Cannot call ${what} after a stream was finished`);

export const streamCannotPipe = (): CodedError => coded(Error, 'ERR_STREAM_CANNOT_PIPE', 'Cannot pipe, not readable');

/** The peer went away: "socket hang up" before a response, "aborted" in the middle of a message. */
export function connectionReset(message: string): CodedError {
  const error = new Error(message) as CodedError;
  error.code = 'ECONNRESET';
  return error;
}

/** The peer sent what is not HTTP. */
export function parseFailure(fault: ParseError, bytesParsed: number, packet: Buffer): HttpParseError {
  const error = new Error(`Parse Error: ${fault.reason}`) as HttpParseError;
  error.bytesParsed = bytesParsed;
  error.code = fault.code;
  error.reason = fault.reason;
  error.rawPacket = packet;
  return error;
}
