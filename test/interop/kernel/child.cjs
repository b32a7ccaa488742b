// Runs one function of cases.ts in this process and prints what it returns as JSON. Started in a network namespace of its
// own by run.ts. Compiled files are kept in the system's temporary folder: fifty processes would compile each of them.
'use strict';

const { createHash } = require('node:crypto');
const { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');

const cache = join(tmpdir(), 'tapwire-compiled');
mkdirSync(cache, { recursive: true });

function compile(filename) {
  const source = readFileSync(filename, 'utf8');
  const kept = join(cache, `${createHash('sha1').update(filename).update(source).digest('hex')}.js`);
  if (existsSync(kept)) return readFileSync(kept, 'utf8');
  const { code } = require('@swc/core').transformSync(source, {
    filename,
    jsc: { parser: { syntax: 'typescript' }, target: 'es2022' },
    module: { type: 'commonjs' },
  });
  writeFileSync(`${kept}.${process.pid}`, code);
  renameSync(`${kept}.${process.pid}`, kept);
  return code;
}

require.extensions['.ts'] = (module, filename) => module._compile(compile(filename), filename);

const [, , name, ...args] = process.argv;
Promise.resolve(require('./cases.ts')[name](...args.map((text) => JSON.parse(text)))).then(
  (result) => {
    process.stdout.write(`\n${JSON.stringify(result ?? null)}\n`, () => process.exit(0));
  },
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
