import { bodies, servers } from './bodies';
import { keepAlive } from './keepalive';
import { paths } from './paths';
import type { Scenario } from './scenario';

export { clientNamed } from './clients';
export { expectedOf, type Played, replayScenario, runScenario, type ScenarioResult } from './run';
export type { Client, ClientName, Outcome, Scenario, Stage } from './scenario';

/** Every failure of the catalogue, by its number. */
export const SCENARIOS: readonly Scenario[] = [...keepAlive, ...paths, ...bodies, ...servers].sort(
  (a, b) => a.number - b.number,
);

/** The scenario with this id or number. @throws RangeError with what is like it */
export function scenarioNamed(name: string): Scenario {
  const found = SCENARIOS.find(({ id, number }) => id === name || String(number) === name);
  if (found !== undefined) return found;
  const like = SCENARIOS.filter(({ id }) => name.split('-').some((word) => word.length > 2 && id.includes(word)));
  const hint = like.length === 0 ? 'tapwire fault list shows them' : `perhaps ${like.map(({ id }) => id).join(', ')}`;
  throw new RangeError(`there is no scenario '${name}': ${hint}`);
}
