/** Bytes of one Correlation Data: too many to be guessed by another client, or to be made twice. */
const SIZE = 16;
/** Random bytes are fetched for so many at once. */
const AT_ONCE = 64;

let pool = new Uint8Array(0);
let used = 0;

/** Random bytes that no other request has. They are never overwritten. */
export function randomCorrelation(): Uint8Array {
  if (used === pool.length) {
    pool = crypto.getRandomValues(new Uint8Array(SIZE * AT_ONCE));
    used = 0;
  }
  used += SIZE;
  return pool.subarray(used - SIZE, used);
}

/** A text that is equal for equal bytes only. */
export function correlationKey(bytes: Uint8Array): string {
  return viewOf(bytes).toString('latin1');
}

/** Random bytes as one level of a Topic Name. */
export function randomLevel(): string {
  return viewOf(randomCorrelation()).toString('hex');
}

/** The form of {@link randomLevel}. */
export const RANDOM_LEVEL: RegExp = /^[0-9a-f]{32}$/;

function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}
