import { markAsUntransferable } from 'node:worker_threads';
import { SLAB_SIZE, type SlabPool } from '../../connection/outbox.ts';

/** Memory to read into: untransferable, as payloads are views into it that nobody may take away from the others. */
export function allocate(size: number): Uint8Array {
  const bytes = new Uint8Array(Buffer.allocUnsafeSlow(size).buffer);
  markAsUntransferable(bytes.buffer);
  return bytes;
}

/** How many slabs are kept for reuse. */
const SPARE = 8;

/** Slabs for output, shared by all clients of the process: an idle client holds none. */
export class Slabs implements SlabPool {
  readonly #spare: Uint8Array[] = [];
  readonly #ours = new WeakSet<ArrayBufferLike>();

  take(): Uint8Array {
    const spare = this.#spare.pop();
    if (spare !== undefined) return spare;
    const slab = allocate(SLAB_SIZE);
    this.#ours.add(slab.buffer);
    return slab;
  }

  /** The network is done with `piece`; where it is of a slab, the slab is free. */
  give(piece: Uint8Array): void {
    if (piece.buffer.byteLength !== SLAB_SIZE || !this.#ours.has(piece.buffer)) return;
    if (this.#spare.length < SPARE) this.#spare.push(new Uint8Array(piece.buffer));
  }
}
