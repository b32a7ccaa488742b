import { dissect } from '../../../../tools/pcap/dissect';
import { FlowTracker } from '../../../../tools/pcap/flows';
import { type TcpFields, tcp } from '../frames';

const WSCALE = [3, 3, 2, 1];
const sack = (from: number, to: number): number[] => [
  1,
  1,
  5,
  10,
  ...[from, to].flatMap((n) => [n >>> 24, (n >>> 16) & 255, (n >>> 8) & 255, n & 255]),
];

/** A conversation: `c` sends from the client, `s` from the server, at a time in ms; each returns the notes. */
class Talk {
  readonly tracker = new FlowTracker();
  now = 0;

  private send(fields: TcpFields, point: string): string[] {
    const frame = tcp(fields);
    const view = this.tracker.observe(dissect(frame, 0, frame.length, 'ip'), this.now, point);
    return view!.notes;
  }
  c(seq: number, ack: number, length = 0, more: TcpFields = {}, point = ''): string[] {
    return this.send({ flags: '.', seq: 1000 + seq, ack: 9000 + ack, text: 'x'.repeat(length), ...more }, point);
  }
  s(seq: number, ack: number, length = 0, more: TcpFields = {}, point = ''): string[] {
    const back = { from: '10.77.0.2', to: '10.77.0.1', sport: 80, dport: 51234 };
    const fields = { flags: '.', seq: 9000 + seq, ack: 1000 + ack, text: 'x'.repeat(length), ...back, ...more };
    return this.send(fields, point);
  }
  /** A handshake of 20 ms. */
  open(): this {
    expect(this.c(0, 0, 0, { flags: 'S', options: WSCALE })).toEqual([]);
    expect(this.s(0, 1, 0, { flags: 'S.', options: WSCALE })).toEqual([]);
    this.now = 20;
    expect(this.c(1, 1)).toEqual([]);
    return this;
  }
}

describe('what a segment is in the light of those before', () => {
  test('an ordinary exchange has nothing to remark', () => {
    const t = new Talk().open();
    expect(t.c(1, 1, 100)).toEqual([]);
    expect(t.s(1, 101, 500)).toEqual([]);
    expect(t.s(501, 101, 500)).toEqual([]);
    expect(t.c(101, 1001)).toEqual([]);
    expect(t.c(101, 1001, 0, { flags: 'F.' })).toEqual([]);
    expect(t.s(1001, 102, 0, { flags: 'F.' })).toEqual([]);
    expect(t.c(102, 1002)).toEqual([]);
    expect(t.tracker.flows).toMatchObject([
      { number: 1, packets: 10, bytes: [100, 1000], closed: 'fin', retransmissions: 0 },
    ]);
  });

  test('SYN, text and FIN sent again', () => {
    const t = new Talk();
    t.c(0, 0, 0, { flags: 'S' });
    expect(t.c(0, 0, 0, { flags: 'S' })).toEqual(['retransmission']);
    t.s(0, 1, 0, { flags: 'S.' });
    t.c(1, 1);
    t.c(1, 1, 100);
    expect(t.c(1, 1, 100)).toEqual(['retransmission']);
    expect(t.c(51, 1, 100)).toEqual(['retransmission']);
    expect(t.c(151, 1, 10)).toEqual([]);
    t.c(161, 1, 0, { flags: 'F.' });
    expect(t.c(161, 1, 0, { flags: 'F.' })).toEqual(['retransmission']);
    expect(t.tracker.flows[0]!.retransmissions).toBe(4);
  });

  test('text sent again although it was acknowledged', () => {
    const t = new Talk().open();
    t.c(1, 1, 100);
    t.s(1, 101);
    expect(t.c(1, 1, 100)).toEqual(['spurious retransmission']);
    expect(t.s(1, 101, 0, { options: sack(1001, 1101) })).toEqual(['d-sack']);
  });

  test('a duplicate of text that waits behind a gap is reported inside a larger block', () => {
    const t = new Talk().open();
    t.c(101, 1, 300);
    const both = sack(1201, 1301);
    const inside = [1, 1, 5, 18, ...both.slice(4), ...sack(1101, 1401).slice(4)];
    expect(t.s(1, 1, 0, { options: inside })).toEqual(['d-sack']);
    const apart = [1, 1, 5, 18, ...both.slice(4), ...sack(1501, 1601).slice(4)];
    expect(t.s(1, 1, 0, { options: apart })).toEqual(['duplicate ack 1']);
  });

  test('a missing segment that comes within a round trip was overtaken, later it was sent again', () => {
    const early = new Talk().open();
    expect(early.c(101, 1, 100)).toEqual(['gap of 100 bytes']);
    early.now += 19;
    expect(early.c(1, 1, 100)).toEqual(['out of order']);
    const late = new Talk().open();
    expect(late.c(101, 1, 100)).toEqual(['gap of 100 bytes']);
    late.now += 21;
    expect(late.c(1, 1, 100)).toEqual(['retransmission']);
  });

  test('a gap may be filled in pieces, and what fills none is a retransmission', () => {
    const t = new Talk().open();
    t.c(301, 1, 100);
    expect(t.c(101, 1, 100)).toEqual(['out of order']);
    expect(t.c(1, 1, 100)).toEqual(['out of order']);
    expect(t.c(201, 1, 100)).toEqual(['out of order']);
    expect(t.c(201, 1, 100)).toEqual(['retransmission']);
  });

  test('duplicate acknowledgments are counted until one advances', () => {
    const t = new Talk().open();
    t.c(1, 1, 100);
    t.s(1, 101);
    t.c(201, 1, 100);
    expect(t.s(1, 101)).toEqual(['duplicate ack 1']);
    expect(t.s(1, 101, 0, { win: 60000, options: sack(1201, 1301) })).toEqual(['duplicate ack 2']);
    expect(t.s(1, 101, 0, { win: 61000, options: sack(1201, 1301) })).toEqual(['window update']);
    t.c(101, 1, 100);
    expect(t.s(1, 301)).toEqual([]);
    t.c(301, 1, 10);
    expect(t.s(1, 301)).toEqual(['duplicate ack 1']);
  });

  test('windows: zero, probed, opened, full', () => {
    const t = new Talk().open();
    expect(t.c(1, 1, 1000)).toEqual([]);
    expect(t.s(1, 1001, 0, { win: 250 })).toEqual([]);
    expect(t.c(1001, 1, 1000)).toEqual(['window full']);
    expect(t.s(1, 2001, 0, { win: 0 })).toEqual(['zero window']);
    expect(t.c(2000, 1)).toEqual(['zero-window probe']);
    expect(t.s(1, 2001, 0, { win: 0 })).toEqual(['zero window']);
    expect(t.c(2001, 1, 1)).toEqual(['zero-window probe']);
    expect(t.s(1, 2001, 0, { win: 0 })).toEqual(['zero window']);
    expect(t.s(1, 2001, 0, { win: 500 })).toEqual(['window update']);
    expect(t.c(2001, 1, 10)).toEqual([]);
  });

  test('a probe whose byte found room', () => {
    const t = new Talk().open();
    t.s(1, 1, 0, { win: 0 });
    expect(t.c(1, 1, 1)).toEqual(['zero-window probe']);
    expect(t.s(1, 2, 0, { win: 100 })).toEqual([]);
    expect(t.c(2, 1, 10)).toEqual([]);
  });

  test('keep-alive and its answer', () => {
    const t = new Talk().open();
    t.c(1, 1, 100);
    t.s(1, 101);
    t.now += 5000;
    expect(t.c(100, 1)).toEqual(['keep-alive']);
    expect(t.s(1, 101)).toEqual(['keep-alive ack']);
    expect(t.c(100, 1, 1)).toEqual(['keep-alive']);
    expect(t.s(1, 101)).toEqual(['keep-alive ack']);
    expect(t.c(101, 1, 5)).toEqual([]);
  });

  test('an acknowledgment of bytes that the capture did not see', () => {
    const t = new Talk().open();
    expect(t.s(1, 501)).toEqual(['acks bytes not captured']);
    expect(t.c(501, 1, 5)).toEqual([]);
  });

  test('sequence numbers that wrap', () => {
    const t = new Talk();
    const far = 0xffffffff - 1000 - 50;
    t.c(far, 0, 100);
    expect(t.c(far + 100, 0, 100)).toEqual([]);
    expect(t.c(far, 0, 100)).toEqual(['retransmission']);
    expect(t.c(far + 300, 0, 100)).toEqual(['gap of 100 bytes']);
  });
});

describe('which connection', () => {
  test('two capture points see the same segment, which is no retransmission', () => {
    const t = new Talk();
    expect(t.c(0, 0, 0, { flags: 'S' }, 'client')).toEqual([]);
    expect(t.c(0, 0, 0, { flags: 'S' }, 'server')).toEqual([]);
    expect(t.c(0, 0, 0, { flags: 'S' }, 'server')).toEqual(['retransmission']);
    expect(t.tracker.flows).toHaveLength(1);
  });

  test('the same ports again are a new connection after the end of the old one', () => {
    const t = new Talk().open();
    t.s(1, 1, 0, { flags: 'R.' });
    expect(t.c(500_000, 0, 0, { flags: 'S' })).toEqual([]);
    expect(t.tracker.flows.map((f) => f.closed)).toEqual(['rst', '']);
    expect(t.c(500_001, 1, 10)).toEqual([]);
  });

  test('a SYN into a living connection changes nothing until it is answered', () => {
    const t = new Talk().open();
    t.c(500_000, 0, 0, { flags: 'S' });
    expect(t.tracker.flows).toHaveLength(1);
    const view = (fields: TcpFields): ReturnType<FlowTracker['observe']> => {
      const frame = tcp(fields);
      return t.tracker.observe(dissect(frame, 0, frame.length, 'ip'), t.now);
    };
    expect(view({ flags: '.', seq: 1001, ack: 9001, text: 'x' })).toMatchObject({ flow: 1, seqBase: 1000 });
    const answer = { from: '10.77.0.2', to: '10.77.0.1', sport: 80, dport: 51234, flags: 'S.', seq: 77, ack: 501_001 };
    expect(view(answer)).toMatchObject({ flow: 2, fromOpener: false, seqBase: 77, ackBase: 501_000, notes: [] });
  });

  test('seen from its answer on, the opener is still the opener', () => {
    const t = new Talk();
    t.s(0, 1, 0, { flags: 'S.' });
    expect(t.tracker.flows).toMatchObject([{ source: '10.77.0.1', sport: 51234, destination: '10.77.0.2', dport: 80 }]);
  });

  test('segments with a bad checksum do not count', () => {
    const frame = tcp({ flags: 'S' });
    frame[30]! ^= 1;
    expect(new FlowTracker().observe(dissect(frame, 0, frame.length, 'ip'), 0)).toBeNull();
  });

  test('a flood of connections is forgotten, oldest first', () => {
    const tracker = new FlowTracker(10);
    for (let i = 0; i < 60_000; i++) {
      const frame = tcp({ flags: 'S', sport: i & 0xffff, seq: i, from: `10.0.${i >>> 16}.1` });
      tracker.observe(dissect(frame, 0, frame.length, 'ip'), i);
    }
    expect(tracker.flows).toHaveLength(10);
    const connections = (tracker as unknown as { connections: Map<string, unknown> }).connections;
    expect(connections.size).toBe(50_000);
  });
});
