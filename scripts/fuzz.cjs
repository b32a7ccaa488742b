// Fuzzes for longer than `npm test` does: `npm run fuzz -- --minutes 60` shares the time among all fuzzers, and
// `--executions N` the work; `npm run fuzz frames -- --seconds 600 --seed 7` runs one of them.
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

/** The options for one of `count` fuzzers that share the time and the work. */
function share(args, count) {
  const shared = ['--executions', '--seconds', '--minutes'];
  return args.map((word, i) => (shared.includes(args[i - 1]) ? String(Math.ceil((100 * word) / count) / 100) : word));
}

function main([first, ...rest]) {
  const names = fuzzers();
  if (first === '--help' || first === '-h') {
    console.log(`npm run fuzz [-- [NAME] OPTIONS]
  --minutes M, --seconds S  how long; shared among all unless one is named (10 s each)
  --executions N            or how many
  --seed K                  the first seed (1)
Fuzzers: ${names.join(', ')}.`);
    return 0;
  }
  const named = first !== undefined && !first.startsWith('-');
  if (named && !names.includes(first)) {
    console.error(`fuzz: no such fuzzer; there are ${names.join(', ')}`);
    return 2;
  }
  const args = named ? rest : share(first === undefined ? [] : [first, ...rest], names.length);
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
