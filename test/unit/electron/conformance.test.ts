import {
  electronPage,
  electronTitles,
  namesRow,
  unproved,
  writtenElectronPage,
} from '../../conformance/electron-table';

const all = electronTitles();

test('every row has a test', () => {
  expect(unproved(all)).toEqual([]);
});

test('docs/electron-conformance.md names tests that there are, and no gap', () => {
  // Out of date: node -r ./test/typescript.cjs test/conformance/electron-table.ts
  // A formatter may have padded the tables.
  const lines = (page: string): string[] => page.replace(/ +\|/g, ' |').match(/`[^`]+`: .+?(?=<br>| \|$)/gm) ?? [];
  const known = new Set(lines(electronPage(all, Number.POSITIVE_INFINITY)));
  expect(lines(writtenElectronPage()).length).toBeGreaterThan(100);
  expect(lines(writtenElectronPage()).filter((line) => !known.has(line))).toEqual([]);
  expect(writtenElectronPage()).not.toContain('**nothing**');
});

test.each([
  ['E-052, E-089: aborted', 'E-089', true],
  ['E-054 to E-056: nothing', 'E-055', true],
  ['E-054 to E-056: nothing', 'E-057', false],
  ['no number', 'E-001', false],
])('"%s" names %s: %s', (title, id, expected) => {
  expect(namesRow(title, id)).toBe(expected);
});
