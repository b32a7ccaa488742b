import { missing, names, page, titles, written } from '../../conformance/table';

const all = titles();

test('every clause has a test, or a reason in docs/deviations.md', () => {
  expect(missing(all)).toEqual([]);
});

test('docs/conformance.md names tests that there are, and no gap', () => {
  // Out of date: node -r ./test/typescript.cjs test/conformance/table.ts
  const shown = [...written().matchAll(/`([^`]+)`: (.+?)(?=<br>| \| )/gm)];
  const known = new Set(page(all, Number.POSITIVE_INFINITY).match(/`[^`]+`: .+?(?=<br>| \| )/gm));
  expect(shown.length).toBeGreaterThan(150);
  expect(shown.map(([line]) => line).filter((line) => !known.has(line))).toEqual([]);
  expect(written()).toContain('Missing: nothing.');
});

test.each([
  ['MUST-24 to MUST-29: keep-alive', 'MUST-26', true],
  ['MUST-24 to MUST-29: keep-alive', 'MUST-30', false],
  ['MUST-4: options', 'MUST-40', false],
  ['MUST-40: delays', 'MUST-4', false],
  ['a title (MUST-37)', 'MUST-37', true],
  ['RFC 5961 §3.2: a RST', 'RFC 5961 §3.2', true],
  ['RFC 1122 §3.2.2.6: echo', 'RFC 1122 §3.2.2', true],
  ['RFC 1122 §3.2.2: errors', 'RFC 1122 §3.2.2.6', false],
  ['RFC 7323 §21: nothing', 'RFC 7323 §2', false],
])('"%s" names %s: %s', (title, id, expected) => {
  expect(names(title, { id, text: '' })).toBe(expected);
});

test('titles are found', () => {
  expect(all.length).toBeGreaterThan(300);
  expect(all.some(({ file, text }) => file === 'unit/stack/tcp/closing' && text.startsWith('MUST-13'))).toBe(true);
});
