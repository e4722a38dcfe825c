/** Whoever waits for something of a client that says of itself only that it may have changed. */
export class Watchers {
  readonly #looks = new Set<() => void>();

  /** Calls `look` from now on. Returns what ends that. */
  add(look: () => void): () => void {
    this.#looks.add(look);
    return () => void this.#looks.delete(look);
  }

  /** Something may have changed. */
  look(): void {
    for (const look of this.#looks) look();
  }
}
