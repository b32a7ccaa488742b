import { expectedOf, scenarioNamed } from '../../../fault/scenarios';
import { DIFFERENCES, type Difference, HERE, NODE_20, saidWith } from '../../../fault/versions';

test('what is said with a difference, with one that changes nothing, and with two', () => {
  const newer = { resetBehindText: 'an error', node24: 'another' };
  expect(saidWith('an end', newer, NODE_20)).toBe('an end');
  expect(saidWith('an end', newer, ['guardedPool'])).toBe('an end');
  expect(saidWith('an end', newer, ['resetBehindText', 'guardedPool'])).toBe('an error');
  expect(saidWith('an end', newer, ['resetBehindText', 'node24'])).toBe('another');
  expect(saidWith('an end', undefined, ['node24'])).toBe('an end');
});

test('null that is said is no absence', () => {
  expect(saidWith<string | null>('text', { node24: null }, ['node24'])).toBeNull();
});

test('the differences of the Node that runs this are those that it has', () => {
  const [major] = process.versions.node.split('.').map(Number);
  if (major === 20) expect(HERE).toEqual(NODE_20);
  for (const name of Object.keys(DIFFERENCES) as Difference[])
    expect([name, HERE.includes(name)]).toEqual([name, DIFFERENCES[name].here]);
});

test('promises for a client, with and without a difference', () => {
  const scenario = scenarioNamed('content-length-short-rst-together');
  const aborted = ['GET /: 200, 4 bytes, then aborted [ECONNRESET] (not reused)'];
  const reset = ['GET /: 200, 4 bytes, then read ECONNRESET (not reused)'];
  for (const client of ['http', 'node', 'tapwire']) {
    expect(expectedOf(scenario, client, NODE_20)).toEqual(aborted);
    expect(expectedOf(scenario, client, ['node24'])).toEqual(aborted);
    expect(expectedOf(scenario, client, ['resetBehindText'])).toEqual(reset);
  }
  expect(expectedOf(scenario, 'axios', ['resetBehindText'])).toEqual(['GET /: read ECONNRESET']);
  expect(expectedOf(scenario, 'got', ['resetBehindText'])).toEqual(expectedOf(scenario, 'got', NODE_20));
  expect(expectedOf(scenario, 'curl', ['resetBehindText'])).toBeNull();
});
