import type { Transport } from '../../transport/transport.ts';
import type { Clock, Wake } from './clock.ts';

/** How long a connection may take to close in order, in ms. */
const LONGEST = 1_000;

/**
 * Closes a connection in order: the server has to have seen all of it before the next connection takes its place. What
 * still comes is read, so that its end is seen. A connection that does not close in time is destroyed.
 */
export class GracefulClose {
  readonly #wake: Wake;
  readonly #onClosed: () => void;
  #resolve: () => void = () => {};
  /** Resolves when it is closed. */
  readonly over: Promise<void>;

  constructor(transport: Transport, clock: Clock, onClosed: () => void) {
    this.#onClosed = onClosed;
    this.over = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    this.#wake = clock.wakeAt(clock.now() + LONGEST, () => {
      transport.destroy();
      // A stream that was told to (`emitClose: false`) never says that it is closed: all would wait for it.
      this.closed();
    });
    transport.resume();
    transport.end();
  }

  /** The transport is closed. */
  closed(): void {
    this.#wake.cancel();
    this.#onClosed();
    this.#resolve();
  }
}
