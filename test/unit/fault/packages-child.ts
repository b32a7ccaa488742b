/** Plays every scenario with each package that is a client; prints what did not go as promised. got is an ES module. */
import { runScenario, SCENARIOS } from '../../../fault/scenarios';
import { notPlayedBy } from './played';

async function main(): Promise<void> {
  const missing: string[] = [];
  const wrong: unknown[] = [];
  const others: string[] = [];
  let runs = 0;
  for (const client of ['undici', 'axios', 'got']) {
    try {
      require.resolve(client);
    } catch {
      missing.push(client);
      continue;
    }
    for (const scenario of SCENARIOS) {
      const { asExpected, lines, expected, played } = await runScenario(scenario, client);
      runs++;
      const other = notPlayedBy(client, played);
      if (other !== '') others.push(`${scenario.id} with ${client}: ${other}`);
      if (!asExpected) wrong.push({ scenario: scenario.id, client, lines, expected });
    }
  }
  process.stdout.write(JSON.stringify({ missing, wrong, others, runs }));
  process.exit(0);
}

void main();
