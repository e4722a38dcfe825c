/**
 * Bytes of a string to the string, without decoding those that come again: Topic Names, and the short strings in
 * properties. The same string object comes back for the same bytes while they are cached, so that a comparison with
 * it is a comparison of pointers.
 *
 * A table with one place per hash. A string is admitted when it misses twice in a row in its place: with more strings
 * in turn than there are places, each place keeps the one it has instead of being rewritten all the time, which costs
 * more than having no cache.
 */

/** Makes the string of `bytes[start, end)`, or throws what is wrong with it. */
export type Decode = (bytes: Uint8Array, start: number, end: number) => string;

interface Entry {
  readonly bytes: Uint8Array;
  readonly string: string;
}

/** A power of two. With {@link LONGEST} it bounds a cache to about half a megabyte. */
const PLACES = 1024;

/** Longer strings are decoded each time. */
const LONGEST = 256;

/** Hash of four bytes at a time; the last, shorter group is padded with zeros. */
function hashOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = end - start;
  let at = start;
  for (; at + 4 <= end; at += 4) {
    const word = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    hash = Math.imul(hash ^ word, 0x9e37_79b1);
    hash ^= hash >>> 15;
  }
  if (at < end) {
    let word = 0;
    for (; at < end; at++) word = (word << 8) | bytes[at]!;
    hash = Math.imul(hash ^ word, 0x85eb_ca6b);
    hash ^= hash >>> 13;
  }
  return hash | 0;
}

function holds(entry: Entry, bytes: Uint8Array, start: number, end: number): boolean {
  const known = entry.bytes;
  let i = end - start;
  if (known.length !== i) return false;
  // Backwards: topics begin alike and end differently.
  while (i > 0) {
    i--;
    if (known[i] !== bytes[start + i]) return false;
  }
  return true;
}

export class TopicCache {
  readonly #decode: Decode;
  /** The entry that was found last: a stream of one topic never gets to the table. */
  #last: Entry | undefined;
  /** Made when the first string comes, so that an idle connection has none. */
  #entries: (Entry | undefined)[] | undefined;
  /** Per place, the hash of the last string that missed there. */
  #missed: Int32Array | undefined;

  constructor(decode: Decode) {
    this.#decode = decode;
  }

  /** The string of `bytes[start, end)`; decoded, and so checked, only where it is not cached. */
  get(bytes: Uint8Array, start: number, end: number): string {
    const last = this.#last;
    if (last !== undefined && holds(last, bytes, start, end)) return last.string;
    if (end - start > LONGEST) return this.#decode(bytes, start, end);
    const hash = hashOf(bytes, start, end);
    const place = (hash ^ (hash >>> 10) ^ (hash >>> 20)) & (PLACES - 1);
    const entry = this.#entries?.[place];
    if (entry !== undefined && holds(entry, bytes, start, end)) {
      this.#last = entry;
      return entry.string;
    }
    return this.#miss(bytes, start, end, hash, place);
  }

  #miss(bytes: Uint8Array, start: number, end: number, hash: number, place: number): string {
    const string = this.#decode(bytes, start, end);
    const missed = (this.#missed ??= new Int32Array(PLACES));
    if (missed[place] === hash) {
      const entry = { bytes: new Uint8Array(bytes.subarray(start, end)), string };
      const entries = (this.#entries ??= Array.from({ length: PLACES }, () => undefined));
      entries[place] = entry;
      this.#last = entry;
    } else {
      missed[place] = hash;
    }
    return string;
  }

  /** Forgets everything: what was decoded under other rules. */
  clear(): void {
    this.#last = undefined;
    this.#entries = undefined;
    this.#missed = undefined;
  }
}
