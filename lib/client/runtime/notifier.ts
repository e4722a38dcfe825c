/** Whoever waits for something of a client that says of itself only that it may have changed. */
export class Notifier {
  readonly #looks = new Set<() => void>();

  /** Calls `look` from now on. Returns what ends that. */
  add(notify: () => void): () => void {
    this.#looks.add(notify);
    return () => void this.#looks.delete(notify);
  }

  /** Something may have changed. */
  look(): void {
    for (const look of this.#looks) look();
  }
}
