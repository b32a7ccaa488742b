// Runs everything that a developer needs green, part by part, and says aloud what it leaves out.
//   npm test                      all parts
//   npm test -- unit interop      some parts
'use strict';

const { spawn, spawnSync } = require('node:child_process');
const { accessSync, constants, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } = require('node:fs');
const { setPriority, tmpdir } = require('node:os');
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
  { name: 'unit', minutes: 20, built: false, skip: () => null },
  { name: 'fuzz', minutes: 20, built: false, skip: () => null },
  { name: 'sim', minutes: 20, built: false, skip: () => null },
  { name: 'interop', minutes: 20, built: true, skip: noKernel },
  { name: 'package', minutes: 20, built: true, skip: () => null },
  { name: 'packages', minutes: 20, built: true, skip: () => null },
];

/** How parts run: with all cores, with one, or with one and behind everybody else. */
const ALONE = { workers: '100%', nice: 0, aside: false };
const FIRST = { workers: '1', nice: 0, aside: false };
const BEHIND = { workers: '1', nice: 5, aside: true };

function hasTests(folder) {
  if (!existsSync(folder)) return false;
  return readdirSync(folder, { recursive: true }).some((file) => String(file).endsWith('.test.ts'));
}

/** The parts that test commands and the package use dist/, which must be what the sources say. */
function build() {
  const { status } = spawnSync(process.execPath, [join(root, 'scripts', 'build.cjs')], { cwd: root, stdio: 'inherit' });
  return status === 0;
}

/** Runs jest. What a part says that runs beside another comes in one piece, at its end. */
function runJest(args, minutes, { nice, aside }) {
  const stdio = ['ignore', 'ignore', aside ? 'pipe' : 'inherit'];
  const options = { cwd: root, stdio, timeout: minutes * 60_000, killSignal: 'SIGKILL' };
  const child = spawn(process.execPath, args, options);
  if (nice > 0) setPriority(child.pid, nice);
  const said = [];
  child.stderr?.on('data', (piece) => said.push(piece));
  return new Promise((done) => {
    child.on('close', (status, signal) => {
      process.stderr.write(Buffer.concat(said));
      done({ status, isKilled: signal === 'SIGKILL' });
    });
  });
}

/** Runs one part; returns jest's own figures. */
async function run({ name, minutes }, scratch, how) {
  const report = join(scratch, `${name}.json`);
  const args = [jest, '--selectProjects', name, `--maxWorkers=${how.workers}`, '--json', `--outputFile=${report}`];
  const { status, isKilled } = await runJest(args, minutes, how);
  if (!existsSync(report)) {
    const why = isKilled ? `it was stopped, after ${minutes} minutes or by hand` : `jest ended with ${status}`;
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

/** Runs parts one after the other; returns what each of them counted. */
async function runEach(parts, scratch, how) {
  const counted = [];
  for (const part of parts) {
    if (!how.aside) console.log(`── ${part.name} ──`);
    const counts = await run(part, scratch, how);
    if (how.aside) console.log(`── ${part.name}: done ──`);
    counted.push({ name: part.name, counts });
  }
  return counted;
}

/** The kernel's tests wait much and need little of the processors, so the others run behind them. Units take all there is. */
async function runAll(parts, scratch) {
  const interop = parts.filter(({ name }) => name === 'interop');
  if (interop.length === 0) return runEach(parts, scratch, ALONE);
  const unit = parts.filter(({ name }) => name === 'unit');
  const others = parts.filter((part) => !interop.includes(part) && !unit.includes(part));
  const first = await runEach(unit, scratch, ALONE);
  const lanes = [runEach(interop, scratch, FIRST), runEach(others, scratch, BEHIND)];
  return [...first, ...(await Promise.all(lanes)).flat()];
}

async function main(chosen) {
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
  const parts = [];
  for (const part of PARTS) {
    if (chosen.length > 0 && !chosen.includes(part.name)) continue;
    const why = hasTests(join(root, 'test', part.name)) ? part.skip() : 'there are no tests yet';
    if (why === null) parts.push(part);
    else notes.push(`${part.name}: SKIPPED, ${why}`);
  }
  try {
    if (parts.some((part) => part.built) && !build()) {
      notes.push('build: FAILED');
      total.failed++;
    }
    for (const { name, counts } of await runAll(parts, scratch)) {
      notes.push(`${name}: ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
      const without = leftOut(name);
      if (without !== null) notes.push(`${name}: ${without}`);
      for (const key of Object.keys(total)) total[key] += counts[key];
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  console.log(`\n${notes.join('\n')}`);
  console.log(`${total.passed} passed, ${total.failed} failed`);
  return total.failed === 0 && total.passed > 0 ? 0 : 1;
}

main(process.argv.slice(2)).then((code) => {
  process.exitCode = code;
});
