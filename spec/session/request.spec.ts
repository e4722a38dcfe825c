import { describe, expect, it } from '@jest/globals';
import { TimeoutError } from '../../lib/errors.ts';
import { Request, RequestPart } from '../../lib/session/request.ts';
import { Waiter } from '../support/recorder.ts';

const entries = ['a', 'b'].map((topicFilter) => ({ topicFilter, qos: 1 as const }));

describe('Request', () => {
  it('is done with the Reason Code of its last entry, and tells its waiter once', () => {
    const waiter = new Waiter();
    const request = new Request('subscribe', entries, undefined, waiter);
    expect(request.answer(1, 0x87, 'server')).toBe(false);
    expect(waiter.told).toBe(0);
    expect(request.answer(0, 1, 'server')).toBe(true);
    request.fail(new TimeoutError('late'));
    expect(waiter).toMatchObject({ told: 1, reasonCodes: [1, 0x87], error: undefined });
  });

  it('names the Topic Filters that the quarantine gave up', () => {
    const told: string[][] = [];
    const request = new Request('subscribe', entries, undefined, {
      answered: (_, givenUp) => void told.push([...givenUp]),
      failed() {},
    });
    request.answer(0, 1, 'server');
    request.answer(1, 0x80, 'quarantine');
    expect(told).toEqual([['b']]);
  });
});

describe('RequestPart', () => {
  it('matches an entry with the same options, and of an UNSUBSCRIBE the same Topic Filter', () => {
    const [entry] = entries as [(typeof entries)[0]];
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
    const request = new Request('subscribe', entries, undefined, undefined);
    const part = new RequestPart(request, entries[0]!);
    part.requests.set(request, 0);
    expect(part.matches(request, entries[0]!)).toBe(false);
  });
});
