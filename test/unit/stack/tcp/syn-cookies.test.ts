import { parseAddress } from '../../../../stack/base/address';
import * as calls from '../../../../stack/tcp/calls';
import type { Connection } from '../../../../stack/tcp/connection';
import type { Listener } from '../../../../stack/tcp/listener';
import { LINUX, type TcpProfile } from '../../../../stack/tcp/profile';
import * as f from '../ip/frames';
import { Lab, type LabOptions } from '../ip/lab';

/* RFC 4987 §3.6: what happens to SYNs when the backlog is full. */

const BACKLOG = 4;
const FULL = BACKLOG + 1;

const OPTIONS = {
  mss: (value: number): number[] => [2, 4, ...f.word(value)],
  sack: [1, 1, 4, 2],
  scale: (shift: number): number[] => [1, 3, 3, shift],
  timestamps: (val: number, ecr = 0): number[] => [1, 1, 8, 10, ...f.long(val), ...f.long(ecr)],
};
const ALL = [...OPTIONS.mss(1460), ...OPTIONS.sack, ...OPTIONS.timestamps(500), ...OPTIONS.scale(9)];

interface Answer {
  readonly seq: number;
  readonly ack: number;
  readonly flags: number;
  readonly window: number;
  readonly options: number[];
  /** Of the timestamp: its value. */
  readonly tsVal: number;
}

/** A listener whose backlog is full of SYNs that nobody follows up. */
class Flooded {
  readonly lab: Lab;
  readonly listener: Listener;

  constructor(
    profile: Partial<TcpProfile> = {},
    readonly v6 = false,
    options: LabOptions = {},
  ) {
    this.lab = new Lab({ ...options, config: { profile: { ...LINUX, ...profile } } });
    const listener = calls.listen(this.lab.stack.tcp, null, 0, 80, BACKLOG);
    if (typeof listener === 'string') throw new Error(listener);
    this.listener = listener;
    for (let i = 0; i < FULL; i++) this.lab.rx(this.frame({ sport: 1000 + i }));
    this.lab.sent();
    expect(listener.halfOpen).toBe(FULL);
  }

  frame(fields: f.TcpFields): Uint8Array {
    const segment = f.tcp({ v6: this.v6, ...fields });
    return this.v6 ? f.ip6(f.TCP, segment, { from: fields.from }) : f.ip4(f.TCP, segment, { from: fields.from });
  }

  /** What the segments sent since say. */
  answers(): Answer[] {
    return this.lab.take().map(({ bytes }) => {
      const at = this.v6 ? 40 : 20;
      const view = new DataView(bytes.buffer, bytes.byteOffset);
      const end = at + (bytes[at + 12]! >> 4) * 4;
      const options = [...bytes.subarray(at + 20, end)];
      const ts = options.indexOf(8);
      return {
        seq: view.getUint32(at + 4),
        ack: view.getUint32(at + 8),
        flags: bytes[at + 13]!,
        window: view.getUint16(at + 14),
        options,
        tsVal: ts < 0 ? 0 : view.getUint32(at + 20 + ts + 2),
      };
    });
  }

  syn(fields: f.TcpFields = {}): Answer {
    this.lab.rx(this.frame({ seq: 7000, options: [...ALL], ...fields }));
    const [answer] = this.answers();
    return answer!;
  }

  /** The handshake's third segment. */
  ack(answer: Answer, fields: f.TcpFields = {}): void {
    const options = answer.tsVal === 0 ? [] : OPTIONS.timestamps(510, answer.tsVal);
    this.lab.rx(this.frame({ flags: f.ACK, seq: 7001, ack: answer.seq + 1, window: 1000, options, ...fields }));
  }

  accepted(): Connection[] {
    return this.listener.accepted.splice(0);
  }

  /** What the accepted connection is like, as far as it is asked for: a whole one is too large to be printed. */
  opened(...fields: (keyof Connection)[]): Partial<Connection> | null {
    const [c] = this.accepted();
    return c === undefined ? null : Object.fromEntries(fields.map((field) => [field, c[field]]));
  }
}

describe.each([
  ['IPv4', false],
  ['IPv6', true],
])('%s', (_name, v6) => {
  test('a SYN beyond the backlog is answered, and nothing is kept of it', () => {
    const t = new Flooded({}, v6);
    const before = t.lab.stack.tcp.connections.size;
    const answer = t.syn();
    expect(answer).toMatchObject({ ack: 7001, flags: f.SYN | f.ACK });
    expect([t.lab.stack.tcp.connections.size, t.listener.halfOpen]).toEqual([before, FULL]);
    expect(t.lab.drops()).toEqual({});
    expect(t.lab.stack.tcp.counters.cookiesSent).toBe(1);
  });

  test('its ACK opens the connection, with everything that both said', () => {
    const t = new Flooded({}, v6);
    t.ack(t.syn());
    expect(
      t.opened(
        'state',
        'peerMss',
        'sackOk',
        'timestamps',
        'sndScale',
        'rcvScale',
        'sndWnd',
        'packetsOut',
        'remotePort',
      ),
    ).toEqual({
      state: 'ESTABLISHED',
      peerMss: v6 ? 1440 : 1460,
      sackOk: true,
      timestamps: true,
      sndScale: 9,
      rcvScale: LINUX.windowScale,
      sndWnd: 1000 << 9,
      packetsOut: 0,
      remotePort: 5000,
    });
    expect(t.listener.halfOpen).toBe(FULL);
    expect(t.lab.stack.tcp.counters.cookiesReceived).toBe(1);
  });

  test('text goes both ways over it, in the ACK as well', () => {
    const t = new Flooded({}, v6);
    t.ack(t.syn(), { text: f.bytesOf(10) });
    const [c] = t.accepted();
    const { tcp } = t.lab.stack;
    const text = new calls.Text();
    expect(calls.peek(tcp, c!, text)).toBe(true);
    expect([...text.bytes.subarray(text.at, text.end)]).toEqual([...f.bytesOf(10)]);
    calls.consume(tcp, c!, 10, t.lab.now);
    t.lab.take();
    calls.send(tcp, c!, new Uint8Array(5000), 0, 5000);
    const sizes = t.lab.take().map(({ bytes }) => bytes.length);
    expect([Math.max(...sizes) <= 1500, sizes.length]).toEqual([true, 4]);
  });

  test.each([
    [9000, v6 ? 8940 : 1460],
    [1460, v6 ? 1440 : 1460],
    [1459, 1440],
    [1420, v6 ? 1420 : 1300],
    [1000, v6 ? 1220 : 536],
    [48, v6 ? 1220 : 536],
  ])('an MSS of %d comes back as %d', (mss, kept) => {
    const t = new Flooded({}, v6);
    t.ack(t.syn({ options: [...OPTIONS.mss(mss), ...OPTIONS.timestamps(500)] }));
    expect(t.opened('peerMss')).toEqual({ peerMss: kept });
  });

  test('without timestamps only the MSS is agreed', () => {
    const t = new Flooded({}, v6);
    const answer = t.syn({ options: [...OPTIONS.mss(1460), ...OPTIONS.sack, ...OPTIONS.scale(7)] });
    expect(answer.options.slice(0, 2)).toEqual([2, 4]);
    expect(answer.options).toHaveLength(4);
    t.ack(answer);
    expect(t.opened('sackOk', 'timestamps', 'sndScale', 'rcvScale', 'sndWnd')).toEqual({
      sackOk: false,
      timestamps: false,
      sndScale: 0,
      rcvScale: 0,
      sndWnd: 1000,
    });
  });

  test.each([0, 7, 14])('a window scale of %d comes back in the timestamp, and none does as well', (shift) => {
    const t = new Flooded({}, v6);
    t.ack(t.syn({ options: [...OPTIONS.mss(1460), ...OPTIONS.timestamps(500), ...OPTIONS.scale(shift)] }));
    expect(t.opened('sndScale', 'rcvScale', 'sackOk')).toEqual({
      sndScale: shift,
      rcvScale: LINUX.windowScale,
      sackOk: false,
    });
    t.ack(t.syn({ sport: 5001, options: [...OPTIONS.mss(1460), ...OPTIONS.timestamps(500)] }), { sport: 5001 });
    expect(t.opened('sndScale', 'rcvScale')).toEqual({ sndScale: 0, rcvScale: 0 });
  });

  test('SHLD-6: what the path is known to take is announced, not what the link does', () => {
    const t = new Flooded({}, v6);
    const mtu = v6 ? 1400 : 1000;
    t.lab.stack.pathTo(parseAddress(v6 ? f.PEER6 : f.PEER)!, null)!.setMtu(mtu, true, Number.POSITIVE_INFINITY);
    expect(t.syn().options.slice(0, 4)).toEqual(OPTIONS.mss(mtu - (v6 ? 60 : 40)));
  });

  test('ECN comes back as well', () => {
    const t = new Flooded({}, v6);
    const answer = t.syn({ flags: f.SYN | 0xc0 });
    expect(answer.flags).toBe(f.SYN | f.ACK | 0x40);
    t.ack(answer);
    expect(t.opened('ecnOk')).toEqual({ ecnOk: true });
  });

  test('a cookie is good for two minutes at most, and for one at least', () => {
    const opens = (madeAt: number, usedAt: number): boolean => {
      const t = new Flooded({ synAckRetries: 20 }, v6);
      t.lab.at(madeAt);
      t.lab.take();
      // Fills the backlog again, should it have emptied.
      for (let i = 0; t.listener.halfOpen < FULL; i++) t.lab.rx(t.frame({ sport: 2000 + i }));
      t.lab.take();
      const answer = t.syn();
      t.lab.at(usedAt);
      t.lab.take();
      t.ack(answer);
      return t.accepted().length === 1;
    };
    for (const madeAt of [0, 15_000, 29_000, 50_000]) {
      expect([madeAt, opens(madeAt, madeAt + 60_000), opens(madeAt, madeAt + 120_000)]).toEqual([madeAt, true, false]);
    }
  });

  test.each<[string, (answer: Answer) => f.TcpFields]>([
    ['another number', (answer) => ({ ack: answer.seq + 2 })],
    ['another number of the peer’s', () => ({ seq: 7002 })],
    ['another port', () => ({ sport: 5001 })],
    ['another address', () => ({ from: v6 ? 'fd00::77' : '10.0.0.77' })],
  ])('an ACK with %s earns a RST', (_case, change) => {
    const t = new Flooded({}, v6);
    const answer = t.syn();
    t.lab.drops();
    t.ack(answer, change(answer));
    expect([t.accepted().length, t.answers().map(({ flags }) => flags)]).toEqual([0, [f.RST]]);
    expect(t.lab.drops()).toEqual({ 'tcp-bad-cookie': 1, 'tcp-listen-no-syn': 1 });
  });

  test('guessing: of 1000 ACKs none opens a connection', () => {
    const t = new Flooded({}, v6);
    t.syn();
    for (let i = 0; i < 1000; i++) {
      const guess = Math.imul(i, 0x9e3779b1) >>> 0;
      t.lab.rx(t.frame({ flags: f.ACK, seq: 7001, ack: guess }));
    }
    expect(t.accepted()).toHaveLength(0);
    expect(t.lab.stack.tcp.counters.cookiesFailed).toBe(1000);
  });

  test('a RST with a cookie, or a SYN, opens nothing', () => {
    const t = new Flooded({}, v6);
    const answer = t.syn();
    t.ack(answer, { flags: f.RST | f.ACK });
    t.ack(answer, { flags: f.SYN | f.ACK });
    expect(t.accepted()).toHaveLength(0);
  });
});

test('the connections whose SYN was kept open as ever', () => {
  const t = new Flooded();
  const { connections } = t.lab.stack.tcp;
  const [peer, us] = [parseAddress(f.PEER)!, parseAddress(f.US)!];
  const c = connections.lookup(us, 80, peer, 1000)!;
  t.lab.rx(t.frame({ sport: 1000, flags: f.ACK, seq: 1001, ack: (c.iss + 1) >>> 0 }));
  expect(t.accepted()[0] === c).toBe(true);
});

test('a SYN sent again while its ACK is on the way has the same answer', () => {
  const t = new Flooded();
  expect(t.syn().seq).toBe(t.syn().seq);
  expect(t.syn({ sport: 5001 }).seq).not.toBe(t.syn().seq);
});

test('no cookies while there is room, and none is looked for', () => {
  const lab = new Lab();
  const listener = calls.listen(lab.stack.tcp, null, 0, 80, BACKLOG);
  if (typeof listener === 'string') throw new Error(listener);
  lab.rx(f.ip4(f.TCP, f.tcp({ flags: f.ACK })));
  expect(lab.drops()).toEqual({ 'tcp-listen-no-syn': 1 });
  expect(lab.stack.tcp.counters).toMatchObject({ cookiesSent: 0, cookiesFailed: 0 });
});

test('after two minutes without an overflow ACKs are no longer looked at', () => {
  const t = new Flooded();
  const answer = t.syn();
  t.lab.at(121_000);
  t.lab.drops();
  t.ack(answer);
  expect(t.lab.drops()).toEqual({ 'tcp-listen-no-syn': 1 });
});

test('profile.synCookies off: what is beyond the backlog is dropped', () => {
  const t = new Flooded({ synCookies: false });
  t.lab.drops();
  t.lab.rx(t.frame({}));
  expect([t.answers(), t.lab.drops()]).toEqual([[], { 'tcp-syn-backlog-full': 1 }]);
});

test('a full accept queue: the ACK is as if lost, and good when there is room again', () => {
  const t = new Flooded();
  const answers = Array.from({ length: FULL + 1 }, (_, i) => t.syn({ sport: 5000 + i }));
  for (const [i, answer] of answers.entries()) t.ack(answer, { sport: 5000 + i });
  expect(t.listener.accepted).toHaveLength(FULL);
  expect(t.lab.drops()).toEqual({ 'tcp-accept-queue-full': 1 });
  t.lab.take();
  t.accepted();
  t.ack(answers[FULL]!, { sport: 5000 + FULL });
  expect(t.accepted()).toHaveLength(1);
});

test('Karn: no round-trip time follows from an answer without timestamps whose time nobody knows', () => {
  const t = new Flooded();
  const answer = t.syn({ options: OPTIONS.mss(1460) });
  t.lab.at(300);
  t.lab.take();
  t.ack(answer);
  expect(t.opened('srtt')).toEqual({ srtt: 0 });
});

test('100,000 SYNs from as many addresses: what is kept stays within the backlog and the caps', () => {
  const t = new Flooded({}, false, { routes: ['0.0.0.0/0 via 10.0.0.254'] });
  const { stack } = t.lab;
  const frame = t.frame({ options: [...ALL] });
  const slab = stack.slabs.current;
  for (let i = 0; i < 100_000; i++) {
    // A forged source, its checksums corrected by hand: both sums lose and gain the same.
    const at = 0;
    slab.bytes.set(frame, at);
    slab.fill = frame.length;
    const [hi, lo] = [0xc600 + (i >> 16), i & 0xffff];
    slab.bytes.set([...f.word(hi), ...f.word(lo)], 12);
    for (const where of [10, 20 + 16]) {
      const sum = f.sum16([
        ...f.word(~f.sum16(slab.bytes.subarray(where, where + 2)) & 0xffff),
        ...f.word(~0x0a00 & 0xffff),
        ...f.word(~2 & 0xffff),
        ...f.word(hi),
        ...f.word(lo),
      ]);
      slab.bytes.set(f.word(~sum & 0xffff), where);
    }
    stack.receive(t.lab.links[0]!, slab, at, frame.length, false, 0, t.lab.now);
    if (i % 128 === 127) {
      stack.poll(t.lab.now);
      t.lab.links[0]!.tx.clear();
    }
  }
  expect(stack.tcp.counters.cookiesSent).toBe(100_000);
  expect([stack.tcp.connections.size, t.listener.halfOpen]).toEqual([FULL, FULL]);
  expect(stack.paths.size).toBeLessThanOrEqual(4096);
  expect(stack.blocks.inUse).toBe(0);
  expect(stack.slabs.pinned()).toBe(0);
  // And a true client still comes through.
  t.lab.take();
  t.ack(t.syn());
  expect(t.accepted()).toHaveLength(1);
});
