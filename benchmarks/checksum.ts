import { checksum } from '../stack/base/checksum';
import { SimdRegions } from '../stack/base/simd';
import type { Lab } from './lab';
import { median, type Row } from './table';

/** Nanoseconds for a checksum of 1460 bytes: by definition, in script as shipped, and as SIMD in place. */
export const checksumScenario = {
  name: 'checksum',
  unit: 'ns for 1460 bytes',
  better: 'less' as const,
  async run(_lab: Lab, settings: { rounds: number }): Promise<Row[]> {
    const heap = new Uint8Array(65_536).fill(0x5a);
    const fixed = SimdRegions.create()?.allocate(65_536).fill(0x5a) ?? heap;
    const subjects: [string, () => number][] = [
      ['byte pairs, as RFC 1071 puts it', () => plain(heap, 64, 64 + 1460)],
      ['tapwire, script', () => checksum(heap, 64, 64 + 1460, 0)],
      ['tapwire, SIMD', () => checksum(fixed, 64, 64 + 1460, 0)],
    ];
    const times = subjects.map((): number[] => []);
    for (let round = 0; round < settings.rounds + 2; round++) {
      for (let i = 0; i < subjects.length; i++) times[i]!.push(nanoseconds(subjects[i]![1]));
    }
    return subjects.map(([name], i) => ({ name, values: { ns: median(times[i]!) } }));
  },
};

function plain(b: Uint8Array, at: number, end: number): number {
  let total = 0;
  for (; at < end; at += 2) total += (b[at]! << 8) | b[at + 1]!;
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return ~total & 0xffff;
}

let sink = 0;

function nanoseconds(task: () => number): number {
  const count = 200_000;
  const start = process.hrtime.bigint();
  for (let i = 0; i < count; i++) sink ^= task();
  return Number(process.hrtime.bigint() - start) / count;
}

/** Keeps the loops from being optimised away. */
export const used = (): number => sink;
