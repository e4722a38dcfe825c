/** Loads optional packages when they are needed, from the directory of the program. */

import { codeOf, messageOf } from './errors.ts';

/**
 * Loads the package `name`. `use` names what needs it. Bundlers do not follow an import whose name is an argument; the
 * comments keep webpack and Vite from warning about it.
 * @throws Error that names the package
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
  const code = codeOf(error);
  return code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND';
}
