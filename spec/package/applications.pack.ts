import { afterAll, describe } from '@jest/globals';
import { installedPackage } from './built-package.ts';
import { describeBundles } from './bundles.ts';
import { describeDeclarations } from './declarations.ts';

/*
 * Applications that are compiled or bundled with the package, by `npm run pack:check`: it takes long, and only a change to
 * exports, public types or the build can break it.
 */

afterAll(async () => (await installedPackage()).remove());

describe('the declarations', () => {
  describeDeclarations('5.2', '5.9');
});
describe('bundles by esbuild', () => {
  describeBundles();
});
