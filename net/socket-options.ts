import type { DuplexOptions } from 'node:stream';
import { invalidArgValue } from './errors';
import type { TcpHandle } from './handle';
import type { KernelHandle } from './kernel-handle';
import type { StreamOptions } from './lazy-stream';
import { validateNumber } from './validate';

/** The `onread` option: text is put into memory of the caller's choice. */
export interface OnReadOptions {
  buffer: Uint8Array | (() => Uint8Array);
  /** False pauses the socket. */
  callback(bytes: number, buffer: Uint8Array): boolean | undefined;
}

/** What `new Socket` may be told, beside the options of a Duplex. */
export interface SocketOptions extends DuplexOptions {
  fd?: number;
  handle?: TcpHandle | KernelHandle;
  /** False: nothing will be read. */
  readable?: boolean;
  pauseOnCreate?: boolean;
  manualStart?: boolean;
  noDelay?: boolean;
  keepAlive?: boolean;
  /** Milliseconds. */
  keepAliveInitialDelay?: number;
  onread?: OnReadOptions | null;
  signal?: AbortSignal;
  /** Of a server's own sockets: the stream is made with these when it is first looked at. */
  streamOptions?: StreamOptions | null;
}

/** @throws TypeError or RangeError when an option cannot be what it says. */
export function checkOptions(options: SocketOptions): void {
  for (const name of ['objectMode', 'readableObjectMode', 'writableObjectMode'] as const) {
    if (options[name]) throw invalidArgValue(`options.${name}`, options[name], 'is not supported');
  }
  if (options.keepAliveInitialDelay !== undefined) {
    validateNumber(options.keepAliveInitialDelay, 'options.keepAliveInitialDelay');
    if (options.keepAliveInitialDelay < 0) options.keepAliveInitialDelay = 0;
  }
}

/** Whether the option is there, and whole; anything else counts as none, as in Node. */
export const isOnRead = (onread: OnReadOptions | null | undefined): onread is OnReadOptions =>
  onread != null &&
  typeof onread === 'object' &&
  (onread.buffer instanceof Uint8Array || typeof onread.buffer === 'function') &&
  typeof onread.callback === 'function';
