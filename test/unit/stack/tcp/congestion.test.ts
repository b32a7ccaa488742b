import { NEVER, u16 } from '../../../../stack/base/bytes';
import { connect, listen, send } from '../../../../stack/tcp/calls';
import { controllerNames, newController } from '../../../../stack/tcp/congestion/controllers';
import { WindowedMax } from '../../../../stack/tcp/congestion/windowed-max';
import type { Connection } from '../../../../stack/tcp/connection';
import { LINUX, RFC } from '../../../../stack/tcp/profile';
import { expectFields } from './fields';
import { established, type Harness } from './harness';
import { Pair } from './pair';

/** A connection with plenty to send and a peer whose window never limits; `cwnd` packets are out at once. */
function bulk(profile: Record<string, unknown>, rttMs = 100): Harness {
  const t = established({ profile: { ...profile, sendBufferInitial: 1_000_000 } }, { window: 60_000, rttMs });
  t.write(1_000_000);
  t.drain();
  return t;
}

/** Acknowledges everything in flight, `step` packets an ACK, spread over a round trip that began `rttMs` ago. */
function round(t: Harness, step: number, rttMs = 100): void {
  const { c } = t;
  const edge = c.packetsOut;
  t.after(rttMs).tryWrite(500_000);
  for (let acked = 0; acked < edge; acked += step) {
    const next = (c.sndUna - c.iss - 1) / 1000 + Math.min(step, edge - acked);
    t.rx(`. 1:1(0) ack ${next * 1000 + 1} win 60000`);
    t.drain();
  }
}

test('controllers by Linux’s names; what one remembers of a connection is that connection’s', () => {
  expect(controllerNames()).toEqual(expect.arrayContaining(['reno', 'cubic', 'bbr', 'hybla']));
  for (const [name, profile] of [
    ['bbr', LINUX],
    ['cubic', { ...LINUX, slowStartExit: 'rfc9406' }],
  ] as const) {
    expect(newController(name, profile)).not.toBe(newController(name, profile));
  }
  const [one, other] = [bulk({ congestion: 'cubic' }).c, bulk({ congestion: 'cubic' }).c];
  one.congestion.threshold(one, 0);
  expect(one.growth!.lastMax).toBe(one.cwnd);
  expect(other.growth).toBeNull();
  expect(newController('vegas', LINUX)).toBeNull();
  expect(newController('toString', LINUX)).toBeNull();
  expect(newController(RFC.congestion, RFC)!.name).toBe('reno');
});

describe('RFC 5681: Reno (MUST-19)', () => {
  test('slow start doubles each round trip, whatever the ACKs cover, up to ssthresh', () => {
    for (const step of [1, 2, 5]) {
      const t = bulk({ congestion: 'reno' });
      t.c.ssthresh = 32;
      const windows = [10];
      for (let i = 0; i < 3; i++) {
        round(t, step);
        windows.push(t.c.cwnd);
      }
      expect(windows.slice(0, 2)).toEqual([10, 20]);
      expect(windows[2]).toBe(32);
      // Then one a round trip.
      expect(windows[3]).toBe(33);
    }
  });

  test('a loss halves it', () => {
    const t = bulk({ congestion: 'reno' });
    round(t, 2);
    t.after(100).rx('. 1:1(0) ack 10001 win 60000 <sack 11001:15001,nop,nop>');
    expectFields(t.c, { ssthresh: 10, recovery: 'Recovery' });
  });
});

describe('RFC 9438: CUBIC', () => {
  /** One loss at a window of 100, then `rounds` of 100 ms without: the window after each. */
  function afterLoss(rounds: number): number[] {
    const t = bulk({ congestion: 'cubic', slowStartExit: 'off' });
    t.c.cwnd = 100;
    t.c.ssthresh = 100;
    round(t, 1);
    const una = (t.c.sndUna - t.c.iss - 1) / 1000;
    t.after(100).rx(`. 1:1(0) ack ${una * 1000 + 1} win 60000 <sack ${una + 1}001:${una + 6}001,nop,nop>`);
    t.drain();
    const top = (t.c.sndNxt - t.c.iss - 1) / 1000;
    t.after(100).rx(`. 1:1(0) ack ${top}001 win 60000`);
    t.drain();
    const windows = [t.c.cwnd];
    for (let i = 0; i < rounds; i++) {
      round(t, 1);
      windows.push(t.c.cwnd);
    }
    return windows;
  }

  test('beta is 0.7, and the way back is the cubic function: steep, flat at the old window, steep', () => {
    const windows = afterLoss(90);
    // 70, and what the last acknowledgment of the recovery lets it grow.
    expect(windows[0]).toBeGreaterThanOrEqual(70);
    expect(windows[0]).toBeLessThanOrEqual(75);
    // K = cbrt(30 / 0.4) = 4.2 s, so the old window after some 42 round trips.
    expect(windows[10]).toBeGreaterThan(85);
    expect(windows[42]).toBeGreaterThanOrEqual(98);
    expect(windows[42]).toBeLessThanOrEqual(101);
    expect(windows[50]! - windows[36]!).toBeLessThanOrEqual(3);
    // 4.8 s later as far above as it was below at the beginning.
    expect(windows[88]).toBeGreaterThan(130);
    for (let i = 0; i <= 85; i += 5) {
      const t = (i + 1) / 10;
      const cubic = 0.4 * (t - Math.cbrt(75)) ** 3 + 100;
      expect(Math.abs(windows[i]! - cubic)).toBeLessThan(5);
    }
  });

  test('where Reno would be faster, it is as fast: small windows, short round trips', () => {
    const t = bulk({ congestion: 'cubic', slowStartExit: 'off' }, 10);
    t.c.ssthresh = 10;
    t.after(10).rx('. 1:1(0) ack 1 win 60000 <sack 1001:5001,nop,nop>');
    t.drain();
    t.after(10).rx('. 1:1(0) ack 10001 win 60000');
    t.drain();
    expect(t.c.cwnd).toBeGreaterThanOrEqual(7);
    const before = t.c.cwnd;
    for (let i = 0; i < 40; i++) round(t, 1, 10);
    // RFC 9438 §4.3: 3 (1 - beta) / (1 + beta), about half a packet a round trip.
    expect(t.c.cwnd - before).toBeGreaterThanOrEqual(15);
    expect(t.c.cwnd - before).toBeLessThanOrEqual(25);
  });

  test('fast convergence: a window that did not reach the last one aims lower', () => {
    const windows = (first: number): number => {
      const controller = newController('cubic', LINUX)!;
      const t = bulk({ congestion: 'cubic' });
      t.c.cwnd = first;
      controller.threshold(t.c, 0);
      t.c.cwnd = 50;
      controller.threshold(t.c, 0);
      return t.c.growth!.lastMax;
    };
    expect(windows(100)).toBe(Math.floor((50 * (1024 + 717)) / 2048));
    expect(windows(40)).toBe(50);
  });

  test('at most one packet for two acknowledged, however far below the old window', () => {
    const t = bulk({ congestion: 'cubic', slowStartExit: 'off' });
    t.c.cwnd = 5000;
    t.c.congestion.threshold(t.c, 1_000_000 + t.nowMs);
    t.c.cwnd = t.c.ssthresh = 20;
    const growth: number[] = [];
    for (let i = 0; i < 8; i++) {
      const before = t.c.cwnd;
      round(t, 1);
      growth.push(t.c.cwnd / before);
    }
    expect(Math.max(...growth)).toBeLessThanOrEqual(1.55);
    expect(Math.max(...growth)).toBeGreaterThan(1.4);
  });
});

describe('leaving slow start', () => {
  test('HyStart: the ninth sample of a round that is an eighth slower ends it', () => {
    const t = bulk({}, 200);
    t.after(200).rx('. 1:1(0) ack 10001 win 60000').drain();
    expect(t.c.cwnd).toBe(20);
    t.after(240);
    for (let i = 1; i <= 8; i++) {
      t.rx(`. 1:1(0) ack ${10 + 2 * i}001 win 60000`)
        .after(1)
        .drain();
      expectFields(t.c, { cwnd: 20 + 2 * i, ssthresh: 0x7fffffff });
    }
    t.rx('. 1:1(0) ack 28001 win 60000').drain();
    expectFields(t.c, { cwnd: 36, ssthresh: 36 });
  });

  test('... and not when the round trip became shorter', () => {
    const t = bulk({}, 200);
    t.after(200).rx('. 1:1(0) ack 10001 win 60000').drain();
    t.after(20);
    for (let i = 1; i <= 10; i++)
      t.rx(`. 1:1(0) ack ${10 + 2 * i}001 win 60000`)
        .after(1)
        .drain();
    expect(t.c.ssthresh).toBe(0x7fffffff);
  });

  test('HyStart: a train of ACKs longer than half the shortest round trip ends it', () => {
    const t = bulk({}, 40);
    round(t, 10, 40);
    round(t, 20, 40);
    expect(t.c.cwnd).toBe(40);
    t.after(40);
    for (let i = 0; i < 22 && t.c.ssthresh === 0x7fffffff; i++) {
      t.rx(`. 1:1(0) ack ${31 + i}001 win 60000`)
        .after(1)
        .drain();
    }
    expect(t.c.ssthresh).toBeGreaterThan(40 + 18);
    expect(t.c.ssthresh).toBeLessThan(40 + 24);
  });

  test('RFC 9406, HyStart++: slower growth for five rounds, then the end; or back when it was jitter', () => {
    const slow = bulk({ slowStartExit: 'rfc9406' }, 100);
    round(slow, 1, 100);
    round(slow, 1, 100);
    expect(slow.c.cwnd).toBe(40);
    const windows: number[] = [];
    for (let i = 0; i < 9 && slow.c.ssthresh === 0x7fffffff; i++) {
      round(slow, 1, 130);
      windows.push(slow.c.cwnd);
    }
    // Conservative slow start: a quarter of the growth.
    expect(windows[2]! / windows[1]!).toBeLessThan(1.4);
    expect(slow.c.ssthresh).toBeLessThan(0x7fffffff);
    expect(windows.length).toBeGreaterThanOrEqual(5);

    const jitter = bulk({ slowStartExit: 'rfc9406' }, 100);
    const growth = [100, 100, 130, 130, 100, 100, 100].map((rttMs) => {
      const before = jitter.c.cwnd;
      round(jitter, 1, rttMs);
      return jitter.c.cwnd / before;
    });
    expect(growth[3]).toBeLessThan(1.9);
    expect(growth[6]).toBeGreaterThan(1.9);
    expect(jitter.c.ssthresh).toBe(0x7fffffff);
  });

  test('RFC 9406 §4.3: of one acknowledgment eight packets count where nothing is paced', () => {
    const t = bulk({ slowStartExit: 'rfc9406' }, 100);
    t.after(100).rx('. 1:1(0) ack 10001 win 60000').drain();
    expectFields(t.c, { cwnd: 18, ssthresh: 0x7fffffff });
    const linux = bulk({}, 100);
    linux.after(100).rx('. 1:1(0) ack 10001 win 60000').drain();
    expectFields(linux.c, { cwnd: 20 });
  });

  test('RFC 9406 §4.3: after a loss slow start ends at its threshold, whatever the delay does', () => {
    const t = bulk({ slowStartExit: 'rfc9406' }, 100);
    t.c.ssthresh = 1000;
    const growth = [100, 100, 130, 130, 160, 160].map((rttMs) => {
      const before = t.c.cwnd;
      round(t, 1, rttMs);
      return t.c.cwnd / before;
    });
    expect(growth).toEqual([2, 2, 2, 2, 2, 2]);
    expectFields(t.c, { ssthresh: 1000 });
  });

  test('switched off: until a loss', () => {
    const t = bulk({ slowStartExit: 'off' }, 50);
    for (let i = 1; i < 6; i++) round(t, 2, 50 * i);
    expectFields(t.c, { cwnd: 320, ssthresh: 0x7fffffff });
  });
});

describe('Hybla', () => {
  /** The packets that a window of 100 grows by in the second round trip of `rttMs` of congestion avoidance. */
  function growth(rttMs: number, profile: Record<string, unknown> = {}): number {
    const t = bulk({ congestion: 'hybla', ...profile }, rttMs);
    t.c.cwnd = t.c.ssthresh = 100;
    t.drain();
    round(t, 1, rttMs);
    const before = t.c.cwnd;
    round(t, 1, rttMs);
    return t.c.cwnd - before;
  }

  test('grows by the square of its round trips of 25 ms, so that all windows gain the same rate in the same time', () => {
    // 1, 1, 4, 16, the last less what the window grew by meanwhile.
    expect([10, 25, 50, 100].map((rttMs) => growth(rttMs))).toEqual([1, 1, 4, 15]);
    expect(growth(100, { hyblaRttMs: 50 })).toBe(4);
  });

  test('never grows faster than slow start, and slow start is that of others', () => {
    const before = 10;
    const t = bulk({ congestion: 'hybla' }, 1000);
    round(t, 1, 1000);
    expect(t.c.cwnd).toBe(2 * before);
    t.c.ssthresh = t.c.cwnd;
    // 1,600 packets a round trip, were there so many to acknowledge.
    round(t, 1, 1000);
    expect(t.c.cwnd).toBe(4 * before);
  });

  test('a loss halves it', () => {
    const t = bulk({ congestion: 'hybla' });
    round(t, 2);
    t.after(100).rx('. 1:1(0) ack 10001 win 60000 <sack 11001:15001,nop,nop>');
    expectFields(t.c, { ssthresh: 10, recovery: 'Recovery' });
  });
});

function connectionOf(pair: Pair): Connection {
  const c = connect(pair.a.stack.tcp, pair.b.address, 80, null, 0, pair.a, pair.now);
  if (typeof c === 'string') throw new Error(c);
  return c;
}

describe('BBR', () => {
  test('paces: a window does not go out in one burst', () => {
    const t = established({ profile: { congestion: 'bbr', sendBufferInitial: 1_000_000 } }, { window: 60_000 });
    t.write(500_000);
    const first = t.drain().length;
    // 2.885 times ten packets in 100 ms, and what a timer may be late by.
    expect(first).toBeLessThan(4);
    t.after(50);
    expect(first + t.drain().length).toBe(10);
    expect(t.c.pacingRate).toBeCloseTo(2.885 * 0.99 * 100, -1);
  });

  test('what a late timer held up goes out in one burst; what nobody had written does not', () => {
    const t = established({ profile: { congestion: 'bbr', sendBufferInitial: 1_000_000 } }, { window: 60_000 });
    t.c.cwnd = 100;
    t.write(50_000).drain();
    const gap = 1000 / t.c.pacingRate;
    t.late(4 * gap - 0.01);
    expect(t.drain()).toHaveLength(4);
    t.after(60 * gap).drain();
    expect(t.c.sendBuffer.end).toBe(t.c.sndNxt);
    t.after(50).write(10_000);
    // One burst, not the pause's fifteen segments.
    expect(t.drain()).toHaveLength(2);
  });

  test('a burst is one super-segment, whether the device cuts it or not, and pacing waits for the whole of it', () => {
    const bursts = (tso: boolean): [at: number, segments: number][] => {
      const t = established({ tso, profile: { congestion: 'bbr', sendBufferInitial: 1_000_000 } }, { window: 60_000 });
      t.c.cwnd = 100;
      t.write(1000).drain();
      t.after(20);
      // 3.5 segments a millisecond: three are a burst.
      t.c.pacingRate = 3500;
      t.write(9000);
      const began = t.nowMs;
      const seen: [number, number][] = [];
      for (; seen.length < 3; t.after(0.01)) {
        const segments = t.drain().length;
        if (segments > 0) seen.push([Math.round((t.nowMs - began) * 10) / 10, segments]);
      }
      return seen;
    };
    const expected = [
      [0, 3],
      [0.9, 3],
      [1.7, 3],
    ];
    expect(bursts(false)).toEqual(expected);
    expect(bursts(true)).toEqual(expected);
  });

  test('when the timer was late for two connections, their segments go in the order in which they were due', () => {
    const pair = new Pair({ profile: { congestion: 'bbr', sendBufferInitial: 1_000_000 } });
    expect(typeof listen(pair.b.stack.tcp, null, 0, 80, 8)).not.toBe('string');
    const fast = connectionOf(pair);
    const slow = connectionOf(pair);
    while (fast.state !== 'ESTABLISHED' || slow.state !== 'ESTABLISHED') pair.step(NEVER);
    for (const c of [slow, fast]) {
      expect(send(pair.a.stack.tcp, c, new Uint8Array(50_000), 0, 50_000)).toBe(50_000);
      c.cwnd = 100;
    }
    // Milliseconds a segment: 0.48 and 1.03. Both have bursts of two.
    fast.pacingRate = 3000;
    slow.pacingRate = 1400;
    let sent = '';
    pair.transmit = (_from, frame) => {
      sent += u16(frame, 20) === fast.localPort ? 'f' : 's';
    };
    pair.a.poll();
    expect([...sent].sort().join('')).toBe('ffss');
    sent = '';
    pair.now += 4;
    pair.a.poll();
    // Due at 0.97, 1.45, 1.93, then 2.07, 2.41 and so on; with the last of each, the rest of a burst.
    expect(sent).toBe('fffsffssfff');
  });

  test('the maximum filter keeps the best of the window, and has a successor when it is over', () => {
    const filter = new WindowedMax(10);
    const seen: [number, number][] = [];
    const bruteForce = (time: number): number => Math.max(...seen.filter(([at]) => time - at <= 10).map(([, v]) => v));
    let late = 0;
    for (let time = 0, x = 7; time < 500; time++) {
      x = (x * 1103515245 + 12345) & 0x7fffffff;
      const value = x % 1000;
      seen.push([time, value]);
      filter.add(time, value);
      // Three samples cannot know all: never below the newest, never above the true maximum.
      expect(filter.value).toBeLessThanOrEqual(bruteForce(time));
      expect(filter.value).toBeGreaterThanOrEqual(value);
      if (filter.value < bruteForce(time) * 0.8) late++;
    }
    expect(late).toBeLessThan(50);
  });
});
