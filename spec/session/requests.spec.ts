import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { portableText } from '../../lib/codec/text.ts';
import { TimeoutError } from '../../lib/errors.ts';
import { type Part, Request, type RequestPacket, Requests } from '../../lib/session/requests.ts';
import { Waiter } from '../support/recorder.ts';

const NO_LIMITS = { filters: 0, bytes: 0 };

function request(kind: 'subscribe' | 'unsubscribe', filters: string[], properties?: [string, string][]) {
  const waiter = new Waiter();
  const entries = filters.map((topicFilter) => ({ topicFilter, qos: 1 as const }));
  return { request: new Request(kind, entries, properties, waiter), waiter };
}

function filtersOf(parts: readonly Part[]): string[] {
  return parts.map((part) => part.entry.topicFilter);
}

function answer(requests: Requests, packet: RequestPacket): void {
  requests.end(packet);
  for (const part of packet.parts) part.request.answer(part.index, 1);
}

describe('Requests', () => {
  it('has every part answered or waiting, and none sent on a filter that is busy', () => {
    const filters = fc.array(fc.constantFrom('a', 'b', 'c', 'd', 'e'), { minLength: 1, maxLength: 4 });
    const step = fc.oneof(
      fc.tuple(fc.constantFrom('subscribe' as const, 'unsubscribe' as const), filters),
      fc.tuple(
        fc.constantFrom('send' as const, 'answer' as const, 'lose' as const),
        fc.constant<string[]>([]),
      ),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60, size: 'max' }), fc.nat(3), (script, maximum) => {
        const requests = new Requests();
        const waiters: Waiter[] = [];
        let packetId = 0;
        const send = (): boolean => {
          const parts = requests.nextParts({ filters: maximum, bytes: 0 }, portableText);
          if (parts.length === 0) return false;
          const kinds = new Set(parts.map((part) => part.request.kind));
          expect(kinds.size).toBe(1);
          if (maximum > 0) expect(parts.length).toBeLessThanOrEqual(maximum);
          const busy = [...sent.values()].flatMap((p) => filtersOf(p.parts));
          for (const filter of filtersOf(parts)) expect(busy).not.toContain(filter);
          expect(new Set(filtersOf(parts)).size).toBe(parts.length);
          requests.sent(++packetId, parts, 0);
          sent.set(packetId, requests.get(packetId) as RequestPacket);
          return true;
        };
        const sent = new Map<number, RequestPacket>();
        const answerOne = (): boolean => {
          const [packet] = sent.values();
          if (packet === undefined) return false;
          sent.delete(packet.packetId);
          answer(requests, packet);
          return true;
        };
        for (const [what, given] of script) {
          if (what === 'send') send();
          else if (what === 'answer') answerOne();
          else if (what === 'lose') {
            expect(new Set(requests.connectionLost())).toEqual(new Set(sent.keys()));
            sent.clear();
          } else {
            const { request: asked, waiter } = request(what, given);
            waiters.push(waiter);
            requests.add(asked);
          }
        }
        while (send() || answerOne());
        expect(requests.waiting).toBe(0);
        for (const waiter of waiters) expect(waiter.told).toBe(1);
      }),
      { numRuns: 50 },
    );
  });

  it('puts those of one kind into one packet, in their order', () => {
    const requests = new Requests();
    requests.add(request('subscribe', ['a', 'b']).request);
    requests.add(request('unsubscribe', ['c']).request);
    requests.add(request('subscribe', ['d']).request);
    expect(filtersOf(requests.nextParts(NO_LIMITS, portableText))).toEqual(['a', 'b', 'd']);
    expect(filtersOf(requests.nextParts(NO_LIMITS, portableText))).toEqual(['c']);
  });

  it('lets those on the same filter take turns', () => {
    const requests = new Requests();
    requests.add(request('subscribe', ['a']).request);
    requests.add(request('unsubscribe', ['a', 'b']).request);
    requests.add(request('subscribe', ['a', 'b']).request);
    requests.sent(1, requests.nextParts(NO_LIMITS, portableText), 0);
    expect(filtersOf(requests.nextParts(NO_LIMITS, portableText))).toEqual(['b']);
    answer(requests, requests.get(1) as RequestPacket);
    const next = requests.nextParts(NO_LIMITS, portableText);
    expect(next.map((part) => part.request.kind)).toEqual(['unsubscribe']);
    expect(filtersOf(next)).toEqual(['a']);
  });

  it('keeps requests with other User Properties apart', () => {
    const requests = new Requests();
    requests.add(request('subscribe', ['a'], [['k', 'v']]).request);
    requests.add(request('subscribe', ['b'], [['k', 'w']]).request);
    expect(filtersOf(requests.nextParts(NO_LIMITS, portableText))).toEqual(['a']);
    expect(filtersOf(requests.nextParts(NO_LIMITS, portableText))).toEqual(['b']);
  });

  it('counts filters and User Properties against the limit of bytes', () => {
    const fits = (properties: [string, string][] | undefined): number => {
      const requests = new Requests();
      requests.add(request('subscribe', ['aaaaaaaa', 'bbbbbbbb', 'cccccccc'], properties).request);
      return requests.nextParts({ filters: 0, bytes: 50 }, portableText).length;
    };
    expect(fits(undefined)).toBe(3);
    expect(fits([['name', 'value']])).toBe(1);
    expect(fits([['long', 'x'.repeat(100)]])).toBe(1);
  });

  it('takes out the SUBSCRIBEs that a test says yes to, and no UNSUBSCRIBE', () => {
    const requests = new Requests();
    requests.add(request('subscribe', ['a/#', 'b']).request);
    requests.add(request('unsubscribe', ['c/#']).request);
    expect(filtersOf(requests.takeSubscriptions((filter) => filter.endsWith('#')))).toEqual(['a/#']);
    expect(requests.waiting).toBe(2);
  });

  it('gives up what is late, and frees its filters but not its identifier', () => {
    const requests = new Requests();
    const late = request('subscribe', ['a', 'b']);
    const young = request('subscribe', ['c']);
    requests.add(late.request);
    requests.sent(1, requests.nextParts({ filters: 1, bytes: 0 }, portableText), 100);
    requests.add(young.request);
    expect(requests.nextDue).toBe(100);
    expect(requests.takeLate(99)).toEqual(new Set());
    expect(requests.takeLate(100)).toEqual(new Set([late.request]));
    expect(requests.nextDue).toBe(Infinity);
    expect(requests.waiting).toBe(1);
    expect(requests.get(1)).toBeDefined();
    requests.add(request('subscribe', ['a']).request);
    expect(filtersOf(requests.nextParts(NO_LIMITS, portableText))).toEqual(['c', 'a']);
  });

  it('does not send again what nobody waits for any more', () => {
    const requests = new Requests();
    const { request: gone } = request('subscribe', ['a', 'b']);
    requests.add(gone);
    requests.sent(1, requests.nextParts({ filters: 1, bytes: 0 }, portableText), 0);
    gone.waiter = undefined;
    requests.withdraw(gone);
    expect(requests.waiting).toBe(0);
    expect(requests.connectionLost()).toEqual([1]);
    expect(requests.waiting).toBe(0);
  });

  it('sends unanswered parts again before newer ones', () => {
    const requests = new Requests();
    requests.add(request('subscribe', ['a']).request);
    requests.sent(1, requests.nextParts(NO_LIMITS, portableText), 0);
    requests.add(request('subscribe', ['b']).request);
    requests.addFirst(request('subscribe', ['first']).request);
    expect(requests.awaiting()).toEqual(new Set(['first', 'b']));
    requests.connectionLost();
    expect(filtersOf(requests.nextParts(NO_LIMITS, portableText))).toEqual(['a', 'first', 'b']);
  });

  it('gives all back once, on the wire or waiting', () => {
    const requests = new Requests();
    const one = request('subscribe', ['a', 'b']);
    const two = request('unsubscribe', ['c']);
    requests.add(one.request);
    requests.add(two.request);
    requests.sent(1, requests.nextParts({ filters: 1, bytes: 0 }, portableText), 5);
    const all = requests.takeAll();
    expect(all).toEqual(new Set([one.request, two.request]));
    for (const asked of all) asked.fail(new TimeoutError('x'));
    expect([one.waiter.told, two.waiter.told]).toEqual([1, 1]);
    expect(requests.takeAll().size).toBe(0);
    expect(requests.nextDue).toBe(Infinity);
  });
});
