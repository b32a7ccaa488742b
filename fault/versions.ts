/**
 * What newer versions of Node report otherwise than Node 20, in which everything is promised: each difference by its name,
 * and whether the Node that runs this has it.
 */
import {
  FREE_SOCKETS_ARE_GUARDED,
  RESETS_BEHIND_TEXT_ARE_TOLD,
  UPLOADS_FAIL_AFTER_RESPONSES,
  undiciIsAtLeast,
} from '../net/running-node';

interface NodeDifference {
  /** Where it is, for a page about failures. */
  readonly where: string;
  readonly here: boolean;
}

/** Differences that somebody could tell, by name. */
export const DIFFERENCES = {
  /** A reset behind text in one wake-up is an error; it was the end of the text. */
  resetBehindText: { where: 'From libuv 1.52 on (Node 24.21)', here: RESETS_BEHIND_TEXT_ARE_TOLD },
  /** A connection in the pool of an http.Agent that gets anything at all, an end or an error too, is silently destroyed. */
  guardedPool: { where: 'With the guard of idle sockets (Node 22.23.3, 24.21)', here: FREE_SOCKETS_ARE_GUARDED },
  /** fetch reads the reset of a stale connection before it writes to it. */
  fetchReadsFirst: { where: 'From Node 22.23 on', here: undiciIsAtLeast(6, 28) },
  /** http.request tells an error of its socket that comes behind the response while the upload goes on; and more such. */
  node24: { where: 'From Node 24.21 on', here: UPLOADS_FAIL_AFTER_RESPONSES },
} as const satisfies Readonly<Record<string, NodeDifference>>;

/** The name of a difference. */
export type Difference = keyof typeof DIFFERENCES;

/** What is said instead where a difference is. */
export type Newer<T> = Readonly<Partial<Record<Difference, T>>>;

const NAMES = Object.keys(DIFFERENCES) as Difference[];

/** The differences of the Node that runs this. */
export const HERE: readonly Difference[] = NAMES.filter((name) => DIFFERENCES[name].here);

/** Node 20 has none. */
export const NODE_20: readonly Difference[] = [];

/** What is said with these differences: what the last of them says that says anything, else `said`. */
export function saidWith<T>(said: T, newer: Newer<T> | undefined, differences: readonly Difference[] = HERE): T {
  if (newer === undefined) return said;
  const last = differences.findLast((name) => newer[name] !== undefined);
  return last === undefined ? said : newer[last]!;
}
