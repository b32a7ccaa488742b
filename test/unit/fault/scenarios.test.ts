import { runScenario, SCENARIOS, scenarioNamed } from '../../../fault/scenarios';

const CLIENTS = ['http', 'fetch', 'tapwire', 'undici'] as const;
const promised = SCENARIOS.flatMap((scenario) =>
  CLIENTS.filter((client) => scenario.expect[client] !== undefined).map((client) => [scenario.id, client] as const),
);

test('every failure of the catalogue is there, once, with its story', () => {
  expect(SCENARIOS.map(({ number }) => number)).toEqual(Array.from({ length: 52 }, (_, i) => i + 1));
  expect(new Set(SCENARIOS.map(({ id }) => id)).size).toBe(52);
  for (const { title, picture, node, cope, expect: promise } of SCENARIOS) {
    for (const text of [title, picture, node, cope]) expect(text.length).toBeGreaterThan(10);
    expect(promise.http.length).toBeGreaterThan(0);
  }
});

test.each(promised)('%s with %s goes as promised', async (id, client) => {
  const result = await runScenario(scenarioNamed(id), client);
  expect(result.lines).toEqual(result.expected);
});

test('a scenario goes the same way every time', async () => {
  const run = async (): Promise<string[]> => {
    const { hash, virtualMs, report } = await runScenario(scenarioNamed('1'));
    return [hash, String(virtualMs), report.ladder()];
  };
  expect(await run()).toEqual(await run());
});

test('an unknown scenario, an unknown client', async () => {
  expect(() => scenarioNamed('keepalive-nothing')).toThrow('perhaps keepalive-fin-crosses-request');
  await expect(runScenario(scenarioNamed('1'), 'curl')).rejects.toThrow('unknown client');
});
