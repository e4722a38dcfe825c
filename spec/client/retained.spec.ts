import { describe, expect, it } from '@jest/globals';
import { RetainedCopies } from '../../lib/client/retained.ts';
import type { Subscription } from '../../lib/client/subscription.ts';
import { SubscriptionRig } from './subscription-rig.ts';

function rig() {
  const time = { now: 1_000 };
  const copies = new RetainedCopies(() => time.now);
  const subscribe = (): Subscription => {
    const { subscription } = new SubscriptionRig();
    copies.asked(subscription);
    return subscription;
  };
  return { time, copies, subscribe };
}

describe('a copy with RETAIN 1', () => {
  it('is for the subscription that has not had it yet, before its SUBACK and after', () => {
    const { copies, subscribe } = rig();
    const one = subscribe();
    copies.granted(one);
    expect(copies.of('a', [one])).toEqual([one]);
    const other = subscribe();
    expect(copies.of('a', [one, other])).toEqual([other]);
    copies.granted(other);
    expect(copies.of('b', [one, other])).toEqual([one, other]);
  });

  it('is for everybody where nobody awaits it, or all have had it', () => {
    const { time, copies, subscribe } = rig();
    const [one, other] = [subscribe(), subscribe()];
    for (const subscription of [one, other]) copies.granted(subscription);
    copies.of('a', [one, other]);
    expect(copies.of('a', [one, other])).toEqual([one, other]);
    time.now += 20_001;
    expect(copies.of('a', [one, other])).toEqual([one, other]);
  });

  it('is not for one that has been there for long, where another has just come', () => {
    const { time, copies, subscribe } = rig();
    const one = subscribe();
    copies.granted(one);
    time.now += 10_001;
    const other = subscribe();
    expect(copies.of('a', [one, other])).toEqual([other]);
  });

  it('is awaited as long as others keep coming, however slow the link is', () => {
    const { time, copies, subscribe } = rig();
    const one = subscribe();
    copies.granted(one);
    for (const topicName of ['a', 'b', 'c']) {
      time.now += 9_000;
      copies.of(topicName, [one]);
    }
    const other = subscribe();
    expect(copies.of('d', [one, other])).toEqual([one, other]);
  });

  it('comes to all anew when the server has lost the session', () => {
    const { copies, subscribe } = rig();
    const [one, other] = [subscribe(), subscribe()];
    for (const subscription of [one, other]) copies.granted(subscription);
    copies.of('a', [one]);
    copies.restored();
    expect(copies.of('a', [one, other])).toEqual([one, other]);
  });

  it('is for everybody with Retain As Published, where the flag says nothing of why it has come', () => {
    const { copies, subscribe } = rig();
    const one = subscribe();
    copies.of('a', [one]);
    const other = subscribe();
    Object.assign(other, { entries: [{ topicFilter: '#', qos: 1, retainAsPublished: true }] });
    expect(copies.of('a', [one, other])).toEqual([one, other]);
  });

  it('is never kept from anybody for the sake of memory', () => {
    const { copies, subscribe } = rig();
    const one = subscribe();
    for (let n = 0; n <= 10_000; n++) copies.of(`t/${n}`, [one]);
    expect(copies.of('t/10000', [one, subscribe()])).toHaveLength(2);
    copies.left(one);
    expect(copies.of('t/1', [one])).toEqual([one]);
  });
});
