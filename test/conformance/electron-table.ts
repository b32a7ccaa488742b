import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BROWSER_ONLY, BROWSER_PROPERTIES } from '../../electron/session/browser-only';
import { ELECTRON_CHAPTERS, type ElectronRow } from './electron-rows';
import { type Title, titles } from './table';

/*
 * Which test proves which requirement of Electron's ClientRequest, from the tests' titles.
 *
 *     node -r ./test/typescript.cjs test/conformance/electron-table.ts          writes docs/electron-conformance.md
 */

const PAGE = join(__dirname, '..', '..', 'docs', 'electron-conformance.md');

/** Titles of every test of the module. */
export const electronTitles = (): Title[] =>
  titles(['unit/electron', 'interop', 'fuzz']).filter(({ file }) => file.includes('electron'));

/** Whether a title names a row: "E-052, E-089: …", "E-054 to E-056: …". */
export function namesRow(title: string, id: string): boolean {
  const number = Number(id.slice(2));
  for (const [, from, to] of title.matchAll(/E-(\d{3})(?: to E-(\d{3}))?/g)) {
    if (number >= Number(from) && number <= Number(to ?? from)) return true;
  }
  return false;
}

const testsOf = (row: ElectronRow, all: readonly Title[]): Title[] => all.filter(({ text }) => namesRow(text, row.id));

/** Rows that no test names. */
export function unproved(all: readonly Title[] = electronTitles()): string[] {
  return ELECTRON_CHAPTERS.flatMap(({ rows }) => rows)
    .filter((row) => testsOf(row, all).length === 0)
    .map(({ id }) => id);
}

const cell = (text: string): string => text.replace(/\|/g, '\\|').replace(/</g, '&lt;');

/** The page, with at most `most` tests for a row. */
export function electronPage(all: readonly Title[] = electronTitles(), most = 3): string {
  const lines = [
    '# Electron conformance',
    '',
    'Which test proves which requirement of [tapwire/electron](electron.md). This page is made from the titles of the tests by',
    '`test/conformance/electron-table.ts`; a row without a test fails the build.',
    '',
  ];
  for (const { title, rows } of ELECTRON_CHAPTERS) {
    lines.push(`## ${title}`, '', '| row | | proved by |', '|---|---|---|');
    for (const row of rows) {
      const tests = testsOf(row, all);
      const shown = tests.slice(0, most).map(({ file, text }) => `\`${file}\`: ${cell(text)}`);
      if (tests.length > most) shown.push(`and ${tests.length - most} more`);
      lines.push(`| ${row.id} | ${cell(row.text)} | ${shown.join('<br>') || '**nothing**'} |`);
    }
    lines.push('');
  }
  lines.push('## What differs without a browser', '', '| row | | here |', '|---|---|---|');
  for (const { id, text, differs } of ELECTRON_CHAPTERS.flatMap(({ rows }) => rows)) {
    if (differs !== undefined) lines.push(`| ${id} | ${cell(text)} | ${cell(differs)} |`);
  }
  lines.push('', 'Methods of `Session` that throw, and why:', '', '| method | |', '|---|---|');
  for (const [name, why] of Object.entries(BROWSER_ONLY)) lines.push(`| \`${name}\` | ${cell(why)} |`);
  lines.push('', 'Properties of it that do:', '', '| property | |', '|---|---|');
  for (const [name, why] of Object.entries(BROWSER_PROPERTIES)) lines.push(`| \`${name}\` | ${cell(why)} |`);
  return [...lines, ''].join('\n');
}

export const writtenElectronPage = (): string => readFileSync(PAGE, 'utf8');

if (require.main === module) {
  const all = electronTitles();
  writeFileSync(PAGE, electronPage(all));
  const gaps = unproved(all);
  console.log(`docs/electron-conformance.md: ${gaps.length === 0 ? 'nothing missing' : `missing: ${gaps.join(', ')}`}`);
  process.exitCode = gaps.length === 0 ? 0 : 1;
}
