import { copyOf } from '../../bytes.ts';

/** The share of a piece of memory that has to be in use before payloads stay views into it. */
const DENSE = 1 / 16;

/** Memory up to this size, in bytes, holds many packets; larger memory holds a single one. */
const LARGE = 131_072;

/**
 * Decides which waiting payloads are copied. A view keeps all the memory that it points into alive. So the first payloads
 * in a piece of memory are copied, until a sixteenth of it waits; later ones stay views. The memory kept alive is then at
 * most sixteen times the size of the waiting payloads, and few payloads of a burst are copied. If the payloads that remain
 * are `scattered` over many pieces of memory, as with the latest message of each topic, every small payload is copied.
 */
export class PayloadRetention {
  readonly #pattern: 'in-order' | 'scattered';
  /** The memory of the last payload, and how many bytes of payload are still to be copied out of it. */
  #memory: Uint8Array | undefined = undefined;
  #toCopy = 0;

  constructor(pattern: 'in-order' | 'scattered' = 'in-order') {
    this.#pattern = pattern;
  }

  /** hot: returns `payload`, or a copy of it. `memory`: what it is a view into. */
  retain(payload: Uint8Array, memory: Uint8Array): Uint8Array {
    // A large packet has memory of its own, which may be very large: it is not remembered.
    if (memory.length > LARGE && payload.length >= memory.length * DENSE) return payload;
    if (memory !== this.#memory) {
      this.#memory = memory;
      this.#toCopy = memory.length * DENSE;
    }
    if (this.#toCopy <= 0) return payload;
    if (this.#pattern === 'in-order') this.#toCopy -= payload.length;
    return payload.length >= memory.length * DENSE ? payload : copyOf(payload);
  }
}
