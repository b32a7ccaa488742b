import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { parseSync } from '@swc/core';

export const root = resolve(__dirname, '../../..');

/** A module of the product, as the rules see it. */
export interface Source {
  /** From the project's root, with forward slashes: "stack/tcp/output.ts". */
  path: string;
  /** What it imports, types included: a path of the project, or a package's name. */
  imports: string[];
  /** Free-standing identifiers and `Math.random`, as they occur. */
  names: Set<string>;
}

const FOLDERS = ['device', 'stack', 'net', 'http', 'electron', 'register', 'fault', 'sim', 'tools'];

/** Every module of the product. */
export function readSources(): Source[] {
  return FOLDERS.flatMap((folder) => filesOf(join(root, folder))).map((file) =>
    readSource(relative(root, file), readFileSync(file, 'utf8')),
  );
}

function filesOf(folder: string): string[] {
  let names: string[];
  try {
    names = readdirSync(folder, { recursive: true }).map(String);
  } catch {
    return [];
  }
  return names.filter((name) => /(?<!\.d)\.ts$/.test(name)).map((name) => join(folder, name));
}

type Node = Record<string, unknown> & { type?: string };

/** Reads one module's text. */
export function readSource(path: string, text: string): Source {
  const source: Source = { path, imports: [], names: new Set() };
  walk(parseSync(text, { syntax: 'typescript', target: 'es2022' }) as unknown as Node, source);
  return source;
}

function walk(node: unknown, source: Source): void {
  if (Array.isArray(node)) {
    for (const item of node) walk(item, source);
    return;
  }
  if (typeof node !== 'object' || node === null) return;
  const n = node as Node;
  note(n, source);
  for (const [key, value] of Object.entries(n)) {
    // The names of properties and members are nobody's globals.
    if (key === 'key' && (value as Node)?.type === 'Identifier') continue;
    if (key === 'property' && (value as Node)?.type === 'Identifier') continue;
    walk(value, source);
  }
}

function note(n: Node, source: Source): void {
  switch (n.type) {
    case 'ImportDeclaration':
    case 'ExportNamedDeclaration':
    case 'ExportAllDeclaration':
      addImport(n['source'] as Node | null, source);
      break;
    case 'TsImportType':
      addImport(n['argument'] as Node, source);
      break;
    case 'CallExpression': {
      const callee = n['callee'] as Node;
      const [first] = n['arguments'] as { expression: Node }[];
      const loads = callee.type === 'Import' || callee['value'] === 'require';
      if (loads && first?.expression.type === 'StringLiteral') addImport(first.expression, source);
      break;
    }
    case 'MemberExpression': {
      const object = n['object'] as Node;
      const property = n['property'] as Node;
      const name = property.type === 'Computed' ? (property['expression'] as Node)['value'] : property['value'];
      if (object['value'] === 'Math' && name === 'random') source.names.add('Math.random');
      break;
    }
    case 'Identifier':
      source.names.add(n['value'] as string);
  }
}

function addImport(literal: Node | null, source: Source): void {
  if (literal == null) return;
  const text = literal['value'] as string;
  if (!text.startsWith('.')) source.imports.push(text);
  else source.imports.push(whole(join(source.path, '..', text)));
}

/** A folder stands for its index. */
const whole = (path: string): string => (FOLDERS.includes(path) ? `${path}/index` : path);
