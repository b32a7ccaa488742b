import { fuzzCaptures } from './captures';

test('5,000 damaged captures, whole and in pieces: packets, or a word of what is wrong', () => {
  const tally = fuzzCaptures(1, 5000);
  expect(tally.whole).toBeGreaterThan(500);
  expect(tally.damaged).toBeGreaterThan(500);
});
