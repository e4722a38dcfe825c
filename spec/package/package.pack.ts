import { afterAll, describe } from '@jest/globals';
import { installedPackage } from './built-package.ts';
import { describeBundles } from './bundles.ts';
import { describeContents } from './contents.ts';
import { describeDeclarations } from './declarations.ts';
import { describeModules } from './modules.ts';

/*
 * The package is built, packed and installed once for all of these, by `npm run pack:check`: it takes long, and only a
 * change to exports, public types or the build can break it.
 */

afterAll(async () => (await installedPackage()).remove());

describe('the packed files', () => {
  describeContents();
});
describe('the declarations', () => {
  describeDeclarations('5.2', '5.9', '7');
});
describe('the modules', () => {
  describeModules();
});
describe('bundles by esbuild', () => {
  describeBundles();
});
