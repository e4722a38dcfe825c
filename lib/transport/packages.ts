/** Packages that are loaded when they are used, from where the program runs. */

import { messageOf } from '../errors.ts';

/**
 * Loads the package `name`, which `use` needs. Bundlers leave it alone: they cannot resolve a name that is an argument,
 * and the comments keep two of them from warning. Rejects with an Error that names the package.
 */
export async function loadPackage(name: string, use: string): Promise<unknown> {
  try {
    return await import(/* webpackIgnore: true */ /* @vite-ignore */ name);
  } catch (cause) {
    const why = isNotFound(cause)
      ? `which is not installed: npm install ${name}`
      : `which could not be loaded: ${messageOf(cause)}`;
    throw new Error(`${use} needs the package ${name}, ${why}`, { cause });
  }
}

function isNotFound(error: unknown): boolean {
  if (typeof error !== 'object' || error === null || !('code' in error)) return false;
  return error.code === 'ERR_MODULE_NOT_FOUND' || error.code === 'MODULE_NOT_FOUND';
}
