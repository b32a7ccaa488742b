/**
 * The calls of the catalogue's sketches (§4), each with the arguments that it has there: they exist, and mean that. What is
 * around them (servers, clients) is what somebody would have who writes such a test.
 */
import type http from 'node:http';
import {
  atMostOnce,
  bodyIntact,
  coalesce,
  createWire,
  drop,
  explore,
  fin,
  freeze,
  fuzz,
  hold,
  idle,
  inject,
  noLeak,
  type Origin,
  openWires,
  partition,
  type Reply,
  type RequestOptions,
  race,
  req,
  res,
  rst,
  split,
  stall,
  syn,
  type Wire,
  window,
} from '../../../fault/jest';

let wire: Wire;
beforeEach(() => {
  wire = createWire({ seed: 42, profile: 'linux-node20', rtt: 20, mode: 'memory' });
});

const echo: http.RequestListener = (request, response) => response.end(JSON.stringify({ path: request.url }));
const large: http.RequestListener = (_, response) => response.end(Buffer.alloc(10_000, 'x'));

/** A client that tries again, twice at most, when a connection was lost. */
async function again(ask: () => Promise<Reply>, tries = 3): Promise<Reply> {
  try {
    return await ask();
  } catch (error) {
    if (tries === 1) throw error;
    return again(ask, tries - 1);
  }
}

test('race of a rule and a match: one wire, and each order begins anew', async () => {
  const agent = wire.agent({ keepAlive: true });
  await wire.serve(echo, { keepAliveTimeout: 60_000 });
  const laps: number[] = [];
  const get2 = async (): Promise<Reply> => {
    await wire.get('/1', { agent });
    await wire.clock.advance(5020);
    const reply = await again(() => wire.get('/2', { agent }));
    laps.push(wire.engine.exchanges.count);
    return reply;
  };
  const rule = wire.on(idle(5000)).do(fin({ to: 'c' }));
  const orders = race(rule, req(2)).orders('all');
  await orders.test(async () => expect(await get2()).toRetry(1));
  // Requests count from 1 in each; in the first order the client knew in time.
  expect(laps).toEqual([2, 3, 3]);
  // A client that tries no more than it must is told from one that never does.
  const deaf = race(rule, req(2)).orders('first');
  await expect(deaf.test(async () => expect(await get2()).toRetry(1))).rejects.toThrow(
    'toRetry(1): in no order was the request sent again more than 0 times',
  );
  const late = race(rule, req(2)).orders('second');
  await expect(late.test(async () => expect(await get2()).toRetry(0))).rejects.toThrow('was sent 2 times');
});

test('race of two segments, by name', async () => {
  const agent = wire.agent({ keepAlive: true });
  // It closes a connection that is idle: the genuine FIN, a second after the time that it tells.
  await wire.serve(
    (request, response) => {
      response.setHeader('Keep-Alive', 'timeout=60');
      echo(request, response);
    },
    { keepAliveTimeout: 1000 },
  );
  const said: Record<string, string> = {};
  await race('fin', 'req2')
    .orders('first', 'second', 'same-wakeup')
    .test(async (_, order) => {
      await wire.get('/1', { agent });
      const [{ at }] = wire.trace().delivered().slice(-1) as unknown as [{ at: number }];
      // The request leaves its host while the FIN is on its way, or when it has come.
      await wire.clock.advance(at + (order === 'same-wakeup' ? 2100 : 1985) - wire.clock.now());
      const error = await wire.get('/2', { agent }).catch((failure: unknown) => failure as Error);
      const message = 'message' in error ? error.message : 'no error';
      const passed = wire
        .trace()
        .delivered()
        .filter(({ at: when }) => when > at + 100);
      const fin = passed.findIndex(({ flags }) => flags.includes('F'));
      const request = passed.findIndex(({ dir, length }) => dir === 'c2s' && length > 1);
      said[order] = `${fin < request ? 'FIN, request' : 'request, FIN'}: ${message}`;
    });
  // Node reads the FIN first in each, since the reset comes behind it; and has written by then.
  expect(said).toEqual({
    first: 'FIN, request: socket hang up',
    second: 'request, FIN: socket hang up',
    'same-wakeup': 'FIN, request: socket hang up',
  });
  expect(() => race('finn', 'req2')).toThrow("there is no moment 'finn'");
});

test('RST at a byte of the body, in a wake-up of its own', async () => {
  await wire.serve(large);
  const get = (): Promise<Reply> => wire.get('/');
  wire.on(res(1).bodyByte(4096)).do(split(), rst({ to: 'c' }));
  await expect(get()).rejects.toBeNodeError('ECONNRESET', { phase: 'body' });
});

test('the same, coalesced: a promise is given to the matcher', async () => {
  await wire.serve(large);
  const get = (): Promise<Reply> => wire.get('/');
  wire.on(res(1).bodyByte(4096)).do(coalesce(), rst({ to: 'c' }));
  await expect(get()).toDeliverBody('truncated-and-reported');
});

test('a NAT that forgets', async () => {
  await wire.serve(echo, { keepAliveTimeout: 3_600_000 });
  // Probes would keep the entry of a NAT alive; this pool does not probe.
  const agent = wire.agent({ keepAlive: true, keepAliveMsecs: 3_600_000 });
  const get = (): Promise<Reply> => again(() => wire.get('/', { agent }));
  // biome-ignore lint/suspicious/noThenProperty: the catalogue's name; `expired` is ours
  wire.middlebox({ idle: 350_000, then: 'rst-sender' });
  await get();
  await wire.clock.advance(400_000);
  await expect(get()).resolves.toMatchObject({ status: 200 });
  expect(wire).toHaveWire('... R S SA ...');
});

test('three pooled connections, all stale', async () => {
  await wire.serve(echo);
  let n = 0;
  const get = (): Promise<Reply> => {
    const path = `/${++n}`;
    return again(() => wire.get(path));
  };
  await Promise.all([get(), get(), get()]);
  wire.do(freeze('client', 3_600_000));
  await expect(get()).toRetry(1);
});

test("the server's loop is blocked: a client that tries again shows nothing of it, a bare one does", async () => {
  const serve = (): Promise<Origin> =>
    wire.serve(
      (_, response) => {
        response.setHeader('Keep-Alive', 'timeout=60');
        response.end();
      },
      { keepAliveTimeout: 1000 },
    );
  const origin = await serve();
  let get = (): Promise<Reply> => again(() => wire.get('/2'));
  await wire.get('/1');
  wire.on(req(2).line()).do(stall('server', 2500));
  await expect(get()).not.toBeNodeError('ECONNRESET');
  expect(origin.count('/2')).toBe(1);
  wire.close();

  wire = createWire();
  await serve();
  get = () => wire.get('/2');
  await wire.get('/1');
  wire.on(req(2).line()).do(stall('server', 2500));
  await expect(get()).toBeNodeError('ECONNRESET', { reused: true });
});

test('every order of an early answer, and what is expected of each', async () => {
  const upload = async (bytes: number): Promise<Reply> => {
    const current = openWires().at(-1)!;
    await current.serve((_, response) => response.writeHead(413).end('no'));
    return current.request({ method: 'POST', body: Buffer.alloc(bytes) });
  };
  const run = explore(() => upload(1e6), {
    permute: ['res', 'fin', 'rst', 'write'],
    expect: (r) => r.status === 413,
  });
  // Node's client loses the response in some: that is what this is for.
  await expect(run).rejects.toThrow(/^\d+ of 24 orders failed/);
});

test('hold(gate) behind the end of a request holds its response', async () => {
  const server = await wire.serve((request, response) => void request.resume().on('end', () => response.end('paid')));
  const id = 'order-9';
  const post = (path: string, key: string): Promise<Reply> =>
    wire.request({ method: 'POST', path, body: 'amount=1', headers: { 'Idempotency-Key': key } });
  wire.on(req(1).end()).do(hold('resp'), rst({ to: 'c' }));
  await post('/pay', id).catch(() => {});
  await wire.clock.settle();
  expect(server).toBeProcessedAtMostOnce(id);
  expect(server.count(id)).toBe(1);
  // The response was sent, and did not come.
  const texts = (kind: string): number =>
    wire.trace().entries.filter((e) => e.kind === kind && e.dir === 's2c' && e.length > 0).length;
  expect([texts('sent') > 0, texts('delivered')]).toEqual([true, 0]);
});

test('a budget for connecting; options without a path', async () => {
  await wire.serve(echo);
  const get = (options: RequestOptions): Promise<Reply> => wire.get(options);
  wire.on(syn()).times(2).do(drop());
  await expect(get({ connectTimeout: 2500 })).rejects.toBeNodeError('ETIMEDOUT', { syscall: 'connect' });
});

test('a window that closes, and opens at a time of the clock', async () => {
  await wire.serve((request, response) => void request.resume().on('end', () => response.end()));
  const upload = (bytes: number): Promise<Reply> => wire.request({ method: 'POST', body: Buffer.alloc(bytes) });
  wire.on(req(1).bodyByte(65536)).do(window('server', 0));
  wire.clock.at(30_000, window('server', 65535));
  await expect(upload(1e6)).toSettleWithin(31_000);
  await expect(wire).toLeakNoSockets();
});

test('a response that nobody asked for is taken for that of the request that is written before it is read', async () => {
  const http408 = 'HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n';
  await wire.serve(echo);
  const get = async (path: string): Promise<{ path: string }> => {
    await wire.clock.advance(150);
    const { status, body } = await wire.get(path);
    return status === 408 ? { path: '' } : JSON.parse(body.toString());
  };
  await get('/a');
  wire
    .on(idle(100))
    .times(1)
    .do(stall('client', 400), inject(http408, { as: 's2c' }));
  // Where the sketch wishes for '/b', Node's client gets the 408: the failure that this is there to show.
  expect((await get('/b')).path).toBe('');
});

test('a hunt with invariants', async () => {
  const suite = async (made: Wire): Promise<void> => {
    await made.serve(echo);
    for (const path of ['/1', '/2']) await made.get(path).catch(() => {});
  };
  const found = await fuzz({
    seeds: 20,
    faults: { drop: 0.02, rst: 0.001, fin: 0.001, reorder: 0.05 },
    run: suite,
    invariant: [noLeak, atMostOnce, bodyIntact],
  });
  expect(found).toEqual({ runs: 20 });
});

test('restart: the wire is as new, and goes on', async () => {
  await wire.serve(echo, { keepAliveTimeout: 3_600_000 });
  const agent = wire.agent({ keepAlive: true });
  const box = wire.middlebox({ ports: 1 });
  const cut = wire.on(res(1).begin()).do(hold('gate'));
  const lost = wire.get('/1', { agent }).catch((error: Error) => error.message);
  await wire.clock.advance(100);
  await expect(wire.get('/2', { connectTimeout: 1000 })).rejects.toBeNodeError('ETIMEDOUT');
  wire.do(partition('client', 'server'));
  expect([cut.hits, box.size, wire.engine.exchanges.count]).toEqual([1, 1, 1]);
  await wire.restart();
  expect(await lost).not.toBe('');
  expect([cut.hits, box.size, wire.engine.exchanges.count, wire.engine.conns.length]).toEqual([0, 0, 0, 0]);
  expect([wire.trace().entries.length, wire.origins[0]!.handled.length, wire.leftovers()]).toEqual([0, 0, []]);
  // The rule acts again, on the first response of the new run; the gate opens, and the path is there.
  const reply = wire.get('/3', { agent });
  await wire.clock.advance(100);
  expect(cut.hits).toBe(1);
  wire.release('gate');
  expect((await reply).body.toString()).toBe('{"path":"/3"}');
  await expect(wire.get('/4', { connectTimeout: 1000 })).rejects.toBeNodeError('ETIMEDOUT');
  box.off();
  expect((await wire.get('/5')).status).toBe(200);
});
