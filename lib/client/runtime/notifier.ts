/** Listeners that are called whenever something may have changed. */
export class Notifier {
  readonly #listeners = new Set<() => void>();

  /** Calls `listener` from now on. Returns what ends that. */
  add(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  notify(): void {
    for (const listener of this.#listeners) listener();
  }
}
