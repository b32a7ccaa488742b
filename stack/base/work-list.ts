/**
 * A first-in, first-out list of what waits to be dealt with, in a ring that is kept: adding and taking allocate nothing in
 * steady state.
 */
export class WorkList<T> {
  private items: (T | null)[];
  private head = 0;
  /** How many wait. */
  size = 0;

  constructor(capacity = 16) {
    this.items = new Array<T | null>(capacity).fill(null);
  }

  add(item: T): void {
    if (this.size === this.items.length) this.grow();
    this.items[(this.head + this.size) & (this.items.length - 1)] = item;
    this.size++;
  }

  /** The next one, or null. */
  take(): T | null {
    if (this.size === 0) return null;
    const item = this.items[this.head]!;
    this.items[this.head] = null;
    this.head = (this.head + 1) & (this.items.length - 1);
    this.size--;
    return item;
  }

  private grow(): void {
    const old = this.items;
    this.items = new Array<T | null>(old.length * 2).fill(null);
    for (let i = 0; i < this.size; i++) this.items[i] = old[(this.head + i) & (old.length - 1)]!;
    this.head = 0;
  }
}
