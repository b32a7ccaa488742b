import { type Action, delay, drop, fin, rst, slice, throttle } from './actions';
import type { FaultEngine } from './engine';
import type { Match } from './match';
import { Rule } from './rule';

/** A fault by toxiproxy's name and attributes, where the meaning is the same. */
export interface Toxic {
  readonly name: string;
  /** latency, bandwidth, timeout, reset_peer, slicer, limit_data, packet_loss. */
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
  timeout: { timeout: 0 },
  reset_peer: { timeout: 0 },
  slicer: { average_size: 100, size_variation: 0, delay: 0 },
  limit_data: { bytes: 0 },
  packet_loss: { percent: 0 },
};

/** Fills in what is absent. @throws RangeError when there is no such toxic, or its name is taken */
export function checkToxic(given: Partial<Toxic>, existing: readonly Toxic[]): Toxic {
  const { type = '', stream = 'downstream', toxicity = 1 } = given;
  const defaults = ATTRIBUTES[type];
  if (defaults === undefined)
    throw new RangeError(`there is no toxic '${type}': ${Object.keys(ATTRIBUTES).join(', ')}`);
  if (stream !== 'upstream' && stream !== 'downstream') throw new RangeError(`stream is '${String(stream)}'`);
  if (!(toxicity >= 0 && toxicity <= 1)) throw new RangeError(`toxicity is ${toxicity}: from 0 to 1`);
  const name = given.name ?? `${type}_${stream}`;
  if (existing.some((toxic) => toxic.name === name)) throw new RangeError(`there is a toxic '${name}' already`);
  const attributes: Record<string, number> = { ...defaults };
  for (const [key, value] of Object.entries(given.attributes ?? {})) {
    if (!(key in defaults))
      throw new RangeError(`${type} has no attribute '${key}': ${Object.keys(defaults).join(', ')}`);
    if (typeof value !== 'number' || !(value >= 0)) throw new RangeError(`${key} is ${String(value)}: 0 or more`);
    attributes[key] = value;
  }
  return { name, type, stream, toxicity, attributes };
}

/** The label of a toxic's rules. */
export const labelOf = (name: string): string => `toxic ${name}`;

/** Adds the rules of a toxic. Each has a label that begins with its name. */
export function applyToxic(engine: FaultEngine, toxic: Toxic): void {
  const { name, type, stream, toxicity, attributes: a } = toxic;
  const dir = stream === 'upstream' ? 'c2s' : 's2c';
  const chosen = new Map<number, boolean>();
  const concerns: Match['conn'] = (conn) => {
    let is = chosen.get(conn.id);
    if (is === undefined) {
      is = engine.decisions.chance(labelOf(name), toxicity);
      chosen.set(conn.id, is);
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
    case 'slicer':
      return add(text, slice(Math.max(1, a['average_size']!), a['delay']! / 1000));
    case 'limit_data':
      return add({ dir, seqAt: a['bytes']! }, fin({ to: 'c' }));
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
