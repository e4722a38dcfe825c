import { describe, expect, it } from '@jest/globals';
import { portableText } from '../../lib/codec/text.ts';
import { Request, type SubscriptionEntry } from '../../lib/session/request.ts';
import { Requests } from '../../lib/session/requests.ts';

/*
 * SUBSCRIBE with Subscription Identifiers: one holds for the whole packet (3.8.2.1.2).
 */

const IDENTIFIED = { filters: 0, bytes: 0, identifiers: 'one per filter' } as const;

const entry = (topicFilter: string, identifier?: number): SubscriptionEntry => ({
  topicFilter,
  qos: 1,
  identifier,
});

function asked(kind: 'subscribe' | 'unsubscribe', ...entries: SubscriptionEntry[]): Requests {
  const requests = new Requests();
  requests.add(new Request(kind, entries, undefined, { answered() {}, failed() {} }));
  return requests;
}

const filtersOf = (packets: ReturnType<Requests['queue']['takePackets']>): string[][] =>
  packets.map((parts) => parts.map((part) => part.entry.topicFilter));

describe('a SUBSCRIBE with a Subscription Identifier', () => {
  it('v5 U-3.8.2-a holds one Topic Filter; those without share a packet', () => {
    const requests = asked('subscribe', entry('a', 1), entry('b', 2), entry('c'), entry('d'), entry('e', 3));
    expect(filtersOf(requests.queue.takePackets(IDENTIFIED, 100, portableText))).toEqual([
      ['a'],
      ['b'],
      ['c', 'd'],
      ['e'],
    ]);
  });

  it('shares a packet with others where the server has no identifiers', () => {
    const requests = asked('subscribe', entry('a', 1), entry('b', 2));
    expect(filtersOf(requests.queue.takePackets({ filters: 0, bytes: 0 }, 100, portableText))).toEqual([
      ['a', 'b'],
    ]);
  });

  it('does not keep UNSUBSCRIBE from holding many', () => {
    const requests = asked('unsubscribe', entry('a', 1), entry('b', 2));
    expect(filtersOf(requests.queue.takePackets(IDENTIFIED, 100, portableText))).toEqual([['a', 'b']]);
  });

  it('fits into the limit of bytes, which counts the identifier', () => {
    const requests = asked('subscribe', entry('a'.repeat(30)), entry('b'.repeat(30)));
    const limits = { ...IDENTIFIED, bytes: 16 + 2 * 33 };
    expect(requests.queue.takePackets(limits, 100, portableText)).toHaveLength(1);
  });

  it('is taken up to the number of free Packet Identifiers; the rest stays', () => {
    const requests = asked('subscribe', entry('a', 1), entry('b', 2), entry('c', 3));
    expect(filtersOf(requests.queue.takePackets(IDENTIFIED, 2, portableText))).toEqual([['a'], ['b']]);
    expect(filtersOf(requests.queue.takePackets(IDENTIFIED, 2, portableText))).toEqual([['c']]);
  });

  it('is requested separately from the same filter with another identifier, or with another QoS without one', () => {
    const requests = asked('subscribe', entry('a', 1));
    for (const other of [entry('a', 2), { ...entry('a', 2), qosWithoutIdentifier: 2 as const }])
      requests.add(new Request('subscribe', [other], undefined, undefined));
    expect(filtersOf(requests.queue.takePackets(IDENTIFIED, 9, portableText))).toEqual([['a'], ['a'], ['a']]);
  });

  it('that is suspect goes out in groups all the same, as many packets as there are filters', () => {
    const entries = Array.from({ length: 40 }, (_, n) => entry(`${n}`, n + 1));
    const suspects = (): Requests => {
      const requests = asked('subscribe', ...entries);
      const parts = requests.queue.takePackets(IDENTIFIED, 100, portableText).flat();
      for (const part of parts) part.losses = 2;
      requests.queue.replaceAll(parts);
      return requests;
    };
    expect(filtersOf(suspects().queue.takeSuspects(IDENTIFIED, 100, portableText))).toEqual([
      ['0'],
      ['1'],
      ['2'],
    ]);
    expect(filtersOf(suspects().queue.takeSuspects(IDENTIFIED, 2, portableText))).toEqual([['0'], ['1']]);
    expect(suspects().queue.takeSuspects(IDENTIFIED, 0, portableText)).toEqual([]);
  });
});
