import { RAW_HEADERS_ARE_EXACT } from '../net/running-node';
import type { MessageSocket } from './transport';

/** What both ends of a connection do alike. */

type Write = (this: Uint8Array, text: string, at: number, bytes: number) => number;
const { latin1Write, utf8Write } = Buffer.prototype as unknown as { latin1Write: Write; utf8Write: Write };

/** Node takes up to 31 fields whole, more of them in batches of 31 until there are maxHeadersCount. */
export function keptFields(count: number, max: number): number {
  if (RAW_HEADERS_ARE_EXACT) return max > 0 ? Math.min(count, max) : count;
  return max > 0 && count > 31 ? Math.min(count, Math.ceil(max / 31) * 31) : count;
}

/** `message.httpVersion`. */
export const versionText = (major: number, minor: number): string =>
  major === 1 ? (minor === 1 ? '1.1' : '1.0') : `${major}.${minor}`;

/**
 * Puts `text`, then `body`, then `tail`, which is ASCII, straight into the socket's send block. False when it has no room
 * for all of it, and nothing was sent.
 */
export function sendWhole(socket: MessageSocket, text: string, body: Uint8Array | null, tail: string): boolean {
  const textBytes = Buffer.byteLength(text);
  const bytes = textBytes + tail.length + (body === null ? 0 : body.length);
  if (!socket.directReserve!(bytes)) return false;
  const memory = socket.directMemory!;
  const at = socket.directAt!;
  if (textBytes === text.length) latin1Write.call(memory, text, at, textBytes);
  else utf8Write.call(memory, text, at, textBytes);
  if (body !== null) {
    memory.set(body, at + textBytes);
    if (tail !== '') latin1Write.call(memory, tail, at + textBytes + body.length, tail.length);
  }
  socket.directCommit!(bytes);
  return true;
}
