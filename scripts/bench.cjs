// Runs benchmarks: `npm run bench` all of them, `npm run bench parse -- --rounds 9` one, with arguments of its own.
// `--smoke` only shows that they still run: the figures mean nothing then.
'use strict';

const { spawnSync } = require('node:child_process');
const { existsSync, readdirSync } = require('node:fs');
const { join, resolve } = require('node:path');

const folder = resolve(__dirname, '..', 'dist', 'benchmarks');
const SMOKE_SECONDS = 60;
/** Arguments that make a benchmark short; `--smoke` where it is not listed. */
const SHORT = { parse: ['--rounds', '1', '--ms', '20'] };

function main(args) {
  if (!existsSync(folder)) return complain('dist/benchmarks is missing: `npm run build` first');
  const smoke = args.includes('--smoke');
  const [name, ...rest] = args.filter((arg) => arg !== '--smoke');
  const names = readdirSync(folder)
    .filter((file) => file.endsWith('.js'))
    .map((file) => file.slice(0, -'.js'.length));
  if (name !== undefined && !names.includes(name)) return complain(`no such benchmark; there are ${names.join(', ')}`);
  let failed = 0;
  for (const chosen of name === undefined ? names : [name]) {
    console.log(`── ${chosen} ──`);
    const short = smoke ? (SHORT[chosen] ?? ['--smoke']) : [];
    const limit = smoke ? { timeout: SMOKE_SECONDS * 1000, killSignal: 'SIGKILL' } : {};
    const file = join(folder, `${chosen}.js`);
    const { status } = spawnSync(process.execPath, [file, ...short, ...rest], { stdio: 'inherit', ...limit });
    if (status === 0) continue;
    failed++;
    console.log(`${chosen}: FAILED (${status === null ? 'stopped' : `exit ${status}`})`);
  }
  return failed === 0 ? 0 : 1;
}

function complain(text) {
  console.error(`bench: ${text}`);
  return 2;
}

process.exitCode = main(process.argv.slice(2));
