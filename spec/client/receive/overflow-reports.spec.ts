import { describe, expect, it } from '@jest/globals';
import { OverflowReports } from '../../../lib/client/receive/overflow-reports.ts';
import type { Subscription } from '../../../lib/client/receive/subscription.ts';
import { FakeClock } from '../../support/fake-clock.ts';

function rig() {
  const clock = new FakeClock();
  const told: [string, number][] = [];
  const [a, b] = [
    { name: 'a', dropped: 0 },
    { name: 'b', dropped: 0 },
  ];
  const overflows = new OverflowReports(clock, {
    report(event) {
      if (event.type !== 'overflow') throw new Error(event.type);
      told.push([(event.subscription as unknown as typeof a).name, event.dropped]);
    },
  });
  const drop = (one: typeof a): void => {
    one.dropped++;
    overflows.dropped(one as unknown as Subscription);
  };
  return { clock, told, overflows, a, b, drop };
}

describe('dropped messages', () => {
  it('are reported at once, then once a second and subscription with the number so far', async () => {
    const { clock, told, a, b, drop } = rig();
    for (let i = 0; i < 1_000; i++) drop(a);
    drop(b);
    expect(told).toEqual([
      ['a', 1],
      ['b', 1],
    ]);
    await clock.advance(999);
    expect(told).toHaveLength(2);
    await clock.advance(1);
    expect(told.slice(2)).toEqual([['a', 1_000]]);
    drop(a);
    drop(b);
    expect(told.slice(3)).toEqual([['b', 2]]);
    await clock.advance(1_000);
    expect(told.slice(4)).toEqual([['a', 1_001]]);
    await clock.advance(2_000);
    expect([told.length, clock.armed]).toEqual([5, 0]);
  });

  it('leave no timer when the client has ended', async () => {
    const { clock, told, overflows, a, drop } = rig();
    drop(a);
    drop(a);
    overflows.stop();
    expect(clock.armed).toBe(0);
    await clock.advance(5_000);
    expect(told).toEqual([['a', 1]]);
  });
});
