import { CLOSED, END, FAILED, READABLE } from '../../../../stack/tcp/connection';
import { RFC } from '../../../../stack/tcp/profile';
import { drops, everywhere, type Ground } from './grounds';
import type { Harness, HarnessOptions } from './harness';

const waiting = (t: Harness): number => t.stack.tcp.timeWaits.size;
const connections = (t: Harness): number => t.stack.tcp.connections.size;

/** The stack has closed first, the peer as well: TIME-WAIT, its numbers 2 and 2. */
function timeWait(g: Ground, options: HarnessOptions = {}, syn?: string): Harness {
  const t = g.established(options, syn === undefined ? {} : { syn });
  const stamp = (val: number): string => (syn === undefined ? '' : ` <nop,nop,TS val ${val} ecr 1000>`);
  t.shutdown().tx('F. 1:1(0) ack 1 <...>');
  t.rx(`. 1:1(0) ack 2 win 257${stamp(300)}`).txNothing();
  t.rx(`F. 1:1(0) ack 2 win 257${stamp(301)}`)
    .tx('. 2:2(0) ack 2 <...>')
    .txNothing();
  expect([t.c.state, waiting(t), connections(t)]).toEqual(['CLOSED', 1, 0]);
  return t;
}

everywhere('RFC 9293 §3.6: the ways to close', (g) => {
  test('we close first: FIN-WAIT-1, FIN-WAIT-2, TIME-WAIT', () => {
    const t = g.established().shutdown().tx('F. 1:1(0) ack 1');
    expect(t.c.state).toBe('FIN-WAIT-1');
    t.rx('. 1:1(0) ack 2 win 257').txNothing();
    expect(t.c.state).toBe('FIN-WAIT-2');
    t.rx('F. 1:1(0) ack 2 win 257').tx('. 2:2(0) ack 2').txNothing();
    expect([t.c.state, waiting(t)]).toEqual(['CLOSED', 1]);
  });

  test('the peer closes first: CLOSE-WAIT, LAST-ACK, gone', () => {
    const t = g.established().rx('F. 1:1(0) ack 1 win 257').tx('. 1:1(0) ack 2');
    expect(t.c.state).toBe('CLOSE-WAIT');
    t.shutdown().tx('F. 1:1(0) ack 2');
    expect(t.c.state).toBe('LAST-ACK');
    t.rx('. 2:2(0) ack 2 win 257').txNothing();
    expect([t.c.state, waiting(t), connections(t)]).toEqual(['CLOSED', 0, 0]);
  });

  test('both at the same time: CLOSING, TIME-WAIT on either side', () => {
    const t = g.established().shutdown().tx('F. 1:1(0) ack 1');
    t.rx('F. 1:1(0) ack 1 win 257').tx('. 2:2(0) ack 2');
    expect(t.c.state).toBe('CLOSING');
    t.rx('. 2:2(0) ack 2 win 257').txNothing();
    expect([t.c.state, waiting(t)]).toEqual(['CLOSED', 1]);
  });

  test('... the last ACK is lost: our FIN comes again, however often; a newer SYN then takes the place', () => {
    const t = g
      .established({ profile: { tailLossProbe: false } })
      .shutdown()
      .tx('F. 1:1(0) ack 1');
    t.rx('F. 1:1(0) ack 1 win 257').tx('. 2:2(0) ack 2');
    expect(t.c.state).toBe('CLOSING');
    t.after(300).tx('F. 1:1(0) ack 2').after(600).tx('F. 1:1(0) ack 2');
    // The peer waits as well, and acknowledges both.
    t.rx('. 2:2(0) ack 2 win 257', '. 2:2(0) ack 2 win 257').txNothing();
    expect([waiting(t), connections(t)]).toEqual([1, 0]);
    t.rx(`S ${g.raw(90_000)}:${g.raw(90_000)}(0) win 1000 <mss 1000>`);
    expect([waiting(t), connections(t)]).toEqual([0, 1]);
  });

  test('FIN and the acknowledgment of ours in one segment: TIME-WAIT at once', () => {
    const t = g.established().shutdown().tx('F. 1:1(0) ack 1');
    t.rx('F. 1:1(0) ack 2 win 257').tx('. 2:2(0) ack 2');
    expect(waiting(t)).toBe(1);
  });

  test('half close: we receive after our FIN, and the peer after its own', () => {
    const t = g.established().shutdown().tx('F. 1:1(0) ack 1').rx('. 1:1(0) ack 2 win 257');
    t.rx('P. 1:1001(1000) ack 2 win 257').tx('. 2:2(0) ack 1001');
    expect(t.read()).toBe(1000);
    const other = g.established().rx('F. 1:1(0) ack 1 win 257').tx('. 1:1(0) ack 2');
    other.write(1000).tx('P. 1:1001(1000) ack 2').rx('. 2:2(0) ack 1001 win 257');
    expect(other.c.state).toBe('CLOSE-WAIT');
  });

  test('a FIN goes behind what was written, on its last segment', () => {
    const t = g.established();
    t.write(500).tx('P. 1:501(500) ack 1').write(400).txNothing();
    t.shutdown().tx('FP. 501:901(400) ack 1').txNothing();
  });

  test('a FIN that is lost is sent again', () => {
    const t = g
      .established({ profile: { tailLossProbe: false } })
      .shutdown()
      .tx('F. 1:1(0) ack 1');
    t.at(100 + 300)
      .tx('F. 1:1(0) ack 1')
      .txNothing();
  });

  test('nothing can be written after it', () => {
    const t = g.established().shutdown().tx('F. 1:1(0) ack 1');
    expect(t.tryWrite(10)).toBe(0);
    t.shutdown().txNothing();
  });

  test("a peer's FIN beyond a hole counts when the hole is filled", () => {
    const t = g.established().rx('FP. 101:201(100) ack 1 win 257').tx('. 1:1(0) ack 1 <...>');
    expect(t.c.state).toBe('ESTABLISHED');
    t.rx('P. 1:101(100) ack 1 win 257').tx('. 1:1(0) ack 202');
    expect([t.c.state, t.read()]).toEqual(['CLOSE-WAIT', 200]);
  });

  test('RFC 2018: so does one without text, which is reported as text is and need not come again', () => {
    const t = g.established().rx('F. 201:201(0) ack 1 win 257').tx('. 1:1(0) ack 1 <nop,nop,sack 201:202>');
    t.rx('P. 101:201(100) ack 1 win 257').tx('. 1:1(0) ack 1 <nop,nop,sack 101:202>');
    t.rx('P. 1:101(100) ack 1 win 257').tx('. 1:1(0) ack 202');
    expect([t.c.state, t.read()]).toEqual(['CLOSE-WAIT', 200]);
    t.txNothing();
  });

  test('... also where nothing can be reported', () => {
    const t = g.established({}, { syn: 'mss 1000' }).rx('F. 101:101(0) ack 1 win 257').tx('. 1:1(0) ack 1');
    t.rx('P. 1:101(100) ack 1 win 257').tx('. 1:1(0) ack 102');
    expect([t.c.state, t.read()]).toEqual(['CLOSE-WAIT', 100]);
  });

  test("text beyond the peer's FIN does not stay", () => {
    const t = g.established().rx('P. 301:401(100) ack 1 win 257').tx('. 1:1(0) ack 1 <nop,nop,sack 301:401>');
    t.rx('F. 1:1(0) ack 1 win 257').after(300);
    expect(t.drain()).toEqual([expect.stringMatching(/> \. 1:1\(0\) ack 2 win \d+$/)]);
    expect([t.c.charged, t.stack.tcp.store.inUse, t.c.state]).toEqual([0, 0, 'CLOSE-WAIT']);
  });

  test("text behind the peer's FIN is nobody's", () => {
    const t = g.established().rx('F. 1:1(0) ack 1 win 257').tx('. 1:1(0) ack 2');
    t.rx('P. 2:102(100) ack 1 win 257');
    expect([t.c.readable, drops(t, 'tcp-text-after-close')]).toEqual([0, 1]);
  });

  test('a FIN that comes again is acknowledged again', () => {
    const t = g.established().rx('F. 1:1(0) ack 1 win 257').tx('. 1:1(0) ack 2');
    t.after(600).rx('F. 1:1(0) ack 1 win 257').tx('. 1:1(0) ack 2 <...>').txNothing();
    expect(t.c.state).toBe('CLOSE-WAIT');
  });

  test('a CLOSE in SYN-RECEIVED sends the FIN when the handshake is done', () => {
    const t = g.connecting();
    t.rx(`S ${g.syn} win 1000 <mss 1000>`).tx(`S. 0:0(0) ack ${g.synAck} <...>`).shutdown().txNothing();
    t.rx(`. ${g.raw(1)}:${g.raw(1)}(0) ack 1 win 1000`);
    expect([t.c.state, t.drain().length]).toEqual(['FIN-WAIT-1', 1]);
  });

  test("a CLOSE while the peer's window is closed changes the state; the FIN goes out behind the text", () => {
    const t = g.established({}, { window: 0 });
    t.write(100).close();
    expect([t.c.state, t.c.finSent]).toEqual(['FIN-WAIT-1', false]);
    t.drain();
    t.rx('. 1:1(0) ack 1 win 100').tx('FP. 1:101(100) ack 1');
  });
});

everywhere('MUST-12: the application learns how it ended', (g) => {
  test('a normal close is END, after all text; there is no error', () => {
    const t = g.established().rx('P. 1:101(100) ack 1 win 257', 'F. 101:101(0) ack 1 win 257');
    expect([t.signals & (READABLE | END | FAILED), t.errors]).toEqual([READABLE | END, []]);
    t.shutdown();
    t.rx('. 102:102(0) ack 2 win 257');
    expect([t.signals & (FAILED | CLOSED), t.errors]).toEqual([CLOSED, []]);
  });

  test('an abort is an error, and no END', () => {
    const t = g.established().rx('P. 1:101(100) ack 1 win 257', 'R 101:101(0) win 0');
    expect([t.signals & (READABLE | END | FAILED | CLOSED), t.errors]).toEqual([
      READABLE | FAILED | CLOSED,
      ['ECONNRESET'],
    ]);
    // What had arrived before may still be read.
    expect(t.read()).toBe(100);
  });

  test('a peer that does not answer is ETIMEDOUT', () => {
    const t = g.established().write(10);
    t.at(2_000_000);
    expect(t.errors).toEqual(['ETIMEDOUT']);
  });
});

everywhere('MUST-13: TIME-WAIT', (g) => {
  test('lasts 2 MSL: 60 s as Linux has it, 240 s as the RFC', () => {
    for (const [base, lastsMs] of [
      [undefined, 60_000],
      [RFC, 240_000],
    ] as const) {
      const t = timeWait(g, { base });
      t.at(100 + lastsMs - 1);
      expect(waiting(t)).toBe(1);
      t.at(100 + lastsMs);
      expect(waiting(t)).toBe(0);
    }
  });

  test('a FIN that comes again is acknowledged and starts the wait anew', () => {
    const t = timeWait(g);
    t.at(50_000).rx('F. 1:1(0) ack 2 win 257').tx('. 2:2(0) ack 2').txNothing();
    t.at(100_000);
    expect(waiting(t)).toBe(1);
    t.at(110_001);
    expect(waiting(t)).toBe(0);
    t.rx('F. 1:1(0) ack 2 win 257').tx('R 2:2(0) win 0');
  });

  test('old text is acknowledged, not taken; so often a second that no loop of ACKs begins', () => {
    const t = timeWait(g);
    t.after(1000);
    for (let i = 0; i < 50; i++) t.rx('P. 1:2(1) ack 2 win 257');
    expect(t.drain()).toEqual([expect.stringContaining('. 2:2(0) ack 2')]);
    expect(drops(t, 'tcp-time-wait')).toBe(50);
  });

  test('a pure ACK gets no answer', () => {
    const t = timeWait(g);
    t.after(1000).rx('. 2:2(0) ack 2 win 257').txNothing();
  });

  test('RST in TIME-WAIT, as Linux has it: an exact one ends it', () => {
    const t = timeWait(g);
    t.after(1000).rx('R 1:1(0) win 0', 'R 3:3(0) win 0').txNothing();
    expect(waiting(t)).toBe(1);
    t.rx('R 2:2(0) win 0').txNothing();
    expect(waiting(t)).toBe(0);
  });

  test('RST in TIME-WAIT, RFC 1337: none ends it', () => {
    const t = timeWait(g, { profile: { protectTimeWait: true } });
    t.after(1000).rx('R 2:2(0) win 0', 'R. 2:2(0) ack 2 win 0').txNothing();
    expect(waiting(t)).toBe(1);
  });

  test('the oldest makes room when there are too many', () => {
    const limits = { ...g.harness().stack.config.limits, timeWaitsMax: 1 };
    const t = timeWait(g, { config: { limits } });
    t.rx(`S ${g.raw(1000)}:${g.raw(1000)}(0) win 1000 <mss 1000>`);
    expect([waiting(t), connections(t)]).toEqual([0, 1]);
  });
});

everywhere('RFC 6191, RFC 9293 §3.6.1: a SYN in TIME-WAIT', (g) => {
  const stamps = 'mss 1000,sackOK,TS val 200 ecr 0,nop,wscale 7';
  const syn = (offset: number, options: string): string =>
    `S ${g.raw(offset)}:${g.raw(offset)}(0) win 1000 <mss 1000${options}>`;

  test('beyond the old numbers: a new connection, which begins beyond our own', () => {
    const t = timeWait(g);
    const old = t.c.sndNxt;
    t.after(1000).rx(syn(50, ''));
    expect([waiting(t), connections(t)]).toEqual([0, 1]);
    const [c] = [...t.stack.tcp.connections];
    expect((c!.iss - old) | 0).toBeGreaterThan(0);
  });

  test('within them: an ACK, and the wait goes on', () => {
    const t = timeWait(g);
    t.after(1000).rx(syn(1, '')).tx('. 2:2(0) ack 2').txNothing();
    expect([waiting(t), connections(t)]).toEqual([1, 0]);
  });

  test('with a newer timestamp: a new connection, whatever its number (SHLD-4)', () => {
    const t = timeWait(g, {}, stamps);
    t.after(1000).rx(syn(1, ',sackOK,TS val 900 ecr 0'));
    expect([waiting(t), connections(t)]).toEqual([0, 1]);
  });

  test('with an older timestamp: an old duplicate, an ACK', () => {
    const t = timeWait(g, {}, stamps);
    t.after(1000).rx(syn(50, ',sackOK,TS val 250 ecr 0')).tx('. 2:2(0) ack 2 <...>').txNothing();
    expect([waiting(t), connections(t)]).toEqual([1, 0]);
  });

  test('the application may open again from the same port itself', () => {
    const t = timeWait(g);
    t.after(1000);
    t.connect().tx('S 0:0(0) <...>');
    expect([waiting(t), connections(t)]).toEqual([0, 1]);
  });

  test('... with numbers beyond all that it sent, though that was more than the clock has counted', () => {
    const t = g.established({}, { window: 60_000 });
    const sentUntil = (): number => (t.c.sndNxt - t.c.iss) >>> 0;
    for (let written = 0; written < 2_000_000; ) {
      written += t.tryWrite(100_000);
      t.rx(`. 1:1(0) ack ${sentUntil()} win 60000`).drain();
    }
    t.shutdown();
    while (t.c.state !== 'FIN-WAIT-2') t.rx(`. 1:1(0) ack ${sentUntil()} win 60000`).drain();
    const end = t.rx(`F. 1:1(0) ack ${sentUntil()} win 60000`).c.sndNxt;
    expect(waiting(t)).toBe(1);
    t.drain();
    t.after(10).connect();
    expect((t.c.iss - end) | 0).toBeGreaterThan(0);
  });
});

everywhere('SHLD-3: what is lost at close is told to the peer', (g) => {
  test('text that was not read: a RST instead of a FIN', () => {
    const t = g.established().rx('P. 1:101(100) ack 1 win 257');
    t.drain();
    t.close().tx('R. 1:1(0) ack 101').txNothing();
    expect([t.c.state, t.stack.tcp.store.inUse]).toEqual(['CLOSED', 0]);
  });

  test('text that comes after the close: a RST', () => {
    const t = g.established().close().tx('F. 1:1(0) ack 1');
    t.rx('P. 1:101(100) ack 2 win 257').tx('R 2:2(0) win 0').txNothing();
    expect([connections(t), drops(t, 'tcp-text-after-close')]).toEqual([0, 1]);
  });

  test('all was read: a FIN', () => {
    const t = g.established().rx('P. 1:101(100) ack 1 win 257').tx('. 1:1(0) ack 101');
    t.read();
    t.close().tx('F. 1:1(0) ack 101').txNothing();
  });

  test('linger 0: a RST in any case', () => {
    const t = g.established();
    t.c.linger = 0;
    t.close().tx('R. 1:1(0) ack 1').txNothing();
    expect(connections(t)).toBe(0);
  });

  test('ABORT: a RST at SND.NXT, nothing is sent any more', () => {
    const t = g.established().write(5000);
    t.drain();
    t.abort().tx('R. 5001:5001(0) ack 1').txNothing().after(10_000).txNothing();
    expect([t.c.state, t.stack.blocks.inUse, t.stack.tcp.sent.inUse]).toEqual(['CLOSED', 0, 0]);
  });
});

everywhere('FIN-WAIT-2', (g) => {
  const finWait2 = (options: HarnessOptions = {}): Harness =>
    g.established(options).close().tx('F. 1:1(0) ack 1').rx('. 1:1(0) ack 2 win 257');

  test('of a connection that nobody holds ends after 60 s as Linux has it', () => {
    const t = finWait2().at(60_099);
    expect([t.c.state, connections(t)]).toEqual(['FIN-WAIT-2', 1]);
    t.at(60_100).txNothing();
    expect(connections(t)).toBe(0);
    // The peer's FIN, when it comes at last, meets nobody.
    t.rx('F. 1:1(0) ack 2 win 257').tx('R 2:2(0) win 0');
  });

  test('... and never by the RFC', () => {
    const t = finWait2({ base: RFC }).at(30 * 24 * 3_600_000);
    expect(t.c.state).toBe('FIN-WAIT-2');
  });

  test('of one that is held lasts as long as the peer wants', () => {
    const t = g.established().shutdown().tx('F. 1:1(0) ack 1').rx('. 1:1(0) ack 2 win 257');
    t.at(24 * 3_600_000).txNothing();
    expect(t.c.state).toBe('FIN-WAIT-2');
  });
});
