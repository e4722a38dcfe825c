/**
 * Bytes from the application or the network. A Buffer is a Uint8Array whose `slice()` is a view, not a copy. So bytes are
 * copied here alone, and no other file calls `slice()`.
 */

/** Reads the kind of a typed array from its internal slot, which no other object has. */
// oxlint-disable-next-line typescript/unbound-method -- it is called with an array
const kindOf = Object.getOwnPropertyDescriptor(
  Object.getPrototypeOf(Uint8Array.prototype) as object,
  Symbol.toStringTag,
)?.get as (this: unknown) => string | undefined;

/** Whether `value` is a Uint8Array of any realm, such as a Buffer. An object that only looks like one is not. */
export function isBytes(value: unknown): value is Uint8Array {
  return kindOf.call(value) === 'Uint8Array';
}

/** hot: whether `value` is a Uint8Array and no subclass, such as Buffer. */
export function isPlainBytes(value: unknown): value is Uint8Array {
  return isBytes(value) && Object.getPrototypeOf(value) === Uint8Array.prototype;
}

/** A copy of `bytes` as a plain Uint8Array. */
export function copyOf(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes);
}
