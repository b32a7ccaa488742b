// Runs one function of scenarios.ts in this process and prints what it returns as JSON. Started in a network
// namespace of its own by namespace.ts.
'use strict';

require('../../typescript.cjs');

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
