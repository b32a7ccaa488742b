import { isUint8Array } from 'node:util/types';
import { END_CALLS_BACK_FIRST, MESSAGES_COUNT_CORKS } from '../net/running-node';
import { nextTick } from '../net/time';
import { contentLengthMismatch, streamAlreadyFinished, streamDestroyed, streamWriteAfterEnd } from './errors';
import { finishSoon } from './finish-queue';
import { announcesLength, nothing, refuseWrite, writeBody } from './outgoing-body';
import type { Chunk, OutgoingMessage, WriteCallback } from './outgoing-message';
import { endWhole } from './outgoing-whole';

/** `OutgoingMessage.prototype.end`: in one piece where that can be, else by the stream. */
export function end(
  this: OutgoingMessage,
  chunk?: Chunk | null | WriteCallback,
  encoding?: BufferEncoding | null | WriteCallback,
  callback?: WriteCallback,
): OutgoingMessage {
  if (typeof chunk === 'function') {
    callback = chunk;
    chunk = null;
    encoding = null;
  } else if (typeof encoding === 'function') {
    callback = encoding;
    encoding = null;
  }
  if (this.finished) {
    endAgain(this, chunk, callback);
    return this;
  }
  const body = chunk ? chunk : null;
  const how = (encoding as BufferEncoding) ?? null;
  if (this._writer !== null && (body === null || typeof body === 'string' || isUint8Array(body))) {
    if (endWhole(this, body, how)) {
      this._headerSent = true;
      this._wroteWhole = true;
      if (typeof callback === 'function') callWhenEnded(this, callback);
      this.finished = true;
      this._finish();
      // One that is ahead of its turn finishes once it has the socket.
      if (this.socket !== null) finishSoon(this, this._eventsCount > 0);
      return this;
    }
    if (this.finished) return this;
  }
  endInPieces(this, body, how, callback);
  return this;
}

function callWhenEnded(message: OutgoingMessage, callback: WriteCallback): void {
  if (!END_CALLS_BACK_FIRST) message.once('finish', callback as () => void);
  else if (message._endCallbacks === null) message._endCallbacks = [callback];
  else message._endCallbacks.push(callback);
}

/** All is written, or the socket failed: callbacks of `end` hear of it where they come first. False: 'finish' is not told. */
export function tellEnded(message: OutgoingMessage): boolean {
  const { socket, _endCallbacks: callbacks } = message;
  const failed = socket?._hadError === true;
  message._flushed = !failed;
  if (callbacks === null) return !failed;
  message._endCallbacks = null;
  const error = failed ? (message.errored ?? socket.errored ?? streamDestroyed('end')) : null;
  // Called as Node calls them: `this` is the list.
  for (let i = 0; i < callbacks.length; i++) callbacks[i]!(error);
  return !failed;
}

/** `end` after `end`: the callback still hears when all is written; a further chunk is refused. */
function endAgain(message: OutgoingMessage, chunk: unknown, callback: WriteCallback | undefined): void {
  if (chunk) {
    refuseWrite(message, streamWriteAfterEnd(), typeof callback === 'function' ? callback : nothing);
  } else if (typeof callback === 'function') {
    if (!message.writableFinished) callWhenEnded(message, callback);
    else callback(streamAlreadyFinished('end'));
  }
}

function endInPieces(
  message: OutgoingMessage,
  chunk: Chunk | null,
  encoding: BufferEncoding | null,
  callback: WriteCallback | undefined,
): void {
  const { socket } = message;
  if (socket && (chunk !== null || !message._header)) socket.cork();
  if (chunk !== null) {
    writeBody(message, chunk, encoding, nothing, true);
  } else if (!message._header) {
    message._contentLength = 0;
    message._implicitHeader();
  }
  if (typeof callback === 'function') callWhenEnded(message, callback);
  if (announcesLength(message) && message._bytesWritten !== message._contentLength) {
    throw contentLengthMismatch(message._bytesWritten, message._contentLength!);
  }
  const written = writtenOf.bind(undefined, message);
  if (message._hasBody && message.chunkedEncoding) message._send(`0\r\n${message._trailer}\r\n`, 'latin1', written);
  else if (!message._headerSent || message.writableLength || chunk !== null) message._send('', 'latin1', written);
  else nextTick(written);

  if (message.socket) {
    // However often it was corked, the end lets everything out.
    const state = (message.socket as unknown as { _writableState?: { corked: number } })._writableState;
    if (state) state.corked = 1;
    message.socket.uncork();
  }
  if (message._corked !== 0) message._corked = 0;
  if (MESSAGES_COUNT_CORKS) message._corks = 0;
  message.finished = true;
  if (message.outputData.length === 0 && message.socket && message.socket._httpMessage === message) message._finish();
}

function writtenOf(message: OutgoingMessage): void {
  message._written();
}
