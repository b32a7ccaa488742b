/** The twelve sketches of the fault catalogue, §4, each as a test that somebody would write. */
import type http from 'node:http';
import {
  atMostOnce,
  bodyIntact,
  coalesce,
  createWire,
  delay,
  drop,
  explore,
  fin,
  freeze,
  fuzz,
  hold,
  idle,
  inject,
  noLeak,
  type Plan,
  permute,
  type Reply,
  race,
  replay,
  req,
  res,
  rst,
  split,
  stall,
  syn,
  type Wire,
  window,
} from '../../../fault/jest';
import { saidWith } from '../../../fault/versions';

const ok: http.RequestListener = (request, response) => response.end(`this is ${request.url}`);

/** A client that tries once more when a reused connection was reset, as many do. */
async function getWithRetry(wire: Wire, path: string, tries = 2): Promise<Reply> {
  for (let left = tries; ; left--) {
    try {
      return await wire.get(path);
    } catch (error) {
      if (left <= 1) throw error;
    }
  }
}

test('1 keep-alive FIN crosses request (2.1): three orders, one test', async () => {
  const orders = race(
    async (wire) => {
      await wire.serve(ok);
      await wire.get('/1');
      return [wire.on(idle(3000)).do(fin({ to: 'c' })), req(2)] as const;
    },
    { seed: 1 },
  ).orders('all');
  const retries: Record<string, number> = {};
  await orders.test(async (wire, order) => {
    await wire.clock.advance(3020);
    const reply = await getWithRetry(wire, '/2');
    expect(reply.body.toString()).toBe('this is /2');
    retries[order] = wire.engine.exchanges.list.length - 2;
    expect(reply).toRetry(order === 'first' ? 0 : 1);
  });
  expect(retries).toEqual({ first: 0, second: 1, 'same-wakeup': 1 });
});

test('2 RST exactly at response body byte 4096, a wake-up of its own', async () => {
  const wire = createWire({ seed: 42 });
  await wire.serve((_, response) => response.end(Buffer.alloc(10_000, 'x')));
  wire.on(res(1).bodyByte(4096)).do(split(), rst({ to: 'c' }));
  const error = await wire.get('/').catch((failure: unknown) => failure);
  expect(error).toBeNodeError('ECONNRESET', { syscall: 'read', phase: 'body', reused: false });
  expect((error as { reply: Reply }).reply.body).toHaveLength(4096);
  expect(wire).toHaveWire('> S < SA > PA A+ < RA ...');
});

test('3 the same RST in the same wake-up: a body that is short and a client that must say so (2.33)', async () => {
  const wire = createWire();
  await wire.serve((_, response) => response.end(Buffer.alloc(10_000, 'x')));
  wire.on(res(1).bodyByte(4096)).do(coalesce(), rst({ to: 'c' }));
  const got = await wire.get('/').catch((failure: unknown) => failure);
  expect(got).toDeliverBody('truncated-and-reported');
});

test('3b and one that does not: fetch and a body until close', async () => {
  const wire = createWire();
  await wire.serve((_, response) => {
    response.useChunkedEncodingByDefault = false;
    response.setHeader('Connection', 'close');
    response.write('0123456789');
    response.end();
  });
  wire.on(res(1).bodyByte(4)).do(coalesce(), rst({ to: 'c' }));
  const text = await (await wire.fetch('/')).text();
  expect(() => expect(text).toDeliverBody('truncated-and-reported')).toThrow('the server sent 10 bytes');
});

test('4 NAT forgets after 350 s; the pool must not hand out corpses', async () => {
  const wire = createWire();
  await wire.serve(ok, { keepAliveTimeout: 3_600_000 });
  const agent = wire.agent();
  wire.middlebox({ idle: 350_000, expired: 'rst-sender', probes: 'ignore' });
  await wire.get('/', { agent });
  await wire.clock.advance(400_000);
  // The agent's keep-alive probes, one a second, found the connection dead as soon as the box had forgotten it.
  await expect(wire.get('/', { agent })).resolves.toMatchObject({ status: 200, reusedSocket: false });
  expect(wire).toReachState('c', 'ESTABLISHED');
});

test('5 Lambda freeze: three pooled sockets, all stale (2.5, 2.6)', async () => {
  const wire = createWire();
  await wire.serve(ok);
  await Promise.all([wire.get('/1'), wire.get('/2'), wire.get('/3')]);
  wire.do(freeze('client', 3_600_000));
  const reply = await getWithRetry(wire, '/4', 5);
  expect(reply.status).toBe(200);
  expect(reply).toRetry(1);
});

test('6 server loop blocked past keepAliveTimeout with a request queued (2.9)', async () => {
  const wire = createWire();
  const origin = await wire.serve(ok, { keepAliveTimeout: 1000 });
  const agent = wire.agent({ timeout: 60_000 });
  // The agent would believe "timeout=1"; this server does not say so.
  origin.server.prependListener('request', (_: unknown, response: http.ServerResponse) => {
    response.setHeader('Keep-Alive', 'timeout=60');
  });
  await wire.get('/1', { agent });
  wire.on(req(2).line()).do(stall('server', 2500));
  const error = await wire.get('/2', { agent }).catch((failure: unknown) => failure);
  expect(error).toBeNodeError('ECONNRESET', { reused: true });
  expect(origin.count('/2')).toBe(0);
});

test('7 413 early answer, every ordering of {response, FIN, RST, client write} (2.24)', async () => {
  const outcomes = await permute(['res', 'fin', 'rst', 'write'], {
    setup: async (wire) => {
      await wire.serve((_, response) => {
        response.writeHead(413);
        response.end('no');
      });
    },
    test: (wire) =>
      wire
        .request({ method: 'POST', body: Buffer.alloc(200_000), path: '/upload' })
        .then((reply) => `response ${reply.status}`)
        .catch((error: Error & { events: string[] }) =>
          error.events.some((event) => event.includes('req.response')) ? 'response, then error' : error.message,
        ),
  });
  expect(outcomes).toHaveLength(24);
  const kinds = new Set(outcomes.map(({ outcome }) => outcome));
  expect([...kinds].some((kind) => kind.startsWith('response'))).toBe(true);
  // In some orders the response is lost: the very thing that the test is for.
  expect(kinds.size).toBeGreaterThan(1);
});

test('8 POST committed, then reset: no double submit (2.48)', async () => {
  const wire = createWire();
  const origin = await wire.serve((request, response) => {
    request.resume();
    request.on('end', () => response.end('paid'));
  });
  wire.on(req(1).end()).do(hold('resp', { dir: 's2c' }), rst({ to: 'c' }));
  const id = 'order-7c1';
  const error = await wire
    .request({ method: 'POST', path: '/pay', body: 'amount=1', headers: { 'Idempotency-Key': id } })
    .catch((failure: unknown) => failure);
  expect(error).toBeNodeError('ECONNRESET', { syscall: 'read' });
  await wire.clock.settle();
  expect(origin).toBeProcessedAtMostOnce(id);
  expect(origin.count(id)).toBe(1);
});

test('9 SYN lost twice, connect-timeout budget', async () => {
  const wire = createWire();
  await wire.serve(ok);
  wire.on(syn()).times(2).do(drop());
  const error = await wire.get('/', { connectTimeout: 2500 }).catch((failure: unknown) => failure);
  expect(error).toBeNodeError('ETIMEDOUT', { syscall: 'connect', phase: 'connect' });
  await expect(wire.get('/', { connectTimeout: 2500 })).resolves.toMatchObject({ status: 200 });
});

test('10 zero window upload, then recovery', async () => {
  const wire = createWire();
  await wire.serve((request, response) => {
    request.resume();
    request.on('end', () => response.end('got it'));
  });
  wire.on(req(1).bodyByte(65_536)).do(window('server', 0));
  wire.clock.at(30_000, window('server', 65_535));
  const upload = wire.request({ method: 'POST', body: Buffer.alloc(1_000_000) });
  await expect(upload).toSettleWithin(31_000);
  expect((await upload).status).toBe(200);
  expect(wire.clock.now()).toBeGreaterThan(30_000);
  await expect(wire).toLeakNoSockets();
});

test('11 unsolicited 408 on an idle socket with the client stalled: the response mix-up of 2.46', async () => {
  const wire = createWire();
  await wire.serve(ok);
  await wire.get('/a');
  const http408 = 'HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n';
  wire
    .on(idle(100))
    .times(1)
    .do(stall('client', 400), inject(http408, { as: 's2c' }));
  await wire.clock.advance(150);
  const reply = await wire.get('/b');
  // Node's client takes the stale response for that to /b. That is the failure; a client that copes shows 200.
  expect(reply.status).toBe(408);
});

test('11b without a stall the bytes are discarded', async () => {
  const wire = createWire();
  await wire.serve(ok);
  await wire.get('/a');
  wire.on(idle(100)).do(inject('HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n', { as: 's2c' }));
  await wire.clock.advance(1000);
  expect((await wire.get('/b')).body.toString()).toBe('this is /b');
});

test('12 hunt: any drop, RST or FIN anywhere, many seeds', async () => {
  const result = await fuzz({
    seeds: 40,
    faults: { drop: 0.02, rst: 0.002, fin: 0.002, reorder: 0.05 },
    setup: async (wire) => {
      await wire.serve((_, response) => response.end(Buffer.alloc(20_000, 'x')));
    },
    run: async (wire) => {
      for (let i = 0; i < 3; i++) {
        const got = await wire.get(`/${i}`).catch((failure: unknown) => failure);
        expect(got).toDeliverBody('truncated-and-reported');
      }
    },
  });
  expect(result.runs).toBe(40);
});

const untilClose: http.RequestListener = (_, response) => {
  response.useChunkedEncodingByDefault = false;
  response.setHeader('Connection', 'close');
  response.write(Buffer.alloc(5000, 'x'));
  response.end();
};

/** What cuts such a body so that nobody is told. */
const SILENT_CUT = saidWith<'rst-together' | 'fin'>('rst-together', { resetBehindText: 'fin' });

const mustBeShort = async (wire: Wire): Promise<void> => {
  await wire.serve(untilClose);
  await wire.get('/').catch(() => {});
};

const mustNotBeShort = async (wire: Wire): Promise<void> => {
  await wire.serve(untilClose);
  const got = await wire.get('/').catch((error: unknown) => error);
  expect(got).toDeliverBody('truncated-and-reported');
};

test('explore finds the placement that breaks a client, and its token runs it again', async () => {
  const failure = (await explore(mustNotBeShort, {
    points: 'every segment boundary',
    faults: ['drop', 'delay', SILENT_CUT],
    budget: 100,
  }).catch((error: unknown) => error)) as Error & { token: string; plan: Plan };
  expect(failure.message).toContain('the server sent 5000 bytes of body, the client delivered');
  expect(failure.message).toContain(`TAPWIRE_REPLAY=${failure.token}`);
  expect(failure.plan.placements).toHaveLength(1);
  expect(failure.plan.placements[0]!.fault).toBe(SILENT_CUT);
  await expect(replay(failure.token, mustNotBeShort)).rejects.toThrow('the client delivered');
  // Another program does not take the same course, and that is said.
  const other = async (wire: Wire): Promise<void> => {
    await wire.serve(ok);
    await wire.get('/a');
    await wire.get('/b');
  };
  await expect(replay(failure.token, other)).rejects.toThrow('another course');
});

test('7b every order of steps, by explore, which names those that go wrong', async () => {
  const upload = async (wire: Wire): Promise<number> => {
    await wire.serve((_, response) => response.writeHead(413).end('no'));
    const reply = await wire
      .request({ method: 'POST', body: Buffer.alloc(30_000) })
      .catch((error: Error & { reply?: Partial<Reply> }) => error.reply);
    return reply?.status ?? 0;
  };
  const options = { permute: ['res', 'fin', 'rst', 'write'], expect: (status: number) => status === 413 } as const;
  await expect(explore(upload, options)).rejects.toThrow(/^\d+ of 24 orders failed\n(res|fin|rst|write), /);
  const graceful = await explore(upload, { permute: ['res', 'fin'], expect: (status) => status === 413 }).catch(String);
  expect(graceful).toContain('1 of 2 orders failed\nfin, res: ');
  expect(await explore(upload, { permute: ['res'] })).toEqual({ runs: 1, segments: 0 });
  await expect(explore(upload, { permute: ['res'], expect: () => false })).rejects.toThrow('res: gave 413');
});

test('faults may be named by their functions, and invariants are ready-made', async () => {
  const twice = async (wire: Wire): Promise<void> => {
    await wire.serve((request, response) => void request.resume().on('end', () => response.end('paid')));
    const pay = (): Promise<unknown> => wire.request({ method: 'POST', path: '/pay', body: 'amount=1' });
    await pay().catch(() => pay().catch(() => {}));
  };
  const options = { faults: [rst, fin, drop], budget: 60, atOnce: 1 };
  const found = explore(twice, { ...options, invariant: [noLeak, atMostOnce, bodyIntact] });
  await expect(found).rejects.toThrow(/^POST \/pay was processed twice/);
  await explore(twice, { ...options, invariant: [noLeak, bodyIntact] });
  const short = explore(mustBeShort, { faults: [SILENT_CUT], budget: 60, invariant: [bodyIntact] });
  await expect(short).rejects.toThrow(
    /^GET \/: the client delivered \d+ bytes of body and reported nothing; 5000 were sent/,
  );
  const open = async (wire: Wire): Promise<void> => {
    await wire.serve(ok);
    wire.connect({ host: 'server', port: 80 }).on('error', () => {});
    await wire.clock.settle();
  };
  await expect(explore(open, { budget: 1, invariant: [noLeak] })).rejects.toThrow('sockets are left');
});

test('what chance drew stands beside the name of its rule', async () => {
  const wire = createWire({ leaks: 'ignore' });
  await wire.serve(ok);
  wire
    .on({ p: 0.999, len: [1, 65_535] })
    .label('likely')
    .times(1)
    .do(drop());
  await wire.get('/');
  expect(wire.report().ladder()).toMatch(/likely \(drew 0\.\d{4}\) \(drop\)/);
});

test('explore passes when nothing breaks the client, small scope first', async () => {
  const done = await explore(
    async (wire) => {
      await wire.serve(ok);
      await wire.get('/').catch((error: NodeJS.ErrnoException) => expect(error.code).toMatch(/^ECONN(RESET|REFUSED)$/));
    },
    { faults: ['drop', 'rst', 'duplicate'], budget: 60 },
  );
  expect(done).toEqual({ runs: 60, segments: 4 });
});

test('fuzz: what chance did is shrunk to the one fault at the one segment that matters', async () => {
  const failure = (await fuzz({
    seeds: 200,
    faults: { drop: 0.05, [SILENT_CUT]: 0.05, reorder: 0.1 },
    run: mustNotBeShort,
  }).catch((error: unknown) => error)) as Error & { token: string; plan: Plan };
  expect(failure.plan.chances).toEqual({});
  expect(failure.plan.placements).toHaveLength(1);
  expect(failure.plan.placements[0]!.fault).toBe(SILENT_CUT);
  await expect(replay(failure.token, mustNotBeShort)).rejects.toThrow('the client delivered');
  await expect(fuzz({ seeds: 1, faults: { constructor: 1 }, run: mustNotBeShort })).rejects.toThrow(
    "no fault 'constructor'",
  );
});

test('a failure is shrunk to the requests that it needs, and its fault comes earlier with them', async () => {
  const suite = async (wire: Wire, requests: readonly number[]): Promise<void> => {
    // Only the seventh response is one that may be cut unnoticed.
    await wire.serve((request, response) =>
      request.url === '/7' ? untilClose(request, response) : response.end('this is short'),
    );
    for (const n of requests)
      expect(await wire.get(`/${n}`).catch((error: unknown) => error)).toDeliverBody('truncated-and-reported');
  };
  const failure = (await explore(suite, {
    requests: 10,
    where: { dir: 's2c', len: [1, 65_535] },
    faults: [SILENT_CUT],
    budget: 100,
  }).catch((error: unknown) => error)) as Error & { token: string; plan: Plan };
  expect(failure.plan.requests).toEqual([7]);
  expect(failure.plan.placements).toEqual([{ segment: 1, fault: SILENT_CUT }]);
  expect(failure.message).toContain('request 7 alone');
  await expect(replay(failure.token, suite)).rejects.toThrow('the client delivered');
});

test('rules of a plan are shrunk: those that are not needed go, delays and offsets get smaller', async () => {
  const patience = async (wire: Wire): Promise<void> => {
    await wire.serve((_, response) => response.end(Buffer.alloc(20_000, 'x')));
    // Whoever reads has no more patience than two seconds, from the thousandth byte on.
    const began = wire.clock.now();
    const { body } = await wire.get('/');
    const took = wire.clock.now() - began;
    if (took > 2000) throw new Error(`${body.length} bytes took too long`);
  };
  const options = {
    budget: 1,
    rules: [
      { match: syn(), do: [delay(40)] },
      { match: res(1).bodyByte(15_000), do: [delay(7000)], label: 'a stumble', times: 1 },
      { match: { dir: 'c2s', nth: 5 }, do: [drop()], optional: true },
    ],
  } as const;
  const failure = (await explore(patience, options).catch((error: unknown) => error)) as Error & {
    token: string;
    plan: Plan;
  };
  expect(failure.message).toContain('with a stumble');
  const [rule, ...others] = failure.plan.rules!;
  expect([others, rule!.label, rule!.match]).toEqual([
    [],
    'a stumble',
    { http: { side: 'res', exchange: 1, at: 'body', byte: 0 } },
  ]);
  // The smallest delay with which it still takes too long: a millisecond less does not.
  const [{ ms }] = rule!.do as unknown as [{ ms: number }];
  expect(ms).toBeGreaterThan(1800);
  expect(ms).toBeLessThanOrEqual(2000);
  const at = (delayMs: number): Promise<unknown> =>
    explore(patience, { budget: 1, rules: [{ ...rule!, do: [delay(delayMs)] }] });
  await expect(at(ms)).rejects.toThrow('took too long');
  await at(ms - 1);
  await expect(replay(failure.token, patience)).rejects.toThrow('took too long');
  await expect(explore(patience, { rules: [{ do: [{ do: 'explode' } as never] }] })).rejects.toThrow(
    'rules[0].do[0]: there is no action "explode"',
  );
});

test('a delay that exploration placed is shrunk to the smallest that matters', async () => {
  const test = async (wire: Wire): Promise<void> => {
    await wire.serve(ok);
    const began = wire.clock.now();
    await wire.get('/');
    if (wire.clock.now() - began > 400) throw new Error('too late');
  };
  const failure = (await explore(test, { faults: [delay(5000)], budget: 20 }).catch(
    (error: unknown) => error,
  )) as Error & {
    plan: Plan;
  };
  const [{ segment, fault, ms }] = failure.plan.placements as [{ segment?: number; fault: string; ms?: number }];
  expect([failure.plan.placements.length, segment, fault]).toEqual([1, 1, 'delay']);
  // Two round trips of 20 ms without it.
  expect(ms).toBeGreaterThan(340);
  expect(ms).toBeLessThanOrEqual(400);
  expect(failure.message).toContain(`delay of ${ms} ms at segment 1`);
});

test('points: every byte; the place is shrunk to the first byte that breaks the client', async () => {
  const test = async (wire: Wire): Promise<void> => {
    await wire.serve((_, response) => response.end('0123456789'.repeat(20)));
    const got = await wire.get('/').catch((error: { reply?: Partial<Reply> }) => error.reply);
    // Right as long as less than 137 bytes of body have come.
    const length = got?.body?.length ?? 0;
    if (length >= 137 && length < 200) throw new Error('cut behind the 137th byte');
  };
  const options = { points: 'every byte', faults: ['rst'], where: { dir: 's2c' } } as const;
  const failure = (await explore(test, { ...options, budget: 400 }).catch((error: unknown) => error)) as Error & {
    plan: Plan;
    token: string;
  };
  const wire = createWire();
  await wire.serve((_, response) => response.end('0123456789'.repeat(20)));
  await wire.get('/');
  const head = wire.engine.conns[0]!.s.sent - 200;
  expect(failure.plan.placements).toEqual([{ at: { conn: 1, dir: 's2c', byte: head + 137 }, fault: 'rst' }]);
  await expect(replay(failure.token, test)).rejects.toThrow('cut behind the 137th byte');
  await expect(explore(test, { ...options, where: { dir: 's2c', len: [1, 2] } })).rejects.toThrow('where may say dir');
  await expect(explore(test, { points: 'everywhere' as never })).rejects.toThrow("'every byte'");
});

test('requests that are needed together stay together; a number of requests that is none is refused', async () => {
  const suite = async (wire: Wire, requests: readonly number[]): Promise<void> => {
    await wire.serve(ok);
    let lost = 0;
    for (const n of requests) await wire.get(`/${n}`).catch(() => lost++);
    if (lost > 0 && requests.includes(3) && requests.includes(8)) throw new Error('both were asked, and one was lost');
  };
  const failure = (await fuzz({ seeds: 50, faults: { rst: 0.05 }, requests: 12, run: suite }).catch(
    (error: unknown) => error,
  )) as Error & { plan: Plan };
  expect(failure.plan.requests).toEqual([3, 8]);
  expect(failure.plan.placements).toHaveLength(1);
  await expect(explore(suite, { requests: 0 })).rejects.toThrow('requests is 0: from 1 to 100000');
});
