/** A deliberate bug: one piece of text in one source file, replaced. */
export interface Mutant {
  /** Unique, in words with hyphens. */
  readonly name: string;
  /** Path from the project's root. */
  readonly file: string;
  /** Stands in the file exactly once. */
  readonly find: string;
  readonly replace: string;
  /** What it breaks: ids of test/conformance/clauses.ts. */
  readonly clauses: readonly string[];
  /** The tests that must notice, as paths below test/unit/stack without ".test.ts". */
  readonly tests: readonly string[];
}

/** A bug as the lists write it: [name, clauses, find, replace, other tests than the file's]. Lists are split at spaces. */
export type Entry = readonly [name: string, clauses: string, find: string, replace: string, tests?: string];

/** The bugs of one source file; `tests` are those that notice when an entry names no others. */
export function bugsIn(file: string, tests: string, entries: readonly Entry[]): Mutant[] {
  return entries.map(([name, clauses, find, replace, others]) => ({
    name,
    file,
    find,
    replace,
    clauses: clauses === '' ? [] : clauses.split(', '),
    tests: (others ?? tests).split(' '),
  }));
}
