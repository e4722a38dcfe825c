/** @type {import('jest').Config} */
export default {
  testMatch: ['<rootDir>/spec/**/*.spec.ts'],
  filter: '<rootDir>/spec/support/all-specs.cjs',
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '\\.ts$': '<rootDir>/spec/support/esbuild-transform.mjs' },
  testEnvironment: '<rootDir>/spec/support/environment.mjs',
  injectGlobals: false,
  testTimeout: 20_000,
  maxWorkers: 3,
  // Node.js keeps the ES modules of every spec file that a worker has run: each collection takes longer than the last.
  workerIdleMemoryLimit: '400MB',
  reporters: [
    'default',
    '<rootDir>/spec/support/statement-reporter.mjs',
    '<rootDir>/spec/support/closing-line.mjs',
  ],
  collectCoverageFrom: ['lib/**/*.ts'],
  coverageProvider: 'babel',
  coverageReporters: ['text-summary', 'lcov'],
};
