import { setKeepAlive } from '../../../../stack/tcp/calls';
import { LINUX, RFC, type TcpProfile } from '../../../../stack/tcp/profile';
import { expectFields } from './fields';
import { established, Harness } from './harness';

const TS = { syn: 'mss 1000,sackOK,TS val 200 ecr 0,nop,wscale 7', window: 1000 };
const PLAIN = { syn: 'mss 1000,nop,wscale 7', window: 1000 };

describe('RFC 8985 §7: tail loss probe', () => {
  test('two round trips of silence, and the last segment goes out again', () => {
    const t = established({}, { window: 1000 });
    t.write(3000).tx('P. 1:3001(3000) ack 1');
    t.after(201).txNothing().after(1).tx('P. 2001:3001(1000) ack 1').txNothing();
    expectFields(t.c, { recovery: 'Open', retransOut: 0, probeOut: true, probeRetransmitted: true });
  });

  test('of one packet the ACK may be delayed: RTO min later, but not later than the RTO', () => {
    const t = established({}, { window: 1000 });
    t.write(100).tx('P. 1:101(100) ack 1').after(299).txNothing().after(1).tx('P. 1:101(100) ack 1');
    // The RTO then runs from the probe.
    t.after(299).txNothing().after(1).tx('P. 1:101(100) ack 1');
    expect(t.c.recovery).toBe('Loss');
  });

  test('with new text, that is the probe, beyond cwnd', () => {
    const t = established({}, { window: 1000 });
    t.write(12_000).tx('. 1:10001(10000) ack 1').after(202).tx('. 10001:11001(1000) ack 1').txNothing();
    expectFields(t.c, { packetsOut: 11, cwnd: 10, probeRetransmitted: false });
  });

  test('the probe repaired a loss: cwnd is reduced once, without more', () => {
    const t = established({}, { window: 1000 });
    t.write(3000).tx('P. 1:3001(3000) ack 1');
    t.after(100).rx('. 1:1(0) ack 2001 win 1000').after(300).tx('P. 2001:3001(1000) ack 1');
    t.after(100).rx('. 1:1(0) ack 3001 win 1000');
    // Only an ACK beyond the probe shows that no duplicate was reported.
    expectFields(t.c, { recovery: 'Open', cwnd: 10, probeOut: true });
    t.write(1000).tx('P. 3001:4001(1000) ack 1').after(100).rx('. 1:1(0) ack 4001 win 1000');
    expectFields(t.c, { recovery: 'Open', cwnd: 7, ssthresh: 7, probeOut: false });
  });

  test.each([
    ['reported as a duplicate', ' <sack 2001:3001,nop,nop>'],
    ['answered by a duplicate ACK', ''],
  ])('the probe was needless, %s: nothing is reduced', (_what, option) => {
    const t = established({}, { window: 1000 });
    t.write(3000).tx('P. 1:3001(3000) ack 1').after(202).tx('P. 2001:3001(1000) ack 1');
    t.after(10).rx('. 1:1(0) ack 3001 win 1000').after(10).rx(`. 1:1(0) ack 3001 win 1000${option}`);
    t.write(1000).tx('P. 3001:4001(1000) ack 1').after(100).rx('. 1:1(0) ack 4001 win 1000');
    expectFields(t.c, { recovery: 'Open', cwnd: 10, probeOut: false });
  });

  test('the SACK of the probe makes recovery of what was lost before it', () => {
    const t = established({}, { window: 1000 });
    t.write(5000).tx('P. 1:5001(5000) ack 1').after(202).tx('P. 4001:5001(1000) ack 1');
    // Everything else was sent two round trips before it.
    t.after(100).rx('. 1:1(0) ack 1 win 1000 <sack 4001:5001,nop,nop>').tx('. 1:1001(1000) ack 1');
    expectFields(t.c, { recovery: 'Recovery', lostOut: 4 });
  });

  test('none without SACK, none when switched off, and only one', () => {
    const without = established({}, PLAIN);
    without.write(3000).tx('P. 1:3001(3000) ack 1').after(299).txNothing().after(1).tx('. 1:1001(1000) ack 1');
    const off = established({ profile: { tailLossProbe: false } }, { window: 1000 });
    off.write(3000).tx('P. 1:3001(3000) ack 1').after(299).txNothing().after(1).tx('. 1:1001(1000) ack 1');
    const t = established({}, { window: 1000 });
    t.write(3000).tx('P. 1:3001(3000) ack 1').after(202).tx('P. 2001:3001(1000) ack 1');
    t.after(299).txNothing().after(1).tx('. 1:1001(1000) ack 1').txNothing();
  });
});

/** Ten bytes there, and their acknowledgment back after `ms`. */
function roundTrip(t: Harness, ms: number): void {
  t.write(10).drain();
  t.after(ms).rx(`. 1:1(0) ack ${(t.c.sndNxt - t.c.iss) >>> 0} win 1000`);
}

describe('RFC 6298: the retransmission timer (MUST-18)', () => {
  test('RTO is the smoothed round trip plus at least 200 ms', () => {
    const t = established({}, PLAIN);
    expectFields(t.c, { srtt: 100, rto: 300, rttvar: 200 });
    t.write(10).drain();
    t.after(180).rx('. 1:1(0) ack 11 win 1000');
    expect(t.c.srtt).toBeCloseTo(110, 9);
    expect(t.c.rto).toBeCloseTo(340, 9);
  });

  test('Linux’s estimator: a sample below the mean widens the deviation by an eighth only, and rounds let it fall', () => {
    const t = established({}, PLAIN);
    const { c } = t;
    expectFields(c, { srtt: 100, mdev: 200, mdevMax: 200, rttvar: 200 });
    roundTrip(t, 20);
    expectFields(c, { srtt: 90, mdev: 200 + (80 - 50) / 8 });
    roundTrip(t, 170);
    expectFields(c, { srtt: 100, mdev: 203.75 + (80 - 203.75 / 4) });
    expect(c.rto).toBe(c.srtt + c.rttvar);
  });

  test('RFC 6298 §2: the variation before the mean, G small, at least a second', () => {
    const t = established({ base: RFC }, PLAIN);
    const { c } = t;
    expectFields(c, { srtt: 100, rttvar: 200, rto: 1000 });
    roundTrip(t, 500);
    // RTTVAR = 3/4 * 50 + 1/4 * 400 = 137.5, four times of which stand in the RTO.
    expectFields(c, { srtt: 150, rttvar: 550, rto: 1000 });
    roundTrip(t, 900);
    expect(c.rto).toBe(243.75 + 550 + (4 * 750 - 550) / 4);
  });

  test('it doubles, sends the oldest packet, and stays doubled until a round trip is measured (Karn)', () => {
    const t = established({}, PLAIN);
    t.write(10).tx('P. 1:11(10) ack 1');
    for (const wait of [300, 600, 1200, 2400])
      t.after(wait - 1)
        .txNothing()
        .after(1)
        .tx('P. 1:11(10) ack 1')
        .txNothing();
    t.after(100).rx('. 1:1(0) ack 11 win 1000');
    expectFields(t.c, { rto: 4800, retransmits: 0 });
    expect(t.c.backoff).toBe(4);
    t.write(10).tx('P. 11:21(10) ack 1').after(100).rx('. 1:1(0) ack 21 win 1000');
    expect(t.c.rto).toBeLessThan(400);
    expect(t.c.backoff).toBe(0);
  });

  test('with timestamps the acknowledged retransmission is a measurement', () => {
    const t = established({ profile: { tailLossProbe: false } }, TS);
    t.write(10).tx('P. 1:11(10) ack 1 <nop,nop,TS val 1100 ecr 300>');
    t.after(300).tx('P. 1:11(10) ack 1 <nop,nop,TS val 1400 ecr 300>');
    t.after(100).rx('. 1:1(0) ack 11 win 1000 <nop,nop,TS val 700 ecr 1400>');
    expectFields(t.c, { srtt: 100, rto: 300 });
  });

  test('RFC 7323 §4.1: a timestamp counts only on an ACK that advances SND.UNA', () => {
    const t = established({}, TS);
    t.write(1976).drain();
    t.after(500).rx('. 1:1(0) ack 1 win 1000 <nop,nop,TS val 800 ecr 1100>').drain();
    expect(t.c.srtt).toBe(100);
  });

  test('each new acknowledgment restarts it', () => {
    const t = established({}, PLAIN);
    t.write(3000).drain();
    t.after(250).rx('. 1:1(0) ack 1001 win 1000');
    const { rto } = t.c;
    t.after(rto - 1)
      .txNothing()
      .after(1)
      .tx('. 1001:2001(1000) ack 1');
  });

  test('the window after it is one packet, and slow start leads to half of what was', () => {
    const t = established({ profile: { congestion: 'reno' } }, PLAIN);
    t.write(10_000).drain();
    t.after(300).tx('. 1:1001(1000) ack 1').txNothing();
    expectFields(t.c, { recovery: 'Loss', cwnd: 1, ssthresh: 5, lostOut: 10, retransOut: 1 });
    t.after(100).rx('. 1:1(0) ack 1001 win 1000').tx('. 1001:3001(2000) ack 1').txNothing();
    expect(t.c.cwnd).toBe(2);
  });

  test('what RACK knows to be too young is not taken to be lost', () => {
    const t = established({ profile: { tailLossProbe: false } }, { window: 1000 });
    t.write(1000).drain();
    t.after(100).rx('. 1:1(0) ack 1001 win 1000').write(1000).drain();
    t.after(250).write(1000).drain();
    t.after(50).tx('P. 1001:2001(1000) ack 1').txNothing();
    expectFields(t.c, { recovery: 'Loss', lostOut: 1, retransOut: 1, packetsOut: 2 });
  });

  test('the threshold is not lowered again while the same flight is repaired', () => {
    const t = established({ profile: { congestion: 'reno' } }, PLAIN);
    t.write(10_000).drain();
    t.after(300).drain();
    t.after(600).drain();
    expectFields(t.c, { ssthresh: 5, backoff: 2, retransmits: 2 });
  });
});

describe('RFC 2018 §8: a timeout, and what was SACKed', () => {
  const timedOut = (base: TcpProfile): Harness => {
    const t = established({ base, profile: { tailLossProbe: false } }, { window: 1000 });
    t.write(4000).drain();
    t.after(10).rx('. 1:1(0) ack 1 win 1000 <sack 1001:2001,nop,nop>');
    t.after(t.c.rto + 50).drain();
    expect(t.c.recovery).toBe('Loss');
    return t;
  };

  test('the RFC: forgotten, and sent again', () => {
    const t = timedOut({ ...RFC, rack: false });
    expectFields(t.c, { sackedOut: 0, lostOut: 4 });
    t.rx('. 1:1(0) ack 1001 win 1000').tx('. 1001:3001(2000) ack 1');
  });

  test('Linux: kept, as long as the peer keeps it', () => {
    const t = timedOut({ ...LINUX, rack: false });
    expectFields(t.c, { sackedOut: 1, lostOut: 3 });
    t.rx('. 1:1(0) ack 2001 win 1000').tx('. 2001:4001(2000) ack 1');
  });
});

describe('RFC 9293 §3.8.3: R1 and R2, as times (MUST-20 to MUST-23)', () => {
  test('R1: the next hop is doubted after three doublings, and at the second SYN', () => {
    const t = established({}, PLAIN);
    const doubted = jest.spyOn(t.stack, 'doubt');
    t.write(10).drain();
    t.after(300 + 3000 - 1).drain();
    expect(doubted).not.toHaveBeenCalled();
    t.after(3000).drain();
    expect(doubted).toHaveBeenCalled();
    const opening = new Harness().connect();
    const again = jest.spyOn(opening.stack, 'doubt');
    opening.after(999);
    expect(again).not.toHaveBeenCalled();
    opening.after(1);
    expect(again).toHaveBeenCalledTimes(1);
  });

  test('a SYN is tried for three minutes at least, by the RFC', () => {
    const t = new Harness({ base: RFC }).connect();
    t.after(179_000).drain();
    expect(t.errors).toEqual([]);
    t.after(100_000);
    expect(t.errors).toEqual(['ETIMEDOUT']);
  });

  test('data: what fifteen doublings of 200 ms take, counted from the first retransmission', () => {
    const t = established({}, PLAIN);
    t.write(10).drain();
    t.after(300).drain();
    const first = t.nowMs;
    t.after(924_599).drain();
    expect(t.errors).toEqual([]);
    // It is only looked at when the timer goes off.
    t.after(121_000);
    expect(t.errors).toEqual(['ETIMEDOUT']);
    expect(t.c.state).toBe('CLOSED');
    expect(t.nowMs - first).toBeGreaterThan(924_600);
  });

  test('a recovery that goes on for longer, but makes progress, is not given up', () => {
    const t = established({ profile: { tailLossProbe: false } }, { window: 1000 });
    t.write(10_000).drain();
    t.after(100).rx('. 1:1(0) ack 1 win 1000 <sack 1001:9001,nop,nop>').drain();
    // The retransmission is lost once and again, other parts arrive: for longer than R2 in all.
    for (let i = 0; i < 9; i++) {
      t.after(200_000).drain();
      t.rx(`. 1:1(0) ack ${i + 1}001 win 1000`)
        .write(1000)
        .drain();
    }
    expect(t.nowMs).toBeGreaterThan(1_700_000);
    expect(t.errors).toEqual([]);
  });

  test('an orphan goes earlier: eight doublings', () => {
    const t = established({}, PLAIN);
    t.write(10).close().drain();
    t.after(300).drain();
    t.after(102_199).drain();
    expect(t.c.state).toBe('FIN-WAIT-1');
    t.after(120_000);
    expect(t.c.state).toBe('CLOSED');
  });

  test('a SYN is sent six times, at 0, 1, 3, 7, 15 and 31 s, and refused at 63', () => {
    const t = new Harness().connect().tx('S 0:0(0) <...>');
    for (const wait of [1, 2, 4, 8, 16]) t.after(wait * 1000).tx('S 0:0(0) <...>');
    t.after(31_999).txNothing();
    expect(t.errors).toEqual([]);
    t.after(1);
    expect(t.errors).toEqual(['ETIMEDOUT']);
  });

  test('a SYN-ACK as well, but nobody is told', () => {
    const t = new Harness().listen().rx('S 0:0(0) win 1000 <mss 1000>').tx('S. 0:0(0) ack 1 <...>');
    for (const wait of [1, 2, 4, 8, 16]) t.after(wait * 1000).tx('S. 0:0(0) ack 1 <...>');
    t.after(32_000).txNothing();
    expect(t.stack.tcp.connections.size).toBe(0);
    expect(t.listener!.halfOpen).toBe(0);
  });

  test('after more than one lost SYN-ACK: one packet; without a measurement: 3 s', () => {
    const t = new Harness().listen().rx('S 0:0(0) win 1000 <mss 1000>').tx('S. 0:0(0) ack 1 <...>');
    t.after(1000).tx('S. 0:0(0) ack 1 <...>').after(2000).tx('S. 0:0(0) ack 1 <...>');
    t.after(100).rx('. 1:1(0) ack 1 win 10000');
    expectFields(t.c, { cwnd: 1, rto: 3000 });
  });

  test('RFC 5482: the user timeout counts from the first retransmission, and only unacknowledged data', () => {
    const t = established({}, PLAIN);
    t.c.userTimeout = 3000;
    t.after(60_000).txNothing();
    expect(t.c.state).toBe('ESTABLISHED');
    t.write(10).drain();
    t.after(300).drain();
    t.after(2999).drain();
    expect(t.errors).toEqual([]);
    t.after(2);
    expect(t.errors).toEqual(['ETIMEDOUT']);
  });
});

describe('RFC 9293 §3.8.6.1: a closed window (MUST-34 to MUST-37)', () => {
  const closed = (): Harness => {
    const t = established({}, PLAIN);
    t.write(1000).drain();
    return t.after(100).rx('. 1:1(0) ack 1001 win 0').write(2000).txNothing();
  };

  test('is probed after an RTO, at growing distances, with the last acknowledged number', () => {
    const t = closed();
    for (const wait of [300, 600, 1200, 2400])
      t.after(wait - 1)
        .txNothing()
        .after(1)
        .tx('. 1000:1000(0) ack 1')
        .txNothing();
  });

  test('answers keep the connection, do not shorten the distance, and opening it sends at once', () => {
    const t = closed();
    t.after(300).tx('. 1000:1000(0) ack 1').rx('. 1:1(0) ack 1001 win 0');
    t.after(599).txNothing().after(1).tx('. 1000:1000(0) ack 1').rx('. 1:1(0) ack 1001 win 0');
    expectFields(t.c, { windowProbes: 0, backoff: 2 });
    t.after(50).rx('. 1:1(0) ack 1001 win 1000').tx('P. 1001:3001(2000) ack 1');
    expectFields(t.c, { backoff: 0, retransmitTimer: 'rto' });
  });

  test('for a day, as long as the peer answers (MUST-37)', () => {
    const t = closed();
    for (let at = t.nowMs; at < 86_400_000; at = t.nowMs) {
      t.after(120_001);
      if (t.drain().length > 0) t.rx('. 1:1(0) ack 1001 win 0');
    }
    expectFields(t.c, { state: 'ESTABLISHED', windowProbes: 0 });
  });

  test('a peer that is silent is given up after fifteen probes', () => {
    const t = closed();
    t.after(2_000_000);
    const probes = t.drain().length;
    expect(probes).toBe(15);
    expect(t.errors).toEqual(['ETIMEDOUT']);
  });

  test('RFC 5482: or when the user timeout is over', () => {
    const t = closed();
    t.c.userTimeout = 2000;
    t.after(2299).drain();
    expect(t.errors).toEqual([]);
    t.after(2);
    expect(t.errors).toEqual(['ETIMEDOUT']);
  });

  test('an orphan does not wait so long', () => {
    const t = closed().close();
    t.after(400_000).drain();
    expect(t.c.state).toBe('CLOSED');
  });

  test('over data in flight: the first packet goes out again and again, and the connection lives (MUST-34)', () => {
    const t = established({}, PLAIN);
    t.write(3000).drain();
    t.after(100).rx('. 1:1(0) ack 1001 win 0').drain();
    for (let i = 0; i < 20; i++) {
      t.after(t.c.retransmitAt - 1_000_000 - t.nowMs)
        .tx('. 1001:2001(1000) ack 1')
        .txNothing();
      t.rx('. 1:1(0) ack 1001 win 0');
    }
    expect(t.c.state).toBe('ESTABLISHED');
    t.rx('. 1:1(0) ack 2001 win 1000').tx('P. 2001:3001(1000) ack 1');
  });

  test('... and only the first, however much is known to be lost', () => {
    const t = established({}, { window: 1000 });
    t.write(10_000).drain();
    t.after(100).rx('. 1:1(0) ack 1 win 0 <sack 4001:10001,nop,nop>').tx('. 1:1001(1000) ack 1').txNothing();
    expectFields(t.c, { recovery: 'Recovery', lostOut: 4, retransOut: 1 });
    t.after(10).rx('. 1:1(0) ack 1001 win 1000 <sack 4001:10001,nop,nop>').tx('. 1001:4001(3000) ack 1');
  });

  test('a window that was shrunk over what is lost: nothing is sent beyond it', () => {
    const t = established({}, { window: 1000 });
    t.write(10_000).drain();
    t.after(100).rx('. 1:1(0) ack 2001 win 8 <sack 9001:10001,nop,nop>').after(30);
    // Eight times 128 bytes: one segment fits.
    expect(t.drain()).toEqual([expect.stringContaining('2001:3001(1000)')]);
  });
});

const idle = (): Harness => {
  const t = established({}, PLAIN);
  setKeepAlive(t.stack.tcp, t.c, true, 10_000, 1000, 3, 1_000_000 + t.nowMs);
  return t;
};

describe('RFC 9293 §3.8.4: keep-alive (MUST-24 to MUST-29)', () => {
  test('off by default: a day of silence without a segment', () => {
    const t = established({}, PLAIN);
    t.after(86_400_000).txNothing();
    expect(t.c.state).toBe('ESTABLISHED');
  });

  test('on: the first probe after two hours', () => {
    const t = established({}, PLAIN);
    setKeepAlive(t.stack.tcp, t.c, true, 0, 0, 0, 1_000_000 + t.nowMs);
    t.after(7_199_900).txNothing().after(200).drain();
    expect(t.c.probesSent).toBe(1);
  });

  test('not while text is unacknowledged', () => {
    const t = idle();
    t.after(9000).write(10).drain();
    t.after(1500);
    for (const line of t.drain()) expect(line).toContain('1:11(10)');
    expect(t.c.probesSent).toBe(0);
  });

  test('a probe when idle, answered: the next one as much later (MUST-26, MUST-29)', () => {
    const t = idle();
    t.after(9999).txNothing().after(1).tx('. 0:0(0) ack 1').rx('. 1:1(0) ack 1 win 1000');
    t.after(9999).txNothing().after(1).tx('. 0:0(0) ack 1');
  });

  test('as many without an answer as allowed, then a RST and ETIMEDOUT', () => {
    const t = idle()
      .after(10_000)
      .tx('. 0:0(0) ack 1')
      .after(1000)
      .tx('. 0:0(0) ack 1')
      .after(1000)
      .tx('. 0:0(0) ack 1');
    t.after(1000).tx('R. 1:1(0) ack 1');
    expect(t.errors).toEqual(['ETIMEDOUT']);
  });
});
