import { isUint8Array } from 'node:util/types';
import { nextTick } from '../net/time';
import {
  bodyNotAllowed,
  contentLengthMismatch,
  invalidArgType,
  streamDestroyed,
  streamNullValues,
  streamWriteAfterEnd,
} from './errors';
import type { Chunk, OutgoingMessage, WriteCallback } from './outgoing-message';
import type { MessageSocket } from './transport';

/** For callbacks that nobody gave. */
export function nothing(): void {}

const CRLF = Buffer.from('\r\n');

/** Bytes that a chunk has in `encoding`, which is UTF-8 when none is named. */
export const byteLength = (chunk: Chunk, encoding?: BufferEncoding | null): number =>
  typeof chunk === 'string' ? Buffer.byteLength(chunk, encoding ?? undefined) : chunk.byteLength;
/** Tells a write that came too late: its callback, and 'error' while the message lives. */
export function refuseWrite(message: OutgoingMessage, error: Error, callback: WriteCallback): void {
  if (!message.destroyed) nextTick(tellRefused, message, error, callback);
}

function tellRefused(message: OutgoingMessage, error: Error, callback: WriteCallback): void {
  callback(error);
  if (typeof message.emit === 'function' && !message.destroyed) message.emit('error', error);
}

/** The length announced must come true only where the application asked for that, and where there is one. */
export function announcesLength(message: OutgoingMessage): boolean {
  return (
    message.strictContentLength &&
    message._contentLength != null &&
    message._hasBody &&
    !message._removedContLen &&
    !message.chunkedEncoding &&
    !message.hasHeader('transfer-encoding')
  );
}

/** Why a chunk cannot be written. @throws TypeError when it is none */
function whyNot(message: OutgoingMessage, chunk: unknown): Error | null {
  if (chunk === null) throw streamNullValues();
  if (typeof chunk !== 'string' && !isUint8Array(chunk)) {
    throw invalidArgType('chunk', ['string', 'Buffer', 'Uint8Array'], chunk);
  }
  if (message.finished) return streamWriteAfterEnd();
  return message.destroyed ? streamDestroyed('write') : null;
}

/** The head, when there is none, and the checks before a piece of the body. False: the body is not to be sent. */
export function beginBody(
  message: OutgoingMessage,
  chunk: Chunk,
  encoding: BufferEncoding | null,
  last: boolean,
): boolean {
  if (message.strictContentLength) {
    const sent = message._bytesWritten + byteLength(chunk, encoding);
    const wanted = message._contentLength;
    if (announcesLength(message) && (last ? sent !== wanted : sent > wanted!)) {
      throw contentLengthMismatch(sent, wanted!);
    }
    message._bytesWritten = sent;
  }
  if (!message._header) {
    if (last) message._contentLength = byteLength(chunk, encoding);
    message._implicitHeader();
  }
  if (message._hasBody) return true;
  if (message._rejectsBodies) throw bodyNotAllowed();
  return false;
}

/**
 * One piece of the body: what is wrong with it, the head before the first, the frame of a chunk around it. Answers as
 * `write` does: false when the application had better wait for 'drain'.
 */
export function writeBody(
  message: OutgoingMessage,
  chunk: Chunk,
  encoding: BufferEncoding | null,
  callback: WriteCallback,
  last: boolean,
): boolean {
  const error = whyNot(message, chunk);
  if (error !== null) {
    if (message.destroyed) nextTick(callback, error);
    else refuseWrite(message, error, callback);
    return false;
  }
  if (message._skipsEmptyWrites && !last && chunk.length === 0) return true;
  if (!beginBody(message, chunk, encoding, last)) {
    nextTick(callback);
    return true;
  }
  const { socket } = message;
  if (!last && socket && !socket.writableCorked) {
    // Pieces written in one tick leave together.
    socket.cork();
    nextTick(uncorkSocket, socket);
  }
  if (!message.chunkedEncoding || chunk.length === 0) return message._send(chunk, encoding, callback);
  const bytes = byteLength(chunk, encoding);
  message._send(bytes.toString(16), 'latin1', null);
  message._send(CRLF, null, null);
  message._send(chunk, encoding, null, bytes);
  return message._send(CRLF, null, callback);
}

function uncorkSocket(socket: MessageSocket): void {
  socket.uncork();
}

/** Node's encodings in which the bytes of text can be written with its head as one text. */
export const isPlain = (encoding: unknown): boolean => encoding == null || encoding === 'utf8' || encoding === 'utf-8';

/** The head goes out with the first piece of the body, in one write where that is text. */
export function send(
  this: OutgoingMessage,
  data: Chunk,
  encoding?: BufferEncoding | null,
  callback?: WriteCallback | null,
  bytes?: number,
): boolean {
  if (!this._headerSent && this._header !== null) {
    if (typeof data === 'string' && (isPlain(encoding) || encoding === 'latin1')) {
      data = this._header + data;
    } else {
      const header = this._header;
      this.outputData.unshift({ data: header, encoding: 'latin1', callback: null });
      this.outputSize += header.length;
      this._onPendingData(header.length);
    }
    this._headerSent = true;
  }
  return this._writeRaw(data, encoding, callback, bytes);
}

/** To the socket when it is the message's turn; until then it waits in `outputData`. */
export function writeRaw(
  this: OutgoingMessage,
  data: Chunk,
  encoding?: BufferEncoding | null | WriteCallback,
  callback?: WriteCallback | null,
): boolean {
  const { socket } = this;
  if (socket?.destroyed) return false;
  if (typeof encoding === 'function') {
    callback = encoding;
    encoding = null;
  }
  if (socket && socket._httpMessage === this && socket.writable) {
    if (this.outputData.length > 0) this._flushOutput(socket);
    return socket.write(data, encoding as BufferEncoding, callback as WriteCallback);
  }
  this.outputData.push({ data, encoding, callback });
  this.outputSize += data.length;
  this._onPendingData(data.length);
  return this.outputSize < this._highWaterMark;
}
