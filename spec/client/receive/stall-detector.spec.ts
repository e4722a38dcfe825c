import { describe, expect, it } from '@jest/globals';
import { StallDetector } from '../../../lib/client/receive/stall-detector.ts';
import type { ClientSubscription } from '../../../lib/client/receive/client-subscription.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { SubscriptionRig } from './subscription-rig.ts';

function rig(count: number, timeout = 1_000) {
  const clock = new FakeClock();
  const rigs = Array.from({ length: count }, () => new SubscriptionRig());
  const subscriptions = rigs.map(({ subscription }) => subscription);
  const stalled: number[] = [];
  const starved: number[] = [];
  const state = { isStopped: false };
  const stalling = new StallDetector({
    clock,
    timeout: () => timeout,
    subscriptions: () => subscriptions,
    isStopped: () => state.isStopped,
    starved: (ms) => void starved.push(ms),
    stalled: (subscription: ClientSubscription) => void stalled.push(subscriptions.indexOf(subscription)),
  });
  const come = (to: number): void => {
    rigs[to]?.push('x');
    stalling.arrived();
  };
  return { clock, subscriptions, stalled, starved, state, stalling, come };
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

  it('is told of when the time is over since reading stopped, as nothing can come from then on', async () => {
    const { clock, stalled, stalling, come } = rig(2);
    come(0);
    await clock.advance(300);
    come(0);
    stalling.stopped();
    await clock.advance(500);
    // Nothing has come since it stopped before.
    stalling.stopped();
    await clock.advance(499);
    expect(stalled).toEqual([]);
    await clock.advance(1);
    expect(stalled).toEqual([0]);
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

describe('a loop that waits while so much is unsettled that nothing is read', () => {
  it('is told of, also where its subscription is the only one, for as long as it lasts', async () => {
    const { clock, subscriptions, starved, state, come } = rig(1);
    const messages = subscriptions[0]![Symbol.asyncIterator]();
    come(0);
    await messages.next();
    void messages.next();
    state.isStopped = true;
    await clock.advance(1_999);
    expect(starved).toEqual([]);
    await clock.advance(1);
    expect(starved).toEqual([1_000]);
    await clock.advance(1_000);
    expect(starved).toEqual([1_000, 1_000]);
    state.isStopped = false;
    await clock.advance(2_000);
    expect([starved.length, clock.armed]).toEqual([2, 0]);
  });

  it('is not one that is at work on a message, however long that takes', async () => {
    const { clock, subscriptions, starved, state, come } = rig(1);
    const messages = subscriptions[0]![Symbol.asyncIterator]();
    come(0);
    await messages.next();
    state.isStopped = true;
    await clock.advance(10_000);
    expect(starved).toEqual([]);
  });
});
