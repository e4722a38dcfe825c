/**
 * Bytes that come from outside. Node's Buffer is a Uint8Array with methods of its own: its `slice()` is a view and not a
 * copy. So bytes are copied here and nowhere else, and no other file calls `slice()`.
 */

/** Reads what kind a typed array is from the array itself: it cannot be imitated. */
// oxlint-disable-next-line typescript/unbound-method -- it is called with an array
const kindOf = Object.getOwnPropertyDescriptor(
  Object.getPrototypeOf(Uint8Array.prototype) as object,
  Symbol.toStringTag,
)?.get as (this: unknown) => string | undefined;

/** Whether `value` is a Uint8Array, of whatever realm: a Buffer is one, too, and nothing that only looks like one. */
export function isBytes(value: unknown): value is Uint8Array {
  return kindOf.call(value) === 'Uint8Array';
}

/** hot: whether `value` is a Uint8Array and nothing more, with none of the methods of a Buffer. */
export function isPlainBytes(value: unknown): value is Uint8Array {
  return isBytes(value) && Object.getPrototypeOf(value) === Uint8Array.prototype;
}

/** A copy of `bytes` in memory of its own, as a plain Uint8Array. */
export function copyOf(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes);
}
