import { describe, expect, it } from '@jest/globals';
import { portableText } from '../../lib/codec/text.ts';
import { Request, type RequestPart } from '../../lib/session/request.ts';
import type { RequestLimits } from '../../lib/session/request-queue.ts';
import { Requests } from '../../lib/session/requests.ts';

const NO_LIMITS = { filters: 0, bytes: 0 };

function request(
  kind: 'subscribe' | 'unsubscribe',
  filters: readonly string[],
  properties?: [string, string][],
): Request {
  const entries = filters.map((topicFilter) => ({ topicFilter, qos: 1 as const }));
  return new Request(kind, entries, properties, undefined);
}

function filtersOf(parts: readonly RequestPart[]): string[] {
  return parts.map((part) => part.entry.topicFilter);
}

/** Everything that can go now, by the filters of its packets. */
function planned(requests: Requests, limits: RequestLimits = NO_LIMITS): string[][] {
  return requests.queue.takePackets(limits, 100, portableText).map(filtersOf);
}

describe('packets of requests', () => {
  it('hold the requests of one kind, in their order', () => {
    const requests = new Requests();
    requests.add(request('subscribe', ['a', 'b']));
    requests.add(request('unsubscribe', ['c']));
    requests.add(request('subscribe', ['d']));
    expect(planned(requests)).toEqual([['a', 'b', 'd'], ['c']]);
  });

  it('never mix requests with different User Properties', () => {
    const requests = new Requests();
    requests.add(request('subscribe', ['a'], [['k', 'v']]));
    requests.add(request('subscribe', ['a', 'b'], [['k', 'w']]));
    expect(planned(requests)).toEqual([['a'], ['a', 'b']]);
  });

  it('count Topic Filters and User Properties against the limit of bytes', () => {
    const fits = (properties: [string, string][] | undefined): number => {
      const requests = new Requests();
      requests.add(request('subscribe', ['aaaaaaaa', 'bbbbbbbb', 'cccccccc'], properties));
      return planned(requests, { filters: 0, bytes: 50 })[0]!.length;
    };
    expect(fits(undefined)).toBe(3);
    expect(fits([['name', 'value']])).toBe(1);
    expect(fits([['long', 'x'.repeat(100)]])).toBe(1);
  });

  it('are taken up to a number; the rest stays, in its order', () => {
    const requests = new Requests();
    requests.add(request('subscribe', ['a']));
    requests.add(request('unsubscribe', ['a']));
    requests.add(request('subscribe', ['a']));
    expect(requests.queue.takePackets(NO_LIMITS, 2, portableText)).toHaveLength(2);
    expect(requests.queue.size).toBe(1);
    expect(requests.queue.takePackets(NO_LIMITS, 0, portableText)).toEqual([]);
    expect(planned(requests)).toEqual([['a']]);
  });

  it('takeSubscriptions() removes SUBSCRIBEs that pass a test, and no UNSUBSCRIBE', () => {
    const requests = new Requests();
    requests.add(request('subscribe', ['a/#', 'b']));
    requests.add(request('unsubscribe', ['c/#']));
    expect(filtersOf(requests.queue.takeSubscriptions((filter) => filter.endsWith('#')))).toEqual(['a/#']);
    expect(requests.queue.size).toBe(2);
  });
});

describe('suspect requests', () => {
  /** `count` filters that were on the wire of `losses` connections that were lost. */
  function suspects(count: number, losses = 2) {
    const requests = new Requests();
    requests.add(
      request(
        'subscribe',
        Array.from({ length: count }, (_, i) => `${i}`),
      ),
    );
    const [parts] = requests.queue.takePackets(NO_LIMITS, 1, portableText);
    requests.sent(1, parts!, 0, 0);
    for (const part of parts!) part.losses = losses;
    requests.connectionLost();
    return requests;
  }

  it('wait with the requests behind them on the same Topic Filter, and delay no others', () => {
    const requests = suspects(2);
    requests.add(request('unsubscribe', ['1', '2']));
    requests.add(request('subscribe', ['3']));
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
    expect(requests.queue.takeSuspects(NO_LIMITS, portableText)).toHaveLength(together);
    expect(suspects(count).queue.takeSuspects({ filters: 1, bytes: 0 }, portableText)).toHaveLength(1);
  });

  it('are no longer suspect after a connection was lost without them', () => {
    const requests = suspects(2);
    requests.queue.clearSuspects();
    expect([requests.queue.hasSuspects, planned(requests)]).toEqual([false, [['0', '1']]]);
  });

  it('that were lost more often come first, in smaller groups', () => {
    const requests = suspects(100);
    const parts = requests.queue.takeSuspects(NO_LIMITS, portableText);
    requests.sent(9, parts, 0, 0);
    for (const part of parts) part.losses++;
    requests.connectionLost();
    expect(parts).toHaveLength(7);
    expect(filtersOf(requests.queue.takeSuspects(NO_LIMITS, portableText))).toEqual(['0']);
  });
});
