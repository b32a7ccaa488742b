import { abortMany } from './aborts';

test.each([1, 2])(
  '400 requests, aborted anywhere, leave nothing behind (seed %i)',
  async (seed) => {
    const { endings, ...left } = await abortMany(400, seed);
    expect(left).toEqual({ requests: 0, tracked: 0, listeners: 0, sockets: 0, connections: 0 });
    expect(Object.keys(endings).sort()).toEqual(['abort', 'close', 'error']);
  },
  120_000,
);
