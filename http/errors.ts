import { format } from 'node:util';
import { type NodeError, nodeError } from '../net/errors';
import type { ParseError } from './parse-errors';

/** An error as Node's own modules throw it: `code` is what programs test. */
export type CodedError = NodeError;

/** What a parse error adds. */
export interface HttpParseError extends CodedError {
  /** The parser's own words, without "Parse Error: ". */
  reason: string;
  /** Bytes of the packet that were read before the fault. */
  bytesParsed: number;
  /** A copy of the packet at fault. */
  rawPacket?: Buffer;
}

const coded = nodeError;

export const headersSent = (verb: string): CodedError =>
  coded(Error, 'ERR_HTTP_HEADERS_SENT', `Cannot ${verb} headers after they are sent to the client`);

export const invalidHttpToken = (label: string, value: unknown): CodedError =>
  coded(TypeError, 'ERR_INVALID_HTTP_TOKEN', format('%s must be a valid HTTP token ["%s"]', label, value));

export const invalidHeaderValue = (value: unknown, name: string): CodedError =>
  coded(TypeError, 'ERR_HTTP_INVALID_HEADER_VALUE', format('Invalid value "%s" for header "%s"', value, name));

export const invalidChar = (where: string, name?: string): CodedError =>
  coded(TypeError, 'ERR_INVALID_CHAR', `Invalid character in ${where}${name === undefined ? '' : ` ["${name}"]`}`);

export const invalidStatusCode = (value: unknown): CodedError =>
  coded(RangeError, 'ERR_HTTP_INVALID_STATUS_CODE', format('Invalid status code: %s', value));

export const trailerInvalid = (): CodedError =>
  coded(Error, 'ERR_HTTP_TRAILER_INVALID', 'Trailers are invalid with this transfer encoding');

export const bodyNotAllowed = (): CodedError =>
  coded(
    Error,
    'ERR_HTTP_BODY_NOT_ALLOWED',
    'Adding content for this request method or response status is not allowed.',
  );

export const contentLengthMismatch = (sent: number, announced: number): CodedError =>
  coded(
    Error,
    'ERR_HTTP_CONTENT_LENGTH_MISMATCH',
    `Response body's content-length of ${sent} byte(s) does not match the content-length of ${announced} byte(s) set in header`,
  );

export const socketAssigned = (): CodedError => coded(Error, 'ERR_HTTP_SOCKET_ASSIGNED', 'Socket already assigned');

export const socketEncoding = (): CodedError =>
  coded(Error, 'ERR_HTTP_SOCKET_ENCODING', 'Changing the socket encoding is not allowed per RFC7230 Section 3.');

export const requestTimeout = (): CodedError => coded(Error, 'ERR_HTTP_REQUEST_TIMEOUT', 'Request timeout');

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

export { invalidArgType, invalidArgValue, outOfRange } from '../net/errors';

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

/** The peer ended in the middle of a message. No packet is at fault, and Node's text has no reason. */
export function endFailure(fault: ParseError): HttpParseError {
  const error = new Error('Parse Error') as HttpParseError;
  error.bytesParsed = 0;
  error.code = fault.code;
  error.reason = fault.reason;
  return error;
}
