// Runs one function of scenarios.ts in this process and prints what it returns as JSON. Started in a network
// namespace of its own by namespace.ts.
'use strict';

const { readFileSync } = require('node:fs');
const { transformSync } = require('@swc/core');

require.extensions['.ts'] = (module, filename) => {
  const { code } = transformSync(readFileSync(filename, 'utf8'), {
    filename,
    jsc: { parser: { syntax: 'typescript' }, target: 'es2022' },
    module: { type: 'commonjs' },
    sourceMaps: 'inline',
  });
  module._compile(code, filename);
};

const [, , name, ...args] = process.argv;
Promise.resolve(require('./scenarios.ts')[name](...args)).then(
  (result) => {
    if (result !== undefined) process.stdout.write(`${JSON.stringify(result)}\n`);
  },
  (error) => {
    console.error(error);
    process.exitCode = 1;
  },
);
