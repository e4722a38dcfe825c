/** Bytes of a large payload that are handed to the transport at once, at first and on a slow link. */
export const SMALLEST_SLICE = 262_144;

/** ms in which a slice leaves on a quick link. */
const QUICK = 100;
/** ms from which on a link counts as slow. */
const SLOW = 500;

/**
 * How much of a large payload is handed to the transport at once. On a slow link a large payload takes longer than Keep
 * Alive: each slice that has left shows that the connection is alive. On a quick link small slices only cost CPU time.
 */
export class Slices {
  /** Bytes of a slice. */
  size: number = SMALLEST_SLICE;
  /** Slices do not grow beyond this: what the transport takes in one write. */
  largest: number = SMALLEST_SLICE;

  /** hot: a piece of output has left, `ms` after it was handed to the transport. */
  flushed(piece: Uint8Array, ms: number): void {
    if (piece.length < this.size) return;
    if (ms > SLOW) this.size = SMALLEST_SLICE;
    else if (ms < QUICK && this.size < this.largest) this.size *= 2;
  }
}
