import { drops, everywhere, type Ground, receive } from './grounds';
import type { Harness, HarnessOptions } from './harness';

const SYN = 'mss 1000,sackOK,TS val 1000 ecr 0,nop,wscale 7';

/** Timestamps agreed: the peer's clock shows 1000 plus the time of the test, in milliseconds; ours as well. */
const stamped = (g: Ground, options: HarnessOptions = {}, syn = SYN): Harness => g.established(options, { syn });
const ts = (val: number, ecr = 1000): string => `<nop,nop,TS val ${val} ecr ${ecr}>`;

everywhere('RFC 7323 §3.2: agreeing on timestamps', (g) => {
  test("both SYNs carried them: every later segment does; TSecr is the peer's latest", () => {
    const t = g.listening();
    t.rx(`S ${g.syn} win 1000 <${SYN}>`).tx(
      `S. 0:0(0) ack ${g.synAck} <mss ${1500 - g.headers},sackOK,TS val 1000 ecr 1000,nop,wscale 8>`,
    );
    t.after(100).rx(`. 1:1(0) ack 1 win 257 ${ts(1100)}`);
    t.write(10).tx(`P. 1:11(10) ack 1 ${ts(1100, 1100)}`);
    t.rx(`P. 1:11(10) ack 11 win 257 ${ts(1150, 1100)}`).tx(`. 11:11(0) ack 11 ${ts(1100, 1150)}`);
    t.shutdown().tx(`F. 11:11(0) ack 11 ${ts(1100, 1150)}`);
  });

  test("the peer's SYN had none, or ours: none later", () => {
    const t = g.established().write(10).tx('P. 1:11(10) ack 1').txNothing();
    expect(t.c.timestamps).toBe(false);
    const off = g.listening({ profile: { timestamps: false } });
    off
      .rx(`S ${g.syn} win 1000 <${SYN}>`)
      .tx(`S. 0:0(0) ack ${g.synAck} <mss ${1500 - g.headers},nop,nop,sackOK,nop,wscale 8>`);
    off.rx('. 1:1(0) ack 1 win 257').write(10).tx('P. 1:11(10) ack 1').txNothing();
  });

  test('on a connection without them they are ignored', () => {
    const t = g.established();
    const options = [1, 1, 8, 10, 0, 0, 0, 7, 0, 0, 0, 9];
    receive(t, g.frame({ flags: 16, seq: 1, iss: t.c.iss, ack: 1, options, text: [1, 2, 3] })).tx('. 1:1(0) ack 4');
    expect(t.c.readable).toBe(3);
  });

  test('a segment without them, after they were agreed: dropped where the profile asks for it, taken as Linux does', () => {
    const strict = stamped(g, { profile: { timestampsRequired: true } })
      .rx('P. 1:11(10) ack 1 win 257')
      .txNothing();
    expect([strict.c.readable, drops(strict, 'tcp-no-timestamp')]).toEqual([0, 1]);
    expect(stamped(g).rx('P. 1:11(10) ack 1 win 257').c.readable).toBe(10);
  });

  test('a RST needs none', () => {
    const t = stamped(g, { profile: { timestampsRequired: true } }).rx('R 1:1(0) win 0');
    expect(t.errors).toEqual(['ECONNRESET']);
  });

  test('§5.4: our clock ticks in milliseconds and never goes back; connections begin anywhere', () => {
    const t = stamped(g);
    let last = 0;
    for (let i = 0; i < 5; i++) {
      t.after(37).write(1);
      const [, val] = /TS val (\d+)/.exec(t.drain()[0]!)!;
      if (last > 0) expect((Number(val) - last) | 0).toBe(37);
      last = Number(val);
      t.rx(`. 1:1(0) ack ${2 + i} win 257 ${ts(1100 + t.nowMs)}`);
    }
    const other = stamped(g, { seed: 99 });
    expect(other.c.tsOffset).not.toBe(t.c.tsOffset);
  });
});

everywhere('RFC 7323 §4.3: which timestamp is echoed', (g) => {
  test('of a delayed ACK: the first segment that it acknowledges', () => {
    const t = stamped(g, { profile: { quickAcks: 0 } });
    t.c.rcvMss = 1000;
    t.rx(`. 1:1001(1000) ack 1 win 257 ${ts(1200)}`).txNothing();
    t.rx(`. 1001:2001(1000) ack 1 win 257 ${ts(1300)}`).tx(`. 1:1(0) ack 2001 ${ts(1100, 1200)}`);
  });

  test("beyond a hole: the one before the hole; filling it: the filler's", () => {
    const t = stamped(g);
    t.rx(`. 1001:2001(1000) ack 1 win 257 ${ts(1200)}`);
    t.tx('. 1:1(0) ack 1 <nop,nop,TS val 1100 ecr 1100,nop,nop,sack 1001:2001>');
    t.rx(`. 1:1001(1000) ack 1 win 257 ${ts(1300)}`).tx(`. 1:1(0) ack 2001 ${ts(1100, 1300)}`);
  });

  test('a forged ACK leaves TS.Recent as it is', () => {
    const t = stamped(g);
    const before = t.c.tsRecent;
    t.rx(`. 1:1(0) ack 77777 win 257 ${ts(500_000)}`).drain();
    expect(t.c.tsRecent).toBe(before);
  });
});

everywhere('RFC 7323 §5: PAWS', (g) => {
  test('an older timestamp: an ACK, nothing is taken (PAWS)', () => {
    const t = stamped(g).rx(`P. 1:101(100) ack 1 win 257 ${ts(1500)}`);
    t.drain();
    t.rx(`P. 101:201(100) ack 1 win 257 ${ts(1499)}`).tx(`. 1:1(0) ack 101 ${ts(1100, 1500)}`);
    expect([t.c.readable, drops(t, 'tcp-paws')]).toEqual([100, 1]);
    t.rx(`P. 101:201(100) ack 1 win 257 ${ts(1500)}`);
    expect(t.c.readable).toBe(200);
  });

  test('text from one round of sequence space ago is not taken for new (PAWS, old duplicate after the wrap)', () => {
    const t = stamped(g).rx(`P. 1:101(100) ack 1 win 257 ${ts(2000)}`);
    t.drain();
    // The same numbers come 4 GiB later as well; what lies in between is left out.
    t.rx(`P. 101:201(100) ack 1 win 257 ${ts(1200)}`).drain();
    expect([t.c.readable, drops(t, 'tcp-paws')]).toEqual([100, 1]);
  });

  test('timestamps wrap around like sequence numbers', () => {
    const t = stamped(g, {}, 'mss 1000,sackOK,TS val 4294967190 ecr 0,nop,wscale 7');
    t.rx(`P. 1:101(100) ack 1 win 257 ${ts(200)}`);
    expect([t.c.readable, t.c.tsRecent]).toEqual([100, 200]);
    t.rx(`P. 101:201(100) ack 1 win 257 ${ts(4_294_967_295)}`);
    expect(drops(t, 'tcp-paws')).toBe(1);
  });

  test('it is not for RSTs', () => {
    const t = stamped(g).rx(`P. 1:101(100) ack 1 win 257 ${ts(1500)}`);
    t.rx(`R. 101:101(0) ack 1 win 0 ${ts(3)}`);
    expect(t.errors).toEqual(['ECONNRESET']);
  });

  test('§5.5: after 24 days of silence a timestamp proves nothing; the day before it does', () => {
    const day = 24 * 3_600_000;
    const t = stamped(g)
      .rx(`P. 1:101(100) ack 1 win 257 ${ts(1500)}`)
      .at(23 * day);
    t.drain();
    t.rx(`P. 101:201(100) ack 1 win 257 ${ts(1000)}`);
    expect([t.c.readable, drops(t, 'tcp-paws')]).toEqual([100, 1]);
    t.at(25 * day).rx(`P. 101:201(100) ack 1 win 257 ${ts(1000)}`);
    expect([t.c.readable, drops(t, 'tcp-paws')]).toEqual([200, 1]);
  });

  test('SYN-SENT: an answer that echoes what we never sent is refused', () => {
    const t = g.connecting().after(10);
    t.rx(`S. ${g.syn} ack 1 win 1000 <mss 1000,sackOK,TS val 5 ecr 999999,nop,wscale 7>`);
    t.drain();
    expect([t.c.state, drops(t, 'tcp-paws')]).toEqual(['SYN-SENT', 1]);
  });
});

everywhere('RFC 7323 §4: round-trip times from timestamps', (g) => {
  test('an acknowledged retransmission is measured by its echo', () => {
    const t = stamped(g, { profile: { tailLossProbe: false } }).write(10);
    t.tx(`P. 1:11(10) ack 1 ${ts(1100, 1100)}`);
    t.at(400);
    t.tx(`P. 1:11(10) ack 1 ${ts(1400, 1100)}`);
    t.after(50).rx(`. 1:1(0) ack 11 win 257 ${ts(1450, 1400)}`);
    // One of 100 ms, then one of 50.
    expect(t.c.srtt).toBeCloseTo(100 - 50 / 8, 3);
  });

  test('an ACK that acknowledges nothing new is no measurement', () => {
    const t = stamped(g);
    const { srtt } = t.c;
    t.after(5000).rx(`. 1:1(0) ack 1 win 200 ${ts(6000, 1000)}`);
    expect(t.c.srtt).toBe(srtt);
  });
});
