'use strict';
// Jest for `run.ts`: any test of the stack, with the sources as TAPWIRE_MUTANT has them.
const { resolve } = require('node:path');

module.exports = {
  rootDir: resolve(__dirname, '..', '..'),
  transform: { '^.+\\.ts$': '<rootDir>/test/mutation/transform.cjs' },
  testEnvironment: 'node',
  testMatch: ['<rootDir>/test/{unit,sim,fuzz}/**/*.test.ts'],
  modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/build/'],
};
