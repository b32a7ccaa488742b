import { tcpInfo } from '../../../../stack/tcp/info';
import { LINUX, RFC, type TcpProfile } from '../../../../stack/tcp/profile';
import { expectFields } from './fields';
import { established, Harness } from './harness';

/** Round trip 100 ms, MSS 1000, no timestamps; the first flight of `packets` is out and a round trip has passed. */
function flight(packets: number, profile = {}): Harness {
  const t = established({ profile }, { window: 1000 });
  t.write(packets * 1000);
  t.drain();
  return t.after(100);
}

const sack = (ack: number, ...blocks: string[]): string =>
  `. 1:1(0) ack ${ack} win 1000${blocks.length > 0 ? ` <sack ${blocks.join(' ')},nop,nop>` : ''}`;

describe('RFC 6937: proportional rate reduction', () => {
  test('as much in flight as the threshold: one out for each one in', () => {
    const t = flight(10);
    t.rx(sack(1, '1001:2001'), sack(1, '1001:3001'), sack(1, '1001:4001')).tx('. 1:1001(1000) ack 1').txNothing();
    t.write(7000).txNothing();
    for (let i = 5; i <= 10; i++) {
      t.after(10)
        .rx(sack(1, `1001:${i}001`))
        .tx(`. ${i + 5}001:${i + 6}001(1000) ack 1`)
        .txNothing();
      expect(t.c.cwnd).toBe(7);
    }
    t.after(10).rx(sack(10_001)).tx('P. 16001:17001(1000) ack 1').txNothing();
    expectFields(t.c, { recovery: 'Open', cwnd: 7, ssthresh: 7 });
  });

  test('more in flight: seven out for ten in', () => {
    const t = flight(10, { initialWindow: 20 });
    t.write(30_000);
    t.drain();
    t.rx(sack(1, '1001:4001'));
    expectFields(t.c, { recovery: 'Recovery', ssthresh: 14, priorCwnd: 20 });
    let sent = t.drain().length;
    for (let i = 5; i <= 14; i++) {
      t.after(1).rx(sack(1, `1001:${i}001`));
      sent += t.drain().length;
    }
    // RFC 6937 §3: what was delivered, in the proportion of the windows, rounded up.
    expect(sent).toBe(Math.ceil(((3 + 10) * 14) / 20));
  });

  test('less in flight, and progress: slow start back to the threshold (SSRB); without: as many as arrive (CRB)', () => {
    const t = established({}, { window: 1000 });
    t.write(20_000).tx('P. 1:10001(10000) ack 1');
    t.after(100).rx(sack(1, '4001:5001')).tx('. 10001:11001(1000) ack 1');
    t.after(2).rx(sack(1, '4001:6001')).tx('. 11001:12001(1000) ack 1');
    t.after(2).rx(sack(1, '4001:7001')).tx('. 1:1001(1000) ack 1').txNothing();
    // Four are lost: in flight is below the threshold, but no hole is filled yet.
    expectFields(t.c, { lostOut: 3 + 1, ssthresh: 7 });
    for (let i = 1; i < 4; i++) {
      t.after(2)
        .rx(sack(1, `4001:${i + 7}001`))
        .tx(`. ${i}001:${i + 1}001(1000) ack 1`)
        .txNothing();
    }
    t.after(2).rx(sack(1, '4001:11001')).tx('. 12001:13001(1000) ack 1').txNothing();
    t.after(2).rx(sack(1, '4001:12001')).tx('. 13001:14001(1000) ack 1').txNothing();
    t.after(80).rx(sack(1001, '4001:12001')).tx('P. 14001:16001(2000) ack 1').txNothing();
  });

  describe('acknowledgments in one batch, of which the last ones show a loss', () => {
    const progress = [1, 2, 3, 4, 5, 6, 7, 8].map((n) => sack(n * 1000 + 1));
    const loss = [10, 11, 12, 13].map((n) => sack(8001, `9001:${n}001`));

    function sent(batches: readonly (readonly string[])[], profile = {}): { packets: number; t: Harness } {
      const t = flight(20, { initialWindow: 20, ...profile });
      t.write(100_000);
      t.drain();
      let bytes = 0;
      const first = t.c.bytesSent;
      for (const batch of batches) t.rx(...batch).drain();
      bytes += t.c.bytesSent - first;
      return { packets: bytes / 1000, t };
    }

    test('the window sends as much as it does when they come one by one', () => {
      const single = sent([...progress, ...loss].map((line) => [line]));
      const batched = sent([[...progress, ...loss]]);
      expectFields(single.t.c, { recovery: 'Recovery', prrHeld: 0 });
      // What went out before the loss was known is not in proportion, and is as much in both.
      expect(single.packets).toBeGreaterThan(16);
      expect(batched.packets).toBe(single.packets);
      expectFields(batched.t.c, {
        recovery: 'Recovery',
        prrHeld: 0,
        ssthresh: single.t.c.ssthresh,
        inFlight: single.t.c.inFlight,
      });
    });

    // Two holes, so that less is in flight than the threshold for a while.
    const more = [14, 15, 16, 17, 18].map((n) => sack(8001, `12001:${n}001`, '9001:11001'));

    test.each([
      ['into the recovery', [...progress, ...loss, ...more]],
      ['many holes', [...progress, ...[12, 14, 16, 18, 20].map((n) => sack(8001, `${n}001:${n + 1}001`))]],
    ])('all of the recovery in one batch, %s: as much is sent, old or new', (_name, lines) => {
      const single = sent(lines.map((line) => [line]));
      const batched = sent([lines]);
      const all = ({ t }: typeof single) => t.c.bytesSent / 1000 + t.c.totalRetransmits;
      expect(all(batched)).toBe(all(single));
    });

    test('what the peer’s window, or the text, did not allow is not sent for it', () => {
      const t = flight(20, { initialWindow: 20 });
      const before = t.c.bytesSent;
      t.write(3000)
        .rx(...progress, ...loss)
        .drain();
      expect(t.c.bytesSent - before).toBe(3000);
      expect(t.c.prrHeld).toBe(0);
    });
  });

  test('the first retransmission goes out whatever the window', () => {
    const t = flight(10);
    // Seven in flight, and seven is the threshold: no room.
    t.rx(sack(1, '1001:3001')).after(27).tx('. 1:1001(1000) ack 1').txNothing();
    expectFields(t.c, { recovery: 'Recovery', prrOut: 1, ssthresh: 7, cwnd: 8 });
  });
});

describe('RFC 6928: the initial window', () => {
  /** What goes out at once of more than anybody's window. */
  const first = (mss: number, profile: TcpProfile = LINUX): number => {
    const t = established(
      { base: profile, mtu: 9000 },
      { syn: `mss ${mss},sackOK,nop,nop,nop,wscale 7`, window: 2000 },
    );
    t.tryWrite(120_000);
    return t.drain().length;
  };

  test('§2: ten segments', () => {
    expect([first(1460), first(536)]).toEqual([10, 10]);
    expect([first(1460, RFC), first(536, RFC)]).toEqual([10, 10]);
  });

  test('§2: of large ones as many as 14,600 bytes hold, two at least; Linux sends ten', () => {
    expect([first(3000, RFC), first(8960, RFC), first(8960)]).toEqual([4, 2, 10]);
  });

  test.each([
    [1, 10],
    [2, 1],
  ])('§2, RFC 5681 §3.1: after %d timeouts of the SYN-ACK: %d', (timeouts, segments) => {
    const t = new Harness();
    t.listen().rx('S 0:0(0) win 32792 <mss 1000,sackOK,nop,nop,nop,wscale 7>').tx('S. 0:0(0) ack 1 <...>');
    expect(t.after(timeouts === 1 ? 1500 : 3500).drain()).toHaveLength(timeouts);
    t.rx('. 1:1(0) ack 1 win 257').write(20_000);
    expect(t.drain()).toHaveLength(segments);
  });

  test('RFC 5681 §4.1: after silence no more than that', () => {
    const syn = 'mss 8960,sackOK,nop,nop,nop,wscale 7';
    const t = established({ base: RFC, mtu: 9000 }, { syn, window: 2000 }).write(2 * 8960);
    t.drain();
    t.after(100)
      .rx('. 1:1(0) ack 17921 win 2000')
      .write(4 * 8960);
    t.drain();
    t.after(100).rx('. 1:1(0) ack 53761 win 2000').after(60_000).write(70_000);
    expect(t.drain()).toHaveLength(2);
  });
});

describe('RFC 7661: cwnd grows only while it is used', () => {
  test('half of the window in flight: it stays', () => {
    const t = flight(5);
    t.rx(sack(2001)).rx(sack(4001)).rx(sack(5001));
    expect(t.c.cwnd).toBe(10);
  });

  test('nine of ten: slow start reaches twice what was in flight', () => {
    const t = flight(9);
    const grown = [2001, 4001, 6001, 8001, 9001].map((ack) => t.after(5).rx(sack(ack)).c.cwnd);
    expect(grown).toEqual([12, 14, 16, 18, 18]);
  });

  test('all of it: slow start', () => {
    const t = flight(10);
    t.rx(sack(10_001));
    expect(t.c.cwnd).toBe(20);
  });

  test('text that waits for the peer, not for the network, does not grow it', () => {
    const t = established({}, { window: 24 });
    t.write(20_000).tx('. 1:3001(3000) ack 1');
    t.after(100).rx('. 1:1(0) ack 3001 win 24').tx('. 3001:6001(3000) ack 1');
    expect(t.c.cwnd).toBe(10);
  });

  test('slow start after idle: halved for every RTO, down to the initial window', () => {
    const t = flight(10, { slowStartAfterIdle: true });
    t.rx(sack(10_001)).write(20_000).drain();
    t.after(100).rx(sack(30_001));
    expect(t.c.cwnd).toBe(40);
    // RTO is 300 ms: two of them have passed.
    t.after(700).write(40_000);
    expect(t.drain()).toHaveLength(10);
    expectFields(t.c, { cwnd: 10, ssthresh: 0x7fffffff });
  });

  test('... which is off by default', () => {
    const t = flight(10);
    t.rx(sack(10_001)).after(5000).write(20_000);
    expect(t.drain()).toHaveLength(20);
  });

  test('RFC 2861: an application that uses less for an RTO has its window moved half-way', () => {
    const t = flight(10, { slowStartAfterIdle: true });
    t.rx(sack(10_001)).write(20_000).drain();
    t.after(100).rx(sack(30_001));
    expect(t.c.cwnd).toBe(40);
    for (let i = 0; i < 5; i++) {
      t.write(1000).drain();
      t.after(100).rx(sack(31_001 + 1000 * i));
    }
    expectFields(t.c, { cwnd: 25, ssthresh: 0x7fffffff });
  });
});

describe('RFC 3168 (SHLD-8): explicit congestion notification', () => {
  const open = (syn = 'SEW'): Harness => {
    const t = new Harness();
    t.listen().rx(`${syn} 0:0(0) win 32792 <mss 1000,nop,nop,sackOK,nop,wscale 7>`);
    t.tx(`${syn === 'SEW' ? 'SE.' : 'S.'} 0:0(0) ack 1 <...>`);
    return t.after(100).rx('. 1:1(0) ack 1 win 1000');
  };

  test('a SYN that asks is answered; text carries ECT(0), a pure ACK and a retransmission do not', () => {
    const t = open();
    t.write(2000).tx('[ect0] P. 1:2001(2000) ack 1');
    t.rx('[ect0] P. 1:11(10) ack 1 win 1000').tx('[noecn] . 2001:2001(0) ack 11');
    t.after(202).tx('[noecn] P. 1001:2001(1000) ack 11');
  });

  test('nobody asks: nothing is marked', () => {
    open('S').write(1000).tx('[noecn] P. 1:1001(1000) ack 1');
  });

  test('an echo reduces cwnd once a window, without a retransmission, and the next text says so', () => {
    const t = open();
    t.write(4000).tx('P. 1:4001(4000) ack 1');
    t.after(100).rx('E. 1:1(0) ack 1001 win 1000');
    expectFields(t.c, { recovery: 'CWR', ssthresh: 7, cwnd: 5 });
    t.rx('E. 1:1(0) ack 2001 win 1000');
    expectFields(t.c, { recovery: 'CWR', ssthresh: 7 });
    t.write(1000).tx('[ect0] PW. 4001:5001(1000) ack 1').txNothing();
    t.write(1000).tx('[ect0] P. 5001:6001(1000) ack 1');
    t.after(100).rx('. 1:1(0) ack 4001 win 1000');
    // Held until something above is acknowledged.
    expect(t.c.recovery).toBe('CWR');
    t.rx('. 1:1(0) ack 6001 win 1000');
    expectFields(t.c, { recovery: 'Open', cwnd: 7 });
  });

  test('CE is echoed on every ACK until CWR comes', () => {
    const t = open();
    t.rx('[ce] P. 1:1001(1000) ack 1 win 1000').tx('E. 1:1(0) ack 1001');
    t.rx('[ect0] P. 1001:2001(1000) ack 1 win 1000').tx('E. 1:1(0) ack 2001');
    t.rx('[ect0] PW. 2001:3001(1000) ack 1 win 1000').tx('. 1:1(0) ack 3001');
  });

  test('tcpInfo says what was marked and what came out of order', () => {
    const t = open();
    const told = (): unknown[] => {
      const info = tcpInfo(t.stack.tcp, t.c, t.nowMs);
      return [info['tcpi_options']! & 24, info['tcpi_delivered_ce'], info['tcpi_rcv_ooopack']];
    };
    expect(told()).toEqual([8, 0, 0]);
    t.rx('[ect0] P. 2001:3001(1000) ack 1 win 1000').rx('[ect0] P. 1001:2001(1000) ack 1 win 1000').drain();
    expect(told()).toEqual([24, 0, 2]);
    t.rx('[ect0] P. 1:1001(1000) ack 1 win 1000').write(4000).drain();
    t.after(100).rx('E. 3001:3001(0) ack 3001 win 1000');
    expect(told()).toEqual([24, 3, 2]);
    t.rx('. 3001:3001(0) ack 4001 win 1000');
    expect(told()).toEqual([24, 3, 2]);
  });

  test('an active open asks when the profile says so, and not when it is repeated', () => {
    const t = new Harness({ profile: { ecn: 'request' } }).connect().tx('SEW 0:0(0) <...>');
    t.after(1000).tx('S 0:0(0) <...>');
    t.rx('SE. 0:0(0) ack 1 win 65535 <mss 1000>').tx('. 1:1(0) ack 1');
    t.write(10).tx('[noecn] P. 1:11(10) ack 1');
  });

  test('... and is agreed by a SYN-ACK with ECE alone', () => {
    for (const [flags, ecn] of [
      ['SE.', 'ect0'],
      ['SEW.', 'noecn'],
      ['S.', 'noecn'],
    ] as const) {
      const t = new Harness({ profile: { ecn: 'request' } }).connect().tx('SEW 0:0(0) <...>');
      t.rx(`${flags} 0:0(0) ack 1 win 65535 <mss 1000>`).tx('. 1:1(0) ack 1');
      t.write(10).tx(`[${ecn}] P. 1:11(10) ack 1`);
    }
  });
});
