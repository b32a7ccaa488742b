import { type ParseArgsConfig, parseArgs } from 'node:util';

/**
 * What the command line of a benchmark says. `--help` prints `usage` and ends the process; what the benchmark does not know, or
 * is no number where one is wanted, ends it with 2.
 */
export class Options {
  private readonly values: Readonly<Record<string, unknown>>;

  /** @param flags those that have no value. */
  constructor(
    private readonly usage: string,
    names: readonly string[],
    flags: readonly string[] = [],
  ) {
    const options: NonNullable<ParseArgsConfig['options']> = { help: { type: 'boolean', short: 'h' } };
    for (const name of names) options[name] = { type: 'string' };
    for (const name of flags) options[name] = { type: 'boolean' };
    try {
      this.values = parseArgs({ options }).values;
    } catch (error) {
      this.refuse((error as Error).message);
    }
    if (this.values['help'] !== true) return;
    process.stdout.write(`${usage}\n`);
    process.exit(0);
  }

  /** Says why, how it is done right, and ends the process. */
  refuse(why: string): never {
    process.stderr.write(`${why}\n${this.usage}\n`);
    process.exit(2);
  }

  text(name: string, usual: string): string {
    return (this.values[name] as string | undefined) ?? usual;
  }

  /** A number above 0. */
  number(name: string, usual: number): number {
    const value = Number(this.text(name, String(usual)));
    return value > 0 ? value : this.refuse(`--${name} needs a number above 0`);
  }

  flag(name: string): boolean {
    return this.values[name] === true;
  }
}
