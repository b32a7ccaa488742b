import * as calls from '../../../../stack/tcp/calls';
import { ADVICE } from '../../../../stack/tcp/connection';
import { RFC } from '../../../../stack/tcp/profile';
import * as f from '../ip/frames';
import { drops, everywhere, receive } from './grounds';
import type { Harness } from './harness';

const DAY = 24 * 3_600_000;
const EPOCH = 1_000_000;

everywhere('MUST-24 to MUST-29: keep-alive', (g) => {
  const alive = (idle: number, interval: number, probes: number): Harness => {
    const t = g.established();
    calls.setKeepAlive(t.stack.tcp, t.c, true, idle, interval, probes, EPOCH + t.nowMs);
    return t;
  };

  test('MUST-25: off by default: a day of silence brings no segment', () => {
    const t = g.established().at(DAY).txNothing();
    expect(t.c.state).toBe('ESTABLISHED');
  });

  test('MUST-24: the application switches it on, and off again, for a connection', () => {
    const t = alive(10_000, 1000, 3).after(10_000).tx('. 0:0(0) ack 1').rx('. 1:1(0) ack 1 win 257');
    calls.setKeepAlive(t.stack.tcp, t.c, false, 0, 0, 0, EPOCH + t.nowMs);
    t.after(DAY).txNothing();
  });

  test('MUST-27, MUST-28: the interval is configurable, two hours by default', () => {
    const t = alive(0, 0, 0)
      .at(100 + 7_200_000 - 1)
      .txNothing();
    t.after(1).tx('. 0:0(0) ack 1').txNothing();
    alive(5000, 1000, 3).after(4999).txNothing().after(1).tx('. 0:0(0) ack 1');
  });

  test('MUST-26: only when idle: anything received starts the time anew', () => {
    const t = alive(10_000, 1000, 3).after(9000).rx('P. 1:11(10) ack 1 win 257');
    t.drain();
    t.after(9999).txNothing().after(1).tx('. 0:0(0) ack 11');
  });

  test('times with fractions make no timer that comes due for ever', () => {
    for (let i = 1; i <= 200; i++) {
      const t = alive(10_000 / 3, 1000, 3).after(i * 0.137);
      t.rx('P. 1:2(1) ack 1 win 257');
      t.drain();
      t.after(10_000 / 3 - 1)
        .txNothing()
        .after(2);
      expect(t.drain().length).toBe(1);
    }
  });

  test('MUST-26: only when nothing is outstanding: retransmissions do its work', () => {
    const t = alive(1000, 1000, 3).write(10);
    t.at(20_000);
    for (const line of t.drain()) expect(line).toContain('1:11(10)');
  });

  test('MUST-29: one lost answer is not death; as many as were allowed are', () => {
    const t = alive(10_000, 1000, 3).after(10_000).tx('. 0:0(0) ack 1').after(1000).tx('. 0:0(0) ack 1');
    t.rx('. 1:1(0) ack 1 win 257').after(9999).txNothing();
    expect(t.errors).toEqual([]);
    t.after(1).tx('. 0:0(0) ack 1').after(1000).tx('. 0:0(0) ack 1').after(1000).tx('. 0:0(0) ack 1');
    t.after(1000).tx('R. 1:1(0) ack 1');
    expect([t.c.state, t.errors]).toEqual(['CLOSED', ['ETIMEDOUT']]);
  });

  test('SHLD-12: a probe carries no text; a peer answers it with an ACK', () => {
    const t = g.established().rx('. 0:0(0) ack 1 win 257').tx('. 1:1(0) ack 1').txNothing();
    expect(t.c.readable).toBe(0);
  });
});

everywhere('MUST-20 to MUST-23 (SHLD-9 to SHLD-11): when nobody answers', (g) => {
  const doubts = (t: Harness): jest.SpyInstance => jest.spyOn(t.stack, 'doubt');

  test('MUST-20: R1: the IP layer is told that the next hop may be dead', () => {
    const t = g.established();
    const doubt = doubts(t);
    t.write(10).at(1000);
    expect(doubt).not.toHaveBeenCalled();
    t.at(8000);
    expect(doubt).toHaveBeenCalled();
    expect(t.errors).toEqual([]);
  });

  test('SHLD-10: R1 is reached after three retransmissions at the earliest', () => {
    const t = g.established({ profile: { tailLossProbe: false } });
    const doubt = doubts(t);
    t.write(10);
    while (doubt.mock.calls.length === 0) t.at(t.stack.nextDeadline() - 1_000_000);
    expect(t.c.totalRetransmits).toBeGreaterThanOrEqual(3);
  });

  test('MUST-20, MUST-21: R2: at least 100 s, then the connection ends with ETIMEDOUT; the application sets R2', () => {
    const t = g.established().write(10).at(100_000);
    expect(t.errors).toEqual([]);
    t.at(1_100_000);
    expect([t.c.state, t.errors]).toEqual(['CLOSED', ['ETIMEDOUT']]);
    const impatient = g.established();
    impatient.c.userTimeout = 5000;
    impatient.write(10).at(5000);
    expect(impatient.errors).toEqual([]);
    impatient.at(6000);
    expect(impatient.errors).toEqual(['ETIMEDOUT']);
  });

  test("MUST-22, MUST-23: for SYNs as well, for three minutes and more by the RFC's profile", () => {
    const t = g.harness({ base: RFC }).connect();
    const doubt = doubts(t);
    t.at(180_000);
    expect(t.errors).toEqual([]);
    expect(doubt).toHaveBeenCalled();
    expect(t.drain().length).toBeGreaterThanOrEqual(6);
    t.at(600_000);
    expect([t.c.state, t.errors]).toEqual(['CLOSED', ['ETIMEDOUT']]);
  });

  test('RFC 6298 §5.5: waits for an answer to a SYN double, from the fifth on where four are linear; both take as long', () => {
    const sentAt = (synLinearTimeouts: number, synRetries: number): number[] => {
      const t = g.harness({ profile: { synLinearTimeouts, synRetries } }).connect();
      const times: number[] = [];
      while (t.errors.length === 0) {
        if (t.drain().length > 0) times.push(Math.round(t.nowMs / 1000));
        t.at(t.stack.nextDeadline() - EPOCH);
      }
      expect(t.errors).toEqual(['ETIMEDOUT']);
      return [...times, Math.round(t.nowMs / 1000)];
    };
    expect(sentAt(0, 3)).toEqual([0, 1, 3, 7, 15]);
    // As Linux 6.18 does it: as much time as so many doublings take, however many SYNs there were.
    expect(sentAt(4, 1)).toEqual([0, 1, 2, 3]);
    expect(sentAt(4, 2)).toEqual([0, 1, 2, 3, 4, 5, 7]);
    expect(sentAt(4, 3)).toEqual([0, 1, 2, 3, 4, 5, 7, 11, 19]);
  });

  test('MUST-19: every timeout doubles the next, slow start begins anew', () => {
    const t = g.established({ profile: { tailLossProbe: false } }, { window: 1000 }).write(10_000);
    t.drain();
    const times: number[] = [];
    for (let i = 0; i < 8; i++) {
      t.at(t.stack.nextDeadline() - EPOCH);
      expect(t.drain().length).toBe(1);
      times.push(t.nowMs);
    }
    const gaps = times.slice(1).map((at, i) => at - times[i]!);
    for (let i = 1; i < gaps.length; i++) expect(gaps[i]! / gaps[i - 1]!).toBeCloseTo(2, 3);
    expect(t.c.cwnd).toBe(1);
    t.rx('. 1:1(0) ack 1001 win 1000');
    expect(t.c.cwnd).toBe(2);
  });

  test('MUST-18, RFC 6298 §5.7: after a repeated SYN the first RTO of text is 3 s', () => {
    const t = g
      .connecting({ profile: { timestamps: false } })
      .at(1000)
      .tx('S 0:0(0) <...>')
      .at(3000)
      .tx('S 0:0(0) <...>');
    t.rx(`S. ${g.syn} ack 1 win 1000 <mss 1000>`).tx('. 1:1(0) ack 1').write(10).tx('P. 1:11(10) ack 1');
    t.after(2999).txNothing().after(1).tx('P. 1:11(10) ack 1');
  });
});

everywhere('RFC 6298 §2: the RTO from samples', (g) => {
  /** Opens with a round trip of 100 ms and answers as many small writes, each after its own time. */
  const rtoAfter = (rtts: number[], options = {}): number => {
    const t = g.established(options);
    let sent = 1;
    for (const rtt of rtts) {
      t.write(1);
      t.drain();
      t.after(rtt).rx(`. 1:1(0) ack ${++sent} win 257`);
    }
    return t.c.rto;
  };
  const EXACT = { base: { ...RFC, rtoMinMs: 1 } };

  test('§2.2: first R: SRTT = R, RTTVAR = R/2, RTO = R + 4 R/2', () => {
    expect(rtoAfter([], EXACT)).toBe(300);
  });

  test('§2.3: then RTTVAR from the old SRTT, before SRTT', () => {
    // 100, then 200: RTTVAR = 3/4 50 + 1/4 100 = 62.5; SRTT = 7/8 100 + 1/8 200 = 112.5.
    expect(rtoAfter([200], EXACT)).toBeCloseTo(112.5 + 4 * 62.5, 9);
    // Then 50: RTTVAR = 3/4 62.5 + 1/4 62.5; SRTT = 7/8 112.5 + 1/8 50.
    expect(rtoAfter([200, 50], EXACT)).toBeCloseTo(104.6875 + 4 * 62.5, 9);
  });

  test('§2.4: at least one second by the RFC, at least the mean plus 200 ms as Linux has it', () => {
    expect(rtoAfter([100, 100, 100], { base: RFC })).toBe(1000);
    expect(rtoAfter(new Array<number>(40).fill(100))).toBeCloseTo(300, 6);
  });
});

everywhere('ICMP errors for a connection', (g) => {
  const four = g.place.family === 4;
  /** An error about the segment of ours that began at `seq` of our stream. */
  const error = (t: Harness, type: number, code: number, seq: number, rest = 0): Harness => {
    const ends = four ? { from: '192.168.0.1', to: '192.0.2.1' } : { from: '2001:db8:1::1', to: '2001:db8:2::1' };
    const back = { from: ends.to, to: ends.from };
    const iss = [...t.stack.tcp.connections][0]!.iss;
    const segment = f.tcp({ ...ends, sport: 8080, dport: 40_000, seq: (iss + seq) >>> 0, flags: 16 });
    const quote = four ? f.ip4(f.TCP, segment, ends) : f.ip6(f.TCP, segment, ends);
    const frame = four
      ? f.ip4(f.ICMP, f.icmp4(type, code, rest, quote.subarray(0, 28)), back)
      : f.ip6(f.ICMP6, f.icmp6(type, code, rest, quote, back), back);
    return receive(t, frame);
  };
  // Network, host, source route; then the same in ICMPv6: no route, beyond scope, address.
  const soft: [number, number][] = four
    ? [
        [3, 0],
        [3, 1],
        [3, 5],
        [11, 0],
        [12, 0],
      ]
    : [
        [1, 0],
        [1, 2],
        [1, 3],
        [3, 0],
        [4, 0],
      ];

  test('MUST-47, MUST-56 (SHLD-25): what may pass is advice; the connection lives', () => {
    for (const [type, code] of soft) {
      const t = g.established().write(10);
      t.drain();
      error(t, type, code, 1);
      expect([t.c.state, t.errors, t.signals & ADVICE]).toEqual(['ESTABLISHED', [], ADVICE]);
      t.rx('. 1:1(0) ack 11 win 257').write(10).tx('P. 11:21(10) ack 1');
    }
  });

  test('MUST-54: an error must quote something in flight', () => {
    const t = g.established().write(10);
    t.drain();
    const [type, code] = soft[1]!;
    for (const seq of [0, 11, 5000, -5000]) error(t, type, code, seq);
    expect([t.c.state, t.c.softError, drops(t, 'icmp-bad-quote')]).toEqual(['ESTABLISHED', null, 4]);
  });

  test('SHLD-26: port unreachable ends an open that was not answered', () => {
    const t = g.connecting();
    error(t, four ? 3 : 1, four ? 3 : 4, 0);
    expect([t.c.state, t.errors]).toEqual(['CLOSED', ['ECONNREFUSED']]);
  });

  if (four) {
    test('MUST-55: source quench changes nothing', () => {
      const t = g.established().write(10);
      t.drain();
      const { cwnd } = t.c;
      error(t, 4, 0, 1);
      expect([t.c.cwnd, t.c.softError]).toEqual([cwnd, null]);
    });
  }

  test('MUST-16: too big: segments get smaller at once, and what was lost is sent again', () => {
    const t = g.harness({ mtu: 1500 }).listen();
    t.rx(`S ${g.syn} win 65535 <mss 1400>`).tx(`S. 0:0(0) ack ${g.synAck} <...>`).rx('. 1:1(0) ack 1 win 65535');
    t.write(1400).tx('P. 1:1401(1400) ack 1');
    const mtu = 1300;
    error(t, four ? 3 : 2, four ? 4 : 0, 1, mtu);
    expect(t.c.mss).toBe(mtu - g.headers);
    t.tx(`. 1:${1 + mtu - g.headers}(${mtu - g.headers}) ack 1`);
  });
});
