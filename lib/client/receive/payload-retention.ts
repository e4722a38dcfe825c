import { copyOf } from '../../bytes.ts';

/** Of the memory a payload is in, the share that has to be used before payloads are left where they are. */
const DENSE = 1 / 16;

/** Memory of this size and less is that of many packets, in bytes. */
const LARGE = 131_072;

/**
 * Keeps payloads that wait. A view keeps all the memory it points into alive. So the first payloads in a piece of memory
 * are copied, and only once a sixteenth of it waits here, the rest is left where it is: what is kept alive is never more
 * than sixteen times what waits, and a burst is hardly ever copied. Where what stays is `scattered` over all that came, as
 * with the latest of each topic, a small payload is always copied.
 */
export class PayloadRetention {
  readonly #what: 'all in turn' | 'scattered';
  /** What the last payload was in, and how many bytes of payload are still to be copied out of it. */
  #memory: Uint8Array | undefined = undefined;
  #toCopy = 0;

  constructor(what: 'all in turn' | 'scattered' = 'all in turn') {
    this.#what = what;
  }

  /** hot: what to keep in place of `payload`. `memory`: what that is a view into. */
  retain(payload: Uint8Array, memory: Uint8Array): Uint8Array {
    // The memory of a large packet is that packet's own: there is nothing to remember it for, and it may be very large.
    if (memory.length > LARGE && payload.length >= memory.length * DENSE) return payload;
    if (memory !== this.#memory) {
      this.#memory = memory;
      this.#toCopy = memory.length * DENSE;
    }
    if (this.#toCopy <= 0) return payload;
    if (this.#what === 'all in turn') this.#toCopy -= payload.length;
    return payload.length >= memory.length * DENSE ? payload : copyOf(payload);
  }
}
