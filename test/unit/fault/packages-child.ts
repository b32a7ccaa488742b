/** Plays every scenario with each package that is a client; prints what did not go as promised. got is an ES module. */
import { runScenario, SCENARIOS } from '../../../fault/scenarios';

async function main(): Promise<void> {
  const missing: string[] = [];
  const wrong: unknown[] = [];
  let runs = 0;
  for (const client of ['undici', 'axios', 'got']) {
    try {
      require.resolve(client);
    } catch {
      missing.push(client);
      continue;
    }
    for (const scenario of SCENARIOS) {
      const { asExpected, lines, expected } = await runScenario(scenario, client);
      runs++;
      if (!asExpected) wrong.push({ scenario: scenario.id, client, lines, expected });
    }
  }
  process.stdout.write(JSON.stringify({ missing, wrong, runs }));
  process.exit(0);
}

void main();
