import type { Millis } from '../stack/base/bytes';
import { NONE } from '../stack/base/memory';
import { consume, keepView, peek, Text } from '../stack/tcp/calls';
import type { Connection } from '../stack/tcp/connection';
import type { Tcp } from '../stack/tcp/tcp';

/** From here on a piece of text goes to the application where it lies; below it is copied (DESIGN §3). */
const COPY_BREAK = 4096;
/** The same for pieces of messages: servers hold many of them, of many connections, until the message is complete. */
const VIEW_MIN = 16_384;
/** What an application gets at most at once, as from libuv. */
const CHUNK_MAX = 65_536;
// Only used between a peek and the copy of its fields, never across a call into an application.
const text = new Text();

/** The next up to 64 KiB: a view of where they lie, or, of small pieces, one compact copy. */
export function takeChunk(tcp: Tcp, c: Connection, now: Millis): Buffer {
  peek(tcp, c, text);
  const first = Math.min(text.end - text.at, CHUNK_MAX);
  let chunk: Buffer;
  if (first >= COPY_BREAK && keepView(tcp, text)) {
    chunk = Buffer.from(text.bytes.buffer as ArrayBuffer, text.bytes.byteOffset + text.at, first);
    consume(tcp, c, first, now);
  } else {
    chunk = Buffer.allocUnsafe(smallPieces(tcp, c));
    copy(tcp, c, chunk, now);
  }
  return chunk;
}

/**
 * Bytes [at, end) of what lies first, where they lie, for an application to keep. Null when they are to be copied: what is
 * kept for long must not hold many times as much memory.
 */
export function viewOf(tcp: Tcp, c: Connection, bytes: Uint8Array, at: number, end: number): Buffer | null {
  if (end - at < VIEW_MIN || !peek(tcp, c, text)) return null;
  if (text.bytes !== bytes || at < text.at || end > text.end || !keepView(tcp, text)) return null;
  return Buffer.from(bytes.buffer as ArrayBuffer, bytes.byteOffset + at, end - at);
}

/** How many bytes the small pieces at the front have together, up to a chunk. */
function smallPieces({ store }: Tcp, c: Connection): number {
  const viewsMayLeave = store.slabs.viewsMayLeave;
  let bytes = 0;
  for (let node = c.readHead; node !== NONE && bytes < CHUNK_MAX; node = store.next(node)) {
    const here = store.bytes(node);
    if (bytes > 0 && here >= COPY_BREAK && viewsMayLeave) break;
    bytes += here;
  }
  return Math.min(bytes, CHUNK_MAX);
}

/** Fills `into`, as far as text has arrived. Returns how many bytes that are. */
export function fill(tcp: Tcp, c: Connection, into: Uint8Array, now: Millis): number {
  const bytes = Math.min(into.length, c.readable);
  copy(tcp, c, into.subarray(0, bytes), now);
  return bytes;
}

/** Fills `into` with the first text that waits. */
function copy(tcp: Tcp, c: Connection, into: Uint8Array, now: Millis): void {
  let to = 0;
  while (to < into.length && peek(tcp, c, text)) {
    const n = Math.min(text.end - text.at, into.length - to);
    into.set(text.bytes.subarray(text.at, text.at + n), to);
    consume(tcp, c, n, now);
    to += n;
  }
}
