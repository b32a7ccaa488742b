import { Random } from '../../../stack/base/random';

/*
 * Small programs on sockets, made up from a seed: data, so that the same one runs over any net module, can be shown, and can
 * be made smaller.
 */

/** Whom a rule is about: a client, its socket on the server's side, or the server. */
export type Who = 'c0' | 'c1' | 's0' | 's1' | 'server';

/** From where in the loop's turn something is done. */
export const VIAS = ['now', 'tick', 'promise', 'immediate', 'timer'] as const;
export type Via = (typeof VIAS)[number];

/** What is done to a socket, or to the server: its name and a number. */
export type Op = readonly [name: string, n: number];

/** When `who` emits `on` for the nth time, `ops` are done to `to`, in that order. */
export interface Rule {
  readonly who: Who;
  readonly on: string;
  readonly nth: number;
  readonly via: Via;
  readonly to: Who;
  readonly ops: readonly Op[];
}

export interface Program {
  readonly seed: number;
  /** More is written than buffers take: how it is cut and counted on the way is not looked at. */
  readonly bulk: boolean;
  readonly clients: 1 | 2;
  /** How sockets are read at first. */
  readonly reading: { readonly c: Reading; readonly s: Reading };
  readonly clientOptions: Readonly<Record<string, unknown>>;
  readonly serverOptions: Readonly<Record<string, unknown>>;
  readonly maxConnections: number;
  /** Nobody listens. */
  readonly refused: boolean;
  /** Where the program begins. */
  readonly from: 'timer' | 'immediate';
  readonly rules: readonly Rule[];
}

const READINGS = ['data', 'resume', 'readable', 'nothing'] as const;
export type Reading = (typeof READINGS)[number];

const CLIENT_EVENTS = ['start', 'start', 'connect', 'connect', 'ready', 'data', 'data', 'end', 'finish', 'close'];
const SERVER_SIDE_EVENTS = ['connection', 'connection', 'connection', 'data', 'data', 'end', 'finish', 'close'];
const RARE_EVENTS = ['drain', 'timeout', 'error', 'wrote'];

const OPS = [
  'write',
  'write',
  'write',
  'write',
  'end',
  'end',
  'endWith',
  'destroy',
  'destroy',
  'destroyError',
  'reset',
  'destroySoon',
  'pause',
  'resume',
  'resume',
  'cork',
  'uncork',
  'read',
  'onData',
  'onReadable',
  'offData',
  'timeout',
  'setEncoding',
  'unshift',
  'finished',
  'echo',
  'iterate',
  'ref',
  'unref',
  'writeEmpty',
];
const SERVER_OPS = ['close', 'close', 'limit'];

const pick = <T>(random: Random, from: readonly T[]): T => from[random.below(from.length)]!;

function ruleOf(random: Random, clients: number, bulk: boolean, timed: boolean): Rule {
  const index = random.below(clients);
  const mine = `${pick(random, ['c', 's'])}${index}` as Who;
  const who: Who = random.below(14) === 0 ? 'server' : mine;
  const events = who === 'server' ? ['connection', 'close'] : mine[0] === 'c' ? CLIENT_EVENTS : SERVER_SIDE_EVENTS;
  const on = who !== 'server' && random.below(8) === 0 ? pick(random, RARE_EVENTS) : pick(random, events);
  const peer = `${mine[0] === 'c' ? 's' : 'c'}${index}` as Who;
  const to: Who = random.below(16) === 0 ? 'server' : random.below(5) === 0 ? peer : who;
  const ops: Op[] = [];
  for (let left = 1 + random.below(3); left > 0; left--) {
    let name = pick(random, to === 'server' ? SERVER_OPS : OPS);
    if (who === to && on === 'close' && random.below(4) === 0) name = 'connectAgain';
    if (name === 'timeout' && !timed) name = 'write';
    const large = bulk && random.below(2) === 0;
    ops.push([name, large ? 1_000_000 * (8 + random.below(8)) : 1 + random.below(random.below(3) === 0 ? 20_000 : 40)]);
  }
  const via = random.below(3) === 0 ? pick(random, VIAS) : 'now';
  return { who, on, nth: random.below(5) === 0 ? 2 : 1, via, to, ops };
}

function optionsOf(random: Random, client: boolean, timed: boolean): Record<string, unknown> {
  const options: Record<string, unknown> = {};
  if (random.below(3) === 0) options['allowHalfOpen'] = true;
  if (random.below(6) === 0) options['noDelay'] = true;
  if (random.below(6) === 0) options['keepAlive'] = true;
  if (client) {
    if (timed && random.below(3) === 0) options['timeout'] = 15;
    if (random.below(8) === 0) options['highWaterMark'] = 1 + random.below(100);
  } else {
    if (random.below(6) === 0) options['pauseOnConnect'] = true;
    if (random.below(8) === 0) options['highWaterMark'] = 1 + random.below(100);
  }
  return options;
}

/** The program of a seed. `mayDepend`: on the time that things take and the room that buffers have. */
export function programOf(seed: number, mayDepend: boolean): Program {
  const random = new Random(seed);
  // How much fits on the way, and so what comes before what, is a kernel's own affair.
  const bulk = random.below(20) === 0 && mayDepend;
  // Whether something comes before or after so many milliseconds is up to how busy a machine is.
  const timed = mayDepend && !bulk && random.below(6) === 0;
  const clients = random.below(4) === 0 ? 2 : 1;
  const reading = (): Reading => (random.below(2) === 0 ? 'data' : pick(random, READINGS));
  const rules: Rule[] = [];
  for (let left = 1 + random.below(6); left > 0; left--) rules.push(ruleOf(random, clients, bulk, timed));
  return {
    seed,
    bulk,
    clients,
    reading: { c: reading(), s: reading() },
    clientOptions: optionsOf(random, true, timed),
    serverOptions: optionsOf(random, false, timed),
    maxConnections: random.below(12) === 0 ? 1 : 0,
    refused: random.below(25) === 0,
    from: pick(random, ['timer', 'immediate']),
    rules,
  };
}

/** Programs that are a little smaller than `p`. */
export function* smaller(p: Program): Generator<Program> {
  for (let i = 0; i < p.rules.length; i++) yield { ...p, rules: p.rules.filter((_, n) => n !== i) };
  for (const [i, rule] of p.rules.entries()) {
    const instead = (r: Rule): Program => ({ ...p, rules: p.rules.map((old, n) => (n === i ? r : old)) });
    if (rule.ops.length > 1) {
      for (let k = 0; k < rule.ops.length; k++) yield instead({ ...rule, ops: rule.ops.filter((_, n) => n !== k) });
    }
    if (rule.via !== 'now') yield instead({ ...rule, via: 'now' });
    for (const [k, [name, n]] of rule.ops.entries()) {
      if (n > 5) yield instead({ ...rule, ops: rule.ops.map((op, at) => (at === k ? ([name, 5] as const) : op)) });
    }
  }
  if (p.clients === 2) yield { ...p, clients: 1 };
  if (p.reading.c !== 'data') yield { ...p, reading: { ...p.reading, c: 'data' } };
  if (p.reading.s !== 'data') yield { ...p, reading: { ...p.reading, s: 'data' } };
  for (const side of ['clientOptions', 'serverOptions'] as const) {
    for (const key of Object.keys(p[side])) {
      const { [key]: _, ...others } = p[side];
      yield { ...p, [side]: others };
    }
  }
  if (p.maxConnections > 0) yield { ...p, maxConnections: 0 };
  if (p.from !== 'timer') yield { ...p, from: 'timer' };
}
