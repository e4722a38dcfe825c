import { describe, expect, it } from '@jest/globals';
import { Slices, SMALLEST_SLICE } from '../../lib/connection/slices.ts';

const LARGEST = 16 * SMALLEST_SLICE;

/** Slices for a transport that takes large writes. */
function large(): Slices {
  const slices = new Slices();
  slices.largest = LARGEST;
  return slices;
}

/** Hands one slice after the other to a link that needs so many ms for each; returns the size of the next. */
function sizeAfter(slices: Slices, times: readonly number[]): number {
  for (const ms of times) slices.flushed(new Uint8Array(slices.size), ms);
  return slices.size;
}

describe('slices of a large payload', () => {
  it('grow to what the transport takes while each leaves within 100 ms', () => {
    const slices = large();
    expect([slices.size, sizeAfter(slices, [0]), sizeAfter(slices, [99])]).toEqual([
      SMALLEST_SLICE,
      2 * SMALLEST_SLICE,
      4 * SMALLEST_SLICE,
    ]);
    expect(sizeAfter(slices, Array(6).fill(0))).toBe(LARGEST);
  });

  it('stay as they are on a link that needs longer, and become small again on a slow one', () => {
    const slices = large();
    expect(sizeAfter(slices, [0, 100, 500])).toBe(2 * SMALLEST_SLICE);
    expect(sizeAfter(slices, [501])).toBe(SMALLEST_SLICE);
  });

  it('stay small for a transport that does not say how much it takes', () => {
    expect(sizeAfter(new Slices(), [0, 0, 0])).toBe(SMALLEST_SLICE);
  });

  it('do not grow by smaller pieces, however quickly they leave', () => {
    const slices = large();
    slices.flushed(new Uint8Array(SMALLEST_SLICE - 1), 0);
    expect(slices.size).toBe(SMALLEST_SLICE);
  });
});
