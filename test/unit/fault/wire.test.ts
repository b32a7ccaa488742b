/** The rules on a wire in memory: every action, and the clock. */
import type http from 'node:http';
import {
  type Action,
  blackhole,
  call,
  corrupt,
  createWire,
  delay,
  down,
  drop,
  duplicate,
  heal,
  hold,
  icmp,
  inject,
  jump,
  type Match,
  modify,
  partition,
  reboot,
  release,
  reorder,
  req,
  res,
  rst,
  slice,
  split,
  syn,
  throttle,
  truncate,
  up,
  type Wire,
  type WireOptions,
} from '../../../fault';

let wire: Wire;
const open = (options?: WireOptions): Wire => {
  wire = createWire(options);
  return wire;
};
afterEach(() => wire.close());

const BODY = Buffer.from(Array.from({ length: 20_000 }, (_, i) => 97 + (i % 26)));
const body: http.RequestListener = (_, response) => response.end(BODY);

/** The reply under a rule, and how long it took. */
async function under(match: Match, ...actions: Action[]): Promise<{ intact: boolean; ms: number }> {
  open({ rtt: 20 });
  await wire.serve(body);
  const rule = wire.on(match).do(...actions);
  const reply = await wire.get('/');
  expect(rule.hits).toBeGreaterThan(0);
  return { intact: BODY.equals(reply.body), ms: wire.clock.now() };
}

const text: Match = { dir: 's2c', len: [1, 65_535] };

describe('an untouched wire', () => {
  test('a request takes two round trips on the clock of the wire', async () => {
    open({ rtt: 20 });
    await wire.serve((_, response) => response.end('hello'));
    const reply = await wire.get('/a');
    expect([reply.status, reply.body.toString(), reply.complete]).toEqual([200, 'hello', true]);
    expect(wire.clock.now()).toBeCloseTo(40, 0);
    expect(wire.trace().notation()).toBe('S SA PA PA');
  });

  test('two runs with one seed are the same, byte for byte; another seed is another run', async () => {
    const run = async (seed: number): Promise<string> => {
      open({ seed });
      await wire.serve(body);
      wire.on({ p: 0.1 }).do(drop());
      wire.on({ dir: 's2c' }).do(delay({ min: 0, max: 5 }));
      await wire.get('/');
      const hash = wire.hash();
      wire.close();
      return hash;
    };
    const [a, b, c] = [await run(7), await run(7), await run(8)];
    expect(b).toBe(a);
    expect(c).not.toBe(a);
  });

  test('probability 0 means untouched, 1 always', async () => {
    open();
    await wire.serve(body);
    const never = wire.on({ p: 0 }).do(drop());
    let seen = 0;
    const always = wire.on({ p: 1 }).do(call(() => seen++));
    await wire.get('/');
    expect([never.hits, seen]).toEqual([0, always.hits]);
    expect(wire.engine.decisions.list.filter(({ what }) => what === never.label)).toEqual([]);
  });
});

describe('verdicts: TCP makes good', () => {
  test.each<[string, Match, Action[], number, number]>([
    ['drop the second data segment', { ...text, nth: 2 }, [drop()], 40, 400],
    ['delay', { ...text, nth: 1 }, [delay(100)], 140, 200],
    ['duplicate', { ...text, nth: 2 }, [duplicate(3, 1)], 40, 100],
    ['reorder', { ...text, nth: 2 }, [reorder({ after: 2 })], 40, 200],
    ['corrupt a bit', { ...text, nth: 2 }, [corrupt({ bit: 9 })], 40, 400],
    ['corrupt a field', { ...text, nth: 2 }, [corrupt({ field: 'seq' })], 40, 400],
    ['truncate', { ...text, nth: 2 }, [truncate(100)], 40, 400],
    ['slice into 100 bytes', { ...text, nth: 1 }, [slice(100, 2)], 60, 200],
    ['modify the window', { dir: 's2c' }, [modify((s) => void (s.window = 8000))], 40, 400],
    ['throttle', { dir: 's2c' }, [throttle(800_000)], 200, 400],
  ])('%s', async (_, match, actions, low, high) => {
    const { intact, ms } = await under(match, ...actions);
    expect(intact).toBe(true);
    expect(ms).toBeGreaterThanOrEqual(low);
    expect(ms).toBeLessThan(high);
  });

  test('corrupt with repair: the receiver takes it for good', async () => {
    expect(await under({ ...text, nth: 2 }, corrupt({ bit: 9, repair: true }))).toMatchObject({ intact: false });
  });

  test('without repair its stack counts a bad checksum', async () => {
    await under({ ...text, nth: 2 }, corrupt({ bit: 9 }));
    const corrupted = wire
      .trace()
      .delivered()
      .filter((entry) => entry.text.includes('corrupt'));
    expect(corrupted).toHaveLength(1);
  });

  test('modify to null drops', async () => {
    await under(
      { ...text, nth: 1 },
      modify(() => null),
    );
    expect(wire.trace().entries.filter(({ kind }) => kind === 'dropped')).toHaveLength(1);
  });

  test('what follows a place: bytes before it pass, the rest is dropped once', async () => {
    const { intact } = await under(res(1).bodyByte(100), drop());
    expect(intact).toBe(true);
    const dropped = wire.trace().entries.filter(({ kind }) => kind === 'dropped');
    expect(dropped.map(({ length }) => length)).toHaveLength(1);
    expect(
      wire
        .trace()
        .delivered()
        .some(({ length, dir }) => dir === 's2c' && length < 500 && length > 100),
    ).toBe(true);
  });
});

describe('gates, taps and streams', () => {
  test('hold and release', async () => {
    open();
    await wire.serve(body);
    wire.on(res(1)).do(hold('response'));
    wire.clock.at(500, release('response'));
    expect((await wire.get('/')).body).toHaveLength(20_000);
    expect(wire.clock.now()).toBeGreaterThan(500);
  });

  test('a tap sees every segment and may drop', async () => {
    open();
    await wire.serve(body);
    const flags: number[] = [];
    const off = wire.tap((segment, { seen }) => {
      flags.push(segment.flags);
      return seen.handshake === 'syn' && flags.length === 1 ? 'drop' : undefined;
    });
    await wire.get('/');
    off();
    expect(flags.slice(0, 3)).toEqual([2, 2, 18]);
  });

  test('injected bytes shift what follows, both ways, and the connection goes on', async () => {
    open();
    await wire.serve((request, response) => response.end(`you asked for ${request.url}`));
    wire.on(res(1).begin()).do(inject('HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n', { as: 's2c' }));
    wire.on(req(2).header('host')).do(inject('X-Extra: 1\r\n', { as: 'c2s' }));
    expect((await wire.get('/1')).body.toString()).toBe('you asked for /1');
    expect((await wire.get('/2')).body.toString()).toBe('you asked for /2');
    expect((await wire.get('/3')).body.toString()).toBe('you asked for /3');
    expect(wire.origins[0]!.handled[1]!.headers['x-extra']).toBe('1');
    expect(wire.engine.conns).toHaveLength(1);
  });

  test('and under loss of everything else, too', async () => {
    open({ seed: 3 });
    await wire.serve(body);
    wire.on({ p: 0.05 }).do(drop());
    wire.on(res(1).begin()).do(inject('HTTP/1.1 103 Early Hints\r\n\r\n', { as: 's2c' }));
    for (let i = 0; i < 5; i++) expect(BODY.equals((await wire.get('/')).body)).toBe(true);
  });
});

describe('hosts and paths', () => {
  test('partition, one way and both, until it heals', async () => {
    open();
    await wire.serve(body);
    wire.do(partition('client', 'server', { oneway: true }));
    wire.clock.at(2000, heal());
    expect((await wire.get('/')).status).toBe(200);
    expect(wire.clock.now()).toBeGreaterThan(2000);
  });

  test('a server that is down: silent, then refusing, then back', async () => {
    open();
    await wire.serve(body);
    wire.do(down('server', 'rst'));
    await expect(wire.get('/')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    wire.do(down('server', 'silent'));
    await expect(wire.get('/', { connectTimeout: 3000 })).rejects.toMatchObject({ code: 'ETIMEDOUT' });
    wire.do(up('server'));
    expect((await wire.get('/')).status).toBe(200);
  });

  test('a server that was rebooted knows no connection: keep-alive probe, RST, and the pool drops it (2.50)', async () => {
    open();
    await wire.serve(body);
    const agent = wire.agent({ timeout: 60_000 });
    await wire.get('/', { agent });
    wire.do(reboot('server'));
    await wire.clock.advance(3000);
    expect(Object.keys(agent.freeSockets)).toEqual([]);
    expect((await wire.get('/', { agent })).reusedSocket).toBe(false);
  });

  test('NAT with too few ports: the SYN beyond is lost (2.20)', async () => {
    open();
    await wire.serve(body);
    const nat = wire.nat({ ports: 2 });
    const agent = wire.agent();
    await Promise.all([wire.get('/1', { agent }), wire.get('/2', { agent })]);
    expect(nat.size).toBe(2);
    const other = wire.agent();
    await expect(wire.get('/3', { agent: other, connectTimeout: 5000 })).rejects.toMatchObject({ code: 'ETIMEDOUT' });
  });

  test('a middlebox that closes both ends when it forgets', async () => {
    open();
    const origin = await wire.serve(body, { keepAliveTimeout: 100_000 });
    const agent = wire.agent();
    wire.middlebox({ idle: 30_000, expired: 'fin-both', probes: 'ignore' });
    await wire.get('/', { agent });
    await wire.clock.advance(40_000);
    expect(agent.freeSockets).toEqual({});
    expect(origin.clientErrors).toEqual([]);
  });

  test("a client's clock leaps ahead: its timers come due", async () => {
    open();
    await wire.serve((request, response) => void wire.clock.sleep(5000).then(() => response.end(request.url)));
    wire.on(req(1).end()).do(jump('client', 60_000));
    await expect(wire.get('/', { timeout: 30_000 })).rejects.toMatchObject({ code: 'ECONNRESET' });
    expect(wire.clock.now()).toBeLessThan(5000);
  });
});

test('before its FIN is a place: the bytes that come with it pass, and what follows them waits', async () => {
  open();
  await wire.serve((_, response) => response.end('0123456789'));
  wire.on({ dir: 's2c', seqAt: 'fin' }).do(delay(5000));
  expect((await wire.get('/', { headers: { connection: 'close' } })).body.toString()).toBe('0123456789');
  const together = wire
    .trace()
    .entries.find(({ kind, dir, flags }) => kind === 'sent' && dir === 's2c' && flags === 'FPA');
  expect(together?.length).toBeGreaterThan(10);
  const arrivals = wire
    .trace()
    .delivered()
    .filter(({ dir, at }) => dir === 's2c' && at < 4000);
  expect(arrivals.map(({ flags }) => flags)).toEqual(['SA', 'PA']);
  await wire.clock.advance(6000);
  expect(
    wire
      .trace()
      .delivered()
      .some(({ dir, flags }) => dir === 's2c' && flags.includes('F')),
  ).toBe(true);
});

test('a closed wire says that it is closed', async () => {
  open();
  wire.close();
  expect(() => wire.on({})).toThrow('the wire is closed');
  expect(() => wire.get('/')).toThrow('the wire is closed');
  await expect(wire.fetch('/')).rejects.toThrow('the wire is closed');
});

describe('rules without sense are refused', () => {
  test.each([
    ['p', () => wire.on({ p: 2 }), 'a chance is from 0 to 1'],
    ['nth', () => wire.on({ nth: 0 }), 'it counts from 1'],
    ['no action', () => wire.on({}).do(), 'needs an action'],
    ['a place without dir', () => wire.on({ seqAt: 3 }), 'needs dir'],
    ['flags', () => wire.on({ flags: 'X' }), 'letters of S, F, R, P and A'],
    [
      'a field that there is not',
      () => wire.on({ direction: 's2c' } as never),
      "a match has no field 'direction': dir,",
    ],
    ['a word that there is not', () => wire.on({ dir: 'down' as 's2c' }), 'dir is "down"; it is one of c2s, s2c'],
    ['a step that there is not', () => wire.on({ handshake: 'synack' as 'syn' }), 'one of syn, syn-ack, ack'],
    ['no side', () => wire.on({ http: { at: 'body' } as never }), 'side is undefined; it is one of req, res'],
    ['a match that is text', () => wire.on('res(1)' as never), `such as res(1) or { dir: 's2c' }, not "res(1)"`],
    ['a selector that was not called', () => wire.on(res as never), 'call it, res(…)'],
    ['an action that is text', () => wire.on({}).do('rst' as never), `such as rst({ to: 'c' }), not "rst"`],
    ['an action that was not called', () => wire.on({}).do(rst as never), 'call it, rst(…)'],
    ['an action without its end', () => (rst as () => void)(), 'rst to is undefined; it is one of c, s, both'],
    [
      'an option that there is not',
      () => createWire({ sed: 1 } as never),
      "a wire has no option 'sed': seed, profile,",
    ],
    [
      'a profile that there is not',
      () => createWire({ profile: 'macos' }),
      "'macos': linux-node20, linux-6.5, linux, rfc",
    ],
    ['a byte that is none', () => wire.on({ dir: 's2c', seqAt: -1 }), "seqAt is -1: a byte from 0 on, or 'fin'"],
    ['a verdict outside of a segment', () => wire.do(drop()), 'acts on a segment'],
    ['rst without a connection', () => wire.do(rst({ to: 'c' })), 'needs a connection'],
    ['negative delay', () => delay(-1), 'delay is -1'],
    ['an end that there is not', () => rst({ to: 'client' as 'c' }), 'rst to is "client"; it is one of c, s, both'],
    ['a direction that there is not', () => blackhole('both' as 'c2s'), 'it is one of c2s, s2c'],
    ['icmp before anything was sent', () => wire.do(icmp(3, 1, { to: 'c' })), 'needs a connection'],
    ['a middlebox that does nothing', () => wire.middlebox({ idle: 5 }), 'expired'],
  ])('%s', (_, make, message) => {
    open();
    expect(make).toThrow(message);
  });
});

describe('the clock', () => {
  test('a request that is never answered waits for as long as patience lasts, then time stands still', async () => {
    open({ patience: 60_000 });
    await wire.serve(() => {});
    let settled = false;
    void wire.get('/', { agent: false }).finally(() => {
      settled = true;
    });
    for (let i = 0; i < 50 && wire.clock.now() < 60_000; i++) await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(settled).toBe(false);
    expect(wire.clock.now()).toBeLessThan(70_000);
  });

  test('run() says when a promise can never be settled', async () => {
    open();
    await expect(wire.run(new Promise(() => {}))).rejects.toThrow('nothing is left to happen');
  });

  test('global timers: a handler and a client that sleep, in virtual time', async () => {
    open({ timers: 'global' });
    await wire.serve((_, response) => void setTimeout(() => response.end('late'), 3_600_000));
    const reply = await wire.get('/', { agent: wire.agent() });
    expect(reply.body.toString()).toBe('late');
    // An hour: Jest would not have waited for it.
    expect(wire.clock.now()).toBeGreaterThanOrEqual(3_600_000);
    wire.close();
  });

  test('what a handler throws is not swallowed', async () => {
    open();
    await wire.serve(() => {
      throw new Error('a bug of the program');
    });
    await expect(wire.run(wire.get('/'))).rejects.toThrow('a bug of the program');
  });
});

test('the same over our own http, client and server', async () => {
  open({ http: 'tapwire' });
  await wire.serve(body);
  wire.on(res(2).bodyByte(7000)).do(split(), rst({ to: 'c' }));
  expect((await wire.get('/1')).body).toHaveLength(20_000);
  await expect(wire.get('/2')).rejects.toMatchObject({ message: 'read ECONNRESET', reusedSocket: true });
});

test('undici over the connector', async () => {
  open();
  await wire.serve(body);
  wire.on(syn()).times(1).do(drop());
  wire.on(req(2).end()).do(blackhole('s2c'));
  const { Agent, request } = require('undici') as typeof import('undici');
  const dispatcher = new Agent({ connect: wire.connector() as never });
  const first = await request(`http://${wire.addresses.server}/`, { dispatcher });
  expect(await first.body.text()).toHaveLength(20_000);
  expect(wire.clock.now()).toBeGreaterThan(1000);
  await dispatcher.destroy();
});

test.each([
  ['node', 'a head that stalls', 'GET / HT', 15],
  ['node', 'a body that stalls', 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc', 45],
  ['tapwire', 'a head that stalls', 'GET / HT', 15],
  ['tapwire', 'a body that stalls', 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc', 45],
] as const)('headersTimeout and requestTimeout are on the wire’s clock (%s): %s', async (http, _, text, seconds) => {
  const wire = createWire({ http });
  const limits = { headersTimeout: 10_000, requestTimeout: 40_000, connectionsCheckingInterval: 5000 };
  const origin = await wire.serve((request) => void request.resume(), limits);
  const socket = wire.connect({ host: 'server', port: 80 });
  let said = '';
  let endedAt = -1;
  socket.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  socket.on('close', () => {
    endedAt = wire.clock.now();
  });
  await wire.clock.advance(1000);
  socket.write(text);
  await wire.clock.advance(100_000);
  // When connections are looked at next, every five seconds, behind the limit.
  expect(Math.floor(endedAt / 1000)).toBe(seconds);
  expect(said).toMatch(/^HTTP\/1.1 408 Request Timeout\r\n/);
  expect(origin.clientErrors.map(({ message }) => message)).toEqual(['Request timeout']);
  wire.close();
});

test('a request that is complete has no limit, however long its handler takes', async () => {
  const wire = createWire();
  const limits = { headersTimeout: 10_000, requestTimeout: 40_000, connectionsCheckingInterval: 5000 };
  await wire.serve((_, response) => void wire.clock.sleep(120_000).then(() => response.end('late')), limits);
  expect((await wire.run(wire.get('/'))).body.toString()).toBe('late');
  wire.close();
});

test.each(['node', 'tapwire'] as const)(
  '%s: a closed wire holds no parser of connections that nobody closes',
  async (module) => {
    const sockets: { parser?: object | null }[] = [];
    const wire = createWire({ http: module, leaks: 'ignore' });
    const origin = await wire.serve((request, response) => {
      if (request.url === '/kept') response.end('kept');
    });
    origin.server.on('connection', (socket: object) => void sockets.push(socket));
    await wire.get('/kept');
    void wire
      .get('/never', {
        onRequest: (request) => void request.on('socket', (socket) => void sockets.push(socket as object)),
      })
      .catch(() => {});
    await wire.clock.advance(1000);
    const held = (): number => sockets.filter(({ parser }) => parser?.constructor.name === 'HTTPParser').length;
    expect(held()).toBe(module === 'node' ? 2 : 0);
    wire.close();
    expect(held()).toBe(0);
    // None of them is among those that are used again.
    const next = createWire({ http: module });
    await next.serve((_, response) => response.end('another'));
    for (let i = 0; i < 3; i++) expect((await next.get('/', { agent: false })).body.toString()).toBe('another');
    next.close();
  },
);
