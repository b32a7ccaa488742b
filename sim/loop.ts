import type { Loop } from '../net/loop';
import type { Millis } from '../stack/base/bytes';
import type { Happening, Scheduler } from './scheduler';

/** What one turn of a virtual event loop takes: without it, code that asks for another turn again and again stops time. */
export const TURN_MS = 0.01;
/** So many turns in a row, each asked for by the one before, are let pass; then the loop is spinning. */
const SPINS_FREE = 32;
/** Turns of a loop that spins, against a link that is full for long, get longer, or it would be most of what happens. */
const SPIN_TURN_MAX_MS = 1;

/** What a loop needs of its world. */
export interface LoopWorld {
  readonly scheduler: Scheduler;
  /** Runs `task` before the next event. */
  soon(task: () => void): void;
  /** Runs what is due before the next event: promise jobs, ticks, `soon` tasks. */
  drain(): void;
}

interface Timer {
  /** By this loop's own clock. */
  readonly at: Millis;
  readonly task: () => void;
  happening: Happening | null;
}

/**
 * The event loop of one virtual host. Its clock is the world's plus what faults added to it; while it is stalled nothing
 * happens on the host, and then everything that was due does, in order.
 */
export class VirtualLoop implements Loop {
  /** Added to the world's time, where the clock runs as fast as the world's. */
  private ahead: Millis;
  /** How fast this clock runs, and since when of the world's time: `skew`. */
  private rate = 1;
  private skewedAt: Millis = 0;
  private stalledUntil: Millis = 0;
  private readonly timers = new Set<Timer>();
  private halted = false;
  /** How many turns in a row have led to the one that runs. */
  private spins = 0;
  /** Called after everything that ran on this host. */
  ran: () => void = () => {};

  constructor(
    private readonly world: LoopWorld,
    /** What the host's clock shows when the world begins, in milliseconds. */
    epochMs: Millis,
  ) {
    this.ahead = epochMs;
  }

  now(): Millis {
    return this.shows(this.world.scheduler.now);
  }

  /** What this clock shows at a time of the world. */
  private shows(worldAt: Millis): Millis {
    return worldAt + this.ahead + (worldAt - this.skewedAt) * (this.rate - 1);
  }

  /** The first time of the world at which this clock shows `at`, or more. */
  private worldTime(at: Millis): Millis {
    if (this.rate === 1) return at - this.ahead;
    let worldAt = this.skewedAt + (at - this.ahead - this.skewedAt) / this.rate;
    // Rounded down, a timer would find that it is not due yet.
    while (this.shows(worldAt) < at) worldAt += Math.max(1, Math.abs(worldAt)) * Number.EPSILON;
    return worldAt;
  }

  timer(at: Millis, task: () => void): unknown {
    const timer: Timer = { at, task, happening: null };
    this.timers.add(timer);
    this.place(timer);
    return timer;
  }

  private place(timer: Timer): void {
    timer.happening = this.post(this.worldTime(timer.at), () => {
      this.timers.delete(timer);
      timer.task();
    });
  }

  clear(timer: unknown): void {
    const known = timer as Timer;
    this.timers.delete(known);
    if (known.happening !== null) this.world.scheduler.cancel(known.happening);
  }

  soon(task: () => void): void {
    this.world.soon(() => {
      if (this.halted) return;
      task();
      this.ran();
    });
  }

  later(task: () => void): void {
    const spins = this.spins + 1;
    const turn = Math.min(TURN_MS * 2 ** Math.max(0, spins - SPINS_FREE), SPIN_TURN_MAX_MS);
    this.post(this.world.scheduler.now + turn, () => {
      this.spins = spins;
      task();
      this.spins = 0;
    });
  }

  between(): void {
    this.world.drain();
  }

  /** Runs `task` on this host at `at` of the world's time, or when its loop is free again. */
  post(at: Millis, task: () => void): Happening {
    const { scheduler } = this.world;
    return scheduler.at(at, () => this.run(task));
  }

  private run(task: () => void): void {
    if (this.halted) return;
    const { scheduler } = this.world;
    if (scheduler.now < this.stalledUntil) {
      scheduler.at(this.stalledUntil, () => this.run(task));
      return;
    }
    task();
    this.ran();
  }

  /** The host does nothing for `ms`: a blocked event loop, a machine that is suspended but keeps time. */
  stall(ms: Millis): void {
    this.stalledUntil = Math.max(this.stalledUntil, this.world.scheduler.now + ms);
  }

  /** The host's clock leaps ahead by `ms`: it slept, and did not notice. Monotonic clocks never go back. */
  leap(ms: Millis): void {
    if (!(ms >= 0)) throw new RangeError(`a clock leaps ahead, not by ${ms} ms`);
    this.ahead += ms;
    this.placeAgain();
  }

  /** From now on the host's clock runs `rate` times as fast as the world's; 1: as fast again. What it shows does not leap. */
  skew(rate: number): void {
    if (!(rate > 0 && rate < Number.POSITIVE_INFINITY)) throw new RangeError(`a clock runs forward, not ${rate} times`);
    const { now } = this.world.scheduler;
    this.ahead = this.shows(now) - now;
    this.skewedAt = now;
    this.rate = rate;
    this.placeAgain();
  }

  private placeAgain(): void {
    for (const timer of this.timers) {
      if (timer.happening !== null) this.world.scheduler.cancel(timer.happening);
      this.place(timer);
    }
  }

  /** The host is gone: nothing happens on it any more. */
  halt(): void {
    this.halted = true;
    for (const timer of this.timers) if (timer.happening !== null) this.world.scheduler.cancel(timer.happening);
    this.timers.clear();
  }
}
