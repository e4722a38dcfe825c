/** @type {import('jest').Config} */
export default {
  testMatch: ['<rootDir>/spec/**/*.spec.ts'],
  filter: '<rootDir>/spec/support/all-specs.cjs',
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '\\.ts$': '<rootDir>/spec/support/esbuild-transform.mjs' },
  testEnvironment: '<rootDir>/spec/support/environment.mjs',
  testSequencer: '<rootDir>/spec/support/sequencer.mjs',
  injectGlobals: false,
  testTimeout: 20_000,
  // One more than the cores of CI: specs with brokers and clocks of their own wait now and then. Each worker collects
  // garbage in one thread (`--single-threaded-gc`), as helping threads would take the cores of other workers.
  maxWorkers: 3,
  // On a busy machine, giving back the memory of a worker takes longer than the 500 ms that Jest allows. What keeps a worker
  // from exiting is still found out.
  workerGracefulExitTimeout: 5_000,
  reporters: [
    'default',
    '<rootDir>/spec/support/statement-reporter.mjs',
    '<rootDir>/spec/support/closing-line.mjs',
  ],
  collectCoverageFrom: ['lib/**/*.ts'],
  coverageProvider: 'babel',
  coverageReporters: ['text-summary', 'lcov'],
};
