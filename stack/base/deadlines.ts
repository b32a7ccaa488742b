import { type Millis, NEVER } from './bytes';

/** What a deadline queue orders. `deadline` may move later at will; moving it earlier must be told with `earlier`. */
export interface Timed {
  /** When the owner really wants to be called; NEVER when it does not. */
  nextDeadline(): Millis;
  /** Where it stands in the queue, or -1. */
  queueIndex: number;
  /** When it stands in the queue for: never later than nextDeadline(). */
  queueKey: Millis;
}

/**
 * Everything with a deadline, in a binary heap ordered lazily: a deadline that moves later (a retransmission timer
 * restarted by an ACK, the common case) costs nothing, because the owner is only looked at again when its old time comes.
 */
export class DeadlineQueue<T extends Timed> {
  private readonly heap: T[] = [];

  get size(): number {
    return this.heap.length;
  }

  /** Call after any change of `item`'s deadlines. Cheap unless the deadline moved earlier. */
  update(item: T, deadline: Millis): void {
    if (item.queueIndex < 0) {
      if (deadline === NEVER) return;
      item.queueKey = deadline;
      item.queueIndex = this.heap.length;
      this.heap.push(item);
      this.up(item.queueIndex);
    } else if (deadline < item.queueKey) {
      item.queueKey = deadline;
      this.up(item.queueIndex);
    }
  }

  remove(item: T): void {
    const i = item.queueIndex;
    if (i < 0) return;
    item.queueIndex = -1;
    const last = this.heap.pop()!;
    if (last === item) return;
    this.heap[i] = last;
    last.queueIndex = i;
    this.up(i);
    this.down(last.queueIndex);
  }

  /** The earliest true deadline. */
  next(): Millis {
    for (;;) {
      if (this.heap.length === 0) return NEVER;
      const top = this.heap[0]!;
      const deadline = top.nextDeadline();
      if (deadline <= top.queueKey) return top.queueKey;
      this.settle(top, deadline);
    }
  }

  /** The item with the earliest deadline, if that is at or before `now`, or null. It stays queued until its deadlines change. */
  due(now: Millis): T | null {
    while (this.heap.length > 0 && this.heap[0]!.queueKey <= now) {
      const top = this.heap[0]!;
      const deadline = top.nextDeadline();
      if (deadline <= top.queueKey) return top;
      this.settle(top, deadline);
    }
    return null;
  }

  private settle(item: T, deadline: Millis): void {
    if (deadline === NEVER) {
      this.remove(item);
    } else {
      item.queueKey = deadline;
      this.down(item.queueIndex);
    }
  }

  private up(i: number): void {
    const heap = this.heap;
    const item = heap[i]!;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      const other = heap[parent]!;
      if (other.queueKey <= item.queueKey) break;
      heap[i] = other;
      other.queueIndex = i;
      i = parent;
    }
    heap[i] = item;
    item.queueIndex = i;
  }

  private down(i: number): void {
    const heap = this.heap;
    const item = heap[i]!;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1]!.queueKey < heap[child]!.queueKey) child++;
      const other = heap[child]!;
      if (other.queueKey >= item.queueKey) break;
      heap[i] = other;
      other.queueIndex = i;
      i = child;
    }
    heap[i] = item;
    item.queueIndex = i;
  }
}
