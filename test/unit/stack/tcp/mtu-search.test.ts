import { pathMtuChanged } from '../../../../stack/tcp/icmp';
import { expectFields } from './fields';
import { everywhere } from './grounds';
import type { Harness } from './harness';
import { transfer } from './pair';

/* RFC 4821 within TCP, with Linux's tcp_mtu_probing: 0, 1 and 2. */

/** First and one past the last byte of each segment with text that was sent, in order. */
const pieces = (t: Harness): [number, number][] =>
  t
    .drain()
    .map((line) => / (\d+):(\d+)\((\d+)\)/.exec(line)!)
    .filter(([, , , bytes]) => bytes !== '0')
    .map(([, from, to]) => [Number(from), Number(to)]);

const sizes = (t: Harness): number[] => pieces(t).map(([from, to]) => to - from);

everywhere('RFC 4821: mtuProbing: always', (g) => {
  const headers = g.headers;
  const MTU = 1500;
  const options = { profile: { mtuProbing: 'always', mtuProbeBase: 1024, sendBufferInitial: 1 << 20 } } as const;
  const begun = (): Harness =>
    g.established(options, { syn: `mss ${MTU - headers},sackOK,nop,nop,nop,wscale 7`, window: 2000 });

  /** A first flight of ten has been acknowledged: the window has room for a probe. */
  const grown = (bytes: number): Harness => {
    const t = begun().write(10_240);
    expect(sizes(t)).toEqual(new Array(10).fill(1024));
    t.after(100).rx('. 1:1(0) ack 10241 win 2000');
    return t.write(bytes);
  };
  const halfway = (low: number, high: number): number => (low + headers + high + headers) >> 1;

  test('begins with a size that gets through almost everywhere', () => {
    expect(begun().c.mss).toBe(1024);
  });

  test('a probe is a larger segment of ordinary text, halfway to the largest, ahead of all others', () => {
    const t = grown(20_000);
    const probe = halfway(1024, MTU - headers) - headers;
    expect(sizes(t).slice(0, 3)).toEqual([probe, 1024, 1024]);
    expect(t.c.mtuSearch).toMatchObject({ size: probe + headers });
  });

  test('it is not sent without enough behind it to show its loss, nor while a window is short of room for it', () => {
    const t = grown(3000);
    expect(sizes(t)).toEqual([1024, 1024, 952]);
    const small = begun().write(10_240);
    small.drain();
    small.after(100).rx('. 1:1(0) ack 10241 win 40').write(20_000);
    expect(Math.max(...sizes(small))).toBe(1024);
  });

  test('acknowledged, all segments are as large, and the window as many bytes', () => {
    const t = grown(20_000);
    const [first] = pieces(t);
    const before = t.c.cwnd * t.c.mss;
    t.after(100).rx(`. 1:1(0) ack ${first![1]} win 2000`);
    expect(t.c.mss).toBe(first![1] - first![0]);
    expect(t.c.cwnd * t.c.mss).toBeLessThanOrEqual(before + 2 * t.c.mss);
    expect(t.c.cwnd * t.c.mss).toBeGreaterThan(before - 2 * t.c.mss);
  });

  test('the search ends with the largest size that gets through, but for a few bytes', () => {
    const t = grown(20_000);
    let acked = 0;
    for (let i = 0; i < 60; i++) {
      for (const [, to] of pieces(t)) acked = Math.max(acked, to);
      t.after(100).rx(`. 1:1(0) ack ${acked} win 2000`);
      t.tryWrite(40_000);
    }
    expect(t.c.mss).toBeGreaterThan(MTU - headers - 8);
    expect(t.c.mss).toBeLessThanOrEqual(MTU - headers);
    expect(t.c.mtuSearch).toMatchObject({ size: 0 });
  });

  test('a lost probe is no congestion: its text goes again in segments that pass, the window stays', () => {
    const t = grown(20_000);
    const flight = pieces(t);
    const [from, to] = flight[0]!;
    const end = flight.at(-1)![1];
    const { cwnd, ssthresh } = t.c;
    t.after(100).rx(`. 1:1(0) ack ${from} win 2000 <nop,nop,sack ${to}:${to + 5 * 1024}>`);
    expect(pieces(t).slice(0, 2)).toEqual([
      [from, from + 1024],
      [from + 1024, to],
    ]);
    expect(t.c.cwnd).toBe(cwnd + 1);
    expect(t.c.ssthresh).toBeGreaterThanOrEqual(Math.min(ssthresh, cwnd));
    expect(t.c.mtuSearch).toMatchObject({ size: 0, high: to - from + headers - 1 });
    t.after(100).rx(`. 1:1(0) ack ${end} win 2000`);
    expectFields(t.c, { recovery: 'Open' });
    expect(t.c.cwnd).toBeGreaterThanOrEqual(cwnd);
    // The next probe is smaller than the one that did not pass.
    t.write(40_000);
    const next = Math.max(...sizes(t));
    expect(next).toBeGreaterThan(1024);
    expect(next).toBeLessThan(to - from);
  });

  test('another loss in the same flight is congestion as ever', () => {
    const t = grown(20_000);
    const [, [from, to]] = pieces(t) as [unknown, [number, number]];
    const { cwnd } = t.c;
    t.after(100).rx(`. 1:1(0) ack ${from} win 2000 <nop,nop,sack ${to}:${to + 5 * 1024}>`);
    expectFields(t.c, { recovery: 'Recovery' });
    expect(t.c.ssthresh).toBeLessThan(cwnd);
  });

  test('a timeout makes the probe inconclusive: the range stays, the text goes again', () => {
    const t = grown(20_000);
    const [[from, to]] = pieces(t) as [[number, number]];
    const high = t.c.mtuSearch!.high;
    t.after(5000);
    expect(pieces(t)).toContainEqual([from, from + 1024]);
    expect(t.c.mtuSearch).toMatchObject({ size: 0, high });
    t.rx(`. 1:1(0) ack ${to} win 2000`);
    expect(t.errors).toEqual([]);
  });

  test('a router that names a size bounds the search', () => {
    const t = grown(0);
    t.c.path.mtu = 1200;
    pathMtuChanged(t.stack.tcp, t.c.path, 1_000_000 + t.nowMs);
    expect(t.c.mtuSearch).toMatchObject({ high: 1200 });
  });

  test('what was found is doubted after ten minutes, and the range opened again', () => {
    const t = grown(20_000);
    let acked = 0;
    for (let i = 0; i < 60; i++) {
      for (const [, to] of pieces(t)) acked = Math.max(acked, to);
      t.after(100).rx(`. 1:1(0) ack ${acked} win 2000`);
      t.tryWrite(40_000);
    }
    t.c.mtuSearch!.high = 1250;
    t.c.mtuSearch!.low = 1245;
    t.c.mtuSearch!.openedAt = 1_000_000 + t.nowMs - 600_000;
    for (const [, to] of pieces(t)) acked = Math.max(acked, to);
    t.after(100).rx(`. 1:1(0) ack ${acked} win 2000`);
    t.tryWrite(40_000);
    expect(t.c.mtuSearch!.high).toBe(MTU);
  });
});

everywhere('RFC 4821: mtuProbing: black-hole', (g) => {
  const syn = `mss ${1500 - g.headers},sackOK,nop,nop,nop,wscale 7`;
  const mss = 1500 - g.headers;

  test('segments are as large as they can be until they vanish: after R1, smaller', () => {
    const t = g.established({ profile: { mtuProbing: 'black-hole' } }, { syn, window: 2000 }).write(2 * mss);
    expect([t.c.mtuSearch, sizes(t)]).toEqual([null, [mss, mss]]);
    while (t.c.mtuSearch === null) t.at(t.stack.nextDeadline() - 1_000_000);
    expect(t.c.totalRetransmits).toBeGreaterThanOrEqual(t.profile.retries1);
    expect(t.c.mss).toBe(1024);
    expect(sizes(t).at(-1)).toBe(1024);
    t.rx('. 1:1(0) ack 1025 win 2000');
    expect(sizes(t)).not.toContain(mss);
    expect(t.errors).toEqual([]);
  });

  test('and smaller again, down to the floor, while nothing gets through', () => {
    const t = g.established({ profile: { mtuProbing: 'black-hole', mtuProbeFloor: 200 } }, { syn }).write(2 * mss);
    t.after(400_000);
    expect(t.c.mss).toBe(200);
  });

  test('off: never', () => {
    const t = g.established({}, { syn, window: 2000 }).write(2 * mss);
    t.after(400_000);
    expect([t.c.mtuSearch, t.c.mss]).toEqual([null, mss]);
  });
});

describe('RFC 4821: a path that swallows large datagrams in silence', () => {
  const swallowed = (mtuProbing: 'off' | 'black-hole' | 'always'): ReturnType<typeof transfer> =>
    transfer(300_000, { delayMs: 10, swallowOver: 1300, profile: { mtuProbing }, check: true, seed: 7 }, 600_000);

  test('without probing nothing gets through', () => {
    const { received } = swallowed('off');
    expect(received).toBe(0);
  });

  test('with it everything does, and segments are as large as the path takes', () => {
    for (const mode of ['black-hole', 'always'] as const) {
      const { received, intact, pair } = swallowed(mode);
      expect([mode, received, intact]).toEqual([mode, 300_000, true]);
      const { mss } = pair.a.connection!;
      expect(mss + 52).toBeLessThanOrEqual(1300);
      expect(mss).toBeGreaterThan(1023);
    }
  });

  test('always: no timeout is needed', () => {
    expect(swallowed('always').elapsed).toBeLessThan(5000);
  });
});
