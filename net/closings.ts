import type { Loop } from './loop';

/**
 * The callbacks of handles that close, which libuv runs at the end of a turn of its loop: of those that began to close in
 * one turn the last comes first.
 */
export class Closings {
  private tasks: (() => void)[] = [];
  /** Some wait for the end of this turn of the loop. */
  isDue = false;

  constructor(
    private readonly loop: Loop,
    private readonly call: (task: () => void) => void,
  ) {}

  add(task: () => void): void {
    this.tasks.push(task);
  }

  /** What was added runs at the end of this turn of the loop. */
  arm(): void {
    if (this.isDue || this.tasks.length === 0) return;
    this.isDue = true;
    const task = (): void => {
      this.isDue = false;
      this.finish();
    };
    if (this.loop.close === undefined) this.loop.later(task);
    else this.loop.close(task);
  }

  private finish(): void {
    const { tasks } = this;
    this.tasks = [];
    for (let task = tasks.pop(); task !== undefined; task = tasks.pop()) this.call(task);
  }
}
