import { RFC } from '../../../../stack/tcp/profile';
import { drops, everywhere } from './grounds';
import type { Harness } from './harness';

const sent = (t: Harness): number => t.drain().length;

everywhere('when received text is acknowledged', (g) => {
  test('MUST-40 (SHLD-18): a lone segment within less than half a second', () => {
    for (const options of [{}, { base: RFC }, { profile: { quickAcks: 0 } }]) {
      const t = g.established(options).rx('P. 1:101(100) ack 1 win 257');
      t.at(100 + 499);
      expect(sent(t)).toBe(1);
    }
  });

  test("SHLD-18: by the RFC's profile it waits for company", () => {
    const t = g.established({ base: RFC }).rx('P. 1:101(100) ack 1 win 257').txNothing();
    t.after(199).txNothing().after(2).tx('. 1:1(0) ack 101');
  });

  test('SHLD-19: at least every second full-sized segment, of an application that reads', () => {
    const t = g.established({ profile: { quickAcks: 0 } });
    t.c.rcvMss = 1000;
    t.rx('. 1:1001(1000) ack 1 win 257').txNothing();
    t.rx('. 1001:2001(1000) ack 1 win 257').tx('. 1:1(0) ack 2001').txNothing();
    t.read();
    t.rx('. 2001:3001(1000) ack 1 win 257').txNothing();
    t.rx('. 3001:4001(1000) ack 1 win 257').tx('. 1:1(0) ack 4001');
  });

  test('MUST-58, MUST-59: ten segments that came together are all dealt with before one ACK', () => {
    const t = g.established();
    const lines = Array.from({ length: 10 }, (_, i) => `. ${1000 * i + 1}:${1000 * i + 1001}(1000) ack 1 win 257`);
    t.rx(...lines)
      .tx('. 1:1(0) ack 10001')
      .txNothing();
  });

  test('an ACK rides on what is sent anyway', () => {
    const t = g
      .established({ profile: { quickAcks: 0 } })
      .rx('P. 1:101(100) ack 1 win 257')
      .txNothing();
    t.write(50).tx('P. 1:51(50) ack 101').after(1000);
    expect(t.drain().every((line) => line.includes('1:51(50)'))).toBe(true);
  });

  test('a pure ACK is not acknowledged', () => {
    const t = g.established().rx('. 1:1(0) ack 1 win 257', '. 1:1(0) ack 1 win 200').after(10_000).txNothing();
    expect(t.c.state).toBe('ESTABLISHED');
  });
});

everywhere('SHLD-31, RFC 5681 §4.2: text out of order', (g) => {
  test('is kept, and every such segment acknowledged at once; so is the one that fills the hole', () => {
    const t = g.established();
    t.rx('. 1001:2001(1000) ack 1 win 257').tx('. 1:1(0) ack 1 <nop,nop,sack 1001:2001>');
    t.rx('. 2001:3001(1000) ack 1 win 257').tx('. 1:1(0) ack 1 <nop,nop,sack 1001:3001>');
    t.rx('. 1:1001(1000) ack 1 win 257').tx('. 1:1(0) ack 3001').txNothing();
    expect(t.read()).toBe(3000);
  });

  test('the segment that fills the hole is acknowledged at once also where ACKs are delayed', () => {
    const t = g.established({ profile: { quickAcks: 0 } });
    t.rx('. 101:201(100) ack 1 win 257').tx('. 1:1(0) ack 1 <nop,nop,sack 101:201>');
    t.rx('. 1:101(100) ack 1 win 257').tx('. 1:1(0) ack 201').txNothing();
  });

  test('a hole filled in part is acknowledged at once as well', () => {
    const t = g.established();
    t.rx('. 2001:3001(1000) ack 1 win 257').tx('. 1:1(0) ack 1 <nop,nop,sack 2001:3001>');
    t.rx('. 1:1001(1000) ack 1 win 257').tx('. 1:1(0) ack 1001 <nop,nop,sack 2001:3001>');
  });

  test('segments that overlap in every way give every byte once', () => {
    const t = g.established();
    const pieces: [number, number][] = [
      [501, 601],
      [551, 701],
      [401, 521],
      [401, 801],
      [1, 101],
      [51, 450],
    ];
    for (const [from, to] of pieces) t.rx(`P. ${from}:${to}(${to - from}) ack 1 win 257`);
    expect([t.read(), t.c.oooNodes]).toEqual([800, 0]);
  });

  test('tiny segments beyond a hole cannot take more memory than the buffer', () => {
    const t = g.established({ profile: { receiveBufferInitial: 8192, receiveBufferMax: 8192, windowScale: 0 } });
    for (let at = 3; at < 8000; at += 2) t.rx(`P. ${at}:${at + 1}(1) ack 1 win 257`);
    expect(t.c.charged).toBeLessThanOrEqual(8192 + 4096 + 65_536);
    t.drain();
  });

  test('... and the text that fills the hole is taken all the same', () => {
    const t = g.established({ profile: { receiveBufferInitial: 8192, receiveBufferMax: 8192, windowScale: 0 } });
    for (let at = 3; at < 8000; at += 2) t.rx(`P. ${at}:${at + 1}(1) ack 1 win 257`);
    t.rx('P. 1:101(100) ack 1 win 257');
    expect(t.c.readable).toBeGreaterThanOrEqual(100);
  });
});

everywhere('RFC 2018: selective acknowledgments that are sent', (g) => {
  test('only when both SYNs had the option', () => {
    const t = g.established({}, { syn: 'mss 1000' });
    t.rx('. 1001:2001(1000) ack 1 win 257').tx('. 1:1(0) ack 1').txNothing();
    const refused = g.established({ profile: { sack: false } });
    refused.rx('. 1001:2001(1000) ack 1 win 257').tx('. 1:1(0) ack 1').txNothing();
  });

  test('§4: the block that holds the newest segment comes first, then those reported before', () => {
    const t = g.established();
    t.rx('. 1001:1501(500) ack 1 win 257').tx('. 1:1(0) ack 1 <nop,nop,sack 1001:1501>');
    t.rx('. 2001:2501(500) ack 1 win 257').tx('. 1:1(0) ack 1 <nop,nop,sack 2001:2501 1001:1501>');
    t.rx('. 3001:3501(500) ack 1 win 257').tx('. 1:1(0) ack 1 <nop,nop,sack 3001:3501 2001:2501 1001:1501>');
    t.rx('. 1501:2001(500) ack 1 win 257').tx('. 1:1(0) ack 1 <nop,nop,sack 1001:2501 3001:3501>');
  });

  test('§4: four blocks fit, three beside timestamps', () => {
    const t = g.established();
    for (let at = 1001; at < 8000; at += 1000) t.rx(`. ${at}:${at + 100}(100) ack 1 win 257`);
    const last = t.drain().at(-1)!;
    expect(last).toContain('sack 7001:7101 6001:6101 5001:5101 4001:4101');
    const stamped = g.established({}, { syn: 'mss 1000,sackOK,TS val 1 ecr 0,nop,wscale 7' });
    for (let at = 1001; at < 8000; at += 1000) {
      stamped.rx(`. ${at}:${at + 100}(100) ack 1 win 257 <nop,nop,TS val ${200 + at} ecr 1000>`);
    }
    expect(stamped.drain().at(-1)!).toMatch(/sack 7001:7101 6001:6101 5001:5101>/);
  });

  test('RFC 2883 §4.1: a duplicate below the ACK is reported first, once', () => {
    const t = g.established().rx('. 1:1001(1000) ack 1 win 257').tx('. 1:1(0) ack 1001');
    t.rx('. 501:1001(500) ack 1 win 257').tx('. 1:1(0) ack 1001 <nop,nop,sack 501:1001>').txNothing();
    t.rx('. 2001:3001(1000) ack 1 win 257').tx('. 1:1(0) ack 1001 <nop,nop,sack 2001:3001>');
  });

  test('RFC 2883 §4.2: a duplicate above it comes before the block that it lies in', () => {
    const t = g.established().rx('. 1001:2001(1000) ack 1 win 257').tx('. 1:1(0) ack 1 <nop,nop,sack 1001:2001>');
    t.rx('. 1001:1501(500) ack 1 win 257').tx('. 1:1(0) ack 1 <nop,nop,sack 1001:1501 1001:2001>');
  });

  test('RFC 2883: where it is switched off no duplicate is reported, wherever it lies', () => {
    const t = g.established({ profile: { dsack: false } });
    t.rx('. 1001:2001(1000) ack 1 win 257').tx('. 1:1(0) ack 1 <nop,nop,sack 1001:2001>');
    t.rx('. 1501:2501(1000) ack 1 win 257').tx('. 1:1(0) ack 1 <nop,nop,sack 1001:2501>');
    t.rx('. 901:1101(200) ack 1 win 257').tx('. 1:1(0) ack 1 <nop,nop,sack 901:2501>');
    t.rx('. 1:1001(1000) ack 1 win 257').tx('. 1:1(0) ack 2501');
    t.rx('. 1:1001(1000) ack 1 win 257').tx('. 1:1(0) ack 2501').txNothing();
  });

  test('RFC 2018 §8: what was reported is kept until it is acknowledged', () => {
    const t = g.established({ profile: { receiveBufferInitial: 20_000, receiveBufferMax: 20_000, windowScale: 0 } });
    for (let at = 1001; at < 15_000; at += 1000) t.rx(`. ${at}:${at + 1000}(1000) ack 1 win 257`);
    t.drain();
    t.rx('. 1:1001(1000) ack 1 win 257').tx('. 1:1(0) ack 15001');
    expect(t.read()).toBe(15_000);
  });
});

everywhere('duplicates', (g) => {
  test('of what was received are acknowledged and dropped', () => {
    const t = g.established({}, { syn: 'mss 1000' }).rx('. 1:1001(1000) ack 1 win 257').tx('. 1:1(0) ack 1001');
    t.rx('. 1:1001(1000) ack 1 win 257').tx('. 1:1(0) ack 1001').txNothing();
    expect([t.c.readable, drops(t, 'tcp-duplicate')]).toEqual([1000, 1]);
  });

  test('bring the part that is new', () => {
    const t = g.established({}, { syn: 'mss 1000' }).rx('. 1:1001(1000) ack 1 win 257').tx('. 1:1(0) ack 1001');
    t.rx('. 501:1501(1000) ack 1 win 257').drain();
    expect(t.c.readable).toBe(1500);
  });

  test('beyond the window are cut to it', () => {
    const t = g.established({ profile: { receiveBufferInitial: 4096, receiveBufferMax: 4096, windowScale: 0 } });
    const window = t.c.rcvWnd;
    t.rx(`P. 1:${window + 501}(${window + 500}) ack 1 win 257`);
    expect(t.c.readable).toBe(window);
  });

  test('wholly beyond it are dropped, with an ACK', () => {
    const t = g.established();
    t.rx('. 2000001:2000101(100) ack 1 win 257').tx('. 1:1(0) ack 1').txNothing();
    expect([t.c.oooNodes, drops(t, 'tcp-out-of-window')]).toEqual([0, 1]);
  });
});
