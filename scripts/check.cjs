// The loop of a developer: types, lint and unit tests, at the same time. What fails prints what it has to say.
//   npm run check                 everything
//   npm run check -- --changed    of the unit tests those that reach a file that differs from the last commit
'use strict';

const { spawn } = require('node:child_process');
const { resolve } = require('node:path');

const root = resolve(__dirname, '..');
const bin = (name) => resolve(root, 'node_modules', '.bin', name);
const steps = (chosen) => [
  ['types', bin('tsc'), ['--noEmit']],
  ['lint', bin('biome'), ['check', '--error-on-warnings', '.']],
  ['unit', bin('jest'), ['--selectProjects', 'unit', '--maxWorkers=100%', ...chosen]],
];

function run([name, command, args]) {
  const startedMs = Date.now();
  return new Promise((done) => {
    const child = spawn(command, args, {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      shell: process.platform === 'win32',
    });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (said += chunk));
    child.on('close', (code) => {
      const seconds = ((Date.now() - startedMs) / 1000).toFixed(1);
      const tests = /^Tests: +(.*)$/m.exec(said)?.[1];
      if (code !== 0) console.log(said.trimEnd());
      console.log(`${name}: ${code === 0 ? 'ok' : 'FAILED'}${tests ? `, ${tests}` : ''} (${seconds} s)`);
      done(code === 0);
    });
  });
}

const [option, ...more] = process.argv.slice(2);
if (more.length > 0 || (option !== undefined && option !== '--changed')) {
  console.error('npm run check [-- --changed]');
  process.exit(2);
}
Promise.all(steps(option === undefined ? [] : ['--onlyChanged', '--passWithNoTests']).map(run)).then((results) => {
  process.exitCode = results.every(Boolean) ? 0 : 1;
});
