import { fuzzFrames } from './frames';

test.each(['ip', 'ethernet'] as const)('60,000 hostile frames over %s: nothing throws, nothing leaks', (link) => {
  for (const seed of [101, 102, 103]) expect(fuzzFrames(seed, 20_000, link).accepted).toBeGreaterThan(20);
});
