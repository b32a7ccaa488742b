import { call, fin, rst } from './actions';
import { res } from './match';
import { failUnused } from './misses';
import { Wire, type WireOptions } from './wire';

/** What is put into every order: the end of the response, a FIN and a RST to the client, and the client's next write. */
export type Step = 'res' | 'fin' | 'rst' | 'write';

/** What is run in every order, and on which wire. */
export interface PermuteOptions<T> extends WireOptions {
  readonly setup: (wire: Wire) => Promise<unknown>;
  readonly test: (wire: Wire) => Promise<T>;
}

function permutations<T>(list: readonly T[]): T[][] {
  if (list.length <= 1) return [[...list]];
  return list.flatMap((item, i) => permutations(list.filter((_, k) => k !== i)).map((rest) => [item, ...rest]));
}

const GATE = 'permute: response';
/** Between two steps: each has a wake-up of its own. */
const STEP_MS = 2;

/**
 * Runs a test once for every order of the steps, each on a wire of its own. They begin when the response to the first request
 * is there, which waits for its turn. Returns what the test gave for each.
 */
export async function permute<T>(
  steps: readonly Step[],
  options: PermuteOptions<T>,
): Promise<{ order: readonly Step[]; outcome: T }[]> {
  const outcomes: { order: readonly Step[]; outcome: T }[] = [];
  const known = new Map<string, T>();
  for (const order of permutations(steps)) {
    // What stands behind a reset has no connection to happen on: such orders are one run.
    const upTo = order.indexOf('rst') + 1;
    const run = order.slice(0, upTo === 0 ? order.length : upTo);
    const key = run.join(' ');
    if (!known.has(key)) known.set(key, await once(run, options));
    outcomes.push({ order, outcome: known.get(key)! });
  }
  return outcomes;
}

async function once<T>(order: readonly Step[], options: PermuteOptions<T>): Promise<T> {
  const wire = new Wire({ ...options, unused: 'ignore' });
  try {
    await options.setup(wire);
    arrange(wire, order);
    const outcome = await options.test(wire);
    if (options.unused !== 'ignore') failUnused(wire.unused(), ` in the order ${order.join(', ')}`);
    return outcome;
  } finally {
    wire.close();
  }
}

function arrange(wire: Wire, order: readonly Step[]): void {
  const left = [...order];
  let waitsForWrite = false;
  const next = (): void => {
    const step = left.shift();
    if (step === undefined) return;
    wire.note(null, `step: ${step}`);
    if (step === 'write') {
      waitsForWrite = true;
      // A client that has nothing more to write must not stop the others.
      wire.clock.at(wire.clock.now() + 100, () => {
        if (waitsForWrite) wrote();
      });
      return;
    }
    if (step === 'res') wire.release(GATE);
    else if (!wire.engine.conns[0]!.over) wire.do(step === 'fin' ? fin({ to: 'c' }) : rst({ to: 'c' }));
    wire.clock.at(wire.clock.now() + STEP_MS, next);
  };
  const wrote = (): void => {
    waitsForWrite = false;
    next();
  };
  wire.on(res(1).begin()).do({ do: 'hold', gate: GATE }, call(next));
  wire.tap((segment, { dir, seen }) => {
    if (waitsForWrite && dir === 'c2s' && seen.fresh && segment.length > 0) wrote();
  });
}
