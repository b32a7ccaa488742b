/**
 * The catalogue's lists (§4), one by one: every matcher picks what it names, and every action is seen on the wire. What is
 * asserted is what came out of the wire, not what the engine says of itself.
 */
import type http from 'node:http';
import {
  type Action,
  ack,
  actionText,
  blackhole,
  type Conn,
  call,
  coalesce,
  corrupt,
  createWire,
  delay,
  down,
  drop,
  duplicate,
  fin,
  finOf,
  freeze,
  heal,
  hold,
  icmp,
  idle,
  inject,
  jump,
  type Match,
  modify,
  nth,
  pace,
  partition,
  Rule,
  reboot,
  release,
  reorder,
  req,
  res,
  rst,
  Segment,
  segment,
  skew,
  slice,
  split,
  stall,
  syn,
  synAck,
  throttle,
  tlsRecord,
  truncate,
  up,
  type Wire,
  window,
} from '../../../fault';
import { DecisionLog } from '../../../fault/decisions';
import { Fitting } from '../../../fault/fitting';
import type { TraceEntry } from '../../../fault/trace';
import { emit, type Outlet } from '../../../fault/verdicts';

let wire: Wire;
beforeEach(() => {
  wire = createWire({ rtt: 20 });
});
afterEach(() => wire.close());

const BODY = Buffer.alloc(6000, 'x');
const body: http.RequestListener = (_, response) => response.end(BODY);
/** The head of that response. */
const text: Match = { dir: 's2c', len: [1, 65_535] };

/** What came to the client, or to the server, in order. */
const came = (to: 'c' | 's' = 'c'): TraceEntry[] =>
  wire
    .trace()
    .delivered()
    .filter(({ dir }) => dir === (to === 'c' ? 's2c' : 'c2s'));
const texts = (to: 'c' | 's' = 'c'): TraceEntry[] => came(to).filter(({ length }) => length > 0);
const sent = (from: 'left' | 'right'): TraceEntry[] =>
  wire.trace().entries.filter(({ kind, side }) => kind === 'sent' && side === from);

/** A GET under a rule; how it ended does not matter here. */
async function under(match: Match, ...actions: Action[]): Promise<void> {
  await wire.serve(body);
  wire
    .on(match)
    .times(1)
    .do(...actions);
  await wire.run(wire.get('/', { timeout: 30_000 }).catch(() => null));
  await wire.clock.settle();
}

describe('actions on a segment', () => {
  test('drop: it never comes, and is sent again', async () => {
    await under({ ...text, nth: 2 }, drop());
    const lost = wire.trace().entries.find(({ kind }) => kind === 'dropped')!;
    expect(sent('right').filter(({ seq, length }) => seq === lost.seq && length > 0)).toHaveLength(2);
    expect(texts().filter(({ seq }) => seq === lost.seq)).toHaveLength(1);
  });
  test.each([
    [delay(70), 70],
    [delay({ min: 70, max: 71 }), 70],
  ])('%j: so much later', async (action, ms) => {
    await under({ ...text, nth: 1 }, action);
    const left = sent('right').find(({ length }) => length > 0)!;
    expect(texts()[0]!.at - left.at).toBeGreaterThanOrEqual(ms);
    expect(texts()[0]!.at - left.at).toBeLessThanOrEqual(ms + 1);
  });
  test('delay that is normally distributed: around its mean, never below none', async () => {
    const waits: number[] = [];
    const outlet = { decisions: new DecisionLog(7), pass: (_: Segment, ms: number) => void waits.push(ms) };
    const some = Segment.prototype;
    for (let i = 0; i < 5000; i++) emit(some, [delay({ mean: 50, sd: 20 })], outlet as unknown as Outlet);
    const mean = waits.reduce((sum, ms) => sum + ms, 0) / waits.length;
    const sd = Math.sqrt(waits.reduce((sum, ms) => sum + (ms - mean) ** 2, 0) / waits.length);
    expect([Math.abs(mean - 50) < 1, Math.abs(sd - 20) < 1, Math.min(...waits)]).toEqual([true, true, 0]);
    await under({ ...text, nth: 1 }, delay({ mean: 70, sd: 0 }));
    const left = sent('right').find(({ length }) => length > 0)!;
    expect(texts()[0]!.at - left.at).toBe(70);
  });
  test('duplicate: copies, so far apart', async () => {
    await under({ ...text, nth: 1 }, duplicate(2, 3));
    const [first] = texts();
    const copies = texts().filter(({ seq }) => seq === first!.seq);
    expect(copies.map(({ at }) => at - first!.at)).toEqual([0, 3, 6]);
  });
  test('reorder: others overtake it', async () => {
    await under({ ...text, nth: 1 }, reorder({ after: 2 }));
    expect(
      texts()
        .slice(0, 3)
        .map(({ seq }) => seq),
    ).toEqual([1449, 2897, 1]);
  });
  test('corrupt: one bit, and the checksum only when it is repaired', async () => {
    const frames: Uint8Array[][] = [];
    for (const repair of [false, true]) {
      await under({ ...text, nth: 1 }, corrupt({ bit: 9, repair }));
      frames.push([sent('right').find(({ length }) => length > 0)!.frame!, texts()[0]!.frame!]);
      wire.close();
      wire = createWire();
    }
    for (const [i, [before, after]] of frames.entries()) {
      const differing = [...before!.keys()].filter((at) => before![at] !== after![at]);
      // IPv4 header and 32 bytes of TCP header; bit 9 is in the second byte. The checksum is at 36.
      expect(differing.filter((at) => at !== 36 && at !== 37)).toEqual([53]);
      expect(differing.some((at) => at === 36 || at === 37)).toBe(i === 1);
    }
  });
  test('corrupt a field', async () => {
    await under({ ...text, nth: 1 }, corrupt({ field: 'window', repair: true }));
    const window = (frame: Uint8Array): number => frame[34]! * 256 + frame[35]!;
    expect(window(texts()[0]!.frame!)).toBe(window(sent('right').find(({ length }) => length > 0)!.frame!) ^ 256);
  });
  test('truncate: its last bytes come later', async () => {
    await under({ ...text, nth: 1 }, truncate(100));
    expect(texts()[0]).toMatchObject({ seq: 1, length: 1348 });
    expect(texts().some(({ seq, length }) => seq <= 1349 && seq + length >= 1449)).toBe(true);
  });
  test('modify: whatever a function makes of it', async () => {
    await under(
      { ...text, nth: 1 },
      modify((made) => void (made.window = 4321)),
    );
    expect(texts()[0]!.frame!.subarray(34, 36)).toEqual(Uint8Array.of(4321 >> 8, 4321 & 255));
  });
  test('slice: pieces, so far apart', async () => {
    await under({ ...text, nth: 1 }, slice(500, 2));
    expect(
      texts()
        .slice(0, 3)
        .map(({ seq, length, at }) => [seq, length, at - texts()[0]!.at]),
    ).toEqual([
      [1, 500, 0],
      [501, 500, 2],
      [1001, 448, 4],
    ]);
  });
  test('throttle: no faster than that', async () => {
    await wire.serve(body);
    wire.on({ dir: 's2c' }).do(throttle(100_000));
    await wire.run(wire.get('/'));
    const [first, second] = texts();
    // 1500 bytes at 100 kbit/s.
    expect(second!.at - first!.at).toBeCloseTo(120, 0);
  });
  test('throttle: what the queue does not hold is lost', async () => {
    await wire.serve(body);
    wire.on({ dir: 's2c' }).do(throttle(1_000_000, 1500));
    await wire.run(wire.get('/'));
    expect(wire.trace().entries.some(({ kind, text: why }) => kind === 'dropped' && why.includes('queue full'))).toBe(
      true,
    );
  });
});

test('pace: so many segments a second, and a queue of so many', async () => {
  await wire.serve(body);
  wire.on({ dir: 's2c', len: [1, 65_535] }).do(pace(10));
  await wire.run(wire.get('/'));
  const times = texts().map(({ at }) => at);
  expect(times.length).toBeGreaterThan(1);
  for (let i = 1; i < times.length; i++) expect(times[i]! - times[i - 1]!).toBeCloseTo(100, 0);
  wire.on({ dir: 's2c', len: [1, 65_535] }).do(pace(10, 1));
  await wire.run(wire.get('/'));
  expect(wire.trace().entries.some(({ kind, text: why }) => kind === 'dropped' && why.includes('queue full'))).toBe(
    true,
  );
});

describe('actions on a connection', () => {
  test.each(['c', 's', 'both'] as const)('rst to %s: with the number that is expected', async (to) => {
    await under(res(1).bodyByte(4), rst({ to }));
    for (const end of ['c', 's'] as const) {
      const list = came(end);
      const at = list.findIndex(({ flags, text: why }) => flags.includes('R') && why.includes('rst'));
      expect(at >= 0).toBe(to === 'both' || to === end);
      // Behind the last byte that came before it.
      if (at >= 0) expect(list[at]!.seq).toBe(Math.max(...list.slice(0, at).map(({ seq, length }) => seq + length), 1));
    }
  });
  test('rst that is not exact: so far off', async () => {
    await under(res(1).bodyByte(4), rst({ to: 'c', exact: false, off: 77 }));
    const reset = came().find(({ flags }) => flags.includes('R'))!;
    const before = texts().filter(({ at }) => at < reset.at);
    expect(reset.seq - Math.max(...before.map(({ seq, length }) => seq + length))).toBe(77);
  });
  test.each(['c', 's', 'both'] as const)('fin to %s', async (to) => {
    await under(res(1).bodyByte(4), fin({ to }));
    for (const end of ['c', 's'] as const)
      expect(came(end).some(({ flags, text: why }) => flags.includes('F') && why.includes('fin'))).toBe(
        to === 'both' || to === end,
      );
  });
  test('fin to who still waits for an answer to its SYN: nothing, and the connection goes on', async () => {
    await under({ handshake: 'syn-ack' }, drop(), fin({ to: 'c' }));
    expect(came().some(({ flags }) => flags.includes('F'))).toBe(false);
    expect(texts().length).toBeGreaterThan(0);
  });
  test('icmp: an error about its last segment, with the MTU', async () => {
    const frames: Uint8Array[] = [];
    const deliver = wire.medium.deliver.bind(wire.medium);
    wire.medium.deliver = (to, frame) => {
      if (frame[9] === 1) frames.push(frame);
      deliver(to, frame);
    };
    await under({ ...text, nth: 1 }, icmp(3, 4, { to: 's', mtu: 1200 }));
    expect([...frames[0]!.subarray(20, 22), frames[0]![26]! * 256 + frames[0]![27]!]).toEqual([3, 4, 1200]);
    // Its text is about a segment of the server's.
    expect(frames[0]!.subarray(28 + 12, 28 + 16)).toEqual(Uint8Array.of(10, 0, 0, 2));
  });
  test('inject: bytes that nobody sent, and the rest behind them', async () => {
    await under(res(1).begin(), inject('HTTP/1.1 103 Early Hints\r\n\r\n', { as: 's2c' }));
    expect(texts()[0]).toMatchObject({ kind: 'forged', seq: 1, length: 28 });
    expect(texts()[1]).toMatchObject({ kind: 'delivered', seq: 29 });
  });
  test('hold and release', async () => {
    await wire.serve(body);
    wire.on(res(1)).do(hold('gate'));
    wire.clock.at(500, release('gate'));
    await wire.run(wire.get('/'));
    expect(texts()[0]!.at).toBe(500);
  });
  test('blackhole, one way: nothing more comes, and the other way everything', async () => {
    await under(res(1).bodyByte(4), blackhole('s2c'));
    expect(texts().at(-1)!.seq + texts().at(-1)!.length).toBeLessThan(1449);
    expect(sent('right').filter(({ length }) => length > 0).length).toBeGreaterThan(texts().length);
  });
  test('coalesce and split: the same moment, or so much later', async () => {
    for (const [first, gap] of [
      [coalesce(), 0],
      [split(7), 7],
    ] as const) {
      await under(res(1).bodyByte(4), first, rst({ to: 'c' }));
      const list = came();
      const at = list.findIndex(({ flags }) => flags.includes('R'));
      expect(list[at]!.at - list[at - 1]!.at).toBe(gap);
      wire.close();
      wire = createWire();
    }
  });
  test('window: what a host announces, until it may say its own again', async () => {
    await wire.serve(body);
    wire.on(req(1).end()).do(window('client', 0));
    const reply = wire.get('/');
    await wire.clock.advance(2000);
    const announced = (e: TraceEntry): number => e.frame![34]! * 256 + e.frame![35]!;
    expect(announced(came('s').at(-1)!)).toBe(0);
    const before = texts().length;
    wire.do(window('client', null));
    expect((await wire.run(reply)).body).toHaveLength(6000);
    expect(texts().length).toBeGreaterThan(before);
    expect(announced(came('s').at(-1)!)).toBeGreaterThan(0);
  });
});

describe('actions on hosts and on the path', () => {
  const get = (): Promise<unknown> => wire.run(wire.get('/', { connectTimeout: 5000 }).catch((error: Error) => error));

  test('stall: its TCP acknowledges, its program does nothing', async () => {
    await wire.serve(body);
    wire.on(req(1).end()).do(stall('server', 1000));
    await get();
    const request = texts('s')[0]!;
    expect(came().find(({ at, length }) => at > request.at && length === 0)!.at - request.at).toBeLessThan(100);
    expect(texts()[0]!.at - request.at).toBeGreaterThanOrEqual(990);
  });
  test('freeze: not even its TCP', async () => {
    await wire.serve(body);
    wire.on(req(1).end()).do(freeze('server', 1000));
    await get();
    const request = texts('s')[0]!;
    expect(came().filter(({ at }) => at > request.at && at < request.at + 990)).toEqual([]);
    expect(texts('s').length).toBeGreaterThan(1);
  });
  test('jump: its timers come due', async () => {
    await wire.serve((_, response) => void wire.clock.sleep(5000).then(() => response.end()));
    wire.on(req(1).end()).do(jump('client', 60_000));
    await expect(wire.run(wire.get('/', { timeout: 30_000 }))).rejects.toMatchObject({ code: 'ECONNRESET' });
    expect(wire.clock.now()).toBeLessThan(5000);
  });
  test.each([
    // Ten seconds of a server whose clock is a tenth too fast, and of one that is at half speed.
    ['server', 1.1, 6000 / 1.1],
    ['server', 0.5, 12_000],
    // It is not the client's timer.
    ['client', 1.1, 6000],
  ] as const)('skew of the %s, %d: its idle timer comes after %d ms', async (host, rate, ms) => {
    await wire.serve(
      (_, response) => {
        response.setHeader('Keep-Alive', 'timeout=600');
        response.end(BODY);
      },
      { keepAliveTimeout: 5000 },
    );
    wire.on(req(1).begin()).do(skew(host, rate));
    await get();
    const answered = sent('right').findLast(({ length }) => length > 0)!.at;
    await wire.clock.advance(20_000);
    const closed = sent('right').find(({ flags }) => flags.includes('F'))!.at;
    expect(Math.abs(closed - answered - ms)).toBeLessThan(50);
  });
  test('skew that ends: the clock is as fast again, and what it shows does not leap back', async () => {
    const { clientLoop } = wire;
    const began = clientLoop.now();
    wire.clock.skew('client', 2);
    await wire.clock.advance(1000);
    wire.clock.skew('client', 1);
    await wire.clock.advance(1000);
    expect(clientLoop.now() - began).toBeCloseTo(3000, 6);
    expect(() => wire.clock.skew('client', 0)).toThrow('a clock runs forward');
    expect(() => skew('client', -1)).toThrow('skew rate is -1');
  });
  test('reboot: a reset for what it does not know any more', async () => {
    await wire.serve(body);
    await get();
    wire.do(reboot('server'));
    await wire.clock.advance(3000);
    expect(came().at(-1)!.flags).toContain('R');
  });
  test.each([
    ['rst', 'ECONNREFUSED'],
    ['silent', 'ETIMEDOUT'],
  ] as const)('down %s, and up', async (how, code) => {
    await wire.serve(body);
    wire.do(down('server', how));
    expect(await get()).toMatchObject({ code });
    wire.do(up('server'));
    expect(await get()).toMatchObject({ status: 200 });
  });
  test.each([true, false])('partition, oneway %s, and heal', async (oneway) => {
    await wire.serve(body);
    wire.do(partition('server', 'client', { oneway }));
    expect(await get()).toMatchObject({ code: 'ETIMEDOUT' });
    expect(came('s').length > 0).toBe(oneway);
    expect(came('c')).toEqual([]);
    wire.do(heal());
    expect(await get()).toMatchObject({ status: 200 });
  });
  test('middleboxes and NAT', async () => {
    // Without limits: a connection that says nothing would be answered with 408 after a minute.
    await wire.serve(body, { keepAliveTimeout: 3_600_000, headersTimeout: 0, requestTimeout: 0 });
    wire.nat({ ports: 1 });
    const box = wire.middlebox({ idle: 350_000, expired: 'rst-sender', probes: 'ignore' });
    const socket = wire.connect({ host: 'server', port: 80 });
    const error = new Promise<Error>((resolve) => socket.on('error', resolve));
    socket.resume();
    await wire.run(new Promise((resolve) => socket.on('connect', resolve)));
    expect(box.size).toBe(1);
    expect(await get()).toMatchObject({ code: 'ETIMEDOUT' });
    await wire.clock.advance(400_000);
    socket.write('GET / HTTP/1.1\r\n\r\n');
    expect((await wire.run(error)).message).toBe('read ECONNRESET');
    expect(wire.engine.conns[0]!.stateOf('s', wire.clock.now())).toBe('ESTABLISHED');
  });
  test('call runs code at that moment', async () => {
    const times: number[] = [];
    await under(
      syn(),
      call(() => times.push(wire.clock.now())),
    );
    expect(times).toEqual([5]);
  });
});

test('every action says in words what it does', () => {
  expect(actionText(rst({ to: 'c' }))).toBe('rst (to "c", exact true, off 100)');
  expect(actionText(inject('abc', { as: 's2c' }))).toBe('inject (3 bytes, as "s2c")');
  expect(actionText(heal())).toBe('heal');
});

describe('matchers', () => {
  /** Which segments of two requests fit. */
  async function fitting(match: Match, handler: http.RequestListener = body): Promise<string[]> {
    const found: string[] = [];
    await wire.serve(handler);
    wire.on(match).do(
      call(() => {
        const last = wire.trace().entries.findLast(({ kind }) => kind === 'sent')!;
        found.push(`${last.dir} ${last.flags}`);
      }),
    );
    await wire.run(wire.get('/a'));
    await wire.run(wire.get('/b', { method: 'POST', body: 'hello' }));
    await wire.clock.advance(1000);
    return found;
  }

  test.each<[string, Match, RegExp | string[]]>([
    ['dir', { dir: 'c2s', nth: 1 }, ['c2s S']],
    ['flags that must be', { flags: 'SA' }, ['s2c SA']],
    ['flags that must not be', { flags: 'S!A' }, ['c2s S']],
    ['state', { state: { c: 'SYN-SENT' }, dir: 's2c' }, ['s2c SA']],
    ['conn by number', { conn: 2 }, []],
    ['conn by test', { conn: ({ id }) => id === 1, nth: 1 }, ['c2s S']],
    ['seqAt', { dir: 'c2s', seqAt: 3 }, ['c2s PA']],
    ['nth', nth(2), ['s2c SA']],
    ['len', { dir: 'c2s', len: [1, 9999] }, ['c2s PA', 'c2s PA']],
    ['every', { len: [1, 9999], dir: 'c2s', every: 2 }, ['c2s PA']],
    ['p 0', { p: 0 }, []],
    ['from and until', { from: 0, until: 6 }, ['c2s S']],
    ['handshake: syn', syn(), ['c2s S']],
    ['handshake: syn-ack', synAck(), ['s2c SA']],
    ['handshake: ack', ack(), /^c2s/],
    ['http: every request', req().begin(), ['c2s PA', 'c2s PA']],
    ['http: exchange', req(2).begin(), ['c2s PA']],
    ['http: path', req().path(/^\/b/).line(), ['c2s PA']],
    ['http: header', req(1).header('host'), ['c2s PA']],
    ['http: headersEnd', res(1).headersEnd(), /^s2c/],
    ['http: body byte', req(2).bodyByte(3), ['c2s PA']],
    ['http: end', req(2).end(), ['c2s PA']],
    ['idle', idle(300), /./],
    ['segment', segment({ dir: 's2c', nth: 1 }), ['s2c SA']],
    ['tlsRecord, of what is no TLS', tlsRecord(1, 'c2s'), []],
    ['finOf', finOf('c2s'), []],
  ])('%s', async (_, match, expected) => {
    const found = await fitting(match);
    if (expected instanceof RegExp) expect(found[0]).toMatch(expected);
    else expect(found).toEqual(expected);
  });

  test('http: chunks and the trailer', async () => {
    const chunked: http.RequestListener = (_, response) => {
      response.write('abc');
      response.end('defgh');
    };
    const cuts: number[] = [];
    for (const place of [res(1).chunk(1), res(1).chunkEnd(1), res(1).chunk(2), res(1).trailer(), res(1).end()])
      wire.on(place).do(call(() => cuts.push(texts().reduce((sum, { length }) => sum + length, 0))));
    await fitting({ p: 0 }, chunked);
    const [head = 0] = cuts;
    // "3\r\n" abc\r\n "5\r\n" defgh\r\n "0\r\n" "\r\n"
    expect(cuts.map((at) => at - head)).toEqual([0, 5, 8, 18, 20]);
  });

  test('p and correlation: losses come in bursts', async () => {
    // With 1, what follows a loss is lost, too, however small the chance of the first one is.
    await wire.serve(body);
    const rule = wire.on({ dir: 's2c', p: 0.3, correlation: 0.7 }).do(drop());
    const seen: string[] = [];
    wire.tap((_, { dir }) => void (dir === 's2c' && seen.push(rule.inBurst.size > 0 ? 'lost' : 'came')));
    await wire.run(wire.get('/', { timeout: 60_000 }).catch(() => null));
    await wire.clock.advance(1000);
    // What is noted is how the segment before fared: once lost, never again anything else.
    expect(seen.indexOf('lost')).toBeGreaterThan(-1);
    expect(new Set(seen.slice(seen.indexOf('lost')))).toEqual(new Set(['lost']));
    expect(() => wire.on({ correlation: 0.5 })).toThrow('it needs p');
    expect(() => wire.on({ p: 0.5, correlation: 2 })).toThrow('correlation is 2');
  });
  test.each([
    [0, 0.1, 0.1],
    // p / (1 - correlation) of all, where p + correlation of what follows a loss are.
    [0.25, 0.1 / 0.75, 0.35],
  ])('correlation %d: %d of all are lost, and %d of those behind a loss', (correlation, all, behind) => {
    const rule = new Rule({ dir: 's2c', p: 0.1, correlation }, [drop()], 'losses', 1);
    const fitting = new Fitting(new DecisionLog(3), wire.engine.exchanges);
    const lost = Array.from({ length: 40_000 }, () => fitting.drawn(rule, { id: 1 } as Conn, 's2c'));
    const losses = lost.filter(Boolean).length;
    const pairs = lost.filter((is, i) => is && lost[i - 1] === true).length;
    expect(Math.abs(losses / lost.length - all)).toBeLessThan(0.01);
    expect(Math.abs(pairs / losses - behind)).toBeLessThan(0.02);
    // Each direction of each connection has bursts of its own.
    rule.burst('1 c2s', true);
    expect([rule.inBurst.has('1 c2s'), rule.inBurst.has('2 c2s')]).toEqual([true, false]);
  });
  test('again: what was lost and is sent once more', async () => {
    await wire.serve(body);
    wire.on({ ...text, nth: 2 }).do(drop());
    const again = wire.on({ again: true }).do(call(() => {}));
    await wire.run(wire.get('/'));
    expect(again.hits).toBe(1);
  });
});
