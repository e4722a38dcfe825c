import { describe, expect, it } from '@jest/globals';
import { isFull, isUnclaimed } from '../../lib/engine/delivery.ts';

describe('the result of a delivery', () => {
  it.each([
    ['taken', false, false],
    ['taken-full', false, true],
    ['acknowledge', true, false],
    ['acknowledge-full', true, true],
  ] as const)('%s: unclaimed %p, full %p', (delivery, unclaimed, full) => {
    expect([isUnclaimed(delivery), isFull(delivery)]).toEqual([unclaimed, full]);
  });
});
