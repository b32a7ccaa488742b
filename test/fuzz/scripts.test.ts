import { fuzzScripts, outcome, seeds } from './scripts';

test('scripts to begin with are parsed, or refused with a reason', () => {
  for (const text of seeds()) expect(['parsed', 'refused']).toContain(outcome(text));
});

test('3,000 damaged scripts: parsed or refused, never anything else', () => {
  const { parsed, refused } = fuzzScripts(1, 3000);
  expect(parsed).toBeGreaterThan(300);
  expect(refused).toBeGreaterThan(300);
});
