import type { Idle, IdleList } from '../http/idle-list';
import type { Loop } from '../net/loop';
import type { Millis } from '../stack/base/bytes';

/**
 * Idle connections of a server of our http whose waits end on a host's own clock: with the wire's time, and not while the
 * host's program stands still.
 */
class IdleWaits {
  private readonly timers = new Map<Idle, unknown>();

  constructor(
    readonly duration: Millis,
    private readonly loop: Loop,
  ) {}

  add(connection: Idle): void {
    this.remove(connection);
    connection.idleSince = 0;
    const over = (): void => {
      this.remove(connection);
      connection.idleExpired();
    };
    this.timers.set(connection, this.loop.timer(this.loop.now() + this.duration, over));
  }

  remove(connection: Idle): void {
    connection.idleSince = -1;
    const timer = this.timers.get(connection);
    if (timer === undefined) return;
    this.timers.delete(connection);
    this.loop.clear(timer);
  }
}

/** Has a server of our http wait on the clock of a host for the next request of a connection. */
export function waitOn(loop: Loop, server: { _waiting(duration: Millis): IdleList }): void {
  const lists: IdleWaits[] = [];
  server._waiting = (duration) => {
    let list = lists.find((known) => known.duration === duration);
    if (list === undefined) lists.push((list = new IdleWaits(duration, loop)));
    // The one thing that it has not is the timer of its own.
    return list as unknown as IdleList;
  };
}
