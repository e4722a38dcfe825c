import { describe, expect, it } from '@jest/globals';
import { Traffic } from '../../lib/connection/traffic.ts';

describe('Traffic', () => {
  it('counts acknowledged messages and their round trips', () => {
    const traffic = new Traffic();
    for (const ms of [3, 9, 0]) traffic.answeredAfter(ms);
    expect([traffic.answered, traffic.roundTrips, traffic.longestRoundTrip]).toEqual([3, 12, 9]);
  });
});
