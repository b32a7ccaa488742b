import { Random } from '../stack/base/random';
import { type Action, coalesce, corrupt, delay, drop, duplicate, fin, reorder, rst } from './actions';
import type { Match } from './match';
import { type Phase, phaseOf } from './matchers';
import { failUnused, type Unused } from './misses';
import { permute, type Step } from './permute';
import type { Report } from './report';
import { makeFolder, writeReport } from './report-files';
import { Rule } from './rule';
import { type FaultName, fromToken, type Placement, type Plan, packageVersion, toToken } from './token';
import { Wire, type WireOptions } from './wire';

/**
 * A test that is given a fresh wire every time, and the numbers of the requests that it is to make: all from 1 to the
 * option `requests`, or fewer while a failure is shrunk. It throws, or rejects, when something is wrong.
 */
export type WireTest = (wire: Wire, requests: readonly number[]) => Promise<unknown>;

/** What `explore` may be told. */
export interface ExploreOptions extends Omit<WireOptions, 'faults'> {
  /** Where faults are placed. The only choice yet. */
  readonly points?: 'every segment boundary';
  /** Only at segments that fit: `{ dir: 's2c', len: [1, 65_535] }` for what responses are made of. Plain data. */
  readonly where?: Match;
  /** Default: drop, rst, fin. */
  readonly faults?: readonly (FaultName | FaultMaker)[];
  /** Instead of faults: these steps, in every order (`permute`). The test serves and asks; it gives what `expect` is told. */
  readonly permute?: readonly Step[];
  /** With `permute`: whether what the test gave is right. */
  readonly expect?: (outcome: never) => boolean;
  /** Runs at most. Default 500. */
  readonly budget?: number;
  /** Faults in one run at most. Default 2. */
  readonly atOnce?: number;
  /** How many requests the test makes: it is given their numbers, and a failure is shrunk to those that it needs. */
  readonly requests?: number;
  /** Checked after the test, on the same wire. */
  readonly invariant?: readonly ((wire: Wire) => void | Promise<void>)[];
  /** Where reports of a failure are written. Default: none, unless TAPWIRE_REPORTS names a folder. */
  readonly reports?: string;
}

/** A fault by its function: `rst` for 'rst'. */
type FaultMaker =
  | typeof rst
  | typeof fin
  | typeof drop
  | typeof delay
  | typeof duplicate
  | typeof corrupt
  | typeof reorder;

/** What was done. */
export interface ExploreResult {
  readonly runs: number;
  /** Segments of the run without faults. */
  readonly segments: number;
}

/** How a run went. */
interface RunOutcome {
  readonly error: Error | null;
  readonly phase: Phase;
  readonly hash: string;
  readonly segments: number;
  /** Where faults were, those of chance among them. */
  readonly placed: readonly Placement[];
  /** Rules of the test's own that never acted. */
  readonly unused: readonly Unused[];
  readonly report: Report;
}

const ACTIONS: Readonly<Record<FaultName, () => Action[]>> = {
  drop: () => [drop()],
  duplicate: () => [duplicate()],
  delay: () => [delay(300)],
  corrupt: () => [corrupt()],
  rst: () => [rst({ to: 'c' })],
  'rst-together': () => [coalesce(), rst({ to: 'c' })],
  'rst-server': () => [rst({ to: 's' })],
  fin: () => [fin({ to: 'c' })],
  'fin-together': () => [coalesce(), fin({ to: 'c' })],
  reorder: () => [reorder()],
};

function actionsOf(fault: string): Action[] {
  if (!Object.hasOwn(ACTIONS, fault))
    throw new RangeError(`there is no fault '${fault}': ${Object.keys(ACTIONS).join(', ')}`);
  return ACTIONS[fault as FaultName]();
}

/** Arranges a plan on a wire. What chance decides is written down as placements: the same run without chance. */
function arrange(wire: Wire, plan: Plan, counter: Rule): Placement[] {
  const { engine } = wire;
  for (const { segment, fault } of plan.placements)
    engine.add(new Rule({ ...plan.where, nth: segment }, actionsOf(fault), `${fault} at segment ${segment}`, 1, true));
  const placed: Placement[] = [...plan.placements];
  const byChance = new Map<Rule, FaultName>();
  for (const [name, p] of Object.entries(plan.chances)) {
    const match: Match = { ...plan.where, p };
    const rule = new Rule(match, actionsOf(name), `${name} with chance ${p}`, Number.POSITIVE_INFINITY, true);
    byChance.set(engine.add(rule), name as FaultName);
  }
  engine.onRule = (rule) => {
    const fault = byChance.get(rule);
    if (fault !== undefined) placed.push({ segment: counter.fits, fault });
  };
  return placed;
}

async function runOnce(test: WireTest, plan: Plan, options: ExploreOptions): Promise<RunOutcome> {
  const { faults: _, requests: __, ...wireOptions } = options;
  const wire = new Wire({ ...wireOptions, seed: plan.seed, unused: 'ignore' });
  let error: Error | null = null;
  let placed: readonly Placement[] = [];
  // It never acts, and counts what the others count.
  const counter = wire.engine.add(new Rule({ ...plan.where, p: 0 }, [drop()], 'counter', 1, true));
  try {
    placed = arrange(wire, plan, counter);
    await test(wire, plan.requests ?? []);
    for (const check of options.invariant ?? []) await check(wire);
  } catch (failure) {
    error = typeof failure === 'object' && failure !== null ? (failure as Error) : new Error(String(failure));
  }
  const made = wire.report(`seed ${plan.seed}`);
  const outcome: RunOutcome = {
    error,
    phase: phaseOf(wire),
    hash: wire.engine.decisions.hash(),
    segments: counter.fits,
    placed,
    unused: wire.unused(),
    report: error === null ? made : asItIs(made),
  };
  wire.close();
  return outcome;
}

/** The report of now: what a wire does while it is closed is no part of the story. */
function asItIs(report: Report): Report {
  const [pcapng, ladder, mermaid, json] = [report.pcapng(), report.ladder(), report.mermaid(), report.json()];
  return { title: report.title, pcapng: () => pcapng, ladder: () => ladder, mermaid: () => mermaid, json: () => json };
}

/** Rules of the test's own that acted in no run: a fault may keep one from it, all of them do not. */
class InVain {
  private left: readonly Unused[] | null = null;

  constructor(private readonly options: ExploreOptions) {}

  after({ unused }: RunOutcome): void {
    this.left =
      this.left === null ? unused : this.left.filter((old) => unused.some(({ label }) => label === old.label));
  }

  /** @throws Error when there are any */
  check(runs: number): void {
    if (this.options.unused !== 'ignore') failUnused(this.left ?? [], ` in any of ${runs} runs`);
  }
}

type Failed = RunOutcome & { readonly error: Error };

const REQUESTS_MAX = 100_000;

/** The numbers of all requests, as the options say; undefined: they do not. */
function allRequests({ requests }: ExploreOptions): readonly number[] | undefined {
  if (requests === undefined) return undefined;
  if (!Number.isInteger(requests) || requests < 1 || requests > REQUESTS_MAX)
    throw new RangeError(`requests is ${requests}: from 1 to ${REQUESTS_MAX}`);
  return Array.from({ length: requests }, (_, i) => i + 1);
}

/**
 * What makes two failures the same one: the kind of error, its code, and its first line without numbers. Of a connection's
 * error also how far the exchange had come; what a test says itself (it has no code) is told by its words.
 */
function fingerprint({ error, phase }: Failed): string {
  const { code } = error as NodeJS.ErrnoException;
  const where = code === undefined ? '' : `${code} in ${phase}`;
  return `${error.name} ${where} ${error.message.split('\n')[0]!.replace(/\d+/g, 'n')}`;
}

/**
 * Runs a test under every single fault at every segment of the run, then under pairs, then under random sets, as far as the
 * budget goes. Fails with the smallest plan that makes the test fail in the same way, a token to run it again, and its story.
 * With TAPWIRE_REPLAY set to such a token, only that is run.
 */
export async function explore(test: WireTest, options: ExploreOptions = {}): Promise<ExploreResult> {
  const token = process.env['TAPWIRE_REPLAY'];
  if (token !== undefined && token !== '') {
    await replay(token, test, options);
    return { runs: 1, segments: 0 };
  }
  if (options.permute !== undefined) return inEveryOrder(test, options.permute, options);
  const seed = options.seed ?? 1;
  const clean: Plan = { seed, placements: [], chances: {}, where: options.where, requests: allRequests(options) };
  const baseline = await runOnce(test, clean, options);
  if (baseline.error !== null) throw failureOf(clean, baseline, 1, options);
  const inVain = new InVain(options);
  inVain.after(baseline);
  let runs = 1;
  for (const placements of plansFor(baseline.segments, options)) {
    if (runs >= (options.budget ?? 500)) break;
    const plan: Plan = { ...clean, placements };
    const outcome = await runOnce(test, plan, options);
    runs++;
    if (outcome.error !== null) {
      const [smallest, last] = await shrinkPlan(test, plan, outcome, options);
      throw failureOf(smallest, last, runs, options);
    }
    inVain.after(outcome);
  }
  inVain.check(runs);
  return { runs, segments: baseline.segments };
}

/** @throws Error that names the orders in which the test failed, or gave something else than is expected */
async function inEveryOrder(test: WireTest, steps: readonly Step[], options: ExploreOptions): Promise<ExploreResult> {
  const { expect: isRight = () => true, invariant = [], faults: _, ...wireOptions } = options;
  const outcomes = await permute<string>(steps, {
    ...wireOptions,
    setup: async () => {},
    test: async (wire) => {
      try {
        const given = await test(wire, allRequests(options) ?? []);
        for (const check of invariant) await check(wire);
        return isRight(given as never) ? '' : `gave ${JSON.stringify(given) ?? String(given)}`;
      } catch (error) {
        return (error as Error).message;
      }
    },
  });
  const wrong = outcomes.filter(({ outcome }) => outcome !== '');
  if (wrong.length === 0) return { runs: outcomes.length, segments: 0 };
  const text = wrong.map(({ order, outcome }) => `${order.join(', ')}: ${outcome.split('\n')[0]}`).join('\n');
  throw new Error(`${wrong.length} of ${outcomes.length} orders failed\n${text}`);
}

/** Small first: all single placements, then all pairs, then random sets without end. */
function* plansFor(segments: number, options: ExploreOptions): Generator<readonly Placement[]> {
  const given = options.faults ?? (['drop', 'rst', 'fin'] as const);
  const faults = given.map((fault) => (typeof fault === 'string' ? fault : (fault.name as FaultName)));
  const singles: Placement[] = [];
  for (let segment = 1; segment <= segments; segment++) for (const fault of faults) singles.push({ segment, fault });
  for (const single of singles) yield [single];
  const atOnce = options.atOnce ?? 2;
  if (atOnce < 2 || singles.length === 0) return;
  if (singles.length <= 40) {
    for (let i = 0; i < singles.length; i++)
      for (let k = i + 1; k < singles.length; k++)
        if (singles[i]!.segment !== singles[k]!.segment) yield [singles[i]!, singles[k]!];
  }
  const random = new Random(options.seed ?? 1);
  for (;;) {
    const count = 2 + random.below(atOnce - 1);
    yield Array.from({ length: count }, () => singles[random.below(singles.length)]!);
  }
}

/**
 * Makes places of chances, then takes away places, chances and requests, then moves what is left towards the beginning; as
 * long as the failure stays the same one.
 */
async function shrinkPlan(
  test: WireTest,
  plan: Plan,
  outcome: RunOutcome,
  options: ExploreOptions,
): Promise<[Plan, RunOutcome]> {
  let best = plan;
  let last = outcome;
  const wanted = fingerprint(outcome as Failed);
  const attempt = async (smaller: Plan): Promise<boolean> => {
    const tried = await runOnce(test, smaller, options);
    if (tried.error === null || fingerprint(tried as Failed) !== wanted) return false;
    best = smaller;
    last = tried;
    return true;
  };
  // Where chance struck, at these places and by no chance.
  if (Object.keys(plan.chances).length > 0) await attempt({ ...plan, placements: outcome.placed, chances: {} });
  for (let i = best.placements.length - 1; i >= 0; i--)
    await attempt({ ...best, placements: best.placements.filter((_, k) => k !== i) });
  for (const name of Object.keys(best.chances)) {
    const { [name]: _, ...chances } = best.chances;
    await attempt({ ...best, chances });
  }
  if (best.requests !== undefined) await shrinkRequests(test, () => best, attempt, options);
  // Earlier is simpler: bisects each placement towards the first segment.
  for (let i = 0; i < best.placements.length; i++) {
    for (let low = 1, high = best.placements[i]!.segment; low < high; ) {
      const middle = (low + high) >> 1;
      const placements = best.placements.map((p, k) => (k === i ? { ...p, segment: middle } : p));
      if (await attempt({ ...best, placements })) high = middle;
      else low = middle + 1;
    }
  }
  return [best, last];
}

/**
 * Takes requests away, half of them at first, then ever fewer together (delta debugging), until each one is needed. Faults
 * stay at their segments, or come earlier by as many segments as the requests had that are gone.
 */
async function shrinkRequests(
  test: WireTest,
  best: () => Plan,
  attempt: (smaller: Plan) => Promise<boolean>,
  options: ExploreOptions,
): Promise<void> {
  const segmentsOf = async (requests: readonly number[]): Promise<number> =>
    (await runOnce(test, { ...best(), placements: [], chances: {}, requests }, options)).segments;
  const without = async (requests: readonly number[]): Promise<boolean> => {
    const plan = best();
    if (await attempt({ ...plan, requests })) return true;
    if (plan.placements.length === 0) return false;
    const fewer = (await segmentsOf(plan.requests!)) - (await segmentsOf(requests));
    const placements = plan.placements.map((p) => ({ ...p, segment: Math.max(1, p.segment - fewer) }));
    return fewer > 0 && attempt({ ...plan, requests, placements });
  };
  for (let size = best().requests!.length >> 1; size >= 1; size >>= 1) {
    // From the end: what comes after the failure is the easiest to do without.
    for (let at = best().requests!.length - size; at > -size; at -= size) {
      const requests = best().requests!;
      const left = requests.filter((_, i) => i < at || i >= at + size);
      if (left.length > 0 && left.length < requests.length) await without(left);
    }
  }
}

const planText = (plan: Plan): string =>
  [
    ...plan.placements.map(({ segment, fault }) => `${fault} at segment ${segment}`),
    ...Object.entries(plan.chances).map(([name, p]) => `${name} with chance ${p}`),
  ].join(', ') || 'no fault at all';

const requestsText = ({ requests }: Plan): string => {
  if (requests === undefined) return '';
  const all = requests.every((number, i) => number === i + 1);
  return requests.length === 1
    ? `, request ${requests[0]} alone`
    : all
      ? `, requests 1 to ${requests.length}`
      : `, requests ${requests.join(', ')}`;
};

function failureOf(plan: Plan, outcome: RunOutcome, runs: number, options: ExploreOptions): Error {
  const token = toToken(plan, outcome.hash);
  const error = outcome.error!;
  const files = writeReports(outcome, options);
  const failure = new Error(
    `${error.message}\n\nafter ${runs} runs, with ${planText(plan)}${requestsText(plan)} (seed ${plan.seed})\n` +
      `replay: TAPWIRE_REPLAY=${token}\n${files}\n${outcome.report.ladder()}`,
    { cause: error },
  );
  failure.stack = `${failure.message}\n${error.stack ?? ''}`;
  return Object.assign(failure, { token, plan });
}

/** Keeps the story of a failure, where that is wished for. That it could not be written must not hide the failure. */
function writeReports(outcome: RunOutcome, options: ExploreOptions): string {
  const folder = options.reports ?? process.env['TAPWIRE_REPORTS'];
  if (folder === undefined || folder === '') return '';
  try {
    makeFolder(folder);
    return `reports: ${writeReport(folder, `failure-${outcome.hash}`, outcome.report)}`;
  } catch (error) {
    return `reports: none, ${(error as Error).message}`;
  }
}

/** Runs a test once as a token says. Fails as the test does; an Error of its own when the run took another course. */
export async function replay(token: string, test: WireTest, options: ExploreOptions = {}): Promise<void> {
  const { plan, hash, version } = fromToken(token);
  const outcome = await runOnce(test, plan, options);
  if (outcome.hash !== hash) {
    const made = version === packageVersion() ? '' : ` The token was made by version ${version}.`;
    throw new Error(
      `the replay took another course: the test or its options are not those of the token.${made}\n${outcome.report.ladder()}`,
      { cause: outcome.error ?? undefined },
    );
  }
  if (outcome.error !== null) throw failureOf(plan, outcome, 1, options);
}

/** What `fuzz` is told. */
export interface FuzzOptions extends Omit<ExploreOptions, 'faults'> {
  /** How many seeds, from `seed` (default 1) on. */
  readonly seeds: number;
  /** The chance of each fault, for every segment: `{ drop: 0.02, rst: 0.001 }`. */
  readonly chances?: Readonly<Record<string, number>>;
  readonly setup?: WireTest;
  readonly run: WireTest;
}

/** Runs a test under random faults, seed by seed. Fails with the first seed that fails, shrunk. */
export async function fuzz(
  options: Omit<FuzzOptions, 'faults'> & { readonly faults: Readonly<Record<string, number>> },
): Promise<{ runs: number }> {
  const { faults, setup, run, seeds, ...others } = options;
  const rest: ExploreOptions = others;
  const test: WireTest = async (wire, which) => {
    await setup?.(wire, which);
    await run(wire, which);
  };
  const token = process.env['TAPWIRE_REPLAY'];
  if (token !== undefined && token !== '') {
    await replay(token, test, rest);
    return { runs: 1 };
  }
  const first = rest.seed ?? 1;
  const requests = allRequests(rest);
  const inVain = new InVain(rest);
  for (let i = 0; i < seeds; i++) {
    const plan: Plan = { seed: first + i, placements: [], chances: faults, where: rest.where, requests };
    const outcome = await runOnce(test, plan, rest);
    inVain.after(outcome);
    if (outcome.error === null) continue;
    const [smallest, last] = await shrinkPlan(test, plan, outcome, rest);
    throw failureOf(smallest, last, i + 1, rest);
  }
  inVain.check(seeds);
  return { runs: seeds };
}
