import type { Unused } from '../misses';
import type { Handled } from '../origin';
import type { Report } from '../report';
import { fromToken, toToken } from '../token';
import { type Difference, HERE, saidWith } from '../versions';
import { createWire, type WireOptions } from '../wire';
import { clientNamed } from './clients';
import { NEWER_PACKAGES, PACKAGES } from './packages';
import { type ClientName, outcomeText, type Scenario, type Stage } from './scenario';

/** What shows that it was the client under test that asked. */
export interface Played {
  /** Requests that the client's code was told to make. */
  readonly asked: number;
  /** Connections that were seen on the wire, and requests in them. */
  readonly connections: number;
  readonly requests: number;
  /** Every User-Agent that a server was told, '' for none. */
  readonly userAgents: readonly string[];
}

/** How a scenario went. */
export interface ScenarioResult {
  readonly scenario: Scenario;
  readonly client: string;
  /** What client and server said, in order. */
  readonly lines: readonly string[];
  /** What is promised for this client; null: nothing. */
  readonly expected: readonly string[] | null;
  /** Rules and boxes that should have acted and never did. */
  readonly unused: readonly Unused[];
  /** Whether it went as promised, every rule in its part; of lines true when none are promised. */
  readonly asExpected: boolean;
  readonly report: Report;
  /** Milliseconds of the wire's clock. */
  readonly virtualMs: number;
  /** Of the whole story on the wire: segments, times, what rules did and programs were told. */
  readonly hash: string;
  /** Runs the same again: `tapwire fault run TOKEN`. Empty when the fault was left out. */
  readonly token: string;
  /** What the client was told to do, and what that made of it: see `Played`. */
  readonly played: Played;
  /** What an error that nobody expected said; null: none. Only without the fault is that no bug. */
  readonly broken: Error | null;
}

/** What is promised for a client with these differences from Node 20; null: nothing. */
export function expectedOf(
  { id, expect, newer }: Scenario,
  client: string,
  differences: readonly Difference[] = HERE,
): readonly string[] | null {
  const name = client as ClientName;
  const isHttp = client === 'tapwire' || client === 'node';
  const own = expect[name] ?? PACKAGES[id]?.[name];
  const asHttp = own === undefined && isHttp;
  const instead: Partial<Record<Difference, readonly string[]>> = {};
  for (const difference of differences) {
    const lines = newer?.[difference] ?? {};
    const said = lines[name] ?? NEWER_PACKAGES[id]?.[difference]?.[name] ?? (asHttp ? lines.http : undefined);
    if (said !== undefined) instead[difference] = said;
  }
  return saidWith(own ?? (asHttp ? expect.http : null), instead, differences);
}

const userAgentOf = ({ headers }: Handled): string => headers['user-agent'] ?? '';

/**
 * Plays a scenario on a wire of its own. Throws only when the scenario itself is broken. With `faults: 'off'` its fault is
 * left out: then it must not go as promised, or it would prove nothing.
 */
export async function runScenario(
  scenario: Scenario,
  client: string = 'http',
  options: WireOptions = {},
): Promise<ScenarioResult> {
  const http = client === 'tapwire' ? 'tapwire' : 'node';
  const faulty = options.faults !== 'off';
  const { clientPorts, ...others } = scenario.wire ?? {};
  // The retries of got wait on timers of the program.
  const timers = client === 'got' ? 'global' : undefined;
  const ports = faulty ? { clientPorts } : {};
  // What is unused stands in the result.
  const wire = createWire({ http, timers, ...others, ...ports, ...options, unused: 'ignore' });
  const lines: string[] = [];
  const say = (line: string): void => {
    lines.push(line);
    wire.note(null, line);
  };
  let broken: Error | null = null;
  try {
    const player = clientNamed(client, wire);
    await player.ready;
    const stage: Stage = {
      wire,
      client: player,
      faulty,
      serve: (handler, serveOptions) => wire.serve(handler, serveOptions),
      async ask(ask = {}) {
        const outcome = await wire.run(player.ask(ask), 86_400_000);
        say(outcomeText(outcome));
        return outcome;
      },
      say,
    };
    try {
      await scenario.play(stage);
    } catch (error) {
      // Without its fault a scenario may wait for an error that never comes.
      if (faulty) throw error;
      broken = error as Error;
    }
    const expected = expectedOf(scenario, client);
    const same =
      expected === null || (expected.length === lines.length && expected.every((line, i) => line === lines[i]));
    const hash = wire.trace().hash();
    const plan = { seed: wire.seed, placements: [], chances: {}, scenario: scenario.id, client };
    const report = wire.report(`${scenario.id} (${client})`);
    const unused = wire.unused();
    const asExpected = same && broken === null && unused.length === 0;
    const token = faulty ? toToken(plan, hash) : '';
    const result = {
      scenario,
      client,
      lines,
      expected,
      unused,
      asExpected,
      report,
      virtualMs: wire.clock.now(),
      hash,
      token,
      played: {
        asked: player.asked,
        connections: wire.engine.connCount,
        requests: wire.engine.exchanges.count,
        userAgents: [...new Set(wire.origins.flatMap(({ handled }) => handled.map(userAgentOf)))],
      },
      broken,
    };
    await player.close();
    return result;
  } finally {
    wire.close();
  }
}

/**
 * Plays the scenario of a token again, with its client and seed.
 *
 * @throws RangeError when it is no token of a scenario
 * @throws Error when the run took another course
 */
export async function replayScenario(token: string, find: (name: string) => Scenario): Promise<ScenarioResult> {
  const { plan, hash, version } = fromToken(token);
  if (plan.scenario === undefined)
    throw new RangeError('the token is of a test, not of a scenario: set TAPWIRE_REPLAY');
  const result = await runScenario(find(plan.scenario), plan.client ?? 'http', { seed: plan.seed });
  if (result.hash !== hash)
    throw new Error(
      `the replay took another course (${result.hash}, not ${hash}); the token was made by version ${version}`,
    );
  return result;
}
