import { expectFields } from './fields';
import { everywhere } from './grounds';
import type { Harness } from './harness';

/* RACK-TLP in one place, over both families: losses found by time and by a probe of the tail, without waiting for the RTO. */

const sack = (from: number, to: number): string => `. 1:1(0) ack 1 win 1000 <nop,nop,sack ${from}:${to}>`;
const resent = (t: Harness, from: number): number => t.drain().filter((line) => line.includes(` ${from}:`)).length;

everywhere('RFC 8985: RACK-TLP', (g) => {
  const flight = (bytes: number): Harness => {
    const t = g.established({}, { window: 1000 }).write(bytes);
    t.drain();
    return t;
  };

  test('RACK-TLP: overtaken by less than a quarter of a round trip, a packet is not lost', () => {
    const t = flight(5000).after(100).rx(sack(1001, 2001)).txNothing();
    t.after(20).rx('. 1:1(0) ack 2001 win 1000').txNothing();
    expectFields(t.c, { totalRetransmits: 0, recovery: 'Open' });
  });

  test('RACK-TLP: overtaken by more, it is', () => {
    const t = flight(5000).after(100).rx(sack(1001, 2001)).txNothing();
    t.after(27).tx('. 1:1001(1000) ack 1').txNothing();
    expectFields(t.c, { recovery: 'Recovery' });
  });

  test('RACK-TLP: a retransmission that is lost as well is found by what was sent after it', () => {
    const t = flight(40_000).after(100).rx(sack(1001, 4001));
    expect(resent(t, 1)).toBe(1);
    // The rest of the flight arrives and lets new text out, later than the retransmission.
    for (let end = 5001; end <= 10_001; end += 1000) t.after(10).rx(sack(1001, end));
    expect(resent(t, 1)).toBe(0);
    t.after(100).rx(sack(1001, 12_001));
    expect(resent(t, 1)).toBe(1);
    expectFields(t.c, { recovery: 'Recovery', backoff: 0 });
  });

  test('RACK-TLP: the tail of a flight is probed after two round trips, and what the probe shows to be lost goes again', () => {
    const t = flight(3000).after(202).tx('P. 2001:3001(1000) ack 1').txNothing();
    t.after(100).rx(sack(2001, 3001)).tx('. 1:1001(1000) ack 1').txNothing();
    t.after(100).rx('. 1:1(0) ack 1001 win 1000 <nop,nop,sack 2001:3001>').tx('. 1001:2001(1000) ack 1').txNothing();
    t.after(100).rx('. 1:1(0) ack 3001 win 1000');
    expectFields(t.c, { recovery: 'Open', backoff: 0 });
  });
});
