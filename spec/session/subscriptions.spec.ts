import { describe, expect, it } from '@jest/globals';
import { Subscriptions } from '../../lib/session/subscriptions.ts';

describe('Subscriptions', () => {
  it('v5 MQTT-3.8.4-3, v4 MQTT-3.8.4-3 replaces the options of a Topic Filter that is set again', () => {
    const subscriptions = new Subscriptions();
    subscriptions.set({ topicFilter: 'a', qos: 0 });
    subscriptions.set({ topicFilter: 'b', qos: 1 });
    subscriptions.set({ topicFilter: 'a', qos: 2, noLocal: true });
    expect([...subscriptions.values()]).toEqual([
      { topicFilter: 'a', qos: 2, noLocal: true },
      { topicFilter: 'b', qos: 1 },
    ]);
  });

  it('forgets a filter that is deleted, and ignores an unknown one', () => {
    const subscriptions = new Subscriptions();
    for (const topicFilter of ['a', 'b', 'c']) subscriptions.set({ topicFilter, qos: 1 });
    subscriptions.delete('b');
    subscriptions.delete('unknown');
    expect(Array.from(subscriptions.values(), ({ topicFilter }) => topicFilter)).toEqual(['a', 'c']);
  });
});
