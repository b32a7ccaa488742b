import { existsSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { join } from 'node:path';
import { readSource, readSources, root, type Source } from './sources';

interface Biome {
  overrides: { includes: string[]; linter: { rules: { style: { noRestrictedGlobals: unknown } } } }[];
}

/** The pure files are listed once, for the linter: everything in stack/, and the HTTP parser. */
const biome = JSON.parse(readFileSync(join(root, 'biome.json'), 'utf8')) as Biome;
const pureHttp = biome.overrides[0]!.includes.filter((file) => file.startsWith('http/'));

/** Which part of the tree a module belongs to; the first pattern that fits. */
const AREAS: readonly (readonly [area: string, files: RegExp])[] = [
  ['base', /^stack\/base\//],
  ['ethernet', /^stack\/ethernet\//],
  ['ip', /^stack\/ip\//],
  ['udp', /^stack\/udp\//],
  ['tcp', /^stack\/tcp\//],
  ['stack', /^stack\/[^/]+$/],
  ['parser', new RegExp(`^(${pureHttp.map((file) => file.replace(/\.ts$/, '')).join('|')})(\\.ts)?$`)],
  ['device', /^device\//],
  ['net', /^net\//],
  ['http', /^http\//],
  ['electron', /^electron\//],
  ['register', /^register\//],
  ['fault', /^fault\//],
  ['sim', /^sim\//],
  ['captures', /^tools\/(pcap\/|notation|decode|replay-stack|ladder)/],
  ['tools', /^tools\//],
];

const CORE = ['base', 'ethernet', 'ip', 'udp', 'tcp', 'stack'];

/** The arrows: an area may import itself and these. Layers do not know each other; stack.ts passes results on. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  base: [],
  ethernet: ['base'],
  ip: ['base'],
  udp: ['base'],
  tcp: ['base'],
  stack: ['base', 'ethernet', 'ip', 'udp', 'tcp'],
  parser: ['base'],
  device: ['base'],
  net: [...CORE, 'device'],
  http: ['base', 'parser', 'net'],
  // The second seed's client: what its sessions emulate is put on the wire between sockets.
  electron: ['net', 'http'],
  // The drop-in chooses its wire by the options that the command has, and stands as high as it.
  register: ['net', 'http', 'captures', 'tools'],
  // What a run writes down, how it is told in lines, and what a stack would have made of it: of use to whoever makes runs.
  captures: [...CORE, 'device'],
  fault: [...CORE, 'parser', 'device', 'net', 'http', 'sim', 'captures'],
  sim: [...CORE, 'parser', 'device', 'net', 'http', 'fault', 'captures'],
  tools: [...CORE, 'parser', 'device', 'net', 'http', 'electron', 'fault', 'sim', 'captures'],
};

const PURE = [...CORE, 'parser'];
const IMPURE_NAMES = [
  'Date',
  'performance',
  'setTimeout',
  'setInterval',
  'setImmediate',
  'queueMicrotask',
  'crypto',
  'process',
  'Buffer',
  'require',
  'console',
  'Math.random',
];

const areaOf = (path: string): string | undefined => AREAS.find(([, files]) => files.test(path))?.[0];
const isOutside = (name: string): boolean => areaOf(name) === undefined;

/** What a module does that its place in the tree forbids. */
function offences({ path, imports, names }: Source): string[] {
  const area = areaOf(path)!;
  const found: string[] = [];
  for (const target of imports) {
    const other = areaOf(target);
    if (other === undefined) {
      if (PURE.includes(area)) found.push(`${path} is pure and imports ${target}`);
    } else if (other !== area && !MAY_IMPORT[area]!.includes(other)) {
      found.push(`${path} (${area}) imports ${target} (${other})`);
    }
  }
  if (PURE.includes(area)) {
    for (const name of IMPURE_NAMES) if (names.has(name)) found.push(`${path} is pure and uses ${name}`);
  }
  return found;
}

const sources = readSources();

test('the tree is read', () => {
  expect(sources.length).toBeGreaterThan(100);
  for (const file of pureHttp) expect([file, existsSync(join(root, file))]).toEqual([file, true]);
});

test('every module imports along the arrows only, and the core is pure', () => {
  expect(sources.flatMap(offences)).toEqual([]);
});

test("built-in modules are named with node:, and nothing reaches into a test's, an example's or a benchmark's folder", () => {
  const wrong = sources.flatMap(({ path, imports }) =>
    imports
      .filter((name) => builtinModules.includes(name) || /^(test|examples|benchmarks|dist|\.\.)(\/|$)/.test(name))
      .map((name) => `${path} imports ${name}`),
  );
  expect(wrong).toEqual([]);
});

test.each([
  ['stack/tcp/x.ts', "import { a } from '../ip/ipv4';", 'stack/tcp/x.ts (tcp) imports stack/ip/ipv4 (ip)'],
  ['stack/base/x.ts', "import type { A } from '../stack';", 'stack/base/x.ts (base) imports stack/stack (stack)'],
  ['stack/ip/x.ts', "export * from 'node:fs';", 'stack/ip/x.ts is pure and imports node:fs'],
  ['stack/x.ts', "const t: import('../net/host').Host = 1;", 'stack/x.ts (stack) imports net/host (net)'],
  ['device/x.ts', "const s = require('../stack/stack');", 'device/x.ts (device) imports stack/stack (stack)'],
  ['http/head.ts', "import { a } from './agent';", 'http/head.ts (parser) imports http/agent (http)'],
  ['stack/x.ts', 'const t = Date.now();', 'stack/x.ts is pure and uses Date'],
  ['stack/x.ts', "const t = Math['random']();", 'stack/x.ts is pure and uses Math.random'],
  ['stack/x.ts', 'let b: Buffer | null = null;', 'stack/x.ts is pure and uses Buffer'],
  ['stack/x.ts', "void import('node:os');", 'stack/x.ts is pure and imports node:os'],
])('the rule sees %s: %s', (path, text, offence) => {
  expect(offences(readSource(path, text))).toEqual([offence]);
});

test.each([
  ['stack/x.ts', 'c.process(); const o = { Date: 1 }; interface P { Buffer: number }; class K { require() {} }'],
  ['http/server.ts', "import { grammar } from './grammar'; import { Socket } from '../net/socket';"],
  ['tools/x.ts', "import { Command } from 'commander'; setTimeout(f, Date.now());"],
])('and has nothing against %s: %s', (path, text) => {
  expect(offences(readSource(path, text))).toEqual([]);
});

test('names outside of the tree are known as such', () => {
  expect([isOutside('commander'), isOutside('stack/stack')]).toEqual([true, false]);
});
