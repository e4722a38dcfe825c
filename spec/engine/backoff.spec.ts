import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { backoffDelay } from '../../lib/engine/backoff.ts';

describe('backoffDelay', () => {
  it('goes from minDelay to maxDelay by its factor', () => {
    const backoff = { minDelay: 1_000, maxDelay: 120_000, factor: 2, jitter: 0 };
    const delays = [0, 1, 2, 6, 7, 1_000_000].map((attempt) => backoffDelay(backoff, attempt, 0));
    expect(delays).toEqual([1_000, 2_000, 4_000, 64_000, 120_000, 120_000]);
  });

  it('peers P16 stays within the jitter around the delay, for any attempt', () => {
    const backoff = fc.record({
      minDelay: fc.nat(10_000),
      maxDelay: fc.integer({ min: 10_000, max: 1_000_000 }),
      factor: fc.double({ min: 1, max: 10, noNaN: true }),
      jitter: fc.double({ min: 0, max: 1, noNaN: true }),
    });
    const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    fc.assert(
      fc.property(backoff, fc.nat(2_000), chance, (options, attempt, random) => {
        const delay = backoffDelay(options, attempt, random);
        const middle = backoffDelay({ ...options, jitter: 0 }, attempt, random);
        expect(middle).toBeLessThanOrEqual(options.maxDelay);
        expect(middle).toBeGreaterThanOrEqual(options.minDelay);
        expect(Math.abs(delay - middle)).toBeLessThanOrEqual(middle * options.jitter + 1e-6);
      }),
    );
  });

  it('is a number for ever with minDelay 0', () => {
    expect(backoffDelay({ minDelay: 0, maxDelay: 10, factor: 10, jitter: 0.2 }, 5_000, 0.5)).toBe(0);
  });
});
