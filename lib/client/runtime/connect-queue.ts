/** Aborts an operation. A signal is expensive: the platform makes it when it is first read. */
type Turn = Pick<AbortController, 'signal'>;

/** Runs connecting operations one at a time, in order. An operation must not wait for another one that is queued here. */
export class ConnectQueue {
  /** Resolves when the last operation has ended; undefined if none runs. */
  #last: Promise<void> | undefined = undefined;
  #turn = new AbortController();

  /**
   * Runs `operation` after those before it. `abort()` rejects with its reason operations that have not begun, and aborts the
   * signal of the one that runs. The next one begins only when that has ended.
   */
  run<T>(operation: (turn: Turn) => Promise<T>): Promise<T> {
    const turn = this.#turn;
    const begin = (): Promise<T> => {
      if (turn !== this.#turn) turn.signal.throwIfAborted();
      return operation(turn);
    };
    const result = this.#last?.then(begin) ?? begin();
    const ended = (): void => {
      if (this.#last === last) this.#last = undefined;
    };
    const last = result.then(ended, ended);
    this.#last = last;
    return result;
  }

  abort(reason: unknown): void {
    const turn = this.#turn;
    this.#turn = new AbortController();
    turn.abort(reason);
  }
}
