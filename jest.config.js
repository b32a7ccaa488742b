const common = {
  transform: {
    '^.+\\.ts$': ['@swc/jest', { jsc: { parser: { syntax: 'typescript' }, target: 'es2022' }, sourceMaps: 'inline' }],
  },
  testEnvironment: 'node',
  modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/build/'],
};

const project = (displayName) => ({
  ...common,
  displayName,
  testMatch: [`<rootDir>/test/${displayName}/**/*.test.ts`],
});

/** Milliseconds: no test may hang, and none fails because the machine is slow. */
const testTimeout = 60_000;

module.exports = { testTimeout, projects: ['unit', 'fuzz', 'sim', 'interop', 'package', 'packages'].map(project) };
