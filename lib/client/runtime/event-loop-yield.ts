import { setImmediate } from 'node:timers';

/** Bytes written without a pause after which a caller that awaits each message yields to the event loop. */
const YIELD_BYTES = 1_048_576;

/** Lets the network be read while a loop awaits messages that are published at once. */
export class EventLoopYield {
  #bytes = 0;
  #pending: Promise<void> | undefined = undefined;

  /** hot: `bytes` more were written. Returns `true`, or a promise that resolves after the event loop has gone on. */
  written(bytes: number): true | Promise<void> {
    this.#bytes += bytes;
    return this.#bytes < YIELD_BYTES ? true : this.#next();
  }

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
