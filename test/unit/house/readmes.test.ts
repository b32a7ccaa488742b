import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { root } from './sources';

// A stranger follows ARCHITECTURE.md and the folders' READMEs by the names in them: each is there.

const FOLDERS = ['benchmarks', 'device', 'docs', 'electron', 'examples', 'fault', 'http', 'net', 'register', 'scripts'];
const ALL = [...FOLDERS, 'sim', 'stack', 'test', 'tools'];
const files = [
  ...readdirSync(root).map(String),
  ...ALL.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true }).map((file) => join(folder, `${file}`)),
  ),
];
const known = new Set(files);
const names = new Set(files.map((file) => basename(file)));

/** The product's modules, by path. */
const modules = new Map(
  files
    .filter((file) => /^(?!test|docs|examples).*\/.*\.ts$/.test(file))
    .map((file) => [file, readFileSync(join(root, file), 'utf8')]),
);

/** Whether a class or an interface, or one that it derives from, has a member of this name. */
function hasMember(type: string, member: string): boolean {
  for (const text of modules.values()) {
    const [, rest] = new RegExp(`(?:class|interface) ${type}\\b([^{]*)`).exec(text) ?? [];
    if (rest === undefined) continue;
    if (new RegExp(`\\b${member}\\b[?!]?\\s*[(:=<;]`).test(text)) return true;
    const above = rest.match(/\b[A-Z]\w+/g) ?? [];
    return above.some((other) => other !== type && hasMember(other, member));
  }
  return false;
}

/** Whether a file of this name is below the page's folder, or, with folders before it, anywhere. */
const hasFile = (page: string, name: string): boolean =>
  known.has(name) ||
  known.has(join(dirname(page), name)) ||
  (name.includes('/') ? files.some((file) => file.endsWith(`/${name.replace(/^(\.\.?\/)+/, '')}`)) : names.has(name));

/** What is named and is not there. */
function missing(page: string, text: string): string[] {
  const wrong: string[] = [];
  const prose = text.replace(/```[\s\S]*?```/g, '');
  for (const [, code] of prose.matchAll(/`([^`\n]+)`/g)) {
    const [, type, member] = /^([A-Z]\w+)\.([a-z]\w+)(?:\(\))?$/.exec(code!) ?? [];
    if (type !== undefined && !hasMember(type, member!)) wrong.push(code!);
    if (/^[\w./-]+\.(ts|c|cjs|md|json|pkt)$/.test(code!) && !hasFile(page, code!)) wrong.push(code!);
  }
  for (const [, link] of prose.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)) {
    if (!existsSync(join(root, dirname(page), link!))) wrong.push(link!);
  }
  return wrong;
}

const pages = files.filter((file) => file === 'ARCHITECTURE.md' || basename(file) === 'README.md');

test('there are as many pages as one thinks', () => {
  expect(pages.length).toBeGreaterThan(15);
});

test.each(pages)('%s names files, members and pages that there are', (page) => {
  expect(missing(page, readFileSync(join(root, page), 'utf8'))).toEqual([]);
});

test('what is not there is noticed', () => {
  const text =
    '`Host.readable` `Host.unheard` `TcpHandle.ref()` `host.ts` `ghost.ts` `tcp/ghost.ts` [a](ghost.md) [b](host.ts)';
  expect(missing('net/README.md', text)).toEqual(['Host.unheard', 'ghost.ts', 'tcp/ghost.ts', 'ghost.md']);
});
