import { type PairOptions, transfer } from './pair';

const KB = 1000;
/** SYN options and methods that change what loss recovery has to work with. */
const VARIANTS: readonly (readonly [string, PairOptions['profile']])[] = [
  ['as usual', {}],
  ['without timestamps', { timestamps: false }],
  ['without SACK', { sack: false }],
  ['without either', { sack: false, timestamps: false }],
  ['without RACK and probes', { rack: false, tailLossProbe: false }],
  ['without D-SACK and F-RTO', { dsack: false, frto: false }],
  ['Reno', { congestion: 'reno' }],
  ['BBR', { congestion: 'bbr' }],
  ['Hybla', { congestion: 'hybla' }],
  ['HyStart++', { slowStartExit: 'rfc9406' }],
  ['ECN agreed', { ecn: 'request' }],
];
const LINKS: readonly (readonly [string, PairOptions])[] = [
  ['clean', { delayMs: 10 }],
  ['1 % loss', { delayMs: 10, lossPpm: 10_000 }],
  ['10 % loss', { delayMs: 5, lossPpm: 100_000 }],
  ['reordering', { delayMs: 10, jitterMs: 8 }],
  ['duplicates', { delayMs: 10, duplicatePpm: 50_000 }],
  ['all of it', { delayMs: 10, jitterMs: 5, lossPpm: 30_000, duplicatePpm: 30_000 }],
  ['a bottleneck with a short queue', { delayMs: 20, rate: 1250, queueFrames: 20 }],
];

describe.each(VARIANTS)('%s', (_name, profile) => {
  test.each(LINKS)('100 KB arrive whole over a link with %s', (_link, link) => {
    const result = transfer(100 * KB, { ...link, profile, seed: 3, check: true }, 600_000);
    expect({ error: result.pair.a.connection!.error, received: result.received, intact: result.intact }).toEqual({
      error: null,
      received: 100 * KB,
      intact: true,
    });
  });
});

describe('no more is sent than needed', () => {
  test('on a clean link: nothing twice', () => {
    const result = transfer(1000 * KB, { delayMs: 20 });
    expect(result.retransmitted).toBe(0);
  });

  test('under random loss: hardly more than what was lost', () => {
    const { retransmitted, lost } = transfer(1000 * KB, { delayMs: 10, lossPpm: 10_000, seed: 5 });
    // `lost` counts the ACKs as well.
    expect(retransmitted).toBeLessThanOrEqual(lost);
  });

  test('under mild reordering: little', () => {
    const { frames, retransmitted } = transfer(1000 * KB, { delayMs: 20, jitterMs: 4, seed: 5 });
    expect(retransmitted / frames).toBeLessThan(0.02);
  });
});

describe('throughput is what the window law says', () => {
  test.each([
    // Mathis: 1.22 MSS / (RTT sqrt p), here 883 KB/s; CUBIC at this round trip is in its Reno-friendly region.
    ['CUBIC, 1 % loss', 'cubic', { delayMs: 10, lossPpm: 10_000 }, 500, 1500],
    ['CUBIC fills a bottleneck', 'cubic', { delayMs: 10, rate: 1250 }, 1000, 1250],
    ['BBR fills it too', 'bbr', { delayMs: 10, rate: 1250 }, 1000, 1250],
    ['BBR does not mind 1 % loss', 'bbr', { delayMs: 10, rate: 1250, lossPpm: 10_000 }, 900, 1250],
  ] as const)('%s', (_name, congestion, link, least, most) => {
    const rates = [1, 2, 3].map((seed) => {
      const result = transfer(2000 * KB, { ...link, seed, profile: { congestion } });
      expect(result.intact).toBe(true);
      return result.received / result.elapsed;
    });
    const median = rates.sort((a, b) => a - b)[1]!;
    expect(median).toBeGreaterThan(least);
    expect(median).toBeLessThanOrEqual(most);
  });
});

test('the same seed gives the same run', () => {
  const run = (): readonly number[] => {
    const r = transfer(300 * KB, { delayMs: 10, jitterMs: 5, lossPpm: 30_000, seed: 9 });
    return [r.elapsed, r.frames, r.lost, r.retransmitted];
  };
  expect(run()).toEqual(run());
});
