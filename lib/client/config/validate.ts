/** Checks of what a user passes in: each throws a `TypeError` or `RangeError` that says what was expected. */

import { inspect } from 'node:util';
import { ProtocolError } from '../../errors.ts';

/** What to call a wrong value in an error. Text is not shown: it could be a secret. */
function got(value: unknown): string {
  if (typeof value === 'string')
    return value === '' ? 'an empty string' : `a string of ${value.length} characters`;
  if (value === null || value === undefined || typeof value === 'number' || typeof value === 'boolean')
    return String(value);
  if (typeof value !== 'object') return `a ${typeof value}`;
  try {
    return Array.isArray(value)
      ? `an array of ${value.length}`
      : `an object (${inspect(value, { depth: -1 })})`;
  } catch {
    return 'an object';
  }
}

/** The error for a value of the wrong kind. */
export function wrongType(name: string, expected: string, value: unknown): TypeError {
  return new TypeError(`${name}: expected ${expected}, got ${got(value)}`);
}

/** The same for what may be a secret: a number is as good a password as text is. */
export function wrongSecret(name: string, expected: string, value: unknown): TypeError {
  return new TypeError(
    `${name}: expected ${expected}, got ${typeof value === 'number' ? 'a number' : got(value)}`,
  );
}

/** An integer within bounds, both included. */
export function integer(
  name: string,
  value: unknown,
  least: number,
  most: number = Number.MAX_SAFE_INTEGER,
): number {
  const bounds = most === Number.MAX_SAFE_INTEGER ? `of ${least} or more` : `from ${least} to ${most}`;
  if (typeof value !== 'number') throw wrongType(name, `an integer ${bounds}`, value);
  if (!Number.isInteger(value) || value < least || value > most)
    throw new RangeError(`${name}: expected an integer ${bounds}, got ${value}`);
  return value;
}

/** Any finite number within bounds, both included. */
export function numeric(name: string, value: unknown, least: number, most: number = Infinity): number {
  const bounds = most === Infinity ? `of ${least} or more` : `from ${least} to ${most}`;
  if (typeof value !== 'number') throw wrongType(name, `a number ${bounds}`, value);
  if (!Number.isFinite(value) || value < least || value > most)
    throw new RangeError(`${name}: expected a number ${bounds}, got ${value}`);
  return value;
}

export function boolean(name: string, value: unknown): boolean {
  if (typeof value !== 'boolean') throw wrongType(name, 'true or false', value);
  return value;
}

export function string(name: string, value: unknown): string {
  if (typeof value !== 'string') throw wrongType(name, 'a string', value);
  return value;
}

/** One of a few. */
export function oneOf<const T extends string | number | boolean>(
  name: string,
  value: unknown,
  allowed: readonly T[],
): T {
  const found = allowed.find((one) => one === value);
  if (found === undefined)
    throw wrongType(name, allowed.map((one) => JSON.stringify(one)).join(' or '), value);
  return found;
}

/** An object whose keys are all known: a misspelt option must not be silently ignored. */
export function checkKeys(
  name: string,
  value: unknown,
  keys: readonly string[],
): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw wrongType(name, 'an object', value);
  // Not Object.keys(): this runs for every publish() with options, and makes no array.
  for (const key in value)
    if (!keys.includes(key)) throw new TypeError(`${name}: expected one of ${keys.join(', ')}, got ${key}`);
  return value as Readonly<Record<string, unknown>>;
}

/** Runs `check`, for which a wrong argument is a breach of the protocol: to the caller it is a wrong argument. */
export function checkEncodable(check: () => unknown): void {
  try {
    check();
  } catch (error) {
    if (error instanceof ProtocolError) throw new TypeError(error.message, { cause: error });
    throw error;
  }
}
