/**
 * Memory for packets that are handed out one by one. An ArrayBuffer of its own for each costs more than encoding it,
 * so small packets share one, as Node's Buffers do; no byte of it is ever given out twice.
 */

const POOL = 8 * 1024;

/** Up to this size an engine keeps the bytes of a typed array on its heap, which is as cheap as sharing. */
const ON_HEAP = 64;

/** Larger packets would leave too much of a pool unused. */
const LARGEST_SHARED = POOL / 8;

let pool = new ArrayBuffer(0);
let used = 0;

/** @returns zeroed bytes that nothing else refers to; their ArrayBuffer may be larger than they are */
export function memoryFor(size: number): Uint8Array {
  if (size <= ON_HEAP || size > LARGEST_SHARED) return new Uint8Array(size);
  // Of a length of 0 also when someone transferred it away.
  if (used + size > pool.byteLength) {
    pool = new ArrayBuffer(POOL);
    used = 0;
  }
  const from = used;
  used += size;
  return new Uint8Array(pool, from, size);
}
