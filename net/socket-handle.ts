import { TcpHandle } from './handle';
import type { KernelHandle } from './kernel-handle';
import type { SocketMethods } from './socket-methods';

/** Makes `handle` the socket's: for a new connection, or a further attempt at one. */
export function adopt(socket: SocketMethods, handle: TcpHandle | KernelHandle): void {
  if (!socket._streamOptions) (socket as unknown as { _undestroy(): void })._undestroy();
  if (socket._sockname !== null) socket._sockname = null;
  socket._handle = handle;
  handle.owner = socket;
  if (handle instanceof TcpHandle) handle.direct = socket._direct;
  if (socket._onread !== null) {
    const { buffer } = socket._onread;
    useUserBuffer(socket, typeof buffer === 'function' ? buffer() : buffer);
  }
}

/** Text goes into `buffer` from now on, if that is one. */
export function useUserBuffer(socket: SocketMethods, buffer: unknown): void {
  if (!(buffer instanceof Uint8Array)) return;
  socket._userBuffer = buffer;
  if (socket._handle !== null) socket._handle.userBuffer = buffer;
}
