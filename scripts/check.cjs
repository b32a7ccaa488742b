// The loop of a developer: types, lint and unit tests, at the same time. What fails prints what it has to say.
'use strict';

const { spawn } = require('node:child_process');
const { resolve } = require('node:path');

const root = resolve(__dirname, '..');
const bin = (name) => resolve(root, 'node_modules', '.bin', name);
const STEPS = [
  ['types', bin('tsc'), ['--noEmit']],
  ['lint', bin('biome'), ['check', '--error-on-warnings', '.']],
  ['unit', bin('jest'), ['--selectProjects', 'unit', '--maxWorkers=100%']],
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

Promise.all(STEPS.map(run)).then((results) => {
  process.exitCode = results.every(Boolean) ? 0 : 1;
});
