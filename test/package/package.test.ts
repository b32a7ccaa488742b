import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, posix, resolve } from 'node:path';

// The packed tarball in an empty project: what a stranger gets from `npm install tapwire`.

const root = resolve(__dirname, '../..');
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  version: string;
  exports: Record<string, unknown>;
};
/** `tapwire/register` and `tapwire/register-net` have no names: they act. */
const SILENT = ['./package.json', './register', './register-net'];
const entries = Object.keys(manifest.exports).filter((entry) => !SILENT.includes(entry));
const names = entries.map((entry) => `tapwire${entry.slice(1)}`);
/** They add types to packages that are installed beside them. */
const TYPES_OF_OTHERS = ['tapwire/jest-globals', 'tapwire/vitest'];

let folder = '';
let project = '';
let files: string[] = [];

function run(command: string, args: readonly string[], cwd = project, more: NodeJS.ProcessEnv = {}): string {
  // The addon is tested elsewhere; here nothing is compiled, as on a machine without a compiler.
  const env = { ...process.env, TAPWIRE_SKIP_NATIVE: '1', NODE_OPTIONS: '', ...more };
  try {
    return execFileSync(command, args, {
      cwd,
      env,
      encoding: 'utf8',
      timeout: 120_000,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    throw new Error(`${command} ${args.join(' ')}\n${stdout}${stderr}`);
  }
}

function put(name: string, text: string): string {
  writeFileSync(join(project, name), text);
  return name;
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tapwire-package-'));
  project = join(folder, 'project');
  mkdirSync(project);
  const packed = JSON.parse(run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], root)) as {
    filename: string;
    files: { path: string }[];
  }[];
  files = packed[0]!.files.map(({ path }) => path);
  put('package.json', '{ "name": "stranger", "private": true }');
  const quick = ['--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error'];
  run('npm', ['install', join(folder, packed[0]!.filename), ...quick]);
}, 180_000);

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

test('the tarball holds the product and nothing of the workshop', () => {
  expect(files).toEqual(
    expect.arrayContaining([
      'package.json',
      'README.md',
      'LICENSE',
      'CHANGELOG.md',
      'binding.gyp',
      'scripts/install.cjs',
    ]),
  );
  const rest = files.filter((file) => !/^(dist|device\/native|prebuilds|docs|examples)\/|\/README\.md$/.test(file));
  expect(rest.filter((file) => file.includes('/'))).toEqual(['scripts/install.cjs']);
  const sources = files.filter((file) => file.endsWith('.ts') && !/\.d\.m?ts$|^examples\//.test(file));
  expect(sources.concat(files.filter((file) => /^dist\/(examples|benchmarks|test)\//.test(file)))).toEqual([]);
});

test('what its pages link to is in it', () => {
  const missing = files
    .filter((file) => file.endsWith('.md'))
    .flatMap((page) => {
      const text = readFileSync(join(root, page), 'utf8');
      return [...text.matchAll(/\]\(([^)#:\s]+)(?:#[^)]*)?\)/g)]
        .map(([, link]) => posix.join(posix.dirname(page), link!))
        .filter((target) => !files.some((file) => file === target || file.startsWith(`${target.replace(/\/$/, '')}/`)))
        .map((target) => `${page}: ${target}`);
    });
  expect(missing).toEqual([]);
});

test('nothing is installed but what is needed at run time', () => {
  const installed = readdirSync(join(project, 'node_modules')).filter((name) => !name.startsWith('.'));
  expect(installed).toEqual(expect.arrayContaining(['commander', 'node-gyp-build', 'send', 'tapwire']));
  for (const name of ['jest', 'typescript', '@swc', 'raw-socket', 'node-gyp']) expect(installed).not.toContain(name);
});

test.each(names)('%s: require and import give the same named things', (name) => {
  const list = 'Object.keys(m).filter((k) => k !== "default" && k !== "module.exports").sort().join()';
  const commonJs = run('node', [put('list.cjs', `const m = require('${name}'); console.log(${list});`)]);
  const esm = run('node', [put('list.mjs', `import * as m from '${name}'; console.log(${list});`)]);
  expect(commonJs.trim()).not.toBe('');
  expect(esm).toBe(commonJs);
});

/** A whole exchange in memory: one host asks, the other answers. */
const EXCHANGE = `
const [a, b] = memoryPair();
const one = createHost({ device: a, addresses: '10.0.0.1/24', seed: 1 });
const two = createHost({ device: b, addresses: '10.0.0.2/24', seed: 2 });
two.http.createServer((req, res) => res.end('from the stack')).listen(80, () => {
  const socket = one.net.connect(80, '10.0.0.2');
  socket.write('GET / HTTP/1.0\\r\\n\\r\\n');
  socket.on('data', (data) => console.log(String(data).split('\\r\\n').at(-1)));
  socket.on('close', () => { one.close(); two.close(); });
});
`;

test('a CommonJS program runs on it', () => {
  const head = "const { createHost, memoryPair } = require('tapwire');\n";
  expect(run('node', [put('use.cjs', head + EXCHANGE)])).toBe('from the stack\n');
});

test('an ES module runs on it', () => {
  const head = "import { createHost, memoryPair } from 'tapwire';\n";
  expect(run('node', [put('use.mjs', head + EXCHANGE)])).toBe('from the stack\n');
});

const STRICT = {
  strict: true,
  noEmit: true,
  module: 'node16',
  moduleResolution: 'node16',
  target: 'es2022',
  lib: ['es2023'],
  types: ['node'],
  typeRoots: [join(root, 'node_modules', '@types')],
};

/** What the compiler says of these programs. */
function compiled(sources: readonly string[], options: object = STRICT): string {
  put('tsconfig.json', JSON.stringify({ compilerOptions: options, files: sources }));
  return run('node', [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', '.']);
}

test('both find types', () => {
  const typable = names.filter((name) => !TYPES_OF_OTHERS.includes(name));
  const uses = typable.map((name, i) => `import * as m${i} from '${name}';\nvoid m${i};\n`).join('');
  const typed = `${uses}import { createHost, memoryPair, type TapwireHost } from 'tapwire';
const [a] = memoryPair({ mtu: 1500 });
const host: TapwireHost = createHost({ device: a, addresses: '10.0.0.1/24' });
// @ts-expect-error a string is no device
createHost({ device: 'none' });
host.http.createServer((req, res) => void res.end(req.url)).listen(80);
host.close();
`;
  expect(compiled([put('typed.cts', typed), put('typed.mts', typed)])).toBe('');
}, 60_000);

/** A test as somebody writes it whose runner has no globals. */
const testWith = (runner: string, types: string): string => `
import { afterEach, expect, test } from '${runner}';
import { createWire, install, race, req, idle, fin } from '${types}';
install(expect, { afterEach });
test('typed', async () => {
  const wire = createWire();
  await expect(wire.get()).rejects.toBeNodeError('ECONNRESET', { syscall: 'read', phase: 'body' });
  await expect(wire.get('/')).toRetry(1);
  await expect(wire.get({ timeout: 1 })).not.toDeliverBody('abc');
  await expect(wire).toLeakNoSockets();
  await race(wire.on(idle(3000)).do(fin({ to: 'c' })), req(2)).test(async () => expect(wire).toHaveWire('S SA A'));
  // @ts-expect-error it counts
  expect(wire).toRetry('once');
  // @ts-expect-error there is no such state
  expect(wire).toReachState('c', 'OPEN');
});
`;

/** As much of vitest as is needed for that: its names, and that `Assertion` is what is extended. */
const VITEST = `
export interface Assertion<T = any> { toBe(expected: T): void; not: Assertion<T>; rejects: Promised<Assertion<T>>; }
type Promised<O> = { [K in keyof O]: O[K] extends (...args: infer A) => infer R ? (...args: A) => Promise<R> : never };
export declare const expect: { <T>(actual: T): Assertion<T>; extend(matchers: object): void };
export declare function test(name: string, body: () => Promise<void>): void;
export declare function afterEach(task: () => Promise<void> | void): void;
`;

test('matchers have types where expect is imported: @jest/globals, vitest', () => {
  const modules = join(project, 'node_modules');
  mkdirSync(join(modules, 'vitest'));
  writeFileSync(join(modules, 'vitest', 'package.json'), '{ "name": "vitest", "types": "./index.d.ts" }');
  writeFileSync(join(modules, 'vitest', 'index.d.ts'), VITEST);
  const ours = join(root, 'node_modules');
  const linked = ['@jest', 'expect', 'jest-mock', 'jest-snapshot', '@sinclair'].filter((name) =>
    existsSync(join(ours, name)),
  );
  for (const name of linked) symlinkSync(join(ours, name), join(modules, name));
  try {
    const sources = [
      put('jest.mts', testWith('@jest/globals', 'tapwire/jest-globals')),
      put('jest.cts', testWith('@jest/globals', 'tapwire/jest-globals')),
      put('vitest.mts', testWith('vitest', 'tapwire/vitest')),
    ];
    // Types of others are not what is looked at.
    expect(compiled(sources, { ...STRICT, skipLibCheck: true })).toBe('');
    // Without them: so that what is above shows that it is they.
    const without = put('none.mts', testWith('vitest', 'tapwire/jest'));
    expect(() => compiled([without], { ...STRICT, skipLibCheck: true })).toThrow("'toRetry' does not exist");
  } finally {
    for (const name of [...linked, 'vitest']) rmSync(join(modules, name), { recursive: true, force: true });
  }
}, 60_000);

/** Knows nothing of tapwire. */
const APP = `
const server = http.createServer((req, res) => res.end(req.socket.constructor === net.Socket ? 'one class' : 'two'));
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address();
  const listening = ':' + port.toString(16).toUpperCase().padStart(4, '0') + ' 00000000:0000 0A ';
  const isKernels = fs.existsSync('/proc/net/tcp') && fs.readFileSync('/proc/net/tcp', 'utf8').includes(listening);
  http.get({ port, host: '127.0.0.1' }, (res) => {
    res.on('data', (data) => console.log(String(data) + ', the port is ' + (isKernels ? "the kernel's" : 'ours')));
    res.on('end', () => server.close());
  });
});
`;

test.each([
  ['require', 'app.cjs', "const fs = require('fs');\nconst http = require('http');\nconst net = require('net');\n"],
  [
    'require',
    'app.mjs',
    "import fs from 'node:fs';\nimport http from 'node:http';\nimport * as net from 'node:net';\n",
  ],
  ['import', 'app.mjs', "import fs from 'node:fs';\nimport * as http from 'node:http';\nimport net from 'node:net';\n"],
])('node --%s tapwire/register %s: an unmodified program, without a socket of the kernel', (how, name, head) => {
  expect(run('node', [`--${how}`, 'tapwire/register', put(name, head + APP)])).toBe('one class, the port is ours\n');
});

test('the command is there', () => {
  expect(run('npx', ['--no-install', 'tapwire', '--version']).trim()).toBe(manifest.version);
});

test('without the addon a device says how to get it', () => {
  const text = "require('tapwire').openTun()";
  expect(() => run('node', [put('tun.cjs', text)])).toThrow(/npm rebuild tapwire|need Linux/);
});

/** Why TUN cannot be opened by an installed tapwire, and what its installation says where there is no compiler. */
function withoutCompiler(): { said: string; code: string } {
  const nothing = { CC: '/nonexistent/cc', npm_config_node_gyp: '/nonexistent/node-gyp.js', TAPWIRE_SKIP_NATIVE: '' };
  const said = run('node', [join('node_modules', 'tapwire', 'scripts', 'install.cjs')], project, nothing);
  const look =
    "const { openTun } = require('tapwire/device'); try { openTun({ fd: 99999 }) } catch (e) { console.log(e.code) }";
  return { said, code: run('node', ['-e', look]).trim() };
}

test('the addon that a tarball carries needs no compiler (on Linux)', () => {
  if (process.platform !== 'linux') return;
  const before = withoutCompiler();
  expect(before.said).toContain('the native addon could not be built');
  // What `npm pack` does, on a copy: the addon in use here is left alone.
  const copy = join(folder, 'copy');
  for (const part of ['package.json', 'binding.gyp', 'scripts', 'device/native'])
    cpSync(join(root, part), join(copy, part), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
  run('node', ['scripts/prebuild.cjs'], copy);
  cpSync(join(copy, 'prebuilds'), join(project, 'node_modules', 'tapwire', 'prebuilds'), { recursive: true });
  const after = withoutCompiler();
  expect([before.code, after.said, after.code]).toEqual(['ERR_TAPWIRE_NATIVE', '', 'EBADF']);
}, 120_000);
