/**
 * The largest of what was seen in the last `window` units of time, from three samples only (Kathleen Nichols' filter): the
 * best, the best since, and the best since that, so that when one grows too old the next is there.
 */
export class WindowedMax {
  private v0 = 0;
  private t0 = 0;
  private v1 = 0;
  private t1 = 0;
  private v2 = 0;
  private t2 = 0;

  constructor(private readonly window: number) {}

  /** The largest. */
  get value(): number {
    return this.v0;
  }

  reset(time: number, value: number): void {
    this.v0 = this.v1 = this.v2 = value;
    this.t0 = this.t1 = this.t2 = time;
  }

  add(time: number, value: number): void {
    if (value >= this.v0 || time - this.t2 > this.window) return this.reset(time, value);
    if (value >= this.v1) {
      this.v1 = this.v2 = value;
      this.t1 = this.t2 = time;
    } else if (value >= this.v2) {
      this.v2 = value;
      this.t2 = time;
    }
    this.age(time, value);
  }

  private age(time: number, value: number): void {
    const old = time - this.t0;
    if (old > this.window) {
      this.shift(time, value);
      if (time - this.t0 > this.window) this.shift(time, value);
    } else if (this.t1 === this.t0 && old > this.window / 4) {
      // A quarter of the window without a second best: take one.
      this.v1 = this.v2 = value;
      this.t1 = this.t2 = time;
    } else if (this.t2 === this.t1 && old > this.window / 2) {
      this.v2 = value;
      this.t2 = time;
    }
  }

  private shift(time: number, value: number): void {
    this.v0 = this.v1;
    this.t0 = this.t1;
    this.v1 = this.v2;
    this.t1 = this.t2;
    this.v2 = value;
    this.t2 = time;
  }
}
