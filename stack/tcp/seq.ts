/**
 * A point in sequence space, modulo 2^32 (RFC 9293 §3.4), kept as a signed 32-bit integer so that it is never boxed.
 * The brand makes `seq + 1` unassignable to Seq: use seqAdd. Compare with seqDiff, print with `>>> 0`.
 */
export type Seq = number & { readonly brand: 'Seq' };

export const seq = (n: number): Seq => (n | 0) as Seq;
export const seqAdd = (a: Seq, n: number): Seq => ((a + n) | 0) as Seq;
/** a - b, signed; meaningful while they are within 2^31 of each other. */
export const seqDiff = (a: Seq, b: Seq): number => (a - b) | 0;
export const seqBefore = (a: Seq, b: Seq): boolean => ((a - b) | 0) < 0;
export const seqAfter = (a: Seq, b: Seq): boolean => ((a - b) | 0) > 0;
/** Whether x lies in [left, left + size). */
export const seqInWindow = (x: Seq, left: Seq, size: number): boolean => (x - left) >>> 0 < size;
