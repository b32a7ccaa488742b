import type { Report } from '../report';
import { createWire, type WireOptions } from '../wire';
import { clientNamed } from './clients';
import { type ClientName, outcomeText, type Scenario, type Stage } from './scenario';

/** How a scenario went. */
export interface ScenarioResult {
  readonly scenario: Scenario;
  readonly client: string;
  /** What client and server said, in order. */
  readonly lines: readonly string[];
  /** What is promised for this client; null: nothing. */
  readonly expected: readonly string[] | null;
  /** Whether it went as promised; true when nothing is. */
  readonly asExpected: boolean;
  readonly report: Report;
  /** Milliseconds of the wire's clock. */
  readonly virtualMs: number;
  readonly hash: string;
}

/** Plays a scenario on a wire of its own. Throws only when the scenario itself is broken. */
export async function runScenario(
  scenario: Scenario,
  client: string = 'http',
  options: WireOptions = {},
): Promise<ScenarioResult> {
  const http = client === 'tapwire' ? 'tapwire' : 'node';
  const wire = createWire({ http, ...scenario.wire, ...options });
  const lines: string[] = [];
  const say = (line: string): void => {
    lines.push(line);
    wire.note(null, line);
  };
  const player = clientNamed(client, wire);
  const stage: Stage = {
    wire,
    client: player,
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
    const expected = scenario.expect[client as ClientName] ?? null;
    return {
      scenario,
      client,
      lines,
      expected,
      asExpected:
        expected === null || (expected.length === lines.length && expected.every((line, i) => line === lines[i])),
      report: wire.report(`${scenario.id} (${client})`),
      virtualMs: wire.clock.now(),
      hash: wire.engine.decisions.hash(),
    };
  } finally {
    await player.close();
    wire.close();
  }
}
