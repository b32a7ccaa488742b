import { SHARED, share, shareApart } from './bottleneck';

/* 200 Mbit/s with room for 64 KiB, some 44 packets: hardly a fortieth of what is in flight at 100 ms. */

const MINUTES = 60_000;

test(
  'one flow through a shallow queue is not starved by its own losses',
  () => {
    const { total } = shareApart({ ...SHARED, flows: 1, rttMs: [150, 150], forMs: 20_000 });
    expect(total).toBeGreaterThan(800_000);
  },
  5 * MINUTES,
);

test(
  'sixty-four flows of one round trip fill it, and share it evenly',
  () => {
    const { total, jain } = shareApart({ ...SHARED, flows: 64, rttMs: [100, 100], fromMs: 10_000, forMs: 40_000 });
    expect(total).toBeGreaterThan(12_000_000);
    expect(jain).toBeGreaterThan(0.95);
  },
  5 * MINUTES,
);

test(
  'sixty-four flows of 50 to 150 ms fill it; the near ones get more, but not in the measure of their round trips',
  () => {
    const { total, jain, rates } = shareApart({ ...SHARED, flows: 64, rttMs: [50, 150], forMs: 20_000 });
    expect(total).toBeGreaterThan(12_000_000);
    // Shares as 1/RTT would give 0.905.
    expect(jain).toBeGreaterThan(0.905);
    expect(Math.min(...rates)).toBeGreaterThan(100_000);
  },
  5 * MINUTES,
);

test.each([2, 8, 64])(
  '%d flows of Hybla, of 50 to 150 ms, fill it and share it evenly',
  (flows) => {
    const profile = { congestion: 'hybla' };
    const { total, jain } = shareApart({ ...SHARED, flows, rttMs: [50, 150], fromMs: 10_000, forMs: 40_000, profile });
    expect(total).toBeGreaterThan(12_000_000);
    expect(jain).toBeGreaterThan(0.95);
  },
  5 * MINUTES,
);

test(
  'BBR, held back by its send buffer alone, sees by its losses that the path is full',
  () => {
    const options = { ...SHARED, rttMs: [100, 100], forMs: 20_000, profile: { congestion: 'bbr' } } as const;
    const { total, jain, lost, sent } = shareApart({ ...options, flows: 2 });
    expect(total).toBeGreaterThan(15_000_000);
    expect(jain).toBeGreaterThan(0.9);
    expect(lost).toBeLessThan(sent / 5);
  },
  5 * MINUTES,
);

test.each([
  ['exact', 0],
  ['late by up to a millisecond', 1],
])(
  'eight flows of BBR share it evenly where timers are %s',
  (_how, stepMs) => {
    const options = { ...SHARED, flows: 8, rttMs: [100, 100], fromMs: 10_000, forMs: 40_000, stepMs } as const;
    const { total, jain } = shareApart({ ...options, profile: { congestion: 'bbr' } });
    expect(total).toBeGreaterThan(22_000_000);
    expect(jain).toBeGreaterThan(0.8);
  },
  5 * MINUTES,
);

test('the same seed gives the same shares', () => {
  const options = { ...SHARED, flows: 4, rttMs: [50, 150] as const, forMs: 1000 };
  expect(share(options)).toEqual(share(options));
  expect(shareApart(options)).toEqual(share(options));
  expect(share({ ...options, seed: 2 })).not.toEqual(share(options));
});
