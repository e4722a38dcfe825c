/** Listeners that are called whenever something may have changed. */
export class Notifier {
  #listeners: Set<() => void> | undefined = undefined;

  /** Calls `listener` from now on. Returns what ends that. */
  add(listener: () => void): () => void {
    const listeners = (this.#listeners ??= new Set());
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }

  notify(): void {
    if (this.#listeners !== undefined) for (const listener of this.#listeners) listener();
  }
}
