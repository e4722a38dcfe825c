/** A power of two. */
const SMALLEST = 16;

/** The items of an empty ring: shared, never written to. */
const NONE = Array.from<undefined>({ length: 1 });

/**
 * A first-in, first-out queue in a circular array that grows. Per item nothing is moved or allocated, and a ring that
 * was never used has no array.
 */
export class Ring<T> {
  #items: (T | undefined)[] = NONE;
  /** How many items there is room for, less 1. */
  #mask = -1;
  #head = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(item: T): void {
    if (this.#length > this.#mask) this.#grow();
    this.#items[(this.#head + this.#length) & this.#mask] = item;
    this.#length++;
  }

  unshift(item: T): void {
    if (this.#length > this.#mask) this.#grow();
    this.#head = (this.#head - 1) & this.#mask;
    this.#items[this.#head] = item;
    this.#length++;
  }

  peek(): T | undefined {
    return this.#items[this.#head];
  }

  /** The item `place` behind the front. */
  at(place: number): T | undefined {
    return place < this.#length ? this.#items[(this.#head + place) & this.#mask] : undefined;
  }

  shift(): T | undefined {
    if (this.#length === 0) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head] = undefined;
    this.#head = (this.#head + 1) & this.#mask;
    this.#length--;
    return item;
  }

  /** Removes and returns the oldest item that passes `test`. Cheap near the front. */
  removeFirst(test: (item: T) => boolean): T | undefined {
    for (let i = 0; i < this.#length; i++) {
      const found = this.#items[(this.#head + i) & this.#mask] as T;
      if (!test(found)) continue;
      for (let j = i; j > 0; j--)
        this.#items[(this.#head + j) & this.#mask] = this.#items[(this.#head + j - 1) & this.#mask];
      this.shift();
      return found;
    }
    return undefined;
  }

  /** Removes and returns all, oldest first. */
  takeAll(): T[] {
    const all = [...this];
    this.clear();
    return all;
  }

  clear(): void {
    this.#items = NONE;
    this.#mask = -1;
    this.#head = 0;
    this.#length = 0;
  }

  filter(keep: (item: T) => boolean): void {
    for (const item of this.takeAll()) if (keep(item)) this.push(item);
  }

  *[Symbol.iterator](): Generator<T, void, undefined> {
    for (let i = 0; i < this.#length; i++) yield this.#items[(this.#head + i) & this.#mask] as T;
  }

  #grow(): void {
    const length = Math.max(SMALLEST, 2 * this.#length);
    const items = Array.from<T | undefined>({ length });
    for (let i = 0; i < this.#length; i++) items[i] = this.#items[(this.#head + i) & this.#mask];
    this.#items = items;
    this.#mask = length - 1;
    this.#head = 0;
  }
}
