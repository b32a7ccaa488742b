import type { Millis } from '../stack/base/bytes';
import type { Action, Duration } from './actions';
import * as actions from './actions';
import type { HttpMatch, Match } from './match';
import { autoLabel, Rule } from './rule';

/**
 * Rules as JSON, from files and over HTTP: whatever a stranger wrote becomes a rule, or an error that says which field is
 * wrong and what it may be. A match has the fields of `Match` (but for tests that are functions), an action is
 * `{"do": "rst", "to": "c"}` with the fields of `Action`.
 */

type Fields = Readonly<Record<string, unknown>>;
/** Reads one value. @throws RangeError that begins with `at`, the place of the value */
type Kind<T = unknown> = (value: unknown, at: string) => T;

const HOUR: Millis = 3_600_000;
/** As long as virtual time can be useful: a month. */
const MS_MAX = 720 * HOUR;
const TEXT_MAX = 1 << 16;

const shown = (value: unknown): string => {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
};

function wrong(at: string, value: unknown, wanted: string): never {
  throw new RangeError(`${at} is ${shown(value)}: ${wanted}`);
}

const number =
  (low: number, high: number, whole = false): Kind<number> =>
  (value, at) =>
    typeof value === 'number' && value >= low && value <= high && (!whole || Number.isInteger(value))
      ? value
      : wrong(at, value, `a ${whole ? 'whole ' : ''}number from ${low} to ${high}`);
const whole = (low: number, high: number): Kind<number> => number(low, high, true);

const oneOf =
  <T extends string>(...words: T[]): Kind<T> =>
  (value, at) =>
    words.includes(value as T) ? (value as T) : wrong(at, value, words.map((word) => JSON.stringify(word)).join(', '));

const flag: Kind<boolean> = (value, at) => (typeof value === 'boolean' ? value : wrong(at, value, 'true or false'));
const text: Kind<string> = (value, at) =>
  typeof value === 'string' && value.length > 0 && value.length <= TEXT_MAX
    ? value
    : wrong(at, value, `text of 1 to ${TEXT_MAX} characters`);

const ms = number(0, MS_MAX);
const count = whole(1, 1e9);
const offset = whole(0, 2 ** 40);
const dir = oneOf('c2s', 's2c');
const end = oneOf('c', 's');
const ends = oneOf('c', 's', 'both');
const host = oneOf('client', 'server', 'c', 's');
const states = oneOf(
  'CLOSED',
  'LISTEN',
  'SYN-SENT',
  'SYN-RECEIVED',
  'ESTABLISHED',
  'FIN-WAIT-1',
  'FIN-WAIT-2',
  'CLOSING',
  'TIME-WAIT',
  'CLOSE-WAIT',
  'LAST-ACK',
);

const duration: Kind<Duration> = (value, at) => {
  if (typeof value === 'number') return ms(value, at);
  const given = object({ min: ms, max: ms, mean: ms, sd: ms })(value, at);
  const [min, max, mean, sd] = ['min', 'max', 'mean', 'sd'].map((name) => given[name] as number | undefined);
  if (min !== undefined && max !== undefined && mean === undefined && sd === undefined) return { min, max };
  if (mean !== undefined && sd !== undefined && min === undefined && max === undefined) return { mean, sd };
  return wrong(at, value, 'a number of milliseconds, "min" and "max", or "mean" and "sd"');
};

/** An object with these fields and no others, of which `required` must be there. */
function object(kinds: Readonly<Record<string, Kind>>, ...required: string[]): Kind<Fields> {
  return (value, at) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) wrong(at, value, 'an object');
    const made: Record<string, unknown> = {};
    for (const [key, given] of Object.entries(value)) {
      const kind = Object.hasOwn(kinds, key) ? kinds[key] : undefined;
      if (kind === undefined)
        throw new RangeError(`${at} has no field ${shown(key)}: ${Object.keys(kinds).join(', ')}`);
      made[key] = kind(given, `${at}.${key}`);
    }
    for (const key of required) if (!Object.hasOwn(made, key)) throw new RangeError(`${at} needs "${key}"`);
    return made;
  };
}

const range: Kind<readonly [number, number]> = (value, at) => {
  if (!Array.isArray(value) || value.length !== 2) wrong(at, value, '[from, to]');
  return [offset(value[0], `${at}[0]`), offset(value[1], `${at}[1]`)];
};

const flags: Kind<string> = (value, at) =>
  typeof value === 'string' && /^[SFRPA]*(![SFRPA]+)?$/.test(value) && value !== ''
    ? value
    : wrong(at, value, 'flags such as "SA" or "F!R"');

/** Text that a target contains; patterns of strangers are not run. */
const path: Kind<RegExp> = (value, at) => new RegExp(text(value, at).replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));

const match = object({
  dir,
  flags,
  state: object({ c: states, s: states }),
  conn: count,
  seqAt: (value, at) => (value === 'fin' ? value : offset(value, at)),
  nth: count,
  len: range,
  every: count,
  p: number(0, 1),
  correlation: number(0, 1),
  from: ms,
  until: ms,
  handshake: oneOf('syn', 'syn-ack', 'ack'),
  again: flag,
  http: object(
    {
      side: oneOf('req', 'res'),
      exchange: count,
      at: oneOf('begin', 'line', 'header', 'headersEnd', 'body', 'chunkSize', 'chunkEnd', 'trailer', 'end', 'continue'),
      byte: offset,
      header: text,
      path,
    },
    'side',
    'at',
  ),
  idle: object({ after: ms, served: whole(0, 1e9) }, 'after'),
  tlsRecord: count,
});

interface Maker {
  readonly fields: Readonly<Record<string, Kind>>;
  readonly required?: readonly string[];
  // biome-ignore lint/suspicious/noExplicitAny: the fields were read by their kinds
  make(a: any): Action;
}

const MAKERS: Readonly<Record<string, Maker>> = {
  drop: { fields: {}, make: () => actions.drop() },
  delay: { fields: { ms: duration }, required: ['ms'], make: (a) => actions.delay(a.ms) },
  duplicate: { fields: { copies: whole(1, 1000), gapMs: ms }, make: (a) => actions.duplicate(a.copies, a.gapMs) },
  reorder: { fields: { after: whole(1, 1000), forMs: ms }, make: (a) => actions.reorder(a) },
  corrupt: {
    fields: {
      bit: offset,
      field: oneOf('seq', 'ack', 'window', 'flags', 'port', 'checksum', 'text'),
      repair: flag,
    },
    make: (a) => actions.corrupt(a),
  },
  truncate: { fields: { bytes: whole(1, 65_535) }, required: ['bytes'], make: (a) => actions.truncate(a.bytes) },
  slice: {
    fields: { bytes: whole(1, 65_535), gapMs: ms, vary: whole(0, 65_535) },
    required: ['bytes'],
    make: (a) => actions.slice(a.bytes, a.gapMs, a),
  },
  throttle: {
    fields: { bps: number(1, 1e12), queueBytes: whole(1, 2 ** 30) },
    required: ['bps'],
    make: (a) => actions.throttle(a.bps, a.queueBytes),
  },
  pace: {
    fields: { pps: number(1e-6, 1e9), queue: whole(1, 2 ** 30) },
    required: ['pps'],
    make: (a) => actions.pace(a.pps, a.queue),
  },
  rst: {
    fields: { to: ends, exact: flag, off: whole(-0x7fff_ffff, 0x7fff_ffff) },
    required: ['to'],
    make: (a) => actions.rst(a),
  },
  fin: { fields: { to: ends }, required: ['to'], make: (a) => actions.fin(a) },
  icmp: {
    fields: { type: whole(0, 255), code: whole(0, 255), to: end, mtu: whole(0, 65_535) },
    required: ['type', 'code', 'to'],
    make: (a) => actions.icmp(a.type, a.code, a),
  },
  inject: { fields: { bytes: text, as: dir }, required: ['bytes', 'as'], make: (a) => actions.inject(a.bytes, a) },
  hold: { fields: { gate: text, dir }, required: ['gate'], make: (a) => actions.hold(a.gate, a) },
  release: { fields: { gate: text }, required: ['gate'], make: (a) => actions.release(a.gate) },
  blackhole: { fields: { dir }, make: (a) => actions.blackhole(a.dir) },
  window: {
    fields: { host, bytes: (value, at) => (value === null ? null : whole(0, 2 ** 30)(value, at)) },
    required: ['host', 'bytes'],
    make: (a) => actions.window(a.host, a.bytes),
  },
  reboot: { fields: { host }, required: ['host'], make: (a) => actions.reboot(a.host) },
  down: { fields: { host, how: oneOf('rst', 'silent') }, required: ['host'], make: (a) => actions.down(a.host, a.how) },
  up: { fields: { host }, required: ['host'], make: (a) => actions.up(a.host) },
  partition: {
    fields: { from: host, to: host, oneway: flag },
    required: ['from', 'to'],
    make: (a) => actions.partition(a.from, a.to, a),
  },
  heal: { fields: {}, make: () => actions.heal() },
  coalesce: { fields: {}, make: () => actions.coalesce() },
  split: { fields: { gapMs: ms }, make: (a) => actions.split(a.gapMs) },
};

/** For hosts of this process. */
const HOST_MAKERS: Readonly<Record<string, Maker>> = {
  stall: { fields: { host, ms }, required: ['host', 'ms'], make: (a) => actions.stall(a.host, a.ms) },
  freeze: { fields: { host, ms }, required: ['host', 'ms'], make: (a) => actions.freeze(a.host, a.ms) },
  jump: { fields: { host, ms }, required: ['host', 'ms'], make: (a) => actions.jump(a.host, a.ms) },
  skew: {
    fields: { host, rate: number(1e-6, 1e6) },
    required: ['host', 'rate'],
    make: (a) => actions.skew(a.host, a.rate),
  },
};

/** Actions that JSON can name. `stall`, `freeze`, `jump`, `skew`, `modify` and `call` need the process of a host, or code. */
export const ACTION_NAMES: readonly string[] = Object.keys(MAKERS);

const ACTIONS_MAX = 100;

/** An action from JSON; `inProcess`: those of hosts in this process, too. @throws RangeError */
export function actionFrom(value: unknown, at = 'action', inProcess = false): Action {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) wrong(at, value, 'an object');
  const { do: name, ...fields } = value as Fields;
  const makers = inProcess ? { ...MAKERS, ...HOST_MAKERS } : MAKERS;
  const maker = typeof name === 'string' && Object.hasOwn(makers, name) ? makers[name] : undefined;
  if (maker === undefined)
    throw new RangeError(`${at}: there is no action ${shown(name)} here: ${Object.keys(makers).join(', ')}`);
  return maker.make(object(maker.fields, ...(maker.required ?? []))(fields, `${at} (${name})`));
}

const rule = object({ match, do: (value) => value, label: text, times: count, optional: flag }, 'do');

/** A rule as plain data. */
export interface RuleData {
  /** Default: every segment. Without functions; `http.path` is text that the target contains. */
  readonly match?:
    | Match
    | (Omit<Match, 'http'> & { readonly http: Omit<HttpMatch, 'path'> & { readonly path: string } });
  readonly do: readonly Action[];
  readonly label?: string;
  readonly times?: number;
  readonly optional?: boolean;
}

/**
 * A rule from JSON: `{"match": {…}, "do": [{"do": "drop"}], "label": "…", "times": 1}`; `inProcess`: actions of hosts in this
 * process, too.
 *
 * @throws RangeError
 */
export function ruleFrom(value: unknown, at = 'rule', inProcess = false): Rule {
  const given = rule(value, at);
  const list = given['do'];
  if (!Array.isArray(list) || list.length === 0 || list.length > ACTIONS_MAX)
    wrong(`${at}.do`, list, `a list of 1 to ${ACTIONS_MAX} actions`);
  const made = list.map((action, i) => actionFrom(action, `${at}.do[${i}]`, inProcess));
  const times = (given['times'] as number | undefined) ?? Number.POSITIVE_INFINITY;
  const match = (given['match'] as Match | undefined) ?? {};
  const label = (given['label'] as string | undefined) ?? autoLabel(match, made);
  return new Rule(match, made, label, times, given['optional'] === true);
}

/** The text of a rule file: a list of rules. @throws RangeError */
export function rulesFrom(json: string): Rule[] {
  let list: unknown;
  try {
    list = JSON.parse(json);
  } catch (error) {
    throw new RangeError(`it is no JSON: ${(error as Error).message}`);
  }
  if (!Array.isArray(list)) throw new RangeError(`a list of rules was expected, not ${shown(list)}`);
  return list.map((one, i) => ruleFrom(one, `rule ${i + 1}`));
}
