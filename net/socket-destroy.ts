import type { TcpHandle } from './handle';
import type { SocketMethods } from './socket-methods';
import { nextTick } from './time';

/** `socket._destroy`: the timers, the attempt to connect and the handle end; 'close' follows when the handle is gone. */
export function destroySocket(
  socket: SocketMethods,
  error: Error | null,
  callback: (error?: Error | null) => void,
): void {
  if (socket.connecting) socket.connecting = false;
  for (let s: SocketMethods | null = socket; s !== null; s = s._parent) {
    if (!s._idle) continue;
    s._idle.cancel();
    s._idle = null;
  }
  if (socket._attempt !== null) {
    socket._attempt.cancel();
    socket._attempt = null;
  }
  const direct = socket._direct;
  socket._direct = null;
  // Just before the socket's own 'error', which comes by nextTick as well.
  if (error && direct !== null) nextTick(() => direct.onError(error));
  const handle = socket._handle;
  if (handle === null) {
    callback(error);
    nextTick(() => socket.emit('close'));
  } else {
    socket._writtenBefore = handle.bytesWritten;
    const emitClose = (): void => void socket.emit('close', Boolean(error));
    if (socket.resetAndClosing) {
      socket.resetAndClosing = false;
      (handle as TcpHandle).reset(emitClose);
    } else {
      handle.close(emitClose);
    }
    // With what it was just reading.
    socket._readBefore = handle.bytesRead;
    socket._handle = null;
    if (socket._sockname !== null) socket._sockname = null;
    callback(error);
  }
  if (socket._server !== null) {
    socket._server._connections--;
    socket._server._emitCloseIfDrained?.();
  }
}
