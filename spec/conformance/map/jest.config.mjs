import { fileURLToPath } from 'node:url';
import base from '../../../jest.config.mjs';

/** The specs of statements, with the checks of lib behind a switch: see run.mjs. */
export default {
  ...base,
  rootDir: fileURLToPath(new URL('../../../', import.meta.url)),
  transform: { '\\.ts$': '<rootDir>/spec/conformance/map/transform.mjs' },
  testEnvironment: '<rootDir>/spec/conformance/map/environment.mjs',
  // A test that waits for what never comes, as a check is missing, need not wait long.
  testTimeout: 4_000,
  reporters: ['<rootDir>/spec/conformance/map/progress.mjs'],
};
