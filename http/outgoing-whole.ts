import { nextTick } from '../net/time';
import { beginBody, byteLength, isPlain, send, writeRaw } from './outgoing-body';
import type { Chunk, OutgoingMessage, QueuedData } from './outgoing-message';
import type { MessageWriter } from './transport';

/** A whole message up to this size goes out in one piece without a stream between. */
const WHOLE_MAX = 16_000;

/**
 * Sends the head and the whole body in one piece, when nothing of the message was sent and its connection takes bytes
 * directly. False when that cannot be; nothing was sent then, though the head may be rendered.
 */
export function endWhole(message: OutgoingMessage, chunk: Chunk | null, encoding: BufferEncoding | null): boolean {
  const writer = message._writer!;
  if (message._headerSent || message.outputSize !== 0 || message.destroyed || !writer.mayWrite(message)) return false;
  if (message._send !== send || message._writeRaw !== writeRaw) return false;
  if (message._corked !== 0 || message.strictContentLength) return false;
  if (chunk !== null) {
    if (chunk.length > WHOLE_MAX || (typeof chunk === 'string' && !isPlain(encoding))) return false;
    if (!beginBody(message, chunk, encoding, true)) chunk = null;
  } else if (!message._header) {
    message._contentLength = 0;
    message._implicitHeader();
  }
  // writeHead may be an application's own and may have sent, or ended, the message.
  if (message._headerSent || message.finished || !message._headIsAscii) return false;
  return message._hasBody && message.chunkedEncoding
    ? writeChunked(writer, message, chunk)
    : writeText(writer, message._header!, chunk, '');
}

/** A body known in full, in a message that was announced as chunked: one chunk, or none, and the last one. */
function writeChunked(writer: MessageWriter, message: OutgoingMessage, chunk: Chunk | null): boolean {
  if (message._trailer !== '') return false;
  if (chunk === null) return writeText(writer, `${message._header}0\r\n\r\n`, null, '');
  const head = `${message._header}${byteLength(chunk).toString(16)}\r\n`;
  return writeText(writer, head, chunk, '\r\n0\r\n\r\n');
}

function writeText(writer: MessageWriter, head: string, chunk: Chunk | null, tail: string): boolean {
  if (chunk === null) return writer.writeWhole(head, null, '');
  return typeof chunk === 'string'
    ? writer.writeWhole(head + chunk + tail, null, '')
    : writer.writeWhole(head, chunk, tail);
}

/** What waited for the socket is one text, such as a whole request: it needs no stream either. */
export function flushWhole(message: OutgoingMessage, { data, encoding, callback }: QueuedData): boolean {
  const writer = message._writer!;
  if (typeof data !== 'string' || data.length > WHOLE_MAX || !message._headIsAscii || !writer.mayWrite(message)) {
    return false;
  }
  if (!isPlain(encoding) && (encoding !== 'latin1' || Buffer.byteLength(data) !== data.length)) return false;
  if (!writer.writeWhole(data, null, '')) return false;
  if (callback) nextTick(callback);
  return true;
}
