import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The requirements of Node's `http`, by number. */
const LAST = 291;
/** What the documentation of Node 14 says and Node 20 does not: rows of the profile `docs14`. */
const DOCS14 = ['C-02', 'C-03', 'C-04', 'C-06', 'C-07', 'C-10'];

/** Titles: the first argument of `row(…)`, `test(…)` and their tables, and the first of each row of a table. */
const TITLE = /(?:\b(?:row|test)\(|^ {2}\[|^ {4})\s*(['"`])((?:H|C)-\d.*)\1,/gm;

function titles(): Map<string, string[]> {
  const found = new Map<string, string[]>();
  const files = readdirSync(__dirname, { recursive: true, encoding: 'utf8' });
  for (const file of files.filter((name) => name.endsWith('.test.ts'))) {
    for (const [, , title] of readFileSync(join(__dirname, file), 'utf8').matchAll(TITLE)) {
      for (const [number] of title!.matchAll(/\b[HC]-\d+\b/g)) {
        found.set(number, [...(found.get(number) ?? []), `${file}: ${title}`]);
      }
    }
  }
  return found;
}

const all = titles();

const numbers = (): string[] => Array.from({ length: LAST }, (_, i) => `H-${String(i + 1).padStart(3, '0')}`);

test('every requirement has a test under its number', () => {
  expect(numbers().filter((number) => !all.has(number))).toEqual([]);
});

test('no test has the number of a requirement that is none', () => {
  const known = new Set([...numbers(), ...DOCS14]);
  expect([...all.keys()].filter((number) => !known.has(number))).toEqual([]);
});

test('what the profile docs14 changes has tests of that profile', () => {
  for (const number of DOCS14) expect(all.get(number)?.join()).toContain('profiles.test.ts');
});
