import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { root } from './sources';

/* Whoever uses an entry of the package reads its docstrings: each name that one exports has its own. */

const DECLARATION =
  /^(export )?(?:declare )?(?:abstract )?(?:async )?(?:const|let|function\*?|class|interface|type|enum) ([\w$]+)/;
const NAMED = /^(export|import) (?:type )?\{([^}]*)\}(?: from '([^']+)')?;/gm;
const ALL = /^export \* from '([^']+)';/gm;

interface Module {
  /** What it declares, and whether a docstring stands before it. */
  declared: Map<string, boolean>;
  exported: Set<string>;
  /** Names that are something else elsewhere; `from` is null for one of the module's own. */
  aliases: Map<string, { name: string; from: string | null }>;
  stars: string[];
}

function readModule(text: string): Module {
  const module: Module = { declared: new Map(), exported: new Set(), aliases: new Map(), stars: [] };
  let before = '';
  for (const line of text.split('\n')) {
    const found = DECLARATION.exec(line);
    if (found !== null) {
      const name = found[2]!;
      module.declared.set(name, before.endsWith('*/') || module.declared.get(name) === true);
      if (found[1] !== undefined) module.exported.add(name);
    }
    if (!line.startsWith('// biome-ignore')) before = line;
  }
  for (const [, kind, list, from] of text.matchAll(NAMED)) {
    for (const item of list!.split(',')) {
      const [name, as] = item
        .trim()
        .replace(/^type /, '')
        .split(' as ');
      if (!name) continue;
      if (kind === 'export') module.exported.add(as ?? name);
      if (from !== undefined || as !== undefined) module.aliases.set(as ?? name, { name, from: from ?? null });
    }
  }
  for (const [, from] of text.matchAll(ALL)) module.stars.push(from!);
  return module;
}

const modules = new Map<string, Module>();
function moduleAt(path: string): Module {
  let module = modules.get(path);
  if (module === undefined) {
    module = readModule(readFileSync(join(root, path), 'utf8'));
    modules.set(path, module);
  }
  return module;
}

/** The file that `from` means in the module at `path`; null: a package, or Node itself. */
function fileOf(path: string, from: string): string | null {
  if (!from.startsWith('.')) return null;
  const base = normalize(join(dirname(path), from));
  const file = [`${base}.ts`, join(base, 'index.ts')].find((candidate) => existsSync(join(root, candidate)));
  if (file === undefined) throw new Error(`${path} imports ${from}, which is nowhere`);
  return file;
}

/** 'elsewhere': what is exported is no declaration of ours. */
function docstringOf(path: string, name: string): 'there' | 'missing' | 'elsewhere' | null {
  const { declared, aliases, stars } = moduleAt(path);
  const own = declared.get(name);
  if (own !== undefined) return own ? 'there' : 'missing';
  const alias = aliases.get(name);
  if (alias !== undefined) {
    const file = alias.from === null ? path : fileOf(path, alias.from);
    return file === null ? 'elsewhere' : docstringOf(file, alias.name);
  }
  for (const from of stars) {
    const file = fileOf(path, from);
    const found = file === null ? null : docstringOf(file, name);
    if (found !== null) return found;
  }
  return null;
}

function exportsOf(path: string): string[] {
  const { exported, stars } = moduleAt(path);
  const files = stars.map((from) => fileOf(path, from)).filter((file) => file !== null);
  return [...new Set([...exported, ...files.flatMap(exportsOf)])];
}

const { exports: entries } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  exports: Record<string, string | { require: { default: string } }>;
};
const paths = Object.values(entries)
  .filter((entry) => typeof entry !== 'string')
  .map((entry) => entry.require.default.replace('./dist/', '').replace(/\.js$/, '.ts'));

test.each(paths)('%s: every name that it exports has a docstring', (path) => {
  const undocumented = exportsOf(path).filter((name) => {
    const found = docstringOf(path, name);
    if (found === null) throw new Error(`${path} exports ${name}, which is declared nowhere`);
    return found === 'missing';
  });
  expect(undocumented).toEqual([]);
});

test('the entries are read', () => {
  expect(paths.flatMap(exportsOf).length).toBeGreaterThan(400);
});

test('a declaration without a docstring is noticed, an overload or a type of the same name is enough', () => {
  const { declared } = readModule(
    ['export const a = 1;', '/** B */', 'export const b = 2;', 'export type b = 2;', '', 'export class C {}'].join(
      '\n',
    ),
  );
  expect([...declared]).toEqual([
    ['a', false],
    ['b', true],
    ['C', false],
  ]);
});
