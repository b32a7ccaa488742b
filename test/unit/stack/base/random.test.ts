import { Random, Secret } from '../../../../stack/base/random';

test('the same seed gives the same numbers, another one others', () => {
  const take = (seed: number): number[] => {
    const random = new Random(seed);
    return Array.from({ length: 20 }, () => random.int32());
  };
  expect(take(7)).toEqual(take(7));
  expect(take(7)).not.toEqual(take(8));
  // Seeds that differ in their highest bits only, and zero, are as good as any.
  expect(new Set([0, 1, -0x8000_0000, 0x4000_0000].map((seed) => String(take(seed)))).size).toBe(4);
});

test('a fork is a sequence of its own', () => {
  const random = new Random(1);
  const fork = random.fork();
  const numbers = [random.int32(), fork.int32(), random.int32(), fork.int32()];
  expect(new Set(numbers).size).toBe(4);
});

test('numbers are uniform: each of a hundred gets its share, chances are what they say', () => {
  const random = new Random(3);
  const counts = new Array<number>(100).fill(0);
  for (let i = 0; i < 100_000; i++) counts[random.below(100)]!++;
  for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(150);
  let hits = 0;
  for (let i = 0; i < 100_000; i++) if (random.chance(250_000)) hits++;
  expect(Math.abs(hits - 25_000)).toBeLessThan(600);
  expect(random.chance(0)).toBe(false);
  expect(random.chance(1_000_000)).toBe(true);
});

test('fractions lie in [0, 1)', () => {
  const random = new Random(4);
  for (let i = 0; i < 10_000; i++) {
    const x = random.fraction();
    expect(x >= 0 && x < 1).toBe(true);
  }
});

describe('the keyed hash', () => {
  test('is the SipHash-2-4 of its published vectors, folded', () => {
    // Key 00 01 ... 0f; the message of 24 bytes 00 01 ... 17.
    const key = [0x03020100, 0x07060504, 0x0b0a0908, 0x0f0e0d0c];
    const words = [0x03020100, 0x07060504, 0x0b0a0908, 0x0f0e0d0c, 0x13121110, 0x17161514] as const;
    expect(new Secret(key).hash(...words) >>> 0).toBe(sipHash24(key, [...words]));
  });

  test('every bit of the message and of the key changes half of the result', () => {
    const base = new Secret([1, 2, 3, 4]).hash(5, 6, 7, 8, 9, 10);
    let changed = 0;
    let tries = 0;
    for (let bit = 0; bit < 32; bit++) {
      for (let i = 0; i < 6; i++) {
        const words: [number, number, number, number, number, number] = [5, 6, 7, 8, 9, 10];
        words[i]! ^= 1 << bit;
        changed += ones(new Secret([1, 2, 3, 4]).hash(...words) ^ base);
        tries++;
      }
      for (let i = 0; i < 4; i++) {
        const key = [1, 2, 3, 4];
        key[i]! ^= 1 << bit;
        changed += ones(new Secret(key).hash(5, 6, 7, 8, 9, 10) ^ base);
        tries++;
      }
    }
    expect(Math.abs(changed / tries - 16)).toBeLessThan(1);
  });
});

const ones = (n: number): number => (n >>> 0).toString(2).replace(/0/g, '').length;

/** SipHash-2-4 as its paper describes it, on big integers; the two halves of the result combined by exclusive or. */
function sipHash24(key: number[], words: number[]): number {
  const mask = (1n << 64n) - 1n;
  const lane = (low: number, high: number): bigint => BigInt(low >>> 0) | (BigInt(high >>> 0) << 32n);
  const rotate = (x: bigint, by: bigint): bigint => ((x << by) | (x >> (64n - by))) & mask;
  const k0 = lane(key[0]!, key[1]!);
  const k1 = lane(key[2]!, key[3]!);
  let v0 = k0 ^ 0x736f6d6570736575n;
  let v1 = k1 ^ 0x646f72616e646f6dn;
  let v2 = k0 ^ 0x6c7967656e657261n;
  let v3 = k1 ^ 0x7465646279746573n;
  const round = (): void => {
    v0 = (v0 + v1) & mask;
    v1 = rotate(v1, 13n) ^ v0;
    v0 = rotate(v0, 32n);
    v2 = (v2 + v3) & mask;
    v3 = rotate(v3, 16n) ^ v2;
    v0 = (v0 + v3) & mask;
    v3 = rotate(v3, 21n) ^ v0;
    v2 = (v2 + v1) & mask;
    v1 = rotate(v1, 17n) ^ v2;
    v2 = rotate(v2, 32n);
  };
  const absorb = (m: bigint): void => {
    v3 ^= m;
    round();
    round();
    v0 ^= m;
  };
  for (let i = 0; i < words.length; i += 2) absorb(lane(words[i]!, words[i + 1]!));
  // The last block: nothing is left of the message; its length in bytes is the highest octet.
  absorb(BigInt(words.length * 4) << 56n);
  v2 ^= 0xffn;
  for (let i = 0; i < 4; i++) round();
  const result = v0 ^ v1 ^ v2 ^ v3;
  return Number((result ^ (result >> 32n)) & 0xffff_ffffn);
}
