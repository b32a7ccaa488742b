import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import type { Millis } from '../stack/base/bytes';
import type { Dir, Match } from './match';
import type { RuleData } from './rule-json';

const PREFIX = 'twf1.';
const BYTES_MAX = 1 << 20;

/** A fault at a place of a run that is otherwise the same every time: a segment that enters the wire, or a byte. */
export interface Placement {
  /** The number of the segment, from 1. */
  readonly segment?: number;
  /** Instead of it: behind so many bytes of a stream. */
  readonly at?: { readonly conn: number; readonly dir: Dir; readonly byte: number };
  readonly fault: FaultName;
  /** Of a 'delay', in milliseconds; absent: 300. */
  readonly ms?: Millis;
}

/** What exploration may place. '-together': in the same wake-up as the segment. */
export type FaultName =
  | 'drop'
  | 'duplicate'
  | 'delay'
  | 'rst'
  | 'fin'
  | 'rst-together'
  | 'fin-together'
  | 'rst-server'
  | 'corrupt'
  | 'reorder';

/** Everything that a run depends on beside the program. */
export interface Plan {
  readonly seed: number;
  readonly placements: readonly Placement[];
  /** Chances of faults on every segment. */
  readonly chances: Readonly<Record<string, number>>;
  /** Which segments are counted and concerned; absent: all. */
  readonly where?: Match;
  /** Rules that are in place from the beginning. */
  readonly rules?: readonly RuleData[];
  /** Which requests the test is to make, by their numbers; absent: it was not told. */
  readonly requests?: readonly number[];
  /** The run of a scenario, with a client. */
  readonly scenario?: string;
  readonly client?: string;
}

/** The version of this package: the same plan may run otherwise in another. */
export function packageVersion(): string {
  for (const up of ['..', '../..']) {
    try {
      const found = JSON.parse(readFileSync(join(__dirname, up, 'package.json'), 'utf8')) as Record<string, string>;
      if (found['name'] === 'tapwire') return found['version'] ?? '0';
    } catch {
      // Not there: one further up.
    }
  }
  return 'unknown';
}

/** A run in one word: plan, hash of its decisions, version. */
export function toToken(plan: Plan, hash: string): string {
  const text = JSON.stringify({ v: packageVersion(), hash, plan });
  return PREFIX + deflateRawSync(text, { level: 9 }).toString('base64url');
}

/** @throws RangeError when the text is no token. */
export function fromToken(token: string): { plan: Plan; hash: string; version: string } {
  if (!token.startsWith(PREFIX)) throw new RangeError(`a replay token begins with ${PREFIX}`);
  try {
    const text = inflateRawSync(Buffer.from(token.slice(PREFIX.length), 'base64url'), { maxOutputLength: BYTES_MAX });
    const { v, hash, plan } = JSON.parse(text.toString()) as { v: string; hash: string; plan: Plan };
    if (!Array.isArray(plan.placements) || typeof plan.seed !== 'number') throw new Error('no plan');
    return { plan, hash, version: v };
  } catch {
    throw new RangeError('the replay token is damaged or was cut off');
  }
}
