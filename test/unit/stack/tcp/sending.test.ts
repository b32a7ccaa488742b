import * as calls from '../../../../stack/tcp/calls';
import { URGENT } from '../../../../stack/tcp/connection';
import { RFC } from '../../../../stack/tcp/profile';
import { everywhere, tapFrames } from './grounds';

everywhere("MUST-17 (SHLD-7): Nagle's algorithm", (g) => {
  test('on, as it is by default: the second small segment waits for the acknowledgment of the first', () => {
    const t = g.established().write(1).tx('P. 1:2(1) ack 1').write(1).write(1).txNothing();
    t.rx('. 1:1(0) ack 2 win 257').tx('P. 2:4(2) ack 1');
  });

  test('off for a connection: nothing waits; switching it off sends what waits', () => {
    const t = g.established().write(1).tx('P. 1:2(1) ack 1').write(1).txNothing();
    calls.setNoDelay(t.stack.tcp, t.c, true);
    t.tx('P. 2:3(1) ack 1').write(1).tx('P. 3:4(1) ack 1').txNothing();
  });

  test('a whole segment never waits, and a FIN does not either', () => {
    const t = g.established().write(1).tx('P. 1:2(1) ack 1').write(1000).tx('. 2:1002(1000) ack 1').txNothing();
    t.write(5).txNothing().shutdown().tx('FP. 1002:1007(5) ack 1');
  });

  test("Minshall's form lets the tail of a large write go while no small segment is out; the RFC's does not", () => {
    g.established().write(2500).tx('P. 1:2501(2500) ack 1').txNothing();
    const t = g.established({ base: { ...RFC, initialWindow: 10 } }).write(2500);
    t.tx('. 1:2001(2000) ack 1').txNothing().rx('. 1:1(0) ack 2001 win 257').tx('P. 2001:2501(500) ack 1');
  });
});

everywhere('MUST-60, MUST-61 (SHLD-27): pushing', (g) => {
  test('MUST-60: without a PUSH call nothing is kept back for ever', () => {
    const t = g.established().write(1).tx('P. 1:2(1) ack 1').write(500).txNothing();
    t.rx('. 1:1(0) ack 2 win 257').tx('P. 2:502(500) ack 1');
  });

  test('MUST-61: the last segment of what is queued has PSH, those before it do not (SHLD-28: they are whole)', () => {
    const t = g.established();
    const frames = tapFrames(t);
    t.write(3000);
    const at = g.headers - 20 + 13;
    expect(frames.map((frame) => (frame[at]! & 8) !== 0)).toEqual([false, false, true]);
    expect(frames.map((frame) => frame.length - g.headers)).toEqual([1000, 1000, 1000]);
  });
});

everywhere('urgent text', (g) => {
  test('MUST-30, MUST-31, MUST-62: of any length; the pointer is the octet after it, on every segment before', () => {
    const t = g.established();
    calls.send(t.stack.tcp, t.c, new Uint8Array(2500), 0, 2500);
    calls.markUrgent(t.c);
    t.tx('U. 1:1001(1000) ack 1 urg 2500')
      .tx('U. 1001:2001(1000) ack 1 urg 1500')
      .tx('UP. 2001:2501(500) ack 1 urg 500');
    t.rx('. 1:1(0) ack 2501 win 257').write(10).tx('P. 2501:2511(10) ack 1');
  });

  test('MUST-31: further away than the pointer reaches: as far as it does', () => {
    const t = g.established({ profile: { initialWindow: 200 } }, { window: 1000 });
    calls.send(t.stack.tcp, t.c, new Uint8Array(70_000), 0, 70_000);
    calls.markUrgent(t.c);
    const [first] = t.drain();
    expect(first).toContain('urg 65535');
  });

  test('MUST-32: the application is told at once, before the text is there', () => {
    const t = g.established();
    t.rx('U. 1:1(0) ack 1 win 257 urg 700');
    expect([t.signals & URGENT, t.c.readable]).toEqual([URGENT, 0]);
  });

  test('MUST-33: ... and can ask how much of it is left, also of what has not arrived', () => {
    const t = g.established();
    t.rx('U. 1:1(0) ack 1 win 257 urg 700');
    expect(calls.urgentLeft(t.c)).toBe(700);
    t.rx('PU. 1:501(500) ack 1 win 257 urg 700').readSome(200);
    expect(calls.urgentLeft(t.c)).toBe(500);
    t.readSome(300);
    t.rx('P. 501:801(300) ack 1 win 257').read();
    expect(calls.urgentLeft(t.c)).toBe(0);
  });

  test('a pointer into what was received already is old', () => {
    const t = g.established().rx('P. 1:101(100) ack 1 win 257');
    t.rx('U. 51:101(50) ack 1 win 257 urg 20');
    expect([t.signals & URGENT, t.c.urgentIn]).toEqual([0, false]);
  });

  test('a second pointer, further on, is told again; one further back is not', () => {
    const t = g.established().rx('U. 1:1(0) ack 1 win 257 urg 100');
    t.signals = 0;
    t.rx('U. 1:1(0) ack 1 win 257 urg 50');
    expect(t.signals & URGENT).toBe(0);
    t.rx('U. 1:1(0) ack 1 win 257 urg 200');
    expect(t.signals & URGENT).toBe(URGENT);
  });
});

everywhere('IP fields of what is sent', (g) => {
  const octet = (frame: Uint8Array, at4: number, at6: number): number => frame[g.place.family === 4 ? at4 : at6]!;

  test('MUST-48 (SHLD-21, SHLD-22): the application sets DSCP, also while it is connected', () => {
    const t = g.established();
    const frames = tapFrames(t);
    const trafficClass = (frame: Uint8Array): number =>
      g.place.family === 4 ? frame[1]! : ((frame[0]! & 15) << 4) | (frame[1]! >> 4);
    t.write(10);
    t.c.tos = 0xb8;
    t.rx('. 1:1(0) ack 11 win 257').write(10);
    expect(frames.map(trafficClass)).toEqual([0, 0xb8]);
  });

  test('SHLD-22: unless it does, nothing else changes DSCP: repetitions, probes, the end, what the peer sends', () => {
    const t = g.established();
    const frames = tapFrames(t);
    const trafficClass = (frame: Uint8Array): number =>
      g.place.family === 4 ? frame[1]! : ((frame[0]! & 15) << 4) | (frame[1]! >> 4);
    t.c.tos = 0xb8;
    t.write(10);
    t.after(5000).drain();
    t.rx('[tos 0x28] P. 1:11(10) ack 11 win 0').write(10);
    t.after(5000).drain();
    t.rx('. 11:11(0) ack 11 win 257').shutdown();
    t.after(5000).drain();
    expect(frames.length).toBeGreaterThan(6);
    expect(new Set(frames.map(trafficClass))).toEqual(new Set([0xb8]));
  });

  test('MUST-49: and TTL or hop limit', () => {
    const t = g.established();
    const frames = tapFrames(t);
    t.write(10);
    t.c.hopLimit = 7;
    t.rx('. 1:1(0) ack 11 win 257').write(10);
    expect(frames.map((frame) => octet(frame, 8, 7))).toEqual([64, 7]);
  });

  test('RFC 1191 §3: datagrams say that they must not be cut', () => {
    const t = g.established();
    const frames = tapFrames(t);
    t.write(10);
    if (g.place.family === 4) expect(frames[0]![6]! & 0x40).toBe(0x40);
    else expect(frames[0]![6]).toBe(6);
  });
});
