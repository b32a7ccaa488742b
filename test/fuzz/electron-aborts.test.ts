import { abortMany, abortManyBehindProxies, type Left } from '../unit/electron/aborts';

// `FUZZ_SEED` chooses other requests. A failure names it.

const SEED = Number(process.env.FUZZ_SEED ?? 1);
const NOTHING = { seed: SEED, requests: 0, tracked: 0, listeners: 0, sockets: 0, connections: 0 };

function check({ endings, ...left }: Left, count: number): void {
  expect({ seed: SEED, ...left }).toEqual(NOTHING);
  expect(Object.values(endings).reduce((sum, n) => sum + n)).toBe(count);
}

test('10,000 requests, aborted anywhere, leave no socket, timer or listener behind', async () => {
  check(await abortMany(10_000, SEED), 10_000);
}, 600_000);

test('nor do 2,000 of real sessions, over TLS and through a proxy', async () => {
  check(await abortManyBehindProxies(2000, SEED), 2000);
}, 600_000);
