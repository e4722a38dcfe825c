/** Bytes in specs: written as the specification prints them, split as a network splits them. */

/** Parses pairs of hex digits, separated by blanks: `'40 02 00 0A'`. Throws on anything else. */
export function fromHex(digits: string): Uint8Array {
  const pairs = digits.split(/\s+/).filter((pair) => pair !== '');
  const wrong = pairs.find((pair) => !/^(?:[\da-f]{2})+$/i.test(pair));
  if (wrong !== undefined) throw new TypeError(`expected pairs of hex digits, got ${JSON.stringify(wrong)}`);
  const joined = pairs.join('');
  return Uint8Array.from({ length: joined.length / 2 }, (_, i) =>
    Number.parseInt(joined.slice(2 * i, 2 * i + 2), 16),
  );
}

/**
 * The same as a template: ``hex`40 02 00 0a` ``. `${…}` inserts one byte (a number from 0 to 255) or
 * several bytes.
 */
export function hex(digits: TemplateStringsArray, ...values: readonly (number | Uint8Array)[]): Uint8Array {
  return join(...digits.flatMap((part, i) => [fromHex(part), asBytes(values[i] ?? new Uint8Array())]));
}

function asBytes(value: number | Uint8Array): Uint8Array {
  if (typeof value !== 'number') return value;
  if (!Number.isInteger(value) || value < 0 || value > 255)
    throw new RangeError(`expected a byte, got ${value}`);
  return Uint8Array.of(value);
}

/** Prints bytes for messages and comparisons: `'40 02 00 0a'`. */
export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(' ');
}

/** Copies all parts into one `Uint8Array`. */
export function join(...parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

/** `bytes` after a two-byte length: Binary Data (1.5.6), and any string, well-formed or not. */
export function counted(bytes: Uint8Array): Uint8Array {
  return hex`${bytes.length >> 8} ${bytes.length & 0xff} ${bytes}`;
}

/** A UTF-8 Encoded String (1.5.4): `text('a/b')` is `00 03 61 2f 62`. */
export function text(value: string): Uint8Array {
  return counted(new TextEncoder().encode(value));
}

/** A Variable Byte Integer (1.5.5) in the fewest bytes. */
export function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  do {
    bytes.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
    rest >>>= 7;
  } while (rest > 0);
  return Uint8Array.from(bytes);
}

/** A Control Packet: `first` byte, Remaining Length, `parts`. */
export function packet(first: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const body = join(...parts);
  return hex`${first} ${varint(body.length)} ${body}`;
}

/** Properties of 5.0 (2.2.2) after their Property Length; without arguments `00`. */
export function properties(...parts: readonly Uint8Array[]): Uint8Array {
  const body = join(...parts);
  return join(varint(body.length), body);
}

/** One chunk per byte. Chunks are copies, so a reader cannot read past their end. */
export function byByte(bytes: Uint8Array): Uint8Array[] {
  return Array.from(bytes, (byte) => Uint8Array.of(byte));
}

/** Every split of `bytes` into two parts that are not empty. The parts are copies, as in {@link byByte}. */
export function splits(bytes: Uint8Array): [head: Uint8Array, tail: Uint8Array][] {
  return Array.from({ length: Math.max(0, bytes.length - 1) }, (_, i) => [
    bytes.slice(0, i + 1),
    bytes.slice(i + 1),
  ]);
}
