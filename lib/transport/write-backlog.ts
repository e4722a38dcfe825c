/** What was handed to the network and has not left yet: the bookkeeping of `Transport.write`. */

import { setImmediate } from 'node:timers';
import type { Flushed } from './transport.ts';

/** Where bytes are handed over. */
export interface ByteSink {
  /** Hands `bytes` over; calls `done`, not before it has returned, when they have left or never will. */
  send(bytes: Uint8Array, done: () => void): void;
  /** Whether nothing that was handed over is still here: then nobody has a reference to any of it. */
  isEmpty(): boolean;
  /** All that was held back is done. */
  drained(): void;
}

/** Writes that the network did not take at once and has not finished yet. */
export class WriteBacklog {
  readonly #sink: ByteSink;
  #count = 0;
  #bytes = 0;

  constructor(sink: ByteSink) {
    this.#sink = sink;
  }

  /** Bytes that are held back. */
  get bytes(): number {
    return this.#bytes;
  }

  /** See `Transport.write`, for a transport that is up. */
  write(bytes: Uint8Array, written: (bytes: Uint8Array, taken?: Flushed) => void): void {
    // Whoever owns the bytes may transfer them away meanwhile, against the contract: then they have no length.
    const { length } = bytes;
    let isHeld = false;
    let taken: Flushed = 'at-once';
    this.#sink.send(bytes, () => {
      if (!isHeld) return;
      this.#bytes -= length;
      this.#finished(bytes, written, taken);
    });
    if (this.#sink.isEmpty()) {
      written(bytes);
      return;
    }
    isHeld = true;
    this.#count++;
    this.#bytes += length;
    // Who says late what the network took at once, as TLS does, says it before the event loop has come round twice.
    setImmediate(() => {
      setImmediate(() => {
        taken = 'later';
      });
    });
  }

  #finished(bytes: Uint8Array, written: (bytes: Uint8Array, taken: Flushed) => void, taken: Flushed): void {
    this.#count--;
    written(bytes, taken);
    if (this.#count === 0) this.#sink.drained();
  }
}
