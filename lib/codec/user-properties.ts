/**
 * User Properties that are kept as bytes until they are read. The properties object has an accessor for them. On first
 * access they are decoded, and a plain property replaces the accessor.
 */

/** The key of the bytes in a properties object. As it is not enumerable, copies and comparisons leave it out. */
const UNDECODED = Symbol('User Properties');

interface Undecoded {
  /** Undefined once they are decoded. */
  bytes: Uint8Array | undefined;
  pairs: unknown;
  readonly decode: (bytes: Uint8Array) => unknown;
}

/**
 * One accessor for all such objects, so that they share a hidden class. It uses `this` and no private field, so that it
 * also works behind a Proxy and in objects that inherit.
 */
const ACCESSOR: PropertyDescriptor & ThisType<{ readonly [UNDECODED]: Undecoded }> = {
  get() {
    const undecoded = this[UNDECODED];
    if (undecoded.bytes !== undefined) {
      undecoded.pairs = undecoded.decode(undecoded.bytes);
      undecoded.bytes = undefined;
      // A frozen object keeps the accessor.
      Reflect.defineProperty(this, 'userProperties', plain(undecoded.pairs));
    }
    return undecoded.pairs;
  },
  set(value: unknown) {
    Object.defineProperty(this, 'userProperties', plain(value));
    this[UNDECODED].bytes = undefined;
  },
  enumerable: true,
  configurable: true,
};

function plain(value: unknown): PropertyDescriptor {
  return { value, writable: true, enumerable: true, configurable: true };
}

/**
 * The same properties in the same order, with `userProperties` decoded on first access.
 * @param bytes the argument of `decode`; they belong to the result from now on
 */
export function deferUserProperties(
  properties: Readonly<Record<string, unknown>>,
  bytes: Uint8Array,
  decode: (bytes: Uint8Array) => unknown,
): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const name in properties) {
    if (name === 'userProperties') Object.defineProperty(result, name, ACCESSOR);
    else result[name] = properties[name];
  }
  const undecoded: Undecoded = { bytes, pairs: undefined, decode };
  return Object.defineProperty(result, UNDECODED, { ...plain(undecoded), enumerable: false });
}

/** Bytes of User Properties in `properties` that are not decoded yet. */
export function undecodedSizeOf(properties: object): number {
  return (properties as { readonly [UNDECODED]?: Undecoded })[UNDECODED]?.bytes?.length ?? 0;
}
