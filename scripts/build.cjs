// Builds dist/: tsc emits CommonJS; then every entry of package.json's "exports" gets an ES module face (.mjs, .d.mts)
// with explicit named exports, so that `import { createHost } from 'tapwire'` works in every tool that reads statically.
//   node scripts/build.cjs               build
//   node scripts/build.cjs --if-missing  only when there is no dist/ yet (an installation without scripts)
'use strict';

const { spawnSync } = require('node:child_process');
const { chmodSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } = require('node:fs');
const { basename, join, resolve } = require('node:path');

const root = resolve(__dirname, '..');
const dist = join(root, 'dist');
/** Built beside the old one and put in its place at the end: what runs meanwhile finds its files. */
const fresh = join(root, `dist.${process.pid}`);
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

const IDENTIFIER = /^[A-Za-z_$][\w$]*$/;
const RESERVED = new Set(['default', '__esModule', 'module.exports']);

function compile() {
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  if (!existsSync(tsc)) throw new Error('TypeScript is not installed: run `npm ci` first');
  const args = [tsc, '-p', 'tsconfig.build.json', '--outDir', fresh];
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' });
  return status === 0;
}

/** The entries that are offered to both module systems. */
function entries() {
  return Object.values(manifest.exports).filter((entry) => typeof entry === 'object' && entry.import?.default);
}

/** What a module exports. Some act when they are loaded, so each is asked in a process of its own. */
function namesOf(file) {
  const script = 'process.stdout.write(JSON.stringify(Object.keys(require(process.argv[1]))), () => process.exit())';
  const { status, stdout, stderr } = spawnSync(process.execPath, ['-e', script, file], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${file} cannot be loaded:\n${stderr}`);
  return JSON.parse(stdout).filter((name) => IDENTIFIER.test(name) && !RESERVED.has(name));
}

/** The names are taken from the module itself; values are bound once, when it is first imported. */
function moduleFace(entry) {
  const commonJs = inFresh(entry.require.default);
  if (!existsSync(commonJs)) throw new Error(`package.json exports ${entry.require.default}, which was not built`);
  const names = namesOf(commonJs);
  const from = `./${basename(commonJs)}`;
  const list = names.map((name) => `  ${name},\n`).join('');
  writeFileSync(
    inFresh(entry.import.default),
    `import commonJs from '${from}';\n\nexport const {\n${list}} = commonJs;\nexport default commonJs;\n`,
  );
  const types = `export * from '${from}';\nimport commonJs = require('${from}');\nexport default commonJs;\n`;
  writeFileSync(inFresh(entry.import.types), types);
}

/** Where a file of package.json ("./dist/…") stands before it is put in its place. */
const inFresh = (file) => join(fresh, file.replace(/^(\.\/)?dist\//, ''));

/** What builds that were stopped left behind. */
function removeLeftovers() {
  for (const name of readdirSync(root)) {
    const pid = /^dist\.(\d+)(\.old)?$/.exec(name)?.[1];
    if (pid !== undefined && !isRunning(Number(pid))) rmSync(join(root, name), { recursive: true, force: true });
  }
}

function isRunning(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code !== 'ESRCH';
  }
}

function build() {
  removeLeftovers();
  try {
    const clean = compile();
    for (const entry of entries()) moduleFace(entry);
    for (const file of Object.values(manifest.bin)) chmodSync(inFresh(file), 0o755);
    // Whoever is stopped while files are deleted still has the new ones.
    const old = `${fresh}.old`;
    if (existsSync(dist)) renameSync(dist, old);
    renameSync(fresh, dist);
    rmSync(old, { recursive: true, force: true });
    return clean;
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

const onlyIfMissing = process.argv.includes('--if-missing');
if (!(onlyIfMissing && existsSync(join(root, manifest.main)))) {
  try {
    if (!build()) process.exitCode = 1;
  } catch (error) {
    console.error(`build: ${error.message}`);
    process.exitCode = 1;
  }
}
