import { describe, expect, it } from '@jest/globals';
import { RetainedCopies } from '../../../lib/client/receive/retained-copies.ts';
import type { ClientSubscription } from '../../../lib/client/receive/client-subscription.ts';
import { SubscriptionRig } from './subscription-rig.ts';

const copyOf = (topic: string, text: string) => ({ topic, payload: new TextEncoder().encode(text) });

function rig() {
  const time = { now: 1_000 };
  const all: ClientSubscription[] = [];
  // Every subscription has one filter that matches everything.
  const copies = new RetainedCopies(
    () => time.now,
    (_, counts) => all.filter(counts).length,
  );
  const subscribe = (options: Partial<ClientSubscription['entries'][number]> = {}): ClientSubscription => {
    const { subscription } = new SubscriptionRig();
    Object.assign(subscription, { entries: [{ topicFilter: '#', qos: 1, ...options }] });
    all.push(subscription);
    copies.requested(subscription);
    return subscription;
  };
  const of = (topicName: string, matching: readonly ClientSubscription[] = all, text = topicName) =>
    copies.of(copyOf(topicName, text), matching);
  return { time, copies, all, subscribe, of };
}

describe('a copy with RETAIN 1', () => {
  it('is for the subscription that has not had it yet, before its SUBACK and after', () => {
    const { copies, subscribe, of } = rig();
    const one = subscribe();
    copies.granted(one);
    expect(of('a')).toEqual([one]);
    const other = subscribe();
    expect(of('a')).toEqual([other]);
    copies.granted(other);
    expect(of('b')).toEqual([one, other]);
  });

  it('that arrives once for each SUBSCRIBE goes to each subscription once', () => {
    const { copies, all, subscribe, of } = rig();
    for (let n = 0; n < 5; n++) subscribe();
    expect(of('a')).toEqual(all);
    for (const subscription of all) copies.granted(subscription);
    for (let n = 1; n < 5; n++) expect(of('a')).toEqual([]);
    expect(of('b')).toEqual(all);
  });

  it('is for all if no SUBSCRIBE explains it: a server that sets RETAIN on all messages loses nothing', () => {
    const { subscribe, of } = rig();
    const all = [subscribe(), subscribe()];
    expect(of('a')).toEqual(all);
    expect(of('a')).toEqual([]);
    expect(of('a')).toEqual(all);
    expect(of('a')).toEqual(all);
  });

  it('with other content is for all', () => {
    const { subscribe, of } = rig();
    const all = [subscribe(), subscribe(), subscribe()];
    expect(of('a', all, '1')).toEqual(all);
    expect(of('a', all, '2')).toEqual(all);
  });

  it('is for all if none awaits one', () => {
    const { time, copies, subscribe, of } = rig();
    const all = [subscribe(), subscribe()];
    for (const subscription of all) copies.granted(subscription);
    of('a');
    time.now += 20_001;
    expect(of('a')).toEqual(all);
    expect(of('a')).toEqual(all);
  });

  it('is not for an old subscription when a new one awaits it', () => {
    const { time, copies, subscribe, of } = rig();
    const one = subscribe();
    copies.granted(one);
    time.now += 10_001;
    const others = [subscribe(), subscribe()];
    expect(of('a')).toEqual(others);
    expect(of('a')).toEqual([]);
  });

  it('is awaited as long as others arrive, however slow the link is', () => {
    const { time, copies, subscribe, of } = rig();
    const one = subscribe();
    copies.granted(one);
    for (const topicName of ['a', 'b', 'c']) {
      time.now += 9_000;
      of(topicName);
    }
    const other = subscribe();
    expect(of('d')).toEqual([one, other]);
  });

  it('is for all again when the server has lost the session', () => {
    const { time, copies, all, subscribe, of } = rig();
    subscribe();
    subscribe();
    for (const subscription of all) copies.granted(subscription);
    of('a');
    time.now += 60_000;
    for (const subscription of all) copies.restored(subscription);
    expect([of('a'), of('a')]).toEqual([all, []]);
  });

  it('is awaited by a subscription without SUBACK after the session was lost', () => {
    const { time, copies, subscribe, of } = rig();
    const one = subscribe();
    copies.restored(one);
    time.now += 60_000;
    const other = subscribe();
    expect(of('a')).toEqual([one, other]);
  });

  it('is for all with Retain As Published, as the flag does not say why it was sent', () => {
    const { subscribe, of } = rig();
    const all = [subscribe(), subscribe({ retainAsPublished: true })];
    expect([of('a'), of('a')]).toEqual([all, all]);
  });

  it('is not for a subscription that wants no retained messages, if another awaits it', () => {
    const { subscribe, of } = rig();
    const one = subscribe();
    subscribe({ retainHandling: 2 });
    expect(of('a')).toEqual([one]);
  });

  it('is never lost to save memory', () => {
    const { copies, all, subscribe, of } = rig();
    const one = subscribe();
    for (let n = 0; n <= 100_000; n++) of(`t/${n}`);
    expect(of('t/100000', [...all, subscribe()])).toHaveLength(2);
    copies.removed(one);
    expect(of('t/1', [one])).toEqual([one]);
  });
});
