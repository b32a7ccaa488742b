import type { Duplex } from 'node:stream';
import type { RouteError } from '../session-types';
import { routeError } from './route-error';

/** Gets a connection, or an error, once. */
export type Dialed = (error: Error | null, socket?: Duplex) => void;

/** A handshake, with a proxy or in TLS, may take so long, in milliseconds; what somebody says of a certificate, too. */
const PATIENCE_MS = 30_000;

/** What comes after the end of watching is no concern of anybody: the connection is given up. */
export function abandon(socket: Duplex): void {
  socket.on('error', () => {});
  socket.destroy();
}

/**
 * A connection in the making, through as many handshakes as it takes. It ends once: with a connection, with an error, or
 * because nobody wants it any more.
 */
export class Attempt {
  /** All that was opened for it so far, the lowest first. */
  private readonly sockets: Duplex[] = [];
  private stopWatching: (() => boolean) | null = null;
  private over = false;

  /** `pending` has all attempts that have not ended. */
  constructor(
    private readonly pending: Set<Attempt>,
    private readonly callback: Dialed,
  ) {
    pending.add(this);
  }

  /** `cancel` is to end this socket, too. */
  hold(socket: Duplex): void {
    if (!this.sockets.includes(socket)) this.sockets.push(socket);
  }

  /**
   * Waits for a socket's failure, or the end of patience, and says so once, unless the function it gives was called
   * before. That says whether the waiting ended by it. Patience begins once `below` is connected: how long that may take
   * is TCP's affair.
   */
  watch(
    socket: Duplex,
    failed: (error: Error) => void,
    below: Duplex & { connecting?: boolean } = socket,
  ): () => boolean {
    this.hold(socket);
    let timer: NodeJS.Timeout | undefined;
    const wait = (): void => {
      const late = Object.assign(new Error(`nothing was heard for ${PATIENCE_MS / 1000} s`), { code: 'ETIMEDOUT' });
      timer = setTimeout(() => socket.destroy(late), PATIENCE_MS).unref();
    };
    if (below !== socket && below.connecting === true) below.once('connect', wait);
    else wait();
    const stop = (): boolean => {
      if (this.stopWatching !== stop) return false;
      this.stopWatching = null;
      clearTimeout(timer);
      below.off('connect', wait);
      socket.off('error', onError);
      socket.off('close', onClose);
      return true;
    };
    const onError = (error: Error): void => {
      if (stop()) failed(error);
    };
    const onClose = (): void => {
      if (stop()) failed(Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' }));
    };
    this.stopWatching = stop;
    socket.on('error', onError);
    socket.on('close', onClose);
    return stop;
  }

  get isPending(): boolean {
    return !this.over;
  }

  /** Does a step of it. What that throws is its end. */
  run(step: () => void): void {
    try {
      step();
    } catch (error) {
      this.stopWatching?.();
      for (const socket of this.sockets) abandon(socket);
      this.finish(error as Error);
    }
  }

  /** There is a connection, or none. */
  readonly finish: Dialed = (error, socket) => {
    if (!this.end()) return;
    if (error !== null) this.callback(error);
    else this.callback(null, socket);
  };

  /** Gives it up, at once, in whatever handshake it is. Nothing, once it has ended. */
  cancel(error: RouteError = routeError('ERR_ABORTED', 'the connection is not wanted any more')): void {
    if (!this.end()) return;
    this.stopWatching?.();
    for (const socket of this.sockets) abandon(socket);
    this.callback(error);
  }

  private end(): boolean {
    if (this.over) return false;
    this.over = true;
    this.pending.delete(this);
    return true;
  }
}
