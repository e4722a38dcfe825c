/**
 * Connecting operations take turns: one at a time, first come first served. SUBSCRIBE and UNSUBSCRIBE never enter it,
 * and nothing that runs in it may wait for something else in it.
 */
export class ConnectQueue {
  /** Resolves when the last operation has ended; undefined where none runs. */
  #last: Promise<void> | undefined = undefined;
  #aborted = new AbortController();

  /**
   * Runs `operation` when those before it are done. Rejects with the reason of `abort()`, if that comes first: what has
   * not begun never begins, what runs is told through its signal and still has to end before the next one begins.
   */
  run<T>(operation: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { signal } = this.#aborted;
    const begin = (): Promise<T> => {
      signal.throwIfAborted();
      return operation(signal);
    };
    const turn = this.#last?.then(begin) ?? begin();
    const over = (): void => {
      if (this.#last === last) this.#last = undefined;
    };
    const last = turn.then(over, over);
    this.#last = last;
    return turn;
  }

  /** Ends what runs and what waits here. */
  abort(reason: unknown): void {
    this.#aborted.abort(reason);
    this.#aborted = new AbortController();
  }
}
