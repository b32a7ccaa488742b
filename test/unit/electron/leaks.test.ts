import { abortMany, abortManyBehindProxies, type Left } from './aborts';

// Many more: test/fuzz/electron-aborts.test.ts

const NOTHING = { requests: 0, tracked: 0, listeners: 0, sockets: 0, connections: 0 };

const check = ({ endings, ...left }: Left): void => {
  expect(left).toEqual(NOTHING);
  expect(Object.keys(endings).sort()).toEqual(['abort', 'close', 'error']);
};

test('400 requests, aborted anywhere, leave no socket, timer or listener behind', async () => {
  check(await abortMany(400, 1));
}, 120_000);

test('nor do 300 that listeners hold up at every step', async () => {
  check(await abortMany(300, 3, true));
}, 120_000);

test('nor do 300 of real sessions, over TLS and through a proxy', async () => {
  check(await abortManyBehindProxies(300, 2));
}, 120_000);
