import { describe, expect, it } from '@jest/globals';
import { Traffic } from '../../lib/connection/traffic.ts';

describe('Traffic', () => {
  it('knows how many exchanges were acknowledged, after how long in all, and at the most', () => {
    const traffic = new Traffic();
    for (const ms of [3, 9, 0]) traffic.answeredAfter(ms);
    expect([traffic.answered, traffic.roundTrips, traffic.longestRoundTrip]).toEqual([3, 12, 9]);
  });
});
