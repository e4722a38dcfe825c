import type { BufferPressure as Held } from '../../engine/options.ts';

/** Buffers that never drop a message: the client reads nothing from the network while one of them is full. */
export class BufferPressure implements Held {
  readonly #limit: number;
  readonly #onRoom: () => void;
  #full = 0;
  #bytes = 0;

  /** `limit`: bytes they may hold whatever is awaited (`receiveBuffer`); `onRoom`: none of them is full any more. */
  constructor(limit: number, onRoom: () => void) {
    this.#limit = limit;
    this.#onRoom = onRoom;
  }

  /** Whether they hold so much that only the last resort can have more come. */
  get isExhausted(): boolean {
    return this.#bytes >= this.#limit;
  }

  get full(): number {
    return this.#full;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** A buffer holds so many bytes more, or less. */
  count(bytes: number): void {
    this.#bytes += bytes;
  }

  /** A buffer is full. */
  filled(): void {
    this.#full++;
  }

  /** A buffer that was full has room. */
  emptied(): void {
    this.#full--;
    if (this.#full === 0) this.#onRoom();
  }
}
