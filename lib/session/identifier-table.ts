const SMALLEST = 32;
const LARGEST = 65_536;

/**
 * Packet Identifier → value, in an array indexed by the low bits of the identifier. Identifiers in use lie close together,
 * as they are given out in turn. If two would share a slot, the array grows; with 65,536 slots none can.
 */
export class IdentifierTable<T extends { readonly packetId: number }> {
  #slots: (T | undefined)[] = Array.from<T | undefined>({ length: SMALLEST });
  #mask = SMALLEST - 1;
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
    this.#slots = Array.from<T | undefined>({ length: SMALLEST });
    this.#mask = SMALLEST - 1;
    this.#size = 0;
  }

  *values(): Generator<T, void, undefined> {
    for (const value of this.#slots) if (value !== undefined) yield value;
  }

  #grow(): void {
    const values = [...this.values()];
    let length = this.#slots.length;
    do length *= 2;
    while (length < LARGEST && !fits(values, length - 1));
    this.#mask = length - 1;
    this.#slots = Array.from<T | undefined>({ length });
    for (const value of values) this.#slots[value.packetId & this.#mask] = value;
  }
}

function fits(values: readonly { readonly packetId: number }[], mask: number): boolean {
  return new Set(values.map(({ packetId }) => packetId & mask)).size === values.length;
}
