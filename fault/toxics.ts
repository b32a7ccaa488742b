import { type Action, call, delay, drop, fin, rst, slice, throttle } from './actions';
import type { Conn } from './conn';
import type { FaultEngine } from './engine';
import type { Match } from './match';
import { Rule } from './rule';

/** A fault by toxiproxy's name and attributes, where the meaning is the same. */
export interface Toxic {
  readonly name: string;
  /** latency, bandwidth, slow_close, timeout, reset_peer, slicer, limit_data, packet_loss. */
  readonly type: string;
  /** Of what the upstream sends ('downstream', the default), or of what the client sends. */
  readonly stream: 'upstream' | 'downstream';
  /** The share of connections that it concerns, from 0 (none) to 1. */
  readonly toxicity: number;
  readonly attributes: Readonly<Record<string, number>>;
}

const ATTRIBUTES: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  latency: { latency: 0, jitter: 0 },
  bandwidth: { rate: 0 },
  slow_close: { delay: 0 },
  timeout: { timeout: 0 },
  reset_peer: { timeout: 0 },
  slicer: { average_size: 100, size_variation: 0, delay: 0 },
  limit_data: { bytes: 0 },
  packet_loss: { loss_rate: 0.1, correlation: 0 },
};

/** A toxic of that name is there. */
export class ToxicTaken extends RangeError {}

const NAME_MAX = 256;
const TOXICS_MAX = 100;
/** Bytes, milliseconds, kilobytes a second: more has no meaning. */
const ATTRIBUTE_MAX = 1e12;

/** Fills in what is absent. @throws RangeError when there is no such toxic, or its name is taken */
export function checkToxic(given: Partial<Toxic>, existing: readonly Toxic[]): Toxic {
  const { type = '', toxicity = 1 } = given;
  // Clients that know no default send an empty one.
  const stream = (given.stream as string | undefined) || 'downstream';
  const defaults = Object.hasOwn(ATTRIBUTES, type) ? ATTRIBUTES[type] : undefined;
  if (defaults === undefined)
    throw new RangeError(`there is no toxic '${String(type)}': ${Object.keys(ATTRIBUTES).join(', ')}`);
  if (stream !== 'upstream' && stream !== 'downstream') throw new RangeError(`stream is '${String(stream)}'`);
  if (!(typeof toxicity === 'number' && toxicity >= 0 && toxicity <= 1))
    throw new RangeError(`toxicity is ${JSON.stringify(toxicity)}: from 0 to 1`);
  const name = given.name || `${type}_${stream}`;
  if (typeof name !== 'string' || name.length > NAME_MAX)
    throw new RangeError(`a toxic's name is 1 to ${NAME_MAX} characters`);
  if (existing.length >= TOXICS_MAX) throw new RangeError(`${TOXICS_MAX} toxics are enough for one proxy`);
  if (existing.some((toxic) => toxic.name === name)) throw new ToxicTaken(`there is a toxic '${name}' already`);
  const attributes: Record<string, number> = { ...defaults };
  if (typeof (given.attributes ?? {}) !== 'object' || Array.isArray(given.attributes))
    throw new RangeError(`attributes is ${JSON.stringify(given.attributes)}: an object was expected`);
  for (const [key, value] of Object.entries(given.attributes ?? {})) {
    if (!Object.hasOwn(defaults, key))
      throw new RangeError(`${type} has no attribute '${key}': ${Object.keys(defaults).join(', ')}`);
    if (typeof value !== 'number' || !(value >= 0 && value <= ATTRIBUTE_MAX))
      throw new RangeError(`${key} is ${JSON.stringify(value)}: a number from 0 to ${ATTRIBUTE_MAX}`);
    attributes[key] = value;
  }
  if (type === 'packet_loss') checkLoss(attributes);
  return { name, type, stream, toxicity, attributes };
}

function checkLoss({ loss_rate: rate = 0, correlation = 0 }: Record<string, number>): void {
  if (rate > 1) throw new RangeError(`loss_rate is ${rate}: from 0 to 1`);
  // Toxiproxy takes more for 1; what can mean nothing is refused here.
  if (correlation > 1) throw new RangeError(`correlation is ${correlation}: from 0 to 1`);
}

/** The label of a toxic's rules. */
export const labelOf = (name: string): string => `toxic ${name}`;

const CHOSEN_MAX = 20_000;

/** Adds the rules of a toxic, each with a label of its name. Returns what is to be done when it is taken away. */
export function applyToxic(engine: FaultEngine, toxic: Toxic): () => void {
  const { name, type, stream, toxicity, attributes: a } = toxic;
  const dir = stream === 'upstream' ? 'c2s' : 's2c';
  const chosen = new Map<number, boolean>();
  const concerns = (conn: Conn): boolean => {
    let is = chosen.get(conn.id);
    if (is === undefined) {
      is = engine.decisions.chance(labelOf(name), toxicity);
      chosen.set(conn.id, is);
      // Connections are counted upwards: the oldest are gone.
      if (chosen.size > CHOSEN_MAX) chosen.delete(chosen.keys().next().value!);
    }
    return is;
  };
  const add = (match: Match, ...actions: Action[]): void => {
    engine.add(new Rule({ ...match, conn: concerns }, actions, labelOf(name), Number.POSITIVE_INFINITY));
  };
  const text: Match = { dir, len: [1, 65_535] };
  switch (type) {
    case 'latency': {
      const [low, high] = [Math.max(0, a['latency']! - a['jitter']!), a['latency']! + a['jitter']!];
      add(text, delay(low === high ? low : { min: low, max: high }));
      break;
    }
    case 'bandwidth':
      // toxiproxy counts kilobytes a second; 0 lets nothing pass.
      if (a['rate'] === 0) add(text, drop());
      else add({ dir }, throttle(a['rate']! * 8000));
      break;
    case 'slow_close':
      add({ dir, seqAt: 'fin' }, delay(a['delay']!));
      break;
    case 'slicer':
      add(text, slice(Math.max(1, a['average_size']!), a['delay']! / 1000, { vary: a['size_variation']! }));
      break;
    case 'limit_data':
      add({ dir, seqAt: a['bytes']! }, fin({ to: dir === 's2c' ? 'c' : 's' }));
      break;
    case 'packet_loss':
      add({ dir, p: a['loss_rate']!, correlation: a['correlation']! }, drop());
      break;
    case 'timeout':
      add(text, drop());
      return closesAfter(engine, toxic, concerns);
    case 'reset_peer':
      add(text, drop(), ...(a['timeout'] === 0 ? [rst({ to: 'both' })] : []));
      if (a['timeout']! > 0) resetsAfter(engine, toxic);
      break;
    default:
      throw new RangeError(`there is no toxic '${type}'`);
  }
  return () => {};
}

const isOfToxic = (rule: Rule, { name }: Toxic): boolean => rule.active && rule.label === labelOf(name);

/** `timeout` milliseconds after the first byte both ends are reset; until then nothing of the direction passes. */
function resetsAfter(engine: FaultEngine, toxic: Toxic): void {
  const waiting = new Set<number>();
  engine.onRule = chain(engine.onRule, (rule, conn) => {
    if (conn === null || waiting.has(conn.id) || !isOfToxic(rule, toxic)) return;
    waiting.add(conn.id);
    if (waiting.size > CHOSEN_MAX) waiting.delete(waiting.values().next().value!);
    engine.medium.at(engine.medium.now() + toxic.attributes['timeout']!, () => {
      if (rule.active && !conn.over) engine.doOn(conn, rst({ to: 'both' }));
    });
  });
}

/**
 * A connection ends after `timeout` milliseconds without a byte, whether there was one before or not; with 0 only when the
 * toxic is taken away, as what was swallowed by then can be of no use any more.
 */
function closesAfter(engine: FaultEngine, toxic: Toxic, concerns: (conn: Conn) => boolean): () => void {
  const ms = toxic.attributes['timeout']!;
  const timers = new Map<Conn, unknown>();
  let there = true;
  const wait = (conn: Conn): void => {
    const timer = timers.get(conn);
    if (timer !== undefined) engine.medium.cancel(timer);
    timers.set(
      conn,
      engine.medium.at(engine.medium.now() + ms, () => close(conn)),
    );
    if (timers.size > CHOSEN_MAX) timers.delete(timers.keys().next().value!);
  };
  const close = (conn: Conn): void => {
    timers.delete(conn);
    if (!conn.over && conn.handshakeDone) engine.doOn(conn, fin({ to: 'c' }));
  };
  if (ms > 0) {
    for (const conn of engine.conns) if (!conn.over && concerns(conn)) wait(conn);
    const match: Match = { handshake: 'ack', conn: concerns };
    engine.add(new Rule(match, [call(nothing)], labelOf(toxic.name), Number.POSITIVE_INFINITY, true));
    engine.onRule = chain(engine.onRule, (rule, conn) => {
      if (there && conn !== null && isOfToxic(rule, toxic)) wait(conn);
    });
  }
  return () => {
    there = false;
    for (const timer of timers.values()) engine.medium.cancel(timer);
    for (const conn of engine.conns) if (!conn.over && concerns(conn)) close(conn);
  };
}

const nothing = (): void => {};

type Told = NonNullable<FaultEngine['onRule']>;

const chain =
  (first: Told | null, second: Told): Told =>
  (rule, conn) => {
    first?.(rule, conn);
    second(rule, conn);
  };
