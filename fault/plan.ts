import { type Action, actionText, coalesce, corrupt, delay, drop, duplicate, fin, reorder, rst } from './actions';
import type { Match } from './match';
import { Rule } from './rule';
import { type RuleData, ruleFrom } from './rule-json';
import type { FaultName, Placement, Plan } from './token';
import type { Wire } from './wire';

/** A fault of exploration: its name, its function (`rst` for 'rst'), or a delay of so much, `delay(5000)`. */
export type Fault = FaultName | FaultMaker | Extract<Action, { do: 'delay' }>;

type FaultMaker =
  | typeof rst
  | typeof fin
  | typeof drop
  | typeof delay
  | typeof duplicate
  | typeof corrupt
  | typeof reorder;

/** Of a 'delay' that says nothing else, in milliseconds. */
export const DELAY_MS = 300;

const ACTIONS: Readonly<Record<FaultName, (ms: number) => Action[]>> = {
  drop: () => [drop()],
  duplicate: () => [duplicate()],
  delay: (ms) => [delay(ms)],
  corrupt: () => [corrupt()],
  rst: () => [rst({ to: 'c' })],
  'rst-together': () => [coalesce(), rst({ to: 'c' })],
  'rst-server': () => [rst({ to: 's' })],
  fin: () => [fin({ to: 'c' })],
  'fin-together': () => [coalesce(), fin({ to: 'c' })],
  reorder: () => [reorder()],
};

function actionsOf(fault: string, ms = DELAY_MS): Action[] {
  if (!Object.hasOwn(ACTIONS, fault))
    throw new RangeError(`there is no fault '${fault}': ${Object.keys(ACTIONS).join(', ')}`);
  return ACTIONS[fault as FaultName](ms);
}

/** What of a placement its fault says. @throws RangeError when it is a delay that is drawn */
export function faultOf(fault: Fault): Pick<Placement, 'fault' | 'ms'> {
  if (typeof fault === 'string') return { fault };
  if (typeof fault === 'function') return { fault: fault.name as FaultName };
  if (fault.do !== 'delay' || typeof fault.ms !== 'number')
    throw new RangeError(`faults are names, functions, or delay(ms), not ${actionText(fault)}`);
  return { fault: 'delay', ms: fault.ms };
}

/** Where a fault is placed, in words. */
const placeText = ({ segment, at }: Placement): string =>
  at === undefined ? `at segment ${segment}` : `at byte ${at.byte} ${at.dir} of connection ${at.conn}`;

const placementText = (p: Placement): string =>
  `${p.fault}${p.ms === undefined ? '' : ` of ${p.ms} ms`} ${placeText(p)}`;

/** What a plan does to the wire, in words. */
export const planText = (plan: Plan): string =>
  [
    ...plan.placements.map(placementText),
    ...Object.entries(plan.chances).map(([name, p]) => `${name} with chance ${p}`),
    ...(plan.rules ?? []).map((rule, i) => ruleOf(rule, i).label),
  ].join(', ') || 'no fault at all';

/** A rule that was made with `res(1)`, `rst({ to: 'c' })` and the like, as plain data. */
export function plainRule(rule: RuleData): RuleData {
  const text = JSON.stringify(rule, function (this: Readonly<Record<string, unknown>>, key, value: unknown) {
    const bytes = this[key];
    if (typeof bytes === 'function' || bytes instanceof RegExp)
      throw new RangeError(
        `a rule of a plan is plain data: ${key} is ${bytes instanceof RegExp ? 'a pattern' : 'a function'}`,
      );
    if (bytes instanceof Uint8Array) return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    // What throttles share their queue by: each rule has its own.
    return key === 'key' ? undefined : value;
  });
  return JSON.parse(text) as RuleData;
}

/** A rule of a plan. @throws RangeError that says which field is wrong */
export const ruleOf = (rule: RuleData, i: number): Rule => ruleFrom(rule, `rules[${i}]`, true);

/** Arranges a plan on a wire. What chance decides is written down as placements: the same run without chance. */
export function arrangePlan(wire: Wire, plan: Plan, counter: Rule): Placement[] {
  const { engine } = wire;
  for (const placement of plan.placements) {
    const { segment, at, fault, ms } = placement;
    const match: Match =
      at === undefined ? { ...plan.where, nth: segment } : { conn: at.conn, dir: at.dir, seqAt: at.byte };
    engine.add(new Rule(match, actionsOf(fault, ms), placementText(placement), 1, true));
  }
  for (const [i, rule] of (plan.rules ?? []).entries()) engine.add(ruleOf(rule, i));
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
