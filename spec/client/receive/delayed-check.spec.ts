import { describe, expect, it } from '@jest/globals';
import { DelayedCheck } from '../../../lib/client/receive/delayed-check.ts';
import { FakeClock } from '../../support/fake-clock.ts';

describe('a delayed check', () => {
  it('runs once, and can be scheduled again from the check itself', async () => {
    const clock = new FakeClock();
    let runs = 0;
    const check = new DelayedCheck(clock, () => {
      runs++;
      if (runs === 1) check.schedule(50);
    });
    check.schedule(100);
    check.schedule(10);
    await clock.advance(99);
    expect([runs, check.isPending]).toEqual([0, true]);
    await clock.advance(51);
    expect([runs, check.isPending, clock.armed]).toEqual([2, false, 0]);
  });

  it('does not run once it is cancelled', async () => {
    const clock = new FakeClock();
    let runs = 0;
    const check = new DelayedCheck(clock, () => void runs++);
    check.schedule(100);
    check.cancel();
    await clock.advance(200);
    expect([runs, check.isPending, clock.armed]).toEqual([0, false, 0]);
  });
});
