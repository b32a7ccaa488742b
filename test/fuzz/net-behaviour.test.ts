import { explore, shown } from './net-behaviour';

// `FUZZ_SEED` chooses other programs. A failure names its own.

test('200 random programs on sockets see what they see with Node, word for word', async () => {
  const seed = Number(process.env.FUZZ_SEED ?? 1);
  const { programs, findings } = await explore({ seed, count: 200, order: false, timed: false });
  expect(findings.map(shown)).toEqual([]);
  expect(programs).toBe(200);
}, 300_000);
