import type { Millis } from '../stack/base/bytes';

/** What a host needs of the world outside its stack: the time, one timer, and "soon". A simulator offers its own. */
export interface Loop {
  now(): Millis;
  /** Calls `task` once at `at` or as soon after as can be. Returns what `clear` takes. */
  timer(at: Millis, task: () => void): unknown;
  clear(timer: unknown): void;
  /** Calls `task` when the code that runs now is done, before the next event. */
  soon(task: () => void): void;
  /** Calls `task` in a later turn of the loop, after other events had their chance. */
  later(task: () => void): void;
  /**
   * Runs what one callback left behind (process.nextTick, promise jobs) before the next callback of the same turn, as
   * Node does between any two I/O callbacks.
   */
  between(): void;
}

const runTicks = (process as unknown as { _tickCallback?: () => void })._tickCallback ?? ((): void => {});

/** Node's event loop. Its timers never keep the process alive: devices and sockets decide that. */
export const nodeLoop: Loop = {
  now: () => performance.now(),
  timer: (at, task) => setTimeout(task, Math.max(0, at - performance.now())).unref(),
  clear: (timer) => clearTimeout(timer as NodeJS.Timeout),
  soon: (task) => process.nextTick(task),
  later: (task) => setImmediate(task),
  between: () => runTicks(),
};
