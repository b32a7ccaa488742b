// Runs everything that a developer needs green, part by part, and says aloud what it leaves out.
//   npm test                      all parts
//   npm test -- unit interop      some parts
'use strict';

const { spawnSync } = require('node:child_process');
const { accessSync, constants, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join, resolve } = require('node:path');

const root = resolve(__dirname, '..');
const jest = join(root, 'node_modules', 'jest', 'bin', 'jest.js');

/** Without these there is no network namespace to test in. */
const TOOLS_NEEDED = ['unshare', 'nsenter', 'ip', 'curl'];
/** Tests that need one of these are skipped one by one. */
const TOOLS_USED = [
  ...['ping', 'wrk', 'tcpdump', 'tshark', 'ethtool', 'setpriv', 'openssl'],
  ...['nginx', 'ab', 'h2load', 'tinyproxy', 'squid', 'nmap', 'chromium'],
];

const has = (tool) => spawnSync('sh', ['-c', `command -v ${tool}`]).status === 0;

/** Why the kernel cannot be tested against here; null: it can. */
function noKernel() {
  if (process.platform !== 'linux') return `the kernel's side needs Linux, this is ${process.platform}`;
  if (process.getuid() !== 0) return 'network namespaces need root';
  const missing = TOOLS_NEEDED.filter((tool) => !has(tool));
  if (missing.length > 0) return `these commands are missing: ${missing.join(', ')}`;
  try {
    require('node-gyp-build')(root);
  } catch {
    return 'the native addon is not built (it needs gcc, make and python3)';
  }
  try {
    accessSync('/dev/net/tun', constants.R_OK | constants.W_OK);
  } catch (error) {
    return `/dev/net/tun cannot be opened (${error.code})`;
  }
  const { status } = spawnSync('unshare', ['-n', 'true']);
  return status === 0 ? null : 'network namespaces are not permitted here';
}

/** What a part leaves out, beside what jest counts. */
function leftOut(name) {
  if (name !== 'interop') return null;
  const missing = TOOLS_USED.filter((tool) => !has(tool));
  return missing.length === 0 ? null : `tests that need ${missing.join(', ')} are skipped: not installed`;
}

/** Limits are far above what a part takes; they are there so that nothing can hang for ever. */
const PARTS = [
  { name: 'unit', minutes: 20, built: false, workers: '100%', skip: () => null },
  { name: 'fuzz', minutes: 10, built: false, workers: '100%', skip: () => null },
  { name: 'sim', minutes: 10, built: false, workers: '100%', skip: () => null },
  // The kernel and its clients need the other cores.
  { name: 'interop', minutes: 20, built: true, workers: '1', skip: noKernel },
  { name: 'package', minutes: 10, built: true, workers: '1', skip: () => null },
  { name: 'packages', minutes: 10, built: true, workers: '1', skip: () => null },
];

function hasTests(folder) {
  if (!existsSync(folder)) return false;
  return readdirSync(folder, { recursive: true }).some((file) => String(file).endsWith('.test.ts'));
}

/** The parts that test commands and the package use dist/, which must be what the sources say. */
function build() {
  const { status } = spawnSync(process.execPath, [join(root, 'scripts', 'build.cjs')], { cwd: root, stdio: 'inherit' });
  return status === 0;
}

/** Runs one part; returns jest's own figures. */
function run({ name, minutes, workers }, scratch) {
  const report = join(scratch, `${name}.json`);
  const args = [jest, '--selectProjects', name, `--maxWorkers=${workers}`, '--json', `--outputFile=${report}`];
  const limit = { timeout: minutes * 60_000, killSignal: 'SIGKILL' };
  const { status, error } = spawnSync(process.execPath, args, {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
    ...limit,
  });
  if (!existsSync(report)) {
    const why = error?.code === 'ETIMEDOUT' ? `it was stopped after ${minutes} minutes` : `jest ended with ${status}`;
    console.log(`${name}: FAILED, ${why}`);
    return { passed: 0, failed: 1, skipped: 0 };
  }
  const result = JSON.parse(readFileSync(report, 'utf8'));
  // A file that could not even be loaded has no tests to count.
  const unloadable = result.testResults.filter(
    (file) => file.status === 'failed' && file.assertionResults.length === 0,
  );
  const failed = result.numFailedTests + unloadable.length;
  return {
    passed: result.numPassedTests,
    failed: failed === 0 && status !== 0 ? 1 : failed,
    skipped: result.numPendingTests + result.numTodoTests,
  };
}

function main(chosen) {
  if (chosen.includes('--help') || chosen.includes('-h')) {
    console.log(`npm test [-- PART…]: everything, or some of ${PARTS.map((part) => part.name).join(', ')}`);
    return 0;
  }
  const unknown = chosen.filter((name) => !PARTS.some((part) => part.name === name));
  if (unknown.length > 0) {
    console.error(`unknown part ${unknown.join(', ')}: one of ${PARTS.map((part) => part.name).join(', ')}`);
    return 2;
  }
  const scratch = mkdtempSync(join(tmpdir(), 'tapwire-test-'));
  const total = { passed: 0, failed: 0, skipped: 0 };
  const notes = [];
  let isBuilt = false;
  try {
    for (const part of PARTS) {
      if (chosen.length > 0 && !chosen.includes(part.name)) continue;
      const why = hasTests(join(root, 'test', part.name)) ? part.skip() : 'there are no tests yet';
      if (why !== null) {
        notes.push(`${part.name}: SKIPPED, ${why}`);
        continue;
      }
      console.log(`── ${part.name} ──`);
      if (part.built && !isBuilt) {
        isBuilt = true;
        if (!build()) {
          notes.push('build: FAILED');
          total.failed++;
        }
      }
      const counts = run(part, scratch);
      notes.push(`${part.name}: ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
      const without = leftOut(part.name);
      if (without !== null) notes.push(`${part.name}: ${without}`);
      for (const key of Object.keys(total)) total[key] += counts[key];
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  console.log(`\n${notes.join('\n')}`);
  console.log(`${total.passed} passed, ${total.failed} failed`);
  return total.failed === 0 && total.passed > 0 ? 0 : 1;
}

process.exitCode = main(process.argv.slice(2));
