import { expectFields } from './fields';
import { established, type Harness } from './harness';

/** Round trip 100 ms, MSS 1000, SACK, no timestamps; `packets` are written and sent, the clock stands at their RTT. */
function flight(packets: number, options: Parameters<typeof established>[0] = {}): Harness {
  const t = established(options, { window: 1000 });
  t.write(packets * 1000);
  t.tx(`P. 1:${packets * 1000 + 1}(${packets * 1000}) ack 1`);
  return t.after(100);
}

describe('RFC 8985: RACK', () => {
  test('three SACKed packets and no reordering ever seen: the hole is sent again at once', () => {
    const t = flight(10);
    t.rx('. 1:1(0) ack 1 win 1000 <sack 1001:2001,nop,nop>').txNothing();
    expect(t.c.recovery).toBe('Disorder');
    t.rx('. 1:1(0) ack 1 win 1000 <sack 1001:3001,nop,nop>').txNothing();
    t.rx('. 1:1(0) ack 1 win 1000 <sack 1001:4001,nop,nop>').tx('. 1:1001(1000) ack 1').txNothing();
    expectFields(t.c, { recovery: 'Recovery', ssthresh: 7, cwnd: 7, lostOut: 1, retransOut: 1, sackedOut: 3 });
  });

  test('fewer: a quarter of the round trip later', () => {
    const t = flight(4);
    t.rx('. 1:1(0) ack 1 win 1000 <sack 3001:4001,nop,nop>').after(26).txNothing();
    t.after(1).tx('. 1:1001(1000) ack 1').txNothing();
    expectFields(t.c, { recovery: 'Recovery', lostOut: 3, retransOut: 1 });
  });

  test('an ACK before that starts the wait anew', () => {
    const t = flight(3);
    t.rx('. 1:1(0) ack 1 win 1000 <sack 1001:2001,nop,nop>');
    t.after(10).rx('. 1:1(0) ack 1 win 1000 <sack 1001:3001,nop,nop>');
    t.after(26).txNothing().after(1).tx('. 1:1001(1000) ack 1');
  });

  test('the hole is filled before that: nothing is sent again', () => {
    const t = flight(4);
    t.rx('. 1:1(0) ack 1 win 1000 <sack 1001:2001,nop,nop>');
    t.after(10).rx('. 1:1(0) ack 2001 win 1000');
    expectFields(t.c, { recovery: 'Open', reorderings: 1 });
    t.after(60).txNothing();
  });

  test('a retransmission that is lost is found by what was sent after it', () => {
    const t = flight(10);
    t.write(10_000);
    t.rx('. 1:1(0) ack 1 win 1000 <sack 1001:5001,nop,nop>').tx('. 1:1001(1000) ack 1');
    t.tx('. 10001:11001(1000) ack 1').txNothing();
    t.after(50).rx('. 1:1(0) ack 1 win 1000 <sack 1001:10001,nop,nop>').tx('. 11001:16001(5000) ack 1');
    // New text that went out with the first retransmission arrives, the retransmission does not.
    t.after(50).rx('. 1:1(0) ack 1 win 1000 <sack 1001:11001,nop,nop>').tx('. 1:1001(1000) ack 1');
    t.tx('. 16001:17001(1000) ack 1').txNothing();
    expectFields(t.c, { recovery: 'Recovery', ssthresh: 7, lostOut: 1, retransOut: 1, lost: 2 });
  });

  test('... and before a later hole that has been dealt with', () => {
    const t = flight(10);
    t.write(20_000);
    t.rx('. 1:1(0) ack 1 win 1000 <sack 1001:4001 5001:10001,nop,nop>').tx('. 1:1001(1000) ack 1');
    t.tx('. 4001:5001(1000) ack 1');
    t.drain();
    // The second retransmission arrives, and what was sent with it; the first does not.
    t.after(100).rx('. 1:1(0) ack 1 win 1000 <sack 1001:11001,nop,nop>').tx('. 1:1001(1000) ack 1');
    expectFields(t.c, { recovery: 'Recovery', lostOut: 1, retransOut: 1, lost: 3 });
  });

  test('reordering seen once makes three SACKed packets no proof of loss any more', () => {
    const t = flight(10);
    t.rx('. 1:1(0) ack 1 win 1000 <sack 1001:2001,nop,nop>').rx('. 1:1(0) ack 10001 win 1000');
    expect(t.c.reorderings).toBe(1);
    t.write(10_000).tx('P. 10001:20001(10000) ack 1');
    t.after(100).rx('. 1:1(0) ack 10001 win 1000 <sack 11001:14001,nop,nop>').txNothing();
    t.after(26).txNothing().after(1).tx('. 10001:11001(1000) ack 1');
  });

  test('how far apart packets were reordered is remembered, in packets', () => {
    const t = flight(10);
    t.rx('. 1:1(0) ack 1 win 1000 <sack 9001:10001,nop,nop>');
    t.rx('. 1:1(0) ack 1 win 1000 <sack 3001:4001 9001:10001,nop,nop>');
    expectFields(t.c, { sackedOut: 2, reordering: 7, reorderings: 1 });
    t.rx('. 1:1(0) ack 10001 win 1000');
    expectFields(t.c, { sackedOut: 0, reordering: 10, reorderings: 2 });
  });

  test('every duplicate that is reported after reordering widens the window by a quarter', () => {
    const t = flight(10);
    t.rx('. 1:1(0) ack 1 win 1000 <sack 1001:2001,nop,nop>').rx('. 1:1(0) ack 2001 win 1000');
    t.rx('. 1:1(0) ack 2001 win 1000 <sack 3001:5001,nop,nop>').after(27).tx('. 2001:3001(1000) ack 1');
    expect(t.c.rackSteps).toBe(1);
    t.after(5).rx('. 1:1(0) ack 10001 win 1000 <sack 2001:3001,nop,nop>');
    t.c.noDelay = true;
    t.write(1000).tx('P. 10001:11001(1000) ack 1').after(100).rx('. 1:1(0) ack 11001 win 1000');
    expectFields(t.c, { rackSteps: 2, rackPersist: 16, recovery: 'Open' });
  });
});

describe('RFC 2018, RFC 6675: the scoreboard', () => {
  test('blocks in any order, adjacent, growing to either side and overlapping count every packet once', () => {
    const t = flight(10);
    const sacked = (blocks: string, count: number): void => {
      const pad = ',nop,nop';
      t.rx(`. 1:1(0) ack 1 win 1000 <sack ${blocks}${pad}>`);
      expect(t.c.sackedOut).toBe(count);
    };
    sacked('6001:7001', 1);
    sacked('8001:9001 6001:7001', 2);
    sacked('7001:8001 6001:9001', 3);
    sacked('5001:9001', 4);
    sacked('2001:3001 5001:9001 9001:10001', 6);
    // What filled holes had been overtaken: reordering, so that no count of packets proves a loss.
    expectFields(t.c, { recovery: 'Disorder', lostOut: 0, reorderings: 3 });
  });

  test('a block that covers a packet in part does not count it', () => {
    const t = flight(4);
    t.rx('. 1:1(0) ack 1 win 1000 <sack 3000:4001,nop,nop>');
    expect(t.c.sackedOut).toBe(1);
    t.rx('. 1:1(0) ack 1 win 1000 <sack 2500:4001,nop,nop>');
    expect(t.c.sackedOut).toBe(1);
  });

  test.each([
    ['beyond what was sent', '4001:5001'],
    ['reversed', '3001:2001'],
    ['empty', '2001:2001'],
    ['below what is acknowledged, without a reason to look', '0:1'],
  ])('a block that is %s is ignored', (_what, block) => {
    const t = flight(4);
    t.rx(`. 1:1(0) ack 1 win 1000 <sack ${block},nop,nop>`);
    expectFields(t.c, { sackedOut: 0, lostOut: 0 });
  });

  test('what a device cut from a super-segment is SACKed packet by packet', () => {
    const t = flight(10, { tso: true });
    t.rx('. 1:1(0) ack 1 win 1000 <sack 2001:4001 6001:7001,nop,nop>');
    expectFields(t.c, { sackedOut: 3, packetsOut: 10, lostOut: 4 });
    t.tx('. 1:1001(1000) ack 1');
    t.rx('. 1:1(0) ack 8001 win 1000');
    expectFields(t.c, { sackedOut: 0, packetsOut: 2, lostOut: 0 });
  });

  test('... and a packet of it that was SACKed in part is not', () => {
    const t = flight(10, { tso: true });
    t.rx('. 1:1(0) ack 1 win 1000 <sack 2501:4001,nop,nop>');
    expectFields(t.c, { sackedOut: 1, packetsOut: 10, highestSack: (t.c.iss + 4001) | 0 });
  });

  test('a lie about what was not sent yet does not hide the truth about it later', () => {
    const t = flight(4);
    t.rx('. 1:1(0) ack 1 win 1000 <sack 4001:6001,nop,nop>').write(2000).drain();
    t.rx('. 1:1(0) ack 1 win 1000 <sack 4001:6001,nop,nop>');
    expect(t.c.sackedOut).toBe(2);
  });

  test('blocks on an ACK below SND.UNA count as well', () => {
    const t = flight(10);
    expect(t.c.sndWndMax).toBe(1000 * 128);
    t.rx('. 1:1(0) ack 4001 win 1000');
    t.rx('. 1:1(0) ack 3001 win 1000 <sack 5001:7001,nop,nop>');
    expectFields(t.c, { sackedOut: 2, packetsOut: 6, recovery: 'Disorder' });
  });

  test('a peer that forgets what it SACKed: the timer comes early and everything is sent again', () => {
    const t = flight(4);
    t.rx('. 1:1(0) ack 1 win 1000 <sack 1001:3001,nop,nop>');
    // The hole is filled, but what was SACKed behind it is not acknowledged.
    t.rx('. 1:1(0) ack 1001 win 1000');
    t.after(49).txNothing();
    t.after(1).tx('. 1001:2001(1000) ack 1').txNothing();
    expectFields(t.c, { recovery: 'Loss', sackReneged: true, sackedOut: 0, lostOut: 3, retransOut: 1 });
    t.after(100).rx('. 1:1(0) ack 4001 win 1000');
    expectFields(t.c, { recovery: 'Open', sackReneged: false });
  });

  test('... unless it remembers in time', () => {
    const t = flight(4);
    t.rx('. 1:1(0) ack 1 win 1000 <sack 1001:3001,nop,nop>').rx('. 1:1(0) ack 1001 win 1000');
    t.after(20).rx('. 1:1(0) ack 3001 win 1000').after(100).txNothing();
    expectFields(t.c, { recovery: 'Open', sackReneged: false });
  });

  test('without RACK a packet is lost when three above it are SACKed', () => {
    const t = flight(10, { profile: { rack: false } });
    t.rx('. 1:1(0) ack 1 win 1000 <sack 1001:2001,nop,nop>');
    t.rx('. 1:1(0) ack 1 win 1000 <sack 3001:4001 1001:2001,nop,nop>').after(50).txNothing();
    t.rx('. 1:1(0) ack 1 win 1000 <sack 5001:6001 3001:4001 1001:2001,nop,nop>').tx('. 1:1001(1000) ack 1');
    expectFields(t.c, { lostOut: 1, sackedOut: 3 });
    t.rx('. 1:1(0) ack 1 win 1000 <sack 5001:7001 3001:4001 1001:2001,nop,nop>');
    expect(t.c.lostOut).toBe(2);
    t.drain();
    // What is sent again is on its way, whatever else arrives above it.
    t.rx('. 1:1(0) ack 1 win 1000 <sack 5001:10001 3001:4001 1001:2001,nop,nop>');
    expectFields(t.c, { lostOut: 3, retransOut: 3, lost: 3 });
  });
});

describe('RFC 3042: limited transmit', () => {
  test.each([
    ['with SACK', 'mss 1000,sackOK,nop,nop,nop,wscale 7', ' <sack 1001:2001,nop,nop>', ' <sack 1001:3001,nop,nop>'],
    ['without', 'mss 1000,nop,wscale 7', '', ''],
  ])('%s: each of the first two duplicates lets one new segment out', (_what, syn, first, second) => {
    const t = established({}, { syn, window: 1000 });
    t.write(15_000).tx('P. 1:10001(10000) ack 1');
    t.after(110).rx(`. 1:1(0) ack 1 win 1000${first}`).tx('. 10001:11001(1000) ack 1').txNothing();
    t.after(10).rx(`. 1:1(0) ack 1 win 1000${second}`).tx('. 11001:12001(1000) ack 1').txNothing();
    // Reordering after all: back to Open, and slow start.
    t.after(10).rx('. 1:1(0) ack 3001 win 1000').tx('P. 12001:14001(2000) ack 1').txNothing();
    expectFields(t.c, { recovery: 'Open', cwnd: 11 });
  });
});

describe('RFC 6582: NewReno, without SACK', () => {
  const open = (packets: number): Harness => {
    const t = established({}, { syn: 'mss 1000,nop,wscale 7', window: 1000 });
    t.write(packets * 1000).tx(`P. 1:${packets * 1000 + 1}(${packets * 1000}) ack 1`);
    return t.after(100);
  };
  const duplicate = '. 1:1(0) ack 1 win 1000';

  test('three duplicate ACKs send the first packet again', () => {
    const t = open(10).rx(duplicate).rx(duplicate).txNothing();
    t.rx(duplicate).tx('. 1:1001(1000) ack 1').txNothing();
    expectFields(t.c, { recovery: 'Recovery', ssthresh: 7, sackedOut: 3 });
  });

  test.each([
    ['text', 'P. 1:11(10) ack 1 win 1000'],
    ['a window update', '. 1:1(0) ack 1 win 900'],
  ])('a segment with %s is no duplicate ACK', (_what, line) => {
    const t = open(10).rx(duplicate).rx(duplicate);
    t.rx(line).drain();
    expectFields(t.c, { sackedOut: 2, lostOut: 0 });
  });

  test('nothing in flight: no duplicate either', () => {
    const t = established({}, { syn: 'mss 1000,nop,wscale 7', window: 1000 });
    t.rx(duplicate, duplicate, duplicate, duplicate).txNothing();
    t.write(1000).tx('P. 1:1001(1000) ack 1').after(100).txNothing();
    expectFields(t.c, { sackedOut: 0, recovery: 'Open' });
  });

  test('a partial ACK sends the next hole again at once', () => {
    const t = open(10).rx(duplicate, duplicate, duplicate).tx('. 1:1001(1000) ack 1');
    t.after(100).rx('. 1:1(0) ack 4001 win 1000').tx('. 4001:5001(1000) ack 1').txNothing();
    t.after(100).rx('. 1:1(0) ack 10001 win 1000');
    // RFC 6582 §4: held until something above is acknowledged.
    expect(t.c.recovery).toBe('Recovery');
    t.write(1000).tx('P. 10001:11001(1000) ack 1').after(100).rx('. 1:1(0) ack 11001 win 1000');
    expectFields(t.c, { recovery: 'Open', cwnd: 7 });
  });

  test('more duplicates than packets are reordering, and duplicates of the recovery point begin nothing', () => {
    const t = open(4).rx(duplicate, duplicate, duplicate).tx('. 1:1001(1000) ack 1');
    t.rx(duplicate, duplicate);
    expectFields(t.c, { sackedOut: 3, reordering: 4, reorderings: 2 });
    t.after(100).rx('. 1:1(0) ack 4001 win 1000').txNothing();
  });
});
