'use strict';
/*
 * Runs test files in this process, as Jest would and in a fraction of its time, until the first failure, with one deliberate
 * bug in the sources: TAPWIRE_MUTANT is a Mutant as JSON. Prints the failed test's title. Exit codes: 0 all passed, 1 one
 * failed, 3 they could not be loaded.
 *
 *     node test/mutation/bench.cjs FILE…
 */
const fs = require('node:fs');
const Module = require('node:module');
const { resolve } = require('node:path');
const { transformSync } = require('@swc/core');
const { expect } = require('expect');
const { bind } = require('jest-each');
const { ModuleMocker } = require('jest-mock');

const root = resolve(__dirname, '..', '..');
const mutant = JSON.parse(process.env.TAPWIRE_MUTANT ?? 'null');
const NOT_LOADED = 3;

/** @throws Error when the text to replace is not there exactly once: the bug would be none. */
function withBug(source) {
  const parts = source.split(mutant.find);
  if (parts.length !== 2)
    throw new Error(`${mutant.name}: its text stands ${parts.length - 1} times in ${mutant.file}`);
  return parts.join(mutant.replace);
}

Module._extensions['.ts'] = (module, filename) => {
  const source = fs.readFileSync(filename, 'utf8');
  const mutated = mutant !== null && filename === resolve(root, mutant.file);
  const { code } = transformSync(mutated ? withBug(source) : source, {
    filename,
    module: { type: 'commonjs' },
    jsc: { parser: { syntax: 'typescript' }, target: 'es2022' },
  });
  module._compile(code, filename);
};

/** Tests in the order in which they are declared, with the titles of their groups. */
const tests = [];
let groups = [];

function describe(title, declare) {
  const outer = groups;
  groups = [...groups, title];
  declare();
  groups = outer;
}

const test = (title, run) => tests.push({ title: [...groups, title].join(' '), run });
describe.each = bind(describe, false);
test.each = bind(test, false);
Object.assign(globalThis, { describe, test, it: test, expect, jest: new ModuleMocker(globalThis) });

async function main(files) {
  try {
    for (const file of files) require(resolve(root, file));
  } catch (error) {
    console.log(error.stack);
    return NOT_LOADED;
  }
  for (const { title, run } of tests) {
    try {
      if (process.env.SHOW) console.log('->', title);
      await run();
    } catch {
      console.log(title);
      return 1;
    }
  }
  console.log(`${tests.length} tests`);
  return tests.length > 0 ? 0 : NOT_LOADED;
}

main(process.argv.slice(2)).then((code) => process.exit(code));
