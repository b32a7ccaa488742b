import { fuzzParsers, TARGET_NAMES } from './parsers';

test('100,000 lists of options, headers and quotes: nothing throws, nothing looks behind the end', () => {
  const taken = fuzzParsers(1, 100_000);
  // Each reader has to take some of it, or only its first line was tried.
  for (const name of TARGET_NAMES) expect([name, (taken[name] ?? 0) > 50]).toEqual([name, true]);
});
