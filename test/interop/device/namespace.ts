import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import type * as scenarios from './scenarios';

type Scenarios = typeof scenarios;
type Result<K extends keyof Scenarios> = Scenarios[K] extends (...args: never[]) => infer R ? Awaited<R> : never;

export interface Surroundings {
  /** Further options of unshare(1). Default: a network of its own. */
  unshare?: readonly string[];
  /** A shell command that runs first, as root, in the new namespaces. */
  before?: string;
  /** Options of Node. */
  node?: readonly string[];
  args?: readonly string[];
}

const SECONDS_MAX = 20;

/**
 * Runs a scenario in a child process in fresh namespaces and returns its result. Throws with all that the child said when it
 * fails, dies or takes longer than 20 s.
 */
export function inNamespace<K extends keyof Scenarios & string>(name: K, around: Surroundings = {}): Result<K> {
  const child = join(__dirname, 'child.cjs');
  const command = [process.execPath, ...(around.node ?? []), child, name, ...(around.args ?? [])];
  const script = `${around.before ?? ':'} && exec "$@"`;
  const { status, signal, stdout, stderr } = spawnSync(
    'unshare',
    ['-n', ...(around.unshare ?? []), '--', 'sh', '-ec', script, 'sh', ...command],
    { encoding: 'utf8', timeout: SECONDS_MAX * 1000, killSignal: 'SIGKILL' },
  );
  if (status !== 0 || signal !== null) throw new Error(`${name} ended with ${status ?? signal}\n${stdout}\n${stderr}`);
  const last = stdout.trimEnd().split('\n').pop() ?? '';
  return (last === '' ? undefined : JSON.parse(last)) as Result<K>;
}
