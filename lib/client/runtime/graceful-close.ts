import type { Transport } from '../../transport/transport.ts';
import type { Clock, Wake } from './clock.ts';

/** How long a connection may take to close, in ms. */
const TIMEOUT = 1_000;

/**
 * The close of a connection that another one replaces. The server has to read all of it before the next connection opens,
 * or it takes that for a takeover. What still arrives is read, so that the transport sees the server close. A connection
 * that does not close in time is destroyed.
 */
export class GracefulClose {
  readonly #transport: Transport;
  readonly #wake: Wake;
  readonly #onClosed: () => void;
  #state: 'open' | 'closed' = 'open';
  #resolve: () => void = () => {};
  /** Resolves when the connection is closed. */
  readonly over: Promise<void>;

  constructor(transport: Transport, clock: Clock, onClosed: () => void) {
    this.#transport = transport;
    this.#onClosed = onClosed;
    this.over = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    this.#wake = clock.wakeAt(clock.now() + TIMEOUT, () => {
      transport.destroy();
      // A stream with `emitClose: false` never reports its close: everything would wait for it.
      this.closed();
    });
  }

  /** Reads on and closes, after what was written. */
  begin(): void {
    this.#transport.resume();
    this.#transport.end();
  }

  /** The transport is closed. Of no effect the second time. */
  closed(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#wake.cancel();
    this.#onClosed();
    this.#resolve();
  }
}
