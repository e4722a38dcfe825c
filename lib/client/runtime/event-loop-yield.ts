import { setImmediate } from 'node:timers';

/** After so many bytes written without a pause, a caller that awaits each message lets the event loop go on. */
const YIELD_BYTES = 1_048_576;

/** Keeps a loop that awaits what is done at once from keeping the network from being read. */
export class EventLoopYield {
  #bytes = 0;
  #pending: Promise<void> | undefined = undefined;

  /** hot: so many bytes more were written. Returns `true`, or a promise that resolves once the event loop has gone on. */
  written(bytes: number): true | Promise<void> {
    this.#bytes += bytes;
    return this.#bytes < YIELD_BYTES ? true : this.#next();
  }

  /** The event loop has gone on by itself. */
  reset(): void {
    this.#bytes = 0;
  }

  #next(): Promise<void> {
    this.#pending ??= new Promise((resolve) => {
      setImmediate(() => {
        this.#bytes = 0;
        this.#pending = undefined;
        resolve();
      });
    });
    return this.#pending;
  }
}
