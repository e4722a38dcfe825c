/**
 * Memory for encoded packets. One ArrayBuffer per packet costs more than encoding it, so small packets share one, as
 * small Buffers do. No byte of it is ever returned twice.
 */

const POOL = 8 * 1024;

/** Up to this size V8 keeps the bytes of a typed array on its heap, which is as cheap as sharing. */
const ON_HEAP = 64;

/** Larger packets would leave too much of a pool unused. */
const LARGEST_SHARED = POOL / 8;

let pool = new ArrayBuffer(0);
let used = 0;

/** @returns zeroed bytes that nothing else uses; their ArrayBuffer may be larger */
export function memoryFor(size: number): Uint8Array {
  if (size <= ON_HEAP || size > LARGEST_SHARED) return new Uint8Array(size);
  // The length is also 0 after the pool was transferred.
  if (used + size > pool.byteLength) {
    pool = new ArrayBuffer(POOL);
    used = 0;
  }
  const from = used;
  used += size;
  return new Uint8Array(pool, from, size);
}
