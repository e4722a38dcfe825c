import type { BufferPressure as EnginePort } from '../../engine/options.ts';
import { Notifier } from '../runtime/notifier.ts';

/**
 * The buffers that never drop a message. While one of them is full, the client does not read from the network. Notifies
 * when none is full any more.
 */
export class BufferPressure extends Notifier implements EnginePort {
  readonly #limit: number;
  full = 0;
  bytes = 0;

  /** `limit`: the bytes that they may hold in any case (`receiveBuffer`). */
  constructor(limit: number) {
    super();
    this.#limit = limit;
  }

  /** Whether they are at the limit, so that messages only arrive as a last resort. */
  get isExhausted(): boolean {
    return this.bytes >= this.#limit;
  }

  /** A buffer holds `bytes` more, or less if negative. */
  count(bytes: number): void {
    this.bytes += bytes;
  }

  filled(): void {
    this.full++;
  }

  /** A buffer that was full has room again. */
  emptied(): void {
    this.full--;
    if (this.full === 0) this.notify();
  }
}
