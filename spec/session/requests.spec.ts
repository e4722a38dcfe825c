import assert from 'node:assert/strict';
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import type { SubscriptionRequest } from '../../lib/codec/packets.ts';
import { portableText } from '../../lib/codec/text.ts';
import { TimeoutError } from '../../lib/errors.ts';
import type { RequestLimits } from '../../lib/session/request-queue.ts';
import { Request, type RequestPacket, RequestPart } from '../../lib/session/request.ts';
import { Requests } from '../../lib/session/requests.ts';
import { Waiter } from '../support/recorder.ts';

const resultOf = (topicFilter: string, reasonCode: number) => ({ topicFilter, reasonCode });

const ENTRIES = ['a', 'b'].map((topicFilter) => ({ topicFilter, qos: 1 as const }));

describe('Request', () => {
  it('is done with the Reason Code of its last entry, and tells its waiter once', () => {
    const waiter = new Waiter();
    const request = new Request('subscribe', ENTRIES, undefined, waiter);
    expect(request.answer(1, resultOf('b', 0x87), 'server')).toBe(false);
    expect(waiter.told).toBe(0);
    expect(request.answer(0, resultOf('a', 1), 'server')).toBe(true);
    request.fail(new TimeoutError('late'));
    expect(waiter).toMatchObject({ told: 1, reasonCodes: [1, 0x87], error: undefined });
  });

  it('names the Topic Filters that the quarantine gave up', () => {
    const told: string[][] = [];
    const request = new Request('subscribe', ENTRIES, undefined, {
      answered: (_, givenUp) => void told.push([...givenUp]),
      failed() {},
    });
    request.answer(0, resultOf('a', 1), 'server');
    request.answer(1, resultOf('b', 0x80), 'quarantine');
    expect(told).toEqual([['b']]);
  });
});

describe('RequestPart', () => {
  it('matches an entry with the same options, and of an UNSUBSCRIBE the same Topic Filter', () => {
    const [entry] = ENTRIES as [(typeof ENTRIES)[0]];
    const make = (kind: 'subscribe' | 'unsubscribe') => new Request(kind, [entry], undefined, undefined);
    const subscribe = new RequestPart(make('subscribe'), entry);
    expect(subscribe.matches(make('subscribe'), entry)).toBe(true);
    expect(subscribe.matches(make('subscribe'), { ...entry, qos: 2 })).toBe(false);
    expect(subscribe.matches(make('subscribe'), { ...entry, retainHandling: 2 })).toBe(false);
    expect(subscribe.matches(make('unsubscribe'), entry)).toBe(false);
    const unsubscribe = new RequestPart(make('unsubscribe'), entry);
    expect(unsubscribe.matches(make('unsubscribe'), { ...entry, qos: 2 })).toBe(true);
  });

  it('does not match a second entry of the same request', () => {
    const request = new Request('subscribe', ENTRIES, undefined, undefined);
    const part = new RequestPart(request, ENTRIES[0]!);
    part.requests.set(request, 0);
    expect(part.matches(request, ENTRIES[0]!)).toBe(false);
  });
});

const NO_LIMITS = { filters: 0, bytes: 0 };

type Kind = 'subscribe' | 'unsubscribe';

function newRequest(
  kind: Kind,
  filters: readonly (string | SubscriptionRequest)[],
  properties?: [string, string][],
) {
  const waiter = new Waiter();
  const entries = filters.map((one) =>
    typeof one === 'string' ? { topicFilter: one, qos: 1 as const } : one,
  );
  return { request: new Request(kind, entries, properties, waiter), waiter };
}

function filtersOf(parts: readonly RequestPart[]): string[] {
  return parts.map((part) => part.entry.topicFilter);
}

/** Everything that can go now, by the filters of its packets. */
function planned(requests: Requests, limits: RequestLimits = NO_LIMITS): string[][] {
  return requests.queue.takePackets(limits, 100, portableText).map(filtersOf);
}

/** Everything that can go now is sent, under Packet Identifiers from `packetId` on. */
function send(requests: Requests, packetId = 1, now = 0, timeout = 100): RequestPacket[] {
  return requests.queue
    .takePackets(NO_LIMITS, 100, portableText)
    .map((parts, i) => requests.sent(packetId + i, parts, now, timeout));
}

function answer(requests: Requests, packet: RequestPacket, reasonCode = 1): void {
  requests.end(packet);
  for (const part of packet.parts) {
    requests.endPart(part, 'granted');
    requests.answer(part, reasonCode);
  }
}

describe('Requests', () => {
  it('answers each call once, and sends calls on one Topic Filter in their order', () => {
    const filters = fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd', 'e'), { minLength: 1, maxLength: 4 });
    const kind = fc.constantFrom<Kind>('subscribe', 'unsubscribe');
    const qos = fc.constantFrom(0 as const, 1 as const);
    const action = fc.constantFrom('ask', 'ask', 'send', 'answer', 'lose');
    const step = fc.record({ what: action, kind, filters, qos });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60, size: 'max' }), fc.nat(3), (script, maximum) => {
        const requests = new Requests();
        const waiters: Waiter[] = [];
        /** By Topic Filter: the calls, and the packets that the server got; equal ones in a row once. */
        const asked = new Map<string, string[]>();
        const told = new Map<string, string[]>();
        const note = (where: Map<string, string[]>, filter: string, what: string): void => {
          const line = where.get(filter) ?? [];
          if (line.at(-1) !== what) where.set(filter, [...line, what]);
        };
        const inWords = (one: Kind, entry: SubscriptionRequest) =>
          one === 'subscribe' ? `${entry.qos}` : 'none';
        let packetId = 0;
        const sent = new Map<number, RequestPacket>();
        const sendAll = (): boolean => {
          const packets = requests.queue.takePackets({ filters: maximum, bytes: 0 }, 2, portableText);
          for (const parts of packets) {
            assert.equal(new Set(parts.map((part) => part.kind)).size, 1);
            assert.equal(new Set(filtersOf(parts)).size, parts.length);
            if (maximum > 0) assert.ok(parts.length <= maximum);
            sent.set(++packetId, requests.sent(packetId, parts, 0, 0));
          }
          return packets.length > 0;
        };
        const answerOne = (): boolean => {
          const [packet] = sent.values();
          if (packet === undefined) return false;
          sent.delete(packet.packetId);
          for (const { kind: one, entry } of packet.parts) note(told, entry.topicFilter, inWords(one, entry));
          answer(requests, packet);
          return true;
        };
        for (const one of script) {
          if (one.what === 'send') sendAll();
          else if (one.what === 'answer') answerOne();
          else if (one.what === 'lose') {
            assert.deepEqual(requests.connectionLost(), [...sent.keys()]);
            sent.clear();
          } else {
            const entries = one.filters.map((topicFilter) => ({ topicFilter, qos: one.qos }));
            for (const entry of entries) note(asked, entry.topicFilter, inWords(one.kind, entry));
            const { request: made, waiter } = newRequest(one.kind, entries);
            waiters.push(waiter);
            requests.add(made);
          }
        }
        while (sendAll() || answerOne());
        assert.equal(requests.queue.size, 0);
        for (const waiter of waiters) assert.equal(waiter.told, 1);
        assert.deepEqual(told, asked);
      }),
      { numRuns: 100 },
    );
  });

  it('keeps the order of requests on one Topic Filter without waiting for acknowledgements', () => {
    const requests = new Requests();
    requests.add(newRequest('subscribe', ['a']).request);
    requests.add(newRequest('unsubscribe', ['a', 'b']).request);
    requests.add(newRequest('subscribe', ['a', 'c']).request);
    requests.add(newRequest('subscribe', ['c']).request);
    expect(planned(requests)).toEqual([['a'], ['a', 'b'], ['a', 'c']]);
  });

  it('sends waiting requests that ask for the same only once', () => {
    const requests = new Requests();
    const same = [1, 2, 3].map(() => newRequest('subscribe', ['a']));
    const other = newRequest('subscribe', [{ topicFilter: 'a', qos: 2 }]);
    for (const one of [...same, other]) requests.add(one.request);
    const packets = send(requests);
    expect(packets.map(({ parts }) => filtersOf(parts))).toEqual([['a'], ['a']]);
    const late = newRequest('subscribe', [{ topicFilter: 'a', qos: 2 }]);
    requests.add(late.request);
    expect(planned(requests)).toEqual([['a']]);
    answer(requests, packets[0]!, 1);
    expect(same.map(({ waiter }) => waiter.reasonCodes)).toEqual([[1], [1], [1]]);
    expect([other.waiter.told, late.waiter.told]).toEqual([0, 0]);
  });

  it('does not merge requests across an UNSUBSCRIBE, nor within one call', () => {
    const requests = new Requests();
    requests.add(newRequest('subscribe', ['a']).request);
    requests.add(newRequest('unsubscribe', ['a', 'a']).request);
    requests.add(newRequest('subscribe', ['a']).request);
    expect(planned(requests)).toEqual([['a'], ['a'], ['a'], ['a']]);
  });

  it('keeps a part while one of its requests still waits', () => {
    const requests = new Requests();
    const [gone, staying] = [newRequest('subscribe', ['a', 'b']), newRequest('subscribe', ['a'])];
    requests.add(gone.request);
    requests.add(staying.request);
    requests.withdraw(gone.request);
    expect(planned(requests)).toEqual([['a']]);
  });

  it('takes requests that are late, counted from their first sending on any connection', () => {
    const requests = new Requests();
    const late = newRequest('subscribe', ['a', 'b']);
    const young = newRequest('subscribe', ['c']);
    requests.add(late.request);
    send(requests, 1, 0, 100);
    requests.add(young.request);
    requests.connectionLost();
    expect(requests.nextDue).toBe(100);
    send(requests, 1, 50, 100);
    expect([requests.takeLate(99), requests.nextDue]).toEqual([[], 100]);
    expect(requests.takeLate(100)).toEqual([late.request]);
    expect(requests.nextDue).toBe(150);
    expect(requests.get(1)).toBeDefined();
    requests.connectionLost();
    expect(planned(requests)).toEqual([['c']]);
  });

  it('does not send a request again whose caller no longer waits', () => {
    const requests = new Requests();
    const { request: gone } = newRequest('subscribe', ['a', 'b']);
    requests.add(gone);
    send(requests);
    requests.withdraw(gone);
    expect([requests.queue.size, requests.isAwaited]).toEqual([0, false]);
    expect(requests.connectionLost()).toEqual([1]);
    expect(requests.queue.size).toBe(0);
  });

  it('sends unacknowledged parts again before newer ones', () => {
    const requests = new Requests();
    requests.add(newRequest('subscribe', ['a']).request);
    send(requests);
    requests.add(newRequest('subscribe', ['b']).request);
    requests.addFirst(newRequest('subscribe', ['first']).request);
    requests.connectionLost();
    expect(planned(requests)).toEqual([['a', 'first', 'b']]);
  });

  it('restores a subscription with a waiting SUBSCRIBE on the same Topic Filter', () => {
    const requests = new Requests();
    const newer = newRequest('subscribe', [{ topicFilter: 'a', qos: 2 }]);
    requests.add(newer.request);
    const waiter = new Waiter();
    const entries = ['a', 'b'].map((topicFilter) => ({ topicFilter, qos: 0 as const }));
    requests.addFirst(new Request('subscribe', entries, undefined, waiter, 'restore'));
    expect(requests.queue.restoring()).toEqual(new Set(['b', 'a']));
    requests.withdraw(newer.request);
    const [packet] = send(requests);
    expect(packet!.parts.map(({ entry }) => entry.qos)).toEqual([0, 2]);
    answer(requests, packet!, 0x87);
    expect(waiter.reasonCodes).toEqual([0x87, 0x87]);
    expect(requests.nextDue).toBe(Infinity);
  });

  it('knows which acknowledgement decides on a Topic Filter, in any order', () => {
    const requests = new Requests();
    const on = (packet: RequestPacket) => packet.parts[0]!;
    for (const kind of ['subscribe', 'unsubscribe', 'subscribe'] as const)
      requests.add(newRequest(kind, ['a']).request);
    const [first, second, third] = send(requests).map(on);
    expect(requests.endPart(second!, 'granted')).toBe(true);
    expect(requests.endPart(first!, 'granted')).toBe(false);
    expect(requests.endPart(third!, 'granted')).toBe(true);
    requests.add(newRequest('subscribe', ['a']).request);
    requests.add(newRequest('unsubscribe', ['a']).request);
    const [one, two] = send(requests, 4).map(on);
    expect(requests.endPart(two!, 'refused')).toBe(false);
    expect(requests.endPart(one!, 'granted')).toBe(true);
  });

  it('takeAll() returns every request once, on the wire or waiting', () => {
    const requests = new Requests();
    const one = newRequest('subscribe', ['a', 'b']);
    const two = newRequest('unsubscribe', ['c']);
    requests.add(one.request);
    send(requests);
    requests.add(two.request);
    const all = requests.takeAll();
    expect(all).toEqual([one.request, two.request]);
    for (const asked of all) asked.fail(new TimeoutError('x'));
    expect([one.waiter.told, two.waiter.told]).toEqual([1, 1]);
    expect([requests.takeAll(), requests.queue.size, requests.nextDue]).toEqual([[], 0, Infinity]);
  });
});

describe('packets of requests', () => {
  it('hold the requests of one kind, in their order', () => {
    const requests = new Requests();
    requests.add(newRequest('subscribe', ['a', 'b']).request);
    requests.add(newRequest('unsubscribe', ['c']).request);
    requests.add(newRequest('subscribe', ['d']).request);
    expect(planned(requests)).toEqual([['a', 'b', 'd'], ['c']]);
  });

  it('never mix requests with different User Properties', () => {
    const requests = new Requests();
    requests.add(newRequest('subscribe', ['a'], [['k', 'v']]).request);
    requests.add(newRequest('subscribe', ['a', 'b'], [['k', 'w']]).request);
    expect(planned(requests)).toEqual([['a'], ['a', 'b']]);
  });

  it('count Topic Filters and User Properties against the limit of bytes', () => {
    const fits = (properties: [string, string][] | undefined): number => {
      const requests = new Requests();
      requests.add(newRequest('subscribe', ['aaaaaaaa', 'bbbbbbbb', 'cccccccc'], properties).request);
      return planned(requests, { filters: 0, bytes: 50 })[0]!.length;
    };
    expect(fits(undefined)).toBe(3);
    expect(fits([['name', 'value']])).toBe(1);
    expect(fits([['long', 'x'.repeat(100)]])).toBe(1);
  });

  it('are taken up to a number; the rest stays, in its order', () => {
    const requests = new Requests();
    requests.add(newRequest('subscribe', ['a']).request);
    requests.add(newRequest('unsubscribe', ['a']).request);
    requests.add(newRequest('subscribe', ['a']).request);
    expect(requests.queue.takePackets(NO_LIMITS, 2, portableText)).toHaveLength(2);
    expect(requests.queue.size).toBe(1);
    expect(requests.queue.takePackets(NO_LIMITS, 0, portableText)).toEqual([]);
    expect(planned(requests)).toEqual([['a']]);
  });

  it('takeSubscriptions() removes SUBSCRIBEs that pass a test, and no UNSUBSCRIBE', () => {
    const requests = new Requests();
    requests.add(newRequest('subscribe', ['a/#', 'b']).request);
    requests.add(newRequest('unsubscribe', ['c/#']).request);
    expect(filtersOf(requests.queue.takeSubscriptions((filter) => filter.endsWith('#')))).toEqual(['a/#']);
    expect(requests.queue.size).toBe(2);
  });
});

describe('suspect requests', () => {
  /** `count` filters that were on the wire of `losses` connections that were lost. */
  function suspects(count: number, losses = 2) {
    const requests = new Requests();
    requests.add(
      newRequest(
        'subscribe',
        Array.from({ length: count }, (_, i) => `${i}`),
      ).request,
    );
    const [parts] = requests.queue.takePackets(NO_LIMITS, 1, portableText);
    requests.sent(1, parts!, 0, 0);
    for (const part of parts!) part.losses = losses;
    requests.connectionLost();
    return requests;
  }

  it('wait with the requests behind them on the same Topic Filter, and delay no others', () => {
    const requests = suspects(2);
    requests.add(newRequest('unsubscribe', ['1', '2']).request);
    requests.add(newRequest('subscribe', ['3']).request);
    expect(planned(requests)).toEqual([['2'], ['3']]);
    expect([requests.queue.hasSuspects, requests.queue.size]).toEqual([true, 3]);
  });

  it.each([
    [1, 1],
    [16, 1],
    [17, 2],
    [10_000, 625],
  ])('of %d go out %d at a time', (count, together) => {
    const requests = suspects(count);
    expect(requests.queue.takeSuspects(NO_LIMITS, 100, portableText).flat()).toHaveLength(together);
    expect(suspects(count).queue.takeSuspects({ filters: 1, bytes: 0 }, 100, portableText)).toHaveLength(1);
  });

  it('are no longer suspect after a connection was lost without them', () => {
    const requests = suspects(2);
    requests.queue.clearSuspects();
    expect([requests.queue.hasSuspects, planned(requests)]).toEqual([false, [['0', '1']]]);
  });

  it('that were lost more often come first, in smaller groups', () => {
    const requests = suspects(100);
    const parts = requests.queue.takeSuspects(NO_LIMITS, 100, portableText).flat();
    requests.sent(9, parts, 0, 0);
    for (const part of parts) part.losses++;
    requests.connectionLost();
    expect(parts).toHaveLength(7);
    expect(filtersOf(requests.queue.takeSuspects(NO_LIMITS, 100, portableText).flat())).toEqual(['0']);
  });
});
