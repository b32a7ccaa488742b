import { everywhere } from './grounds';
import type { Harness } from './harness';

/** The text the stack has sent since the last look: from the first to one past the last byte; [0, 0]: none. */
function sentRange(t: Harness): [number, number] {
  let first = 0;
  let last = 0;
  for (const line of t.drain()) {
    const found = / (\d+):(\d+)\((\d+)\)/.exec(line)!;
    if (found[3] === '0') continue;
    if (first === 0) first = Number(found[1]);
    last = Math.max(last, Number(found[2]));
  }
  return [first, last];
}

/** The window told by the last segment sent, in bytes. */
function toldWindow(t: Harness): number {
  const line = t.drain().at(-1)!;
  return Number(/ win (\d+)/.exec(line)![1]) << t.c.rcvScale;
}

everywhere('the send window', (g) => {
  test.each([0x8000, 0xffff])('MUST-1: the window field is unsigned: %d bytes in flight', (window) => {
    const t = g.listening({ profile: { initialWindow: 1000 } });
    t.rx(`S ${g.syn} win ${window} <mss 1000>`).tx(`S. 0:0(0) ack ${g.synAck} <...>`);
    t.rx(`. 1:1(0) ack 1 win ${window}`).write(100_000);
    expect(sentRange(t)).toEqual([1, 1 + window - (window % 1000)]);
  });

  test('the last bytes of a window that no whole segment fits are left (MUST-38)', () => {
    const t = g.established({}, { window: 0 });
    t.rx('. 1:1(0) ack 1 win 20').write(10_000);
    expect(sentRange(t)).toEqual([1, 2001]);
  });

  test('WL1/WL2: an old segment does not change the window', () => {
    const t = g.established();
    t.rx('P. 1:101(100) ack 1 win 257', 'P. 201:301(100) ack 1 win 100').drain();
    expect(t.c.sndWnd).toBe(12_800);
    // It is wanted, it fills the hole; but it left before the one that said 100.
    t.rx('P. 101:201(100) ack 1 win 5');
    expect([t.c.sndWnd, t.c.readable]).toEqual([12_800, 300]);
    t.rx('. 301:301(0) ack 1 win 7');
    expect(t.c.sndWnd).toBe(896);
  });

  test('WL1/WL2: of equal segments the one that acknowledges less is old', () => {
    const t = g.established().write(2000);
    t.rx('. 1:1(0) ack 2001 win 50').rx('. 1:1(0) ack 1001 win 200');
    expect(t.c.sndWnd).toBe(6400);
    t.rx('. 1:1(0) ack 2001 win 60');
    expect(t.c.sndWnd).toBe(7680);
  });

  test('RFC 7323 §2: the window of a SYN is not scaled, every later one is', () => {
    const t = g.listening();
    t.rx(`S ${g.syn} win 500 <mss 1000,nop,wscale 7>`).tx(`S. 0:0(0) ack ${g.synAck} <...>`);
    expect([...t.stack.tcp.connections][0]!.sndWnd).toBe(500);
    t.rx('. 1:1(0) ack 1 win 500');
    expect(t.c.sndWnd).toBe(64_000);
    const opened = g.opened({}, 'win 500 <mss 1000,nop,wscale 3>');
    expect(opened.c.sndWnd).toBe(500);
    opened.rx('. 1:1(0) ack 1 win 500');
    expect(opened.c.sndWnd).toBe(4000);
  });

  test('RFC 7323 §2: a shift beyond 14 is used as 14', () => {
    const t = g.received({}, 'win 500 <mss 1000,nop,wscale 15>').rx('. 1:1(0) ack 1 win 1');
    expect([t.c.sndScale, t.c.sndWnd]).toEqual([14, 16_384]);
  });

  test('RFC 7323 §2: scaling needs the option of both sides', () => {
    const t = g.listening();
    t.rx(`S ${g.syn} win 500 <mss 1000>`).tx(`S. 0:0(0) ack ${g.synAck} <mss ${1500 - g.headers}>`);
    t.rx('. 1:1(0) ack 1 win 500');
    expect([t.c.sndScale, t.c.rcvScale, t.c.sndWnd]).toEqual([0, 0, 500]);
    const none = g.listening({ profile: { windowScale: -1 } });
    none.rx(`S ${g.syn} win 500 <mss 1000,nop,wscale 7>`).tx(`S. 0:0(0) ack ${g.synAck} <mss ${1500 - g.headers}>`);
  });

  test("RFC 7323 §2: a SYN,ACK's window of 65535 is not scaled, whatever its shift", () => {
    const t = g.opened({}, 'win 65535 <mss 1000,nop,wscale 7>');
    expect(t.c.sndWnd).toBe(65_535);
  });
});

everywhere('MUST-34 (SHLD-15 to SHLD-17): the peer shrinks its window', (g) => {
  test('from 10,000 to 2,000 with 8,000 in flight: nothing new, no abort, and it goes on afterwards', () => {
    const t = g.established({}, { window: 80 });
    t.write(20_000);
    expect(sentRange(t)).toEqual([1, 10_001]);
    t.rx('. 1:1(0) ack 2001 win 16').txNothing();
    expect(t.c.sndWnd).toBe(2048);
    // What is in flight is acknowledged: within the window from there, text goes on.
    t.rx('. 1:1(0) ack 10001 win 16');
    expect(sentRange(t)).toEqual([10_001, 12_001]);
    t.rx('. 1:1(0) ack 12001 win 257');
    expect(sentRange(t)).toEqual([12_001, 20_001]);
    expect(t.errors).toEqual([]);
  });

  test('to nothing over what is in flight: it is sent again, as a probe, and the connection lives', () => {
    const t = g.established({ profile: { tailLossProbe: false } }).write(5000);
    t.drain();
    t.rx('. 1:1(0) ack 1 win 0');
    t.at(30_000);
    const [first, last] = sentRange(t);
    expect([first, last]).toEqual([1, 1001]);
    expect(t.errors).toEqual([]);
    t.rx('. 1:1(0) ack 5001 win 257').write(10);
    expect(sentRange(t)).toEqual([5001, 5011]);
  });
});

everywhere('MUST-35, MUST-36, MUST-37: a closed window', (g) => {
  test('is probed, at growing distances (SHLD-29, SHLD-30); opening it lets text go at once', () => {
    const t = g.established({}, { window: 0 }).write(3000).txNothing();
    const times: number[] = [];
    for (let i = 0; i < 4; i++) {
      t.at(t.stack.nextDeadline() - 1_000_000).tx('. 0:0(0) ack 1');
      times.push(t.nowMs);
      t.rx('. 1:1(0) ack 1 win 0');
    }
    const gaps = times.slice(1).map((at, i) => at - times[i]!);
    for (let i = 1; i < gaps.length; i++) expect(gaps[i]! / gaps[i - 1]!).toBeCloseTo(2, 1);
    t.rx('. 1:1(0) ack 1 win 257');
    expect(sentRange(t)).toEqual([1, 3001]);
  });

  test('MUST-37: it lives as long as the peer answers, and no longer than fifteen probes without an answer', () => {
    const t = g.established({}, { window: 0 }).write(100);
    for (let i = 0; i < 100; i++) {
      t.at(t.stack.nextDeadline() - 1_000_000);
      t.drain();
      t.rx('. 1:1(0) ack 1 win 0');
    }
    expect([t.c.state, t.errors]).toEqual(['ESTABLISHED', []]);
    expect(t.nowMs).toBeGreaterThan(3 * 3_600_000);
    t.at(t.nowMs + 24 * 3_600_000);
    expect(t.errors).toEqual(['ETIMEDOUT']);
  });
});

everywhere('MUST-38: no silly windows from the sender', (g) => {
  test('a peer that offers a few bytes at a time is sent whole segments, or what a timer says', () => {
    const t = g.established({}, { syn: 'mss 1000', window: 0 }).write(5000).txNothing();
    for (let window = 1; window <= 400; window += 40) t.rx(`. 1:1(0) ack 1 win ${window}`).txNothing();
    // Half of the largest window ever offered is worth a segment (RFC 9293 §3.8.6.2.1 (3)).
    t.rx('. 1:1(0) ack 1 win 1000').tx('. 1:1001(1000) ack 1').txNothing();
  });

  test('the override timer sends what the window lets through, in 0.1 to 1 s and more where the path is slower', () => {
    const t = g.established({}, { syn: 'mss 1000', window: 0 }).write(5000);
    const at = t.nowMs;
    t.rx('. 1:1(0) ack 1 win 100').txNothing();
    t.at(t.stack.nextDeadline() - 1_000_000).tx('. 1:101(100) ack 1');
    expect(t.nowMs - at).toBeGreaterThanOrEqual(100);
    expect(t.nowMs - at).toBeLessThanOrEqual(1000);
  });
});

everywhere('MUST-39: no silly windows from the receiver', (g) => {
  const buffer = { receiveBufferInitial: 20_000, receiveBufferMax: 20_000, windowScale: 0 };

  test('an application that reads single bytes opens the window in steps of a segment', () => {
    const t = g.established({ profile: buffer });
    let at = 1;
    for (; t.c.rcvWnd >= 1000; at += 1000) {
      t.rx(`P. ${at}:${at + 1000}(1000) ack 1 win 257`).after(300);
      t.drain();
    }
    const windows = new Set<number>();
    for (let i = 0; i < 6000 && t.c.readable > 0; i++) {
      t.readSome(1);
      for (const line of t.drain()) windows.add(Number(/ win (\d+)/.exec(line)![1]));
    }
    const steps = [...windows];
    expect(steps.length).toBeGreaterThan(0);
    for (let i = 1; i < steps.length; i++) expect(steps[i]! - steps[i - 1]!).toBeGreaterThanOrEqual(1000);
  });

  test('while segments keep coming its edge moves in steps of a segment as well', () => {
    const t = g.established({ profile: buffer });
    let at = 1;
    for (; t.c.rcvWnd >= 2000; at += 1000) {
      t.rx(`P. ${at}:${at + 1000}(1000) ack 1 win 257`).after(300);
      t.drain();
    }
    const edges = new Set<number>();
    for (let i = 0; i < 40; i++, at += 10) {
      t.readSome(400);
      t.rx(`P. ${at}:${at + 10}(10) ack 1 win 257`).after(300);
      for (const line of t.drain()) {
        const [, acked, window] = / ack (\d+) win (\d+)/.exec(line)!;
        edges.add(Number(acked) + Number(window));
      }
    }
    const steps = [...edges].sort((a, b) => a - b);
    expect(steps.length).toBeGreaterThan(5);
    for (let i = 1; i < steps.length; i++) expect(steps[i]! - steps[i - 1]!).toBeGreaterThanOrEqual(1000);
  });

  test('SHLD-14: the right edge never moves left', () => {
    const t = g.established({ profile: buffer });
    let edge = 0;
    for (let at = 1; at < 30_000; at += 700) {
      t.rx(`P. ${at}:${at + 700}(700) ack 1 win 257`).after(300);
      for (const line of t.drain()) {
        const [, ack, window] = / ack (\d+) win (\d+)/.exec(line)!;
        expect(Number(ack) + Number(window)).toBeGreaterThanOrEqual(edge);
        edge = Number(ack) + Number(window);
      }
      if (at % 2 === 1) t.readSome(600);
    }
    expect(edge).toBeGreaterThan(20_000);
  });

  test('what is told on any other occasion does not grow in small steps either', () => {
    const t = g.established({ profile: buffer });
    let at = 1;
    while (t.c.rcvWnd > 0) {
      const bytes = Math.min(1000, t.c.rcvWnd);
      t.rx(`P. ${at}:${at + bytes}(${bytes}) ack 1 win 257`).after(300);
      at += bytes;
      t.drain();
    }
    // The peer probes while the application takes a little at a time.
    for (let taken = 0; taken < 900; taken += 100) {
      t.readSome(100);
      t.drain();
      t.after(1000).rx(`. ${at - 1}:${at - 1}(0) ack 1 win 257`);
      expect(toldWindow(t)).toBe(0);
    }
    t.readSome(4000);
    t.drain();
    t.after(1000).rx(`. ${at - 1}:${at - 1}(0) ack 1 win 257`);
    expect(toldWindow(t)).toBeGreaterThanOrEqual(1000);
  });

  test('RFC 7323 §2.4: what was inside any window ever told is taken, though the scale made a later one smaller', () => {
    const profile = { receiveBufferInitial: 40_000, receiveBufferMax: 40_000, windowScale: 14 };
    const t = g.established({ profile }).rx('P. 1:1001(1000) ack 1 win 257');
    const edge = 1001 + toldWindow(t);
    expect(edge).toBe(1001 + 32_768);
    // Text beyond a hole fills the buffer: the next window cannot be rounded up any more.
    t.rx('P. 20001:30001(10000) ack 1 win 257').drain();
    t.rx('P. 1001:1501(500) ack 1 win 257');
    expect(1501 + toldWindow(t)).toBeLessThan(18_000);
    t.rx('P. 18001:19001(1000) ack 1 win 257').drain();
    t.rx('P. 1501:18001(16500) ack 1 win 257');
    expect(t.c.readable).toBe(19_000);
  });

  test('a buffer below one step of the scale still opens a window', () => {
    const t = g.established({ profile: { receiveBufferInitial: 5000, receiveBufferMax: 5000, windowScale: 14 } });
    t.rx('P. 1:1001(1000) ack 1 win 257').after(300);
    expect(toldWindow(t)).toBe(0);
    t.read();
    expect(toldWindow(t)).toBe(16_384);
  });
});
