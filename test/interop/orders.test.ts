import { inNamespace } from './kernel/run';
import type { Told } from './orders/play';
import { SCENARIOS } from './orders/scenarios';

/*
 * The same programs by Node's own net and http over the kernel, and by ours over TUN: what sockets, requests and responses tell
 * comes in the same order, and a peer in the kernel cannot tell them apart. Needs root and /dev/net/tun.
 */

jest.setTimeout(120_000);

let told: Record<string, { node: Told; ours: Told }> = {};
beforeAll(async () => {
  told = await inNamespace('eventOrders');
});

test.each(Object.keys(SCENARIOS))('%s', (title) => {
  const { node, ours } = told[title]!;
  expect(node.subject.length).toBeGreaterThan(0);
  expect(ours).toEqual(node);
});
