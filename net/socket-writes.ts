import { errnoException, nodeError } from './errors';
import type { SocketMethods } from './socket-methods';

export type WriteCallback = (error?: Error | null) => void;
/** What a stream hands to `_writev`. */
export type Chunks = Array<{ chunk: Uint8Array | string; encoding: BufferEncoding }> & { allBuffers?: boolean };

const bytesOf = (chunk: Uint8Array | string, encoding: string): Uint8Array =>
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

/** Hands chunks to the handle, now or once there is a connection. */
export function writeGeneric(
  socket: SocketMethods,
  several: boolean,
  data: Uint8Array | string | Chunks,
  encoding: string,
  callback: WriteCallback,
): void {
  if (socket.connecting) return writeOnceConnected(socket, several, data, encoding, callback);
  if (socket._pendingData !== null) {
    socket._pendingData = null;
    socket._pendingEncoding = '';
  }
  const handle = socket._handle;
  if (handle === null) return callback(nodeError(Error, 'ERR_SOCKET_CLOSED', 'Socket is closed'));
  if (encoding === 'buffer' && typeof data === 'string') {
    throw nodeError(TypeError, 'ERR_INVALID_ARG_TYPE', 'Second argument must be a buffer');
  }
  socket._unrefTimer();
  const chunks = several
    ? (data as Chunks).map((entry) => bytesOf(entry.chunk, entry.encoding))
    : [bytesOf(data as Uint8Array | string, encoding)];
  const outcome = handle.write(chunks, (code) => socket._written(code, callback));
  if (outcome === true) callback();
  // All of it, as in Node: that some fitted at once already counts as progress.
  else if (outcome === false) socket._wroteLast = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  else callback(errnoException(outcome, 'write'));
}

/** Holds what is written before there is a connection, until there is one or the socket closed. */
function writeOnceConnected(
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
