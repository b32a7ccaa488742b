import { addPiece, checksum, finish, fold, sum } from '../../../../stack/base/checksum';
import { Random } from '../../../../stack/base/random';
import { SimdRegions } from '../../../../stack/base/simd';

/** RFC 1071 §1, word by word. */
function reference(bytes: Uint8Array): number {
  let total = 0;
  for (let i = 0; i < bytes.length; i += 2) total += (bytes[i]! << 8) | (bytes[i + 1] ?? 0);
  while (total > 0xffff) total = (total & 0xffff) + Math.floor(total / 0x10000);
  return ~total & 0xffff;
}

const random = new Random(1);
const noise = (into: Uint8Array): Uint8Array => {
  for (let i = 0; i < into.length; i++) into[i] = random.int32();
  return into;
};

const sources: [string, () => Uint8Array][] = [
  ['script', () => new Uint8Array(70_000)],
  ['SIMD', () => SimdRegions.create()!.allocate(70_000)],
];

describe.each(sources)('RFC 1071 checksum in %s', (_, allocate) => {
  const memory = noise(allocate());

  test('every length to 300 at every alignment agrees with the definition', () => {
    for (let at = 0; at < 9; at++) {
      for (let n = 0; n <= 300; n++) {
        expect(checksum(memory, at, at + n, 0)).toBe(reference(memory.subarray(at, at + n)));
      }
    }
  });

  test('random long ranges agree with the definition', () => {
    for (let i = 0; i < 300; i++) {
      const at = random.below(4000);
      const n = random.below(65_000);
      expect(checksum(memory, at, at + n, 0)).toBe(reference(memory.subarray(at, at + n)));
    }
  });

  test('all ones over the largest datagram do not overflow', () => {
    const ones = allocate().fill(0xff);
    expect(checksum(ones, 0, 65_535, 0)).toBe(reference(ones.subarray(0, 65_535)));
  });

  test('pieces at odd and even offsets add up to the whole', () => {
    for (let i = 0; i < 300; i++) {
      const n = 1 + random.below(3000);
      const cut = random.below(n);
      const total = addPiece(sum(memory, 0, cut, 0), cut, memory, cut, n);
      expect(finish(total)).toBe(reference(memory.subarray(0, n)));
    }
  });
});

test('fold takes totals far beyond 32 bits', () => {
  expect(fold(0xffff * 0x1_0000_0000)).toBe(0xffff);
  expect(fold(2 ** 52)).toBe(2 ** 4);
});

test('a region given back is handed out again, zeroed', () => {
  const regions = SimdRegions.create()!;
  const first = regions.allocate(4096).fill(7);
  regions.release(first);
  const again = regions.allocate(4096);
  expect(again.byteOffset).toBe(first.byteOffset);
  expect(again.every((byte) => byte === 0)).toBe(true);
});
