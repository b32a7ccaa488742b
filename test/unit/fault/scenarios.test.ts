/** The failures of the catalogue: each with each client, again from its token, and without its fault. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import type { Wire } from '../../../fault';
import {
  expectedOf,
  replayScenario,
  runScenario,
  SCENARIOS,
  type Scenario,
  scenarioNamed,
} from '../../../fault/scenarios';
import { notPlayedBy } from './played';

const root = join(__dirname, '../../..');
const CLIENTS = ['http', 'tapwire', 'fetch'] as const;
const all = SCENARIOS.flatMap(({ id }) => CLIENTS.map((client) => [id, client] as const));

test('every failure of the catalogue is there, once, with its story and a promise for each client', () => {
  expect(SCENARIOS.map(({ number }) => number)).toEqual(Array.from({ length: 52 }, (_, i) => i + 1));
  expect(new Set(SCENARIOS.map(({ id }) => id)).size).toBe(52);
  for (const scenario of SCENARIOS) {
    const { title, picture, node, cope } = scenario;
    for (const text of [title, picture, node, cope]) expect(text.length).toBeGreaterThan(10);
    for (const client of [...CLIENTS, 'undici', 'axios', 'got'])
      expect([scenario.id, client, expectedOf(scenario, client)?.length ?? 0]).not.toEqual([scenario.id, client, 0]);
  }
});

test('a scenario that is not played by the client that was named is found out', async () => {
  const scenario = scenarioNamed('27');
  // What the type of a stage does not let a scenario do.
  const bypassing: Scenario = {
    ...scenario,
    play: async ({ wire, serve }) => {
      await serve((_, response) => response.end());
      await (wire as Wire).get('/');
    },
  };
  const { played } = await runScenario(bypassing, 'fetch');
  expect(notPlayedBy('fetch', played)).toBe('1 requests on the wire, but the client was told to make 0');
  const { played: withHttp } = await runScenario(scenarioNamed('1'), 'http');
  expect(notPlayedBy('fetch', withHttp)).toBe("User-Agent '', which is not that of fetch");
});

test.each(all)('%s with %s: as promised, the same from its token, and not without its fault', async (id, client) => {
  const scenario = scenarioNamed(id);
  const result = await runScenario(scenario, client);
  expect(result.lines).toEqual(result.expected);
  expect(notPlayedBy(client, result.played)).toBe('');
  const again = await replayScenario(result.token, scenarioNamed);
  expect([again.lines, again.hash]).toEqual([result.lines, result.hash]);
  const without = await runScenario(scenario, client, { faults: 'off' });
  expect(without.asExpected).toBe(false);
});

test('undici, axios and got say what is promised', async () => {
  const said = await new Promise<string>((resolve, reject) => {
    const args = ['-r', join(root, 'test/typescript.cjs'), join(__dirname, 'packages-child.ts')];
    execFile(process.execPath, args, { cwd: root, timeout: 110_000 }, (error, stdout, stderr) => {
      if (error !== null) reject(new Error(`${error.message}\n${stderr}`));
      else resolve(stdout);
    });
  });
  const { missing, runs, wrong, others } = JSON.parse(said) as {
    missing: string[];
    runs: number;
    wrong: unknown[];
    others: string[];
  };
  expect(wrong).toEqual([]);
  expect(missing).toEqual([]);
  expect(others).toEqual([]);
  expect(runs).toBe(3 * 52);
}, 120_000);

test('a token of another course is refused, and so is one of a test', async () => {
  const { token } = await runScenario(scenarioNamed('1'));
  const other = scenarioNamed('2');
  await expect(replayScenario(token, () => other)).rejects.toThrow('took another course');
  await expect(replayScenario('twf1.nonsense', scenarioNamed)).rejects.toThrow('damaged');
});

test('an unknown scenario, an unknown client', async () => {
  expect(() => scenarioNamed('keepalive-nothing')).toThrow('perhaps keepalive-fin-crosses-request');
  await expect(runScenario(scenarioNamed('1'), 'curl')).rejects.toThrow('unknown client');
});
