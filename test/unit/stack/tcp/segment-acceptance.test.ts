import { Segment } from '../../../../stack/tcp/header';
import { acceptable } from '../../../../stack/tcp/segment-arrives';
import { seq } from '../../../../stack/tcp/seq';
import { drops, everywhere } from './grounds';

describe('RFC 9293 §3.10.7.4, first: which segments are acceptable', () => {
  // Length, window, distance from RCV.NXT: the four rows of the table, at and beside their edges.
  const rows: [number, number, number, boolean][] = [
    [0, 0, 0, true],
    [0, 0, 1, false],
    [0, 0, -1, false],
    [0, 10, 0, true],
    [0, 10, 9, true],
    [0, 10, 10, false],
    [0, 10, -1, false],
    [1, 0, 0, false],
    [1, 0, -1, false],
    [5, 10, 0, true],
    [5, 10, 9, true],
    [5, 10, 10, false],
    [5, 10, -4, true],
    [5, 10, -5, false],
    [30, 10, -10, true],
    [30, 10, -30, false],
  ];
  const beginnings = [0, 1000, -1, -3, 0x7fff_ffff, 0x7fff_fffd, -0x8000_0000];
  test.each(rows)(
    'length %d, window %d, %d from RCV.NXT: %s, wherever RCV.NXT is',
    (length, window, away, expected) => {
      for (const rcvNxt of beginnings) {
        const segment = new Segment();
        segment.seq = seq(rcvNxt + away);
        segment.textBytes = length;
        expect(acceptable(segment, seq(rcvNxt), window)).toBe(expected);
      }
    },
  );
});

everywhere('RFC 5961 §3.2: a RST in a synchronised state', (g) => {
  const RESET = 'ECONNRESET';

  test('exactly at RCV.NXT: the connection is reset (in-window RST, exact)', () => {
    const t = g.established();
    t.rx('R 1:1(0) win 0').txNothing();
    expect([t.c.state, t.errors]).toEqual(['CLOSED', [RESET]]);
  });

  test('inside the window, not exact: a challenge ACK, nothing else (in-window RST challenge)', () => {
    for (const offset of [2, 100, 60_000]) {
      const t = g.established();
      t.rx(`R ${offset}:${offset}(0) win 0`).tx('. 1:1(0) ack 1').txNothing();
      expect([t.c.state, t.errors, drops(t, 'tcp-rst-challenge')]).toEqual(['ESTABLISHED', [], 1]);
    }
  });

  test('the last number inside the window is challenged, the first beyond it is not', () => {
    const t = g.established().rx('P. 1:11(10) ack 1 win 257');
    // What the ACK told, in units of its scale.
    const [, units] = / win (\d+)/.exec(t.drain()[0]!)!;
    const edge = 11 + Number(units) * 256;
    t.rx(`R ${edge - 1}:${edge - 1}(0) win 0`)
      .tx('. 1:1(0) ack 11')
      .txNothing();
    t.rx(`R ${edge}:${edge}(0) win 0`).txNothing();
    expect([t.c.state, drops(t, 'tcp-rst-out-of-window')]).toEqual(['ESTABLISHED', 1]);
  });

  test('left of the window: dropped in silence', () => {
    const t = g.established().rx('P. 1:11(10) ack 1 win 257').tx('. 1:1(0) ack 11');
    for (const offset of [10, 1]) t.rx(`R ${offset}:${offset}(0) win 0`).txNothing();
    t.rx('R 2147480000:2147480000(0) win 0').txNothing();
    expect([t.c.state, drops(t, 'tcp-rst-out-of-window')]).toEqual(['ESTABLISHED', 3]);
  });

  test('the true peer answers the challenge with the exact number, and that resets', () => {
    const t = g.established().rx('R 100:100(0) win 0').tx('. 1:1(0) ack 1');
    t.rx('R 1:1(0) win 0');
    expect(t.errors).toEqual([RESET]);
  });

  test('one that begins left of the window is dropped, however far its text reaches', () => {
    const t = g.established().rx('P. 1:11(10) ack 1 win 257').tx('. 1:1(0) ack 11');
    t.rx('R. 1:101(100) ack 1 win 0').txNothing();
    expect([t.c.state, drops(t, 'tcp-rst-out-of-window')]).toEqual(['ESTABLISHED', 1]);
  });

  test('a RST with text or with ACK counts like a bare one (SHLD-2)', () => {
    expect(g.established().rx('R. 1:1(0) ack 1 win 0').errors).toEqual([RESET]);
    expect(g.established().rx('R. 1:9(8) ack 1 win 0').errors).toEqual([RESET]);
  });

  test.each([
    ['FIN-WAIT-1', RESET],
    ['FIN-WAIT-2', RESET],
    ['CLOSE-WAIT', 'EPIPE'],
    ['CLOSING', RESET],
    ['LAST-ACK', RESET],
  ] as const)('in %s the application is told %s', (state, error) => {
    const t = g.established();
    if (state === 'CLOSE-WAIT' || state === 'LAST-ACK') t.rx('F. 1:1(0) ack 1 win 257');
    if (state !== 'CLOSE-WAIT') t.shutdown();
    if (state === 'FIN-WAIT-2') t.rx('. 1:1(0) ack 2 win 257');
    if (state === 'CLOSING') t.rx('F. 1:1(0) ack 1 win 257');
    expect(t.c.state).toBe(state);
    const next = state === 'FIN-WAIT-1' || state === 'FIN-WAIT-2' ? 1 : 2;
    t.rx(`R ${next}:${next}(0) win 0`);
    expect([t.c.state, t.errors]).toEqual(['CLOSED', [error]]);
  });
});

everywhere('RFC 5961 §4.2: a SYN in a synchronised state', (g) => {
  test.each([
    ['inside the window', 100],
    ['at RCV.NXT', 1],
    ['left of the window: the SYN of the beginning again', 0],
    ['far away', 0x4000_0000],
  ])('%s: a challenge ACK, the connection lives (in-window SYN challenge)', (_, offset) => {
    const t = g.established();
    const at = g.raw(offset);
    t.rx(`S ${at}:${at}(0) win 1000 <mss 1000>`).tx('. 1:1(0) ack 1').txNothing();
    expect([t.c.state, t.errors, drops(t, 'tcp-syn-challenge')]).toEqual(['ESTABLISHED', [], 1]);
  });

  test('with ACK and text as well; nothing of it is taken', () => {
    const t = g.established();
    const at = g.raw(1);
    t.rx(`S. ${at}:${(at + 5) >>> 0}(5) ack 1 win 1000 <mss 1000>`)
      .tx('. 1:1(0) ack 1')
      .txNothing();
    expect(t.c.readable).toBe(0);
  });

  test('a peer that has restarted answers the challenge with an exact RST, and can open again', () => {
    const t = g.established();
    t.rx(`S ${g.raw(5000)}:${g.raw(5000)}(0) win 1000 <mss 1000>`).tx('. 1:1(0) ack 1');
    t.rx('R 1:1(0) win 0');
    expect(t.errors).toEqual(['ECONNRESET']);
    expect(t.stack.tcp.connections.size).toBe(0);
  });
});

everywhere('RFC 5961 §5.2: the acknowledgment must be one that can be', (g) => {
  test('of what was never sent: discarded with an ACK, text and all', () => {
    const t = g.established().rx('P. 1:101(100) ack 2 win 257').tx('. 1:1(0) ack 1').txNothing();
    expect([t.c.readable, drops(t, 'tcp-bad-ack')]).toEqual([0, 1]);
    t.rx('P. 1:101(100) ack 1 win 257').tx('. 1:1(0) ack 101');
  });

  test('older than SND.UNA by no more than the largest window ever seen: it is merely old', () => {
    const t = g.established().write(1000).tx('P. 1:1001(1000) ack 1').rx('. 1:1(0) ack 1001 win 257');
    t.rx('P. 1:101(100) ack 1 win 257').tx('. 1001:1001(0) ack 101');
    expect(t.c.readable).toBe(100);
  });

  test('older than that: discarded, the text with it', () => {
    const t = g.established();
    expect(t.c.sndWndMax).toBe(257 * 128);
    for (let end = 1001; end <= 40_001; end += 1000) {
      t.write(1000).rx(`. 1:1(0) ack ${end} win 257`);
      t.drain();
    }
    t.rx('P. 1:101(100) ack 1 win 257').tx('. 40001:40001(0) ack 1').txNothing();
    expect([t.c.readable, drops(t, 'tcp-old-ack')]).toEqual([0, 1]);
  });
});

everywhere('RFC 5961 §7, §10: challenge ACKs are limited', (g) => {
  test('ten thousand forged RSTs and SYNs a second cost ten ACKs, and the next second ten more', () => {
    const t = g.established();
    for (let i = 0; i < 10_000; i++) {
      const at = g.raw(500 + (i % 50));
      t.rx(i % 2 === 0 ? `R ${500 + (i % 50)}:${500 + (i % 50)}(0) win 0` : `S ${at}:${at}(0) win 9`);
    }
    expect(t.drain().length).toBe(10);
    t.after(1000).rx('R 500:500(0) win 0').tx('. 1:1(0) ack 1');
    expect(t.c.state).toBe('ESTABLISHED');
  });
});

everywhere('the right edge of the window', (g) => {
  test('text that reaches beyond it is cut there, and a FIN behind it is not taken', () => {
    const t = g.established({ profile: { receiveBufferInitial: 4096, receiveBufferMax: 4096, windowScale: 0 } });
    const room = (): number => (t.c.rcvEdge - t.c.rcvNxt) | 0;
    for (let at = 1; room() > 1000; at += 1000) t.rx(`. ${at}:${at + 1000}(1000) ack 1 win 257`).after(300);
    t.drain();
    const at = 1 + t.c.bytesReceived;
    const end = at + room();
    t.rx(`FP. ${at}:${end + 200}(${end + 200 - at}) ack 1 win 257`);
    expect([t.c.readable, t.c.state]).toEqual([end - 1, 'ESTABLISHED']);
    t.tx(`. 1:1(0) ack ${end} win 0`);
  });
});

everywhere('a zero window', (g) => {
  /** All of the receive buffer is full of text that the application does not read. */
  const full = (): ReturnType<typeof g.established> => {
    const t = g.established({ profile: { receiveBufferInitial: 4096, receiveBufferMax: 4096, windowScale: 0 } });
    for (let at = 1; t.c.rcvWnd > 0; at = 1 + t.c.bytesReceived) {
      const bytes = Math.min(1000, t.c.rcvWnd);
      t.rx(`P. ${at}:${at + bytes}(${bytes}) ack 1 win 257`).after(300);
    }
    t.drain();
    return t;
  };

  test('MUST-66: a RST at RCV.NXT is processed', () => {
    const t = full();
    const at = 1 + t.c.bytesReceived;
    t.rx(`R ${at}:${at}(0) win 0`);
    expect(t.errors).toEqual(['ECONNRESET']);
  });

  test('MUST-66: a RST at RCV.NXT is processed when it carries text as well', () => {
    const t = full();
    const at = 1 + t.c.bytesReceived;
    t.rx(`R. ${at}:${at + 9}(9) ack 1 win 0`);
    expect(t.errors).toEqual(['ECONNRESET']);
  });

  test('MUST-66: an urgent pointer at RCV.NXT is processed, the text is not taken', () => {
    const t = full();
    const at = 1 + t.c.bytesReceived;
    t.rx(`PU. ${at}:${at + 5}(5) ack 1 win 257 urg 5`);
    expect([t.c.urgentIn, t.c.readable]).toEqual([true, at - 1]);
  });

  test('an acknowledgment at RCV.NXT is processed, with text that does not fit or without', () => {
    const t = full();
    const at = 1 + t.c.bytesReceived;
    t.write(500).tx(`P. 1:501(500) ack ${at}`);
    t.rx(`P. ${at}:${at + 1}(1) ack 501 win 257`);
    expect([t.c.sndUna === t.c.sndNxt, t.c.readable]).toEqual([true, at - 1]);
  });

  test('one byte beyond it is answered with an ACK: that is how windows are probed', () => {
    const t = full();
    const at = 1 + t.c.bytesReceived;
    t.after(1000)
      .rx(`. ${at}:${at + 1}(1) ack 1 win 257`)
      .tx(`. 1:1(0) ack ${at} win 0`);
    t.after(1000)
      .rx(`. ${at - 1}:${at - 1}(0) ack 1 win 257`)
      .tx(`. 1:1(0) ack ${at} win 0`);
    expect(t.c.readable).toBe(at - 1);
  });
});
