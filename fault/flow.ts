import type { Action } from './actions';
import type { Conn } from './conn';
import { Lane } from './lane';
import type { Dir, EndName } from './match';
import type { Medium } from './medium';
import type { Rule } from './rule';

/** What the engine knows of a connection beside what its tracker does. */
export class Flow {
  readonly lanes: Record<Dir, Lane>;
  readonly blackhole: Record<Dir, boolean> = { c2s: false, s2c: false };
  /** The end whose closed socket the engine plays. */
  played: EndName | null = null;
  /** That end itself was reset, so that it does not wait for ever. */
  playedReset = false;
  /** Offset in the stream of the end that is played at which it was cut. */
  cutAt = Number.POSITIVE_INFINITY;
  /** The end whose host was rebooted: it knows nothing of the connection. */
  forgotten: EndName | null = null;
  /** Verdicts for the next segment of a direction that has something at or behind the place. */
  readonly pending: Record<Dir, { rule: Rule; verdicts: Action[] }[]> = { c2s: [], s2c: [] };
  readonly idleTimers = new Map<Rule, unknown>();

  constructor(
    readonly conn: Conn,
    medium: Medium,
  ) {
    this.lanes = { c2s: new Lane(medium), s2c: new Lane(medium) };
  }
}

/** The other direction. */
export const opposite = (dir: Dir): Dir => (dir === 'c2s' ? 's2c' : 'c2s');
/** The direction in which an end sends. */
export const dirFrom = (end: EndName): Dir => (end === 'c' ? 'c2s' : 's2c');
/** The direction in which an end receives. */
export const toward = (end: EndName): Dir => (end === 'c' ? 's2c' : 'c2s');
/** The ends that an action names. */
export const endsOf = (to: EndName | 'both'): readonly EndName[] => (to === 'both' ? ['c', 's'] : [to]);
