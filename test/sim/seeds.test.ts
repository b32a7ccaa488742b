import { generate } from '../../sim/generate';
import type { FaultPlan, FlowPlan, HostPlan, ScenarioPlan, SidePlan } from '../../sim/plan';
import { failureText, isLossless, type Outcome, runScenario, shrink } from '../../sim/scenario';
import { fromToken, toToken } from '../../sim/token';
import type { Stack } from '../../stack/stack';

/** Runs a plan that must succeed; a failure shows the token that replays it. */
function run(plan: ScenarioPlan): Outcome {
  const outcome = runScenario(plan);
  if (outcome.failure !== null) throw new Error(failureText(plan, outcome));
  return outcome;
}

const SIDE: SidePlan = {
  bytes: 100_000,
  chunk: 16_384,
  writeGapMs: 0,
  readMax: 1 << 30,
  readGapMs: 0,
  end: 'shutdown',
  abortAfter: 0,
  noDelay: false,
};
const FLOW: FlowPlan = {
  from: 0,
  to: 1,
  port: 1000,
  atMs: 100,
  count: 1,
  everyMs: 0,
  rounds: 0,
  open: 'listener',
  backlog: 128,
  client: SIDE,
  server: SIDE,
};
const HOST: HostPlan = {
  profile: 'linux',
  constants: {},
  slabsMax: 64,
  sendBytesMax: 256 << 20,
  initialSequence: null,
};
const PLAN: ScenarioPlan = {
  seed: 1,
  family: 4,
  hosts: [HOST, HOST],
  link: {
    delayMs: 10,
    jitterMs: 2,
    lossPpm: 10_000,
    reorderPpm: 10_000,
    reorderMs: 5,
    duplicatePpm: 2000,
    corruptPpm: 500,
  },
  flows: [FLOW],
  faults: [],
  limitMs: 3_600_000,
};

/** Sequence numbers that wrap while the test looks, the sign of a 32-bit number, and ordinary ones. */
const BEGINNINGS = [0xffff_ffff - 5, 0x7fff_ffff - 5, 0xffff_0000, 0x7fff_0000, null];

describe.each([4, 6] as const)('over IPv%d', (family) => {
  describe.each(BEGINNINGS)('initial sequence number %d', (initialSequence) => {
    const plan = (flow: Partial<FlowPlan>, changes: Partial<ScenarioPlan> = {}): ScenarioPlan => ({
      ...PLAN,
      family,
      hosts: PLAN.hosts.map((host) => ({ ...host, initialSequence })),
      flows: [{ ...FLOW, ...flow }],
      ...changes,
    });

    test('bulk both ways', () => {
      expect(run(plan({})).bytes).toBe(200_000);
    });

    test('request and response', () => {
      const side = { ...SIDE, bytes: 40_000 };
      expect(run(plan({ rounds: 40, client: side, server: side })).bytes).toBe(80_000);
    });

    test('many connections open and close', () => {
      const side = { ...SIDE, bytes: 500 };
      const outcome = run(plan({ count: 60, everyMs: 7, client: side, server: { ...side, end: 'wait' } }));
      expect([outcome.connections, outcome.bytes]).toEqual([60, 60_000]);
    });

    test('half close: one direction goes on after the other has ended', () => {
      const outcome = run(plan({ client: { ...SIDE, bytes: 10 }, server: { ...SIDE, writeGapMs: 30 } }));
      expect(outcome.bytes).toBe(100_010);
    });

    test('both open, and both close, at the same time', () => {
      run(plan({ open: 'simultaneous', client: { ...SIDE, end: 'close' }, server: { ...SIDE, end: 'close' } }));
    });

    test('slow readers, single bytes', () => {
      const slow: SidePlan = { ...SIDE, bytes: 3000, chunk: 3, readMax: 7, readGapMs: 2 };
      run(plan({ client: slow, server: slow }));
    });

    test('a partition of three seconds', () => {
      const faults: FaultPlan[] = [{ kind: 'partition', link: 0, atMs: 130, forMs: 3000, from: null }];
      const outcome = run(plan({}, { faults }));
      expect(outcome.virtualMs).toBeGreaterThan(3000);
    });
  });
});

describe('faults', () => {
  const withFault = (fault: FaultPlan, link: ScenarioPlan['link'] = { delayMs: 10 }): ScenarioPlan => ({
    ...PLAN,
    link,
    faults: [fault],
    flows: [{ ...FLOW, client: { ...SIDE, writeGapMs: 20 }, server: { ...SIDE, writeGapMs: 20 } }],
  });
  const storm = (what: 'rst' | 'syn' | 'fin' | 'ack', where: 'exact' | 'inside' | 'outside'): FaultPlan => ({
    kind: 'forge',
    link: 0,
    atMs: 150,
    count: 50,
    everyFrames: 1,
    what,
    where,
  });

  test.each(['rst', 'syn', 'fin', 'ack'] as const)(
    'a storm of forged %s outside the window changes nothing',
    (what) => {
      const plan = withFault(storm(what, 'outside'));
      expect(isLossless(plan)).toBe(true);
      expect(run(plan).bytes).toBe(200_000);
    },
  );

  test.each(['rst', 'syn'] as const)('a storm of forged %s inside the window is challenged and survived', (what) => {
    const plan = withFault(storm(what, 'inside'));
    expect(isLossless(plan)).toBe(true);
    expect(run(plan).bytes).toBe(200_000);
  });

  test('an exact RST ends the connection with an error, not with silence', () => {
    const plan = withFault(storm('rst', 'exact'));
    expect(isLossless(plan)).toBe(false);
    expect(run(plan).bytes).toBeLessThan(200_000);
  });

  test.each<FaultPlan>([
    { kind: 'zero-window', link: 0, atMs: 150, forMs: 9000 },
    { kind: 'stall', host: 1, atMs: 150, forMs: 2000 },
    { kind: 'weather', link: 0, atMs: 120, forMs: 3000, options: { lossPpm: 400_000 } },
    { kind: 'partition', link: 0, atMs: 150, forMs: 5000, from: 1 },
  ])('%j is made good', (fault) => {
    const plan = withFault(fault);
    expect(isLossless(plan)).toBe(true);
    expect(run(plan).bytes).toBe(200_000);
  });

  describe.each([4, 6] as const)('text that comes again in other pieces, over IPv%d', (family) => {
    test.each([
      ['same', {}],
      ['other', {}],
      ['same', { lossPpm: 20_000, reorderPpm: 100_000, reorderMs: 15 }],
      ['other', { lossPpm: 20_000, reorderPpm: 100_000, reorderMs: 15 }],
    ] as const)('%s bytes, %j', (bytes, link) => {
      const overlap: FaultPlan = { kind: 'overlap', link: 0, atMs: 110, count: 100, everyFrames: 1, bytes };
      const plan = { ...withFault(overlap, { delayMs: 10, ...link }), family };
      expect(isLossless(plan)).toBe(true);
      let injected = 0;
      const outcome = runScenario(plan, {
        wire: (_link, _from, fate) => {
          injected += fate === 'delivered' ? 1 : fate === 'sent' ? -1 : 0;
        },
      });
      expect([outcome.failure, outcome.bytes]).toEqual([null, 200_000]);
      if (bytes === 'same' && Object.keys(link).length === 0) expect(injected).toBeGreaterThan(20);
    });
  });

  test.each(['black-hole', 'always'] as const)(
    'a link that swallows large frames is found out and survived (RFC 4821): mtuProbing %s',
    (mtuProbing) => {
      const plan = withFault({ kind: 'mtu', link: 0, atMs: 150, forMs: 600_000, mtu: 1200 });
      const hosts = plan.hosts.map((host) => ({ ...host, constants: { ...host.constants, mtuProbing } }));
      const outcome = run({ ...plan, hosts });
      expect(outcome.bytes).toBe(200_000);
    },
  );

  test('a clock that leaps by a day, and a link that swallows large frames, end in order or with an error', () => {
    run(withFault({ kind: 'clock-jump', host: 0, atMs: 150, byMs: 86_400_000 }));
    run(withFault({ kind: 'mtu', link: 0, atMs: 150, forMs: 3000, mtu: 600 }));
  });
});

describe('a failing run', () => {
  const broken = (stack: Stack): void => {
    for (const c of stack.tcp.connections) if (c.bytesReceived > 50_000) throw new Error('more than 50,000 bytes');
  };

  test('tells its seed and a token that replays it exactly', () => {
    const plan = { ...PLAN, seed: 9 };
    const outcome = runScenario(plan, { check: broken });
    expect(outcome.failure).toContain('more than 50,000 bytes');
    const text = failureText(plan, outcome);
    const token = /--replay (\S+)/.exec(text)![1]!;
    expect(text).toContain('seed 9 at ');
    expect(fromToken(token)).toEqual(plan);
    expect({ ...runScenario(fromToken(token), { check: broken }), stack: '' }).toEqual({ ...outcome, stack: '' });
  });

  test('is reduced to what it fails with', () => {
    const harmless: FlowPlan = { ...FLOW, port: 1100, client: { ...SIDE, bytes: 10 }, server: { ...SIDE, bytes: 10 } };
    const faults: FaultPlan[] = [{ kind: 'stall', host: 0, atMs: 50, forMs: 10 }];
    const plan = { ...PLAN, flows: [harmless, { ...FLOW, backlog: 128 }], faults };
    const small = shrink(plan, 60, { check: broken });
    expect(small.flows.map((flow) => flow.port)).toEqual([1000]);
    expect(small.faults).toEqual([]);
    expect(small.link.lossPpm).toBe(0);
    expect(runScenario(small, { check: broken }).failure).not.toBeNull();
  });

  test('damaged tokens are refused', () => {
    expect(() => fromToken('tw1.AAAA')).toThrow('damaged');
    expect(() => fromToken(`x${toToken(PLAN)}`)).toThrow('begins with');
    expect(() => fromToken(toToken(PLAN).slice(0, -8))).toThrow('damaged');
  });
});

test.each([
  [200_357, 'the tail is probed after segments have become larger'],
  [202_489, 'without SACK a record is cut after segments have become larger'],
  [202_153, 'a SYN cookie opens a connection again that was reset on one side'],
  [405_087, 'a clock that leapt by a day makes the reordering window hours long'],
  [408_663, 'a clock that leapt makes the wait for a tail probe hours long'],
  [302_779, 'a client port is used again'],
  [607_502, 'a client port is used again, with the same first number, while TIME-WAIT remembers it'],
  [203_450, 'a forged FIN in the middle of a conversation'],
  [9_000_275, 'a SYN forged behind a forged reset, to a host whose first number never changes'],
])('seed %d, which once failed: %s', (seed) => {
  expect(runScenario(generate(seed)).failure).toBeNull();
});

test('a link that is full for long makes no host spin, whatever comes due meanwhile', () => {
  // Seventeen writers of single bytes over 256 kbit/s: a timer is due while the link has no room for minutes on end.
  const outcome = runScenario(generate(102_104));
  expect(outcome.failure).toBeNull();
  expect(outcome.events).toBeLessThan(500_000);
});

test('a run that never ends is stopped and said so', () => {
  const outcome = runScenario(PLAN, { eventsMax: 100 });
  expect(outcome.failure).toContain('100 events and no end');
});

test('the same seed gives the same run, to the last bit', () => {
  for (const seed of [3, 17, 29]) expect(runScenario(generate(seed))).toEqual(runScenario(generate(seed)));
});

describe('generated runs', () => {
  const PER_TEST = 15;
  test.each(Array.from({ length: 10 }, (_, i) => i * PER_TEST + 1))('seeds from %d', (first) => {
    for (let seed = first; seed < first + PER_TEST; seed++) run(generate(seed));
  });
});
