import { heapRegions, type RegionSource } from '../stack/base/memory';
import { SimdRegions } from '../stack/base/simd';

let shared: RegionSource | null = null;

/** One WebAssembly memory serves every host of the process whose device leaves checksums to us. */
export function simdRegions(): RegionSource {
  shared ??= SimdRegions.create() ?? heapRegions;
  return shared;
}
