import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Mutant } from './mutant';
import { MUTANTS } from './mutants';

/*
 * Proves that the tests of the stack can fail: puts each deliberate bug into the sources, as they are loaded, and runs the
 * tests that must notice. The files themselves are never touched.
 *
 *     npm run mutants [-- --only NAME[,NAME…]] [--from NAME] [--all-tests] [--seconds S]
 */

const ROOT = resolve(__dirname, '..', '..');
/** A bug may make the code run for ever: that is noticed, too. The tests that it is tried with take a second or two. */
const TIME_LIMIT_MS = 180_000;
const TIME_LIMIT_ALL_MS = 1_800_000;

const USAGE = `usage: npm run mutants -- [options]
  --only NAME,…    these bugs, or those whose name begins so with NAME*
  --from NAME      begin with this one
  --all-tests      look in all tests of the stack, not only where the bug should be noticed
  --seconds S      stop after this long
`;

/** `noticed`: by the test named. `missed`: all tests passed. `broken`: the tests could not be run, which proves nothing. */
interface Verdict {
  readonly kind: 'noticed' | 'missed' | 'broken';
  readonly by: string;
}

const KINDS: Readonly<Record<number, Verdict['kind']>> = { 0: 'missed', 1: 'noticed' };

/** Runs the tests with the bug, or as the sources are. */
function judge(mutant: Mutant | null, tests: readonly string[]): Verdict {
  const env = { ...process.env, TAPWIRE_MUTANT: JSON.stringify(mutant) };
  const args = ['--max-old-space-size=1024', join(__dirname, 'bench.cjs'), ...tests];
  const run = spawnSync(process.execPath, args, {
    cwd: ROOT,
    env,
    timeout: mutant === null ? TIME_LIMIT_ALL_MS : TIME_LIMIT_MS,
    encoding: 'utf8',
  });
  if (run.error !== undefined && 'code' in run.error && run.error.code === 'ETIMEDOUT') {
    return { kind: 'noticed', by: `no end after ${TIME_LIMIT_MS / 1000} s` };
  }
  const kind = KINDS[run.status ?? -1] ?? 'broken';
  return { kind, by: (run.stdout + (kind === 'broken' ? run.stderr : '')).trim().split('\n').slice(0, 4).join(' ') };
}

const pathOf = (test: string): string => join('test', 'unit', 'stack', `${test}.test.ts`);

const ALL_TESTS = ['tcp', 'ip', 'udp', 'ethernet'].flatMap((folder) =>
  readdirSync(join(ROOT, 'test', 'unit', 'stack', folder))
    .filter((file) => file.endsWith('.test.ts'))
    .map((file) => pathOf(`${folder}/${file.slice(0, -'.test.ts'.length)}`)),
);

interface Options {
  only: string[];
  from: string | null;
  allTests: boolean;
  seconds: number;
}

/** @throws RangeError when an argument is unknown or has no sense. */
function parse(words: readonly string[]): Options {
  const options: Options = { only: [], from: null, allTests: false, seconds: Number.POSITIVE_INFINITY };
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    if (word === '--all-tests') options.allTests = true;
    else if (word === '--only') options.only = (words[++i] ?? '').split(',');
    else if (word === '--from') options.from = words[++i] ?? '';
    else if (word === '--seconds') options.seconds = Number(words[++i]);
    else throw new RangeError(`unknown option ${word}`);
  }
  const known = (name: string): boolean => MUTANTS.some((mutant) => isMeant(mutant.name, name));
  const unknown = [...options.only, ...(options.from === null ? [] : [options.from])].find((name) => !known(name));
  if (unknown !== undefined) throw new RangeError(`no such bug: ${unknown}`);
  if (!(options.seconds > 0)) throw new RangeError('--seconds needs a number');
  return options;
}

const isMeant = (name: string, pattern: string): boolean =>
  pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern;

function chosen({ only, from }: Options): readonly Mutant[] {
  const list = only.length === 0 ? MUTANTS : MUTANTS.filter(({ name }) => only.some((one) => isMeant(name, one)));
  return from === null ? list : list.slice(list.findIndex(({ name }) => isMeant(name, from)));
}

function main(words: readonly string[]): number {
  if (words.includes('--help') || words.includes('-h')) {
    process.stdout.write(USAGE);
    return 0;
  }
  let options: Options;
  try {
    options = parse(words);
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n${USAGE}`);
    return 2;
  }
  const mutants = chosen(options);
  const testsOf = ({ tests }: Mutant): string[] => (options.allTests ? ALL_TESTS : tests.map(pathOf));
  // Tests that fail anyway would notice everything.
  const without = judge(null, [...new Set(mutants.flatMap(testsOf))]);
  if (without.kind !== 'missed') {
    process.stdout.write(`without any bug the tests fail already: ${without.by}\n`);
    return 1;
  }
  const began = Date.now();
  const kept: string[] = [];
  let done = 0;
  for (const mutant of mutants) {
    if (Date.now() - began > options.seconds * 1000) break;
    const verdict = judge(mutant, testsOf(mutant));
    done++;
    if (verdict.kind !== 'noticed') kept.push(mutant.name);
    process.stdout.write(`${verdict.kind.padEnd(8)} ${mutant.name}: ${verdict.by}\n`);
  }
  process.stdout.write(`${done} of ${MUTANTS.length} bugs: ${done - kept.length} noticed`);
  process.stdout.write(kept.length === 0 ? '\n' : `; not ${kept.join(', ')}\n`);
  return kept.length === 0 ? 0 : 1;
}

if (require.main === module) process.exitCode = main(process.argv.slice(2));
