import { exploreHttp, shownHttp } from './http-behaviour';

// `FUZZ_SEED` chooses other programs. A failure names its own.

test('200 random programs on HTTP messages see what they see with Node, word for word', async () => {
  const { programs, findings } = await exploreHttp(Number(process.env.FUZZ_SEED ?? 1), 200);
  expect(findings.map(shownHttp)).toEqual([]);
  expect(programs).toBe(200);
}, 300_000);
