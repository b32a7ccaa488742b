import { DROPS, type Drop } from '../../../../stack/base/drops';
import { DEFAULT_LIMITS } from '../../../../stack/stack';
import * as f from '../ip/frames';
import { everywhere, type Ground, receive } from './grounds';
import type { Harness } from './harness';

/** What causes each reason that TCP has to drop a segment. */
const CAUSES: Partial<Record<Drop, (g: Ground) => Harness>> = {
  'tcp-truncated': (g) => {
    const t = g.harness();
    const four = g.place.family === 4;
    const ends = four ? { from: '192.0.2.1', to: '192.168.0.1' } : { from: '2001:db8:2::1', to: '2001:db8:1::1' };
    return receive(t, four ? f.ip4(f.TCP, [1, 2, 3], ends) : f.ip6(f.TCP, [1, 2, 3], ends));
  },
  'tcp-bad-offset': (g) => {
    const frame = g.frame({ flags: 2 });
    frame[g.headers - 20 + 12] = 0x40;
    return receive(g.harness(), frame);
  },
  'tcp-bad-checksum': (g) => {
    const frame = g.frame({ flags: 2 });
    frame[g.headers - 1] = 1;
    return receive(g.harness(), frame);
  },
  'tcp-bad-port': (g) => receive(g.listening(), g.frame({ flags: 2, sport: 0 })),
  'tcp-bad-option': (g) => receive(g.harness(), g.frame({ flags: 2, options: [2, 5, 0, 0] })),
  'tcp-no-connection': (g) => g.harness().rx('. 1:1(0) ack 1 win 9'),
  'tcp-not-unicast': (g) => {
    const t = g.harness();
    const to = g.place.family === 4 ? '192.168.255.255' : 'ff02::1';
    const from = g.place.family === 4 ? '192.0.2.1' : '2001:db8:2::1';
    const body = f.tcp({ from, to, flags: 2, dport: 8080 });
    return receive(t, g.place.family === 4 ? f.ip4(f.TCP, body, { from, to }) : f.ip6(f.TCP, body, { from, to }));
  },
  'tcp-out-of-window': (g) => g.established().rx('P. 9000001:9000002(1) ack 1 win 9'),
  'tcp-bad-ack': (g) => g.established().rx('. 1:1(0) ack 9 win 9'),
  'tcp-old-ack': (g) => g.established().rx('. 1:1(0) ack 3000000000 win 9'),
  'tcp-no-ack': (g) => g.established().rx('P 1:2(1) win 9'),
  'tcp-paws': (g) =>
    g
      .established({}, { syn: 'mss 1000,sackOK,TS val 1000 ecr 0,nop,wscale 7' })
      .rx('. 1:1(0) ack 1 win 9 <nop,nop,TS val 5 ecr 1000>'),
  'tcp-no-timestamp': (g) =>
    g
      .established({ profile: { timestampsRequired: true } }, { syn: 'mss 1000,sackOK,TS val 1000 ecr 0,nop,wscale 7' })
      .rx('. 1:1(0) ack 1 win 9'),
  'tcp-rst-out-of-window': (g) => g.established().rx('R 0:0(0) win 0'),
  'tcp-rst-challenge': (g) => g.established().rx('R 5:5(0) win 0'),
  'tcp-syn-challenge': (g) => g.established().rx(`S ${g.raw(5)}:${g.raw(5)}(0) win 9`),
  'tcp-listen-no-syn': (g) => g.listening().rx('P 1:2(1) win 9'),
  'tcp-syn-backlog-full': (g) => {
    const t = g.listening({ profile: { synCookies: false } }, 1);
    for (let sport = 1; sport <= 3; sport++) receive(t, g.frame({ flags: 2, sport }));
    return t;
  },
  'tcp-accept-queue-full': (g) => {
    const t = g.listening({}, 1);
    t.listener!.owner = null;
    for (let sport = 1; sport <= 3; sport++) {
      receive(t, g.frame({ flags: 2, sport }));
      for (const c of t.stack.tcp.connections) {
        if (c.remotePort === sport) receive(t, g.frame({ flags: 16, sport, seq: 1, iss: c.iss, ack: 1 }));
      }
    }
    return t;
  },
  'tcp-bad-cookie': (g) => {
    // A flood makes the listener answer with cookies; an ACK that carries none of them is a guess.
    const t = g.listening({ profile: { synCookies: true } }, 1);
    for (let sport = 1; sport <= 5; sport++) receive(t, g.frame({ flags: 2, sport }));
    return receive(t, g.frame({ flags: 16, sport: 9, seq: 1, ack: 12_345 }));
  },
  'tcp-receive-buffer-full': (g) => {
    const buffer = { receiveBufferInitial: 8192, receiveBufferMax: 8192, windowScale: 0 };
    const t = g.established({ profile: buffer });
    for (let at = 3; at < 8000; at += 2) t.rx(`P. ${at}:${at + 1}(1) ack 1 win 9`);
    return t;
  },
  'tcp-text-after-close': (g) => g.established().close().rx('P. 1:2(1) ack 2 win 9'),
  'tcp-time-wait': (g) => g.established().shutdown().rx('F. 1:1(0) ack 2 win 9').after(1000).rx('. 2:2(0) ack 2 win 9'),
  'tcp-duplicate': (g) => g.established().rx('P. 1:2(1) ack 1 win 9', 'P. 1:2(1) ack 1 win 9'),
  'memory-pressure': (g) =>
    receive(g.listening({ config: { limits: { ...DEFAULT_LIMITS, connectionsMax: 0 } } }), g.frame({ flags: 2 })),
};

const OURS = DROPS.filter((reason) => reason.startsWith('tcp-') || reason === 'memory-pressure');

test('nothing is listed here that is no reason', () => {
  expect(Object.keys(CAUSES).filter((reason) => !OURS.includes(reason as Drop))).toEqual([]);
});

everywhere('every reason to drop a segment', (g) => {
  test.each(OURS)('%s is produced', (reason) => {
    const cause = CAUSES[reason];
    if (cause === undefined) throw new Error('nothing here causes it');
    expect(cause(g).stack.drops.counts[reason]).toBeGreaterThan(0);
  });
});
