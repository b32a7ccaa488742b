import type { Millis } from '../stack/base/bytes';

/** Something that will happen. Made by `Scheduler.at`, taken back by `Scheduler.cancel`. */
export interface Happening {
  readonly at: Millis;
  /** Of two at the same time the one that was asked for first comes first. */
  readonly order: number;
  task: (() => void) | null;
}

/**
 * The one clock and the one list of what comes, for everything in a virtual world: a binary heap by time, and by order of
 * asking where times are equal. Nothing else in a world may know of time.
 */
export class Scheduler {
  /** Milliseconds since the world began. */
  now: Millis = 0;
  /** How many events have happened. */
  count = 0;
  private readonly heap: Happening[] = [];
  private nextOrder = 0;
  private cancelled = 0;

  /** Has `task` done at `at`, or now if that is past. */
  at(at: Millis, task: () => void): Happening {
    const happening: Happening = { at: Math.max(at, this.now), order: this.nextOrder++, task };
    this.heap.push(happening);
    this.up(this.heap.length - 1);
    return happening;
  }

  /** Takes it back. Harmless when it has happened. */
  cancel(happening: Happening): void {
    if (happening.task === null) return;
    happening.task = null;
    this.cancelled++;
  }

  /** How many events wait. */
  get waiting(): number {
    return this.heap.length - this.cancelled;
  }

  /** When the next event comes; Infinity when there is none. */
  get nextAt(): Millis {
    this.skipCancelled();
    return this.heap.length === 0 ? Number.POSITIVE_INFINITY : this.heap[0]!.at;
  }

  /** Moves the clock to the next event and has it happen. False when there is none. */
  step(): boolean {
    this.skipCancelled();
    const next = this.pop();
    if (next === undefined) return false;
    const task = next.task!;
    next.task = null;
    this.now = next.at;
    this.count++;
    task();
    return true;
  }

  private skipCancelled(): void {
    while (this.heap.length > 0 && this.heap[0]!.task === null) {
      this.pop();
      this.cancelled--;
    }
  }

  private pop(): Happening | undefined {
    const heap = this.heap;
    const top = heap[0];
    const last = heap.pop();
    if (top !== last && last !== undefined) {
      heap[0] = last;
      this.down(0);
    }
    return top;
  }

  private up(i: number): void {
    const heap = this.heap;
    const item = heap[i]!;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!earlier(item, heap[parent]!)) break;
      heap[i] = heap[parent]!;
      i = parent;
    }
    heap[i] = item;
  }

  private down(i: number): void {
    const heap = this.heap;
    const item = heap[i]!;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && earlier(heap[child + 1]!, heap[child]!)) child++;
      if (!earlier(heap[child]!, item)) break;
      heap[i] = heap[child]!;
      i = child;
    }
    heap[i] = item;
  }
}

const earlier = (a: Happening, b: Happening): boolean => a.at < b.at || (a.at === b.at && a.order < b.order);
