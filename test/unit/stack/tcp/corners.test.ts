import * as calls from '../../../../stack/tcp/calls';
import { URGENT } from '../../../../stack/tcp/connection';
import { applySettings, Settings } from '../../../../stack/tcp/settings';
import { drops, everywhere } from './grounds';
import type { Harness } from './harness';

/* Rules at the places where two of them meet: each was broken on purpose before, and nothing noticed. */

const EPOCH = 1_000_000;
const buffer = { receiveBufferInitial: 20_000, receiveBufferMax: 20_000 };

everywhere('what stands at the edge of the window', (g) => {
  /** The peer has filled the window to the last byte; nothing was read. */
  function filled(): Harness {
    const t = g.established({ profile: buffer });
    for (let at = 1; ; ) {
      const bytes = Math.min(1000, (t.c.rcvEdge - t.c.rcvNxt) | 0);
      if (bytes === 0) break;
      t.rx(`P. ${at}:${at + bytes}(${bytes}) ack 1 win 257`)
        .after(300)
        .drain();
      at += bytes;
    }
    return t;
  }

  test('RFC 9293 §3.10.7.4: a closed window takes neither text nor the FIN behind it', () => {
    const t = filled();
    const next = (t.c.rcvNxt - t.c.irs) >>> 0;
    t.rx(`FP. ${next}:${next + 10}(10) ack 1 win 257`);
    expect([t.c.state, (t.c.rcvNxt - t.c.irs) >>> 0]).toEqual(['ESTABLISHED', next]);
    // Read, and sent again, both count.
    t.read();
    t.drain();
    t.rx(`FP. ${next}:${next + 10}(10) ack 1 win 257`);
    expect([t.c.state, t.read()]).toEqual(['CLOSE-WAIT', 10]);
  });

  test('a FIN is no text: it goes into a closed window', () => {
    g.established({}, { window: 0 }).shutdown().tx('F. 1:1(0) ack 1');
  });

  test('MUST-38: a peer whose window holds no two segments gets smaller ones', () => {
    const t = g.received({}, 'win 1280 <mss 1000>').rx('. 1:1(0) ack 1 win 1280').write(5000);
    t.tx('. 1:641(640) ack 1').tx('. 641:1281(640) ack 1').txNothing();
  });

  test('RFC 7323 §2: without the peer’s scale our window is not scaled either', () => {
    const t = g.connecting().rx(`S. ${g.syn} ack 1 win 500 <mss 1000>`);
    expect([t.c.sndScale, t.c.rcvScale]).toEqual([0, 0]);
    t.tx(`. 1:1(0) ack 1 win ${t.c.rcvWnd}`);
  });
});

everywhere('what comes after the end', (g) => {
  test('urgent text behind the peer’s FIN is nobody’s', () => {
    const t = g.established().rx('F. 1:1(0) ack 1 win 257');
    t.signals = 0;
    t.rx('U. 2:2(0) ack 1 win 257 urg 5');
    expect([t.signals & URGENT, t.c.urgentIn]).toEqual([0, false]);
  });

  test('SHLD-3: text that nobody will read earns a RST beyond a hole as well, and partly new', () => {
    const beyond = g.established().close().tx('F. 1:1(0) ack 1');
    beyond.rx('P. 101:201(100) ack 2 win 257').tx('R 2:2(0) win 0').txNothing();
    const overlapping = g.established().rx('P. 1:101(100) ack 1 win 257');
    overlapping.read();
    overlapping.close().drain();
    overlapping.rx('P. 51:151(100) ack 2 win 257').tx('R 2:2(0) win 0').txNothing();
  });

  test('SHLD-3: text beyond a hole is unread text, too', () => {
    const t = g.established().rx('P. 101:201(100) ack 1 win 257');
    t.drain();
    t.close().tx('R. 1:1(0) ack 1').txNothing();
  });

  test('RFC 6191: a SYN,ACK opens nothing in TIME-WAIT', () => {
    const t = g.established().shutdown().tx('F. 1:1(0) ack 1').rx('F. 1:1(0) ack 2 win 257').tx('. 2:2(0) ack 2');
    t.after(1000)
      .rx(`S. ${g.raw(50)}:${g.raw(50)}(0) ack 2 win 1000 <mss 1000>`)
      .tx('. 2:2(0) ack 2')
      .txNothing();
    expect([t.stack.tcp.timeWaits.size, t.stack.tcp.connections.size]).toEqual([1, 0]);
  });
});

everywhere('how often, and how long', (g) => {
  test('RFC 5961 §7: segments out of place are acknowledged twice a second at most', () => {
    const t = g.established();
    const far = 10_000_000;
    for (let i = 0; i < 100; i++) t.after(10).rx(`. ${far}:${far}(0) ack 1 win 257`);
    expect(t.drain().length).toBe(2);
    expect(drops(t, 'tcp-out-of-window')).toBe(100);
  });

  test('RFC 7323 §4.3: TSecr follows the peer’s clock as the text does', () => {
    const t = g.established({}, { syn: 'mss 1000,sackOK,TS val 1000 ecr 0,nop,wscale 7' });
    for (let i = 0; i < 5; i++) {
      const [at, val] = [1 + 10 * i, 2000 + 100 * i];
      t.after(100).rx(`P. ${at}:${at + 10}(10) ack 1 win 257 <nop,nop,TS val ${val} ecr 1000>`);
      t.after(300).drain();
      expect(t.c.tsRecent).toBe(val);
    }
  });

  test('RFC 5482: of keep-alive probes the user timeout says how many are too many', () => {
    const t = g.established();
    calls.setKeepAlive(t.stack.tcp, t.c, true, 10_000, 1000, 2, EPOCH + t.nowMs);
    t.c.userTimeout = 15_000;
    for (let ms = 10_000; ms < 15_000; ms += 1000) t.at(100 + ms).tx('. 0:0(0) ack 1');
    expect(t.errors).toEqual([]);
    t.at(100 + 15_000).tx('R. 1:1(0) ack 1');
    expect(t.errors).toEqual(['ETIMEDOUT']);
  });

  test('MUST-47: an error that progress has refuted does not name the end', () => {
    const t = g.established().write(10);
    t.drain();
    t.c.softError = 'EHOSTUNREACH';
    t.rx('. 1:1(0) ack 11 win 257').write(10).after(3_600_000);
    expect([t.c.state, t.errors]).toEqual(['CLOSED', ['ETIMEDOUT']]);
  });

  test('corked text waits for a whole segment, or for the cork', () => {
    const t = g.established();
    const settings = new Settings();
    settings.corked = true;
    applySettings(t.stack.tcp, t.c, settings, EPOCH + t.nowMs);
    t.write(600).after(100).txNothing().write(600).tx('. 1:1001(1000) ack 1').txNothing();
    settings.corked = false;
    applySettings(t.stack.tcp, t.c, settings, EPOCH + t.nowMs);
    t.after(0).tx('P. 1001:1201(200) ack 1').txNothing();
  });
});
