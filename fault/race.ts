import { call, hold } from './actions';
import type { Side } from './conn';
import { isPoint, type Match, matchText, req, res, syn } from './match';
import { failUnused } from './misses';
import { Rule } from './rule';
import { openWires, Wire, type WireOptions } from './wire';

/** In which order two things come to the end that both concern. */
export type Order = 'first' | 'second' | 'same-wakeup';
/** All orders, as they are tried. */
export const ORDERS: readonly Order[] = ['first', 'second', 'same-wakeup'];

/** How a test of one order went. */
export interface OrderResult {
  readonly order: Order;
  readonly error: unknown;
}

/** Sets up a wire: rules, servers. Returns what races with what. */
export type RaceSetup = (wire: Wire) => readonly [Rule | Moment, Moment] | Promise<readonly [Rule | Moment, Moment]>;

/**
 * Something on the wire: a match, or its name: 'req2' and 'res1' are `req(2)` and `res(1)`, 'fin' the end of what the server
 * sends, 'rst' its reset, 'syn' the first segment of a handshake.
 */
export type Moment = Match | string;

/** What races with what. */
interface Pair {
  readonly first: Rule | Moment;
  readonly second: Moment;
}

/** Where an order is run: a wire, arranged, and what ends that. */
interface Lap {
  readonly wire: Wire;
  end(): void;
}

/**
 * Two things on a wire, in every order. The first is what a rule does, or a segment; the second is a segment that an end
 * sends by itself. 'first': the first comes before the second. 'second': it waits until the second has left its end.
 * 'same-wakeup': it comes while the program of the end that sends the second is busy, so that its write happens before it
 * reads.
 */
export class Race {
  private chosen: readonly Order[] = ORDERS;

  constructor(
    private readonly what: Pair | RaceSetup,
    private readonly options: WireOptions = {},
  ) {}

  orders(...orders: (Order | 'all')[]): this {
    this.chosen = orders.includes('all') ? ORDERS : (orders as Order[]);
    return this;
  }

  /**
   * Runs the test once for each order. Fails with all the orders that failed; and when `toRetry(n)` was asked in them and no
   * order made a client try again so often.
   */
  async test(body: (wire: Wire, order: Order) => Promise<void>): Promise<OrderResult[]> {
    const results: OrderResult[] = [];
    const retries = new Map<number, number>();
    for (const order of this.chosen) results.push({ order, error: await this.once(order, body, retries) });
    const failed = results.filter(({ error }) => error !== null);
    if (failed.length === 0) {
      failWithoutRetry(retries);
      return results;
    }
    const text = failed.map(({ order, error }) => `${order}: ${(error as Error).message ?? String(error)}`).join('\n');
    throw new AggregateError(
      failed.map(({ error }) => error),
      `${failed.length} of ${results.length} orders failed\n${text}`,
    );
  }

  private async once(
    order: Order,
    body: (wire: Wire, order: Order) => Promise<void>,
    retries: Map<number, number>,
  ): Promise<unknown> {
    let lap: Lap | null = null;
    try {
      const { what } = this;
      lap = typeof what === 'function' ? await this.onItsOwn(what, order) : await onThatOf(what, order);
      const { wire } = lap;
      wire.retries = retries;
      await body(wire, order);
      const lenient =
        this.options.unused === 'ignore' || (typeof what !== 'function' && wire.options.unused === 'ignore');
      if (!lenient) failUnused(wire.unused());
      return null;
    } catch (error) {
      const failure = error as Error;
      if (lap !== null && failure !== null && typeof failure === 'object')
        failure.message = `${failure.message}\n\norder '${order}':\n${lap.wire.report().ladder()}`;
      return failure;
    } finally {
      lap?.end();
    }
  }

  /** A wire for this order alone. */
  private async onItsOwn(setup: RaceSetup, order: Order): Promise<Lap> {
    const wire = new Wire({ ...this.options, unused: 'ignore' });
    try {
      const [first, second] = await setup(wire);
      arrange(wire, ruleOrMatch(first), momentNamed(second), order);
      return { wire, end: () => wire.close() };
    } catch (error) {
      wire.close();
      throw error;
    }
  }
}

/** The wire of the rule, or the one that was made last, as if nothing had happened on it yet. */
async function onThatOf({ first, second }: Pair, order: Order): Promise<Lap> {
  const wire = openWires().findLast(({ rules }) => !(first instanceof Rule) || rules.includes(first));
  if (wire === undefined) throw new Error('race: the wire that this is about is not open');
  await wire.restart();
  const made = arrange(wire, ruleOrMatch(first), momentNamed(second), order);
  return {
    wire,
    end: () => {
      wire.retries = null;
      if (first instanceof Rule) first.when = null;
      for (const rule of made) wire.engine.remove(rule);
    },
  };
}

function failWithoutRetry(retries: ReadonlyMap<number, number>): void {
  for (const [asked, most] of retries)
    if (most < asked)
      throw new Error(`toRetry(${asked}): in no order was the request sent again more than ${most} times`);
}

const MOMENTS: Readonly<Record<string, () => Match>> = {
  fin: () => ({ dir: 's2c', seqAt: 'fin' }),
  rst: () => ({ dir: 's2c', flags: 'R' }),
  syn,
};

/** @throws RangeError when there is no such name */
function momentNamed(moment: Moment): Match {
  if (typeof moment !== 'string') return moment;
  const [, side, n] = /^(req|res)([1-9]\d*)$/.exec(moment) ?? [];
  if (side !== undefined) return (side === 'req' ? req : res)(Number(n));
  if (!Object.hasOwn(MOMENTS, moment))
    throw new RangeError(
      `race: there is no moment '${moment}': req1, res1 and so on, ${Object.keys(MOMENTS).join(', ')}`,
    );
  return MOMENTS[moment]!();
}

const ruleOrMatch = (first: Rule | Moment): Rule | Match => (first instanceof Rule ? first : momentNamed(first));

const GATE = 'race';
/** At most so long does a program that is to write first wait for its own write. */
const STALL_MS = 60_000;

/** Has `first` happen before, after, or together with the first segment that fits `other`. Returns the rules that it adds. */
export function arrange(
  wire: Pick<Wire, 'engine' | 'medium'>,
  first: Rule | Match,
  other: Match,
  order: Order,
): Rule[] {
  if (!(first instanceof Rule)) return arrangeSegments(wire, first, other, order);
  if (order === 'first') return [];
  if (order === 'same-wakeup') {
    const busy = busyUntil(wire, other);
    first.when = (fire) => {
      busy.begin();
      fire();
    };
    return [busy.passed];
  }
  let passed = false;
  let waiting: (() => void) | null = null;
  first.when = (fire) => {
    if (passed) fire();
    else waiting = fire;
  };
  const done = (): void => {
    passed = true;
    waiting?.();
  };
  return [whenPassed(wire, other, done)];
}

/** Both are sent by an end: the one that is to be later waits at a gate. */
function arrangeSegments(wire: Pick<Wire, 'engine' | 'medium'>, first: Match, other: Match, order: Order): Rule[] {
  const { engine, medium } = wire;
  const add = (match: Match, ...actions: Rule['actions']): Rule =>
    engine.add(new Rule(match, actions, `race: ${order}`, 1, true));
  if (order === 'same-wakeup') {
    const busy = busyUntil(wire, other);
    return [add(first, call(busy.begin)), busy.passed];
  }
  const [sooner, later] = order === 'first' ? [first, other] : [other, first];
  // The gate opens behind what passes, in a wake-up of its own.
  const open = (): void => void medium.at(medium.now() + medium.wakeGapMs, () => engine.release(GATE));
  return [add(later, hold(GATE, { dir: dirOf(later) })), whenPassed(wire, sooner, open)];
}

/** Keeps the program busy that is to send `other`, until that has left: then it may read what came before. */
function busyUntil(wire: Pick<Wire, 'engine' | 'medium'>, other: Match): { begin(): void; passed: Rule } {
  const { medium } = wire;
  const side = sideOf(other);
  let isOver = false;
  return {
    begin: () => {
      // Had it left before, there is nothing to wait for.
      if (!isOver) medium.stall(side, STALL_MS);
    },
    passed: whenPassed(wire, other, () => {
      isOver = true;
      medium.wake(side);
    }),
  };
}

/** Calls `task` when the first segment that fits has left its end, or a place is reached. */
function whenPassed({ engine }: Pick<Wire, 'engine'>, other: Match, task: () => void): Rule {
  const behind = isPoint(other) ? 'at the place' : 'behind the segment';
  const passed = engine.add(new Rule(other, [call(task)], `race: ${behind} ${matchText(other)}`, 1));
  // The end whose stream was ended by the rule is played by the engine: what it is sent comes to no rule.
  passed.evenIfLost = true;
  return passed;
}

const dirOf = (m: Match): 'c2s' | 's2c' =>
  m.dir ?? (m.http?.side === 'res' || m.handshake === 'syn-ack' ? 's2c' : 'c2s');
/** The host that sends it. */
const sideOf = (m: Match): Side => (dirOf(m) === 'c2s' ? 'left' : 'right');

/**
 * `race(wire.on(idle(5000)).do(fin({ to: 'c' })), req(2)).orders('all').test(async () => …)`: what a rule does against what an
 * end sends, on the wire of the rule, which begins anew for each order: write the whole story into the test, requests before
 * the race among them. Instead of the rule, a segment that an end sends by itself: `race('fin', 'req2')`.
 */
export function race(first: Rule | Moment, second: Moment): Race;
/** Each order on a wire of its own, which `setup` is given. */
export function race(setup: RaceSetup, options?: WireOptions): Race;
export function race(what: Rule | Moment | RaceSetup, more: Moment | WireOptions = {}): Race {
  if (typeof what === 'function') return new Race(what, more as WireOptions);
  const pair = { first: what, second: more as Moment };
  if (what instanceof Rule === false) momentNamed(what);
  momentNamed(pair.second);
  return new Race(pair);
}
