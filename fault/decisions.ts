import { RunningHash } from '../sim/hash';
import { Random } from '../stack/base/random';

/** One random choice. */
export interface Decision {
  readonly what: string;
  readonly value: number;
}

const DECISIONS_KEPT = 100_000;

/** Every random choice of a run, drawn from one seed and written down. A replay may give the values back. */
export class DecisionLog {
  readonly list: Decision[] = [];
  /** The number that was drawn last. */
  latest = 0;
  private random: Random;
  private sum = new RunningHash();

  constructor(readonly seed: number) {
    this.random = new Random(seed);
  }

  /** As when it was made: the same numbers come again. */
  restart(): void {
    this.list.length = 0;
    this.latest = 0;
    this.random = new Random(this.seed);
    this.sum = new RunningHash();
  }

  /** A number in [0, 1). */
  fraction(what: string): number {
    const value = this.random.fraction();
    this.latest = value;
    this.note(what, value);
    return value;
  }

  /** True with chance `p`; at 0 never and at 1 always, without a draw. */
  chance(what: string, p: number): boolean {
    if (p <= 0) return false;
    return p >= 1 || this.fraction(what) < p;
  }

  /** A whole number in [0, below). */
  below(what: string, below: number): number {
    return Math.floor(this.fraction(what) * below);
  }

  /** Writes down something that happened, so that the hash tells runs apart that differ in it. */
  note(what: string, value: number): void {
    if (this.list.length < DECISIONS_KEPT) this.list.push({ what, value });
    this.sum.addText(what);
    this.sum.addTime(value);
  }

  /** Sixteen hexadecimal digits; equal for equal runs. */
  hash(): string {
    return this.sum.toString();
  }
}
