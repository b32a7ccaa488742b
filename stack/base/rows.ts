import { NONE } from './memory';

const ROWS_FIRST = 64;

/**
 * Rows of integers, and of numbers with a fraction, in two typed arrays that grow: small records of which there may be tens
 * of thousands, which no garbage collector ever has to look at. A row is a small integer; those given back are used first.
 * Subclasses say what stands where: field `f` of a row is `fields[row * width + f]`.
 */
export abstract class Rows {
  protected fields: Int32Array;
  protected times: Float64Array;
  private free = NONE;
  /** Rows that were ever taken: the numbers below it. */
  protected count = 0;
  /** Rows taken and not given back. */
  inUse = 0;

  /** `width` integers and `timesWidth` numbers a row; `chain`: the field that chains rows which nobody uses. */
  protected constructor(
    private readonly width: number,
    timesWidth: number,
    private readonly chain: number,
  ) {
    this.fields = new Int32Array(ROWS_FIRST * width);
    this.times = new Float64Array(ROWS_FIRST * timesWidth);
  }

  /** A row with whatever was in it before. */
  protected take(): number {
    this.inUse++;
    const row = this.free;
    if (row !== NONE) {
      this.free = this.fields[row * this.width + this.chain]!;
      return row;
    }
    const fresh = this.count++;
    if (this.count * this.width > this.fields.length) this.grow();
    return fresh;
  }

  private grow(): void {
    const fields = new Int32Array(this.fields.length * 2);
    fields.set(this.fields);
    this.fields = fields;
    const times = new Float64Array(this.times.length * 2);
    times.set(this.times);
    this.times = times;
  }

  /** The row may be taken again. */
  protected give(row: number): void {
    this.fields[row * this.width + this.chain] = this.free;
    this.free = row;
    this.inUse--;
  }
}
