import { DELAY_MS } from './plan';
import type { RuleData } from './rule-json';
import type { Placement, Plan } from './token';

/** How a run of a plan went, as far as shrinking asks. */
interface Tried {
  /** Tells failures apart; null: it did not fail. */
  readonly fingerprint: string | null;
  /** How many segments there were. */
  readonly segments: number;
}

/** What can be made smaller in a plan: a number in it, the smallest that it can be, and the plan with another. */
interface Knob {
  readonly value: number;
  readonly low: number;
  with(plan: Plan, value: number): Plan;
}

/**
 * The smallest plan that fails in the same way as `plan`, as far as it is found: places, chances, rules and requests are
 * taken away, then what is left is bisected: segments, bytes and times towards the beginning, delays towards none.
 */
export class Shrinker<T extends Tried> {
  private readonly wanted: string | null;

  constructor(
    private plan: Plan,
    private last: T,
    private readonly run: (plan: Plan) => Promise<T>,
  ) {
    this.wanted = last.fingerprint;
  }

  /** Takes a smaller plan for the best one when it fails in the same way. */
  private async attempt(smaller: Plan): Promise<boolean> {
    const tried = await this.run(smaller);
    if (tried.fingerprint === null || tried.fingerprint !== this.wanted) return false;
    this.plan = smaller;
    this.last = tried;
    return true;
  }

  /** `placed`: where chance struck in the run that failed. */
  async shrink(placed: readonly Placement[]): Promise<[Plan, T]> {
    // At these places and by no chance.
    if (Object.keys(this.plan.chances).length > 0)
      await this.attempt({ ...this.plan, placements: placed, chances: {} });
    for (let i = this.plan.placements.length - 1; i >= 0; i--)
      await this.attempt({ ...this.plan, placements: this.plan.placements.filter((_, k) => k !== i) });
    for (const name of Object.keys(this.plan.chances)) {
      const { [name]: _, ...chances } = this.plan.chances;
      await this.attempt({ ...this.plan, chances });
    }
    for (let i = (this.plan.rules?.length ?? 0) - 1; i >= 0; i--)
      await this.attempt({ ...this.plan, rules: this.plan.rules!.filter((_, k) => k !== i) });
    if (this.plan.requests !== undefined) await this.fewerRequests();
    for (const knob of [...knobsOfPlacements(this.plan), ...knobsOfRules(this.plan)]) await this.bisect(knob);
    return [this.plan, this.last];
  }

  /** Looks for the smallest number with which the failure is the same; the last one that was tried and failed holds. */
  private async bisect(knob: Knob): Promise<void> {
    for (let low = knob.low, high = knob.value; low < high; ) {
      const middle = Math.floor((low + high) / 2);
      if (await this.attempt(knob.with(this.plan, middle))) high = middle;
      else low = middle + 1;
    }
  }

  /**
   * Takes requests away, half of them at first, then ever fewer together (delta debugging), until each one is needed. Faults
   * stay at their segments, or come earlier by as many segments as the requests had that are gone.
   */
  private async fewerRequests(): Promise<void> {
    for (let size = this.plan.requests!.length >> 1; size >= 1; size >>= 1) {
      // From the end: what comes after the failure is the easiest to do without.
      for (let at = this.plan.requests!.length - size; at > -size; at -= size) {
        const requests = this.plan.requests!;
        const left = requests.filter((_, i) => i < at || i >= at + size);
        if (left.length > 0 && left.length < requests.length) await this.without(left);
      }
    }
  }

  private async without(requests: readonly number[]): Promise<void> {
    const { plan } = this;
    if (await this.attempt({ ...plan, requests })) return;
    if (plan.placements.length === 0) return;
    const fewer = (await this.segmentsOf(plan.requests!)) - (await this.segmentsOf(requests));
    if (fewer <= 0) return;
    const placements = plan.placements.map((p) =>
      p.segment === undefined ? p : { ...p, segment: Math.max(1, p.segment - fewer) },
    );
    await this.attempt({ ...plan, requests, placements });
  }

  private async segmentsOf(requests: readonly number[]): Promise<number> {
    return (await this.run({ ...this.plan, placements: [], chances: {}, requests })).segments;
  }
}

function knobsOfPlacements(plan: Plan): Knob[] {
  return plan.placements.flatMap((placement, i) => {
    const withOne = (change: (p: Placement, value: number) => Placement): Knob['with'] => {
      return (to, value) => ({ ...to, placements: to.placements.map((p, k) => (k === i ? change(p, value) : p)) });
    };
    const { segment, at, fault, ms = DELAY_MS } = placement;
    const knobs: Knob[] = [];
    if (segment !== undefined)
      knobs.push({ value: segment, low: 1, with: withOne((p, value) => ({ ...p, segment: value })) });
    if (at !== undefined)
      knobs.push({ value: at.byte, low: 0, with: withOne((p, byte) => ({ ...p, at: { ...p.at!, byte } })) });
    if (fault === 'delay') knobs.push({ value: ms, low: 0, with: withOne((p, value) => ({ ...p, ms: value })) });
    return knobs;
  });
}

/** The numbers in a rule that say where and how long, and the smallest that each can be. */
const IN_MATCH: readonly (readonly [path: readonly string[], low: number])[] = [
  [['http', 'exchange'], 1],
  [['http', 'byte'], 0],
  [['seqAt'], 0],
  [['nth'], 1],
  [['idle', 'after'], 0],
  [['from'], 0],
];
const IN_ACTION: readonly (readonly [path: readonly string[], low: number])[] = [
  [['ms'], 0],
  [['ms', 'min'], 0],
  [['ms', 'max'], 0],
  [['ms', 'mean'], 0],
  [['ms', 'sd'], 0],
  [['gapMs'], 0],
  [['forMs'], 0],
  [['copies'], 1],
];

function knobsOfRules(plan: Plan): Knob[] {
  const knobs: Knob[] = [];
  for (const [i, rule] of (plan.rules ?? []).entries()) {
    const places = IN_MATCH.map(([path, low]) => [['match', ...path], low] as const);
    const times = rule.do.flatMap((_, k) => IN_ACTION.map(([path, low]) => [['do', String(k), ...path], low] as const));
    for (const [path, low] of [...places, ...times]) {
      const value = numberAt(rule, path);
      if (value === undefined) continue;
      const put = (rules: readonly RuleData[], to: number): readonly RuleData[] =>
        rules.map((one, k) => (k === i ? (replaced(one, path, to) as RuleData) : one));
      knobs.push({ value, low, with: (to, number) => ({ ...to, rules: put(to.rules!, number) }) });
    }
  }
  return knobs;
}

type Tree = Readonly<Record<string, unknown>>;

function numberAt(tree: unknown, [key, ...rest]: readonly string[]): number | undefined {
  if (key === undefined) return typeof tree === 'number' ? tree : undefined;
  return typeof tree === 'object' && tree !== null ? numberAt((tree as Tree)[key], rest) : undefined;
}

function replaced(tree: unknown, [key, ...rest]: readonly string[], value: number): unknown {
  if (key === undefined) return value;
  if (Array.isArray(tree)) return tree.map((one, i) => (String(i) === key ? replaced(one, rest, value) : one));
  return { ...(tree as Tree), [key]: replaced((tree as Tree)[key], rest, value) };
}
