import { describe, expect, it } from '@jest/globals';
import { Stalling } from '../../lib/client/stalling.ts';
import type { Subscription } from '../../lib/client/subscription.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { SubscriptionRig } from './subscription-rig.ts';

function rig(count: number, timeout = 1_000) {
  const clock = new FakeClock();
  const rigs = Array.from({ length: count }, () => new SubscriptionRig());
  const subscriptions = rigs.map(({ subscription }) => subscription);
  const stalled: number[] = [];
  const stalling = new Stalling({
    clock,
    timeout: () => timeout,
    subscriptions: () => subscriptions,
    stalled: (subscription: Subscription) => void stalled.push(subscriptions.indexOf(subscription)),
  });
  const come = (to: number): void => {
    rigs[to]?.push('x');
    stalling.arrived();
  };
  return { clock, subscriptions, stalled, stalling, come };
}

describe('a subscription that takes nothing while nothing comes', () => {
  it('is told of when the time is over, once, and again after it has taken something', async () => {
    const { clock, subscriptions, stalled, come } = rig(2);
    come(0);
    come(0);
    await clock.advance(999);
    expect(stalled).toEqual([]);
    await clock.advance(5_000);
    expect(stalled).toEqual([0]);
    await subscriptions[0]?.receive();
    await clock.advance(1_000);
    expect(stalled).toEqual([0]);
    await clock.advance(1_000);
    expect(stalled).toEqual([0, 0]);
  });

  it('is left alone while others get something, or it takes something', async () => {
    const { clock, subscriptions, stalled, come } = rig(2);
    for (let n = 0; n < 5; n++) come(0);
    await clock.advance(500);
    come(1);
    await clock.advance(500);
    expect(stalled).toEqual([]);
    await subscriptions[0]?.receive();
    await subscriptions[1]?.receive();
    await clock.advance(1_000);
    expect(stalled).toEqual([]);
  });

  it('is left alone where it is the only one, or the time is 0', async () => {
    const alone = rig(1);
    alone.come(0);
    const never = rig(2, 0);
    never.come(0);
    await alone.clock.advance(5_000);
    await never.clock.advance(5_000);
    expect([alone.stalled, never.stalled, never.clock.armed]).toEqual([[], [], 0]);
    alone.stalling.stop();
    expect(alone.clock.armed).toBe(0);
  });

  it('is not waited for once all is taken', async () => {
    const { clock, subscriptions, come } = rig(2);
    come(0);
    await subscriptions[0]?.receive();
    expect(clock.armed).toBe(1);
    await clock.advance(1_000);
    expect(clock.armed).toBe(0);
  });
});
