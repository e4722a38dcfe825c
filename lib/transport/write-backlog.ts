/** Written bytes that the network has not accepted yet. */

import { setImmediate } from 'node:timers';
import type { Flushed } from './transport.ts';

/** The destination of written bytes. */
interface ByteSink {
  /** Sends `bytes`. Calls `done` after it has returned, when the bytes have left or never will. */
  send(bytes: Uint8Array, done: () => void): void;
  /** Whether all bytes have left, so that nobody refers to their memory any more. */
  isEmpty(): boolean;
  /** The backlog is empty again. */
  onDrain(): void;
}

/** Counts the writes that the network did not accept at once, until they are done. */
export class WriteBacklog {
  readonly #sink: ByteSink;
  #count = 0;
  #bytes = 0;

  constructor(sink: ByteSink) {
    this.#sink = sink;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Implements `Transport.write` for a transport that is up. */
  write(bytes: Uint8Array, written: (bytes: Uint8Array, flushed?: Flushed) => void): void {
    // Read now: if the owner transfers the memory away, against the contract, `bytes.length` becomes 0.
    const { length } = bytes;
    let isPending = false;
    let flushed: Flushed = 'at-once';
    this.#sink.send(bytes, () => {
      if (!isPending) return;
      this.#bytes -= length;
      this.#count--;
      written(bytes, flushed);
      if (this.#count === 0) this.#sink.onDrain();
    });
    if (this.#sink.isEmpty()) {
      written(bytes);
      return;
    }
    isPending = true;
    this.#count++;
    this.#bytes += length;
    // TLS reports late that the network accepted bytes at once, but within two turns of the event loop.
    setImmediate(() => {
      setImmediate(() => {
        flushed = 'later';
      });
    });
  }
}
