// Called for every word: see side.ts.
const { imul } = Math;

/** A running hash over numbers and bytes: two runs that did the same have the same one. Not for secrets. */
export class RunningHash {
  private low = 0x811c9dc5 | 0;
  private high = 0x1b873593 | 0;

  add(n: number): void {
    this.low = imul(this.low ^ n, 0x01000193);
    this.high = imul((this.high ^ this.low) + (this.low >>> 13), 0x85ebca6b);
  }

  /** A time in milliseconds, to the nanosecond. */
  addTime(ms: number): void {
    this.add(Math.floor(ms));
    this.add(Math.round((ms % 1) * 1e6));
  }

  addBytes(b: Uint8Array): void {
    this.add(b.length);
    let i = 0;
    for (; i + 3 < b.length; i += 4) this.add((b[i]! << 24) | (b[i + 1]! << 16) | (b[i + 2]! << 8) | b[i + 3]!);
    for (; i < b.length; i++) this.add(b[i]!);
  }

  addText(text: string): void {
    this.add(text.length);
    for (let i = 0; i < text.length; i++) this.add(text.charCodeAt(i));
  }

  /** Sixteen hexadecimal digits. */
  toString(): string {
    return (this.high >>> 0).toString(16).padStart(8, '0') + (this.low >>> 0).toString(16).padStart(8, '0');
  }
}
