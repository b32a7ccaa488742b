import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './sources';

// package.json and tsconfig.json say the same about the package's entries, and what they name exists.

const read = <T>(file: string): T => JSON.parse(readFileSync(join(root, file), 'utf8')) as T;

interface Face {
  types: string;
  default: string;
}
const { exports, scripts, files } = read<{
  exports: Record<string, { import: Face; require: Face } | string>;
  scripts: Record<string, string>;
  files: string[];
}>('package.json');
const { paths } = read<{ compilerOptions: { paths: Record<string, string[]> } }>('tsconfig.json').compilerOptions;
const entries = Object.entries(exports).filter(
  (entry): entry is [string, { import: Face; require: Face }] => typeof entry[1] === 'object',
);

test.each(entries)('%s has both faces, with types, of one source', (name, { import: esm, require: commonJs }) => {
  const base = commonJs.default.replace(/\.js$/, '');
  expect([commonJs, esm]).toEqual([
    { types: `${base}.d.ts`, default: `${base}.js` },
    { types: `${base}.d.mts`, default: `${base}.mjs` },
  ]);
  const source = base.replace('./dist/', './');
  expect(existsSync(join(root, `${source}.ts`))).toBe(true);
  // The compiler resolves the package's own name to its sources: examples type-check before anything is built.
  expect(paths[`tapwire${name.slice(1)}`]).toEqual([`${source}.ts`]);
});

test('nothing else is mapped', () => {
  expect(Object.keys(paths).sort()).toEqual(entries.map(([name]) => `tapwire${name.slice(1)}`).sort());
});

test('scripts and files that are named exist', () => {
  const named = Object.values(scripts).flatMap((line) => line.match(/scripts\/[\w.-]+/g) ?? []);
  for (const file of named) expect([file, existsSync(join(root, file))]).toEqual([file, true]);
  const kept = files.filter((file) => !/^!|^(dist|prebuilds)$/.test(file));
  for (const file of kept) expect([file, existsSync(join(root, file))]).toEqual([file, true]);
});

test('the README names only scripts that there are, and links only to files that there are', () => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  const run = [...readme.matchAll(/npm run ([\w:]+)/g)].map((match) => match[1]!);
  expect(run.filter((name) => scripts[name] === undefined)).toEqual([]);
  const links = [...readme.matchAll(/\]\(([^)#:]+)\)/g)].map((match) => match[1]!);
  expect(links.filter((file) => !existsSync(join(root, file)))).toEqual([]);
  expect(links.length).toBeGreaterThan(4);
});
