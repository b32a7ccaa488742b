// Runs an example: `npm run example http-hello`. Without a name: all of them, one after the other, as CI does.
'use strict';

const { spawnSync } = require('node:child_process');
const { existsSync, readdirSync } = require('node:fs');
const { join, resolve } = require('node:path');

const folder = resolve(__dirname, '..', 'dist', 'examples');
/** Far above what any takes: nothing may hang for ever. */
const SECONDS = 120;

function main(args) {
  if (!existsSync(folder)) return complain('dist/examples is missing: `npm run build` first');
  const names = readdirSync(folder)
    .filter((file) => file.endsWith('.js'))
    .map((file) => file.slice(0, -'.js'.length));
  const [name, ...rest] = args;
  if (name !== undefined && !names.includes(name)) return complain(`no such example; there are ${names.join(', ')}`);
  let failed = 0;
  for (const chosen of name === undefined ? names : [name]) {
    console.log(`── ${chosen} ──`);
    const limit = name === undefined ? { timeout: SECONDS * 1000, killSignal: 'SIGKILL' } : {};
    const { status } = spawnSync(process.execPath, [join(folder, `${chosen}.js`), ...rest], {
      stdio: 'inherit',
      ...limit,
    });
    if (status === 0) continue;
    failed++;
    console.log(`${chosen}: FAILED (${status === null ? `stopped after ${SECONDS} s` : `exit ${status}`})`);
  }
  if (name === undefined) console.log(`${names.length - failed} examples passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

function complain(text) {
  console.error(`example: ${text}`);
  return 2;
}

process.exitCode = main(process.argv.slice(2));
