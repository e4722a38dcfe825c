import { describe, expect, it } from '@jest/globals';
import { Subscriptions } from '../../lib/session/subscriptions.ts';

describe('Subscriptions', () => {
  it('v5 MQTT-3.8.4-3, v4 MQTT-3.8.4-3 replaces the options of a filter that comes again, and adds none', () => {
    const subscriptions = new Subscriptions();
    subscriptions.set({ topicFilter: 'a', qos: 0 });
    subscriptions.set({ topicFilter: 'b', qos: 1 });
    subscriptions.set({ topicFilter: 'a', qos: 2, noLocal: true });
    expect(subscriptions.size).toBe(2);
    expect(subscriptions.get('a')).toEqual({ topicFilter: 'a', qos: 2, noLocal: true });
    expect(Array.from(subscriptions.values(), ({ topicFilter }) => topicFilter)).toEqual(['a', 'b']);
  });

  it('forgets one, or all', () => {
    const subscriptions = new Subscriptions();
    for (const topicFilter of ['a', 'b', 'c']) subscriptions.set({ topicFilter, qos: 1 });
    subscriptions.delete('b');
    subscriptions.delete('unknown');
    expect(subscriptions.get('b')).toBeUndefined();
    expect(subscriptions.size).toBe(2);
    subscriptions.clear();
    expect([...subscriptions.values()]).toEqual([]);
  });
});
