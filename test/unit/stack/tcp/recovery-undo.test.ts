import { expectFields } from './fields';
import { established, type Harness } from './harness';

const TS = { syn: 'mss 1000,sackOK,TS val 200 ecr 0,nop,wscale 7', window: 1000 };

/** Ten packets out, a round trip of 100 ms over, three of them SACKed: the first one went out again. */
function recovering(): Harness {
  const t = established({}, { window: 1000 });
  t.write(10_000).tx('P. 1:10001(10000) ack 1');
  t.after(100).rx('. 1:1(0) ack 1 win 1000 <sack 1001:4001,nop,nop>').tx('. 1:1001(1000) ack 1');
  expectFields(t.c, { recovery: 'Recovery', ssthresh: 7, undoable: true, undoRetransmissions: 1 });
  return t;
}

/** The same with timestamps. What was sent is of 100 ms, the retransmission of 200. */
function recoveringWithTimestamps(): Harness {
  const t = established({}, TS);
  t.write(9880).tx('P. 1:9881(9880) ack 1 <nop,nop,TS val 1100 ecr 300>');
  t.after(100).rx('. 1:1(0) ack 1 win 1000 <nop,nop,TS val 400 ecr 1100,nop,nop,sack 989:3953>');
  t.tx('. 1:989(988) ack 1 <nop,nop,TS val 1200 ecr 400>');
  expectFields(t.c, { recovery: 'Recovery', ssthresh: 7 });
  return t;
}

describe('RFC 3708: undo by D-SACK', () => {
  test('the one retransmission was a duplicate: window and threshold are what they were', () => {
    const t = recovering();
    t.rx('. 1:1(0) ack 10001 win 1000');
    // Open by the recovery point, at the reduced window (and one more: CUBIC grows again at once).
    expectFields(t.c, { recovery: 'Open', cwnd: 8, ssthresh: 7 });
    t.after(100).rx('. 1:1(0) ack 10001 win 1000 <sack 1:1001,nop,nop>');
    expectFields(t.c, { recovery: 'Open', cwnd: 10, ssthresh: 0x7fffffff, undoable: false });
  });

  test('... reported together with the last acknowledgment', () => {
    const t = recovering();
    t.after(50).rx('. 1:1(0) ack 10001 win 1000 <sack 1:1001,nop,nop>');
    // Slow start as if nothing had been: eight packets were delivered.
    expectFields(t.c, { recovery: 'Open', cwnd: 18, ssthresh: 0x7fffffff });
  });

  test('... on an ACK below SND.UNA', () => {
    const t = recovering();
    t.rx('. 1:1(0) ack 10001 win 1000').write(1000).drain();
    t.after(100).rx('. 1:1(0) ack 11001 win 1000').after(1).rx('. 1:1(0) ack 10001 win 1000 <sack 1:1001,nop,nop>');
    expectFields(t.c, { recovery: 'Open', cwnd: 10 });
  });

  test('two were sent again, one was needless: the reduction stays', () => {
    const t = established({}, { window: 1000 });
    t.write(10_000).tx('P. 1:10001(10000) ack 1');
    t.after(100).rx('. 1:1(0) ack 1 win 1000 <sack 2001:6001,nop,nop>').tx('. 1:2001(2000) ack 1');
    t.after(100).rx('. 1:1(0) ack 10001 win 1000 <sack 1:1001,nop,nop>');
    expectFields(t.c, { recovery: 'Open', cwnd: 8, ssthresh: 7 });
    t.rx('. 1:1(0) ack 10001 win 1000 <sack 1001:2001,nop,nop>');
    expectFields(t.c, { cwnd: 10, ssthresh: 0x7fffffff });
  });

  test('before anything was sent again there is nothing to prove', () => {
    const t = established({}, { window: 1000 });
    t.write(10_000).drain();
    t.after(100);
    t.rx('. 1:1(0) ack 1 win 1000 <sack 1001:4001,nop,nop>', '. 1:1(0) ack 1 win 1000 <sack 1001:5001,nop,nop>');
    expectFields(t.c, { recovery: 'Recovery', ssthresh: 7, undoable: true, rackPersist: 0 });
  });

  test('more duplicates than retransmissions are no proof: the network copies', () => {
    const t = recovering();
    t.rx('. 1:1(0) ack 10001 win 1000');
    t.rx('. 1:1(0) ack 10001 win 1000 <sack 5001:9001,nop,nop>');
    expectFields(t.c, { cwnd: 8, ssthresh: 7, duplicates: 4 });
  });

  test('a duplicate from before the recovery proves nothing about it', () => {
    const t = established({}, { window: 1000 });
    t.write(1000).drain();
    t.after(400).drain();
    t.rx('. 1:1(0) ack 1001 win 1000').write(10_000).drain();
    t.after(100).rx('. 1:1(0) ack 1001 win 1000 <sack 2001:5001,nop,nop>').drain();
    const { undoRetransmissions } = t.c;
    t.rx('. 1:1(0) ack 1001 win 1000 <sack 1:1001 2001:5001,nop,nop>');
    expect(t.c.undoRetransmissions).toBe(undoRetransmissions);
  });

  test('after congestion that the peer echoed nothing is undone', () => {
    const t = recovering();
    t.c.ecnOk = true;
    t.rx('E. 1:1(0) ack 1 win 1000 <sack 1001:5001,nop,nop>').rx('. 1:1(0) ack 10001 win 1000');
    t.rx('. 1:1(0) ack 10001 win 1000 <sack 1:1001,nop,nop>');
    expectFields(t.c, { recovery: 'Open', cwnd: 7, ssthresh: 7 });
  });
});

describe('RFC 3522, RFC 4015: undo by timestamps', () => {
  test('the hole was filled by the original: everything is as before, at once', () => {
    const t = recoveringWithTimestamps();
    t.after(10).rx('. 1:1(0) ack 9881 win 1000 <nop,nop,TS val 410 ecr 1100>');
    expectFields(t.c, { recovery: 'Open', ssthresh: 0x7fffffff, undoable: false });
    expect(t.c.cwnd).toBeGreaterThanOrEqual(10);
  });

  test('it was filled by the retransmission: it was lost', () => {
    const t = recoveringWithTimestamps();
    t.after(100).rx('. 1:1(0) ack 9881 win 1000 <nop,nop,TS val 500 ecr 1200>');
    expectFields(t.c, { recovery: 'Open', cwnd: 8, ssthresh: 7 });
  });

  test('a partial acknowledgment of an original, while a retransmission is still out: nothing more is sent again', () => {
    const t = established({}, TS);
    t.write(9880).drain();
    t.after(100).rx('. 1:1(0) ack 1 win 1000 <nop,nop,TS val 400 ecr 1100,nop,nop,sack 1977:5929>');
    t.tx('. 1:1977(1976) ack 1 <...>');
    t.after(5).rx('. 1:1(0) ack 989 win 1000 <nop,nop,TS val 405 ecr 1100,nop,nop,sack 1977:5929>').txNothing();
    expectFields(t.c, { recovery: 'Recovery', retransOut: 1, reorderings: 1 });
    t.after(5).rx('. 1:1(0) ack 5929 win 1000 <nop,nop,TS val 410 ecr 1100>');
    expectFields(t.c, { ssthresh: 0x7fffffff, lostOut: 0 });
  });

  test('a spurious timeout', () => {
    const t = established({ profile: { frto: false, tailLossProbe: false } }, TS);
    t.write(9880).drain();
    t.after(300).tx('. 1:989(988) ack 1 <...>');
    expectFields(t.c, { recovery: 'Loss', cwnd: 1, ssthresh: 7 });
    t.after(10).rx('. 1:1(0) ack 989 win 1000 <nop,nop,TS val 610 ecr 1100>').txNothing();
    expectFields(t.c, { recovery: 'Open', ssthresh: 0x7fffffff, lostOut: 0, retransmits: 0 });
    expect(t.c.cwnd).toBeGreaterThanOrEqual(10);
  });
});

describe('RFC 5682: F-RTO', () => {
  const timedOut = (more: number, sack: boolean): Harness => {
    const syn = sack ? 'mss 1000,sackOK,nop,nop,nop,wscale 7' : 'mss 1000,nop,wscale 7';
    const t = established({ profile: { tailLossProbe: false } }, { syn, window: 1000 });
    t.write(10_000 + more);
    t.drain();
    t.after(300).tx('. 1:1001(1000) ack 1').txNothing();
    expectFields(t.c, { recovery: 'Loss', frto: true, cwnd: 1 });
    return t;
  };

  test.each([
    ['with SACK', true],
    ['without', false],
  ])(
    '%s: the first ACK lets new text out instead of retransmissions; if that arrives, nothing was lost',
    (_w, sack) => {
      const t = timedOut(10_000, sack);
      t.after(10).rx('. 1:1(0) ack 1001 win 1000').tx('. 10001:12001(2000) ack 1').txNothing();
      t.after(10).rx('. 1:1(0) ack 2001 win 1000');
      expect(t.c.lostOut).toBe(0);
      expect(t.c.cwnd).toBeGreaterThanOrEqual(10);
      expect(t.c.ssthresh).toBe(0x7fffffff);
      for (const line of t.drain()) expect(line).toMatch(/> P?\. 1[2-9]\d\d\d:/);
    },
  );

  test('new text is SACKed, the old is still missing: the loss was real', () => {
    const t = timedOut(10_000, true);
    t.after(10).rx('. 1:1(0) ack 1001 win 1000').tx('. 10001:12001(2000) ack 1');
    t.after(100).rx('. 1:1(0) ack 1001 win 1000 <sack 10001:11001,nop,nop>').tx('. 1001:2001(1000) ack 1');
    expectFields(t.c, { recovery: 'Loss', frto: false });
  });

  test('without SACK: a duplicate ACK for it', () => {
    const t = timedOut(10_000, false);
    t.after(10).rx('. 1:1(0) ack 1001 win 1000').tx('. 10001:12001(2000) ack 1');
    t.after(100).rx('. 1:1(0) ack 1001 win 1000').drain();
    expectFields(t.c, { recovery: 'Loss', frto: false });
  });

  test('SACKs of what was never sent again prove it as well', () => {
    const t = timedOut(0, true);
    t.after(10).rx('. 1:1(0) ack 1 win 1000 <sack 1001:2001,nop,nop>');
    t.after(10).rx('. 1:1(0) ack 2001 win 1000');
    expectFields(t.c, { ssthresh: 0x7fffffff, lostOut: 0 });
  });

  test('nothing new to send: conventional recovery', () => {
    const t = timedOut(0, true);
    t.after(10).rx('. 1:1(0) ack 1001 win 1000').tx('. 1001:3001(2000) ack 1').txNothing();
    expectFields(t.c, { recovery: 'Loss', frto: false });
  });

  test('the whole flight is acknowledged at once: that is no proof', () => {
    const t = timedOut(0, false);
    t.after(100).rx('. 1:1(0) ack 10001 win 1000');
    expectFields(t.c, { ssthresh: 7 });
  });
});
