/** What strangers send: rule files, REST bodies, frames. A clear error or a counted drop; never a throw, and nothing is left. */
import fc from 'fast-check';
import { memoryPair } from '../../../device/memory';
import {
  ACTION_NAMES,
  ControlServer,
  createWire,
  FaultEngine,
  type Medium,
  openMiddlebox,
  ruleFrom,
  rulesFrom,
} from '../../../fault';

/** Every field that a rule can have, with values that are right, nearly right, and wrong. */
const value: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom(
    'c',
    's',
    'both',
    'c2s',
    's2c',
    'client',
    'server',
    'SA',
    'F!R',
    'req',
    'res',
    'body',
    'end',
    'rst',
    'syn',
  ),
  fc.integer({ min: -3, max: 70_000 }),
  fc.double(),
  fc.boolean(),
  fc.constantFrom(null, 1e308, -0, 2 ** 53, '', '__proto__', '7'),
  fc.jsonValue({ maxDepth: 2 }),
);
const fields = (...names: string[]): fc.Arbitrary<Record<string, unknown>> =>
  fc.dictionary(fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...names) }, fc.string()), value, { maxKeys: 5 });
const action = fc
  .tuple(
    fc.oneof({ weight: 19, arbitrary: fc.constantFrom(...ACTION_NAMES) }, fc.string()),
    fields(
      'to',
      'ms',
      'bytes',
      'as',
      'gate',
      'dir',
      'host',
      'how',
      'type',
      'code',
      'mtu',
      'from',
      'oneway',
      'bps',
      'exact',
      'off',
      'copies',
    ),
  )
  .map(([name, rest]) => ({ ...rest, do: name }));
const rule = fc.record(
  {
    match: fc.oneof(
      fields(
        'dir',
        'flags',
        'conn',
        'seqAt',
        'nth',
        'len',
        'every',
        'p',
        'from',
        'until',
        'handshake',
        'again',
        'idle',
        'http',
      ),
      fields('side', 'at', 'byte', 'exchange', 'path', 'header').map((http) => ({ http })),
    ),
    do: fc.array(action, { maxLength: 4 }),
    label: value,
    times: value,
  },
  { requiredKeys: [] },
);

/** Some rules that are right, of all actions. */
const RIGHT = [
  ['drop', {}],
  ['delay', { ms: 5 }],
  ['delay', { ms: { min: 1, max: 9 } }],
  ['duplicate', { copies: 2 }],
  ['reorder', { after: 2 }],
  ['corrupt', { bit: 3, repair: true }],
  ['corrupt', { field: 'flags', repair: true }],
  ['truncate', { bytes: 3 }],
  ['slice', { bytes: 7, gapMs: 1 }],
  ['throttle', { bps: 1e6 }],
  ['pace', { pps: 1000, queue: 10 }],
  ['rst', { to: 'both', exact: false, off: -5 }],
  ['fin', { to: 'both' }],
  ['icmp', { type: 3, code: 4, to: 's', mtu: 0 }],
  ['inject', { bytes: 'HTTP/1.1 200 OK\r\n\r\n', as: 's2c' }],
  ['inject', { bytes: 'x', as: 'c2s' }],
  ['hold', { gate: 'g', dir: 'c2s' }],
  ['release', { gate: 'g' }],
  ['blackhole', { dir: 's2c' }],
  ['window', { host: 'server', bytes: 0 }],
  ['window', { host: 'c', bytes: null }],
  ['reboot', { host: 'server' }],
  ['down', { host: 'client', how: 'rst' }],
  ['up', { host: 'client' }],
  ['partition', { from: 'client', to: 'server', oneway: true }],
  ['heal', {}],
  ['coalesce', {}],
  ['split', { gapMs: 3 }],
] as const;

/** Right but for what one field may spoil. */
const nearly = fc
  .tuple(fc.constantFrom(...RIGHT), fields('dir', 'nth', 'p', 'from', 'flags'), fc.option(value, { nil: undefined }))
  .map(([[name, rest], match, times]) => ({ match, do: [{ do: name, ...rest }], times }));

describe('rules as JSON', () => {
  test('every action can be said', () => {
    expect([...new Set(RIGHT.map(([name]) => name))].sort()).toEqual([...ACTION_NAMES].sort());
    for (const [name, rest] of RIGHT)
      expect(ruleFrom({ do: [{ do: name, ...rest }] }).actions[0]).toMatchObject({ do: name });
  });

  test('whatever it is, it becomes a rule or a RangeError', () => {
    let made = 0;
    fc.assert(
      fc.property(fc.oneof(rule, nearly, fc.jsonValue()), (given) => {
        try {
          ruleFrom(JSON.parse(JSON.stringify(given) ?? 'null'));
          made++;
        } catch (error) {
          if (!(error instanceof RangeError)) throw error;
          expect(error.message.length).toBeLessThan(2000);
        }
      }),
      { numRuns: 3000, seed: 6 },
    );
    expect(made).toBeGreaterThan(20);
  });

  test.each([
    ['no list', '{"match":{}}', 'a list of rules was expected'],
    ['no JSON', '[{', 'it is no JSON'],
    ['a huge number', '[{"do":[{"do":"delay","ms":1e300}]}]', 'rule 1.do[0] (delay).ms is 1e+300: a number from 0 to'],
    [
      'a number as text',
      '[{"match":{"p":"0.5"},"do":[{"do":"drop"}]}]',
      'rule 1.match.p is "0.5": a number from 0 to 1',
    ],
    [
      'an unknown field',
      '[{"match":{"port":80},"do":[{"do":"drop"}]}]',
      'rule 1.match has no field "port": dir, flags',
    ],
    [
      'an unknown action',
      '[{"do":[{"do":"drop"},{"do":"explode"}]}]',
      'rule 1.do[1]: there is no action "explode" here',
    ],
    ['nothing to do', '[{"match":{}}]', 'rule 1 needs "do"'],
    ['a missing field', '[{"do":[{"do":"rst"}]}]', 'rule 1.do[0] (rst) needs "to"'],
    ['code of a host', '[{"do":[{"do":"stall","host":"client","ms":5}]}]', 'there is no action "stall" here'],
    ['the prototype', '[{"do":[{"do":"constructor"}]}]', 'there is no action "constructor" here'],
    ['a verdict in silence', '[{"match":{"idle":{"after":5}},"do":[{"do":"drop"}]}]', 'in silence there is none'],
    [
      'a pattern',
      '[{"match":{"http":{"side":"req","at":"begin","path":5}},"do":[{"do":"drop"}]}]',
      'match.http.path is 5',
    ],
  ])('%s', (_, json, message) => {
    expect(() => rulesFrom(json)).toThrow(message);
  });
});

describe('the control API', () => {
  let control: ControlServer;
  let url = '';
  beforeEach(async () => {
    control = new ControlServer();
    url = `http://127.0.0.1:${await control.listen(0)}`;
    await fetch(`${url}/proxies`, { method: 'POST', body: JSON.stringify({ name: 'p', upstream: '127.0.0.1:9' }) });
  });
  afterEach(() => control.close());

  test('bodies of strangers: refused with a reason, or taken; never an error of ours', async () => {
    const path = fc.constantFrom(
      '/proxies/p/rules',
      '/proxies/p/toxics',
      '/proxies/p/toxics/t',
      '/proxies',
      '/proxies/p',
      '/populate',
      '/reset',
      '/%ff',
      '/wires/x',
    );
    const proxy = fields('name', 'upstream', 'listen', 'enabled');
    const toxic = fields('type', 'stream', 'toxicity', 'attributes', 'name');
    const body = fc
      .oneof(rule, toxic, proxy, fc.array(proxy, { maxLength: 3 }), fc.jsonValue())
      .map((made) => JSON.stringify(made));
    const text = fc.oneof({ weight: 9, arbitrary: body }, fc.string());
    const seen = new Map<number, number>();
    await fc.assert(
      fc.asyncProperty(path, fc.constantFrom('POST', 'PATCH', 'PUT', 'DELETE'), text, async (to, method, sent) => {
        // The one proxy stays, so that there is something to harm.
        if (method === 'DELETE' && to === '/proxies/p') return;
        const response = await fetch(`${url}${to}`, { method, body: sent ?? '' });
        const said = await response.text();
        seen.set(response.status, (seen.get(response.status) ?? 0) + 1);
        expect([response.status, said]).not.toEqual([500, said]);
        if (response.status >= 400) expect(JSON.parse(said)).toMatchObject({ status: response.status });
      }),
      { numRuns: 400, seed: 6 },
    );
    expect([...seen.keys()]).toEqual(expect.arrayContaining([400, 404]));
    expect((await fetch(`${url}/version`)).status).toBe(200);
  }, 60_000);

  test('a body of two megabytes is refused, and so are browsers', async () => {
    const huge = await fetch(`${url}/proxies`, { method: 'POST', body: 'x'.repeat(2 << 20) });
    expect([huge.status, await huge.json()]).toEqual([413, { status: 413, error: 'more than 1048576 bytes' }]);
    expect((await fetch(`${url}/version`, { headers: { 'User-Agent': 'Mozilla/5.0' } })).status).toBe(403);
    expect((await fetch(`${url}/version`, { headers: { Origin: 'http://evil.test' } })).status).toBe(403);
  });
});

describe('frames', () => {
  /** A medium without hosts, which does at once whatever is due. */
  const nowhere = (): { medium: Medium; out: number; pass(ms: number): void } => {
    let clock = 0;
    const due: { at: number; task: () => void }[] = [];
    const made = {
      out: 0,
      medium: {
        linkType: 'ip' as const,
        wakeGapMs: 1,
        now: () => clock,
        at: (at: number, task: () => void) => {
          const timer = { at, task };
          due.push(timer);
          return timer;
        },
        cancel: (timer: unknown) => {
          const i = due.indexOf(timer as never);
          if (i >= 0) due.splice(i, 1);
        },
        deliver: () => {
          made.out++;
        },
      },
      pass(ms: number): void {
        clock += ms;
        for (const timer of due.filter(({ at }) => at <= clock)) {
          const i = due.indexOf(timer);
          if (i < 0) continue;
          due.splice(i, 1);
          timer.task();
        }
      },
    };
    return made;
  };

  /** Frames of a real exchange, to be bent. */
  async function recorded(): Promise<Uint8Array[]> {
    const wire = createWire();
    await wire.serve((_, response) => response.end('0123456789'));
    await wire.get('/');
    await wire.quiesce();
    const frames = wire
      .trace()
      .entries.filter(({ kind }) => kind === 'sent')
      .map(({ frame }) => frame!);
    wire.close();
    return frames;
  }

  test('bent frames under all kinds of rules: the engine goes on', async () => {
    const frames = await recorded();
    const bend = fc.record({
      frame: fc.nat(frames.length - 1),
      from: fc.constantFrom('left' as const, 'right' as const),
      changes: fc.array(fc.tuple(fc.nat(79), fc.nat(255)), { maxLength: 3 }),
      cut: fc.option(fc.nat(70), { nil: undefined }),
      pass: fc.nat(200),
    });
    const matches = fc.constantFrom<object>(
      {},
      { dir: 's2c' },
      { dir: 'c2s', seqAt: 3 },
      { http: { side: 'res', at: 'body', byte: 2 } },
      { http: { side: 'req', at: 'begin' } },
      { idle: { after: 50 } },
      { handshake: 'syn' },
      { flags: 'F' },
    );
    const some = fc.tuple(matches, fc.array(fc.constantFrom(...RIGHT), { minLength: 1, maxLength: 3 }));
    fc.assert(
      fc.property(fc.array(some, { maxLength: 4 }), fc.array(bend, { minLength: 5, maxLength: 40 }), (rules, bends) => {
        const world = nowhere();
        const engine = new FaultEngine({ medium: world.medium, seed: 1 });
        for (const [match, list] of rules) {
          try {
            engine.add(ruleFrom({ match, do: list.map(([name, rest]) => ({ do: name, ...rest })) }));
          } catch (error) {
            if (!(error instanceof RangeError)) throw error;
          }
        }
        for (const { frame, from, changes, cut, pass } of bends) {
          const bent = frames[frame]!.slice(0, cut);
          for (const [at, byte] of changes) if (at < bent.length) bent[at] = byte;
          engine.arrives(from, bent);
          world.pass(pass);
        }
        world.pass(1e6);
      }),
      { numRuns: 1500, seed: 6 },
    );
  }, 60_000);

  test('a middlebox that is closed has nothing left', () => {
    const [a, left] = memoryPair();
    const [right, b] = memoryPair();
    const box = openMiddlebox(left, right);
    const before = process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
    box.engine.middlebox({ idle: 350_000, expired: 'fin-both' });
    box.medium.at(box.medium.now() + 3_600_000, () => {});
    box.close();
    const after = process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
    expect(after).toBeLessThanOrEqual(before);
    a.close();
    b.close();
  });
});

test('a long life: what is remembered of connections and requests has an end', async () => {
  const wire = createWire();
  await wire.serve((_, response) => response.end('ok'));
  const { engine } = wire;
  for (let i = 0; i < 300; i++) await wire.get(`/${i}`);
  const [conn] = engine.conns;
  expect([engine.connCount, engine.exchanges.count, conn!.asked]).toEqual([1, 300, 300]);
  // Of one connection only the latest; on the whole wire many more.
  expect([conn!.exchanges.length, engine.exchanges.list.length]).toEqual([200, 300]);
  expect(engine.exchanges.numbered(1)!.n).toBe(1);
  expect([engine.exchanges.numbered(0), engine.exchanges.numbered(301)]).toEqual([undefined, undefined]);
  wire.close();
});
