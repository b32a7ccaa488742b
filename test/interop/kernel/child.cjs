// Runs one function of cases.ts in this process and prints what it returns as JSON. Started in a network namespace of its
// own by run.ts.
'use strict';

require('../../typescript.cjs');

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
