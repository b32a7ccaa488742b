import type { Millis } from '../stack/base/bytes';
import type { Medium } from './medium';

/** Something that leaves in its turn. */
interface Waiting {
  at: Millis;
  readonly send: () => void;
}

/** Something that others overtake. */
interface Aside {
  left: number;
  readonly send: () => void;
  timer: unknown;
}

/**
 * One direction of a connection behind the rules: what enters leaves in order, each not before its time. A gate stops it;
 * `overtaken` entries stand aside until enough others have passed.
 */
export class Lane {
  private readonly queue: Waiting[] = [];
  private readonly aside: Aside[] = [];
  private lastAt: Millis = 0;
  private timer: unknown = null;
  /** Names of the gates that hold it. */
  readonly gates = new Set<string>();

  constructor(private readonly medium: Medium) {}

  /** How many entries wait. */
  get waiting(): number {
    return this.queue.length + this.aside.length;
  }

  /** `send` runs after `delayMs`, behind everything that entered before. At once when nothing is in its way. */
  enter(send: () => void, delayMs: Millis = 0): void {
    const now = this.medium.now();
    const at = Math.max(now + delayMs, this.lastAt);
    this.lastAt = at;
    if (at <= now && this.queue.length === 0 && this.gates.size === 0) {
      send();
      this.passed();
      return;
    }
    this.queue.push({ at, send });
    this.arm();
  }

  /** Nothing leaves for `ms` after what entered last: what follows has a wake-up of its own. */
  gap(ms: Millis): void {
    this.lastAt = Math.max(this.lastAt, this.medium.now()) + ms;
  }

  /** `send` runs when `after` others have passed, or after `forMs`. */
  stepAside(send: () => void, after: number, forMs: Millis): void {
    const entry: Aside = { left: after, send, timer: null };
    entry.timer = this.medium.at(this.medium.now() + forMs, () => this.comeBack(entry));
    this.aside.push(entry);
  }

  private comeBack(entry: Aside): void {
    const at = this.aside.indexOf(entry);
    if (at < 0) return;
    this.aside.splice(at, 1);
    this.medium.cancel(entry.timer);
    entry.send();
  }

  private passed(): void {
    for (const entry of [...this.aside]) if (--entry.left <= 0) this.comeBack(entry);
  }

  hold(gate: string): void {
    this.gates.add(gate);
  }

  release(gate: string): void {
    if (this.gates.delete(gate)) this.flush();
  }

  private arm(): void {
    if (this.timer !== null || this.queue.length === 0 || this.gates.size > 0) return;
    this.timer = this.medium.at(this.queue[0]!.at, () => {
      this.timer = null;
      this.flush();
    });
  }

  private flush(): void {
    while (this.queue.length > 0 && this.gates.size === 0 && this.queue[0]!.at <= this.medium.now()) {
      this.queue.shift()!.send();
      this.passed();
    }
    this.arm();
  }

  /** Everything that waits is gone. */
  clear(): void {
    this.queue.length = 0;
    for (const entry of this.aside.splice(0)) this.medium.cancel(entry.timer);
    if (this.timer !== null) this.medium.cancel(this.timer);
    this.timer = null;
  }
}
