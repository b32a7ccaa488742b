import { call } from './actions';
import { isPoint, type Match, matchText } from './match';
import { failUnused } from './misses';
import { Rule } from './rule';
import { Wire, type WireOptions } from './wire';

/** In which order two things come to the end that both concern. */
export type Order = 'first' | 'second' | 'same-wakeup';
/** All orders, as they are tried. */
export const ORDERS: readonly Order[] = ['first', 'second', 'same-wakeup'];

/** How a test of one order went. */
export interface OrderResult {
  readonly order: Order;
  readonly error: unknown;
}

/** Sets up a wire: rules, servers. Returns the rule that races and what it races with. */
export type RaceSetup = (wire: Wire) => readonly [Rule, Match] | Promise<readonly [Rule, Match]>;

/**
 * Something that a rule sends, against a segment that an end sends by itself. 'first': as the rule says, before the
 * segment. 'second': the rule waits until the segment has left its end. 'same-wakeup': the rule's segments come while the
 * program of the end that sends is busy, so that its write happens before it reads them.
 */
export class Race {
  private chosen: readonly Order[] = ORDERS;

  constructor(
    private readonly setup: RaceSetup,
    private readonly options: WireOptions,
  ) {}

  orders(...orders: (Order | 'all')[]): this {
    this.chosen = orders.includes('all') ? ORDERS : (orders as Order[]);
    return this;
  }

  /** Runs the test once for each order, each on a wire of its own. Fails with all the orders that failed. */
  async test(body: (wire: Wire, order: Order) => Promise<void>): Promise<OrderResult[]> {
    const results: OrderResult[] = [];
    for (const order of this.chosen) results.push({ order, error: await this.once(order, body) });
    const failed = results.filter(({ error }) => error !== null);
    if (failed.length === 0) return results;
    const text = failed.map(({ order, error }) => `${order}: ${(error as Error).message ?? String(error)}`).join('\n');
    throw new AggregateError(
      failed.map(({ error }) => error),
      `${failed.length} of ${results.length} orders failed\n${text}`,
    );
  }

  private async once(order: Order, body: (wire: Wire, order: Order) => Promise<void>): Promise<unknown> {
    const wire = new Wire({ ...this.options, unused: 'ignore' });
    try {
      const [rule, other] = await this.setup(wire);
      arrange(wire, rule, other, order);
      await body(wire, order);
      if (this.options.unused !== 'ignore') failUnused(wire.unused());
      return null;
    } catch (error) {
      const failure = error as Error;
      if (failure !== null && typeof failure === 'object')
        failure.message = `${failure.message}\n\norder '${order}':\n${wire.report().ladder()}`;
      return failure;
    } finally {
      wire.close();
    }
  }
}

/** Has `rule` act before, after, or together with the first segment that fits `other`. */
export function arrange(wire: Pick<Wire, 'engine' | 'medium'>, rule: Rule, other: Match, order: Order): void {
  if (order === 'first') return;
  const { engine, medium } = wire;
  const behind = isPoint(other) ? 'at the place' : 'behind the segment';
  const whenPassed = (task: () => void): void => {
    const passed = engine.add(new Rule(other, [call(task)], `race: ${behind} ${matchText(other)}`, 1));
    // The end whose stream was ended by the rule is played by the engine: what it is sent comes to no rule.
    passed.evenIfLost = true;
  };
  if (order === 'same-wakeup') {
    rule.when = (fire) => {
      medium.stall('left', STALL_MS);
      fire();
    };
    // What was written has left: now the program may read what came before that.
    whenPassed(() => medium.wake('left'));
    return;
  }
  let passed = false;
  let waiting: (() => void) | null = null;
  rule.when = (fire) => {
    if (passed) fire();
    else waiting = fire;
  };
  whenPassed(() => {
    passed = true;
    waiting?.();
  });
}

/** At most so long does a program that is to write first wait for its own write. */
const STALL_MS = 60_000;

/** `race(setup).orders('all').test(async (wire, order) => …)` */
export const race = (setup: RaceSetup, options: WireOptions = {}): Race => new Race(setup, options);
