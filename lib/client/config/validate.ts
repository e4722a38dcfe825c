/**
 * Checks of arguments and options: each returns the value, or throws a `TypeError` or `RangeError` that says what was
 * expected.
 */

import { inspect } from 'node:util';
import { ProtocolError } from '../../errors.ts';

/** Describes a wrong value in an error. The text of a string is not shown, because it could be a secret. */
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

/** A check of one value, which is called `name` in its errors. Returns the value to use. */
export type Check<T> = (name: string, value: unknown) => T;

export type Checks<T> = { readonly [Key in keyof T]-?: Check<T[Key]> };

export function wrongType(name: string, expected: string, value: unknown): TypeError {
  return new TypeError(`${name}: expected ${expected}, got ${got(value)}`);
}

/** The same for a value that may be a secret: a number is not shown either. */
export function wrongSecret(name: string, expected: string, value: unknown): TypeError {
  return new TypeError(
    `${name}: expected ${expected}, got ${typeof value === 'number' ? 'a number' : got(value)}`,
  );
}

export function integer(
  name: string,
  value: unknown,
  least: number,
  most: number = Number.MAX_SAFE_INTEGER,
): number {
  if (Number.isInteger(value) && (value as number) >= least && (value as number) <= most)
    return value as number;
  const bounds = most === Number.MAX_SAFE_INTEGER ? `of ${least} or more` : `from ${least} to ${most}`;
  throw notANumber(name, `an integer ${bounds}`, value);
}

/** A finite number from `least` to `most`. */
export function numeric(name: string, value: unknown, least: number, most: number = Infinity): number {
  if (Number.isFinite(value) && (value as number) >= least && (value as number) <= most)
    return value as number;
  const bounds = most === Infinity ? `of ${least} or more` : `from ${least} to ${most}`;
  throw notANumber(name, `a number ${bounds}`, value);
}

function notANumber(name: string, expected: string, value: unknown): TypeError | RangeError {
  if (typeof value !== 'number') return wrongType(name, expected, value);
  return new RangeError(`${name}: expected ${expected}, got ${value}`);
}

export function boolean(name: string, value: unknown): boolean {
  if (typeof value !== 'boolean') throw wrongType(name, 'true or false', value);
  return value;
}

export function string(name: string, value: unknown): string {
  if (typeof value !== 'string') throw wrongType(name, 'a string', value);
  return value;
}

export const integerIn =
  (least: number, most?: number): Check<number> =>
  (name, value) =>
    integer(name, value, least, most);

export function callable<T extends (...args: never[]) => unknown>(name: string, value: unknown): T {
  if (typeof value !== 'function') throw wrongType(name, 'a function', value);
  return value as T;
}

export function oneOf<const T extends string | number | boolean>(
  name: string,
  value: unknown,
  allowed: readonly T[],
): T {
  if (allowed.includes(value as T)) return value as T;
  throw wrongType(name, allowed.map((one) => JSON.stringify(one)).join(' or '), value);
}

export const choice =
  <const T extends string | number | boolean>(...allowed: readonly T[]): Check<T> =>
  (name, value) =>
    oneOf(name, value, allowed);

/** An object without unknown keys: a misspelt option must not be ignored. */
export function checkKeys(
  name: string,
  value: unknown,
  keys: readonly string[],
): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw wrongType(name, 'an object', value);
  // for-in allocates nothing: this runs for every publish() with options.
  for (const key in value)
    if (!keys.includes(key)) throw new TypeError(`${name}: expected one of ${keys.join(', ')}, got ${key}`);
  return value as Readonly<Record<string, unknown>>;
}

/** What was given of `T`: no key is undefined. */
export type Given<T> = { -readonly [Key in keyof T]?: Exclude<T[Key], undefined> };

/** Checks an object by a check for each of its keys, which errors call `prefix` and the key. Returns a copy. */
export function checkObject<T>(
  name: string,
  value: unknown,
  checks: Checks<T>,
  prefix: string = `${name}.`,
): Given<T> {
  const known = checks as Readonly<Record<string, Check<unknown>>>;
  const given = checkKeys(name, value, Object.keys(checks));
  const checked: Record<string, unknown> = {};
  for (const key of Object.keys(given)) {
    const one = given[key];
    if (one !== undefined) checked[key] = (known[key] as Check<unknown>)(`${prefix}${key}`, one);
  }
  return checked as Given<T>;
}

/** Runs `check`. A `ProtocolError` becomes a `TypeError`, as the caller passed a wrong argument. */
export function checkEncodable(check: () => unknown): void {
  try {
    check();
  } catch (error) {
    if (error instanceof ProtocolError) throw new TypeError(error.message, { cause: error });
    throw error;
  }
}
