/** How many Packet Identifiers there are: 1 to 65,535 (2.2.1). */
export const PACKET_IDENTIFIERS = 65_535;

/** Words of the bitmap that hold all identifiers. */
const MOST_WORDS = 2_048;
const SMALLEST = 2;
const ALL = 0xffff_ffff;
const NONE = new Uint32Array(0);

/**
 * A set of Packet Identifiers: one bit each, in a bitmap that grows up to the largest identifier. A second bitmap has one
 * bit for each word of the first that is full, so that finding an absent identifier takes at most some 64 steps.
 */
export class IdentifierSet {
  #words: Uint32Array = NONE;
  /** Bit `n`: all identifiers of `#words[n]` are in the set. */
  #full: Uint32Array = NONE;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  has(packetId: number): boolean {
    return ((this.#words[packetId >>> 5] ?? 0) & (1 << (packetId & 31))) !== 0;
  }

  add(packetId: number): void {
    const at = packetId >>> 5;
    if (at >= this.#words.length) this.#grow(at + 1);
    const before = this.#words[at] as number;
    const after = (before | (1 << (packetId & 31))) >>> 0;
    if (after === before) return;
    this.#words[at] = after;
    this.#size++;
    if (after === ALL) this.#full[at >>> 5]! |= 1 << (at & 31);
  }

  /** Adds 1 to 65,535. */
  addAll(): void {
    this.#words = new Uint32Array(MOST_WORDS).fill(ALL);
    this.#words[0] = ALL - 1;
    this.#full = new Uint32Array(MOST_WORDS / 32).fill(ALL);
    this.#full[0] = ALL - 1;
    this.#size = PACKET_IDENTIFIERS;
  }

  /** Returns whether `packetId` was in the set. */
  delete(packetId: number): boolean {
    if (!this.has(packetId)) return false;
    const at = packetId >>> 5;
    this.#words[at]! &= ~(1 << (packetId & 31));
    this.#full[at >>> 5]! &= ~(1 << (at & 31));
    this.#size--;
    return true;
  }

  clear(): void {
    this.#words = NONE;
    this.#full = NONE;
    this.#size = 0;
  }

  /** The first number from `packetId` on that is not in the set; above 65,535 if all identifiers from there are. */
  absentFrom(packetId: number): number {
    const first = packetId >>> 5;
    const absent = ~(this.#words[first] ?? 0) & (-1 << (packetId & 31));
    if (absent !== 0) return (first << 5) + lowestBit(absent);
    const at = this.#notFullFrom(first + 1);
    return (at << 5) + lowestBit(~(this.#words[at] ?? 0));
  }

  /** The first word from `at` on that is not full; words behind the bitmap are empty. */
  #notFullFrom(at: number): number {
    let group = at >>> 5;
    let notFull = ~(this.#full[group] ?? 0) & (-1 << (at & 31));
    while (notFull === 0) notFull = ~(this.#full[++group] ?? 0);
    return (group << 5) + lowestBit(notFull);
  }

  #grow(length: number): void {
    let size = Math.max(SMALLEST, this.#words.length);
    while (size < length) size *= 2;
    const words = new Uint32Array(size);
    words.set(this.#words);
    this.#words = words;
    const full = new Uint32Array(Math.ceil(size / 32));
    full.set(this.#full);
    this.#full = full;
  }
}

/** The position of the lowest bit of `bits`, which is not 0. */
function lowestBit(bits: number): number {
  return 31 - Math.clz32(bits & -bits);
}
