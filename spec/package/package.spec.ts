import { afterAll, describe } from '@jest/globals';
import { installedPackage } from './built-package.ts';
import { describeBundles } from './bundles.ts';
import { describeContents } from './contents.ts';
import { describeDeclarations } from './declarations.ts';
import { describeModules } from './modules.ts';

/* The package is built, packed and installed once for all of these. */

afterAll(async () => (await installedPackage()).remove());

describe('the packed files', () => {
  describeContents();
});
describe('the declarations', () => {
  describeDeclarations();
});
describe('the modules', () => {
  describeModules();
});
describe('bundles by esbuild', () => {
  describeBundles();
});
