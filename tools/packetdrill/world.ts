import type { Bytes } from '../../stack/base/bytes';
import type { FrameObserver } from './capture';
import type { Clock, Target, TargetConfig, TargetFactory } from './target';

/** A datagram that the stack sent. */
export interface Emitted {
  readonly frame: Bytes;
  readonly atUs: number;
  readonly cause: string;
}

/** Something that waits inside a system call, and is asked again whenever something happened. */
export interface Waiter {
  /** True when it has finished. */
  retry(): boolean;
  /** When it wants to be asked although nothing happened, in microseconds. */
  readonly deadlineUs: number;
}

/** A stack that has work at the same instant again and again does not get on. */
const TURNS_MAX = 10_000;
const STEPS_MAX = 5_000_000;

/** A stack under test, the clock that it lives by, and what it has sent. Time moves only here. */
export class World implements Clock {
  nowUs = 0;
  /** Sent and not yet expected, in the order of sending. */
  readonly sent: Emitted[] = [];
  /** The link loses everything that the stack sends. */
  blackhole = false;
  waiter: Waiter | null = null;
  observer: FrameObserver | null = null;
  readonly target: Target;
  private steps = 0;

  constructor(factory: TargetFactory, config: Omit<TargetConfig, 'clock' | 'emit'>) {
    this.target = factory({
      ...config,
      clock: this,
      emit: (frame, cause = '') => {
        this.observer?.frame('out', frame, this.nowUs, this.blackhole ? 'lost: the link drops everything' : cause);
        if (this.blackhole) return false;
        this.sent.push({ frame: frame.slice(), atUs: this.nowUs, cause });
        return true;
      },
    });
  }

  /** Lets the stack do all it has to do now, and whoever waits in a call go on. */
  settle(): void {
    for (let turns = 0; turns < TURNS_MAX; turns++) {
      this.target.poll();
      const woken = this.wake();
      if (!woken && this.target.nextDeadlineUs() > this.nowUs) return;
    }
    throw new Error(`the stack has something to do at ${this.nowUs} us and never gets it done`);
  }

  private wake(): boolean {
    if (this.waiter === null || !this.waiter.retry()) return false;
    this.waiter = null;
    return true;
  }

  /**
   * Moves on to the next thing that happens by itself, if it is due by `limitUs`, and lets it happen. False when nothing
   * is: the clock stays.
   */
  step(limitUs: number): boolean {
    const nextUs = Math.min(this.target.nextDeadlineUs(), this.waiter?.deadlineUs ?? Number.POSITIVE_INFINITY);
    if (nextUs > limitUs || nextUs === Number.POSITIVE_INFINITY) return false;
    if (++this.steps > STEPS_MAX) throw new Error(`more than ${STEPS_MAX} timers in one script`);
    this.nowUs = Math.max(this.nowUs, nextUs);
    this.settle();
    return true;
  }

  /** Moves the clock on, timers firing on the way. */
  advanceTo(us: number): void {
    while (this.step(us));
    this.nowUs = Math.max(this.nowUs, us);
  }

  /** One datagram arrives now; `comment` says where from. */
  deliver(frame: Bytes, comment = ''): void {
    this.observer?.frame('in', frame, this.nowUs, comment);
    this.target.receive(frame);
    this.settle();
  }
}
