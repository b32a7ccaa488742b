import { type Action, delay, drop, fin, rst, slice, throttle } from './actions';
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
  packet_loss: { percent: 0 },
};

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
  if (existing.some((toxic) => toxic.name === name)) throw new RangeError(`there is a toxic '${name}' already`);
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
  return { name, type, stream, toxicity, attributes };
}

/** The label of a toxic's rules. */
export const labelOf = (name: string): string => `toxic ${name}`;

const CHOSEN_MAX = 20_000;

/** Adds the rules of a toxic. Each has a label that begins with its name. */
export function applyToxic(engine: FaultEngine, toxic: Toxic): void {
  const { name, type, stream, toxicity, attributes: a } = toxic;
  const dir = stream === 'upstream' ? 'c2s' : 's2c';
  const chosen = new Map<number, boolean>();
  const forget = (): void => {
    // Connections are counted upwards: the oldest are gone.
    if (chosen.size > CHOSEN_MAX) chosen.delete(chosen.keys().next().value!);
  };
  const concerns: Match['conn'] = (conn) => {
    let is = chosen.get(conn.id);
    if (is === undefined) {
      is = engine.decisions.chance(labelOf(name), toxicity);
      chosen.set(conn.id, is);
      forget();
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
      return add(text, delay(low === high ? low : { min: low, max: high }));
    }
    case 'bandwidth':
      // toxiproxy counts kilobytes a second; 0 lets nothing pass.
      return a['rate'] === 0 ? add(text, drop()) : add({ dir }, throttle(a['rate']! * 8000));
    case 'slow_close':
      return add({ dir, flags: 'F' }, delay(a['delay']!));
    case 'slicer':
      return add(text, slice(Math.max(1, a['average_size']!), a['delay']! / 1000));
    case 'limit_data':
      return add({ dir, seqAt: a['bytes']! }, fin({ to: dir === 's2c' ? 'c' : 's' }));
    case 'packet_loss':
      return add({ dir, p: a['percent']! / 100 }, drop());
    case 'timeout':
    case 'reset_peer':
      return silenceThen(engine, toxic, add);
    default:
      throw new RangeError(`there is no toxic '${type}'`);
  }
}

/**
 * Nothing passes any more, and after `timeout` milliseconds the connection ends: by FIN (timeout), or by RST at both ends
 * (reset_peer). With 0, timeout only swallows, and reset_peer resets at the next byte.
 */
function silenceThen(engine: FaultEngine, toxic: Toxic, add: (match: Match, ...actions: Action[]) => void): void {
  const ms = toxic.attributes['timeout']!;
  const text: Match = { dir: toxic.stream === 'upstream' ? 'c2s' : 's2c', len: [1, 65_535] };
  const end = toxic.type === 'timeout' ? fin({ to: 'c' }) : rst({ to: 'both' });
  if (ms === 0) return add(text, drop(), ...(toxic.type === 'timeout' ? [] : [end]));
  add(text, drop());
  const label = labelOf(toxic.name);
  const waiting = new Set<number>();
  engine.onRule = chain(engine.onRule, (rule, conn) => {
    if (rule.label !== label || conn === null || waiting.has(conn.id)) return;
    waiting.add(conn.id);
    if (waiting.size > CHOSEN_MAX) waiting.delete(waiting.values().next().value!);
    engine.medium.at(engine.medium.now() + ms, () => {
      if (rule.active && !conn.over) engine.doOn(conn, end);
    });
  });
}

type Told = NonNullable<FaultEngine['onRule']>;

const chain =
  (first: Told | null, second: Told): Told =>
  (rule, conn) => {
    first?.(rule, conn);
    second(rule, conn);
  };
