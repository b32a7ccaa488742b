import { nodeError } from './errors';
import type { SocketMethods } from './socket-methods';

export type WriteCallback = (error?: Error | null) => void;
/** What a stream hands to `_writev`. */
export type Chunks = Array<{ chunk: Uint8Array | string; encoding: BufferEncoding }> & { allBuffers?: boolean };

export const bytesOf = (chunk: Uint8Array | string, encoding: string): Uint8Array =>
  typeof chunk === 'string' ? Buffer.from(chunk, encoding as BufferEncoding) : chunk;

const lengthOf = (chunk: Uint8Array | string, encoding?: string): number =>
  typeof chunk === 'string' ? Buffer.byteLength(chunk, encoding as BufferEncoding) : chunk.length;

/** `socket.bytesWritten`: bytes sent, or waiting to be here, in the stream's buffers or for the connection. */
export function bytesWritten(socket: SocketMethods): number {
  let bytes = socket._bytesDispatched;
  const buffered = (socket as unknown as { writableBuffer?: Chunks }).writableBuffer;
  if (!buffered) return undefined as unknown as number;
  for (const { chunk, encoding } of buffered) bytes += lengthOf(chunk, encoding);
  const pending = socket._pendingData;
  if (Array.isArray(pending)) {
    for (const entry of pending as Chunks) bytes += lengthOf(entry.chunk, entry.encoding);
  } else if (pending) {
    bytes += lengthOf(pending as Uint8Array | string, socket._pendingEncoding);
  }
  return bytes;
}

/** Holds what is written before there is a connection, until there is one or the socket closed. */
export function writeOnceConnected(
  socket: SocketMethods,
  several: boolean,
  data: Uint8Array | string | Chunks,
  encoding: string,
  callback: WriteCallback,
): void {
  socket._pendingData = data;
  socket._pendingEncoding = encoding;
  const onClose = (): void => callback(closedBeforeConnection());
  socket.once('connect', () => {
    socket.off('close', onClose);
    socket._writeGeneric(several, data, encoding, callback);
  });
  socket.once('close', onClose);
}

const closedBeforeConnection = (): Error =>
  nodeError(Error, 'ERR_SOCKET_CLOSED_BEFORE_CONNECTION', 'Socket closed before the connection was established');
