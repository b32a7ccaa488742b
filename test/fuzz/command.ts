/**
 * What the command line of a fuzzer says, the same for all of them: `--executions N` or `--seconds S` (`--minutes M`), and
 * `--seed K`.
 */
export interface FuzzOptions {
  readonly executions: number;
  readonly seconds: number;
  readonly seed: number;
}

/** Without either limit a fuzzer runs for ten seconds. Exits with 2 when a word is unknown or has no sense. */
export function fuzzOptions(words: readonly string[], flags: readonly string[] = []): FuzzOptions {
  let executions = Number.POSITIVE_INFINITY;
  let seconds = Number.POSITIVE_INFINITY;
  let seed = 1;
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    if (flags.includes(word)) continue;
    const value = Number(words[++i]);
    if (!(value >= 0)) refuse(`${word} needs a number`);
    else if (word === '--executions') executions = value;
    else if (word === '--seconds') seconds = value;
    else if (word === '--minutes') seconds = 60 * value;
    else if (word === '--seed') seed = value;
    else refuse(`unknown option ${word}`);
  }
  if (executions === Number.POSITIVE_INFINITY && seconds === Number.POSITIVE_INFINITY) seconds = 10;
  return { executions, seconds, seed };
}

function refuse(why: string): never {
  process.stderr.write(`${why}\noptions: --executions N, --seconds S, --minutes M, --seed K\n`);
  process.exit(2);
}

/** Calls `round` with one seed after the other, until it has been enough. Each returns how many executions it was. */
export function keepFuzzing(options: FuzzOptions, round: (seed: number, most: number) => number): number {
  const end = Date.now() + options.seconds * 1000;
  let done = 0;
  for (let seed = options.seed; done < options.executions && Date.now() < end; seed++) {
    done += round(seed, options.executions - done);
    if (process.stderr.isTTY) process.stderr.write(`\r${done} executions`);
  }
  return done;
}
