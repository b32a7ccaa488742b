import { time } from '../net/time';
/** A connection that waits for its next request. */
export interface Idle {
  idlePrevious: Idle | null;
  idleNext: Idle | null;
  /** The sweep at which the wait began; -1 while it does not wait. */
  idleSince: number;
  /** It waited for as long as it may. */
  idleExpired(): void;
}

/**
 * Idle connections in the order in which they became idle, swept by one coarse timer: to wait costs a connection a few
 * assignments, not a timer. A wait lasts as long as asked for, and up to a sixteenth longer.
 */
export class IdleList {
  private first: Idle | null = null;
  private last: Idle | null = null;
  private sweep = 0;
  private timer: NodeJS.Timeout | null = null;
  /** Milliseconds between sweeps. */
  private readonly interval: number;

  /** @param duration milliseconds that each connection may wait */
  constructor(readonly duration: number) {
    this.interval = Math.min(500, Math.max(5, Math.ceil(duration / 16)));
  }

  add(connection: Idle): void {
    if (connection.idleSince >= 0) this.remove(connection);
    connection.idleSince = this.sweep;
    connection.idlePrevious = this.last;
    connection.idleNext = null;
    if (this.last === null) this.first = connection;
    else this.last.idleNext = connection;
    this.last = connection;
    if (this.timer === null) this.timer = time.setInterval(() => this.expire(), this.interval).unref();
  }

  remove(connection: Idle): void {
    if (connection.idleSince < 0) return;
    const { idlePrevious, idleNext } = connection;
    if (idlePrevious === null) this.first = idleNext;
    else idlePrevious.idleNext = idleNext;
    if (idleNext === null) this.last = idlePrevious;
    else idleNext.idlePrevious = idlePrevious;
    connection.idlePrevious = connection.idleNext = null;
    connection.idleSince = -1;
  }

  private expire(): void {
    this.sweep++;
    // One sweep more: the wait may have begun at any time between two of them.
    const waited = Math.ceil(this.duration / this.interval) + 1;
    while (this.first !== null && this.sweep - this.first.idleSince >= waited) {
      const connection = this.first;
      this.remove(connection);
      connection.idleExpired();
    }
    if (this.first === null && this.timer !== null) {
      time.clearInterval(this.timer);
      this.timer = null;
    }
  }
}
