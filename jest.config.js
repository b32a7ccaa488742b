/**
 * Tests run in contexts of their own, where each look at a global asks the embedder first: those that inner loops look at
 * are handed to every module as arguments. None that a test or a simulator replaces is among them.
 */
const FAST_GLOBALS = [
  ...['Math', 'Object', 'Array', 'Number', 'String', 'Map', 'Set', 'Error', 'DataView'],
  ...['Uint8Array', 'Uint16Array', 'Uint32Array', 'Int32Array', 'Float64Array'],
];

const common = {
  transform: {
    '^.+\\.ts$': ['@swc/jest', { jsc: { parser: { syntax: 'typescript' }, target: 'es2022' }, sourceMaps: true }],
  },
  testEnvironment: 'node',
  sandboxInjectedGlobals: FAST_GLOBALS,
  modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/build/'],
};

const project = (displayName) => ({
  ...common,
  displayName,
  testMatch: [`<rootDir>/test/${displayName}/**/*.test.ts`],
});

/** Milliseconds: no test may hang, and none fails because the machine is slow. */
const testTimeout = 60_000;

/**
 * What a test file loaded is never quite let go, some 5 MB each: beyond this, collecting garbage takes more time than the
 * tests, so a worker with more begins anew.
 */
const workerIdleMemoryLimit = '220MB';

module.exports = {
  testTimeout,
  workerIdleMemoryLimit,
  projects: ['unit', 'fuzz', 'sim', 'interop', 'package', 'packages'].map(project),
};
