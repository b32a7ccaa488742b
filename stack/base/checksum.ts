import type { Bytes } from './bytes';

/**
 * The Internet checksum (RFC 1071): a one's complement sum of 16-bit words.
 *
 * `sum` adds bytes [at, end) to `initial` and returns the unfolded, uncomplemented total, so that a pseudo-header and
 * several pieces can be chained; a piece that starts at an odd offset of the message must be swapped by the caller
 * (`addPiece` does). Words are read through one long-lived Uint32Array per buffer where the position allows, and added
 * into a double, which is exact up to 2^53.
 */
export function sum(b: Bytes, at: number, end: number, initial: number): number {
  let total = initial;
  if (end - at >= LONG_BYTES && LITTLE_ENDIAN) {
    if (b.buffer !== lastBuffer) look(b.buffer);
    if (lastSum !== null) {
      const words = lastSum(b.byteOffset + at, b.byteOffset + end);
      return total + (((words & 0xff) << 8) | (words >>> 8));
    }
    if (((b.byteOffset + at) & 1) === 0) return sumLong(b, at, end, total);
  }
  for (; at + 1 < end; at += 2) total += (b[at]! << 8) | b[at + 1]!;
  if (at < end) total += b[at]! << 8;
  return total;
}

/** Below this the byte loop wins: a view lookup costs more than it saves. */
const LONG_BYTES = 64;

/** Adds the little-endian words of [at, end), positions counted in the whole buffer; see SimdRegions. */
type WordSum = (at: number, end: number) => number;

const views = new WeakMap<ArrayBufferLike, Uint32Array>();
const sums = new WeakMap<ArrayBufferLike, WordSum>();
// The last buffer seen, since one batch lies in one: a cache of the two maps.
let lastBuffer: ArrayBufferLike | null = null;
let lastWords: Uint32Array = new Uint32Array(0);
let lastSum: WordSum | null = null;

/** Registers a faster way to add what lies in `buffer`. */
export function useSum(buffer: ArrayBufferLike, sum: WordSum): void {
  sums.set(buffer, sum);
  lastBuffer = null;
}

function look(buffer: ArrayBufferLike): void {
  let words = views.get(buffer);
  if (words === undefined) {
    words = new Uint32Array(buffer, 0, buffer.byteLength >>> 2);
    views.set(buffer, words);
  }
  lastBuffer = buffer;
  lastWords = words;
  lastSum = sums.get(buffer) ?? null;
}

/** The machine is little-endian on everything Node 20 runs on but s390x; there the short loop is used throughout. */
const LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

function sumLong(b: Bytes, at: number, end: number, initial: number): number {
  let total = initial;
  if (((b.byteOffset + at) & 2) !== 0) {
    total += (b[at]! << 8) | b[at + 1]!;
    at += 2;
  }
  const words = lastWords;
  let w = (b.byteOffset + at) >>> 2;
  const wEnd = (b.byteOffset + end) >>> 2;
  at += (wEnd - w) * 4;
  // Little-endian words give the byte-swapped sum (RFC 1071 §2 B): add them apart and swap once.
  let swapped = 0;
  for (; w + 7 < wEnd; w += 8) {
    swapped +=
      words[w]! +
      words[w + 1]! +
      words[w + 2]! +
      words[w + 3]! +
      words[w + 4]! +
      words[w + 5]! +
      words[w + 6]! +
      words[w + 7]!;
  }
  for (; w < wEnd; w++) swapped += words[w]!;
  const folded = fold(swapped);
  total += ((folded & 0xff) << 8) | (folded >>> 8);
  for (; at + 1 < end; at += 2) total += (b[at]! << 8) | b[at + 1]!;
  if (at < end) total += b[at]! << 8;
  return total;
}

/** Folds any total that `sum` can produce to 16 bits, not complemented. */
export function fold(total: number): number {
  let low = ((total % 0x1_0000_0000) & 0xffff) + ((total % 0x1_0000_0000) >>> 16) + Math.floor(total / 0x1_0000_0000);
  while (low > 0xffff) low = (low & 0xffff) + Math.floor(low / 0x10000);
  return low;
}

/** The value to store in a checksum field (whose own bytes were zero), or 0 when a received message is intact. */
export function finish(total: number): number {
  return ~fold(total) & 0xffff;
}

/** `finish(sum(...))`: the checksum of one contiguous message. */
export function checksum(b: Bytes, at: number, end: number, initial: number): number {
  return finish(sum(b, at, end, initial));
}

/** Adds a piece that follows `before` bytes of the same message: an odd position swaps its bytes (RFC 1071 §2 A). */
export function addPiece(total: number, before: number, b: Bytes, at: number, end: number): number {
  const piece = fold(sum(b, at, end, 0));
  return total + ((before & 1) === 0 ? piece : ((piece & 0xff) << 8) | (piece >>> 8));
}
