/** Which offsets of a stream have been seen, when pieces come in any order. Bounded: a peer cannot make it grow. */
const RANGES_MAX = 256;

export class Coverage {
  /** Everything before it has been seen. */
  next = 0;
  private readonly ranges: [number, number][] = [];

  /** [from, to) was seen. Returns how far `next` moved. */
  add(from: number, to: number): number {
    const before = this.next;
    if (to <= this.next) return 0;
    if (from > this.next) {
      if (this.ranges.length < RANGES_MAX) this.ranges.push([from, to]);
      return 0;
    }
    this.next = to;
    for (let moved = true; moved; ) {
      moved = false;
      for (let i = this.ranges.length - 1; i >= 0; i--) {
        const [a, b] = this.ranges[i]!;
        if (a > this.next) continue;
        this.ranges.splice(i, 1);
        if (b > this.next) {
          this.next = b;
          moved = true;
        }
      }
    }
    return this.next - before;
  }
}

const BYTES_MAX = 1 << 18;

/** Puts text in order, each byte once, for whoever reads a stream passively. */
export class Reassembly {
  next = 0;
  private readonly waiting: { from: number; text: Uint8Array }[] = [];
  private held = 0;

  /** Text [from, from + bytes) at [at, end) of `b`; `read` gets what is in order now. */
  add(
    from: number,
    b: Uint8Array,
    at: number,
    end: number,
    read: (b: Uint8Array, at: number, end: number) => void,
  ): void {
    const to = from + end - at;
    if (to <= this.next) return;
    if (from > this.next) {
      if (this.held + end - at > BYTES_MAX) return;
      this.held += end - at;
      this.waiting.push({ from, text: b.slice(at, end) });
      return;
    }
    const skip = this.next - from;
    this.next = to;
    read(b, at + skip, end);
    this.catchUp(read);
  }

  private catchUp(read: (b: Uint8Array, at: number, end: number) => void): void {
    for (let i = this.waiting.findIndex((w) => w.from <= this.next); i >= 0; ) {
      const { from, text } = this.waiting.splice(i, 1)[0]!;
      this.held -= text.length;
      const skip = this.next - from;
      if (skip < text.length) {
        this.next = from + text.length;
        read(text, skip, text.length);
      }
      i = this.waiting.findIndex((w) => w.from <= this.next);
    }
  }
}
