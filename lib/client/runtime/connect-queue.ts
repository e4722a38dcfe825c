/** Runs connecting operations one at a time, in order. An operation must not wait for another one that is queued here. */
export class ConnectQueue {
  /** Resolves when the last operation has ended; undefined if none runs. */
  #last: Promise<void> | undefined = undefined;
  #aborted = new AbortController();

  /**
   * Runs `operation` after those before it. `abort()` rejects with its reason operations that have not begun, and aborts the
   * signal of the one that runs. The next one begins only when that has ended.
   */
  run<T>(operation: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { signal } = this.#aborted;
    const begin = (): Promise<T> => {
      signal.throwIfAborted();
      return operation(signal);
    };
    const turn = this.#last?.then(begin) ?? begin();
    const ended = (): void => {
      if (this.#last === last) this.#last = undefined;
    };
    const last = turn.then(ended, ended);
    this.#last = last;
    return turn;
  }

  abort(reason: unknown): void {
    this.#aborted.abort(reason);
    this.#aborted = new AbortController();
  }
}
