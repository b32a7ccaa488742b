// Fuzzes for longer than `npm test` does: `npm run fuzz frames -- --frames 1000000`, `npm run fuzz http-parser -- --seconds 600`.
// Options are the fuzzer's own; without a name every one of them runs, for as long as it does by itself.
'use strict';

const { spawnSync } = require('node:child_process');
const { readdirSync, readFileSync } = require('node:fs');
const { join, resolve } = require('node:path');

const root = resolve(__dirname, '..');
const folder = join(root, 'test', 'fuzz');

/** The files there that are programs. */
function fuzzers() {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
    .filter((file) => readFileSync(join(folder, file), 'utf8').includes('require.main === module'))
    .map((file) => file.slice(0, -'.ts'.length));
}

function main([first, ...rest]) {
  const names = fuzzers();
  const named = first !== undefined && !first.startsWith('-');
  if (named && !names.includes(first)) {
    console.error(`fuzz: no such fuzzer; there are ${names.join(', ')}`);
    return 2;
  }
  const args = named ? rest : first === undefined ? [] : [first, ...rest];
  let failed = 0;
  for (const name of named ? [first] : names) {
    console.log(`── ${name} ──`);
    const command = ['-r', join(root, 'test', 'typescript.cjs'), join(folder, `${name}.ts`), ...args];
    const { status } = spawnSync(process.execPath, command, { cwd: root, stdio: 'inherit' });
    if (status !== 0) failed++;
  }
  return failed === 0 ? 0 : 1;
}

process.exitCode = main(process.argv.slice(2));
