import { markAsUntransferable } from 'node:worker_threads';
import { SLAB_SIZE, type SlabPool } from '../../connection/outbox.ts';

/** Memory to read into. It cannot be transferred, because several payloads are views of it. */
export function allocate(size: number): Uint8Array {
  const bytes = new Uint8Array(Buffer.allocUnsafeSlow(size).buffer);
  markAsUntransferable(bytes.buffer);
  return bytes;
}

/** How many free slabs are kept for reuse. */
const SPARE = 8;

/** Slabs for output. An idle client holds none. */
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

  /** `piece` was written. If it is part of a slab, the slab is free. */
  give(piece: Uint8Array): void {
    if (piece.buffer.byteLength !== SLAB_SIZE || !this.#ours.has(piece.buffer)) return;
    if (this.#spare.length < SPARE) this.#spare.push(new Uint8Array(piece.buffer));
  }
}

/** Shared by all clients of the process. */
export const slabs: Slabs = new Slabs();
