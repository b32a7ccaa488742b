import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { transformSync } from '@swc/core';
import { CHAPTERS, OFTEN_FAILED } from '../../conformance/clauses';
import type { Mutant } from '../../mutation/mutant';
import { MUTANTS } from '../../mutation/mutants';

/*
 * The deliberate bugs of test/mutation still are bugs: their text is there once, and what they make of it is a program.
 * That each is noticed takes minutes to prove: npm run mutants.
 */

const ROOT = join(__dirname, '..', '..', '..');
const CLAUSES = [...CHAPTERS.flatMap(({ clauses }) => clauses), ...OFTEN_FAILED];
const files = [...new Set(MUTANTS.map(({ file }) => file))];

test('there are enough of them, each with a name of its own', () => {
  expect(MUTANTS.length).toBeGreaterThanOrEqual(100);
  expect(new Set(MUTANTS.map(({ name }) => name)).size).toBe(MUTANTS.length);
});

describe.each(files)('%s', (file) => {
  const source = readFileSync(join(ROOT, file), 'utf8');
  const mutants = MUTANTS.filter((mutant) => mutant.file === file);

  test.each(mutants)('$name applies', ({ find, replace }: Mutant) => {
    const parts = source.split(find);
    expect(parts.length - 1).toBe(1);
    const mutated = parts.join(replace);
    expect(mutated).not.toBe(source);
    expect(() => transformSync(mutated, { jsc: { parser: { syntax: 'typescript' } } })).not.toThrow();
  });
});

test('they name tests and clauses that there are', () => {
  const ids = new Set(CLAUSES.map(({ id }) => id));
  for (const { name, clauses, tests } of MUTANTS) {
    expect([name, clauses.filter((id) => !ids.has(id))]).toEqual([name, []]);
    const missing = tests.filter((path) => !existsSync(join(__dirname, `${path}.test.ts`)));
    expect([name, missing]).toEqual([name, []]);
  }
});

test('every clause that is met can be broken by one of them', () => {
  const broken = new Set(MUTANTS.flatMap(({ clauses }) => clauses));
  const safe = CLAUSES.filter(({ id, deviation }) => deviation === undefined && !broken.has(id)).map(({ id }) => id);
  expect(safe).toEqual([]);
});
