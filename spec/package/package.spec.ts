import { afterAll, describe } from '@jest/globals';
import { installedPackage } from './built-package.ts';
import { describeContents } from './contents.ts';
import { describeDeclarations } from './declarations.ts';
import { describeModules } from './modules.ts';

/*
 * The package is built, packed and installed once for all of these. What bundlers and older compilers make of it is in
 * applications.pack.ts.
 */

afterAll(async () => (await installedPackage()).remove());

describe('the packed files', () => {
  describeContents();
});
describe('the declarations', () => {
  describeDeclarations('7');
});
describe('the modules', () => {
  describeModules();
});
