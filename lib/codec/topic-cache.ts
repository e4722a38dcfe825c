/**
 * Decodes strings that repeat, Topic Names and short strings in properties, only once. While a string is cached, the same
 * bytes give the same string object, so that comparing it compares pointers.
 *
 * The table has one place per hash. A string is added when it misses twice in a row in its place. So with more strings in
 * turn than places, each place keeps its string: rewriting it all the time would cost more than no cache.
 */

/** Decodes and checks `bytes[start, end)`. */
type Decode = (bytes: Uint8Array, start: number, end: number) => string;

interface Entry {
  /** In bytes. */
  readonly length: number;
  readonly words: Int32Array;
  readonly string: string;
}

/** A power of two. With {@link LONGEST} it bounds a cache to about half a megabyte. */
const PLACES = 1024;

/** Longer strings are decoded each time. */
const LONGEST = 256;

const NO_HASHES = new Int32Array(0);

/**
 * The string as words of four bytes. The last two overlap if the length is no multiple of four.
 *
 * ```
 *   s i t e / 7 / a b c      words: "site" "/7/a" "/abc"
 * ```
 */
function wordsOf(bytes: Uint8Array, start: number, end: number): Int32Array {
  const words = new Int32Array((end - start + 3) >> 2);
  for (let i = 0; i < words.length; i++) words[i] = wordAt(bytes, Math.min(start + 4 * i, end - 4), start);
  return words;
}

/** Four bytes as a number; those before `start` count as 0, for strings shorter than a word. */
function wordAt(bytes: Uint8Array, at: number, start: number): number {
  if (at >= start)
    return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
  let word = 0;
  for (let i = 3; at + i >= start; i--) word |= bytes[at + i]! << (8 * i);
  return word;
}

/** @param view a view of `bytes`, if there is one: it reads four bytes at once */
function hashOf(bytes: Uint8Array, view: DataView | undefined, start: number, end: number): number {
  let hash = end - start;
  for (let at = start; at + 4 < end; at += 4) {
    const word = view === undefined ? wordAt(bytes, at, at) : view.getInt32(at, true);
    hash = Math.imul(hash ^ word, 0x9e37_79b1);
    hash ^= hash >>> 15;
  }
  hash = Math.imul(hash ^ wordAt(bytes, end - 4, start), 0x85eb_ca6b);
  return hash ^ (hash >>> 13);
}

function holds(
  entry: Entry,
  bytes: Uint8Array,
  view: DataView | undefined,
  start: number,
  end: number,
): boolean {
  if (entry.length !== end - start) return false;
  const { words } = entry;
  const last = words.length - 1;
  // The end first: topics begin alike and end differently.
  if (words[last] !== wordAt(bytes, end - 4, start)) return false;
  if (view !== undefined) {
    for (let i = 0, at = start; i < last; i++, at += 4)
      if (words[i] !== view.getInt32(at, true)) return false;
  } else {
    for (let i = 0, at = start; i < last; i++, at += 4) if (words[i] !== wordAt(bytes, at, at)) return false;
  }
  return true;
}

export class TopicCache {
  readonly #decode: Decode;
  /** The entry that was found last: a stream of one topic does not need the table. */
  #last: Entry | undefined;
  /** Made when the first string comes, so that an idle connection has none. */
  #entries: (Entry | undefined)[] = [];
  /** The hash of the string in each place: another string in its place is passed over without looking at the entry. */
  #hashes: Int32Array = NO_HASHES;
  /** The hash of the last string that missed in each place. */
  #missed: Int32Array = NO_HASHES;
  #bytes: Uint8Array | undefined;
  /** A view of #bytes, made when they come a second time: for a chunk of one packet it would cost more than it saves. */
  #view: DataView | undefined;

  constructor(decode: Decode) {
    this.#decode = decode;
  }

  /** hot: the string of `bytes[start, end)`, which must not be empty. It is decoded and checked unless it is cached. */
  get(bytes: Uint8Array, start: number, end: number): string {
    let view: DataView | undefined;
    if (bytes === this.#bytes)
      view = this.#view ??= new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    else this.#useBytes(bytes);
    const last = this.#last;
    if (last !== undefined && holds(last, bytes, view, start, end)) return last.string;
    if (end - start > LONGEST) return this.#decode(bytes, start, end);
    const hash = hashOf(bytes, view, start, end);
    const place = (hash ^ (hash >>> 10) ^ (hash >>> 20)) & (PLACES - 1);
    if (this.#hashes[place] === hash) {
      const entry = this.#entries[place];
      if (entry !== undefined && holds(entry, bytes, view, start, end)) {
        this.#last = entry;
        return entry.string;
      }
    }
    const string = this.#decode(bytes, start, end);
    if (this.#missesAgain(place, hash))
      this.#enter({ length: end - start, words: wordsOf(bytes, start, end), string }, place, hash);
    return string;
  }

  /** Drops the bytes of the last call. */
  release(): void {
    this.#useBytes(undefined);
  }

  #useBytes(bytes: Uint8Array | undefined): void {
    this.#bytes = bytes;
    this.#view = undefined;
  }

  /** Whether the last string that missed in this place has the same hash. */
  #missesAgain(place: number, hash: number): boolean {
    if (this.#missed[place] === hash) return true;
    if (this.#missed.length === 0) this.#missed = new Int32Array(PLACES);
    this.#missed[place] = hash;
    return false;
  }

  #enter(entry: Entry, place: number, hash: number): void {
    if (this.#hashes.length === 0) {
      this.#hashes = new Int32Array(PLACES);
      this.#entries = Array.from({ length: PLACES }, () => undefined);
    }
    this.#hashes[place] = hash;
    this.#entries[place] = entry;
    this.#last = entry;
  }

  /** Drops all strings: they were checked by other rules. */
  clear(): void {
    this.#last = undefined;
    this.#entries = [];
    this.#hashes = NO_HASHES;
    this.#missed = NO_HASHES;
  }
}
