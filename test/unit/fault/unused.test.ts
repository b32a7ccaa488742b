/** A rule that never acts must not let a test pass: it is named, with what came nearest to it. */
import {
  ack,
  coalesce,
  createWire,
  drop,
  explore,
  fin,
  finOf,
  fuzz,
  idle,
  type Match,
  nth,
  permute,
  race,
  req,
  res,
  rst,
  rulesFrom,
  syn,
  tearDown,
  tlsRecord,
  type Wire,
  type WireOptions,
} from '../../../fault/jest';
import { runScenario, type Scenario, scenarioNamed } from '../../../fault/scenarios';

/** A wire whose server sends ten bytes, and after which nobody looks but the test. */
async function plainWire(options: WireOptions = {}): Promise<Wire> {
  const wire = createWire({ unused: 'ignore', ...options });
  await wire.serve((request, response) => {
    if (request.url !== '/chunked') return response.end('0123456789');
    response.write('01234');
    return response.end();
  });
  return wire;
}

const whyOf = (wire: Wire): string[] => wire.unused().map(({ why }) => why);

describe('what came nearest', () => {
  test.each<[string, Match, string]>([
    ['a body that is shorter', res(1).bodyByte(4096), 'the response to request 1 (GET /) has a body of 10 bytes'],
    [
      'a head that is shorter',
      res(1).headerByte(4096),
      /^the head of the response to request 1 \(GET \/\) has \d+ bytes$/,
    ],
    ['a request that was not made', req(3), 'there was 1 request'],
    ['a field that is not there', res(1).header('etag'), /has no field etag: date, connection, keep-alive/],
    ['a body without chunks', res(1).chunk(1), 'the response to request 1 (GET /) is not chunked'],
    ['a trailer that cannot be', res(1).trailer(), 'the response to request 1 (GET /) is not chunked'],
    ['no interim response', res(1).continue(), 'request 1 has got no interim response'],
    ['another path', req().path(/^\/admin/), 'no target fits /^\\/admin/: /'],
    ['another connection', { conn: 2, flags: 'S' }, /it is of connection 1, not 2$/],
    [
      'another direction',
      { dir: 's2c', handshake: 'syn' },
      /^the nearest was c2s S of 0 bytes at \d+ ms: it goes c2s, not s2c$/,
    ],
    ['other flags', finOf('s2c'), /^the nearest was s2c SA of 0 bytes at \d+ ms: its flags are SA, not F$/],
    ['another length', { dir: 's2c', len: [5000, 6000] }, /it has \d+ bytes, not 5000 to 6000$/],
    ['text that was sent once', { again: true, dir: 's2c' }, /its text was not sent before$/],
    ['another time', { from: 1e6 }, /that is before 1000000 ms$/],
    ['another state', { state: { c: 'FIN-WAIT-1' } }, /c is SYN-SENT, not FIN-WAIT-1$/],
    ['a later one', nth(5, syn()), '1 time something fitted, and it waits for number 5'],
    ['a later byte', { dir: 's2c', seqAt: 5000 }, /^the longest stream s2c has \d+ bytes \(connection 1\)$/],
    ['no TLS', tlsRecord(1, 's2c'), 'what went s2c is no TLS'],
    ['a function that says no', { conn: () => false }, /the function `conn` says no$/],
  ] as [string, Match, string][])('%s', async (_, match, why) => {
    const wire = await plainWire();
    wire.on(match).do(rst({ to: 'c' }));
    await wire.get('/');
    const [said] = whyOf(wire);
    if ((why as unknown) instanceof RegExp) expect(said).toMatch(why);
    else expect(said).toBe(why);
  });

  test('silence that was too short, or of a connection that had answered too little', async () => {
    const wire = await plainWire();
    wire.on(idle(4000)).do(rst({ to: 'c' }));
    wire.on(idle(100, 2)).do(rst({ to: 'c' }));
    await wire.get('/');
    await wire.clock.advance(2000);
    expect(whyOf(wire)).toEqual([
      expect.stringMatching(/^the longest silence was 20\d\d(\.\d)? ms \(connection 1\), and it waits for 4000 ms$/),
      'no connection had answered 2 requests: the most is 1',
    ]);
  });

  test('a rule that came too late; a place whose segment was lost before', async () => {
    const late = await plainWire();
    await late.get('/');
    late.on(res(1).bodyByte(4)).do(rst({ to: 'c' }));
    expect(whyOf(late)).toEqual([expect.stringMatching(/^the place had passed \(at 35 ms\) before the rule was made/)]);
    const lost = await plainWire();
    lost.on(req(1).begin()).do(rst({ to: 'c' }));
    lost.clock.at(15, { do: 'partition', from: 'client', to: 'server', oneway: true });
    const failing = lost.get('/', { timeout: 500 }).catch((error: Error) => error);
    await lost.run(failing);
    expect(whyOf(lost)).toEqual(['the place is there, and was lost before the rules were asked (partition)']);
  });

  test('nothing at all', async () => {
    const wire = await plainWire();
    wire.on(syn()).do(drop());
    expect(whyOf(wire)).toEqual(['there was no connection']);
    wire.rules[0]!.off();
    expect(whyOf(wire)).toEqual(['it was taken away before anything fitted']);
  });

  test('actions that found nothing to act on', async () => {
    const wire = await plainWire();
    wire
      .on(syn())
      .label('early end')
      .do(fin({ to: 'c' }));
    wire.on(res(1).end()).label('nothing behind').do(coalesce(), drop());
    await wire.get('/');
    expect(wire.unused()).toEqual([
      { label: 'early end', why: 'fin: there is no connection yet that could end' },
      { label: 'nothing behind', why: 'drop is for what follows the place, and nothing did' },
    ]);
    await wire.get('/');
    expect(wire.unused().map(({ label }) => label)).toEqual(['early end']);
  });

  test('a match for which nothing was said to do', async () => {
    const wire = await plainWire();
    wire.on(res(1).bodyByte(4)).times(2);
    wire.on(res(2)).optional().do(drop());
    await wire.get('/');
    expect(wire.unused()).toEqual([{ label: 'res(1).body(4)', why: 'nothing was said to do: a rule is on(…).do(…)' }]);
  });

  test('boxes that forgot and refused nothing', async () => {
    const wire = await plainWire();
    wire.middlebox({ idle: 350_000, expired: 'rst-sender', probes: 'ignore', label: 'NAT' });
    wire.nat({ ports: 4 });
    wire.middlebox({ idle: 1e6, expired: 'blackhole', optional: true });
    await wire.get('/', { agent: false });
    expect(wire.unused()).toEqual([
      { label: 'NAT', why: expect.stringMatching(/^the longest silence before something more was sent was \d+ ms/) },
      { label: 'nat', why: '1 of its 4 ports were taken at most' },
    ]);
  });
});

test('what acted, may rest, is of chance, or was left out is none', async () => {
  const wire = await plainWire();
  wire.on(res(1).bodyByte(4)).do(rst({ to: 'c' }));
  wire
    .on(res(2).bodyByte(4))
    .optional()
    .do(rst({ to: 'c' }));
  wire.on({ p: 0 }).do(drop());
  wire.on({ p: 1e-9 }).do(drop());
  const [fromFile] = rulesFrom('[{"match":{"nth":99},"do":[{"do":"drop"}],"optional":true}]');
  wire.engine.add(fromFile!);
  await wire.get('/').catch(() => {});
  expect(wire.unused()).toEqual([]);
  const off = await plainWire({ faults: 'off' });
  off.on(syn()).do(drop());
  expect(off.unused()).toEqual([]);
});

test('rules of a file have names that tell them apart', () => {
  const [rule] = rulesFrom('[{"match":{"dir":"s2c","nth":2},"do":[{"do":"drop"}]}]');
  expect(rule!.label).toBe('dir s2c, nth 2: drop');
});

describe('the tear-down', () => {
  test.each(['closed by the test', 'left open'])('fails a test whose rule never acted, its wire %s', async (how) => {
    const wire = await plainWire({ unused: 'fail' });
    wire
      .on(res(1).bodyByte(4096))
      .label('cut at 4096')
      .do(rst({ to: 'c' }));
    await wire.get('/');
    if (how === 'closed by the test') wire.close();
    await expect(tearDown()).rejects.toThrow(
      'rules never acted, so nothing was tested with them:\n' +
        '  cut at 4096\n    the response to request 1 (GET /) has a body of 10 bytes\n' +
        'If a rule need not act, say so: on(…).optional()',
    );
    expect(wire.isClosed).toBe(true);
    await tearDown();
  });

  test('does not count what acts only in the silence that it makes itself', async () => {
    const wire = await plainWire({ unused: 'fail', leaks: 'fail' });
    wire.on({ flags: 'F' }).label('a FIN').do(drop());
    await wire.get('/');
    await expect(tearDown()).rejects.toThrow('  a FIN\n    the nearest was');
  });

  test('says nothing of wires that are told so', async () => {
    const wire = await plainWire();
    wire.on(res(9)).do(rst({ to: 'c' }));
    await wire.get('/');
    await tearDown();
  });
});

describe('ways to run a test many times', () => {
  test('a race: each order, and what the rule races with', async () => {
    const never = race(async (wire) => {
      await wire.serve((_, response) => response.end());
      return [
        wire
          .on(res(7).end())
          .label('seventh')
          .do(rst({ to: 'c' })),
        req(1),
      ];
    });
    await expect(never.orders('first').test(async (wire) => void (await wire.get('/')))).rejects.toThrow(
      'rules never acted, so nothing was tested with them:\n  seventh\n    there was 1 request',
    );
    const alone = race(async (wire) => {
      await wire.serve((_, response) => response.end());
      return [
        wire
          .on(ack())
          .times(1)
          .label('reset')
          .do(rst({ to: 's' })),
        req(9),
      ];
    });
    const test = alone.orders('second').test(async (wire) => void (await wire.get('/')));
    await expect(test).rejects.toThrow('  reset\n    it was reached, and what it races with never came');
  });

  test('every order of steps', async () => {
    const made = permute(['res', 'fin'], {
      setup: async (wire) => {
        await wire.serve((_, response) => response.end());
        wire
          .on(res(5))
          .label('fifth')
          .do(rst({ to: 'c' }));
      },
      test: (wire) => wire.get('/').catch(() => null),
    });
    await expect(made).rejects.toThrow('rules never acted in the order res, fin');
  });

  const suite = async (wire: Wire, place: Match): Promise<void> => {
    await wire.serve((_, response) => response.end('0123456789'));
    wire.on(place).label('own').do(drop());
    await wire.get('/').catch(() => {});
  };

  test('exploration and hunts: a rule that acted in no run', async () => {
    const explored = explore((wire) => suite(wire, res(5)), { faults: ['rst'], budget: 5 });
    await expect(explored).rejects.toThrow(/^rules never acted in any of 5 runs/);
    const hunted = fuzz({ seeds: 3, faults: { rst: 0.01 }, run: (wire) => suite(wire, res(5)) });
    await expect(hunted).rejects.toThrow(/^rules never acted in any of 3 runs/);
    // A fault at the first segment keeps the rule from acting in some of these runs, but not in all.
    await explore((wire) => suite(wire, nth(1, { dir: 's2c', len: [1, 65_535] })), { faults: ['rst'], budget: 5 });
  });
});

test('a scenario whose rule never acts did not go as promised', async () => {
  const scenario = scenarioNamed('content-length-short-rst');
  const idleRule: Scenario = {
    ...scenario,
    play: async (stage) => {
      stage.wire.on(res(2)).label('second').do(drop());
      await scenario.play(stage);
    },
  };
  const { asExpected, unused } = await runScenario(idleRule, 'http');
  expect([asExpected, unused]).toEqual([false, [{ label: 'second', why: 'there was 1 request' }]]);
});
