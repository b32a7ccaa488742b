import { checkStack } from '../../sim/inspect';
import { DROPS } from '../../stack/base/drops';
import { corpus, fuzzFrames, play } from './frames';

test.each(['ip', 'ethernet'] as const)('60,000 hostile frames over %s: nothing throws, nothing leaks', (link) => {
  for (const seed of [101, 102, 103]) {
    const host = fuzzFrames(seed, 20_000, link);
    expect(host.accepted).toBeGreaterThan(20);
    expect(host.datagrams).toBeGreaterThan(100);
  }
});

test.each(['ip', 'ethernet'] as const)('invariants hold after every batch, over %s', (link) => {
  fuzzFrames(104, 4000, link, checkStack);
});

describe('what was found once', () => {
  const kept = corpus();

  test.each([...kept])('%s', (reason, recording) => {
    const stack = play(recording, checkStack);
    expect(DROPS).toContain(reason);
    expect(stack.drops.counts[reason as (typeof DROPS)[number]]).toBeGreaterThan(0);
  });

  test('is there for every reason to drop a frame but those that need more than frames', () => {
    // Another configuration, or an application that sleeps: test/unit/stack has them.
    expect(DROPS.filter((reason) => !kept.has(reason))).toEqual([
      'ip-fragment-limit',
      'icmp-rate-limited',
      'tcp-bad-port',
      'tcp-no-timestamp',
      'tcp-syn-backlog-full',
      'tcp-accept-queue-full',
      'tcp-receive-buffer-full',
      'memory-pressure',
      'link-busy',
      'interface-down',
    ]);
  });
});
