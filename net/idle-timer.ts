import type { Millis } from '../stack/base/bytes';
import type { Loop } from './loop';

/**
 * Calls `expired` once `duration` passed without `activity`. Activity only notes the time; the timer that runs is set anew
 * when it comes too early, so a busy socket costs nothing.
 */
export class IdleTimer {
  private last: Millis;
  private timer: unknown;

  constructor(
    private readonly loop: Loop,
    private readonly duration: Millis,
    private readonly expired: () => void,
  ) {
    this.last = loop.now();
    this.timer = this.start(this.last);
  }

  /** The time begins anew, also after it had expired. */
  activity(): void {
    this.last = this.loop.now();
    if (this.timer === null) this.timer = this.start(this.last);
  }

  private start(from: Millis): unknown {
    return this.loop.timer(from + this.duration, () => this.fire());
  }

  private fire(): void {
    const now = this.loop.now();
    // A timer may come a little early, but never by as much as a millisecond.
    if (now - this.last < this.duration - 1) {
      this.timer = this.start(this.last);
      return;
    }
    this.timer = null;
    this.expired();
  }

  cancel(): void {
    if (this.timer !== null) this.loop.clear(this.timer);
    this.timer = null;
  }
}
