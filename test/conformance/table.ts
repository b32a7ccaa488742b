import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { MUTANTS } from '../mutation/mutants';
import { CHAPTERS, type Clause, OFTEN_FAILED } from './clauses';

/*
 * Which test proves which clause, from the tests' titles.
 *
 *     node -r ./test/typescript.cjs test/conformance/table.ts          writes docs/conformance.md
 */

const ROOT = join(__dirname, '..', '..');
const TESTS = join(ROOT, 'test');
const PAGE = join(ROOT, 'docs', 'conformance.md');
const DEVIATIONS = join(ROOT, 'docs', 'deviations.md');

export interface Title {
  /** Relative to test/, without ".test.ts". */
  readonly file: string;
  readonly text: string;
}

const STACK = ['unit/stack', 'unit/net', 'sim', 'fuzz', 'interop'];

/** Titles of tests and of their groups, in every test of the stack, or of other folders, in order. */
export function titles(folders: readonly string[] = STACK): Title[] {
  const found: Title[] = [];
  for (const folder of folders) {
    for (const path of testFiles(join(TESTS, folder))) {
      const source = readFileSync(path, 'utf8');
      const file = relative(TESTS, path).replace(/\.test\.ts$/, '');
      for (const text of titlesIn(source)) found.push({ file, text });
    }
  }
  return found;
}

function testFiles(folder: string): string[] {
  const entries = readdirSync(folder, { withFileTypes: true, recursive: true });
  return entries
    .filter((entry) => entry.isFile() && entry.name.endsWith('.test.ts'))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort();
}

/** The first argument of `test(…)`, `describe(…)`, `everywhere(…)` and of what `.each(…)` returns. */
function titlesIn(source: string): string[] {
  const calls = /(?:\b(?:describe|test|it|everywhere)\(|[\])\w]\)\()\s*(['"`])((?:\\.|(?!\1)[^\n])+)\1\s*,/g;
  return [...source.matchAll(calls)].map(([, , text]) => text!.replace(/\\(['"`])/g, '$1'));
}

/** Whether a title names the clause: by number, within a range of numbers, or by its section or one below it. */
export function names(title: string, clause: Clause): boolean {
  if (clause.pattern !== undefined) return clause.pattern.test(title);
  const numbered = /^(MUST|SHLD)-(\d+)$/.exec(clause.id);
  if (numbered === null) return new RegExp(`${escaped(clause.id)}(?![0-9])`).test(title);
  const [, kind, number] = numbered;
  for (const [, from, to] of title.matchAll(new RegExp(`${kind}-(\\d+)(?: to ${kind}-(\\d+))?`, 'g'))) {
    if (Number(number) >= Number(from) && Number(number) <= Number(to ?? from)) return true;
  }
  return false;
}

const escaped = (text: string): string => text.replace(/[.\\/]/g, '\\$&');

export interface Row {
  readonly clause: Clause;
  readonly tests: readonly Title[];
}

export function rows(clauses: readonly Clause[], all: readonly Title[]): Row[] {
  return clauses.map((clause) => ({ clause, tests: all.filter(({ text }) => names(text, clause)) }));
}

/** Clauses with neither a test nor a heading in docs/deviations.md. */
export function missing(all: readonly Title[] = titles()): string[] {
  const headings = deviations();
  const everything = [...CHAPTERS.flatMap(({ clauses }) => clauses), ...OFTEN_FAILED];
  return rows(everything, all)
    .filter(({ clause, tests }) => tests.length === 0 && !headings.includes(clause.deviation ?? ''))
    .map(({ clause }) => clause.id);
}

function deviations(): string[] {
  return [...readFileSync(DEVIATIONS, 'utf8').matchAll(/^## (.+)$/gm)].map(([, heading]) => heading!);
}

/** The page, with at most `most` tests for a clause. */
export function page(all: readonly Title[] = titles(), most = 4): string {
  const lines = [
    '# Conformance',
    '',
    'Which test proves which rule. This page is made from the titles of the tests by `test/conformance/table.ts`; a rule',
    'without a test, and without a reason in [deviations](deviations.md), fails the build. Most tests run over IPv4 and',
    'IPv6, with sequence numbers that begin anywhere, just before 2^31 and just before 2^32.',
    '',
    'The last column names deliberate bugs from `test/mutation`: with any one of them in the sources a test of the rule fails,',
    'which `npm run mutants` proves.',
    '',
  ];
  for (const { title, clauses } of CHAPTERS) lines.push(...chapter(title, rows(clauses, all), most));
  lines.push(...chapter('Where other stacks are known to fail', rows(OFTEN_FAILED, all), most));
  const gaps = missing(all);
  lines.push(`Missing: ${gaps.length === 0 ? 'nothing' : gaps.join(', ')}.`, '');
  return lines.join('\n');
}

function chapter(title: string, list: readonly Row[], most: number): string[] {
  const lines = [`## ${title}`, '', '| rule | | proved by | seen to fail with |', '|---|---|---|---|'];
  for (const { clause, tests } of list) {
    const shown = tests.slice(0, most).map(({ file, text }) => `\`${file}\`: ${cell(text)}`);
    if (tests.length > most) shown.push(`and ${tests.length - most} more`);
    if (tests.length === 0 && clause.deviation !== undefined) {
      const anchor = clause.deviation
        .toLowerCase()
        .replace(/[^a-z0-9 ]/g, '')
        .replace(/ /g, '-');
      shown.push(`deviation: [${clause.deviation}](deviations.md#${anchor})`);
    }
    const bugs = MUTANTS.filter(({ clauses }) => clauses.includes(clause.id)).map(({ name }) => `\`${name}\``);
    lines.push(`| ${clause.id} | ${cell(clause.text)} | ${shown.join('<br>') || '**nothing**'} | ${bugs.join(', ')} |`);
  }
  return [...lines, ''];
}

const cell = (text: string): string => text.replace(/\|/g, '\\|').replace(/</g, '&lt;');

/** The page as it stands in docs/. */
export const written = (): string => readFileSync(PAGE, 'utf8');

if (require.main === module) {
  const all = titles();
  writeFileSync(PAGE, page(all));
  const gaps = missing(all);
  console.log(
    `docs/conformance.md: ${all.length} titles, ${gaps.length === 0 ? 'nothing missing' : `missing: ${gaps.join(', ')}`}`,
  );
  process.exitCode = gaps.length === 0 ? 0 : 1;
}
