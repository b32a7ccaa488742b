import { Random } from '../stack/base/random';
import { drop } from './actions';
import type { Dir, Match } from './match';
import { type Phase, phaseOf } from './matchers';
import { failUnused, type Unused } from './misses';
import { permute, type Step } from './permute';
import { arrangePlan, type Fault, faultOf, plainRule, planText, ruleOf } from './plan';
import type { Report } from './report';
import { makeFolder, writeReport } from './report-files';
import { Rule } from './rule';
import type { RuleData } from './rule-json';
import { Shrinker } from './shrink';
import { fromToken, type Placement, type Plan, packageVersion, toToken } from './token';
import { Wire, type WireOptions } from './wire';

/**
 * A test that is given a fresh wire every time, and the numbers of the requests that it is to make: all from 1 to the
 * option `requests`, or fewer while a failure is shrunk. It throws, or rejects, when something is wrong.
 */
export type WireTest<T = unknown> = (wire: Wire, requests: readonly number[]) => Promise<T>;

/** What `explore` may be told. */
export interface ExploreOptions<T = never> extends Omit<WireOptions, 'faults'> {
  /**
   * Where faults are placed. 'every byte': behind each byte of every stream, coarse first (the middle, the quarters, …), as far
   * as the budget goes; of `where` only `dir` counts. Default 'every segment boundary'.
   */
  readonly points?: 'every segment boundary' | 'every byte';
  /** Only at segments that fit: `{ dir: 's2c', len: [1, 65_535] }` for what responses are made of. Plain data. */
  readonly where?: Match;
  /** Default: drop, rst, fin. */
  readonly faults?: readonly Fault[];
  /**
   * Rules that are there in every run, as data: `{ match: res(1).bodyByte(4096), do: [delay(3000)] }`. They belong to the plan
   * and its token, and a failure is shrunk in them: rules that it does not need go, delays and offsets get smaller.
   */
  readonly rules?: readonly RuleData[];
  /** Instead of faults: these steps, in every order (`permute`). The test serves and asks; it gives what `expect` is told. */
  readonly permute?: readonly Step[];
  /** With `permute`: whether what the test gave is right. */
  expect?(outcome: T): boolean;
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

/** What was done. */
export interface ExploreResult {
  readonly runs: number;
  /** Segments of the run without faults. */
  readonly segments: number;
}

/** How a run went. */
interface RunOutcome {
  readonly error: Error | null;
  /** See `fingerprintOf`; null: it did not fail. */
  readonly fingerprint: string | null;
  readonly hash: string;
  readonly segments: number;
  readonly streams: readonly Stream[];
  /** Where faults were, those of chance among them. */
  readonly placed: readonly Placement[];
  /** Rules of the test's own that never acted. */
  readonly unused: readonly Unused[];
  readonly report: Report;
}

async function runOnce(test: WireTest, plan: Plan, options: ExploreOptions): Promise<RunOutcome> {
  const { faults: _, requests: __, rules: ___, ...wireOptions } = options;
  const wire = new Wire({ ...wireOptions, seed: plan.seed, unused: 'ignore' });
  let error: Error | null = null;
  let placed: readonly Placement[] = [];
  // It never acts, and counts what the others count.
  const counter = wire.engine.add(new Rule({ ...plan.where, p: 0 }, [drop()], 'counter', 1, true));
  try {
    placed = arrangePlan(wire, plan, counter);
    await test(wire, plan.requests ?? []);
    for (const check of options.invariant ?? []) await check(wire);
  } catch (failure) {
    error = typeof failure === 'object' && failure !== null ? (failure as Error) : new Error(String(failure));
  }
  const made = wire.report(`seed ${plan.seed}`);
  const outcome: RunOutcome = {
    error,
    fingerprint: error === null ? null : fingerprintOf(error, phaseOf(wire)),
    hash: wire.engine.decisions.hash(),
    segments: counter.fits,
    streams: streamsOf(wire),
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
function fingerprintOf(error: Error, phase: Phase): string {
  const { code } = error as NodeJS.ErrnoException;
  const where = code === undefined ? '' : `${code} in ${phase}`;
  return `${error.name} ${where} ${error.message.split('\n')[0]!.replace(/\d+/g, 'n')}`;
}

/**
 * Runs a test under every single fault at every segment of the run, then under pairs, then under random sets, as far as the
 * budget goes. Fails with the smallest plan that makes the test fail in the same way, a token to run it again, and its story.
 * With TAPWIRE_REPLAY set to such a token, only that is run.
 */
export async function explore<T>(test: WireTest<T>, options: ExploreOptions<NoInfer<T>> = {}): Promise<ExploreResult> {
  const token = process.env['TAPWIRE_REPLAY'];
  if (token !== undefined && token !== '') {
    await replay(token, test, options);
    return { runs: 1, segments: 0 };
  }
  if (options.permute !== undefined) return inEveryOrder(test, options.permute, options);
  const seed = options.seed ?? 1;
  const { where, rules } = checked(options);
  const clean: Plan = { seed, placements: [], chances: {}, where, rules, requests: allRequests(options) };
  const baseline = await runOnce(test, clean, options);
  if (baseline.error !== null) {
    const [smallest, last] = await shrunk(test, clean, baseline, options);
    throw failureOf(smallest, last, 1, options);
  }
  const inVain = new InVain(options);
  inVain.after(baseline);
  let runs = 1;
  for (const placements of plansFor(baseline, options)) {
    if (runs >= (options.budget ?? 500)) break;
    const plan: Plan = { ...clean, placements };
    const outcome = await runOnce(test, plan, options);
    runs++;
    if (outcome.error !== null) {
      const [smallest, last] = await shrunk(test, plan, outcome, options);
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

type Place = Pick<Placement, 'segment' | 'at'>;

const isSamePlace = (a: Place, b: Place): boolean => a.segment === b.segment && a.at === b.at;

const everySegment = (segments: number): Place[] => Array.from({ length: segments }, (_, i) => ({ segment: i + 1 }));

/** Of all streams in turn: the middle of each, then the quarters, and so on down to single bytes. */
function everyByte(streams: readonly Stream[], { where, budget = 500 }: ExploreOptions): Place[] {
  const wanted = streams.filter(({ dir, bytes }) => bytes > 0 && (where?.dir ?? dir) === dir);
  const places: Place[] = [];
  const longest = Math.max(0, ...wanted.map(({ bytes }) => bytes));
  for (let step = 2 ** Math.ceil(Math.log2(longest + 1)); step >= 1 && places.length < budget; step /= 2)
    for (const { conn, dir, bytes } of wanted)
      for (let byte = step; byte <= bytes; byte += 2 * step) places.push({ at: { conn, dir, byte } });
  return places;
}

/** What the run without faults carried in one direction of a connection. */
interface Stream {
  readonly conn: number;
  readonly dir: Dir;
  readonly bytes: number;
}

const streamsOf = ({ engine }: Wire): Stream[] =>
  engine.conns.flatMap(({ id: conn, c, s }): Stream[] => [
    { conn, dir: 'c2s', bytes: c.sent },
    { conn, dir: 's2c', bytes: s.sent },
  ]);

/** Small first: all single placements, then all pairs, then random sets without end. */
function* plansFor(baseline: RunOutcome, options: ExploreOptions): Generator<readonly Placement[]> {
  const faults = (options.faults ?? (['drop', 'rst', 'fin'] as const)).map(faultOf);
  const places =
    options.points === 'every byte' ? everyByte(baseline.streams, options) : everySegment(baseline.segments);
  const singles = places.flatMap((place) => faults.map((fault): Placement => ({ ...place, ...fault })));
  for (const single of singles) yield [single];
  const atOnce = options.atOnce ?? 2;
  if (atOnce < 2 || singles.length === 0) return;
  if (singles.length <= 40) {
    for (let i = 0; i < singles.length; i++)
      for (let k = i + 1; k < singles.length; k++)
        if (!isSamePlace(singles[i]!, singles[k]!)) yield [singles[i]!, singles[k]!];
  }
  const random = new Random(options.seed ?? 1);
  for (;;) {
    const count = 2 + random.below(atOnce - 1);
    yield Array.from({ length: count }, () => singles[random.below(singles.length)]!);
  }
}

/** The smallest plan with the same failure, and how its run went. */
const shrunk = (
  test: WireTest,
  plan: Plan,
  outcome: RunOutcome,
  options: ExploreOptions,
): Promise<[Plan, RunOutcome]> =>
  new Shrinker(plan, outcome, (smaller) => runOnce(test, smaller, options)).shrink(outcome.placed);

/** What a plan takes from the options. @throws RangeError when it makes no sense */
function checked({ points, where, rules }: ExploreOptions): Pick<Plan, 'where' | 'rules'> {
  if (points !== undefined && points !== 'every segment boundary' && points !== 'every byte')
    throw new RangeError(`points is ${JSON.stringify(points)}: 'every segment boundary' or 'every byte'`);
  const others = Object.keys(where ?? {}).filter((field) => field !== 'dir');
  if (points === 'every byte' && others.length > 0)
    throw new RangeError(`with 'every byte', where may say dir, not ${others.join(', ')}`);
  const plain = rules?.map(plainRule);
  plain?.forEach(ruleOf);
  return { where, rules: plain };
}

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
  const { where, rules } = checked(rest);
  const inVain = new InVain(rest);
  for (let i = 0; i < seeds; i++) {
    const plan: Plan = { seed: first + i, placements: [], chances: faults, where, rules, requests };
    const outcome = await runOnce(test, plan, rest);
    inVain.after(outcome);
    if (outcome.error === null) continue;
    const [smallest, last] = await shrunk(test, plan, outcome, rest);
    throw failureOf(smallest, last, i + 1, rest);
  }
  inVain.check(seeds);
  return { runs: seeds };
}
