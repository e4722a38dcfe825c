/** What the checks of a store expect, without a test runner. */

import type { SessionStore, StoreChange, StoreRecord } from './session-store.ts';

/** Characters that are shown in an error. */
const MAXIMUM_SHOWN = 64;

export function expectEqual(got: string | number, expected: string | number, what: string): void {
  if (got !== expected) throw new Error(`${what}: expected ${quoted(expected)}, got ${quoted(got)}`);
}

export function expectBytes(got: Uint8Array | undefined, expected: Uint8Array, what: string): void {
  if (got === undefined) throw new Error(`${what}: expected ${expected.length} bytes, got no record`);
  expectEqual(got.length, expected.length, `${what}, its length`);
  for (const [i, byte] of expected.entries())
    if (got[i] !== byte) throw new Error(`${what}, byte ${i}: expected ${byte}, got ${got[i]}`);
}

/** Expects the store to have these keys, with a space between them, and nothing else. */
export async function expectRecords(store: SessionStore, keys: string): Promise<void> {
  const records = await readAll(store);
  expectEqual(records.map(({ key }) => key).join(' '), keys, 'the keys of all records');
}

/** Expects `call` to reject. Returns its error. */
export async function expectRejection(call: Promise<unknown>, what: string): Promise<unknown> {
  try {
    await call;
  } catch (error) {
    return error;
  }
  throw new Error(`${what}: expected a rejection`);
}

/** All records with keys of printable characters. */
export function readAll(store: SessionStore): Promise<readonly StoreRecord[]> {
  return store.read({ after: '', before: '\x7f', limit: 10_000 });
}

/** A record whose value does not matter. */
export function put(key: string): StoreChange {
  return { type: 'put', key, value: new Uint8Array([0xff, 0]) };
}

function quoted(value: string | number): string {
  if (typeof value === 'number') return String(value);
  return value.length > MAXIMUM_SHOWN
    ? `"${value.substring(0, MAXIMUM_SHOWN)}…" (${value.length} characters)`
    : `"${value}"`;
}
