import { abortMany } from '../unit/electron/aborts';

test('10,000 requests, aborted anywhere, leave no socket, connection or listener behind', async () => {
  const seed = Number(process.env.FUZZ_SEED ?? 1);
  const { endings, ...left } = await abortMany(10_000, seed);
  expect({ seed, ...left }).toEqual({ seed, requests: 0, tracked: 0, listeners: 0, sockets: 0, connections: 0 });
  expect(Object.values(endings).reduce((sum, n) => sum + n)).toBe(10_000);
}, 600_000);
