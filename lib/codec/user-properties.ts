/**
 * User Properties that are held as bytes until somebody asks for them. The properties object has an own accessor in
 * their place; on first access they are decoded, and a plain property takes the place of the accessor.
 */

/** Where a properties object holds them. A symbol that is not enumerable is in no copy and in no comparison. */
const HELD = Symbol('User Properties');

interface Held {
  /** Undefined once they are decoded. */
  bytes: Uint8Array | undefined;
  pairs: unknown;
  readonly decode: (bytes: Uint8Array) => unknown;
}

/**
 * The accessor of all such objects, so that they share a hidden class. It goes by `this` and not by a private field,
 * so that it also works behind a Proxy and in objects that inherit.
 */
const ACCESSOR: PropertyDescriptor & ThisType<{ readonly [HELD]: Held }> = {
  get() {
    const held = this[HELD];
    if (held.bytes !== undefined) {
      held.pairs = held.decode(held.bytes);
      held.bytes = undefined;
      // A frozen object keeps the accessor.
      Reflect.defineProperty(this, 'userProperties', plain(held.pairs));
    }
    return held.pairs;
  },
  set(value: unknown) {
    Object.defineProperty(this, 'userProperties', plain(value));
    this[HELD].bytes = undefined;
  },
  enumerable: true,
  configurable: true,
};

function plain(value: unknown): PropertyDescriptor {
  return { value, writable: true, enumerable: true, configurable: true };
}

/**
 * The same properties in the same order, with `userProperties` still to be decoded.
 * @param bytes what `decode` makes the User Properties of; they belong to the result from now on
 */
export function deferUserProperties(
  properties: Readonly<Record<string, unknown>>,
  bytes: Uint8Array,
  decode: (bytes: Uint8Array) => unknown,
): Record<string, unknown> {
  const holder: Record<string, unknown> = {};
  for (const name in properties) {
    if (name === 'userProperties') Object.defineProperty(holder, name, ACCESSOR);
    else holder[name] = properties[name];
  }
  const held: Held = { bytes, pairs: undefined, decode };
  return Object.defineProperty(holder, HELD, { ...plain(held), enumerable: false });
}

/** Bytes of the User Properties that `properties` hold undecoded. */
export function undecodedSizeOf(properties: object): number {
  return (properties as { readonly [HELD]?: Held })[HELD]?.bytes?.length ?? 0;
}
