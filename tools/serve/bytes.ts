/** Prime, so that a block of bytes that went missing or came twice never leaves the rest in step. */
export const PERIOD = 1_048_573;
const SEEDS_KEPT = 4;

const blocks = new Map<number, Uint8Array>();

/** The repeating block of a seed; made once (about 3 ms) and kept for the seeds used last. */
function blockOf(seed: number): Uint8Array {
  const known = blocks.get(seed);
  blocks.delete(seed);
  const block = known ?? makeBlock(seed);
  blocks.set(seed, block);
  if (blocks.size > SEEDS_KEPT) blocks.delete(blocks.keys().next().value!);
  return block;
}

/** xorshift32, four bytes a step. */
function makeBlock(seed: number): Uint8Array {
  const words = new Uint32Array(Math.ceil(PERIOD / 4));
  let x = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) | 1;
  for (let i = 0; i < words.length; i++) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    words[i] = x;
  }
  return new Uint8Array(words.buffer, 0, PERIOD);
}

/**
 * The deterministic bytes of `/bytes/N?seed=`: the piece that begins at `at`, up to `length` long; shorter where the block
 * ends. A view that must not be written to.
 */
export function piece(seed: number, at: number, length: number): Uint8Array {
  const from = at % PERIOD;
  return blockOf(seed).subarray(from, Math.min(PERIOD, from + length));
}
