import { describe, expect, it } from '@jest/globals';
import { DelayedCheck } from '../../../lib/client/receive/delayed-check.ts';
import { StallDetector } from '../../../lib/client/receive/stall-detector.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { SubscriptionRig } from './subscription-rig.ts';

function rig(count: number, timeout = 1_000) {
  const clock = new FakeClock();
  const rigs = Array.from({ length: count }, () => new SubscriptionRig());
  const subscriptions = rigs.map(({ subscription }) => subscription);
  const stalled: number[] = [];
  const starved: number[] = [];
  const state = { isStopped: false };
  const detector = new StallDetector({
    clock,
    configuration: { settings: { engine: { ackStallTimeout: timeout } } },
    router: { subscriptions, has: () => true, matching: () => subscriptions },
    driver: {
      get isReading() {
        return !state.isStopped;
      },
      settle() {},
      starved: () => void starved.push(timeout),
    },
    logger: { warn() {} },
    persistent: true,
    status: {
      report(event) {
        if (event.type !== 'ack-stalled') throw new Error(event.type);
        stalled.push(subscriptions.findIndex((one) => one === event.subscription));
      },
    },
  });
  const come = (to: number): void => {
    rigs[to]?.push('x');
    detector.arrived();
  };
  return { clock, subscriptions, stalled, starved, state, detector, come };
}

describe('a subscription that takes nothing while nothing arrives', () => {
  it('is reported once after the time-out, and again after it has taken something', async () => {
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

  it('is not reported while others get messages, or it takes some', async () => {
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

  it('is reported when the time since reading stopped is over', async () => {
    const { clock, stalled, detector, come } = rig(2);
    come(0);
    await clock.advance(300);
    come(0);
    detector.stopped();
    await clock.advance(500);
    // Nothing has come since it stopped before.
    detector.stopped();
    await clock.advance(499);
    expect(stalled).toEqual([]);
    await clock.advance(1);
    expect(stalled).toEqual([0]);
  });

  it('is not reported if it is the only one, or the time-out is 0', async () => {
    const alone = rig(1);
    alone.come(0);
    const never = rig(2, 0);
    never.come(0);
    await alone.clock.advance(5_000);
    await never.clock.advance(5_000);
    expect([alone.stalled, never.stalled, never.clock.armed]).toEqual([[], [], 0]);
    alone.detector.stop();
    expect(alone.clock.armed).toBe(0);
  });

  it('leaves no timer once all messages are taken', async () => {
    const { clock, subscriptions, come } = rig(2);
    come(0);
    await subscriptions[0]?.receive();
    expect(clock.armed).toBe(1);
    await clock.advance(1_000);
    expect(clock.armed).toBe(0);
  });
});

describe('a loop that waits while too many unsettled messages have stopped the reading', () => {
  it('is reported in each period, also if its subscription is the only one', async () => {
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

  it('is not reported while it works on a message, however long that takes', async () => {
    const { clock, subscriptions, starved, state, come } = rig(1);
    const messages = subscriptions[0]![Symbol.asyncIterator]();
    come(0);
    await messages.next();
    state.isStopped = true;
    await clock.advance(10_000);
    expect(starved).toEqual([]);
  });
});

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
