import type { Millis } from '../stack/base/bytes';
import { type Action, actionText, checkAction } from './actions';
import type { Conn } from './conn';
import { checkMatch, isPoint, type Match, matchText } from './match';
import { verdictsOf } from './verdicts';

const PLACES_KEPT = 50_000;

/** What came nearest to fitting a rule: how many conditions failed, and which, in words. */
interface Nearest {
  wrong: number;
  text: string;
}

const NOTHING_NEAR: Nearest = { wrong: Number.POSITIVE_INFINITY, text: '' };

/** A match, what to do, and a name. Made by `on(match).do(…)`. */
export class Rule {
  /** How often it acted. */
  hits = 0;
  /** How many segments fitted everything but `nth`, `every` and `p`. */
  fits = 0;
  /** How often chance was asked, where the match has `p`. */
  draws = 0;
  /** How often its actions began: fewer than `hits` while `when` waits. */
  acted = 0;
  /** How many of its actions found nothing to act on, and what they said. */
  vain = 0;
  vainWhy = '';
  /** When it was made known to a wire, and how long the wire's trace was then. */
  since: { readonly at: Millis; readonly entry: number } = { at: 0, entry: 0 };
  /** While it has not acted: the segment that came nearest to fitting it. */
  readonly nearest: Nearest = { ...NOTHING_NEAR };
  /** False: taken away. */
  active = true;
  /** Calls that its next firing waits for: a race decides when (race.ts). */
  when: ((fire: () => void) => void) | null = null;
  /** It is told of segments, too, that are lost or answered before rules are asked. */
  evenIfLost = false;
  readonly isPoint: boolean;
  /** Directions of connections whose latest segment that fitted was chosen by chance (`correlation`). */
  readonly inBurst = new Set<string>();
  private readonly done = new Set<string>();

  constructor(
    readonly match: Match,
    readonly actions: readonly Action[],
    readonly label: string,
    /** It acts so often at most. */
    readonly times: number,
    /** It need not act: nobody is told when it never does. */
    readonly optional = false,
  ) {
    checkMatch(match);
    actions.forEach(checkAction);
    if (actions.length === 0) throw new RangeError('a rule needs an action');
    if (match.idle !== undefined && verdictsOf(actions).length > 0)
      throw new RangeError(`${verdictsOf(actions)[0]!.do} acts on a segment, and in silence there is none`);
    if (!(times >= 1)) throw new RangeError(`times is ${times}; it is at least 1`);
    this.isPoint = isPoint(match);
  }

  get spent(): boolean {
    return !this.active || this.hits >= this.times;
  }

  /** True the first time for a key: a place in a stream is passed once, however often its bytes are sent. */
  firstAt(key: string): boolean {
    if (this.done.has(key)) return false;
    this.done.add(key);
    // The oldest belong to connections that are long over.
    if (this.done.size > PLACES_KEPT) this.done.delete(this.done.values().next().value!);
    return true;
  }

  /** Notes what chance said of a stream. */
  burst(stream: string, is: boolean): void {
    if (!is) this.inBurst.delete(stream);
    else if (this.inBurst.size < PLACES_KEPT) this.inBurst.add(stream);
  }

  off(): void {
    this.active = false;
  }

  /** As when it was made, for another run on the same wire. */
  restart(since: Rule['since']): void {
    this.hits = this.fits = this.draws = this.acted = this.vain = 0;
    this.vainWhy = '';
    this.drew = null;
    this.since = since;
    Object.assign(this.nearest, NOTHING_NEAR);
    this.inBurst.clear();
    this.done.clear();
  }

  /** The last draw, when there is a chance. */
  drew: number | null = null;

  /** Its name, and what chance said: for captures and diagrams. */
  get told(): string {
    return this.drew === null ? this.label : `${this.label} (drew ${this.drew.toFixed(4)})`;
  }

  toString(): string {
    return this.label;
  }
}

/** The name of a rule that was given none. */
export const autoLabel = (match: Match, actions: readonly Action[]): string =>
  `${matchText(match)}: ${actions.map(actionText).join(', ')}`;

/** Says what to do, for a match. */
export class RuleBuilder {
  private count = Number.POSITIVE_INFINITY;
  private name: string | null = null;
  private mayRest = false;

  constructor(
    readonly match: Match,
    private readonly add: (rule: Rule) => Rule,
  ) {
    checkMatch(match);
  }

  /** Acts `n` times at most. */
  times(n: number): this {
    this.count = n;
    return this;
  }

  /** A name, for reports. */
  label(name: string): this {
    this.name = name;
    return this;
  }

  /** It need not act. Otherwise a test in which it never does fails (tapwire/jest), and reports name it. */
  optional(): this {
    this.mayRest = true;
    return this;
  }

  /** From now on: when something fits, these actions, in this order. */
  do(...actions: Action[]): Rule {
    const label = this.name ?? autoLabel(this.match, actions);
    return this.add(new Rule(this.match, actions, label, this.count, this.mayRest));
  }
}

/** Whether what does not depend on the segment fits a connection. */
export function fitsConn(m: Match, conn: Conn, now: number): boolean {
  if (typeof m.conn === 'number' && m.conn !== conn.id) return false;
  if (typeof m.conn === 'function' && !m.conn(conn)) return false;
  if (m.from !== undefined && now < m.from) return false;
  if (m.until !== undefined && now >= m.until) return false;
  if (m.state?.c !== undefined && conn.stateOf('c', now) !== m.state.c) return false;
  return m.state?.s === undefined || conn.stateOf('s', now) === m.state.s;
}
