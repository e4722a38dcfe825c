import { FIRST_SLAB_SIZE, SLAB_SIZE, type SlabPool } from '../../connection/outbox.ts';

/** Memory to read into. It cannot be transferred, because several payloads are views of it. */
export function allocate(size: number): Uint8Array {
  const bytes = new Uint8Array(Buffer.allocUnsafeSlow(size).buffer);
  protect(bytes);
  return bytes;
}

let markAsUntransferable: ((object: object) => void) | undefined = undefined;

/** Keeps the memory of `bytes` from being transferred. The module for it takes long to load, and is not needed to import. */
export function protect({ buffer }: Uint8Array): void {
  markAsUntransferable ??= process.getBuiltinModule('node:worker_threads').markAsUntransferable;
  markAsUntransferable(buffer);
}

/** How many free slabs are kept for reuse: large ones and first ones. */
const SPARE = 8;
const SPARE_FIRST = 64;

/** Slabs for output. An idle client holds none. */
export class Slabs implements SlabPool {
  readonly #spare: Uint8Array[] = [];
  readonly #spareFirst: Uint8Array[] = [];
  readonly #ours = new WeakSet<ArrayBufferLike>();

  take(size: number = SLAB_SIZE): Uint8Array {
    const spare = size === SLAB_SIZE ? this.#spare.pop() : this.#spareFirst.pop();
    if (spare !== undefined) return spare;
    const slab = allocate(size);
    this.#ours.add(slab.buffer);
    return slab;
  }

  /** `piece` was written. If it is part of a slab, the slab is free. */
  give({ buffer }: Uint8Array): void {
    const size = buffer.byteLength;
    if ((size !== SLAB_SIZE && size !== FIRST_SLAB_SIZE) || !this.#ours.has(buffer)) return;
    const [spare, most] = size === SLAB_SIZE ? [this.#spare, SPARE] : [this.#spareFirst, SPARE_FIRST];
    if (spare.length < most) spare.push(new Uint8Array(buffer));
  }
}

/** Shared by all clients of the process. */
export const slabs: Slabs = new Slabs();
