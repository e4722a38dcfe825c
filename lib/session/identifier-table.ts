const SMALLEST = 32;
const LARGEST = 65_536;

/** The slots of a table that was never used: shared, never written to. */
const NONE = Array.from<undefined>({ length: 1 });

/**
 * Packet Identifier → value, in an array indexed by the low bits of the identifier. Identifiers in use lie close together,
 * as they are given out in turn. If two would share a slot, the array grows; with 65,536 slots none can.
 */
export class IdentifierTable<T extends { readonly packetId: number }> {
  #slots: (T | undefined)[] = NONE;
  #mask = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(packetId: number): T | undefined {
    const value = this.#slots[packetId & this.#mask];
    return value !== undefined && value.packetId === packetId ? value : undefined;
  }

  /** Enters `value` under its Packet Identifier, in place of another one. */
  set(value: T): void {
    if (this.#slots === NONE) this.#grow();
    for (;;) {
      const at = value.packetId & this.#mask;
      const there = this.#slots[at];
      if (there === undefined) this.#size++;
      else if (there.packetId !== value.packetId) {
        this.#grow();
        continue;
      }
      this.#slots[at] = value;
      return;
    }
  }

  /** Removes `value`. Returns whether it was there. */
  delete(value: T): boolean {
    const at = value.packetId & this.#mask;
    if (this.#slots[at] !== value) return false;
    this.#slots[at] = undefined;
    this.#size--;
    return true;
  }

  clear(): void {
    this.#slots = NONE;
    this.#mask = 0;
    this.#size = 0;
  }

  *values(): Generator<T, void, undefined> {
    for (const value of this.#slots) if (value !== undefined) yield value;
  }

  #grow(): void {
    const values = [...this.values()];
    let length = Math.max(SMALLEST, 2 * this.#slots.length);
    while (length < LARGEST && !fits(values, length - 1)) length *= 2;
    this.#mask = length - 1;
    this.#slots = Array.from<T | undefined>({ length });
    for (const value of values) this.#slots[value.packetId & this.#mask] = value;
  }
}

function fits(values: readonly { readonly packetId: number }[], mask: number): boolean {
  return new Set(values.map(({ packetId }) => packetId & mask)).size === values.length;
}
