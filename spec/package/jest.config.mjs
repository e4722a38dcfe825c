import { fileURLToPath } from 'node:url';
import base from '../../jest.config.mjs';

/** The specs of `npm run pack:check`. */
export default {
  ...base,
  rootDir: fileURLToPath(new URL('../../', import.meta.url)),
  testMatch: ['<rootDir>/spec/package/*.pack.ts'],
  reporters: ['default'],
};
