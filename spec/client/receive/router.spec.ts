import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { Router } from '../../../lib/client/receive/router.ts';
import { ReceiptState } from '../../../lib/session/incoming.ts';
import { messageOf, receiptOf, SubscriptionRig } from './subscription-rig.ts';

const about = (topic: string) => messageOf(Uint8Array.of(1), { topic });

const to = (...topicFilters: string[]) => new SubscriptionRig({ topicFilters }).subscription;

/** The rule of 4.7, level by level. */
function matches(filter: string, topic: string): boolean {
  const shared = /^\$share\/[^/]+\/(.*)$/s.exec(filter);
  const [f, t] = [(shared?.[1] ?? filter).split('/'), topic.split('/')];
  if (topic.startsWith('$') && (f[0] === '+' || f[0] === '#')) return false;
  for (let i = 0; i < f.length; i++) {
    if (f[i] === '#') return true;
    if (i >= t.length || (f[i] !== '+' && f[i] !== t[i])) return false;
  }
  return f.length === t.length;
}

const level = fc.constantFrom('a', 'b', '', '$x');
const topics = fc.array(level, { minLength: 1, maxLength: 4 }).map((levels) => levels.join('/'));
const filters = fc
  .tuple(
    fc.constantFrom('', '$share/g/'),
    fc.array(fc.oneof(level, fc.constant('+')), { minLength: 1, maxLength: 4 }),
    fc.constantFrom('', '/#'),
  )
  .map(([share, levels, rest]) => share + levels.join('/') + rest)
  .filter((filter) => filter !== '' && filter !== '$share/g/');

describe('a router', () => {
  it('delivers a message to every subscription with a matching filter, once each', () => {
    const plan = fc.array(
      fc.record({
        filters: fc.uniqueArray(filters, { minLength: 1, maxLength: 4 }),
        removed: fc.constantFrom('none', 'first', 'all'),
      }),
      { maxLength: 8 },
    );
    fc.assert(
      fc.property(
        plan,
        fc.array(
          topics.filter((topic) => topic !== ''),
          { minLength: 1, maxLength: 6 },
        ),
        (all, names) => {
          const router = new Router(() => 0);
          const live = all.map(({ filters: own, removed }) => {
            const subscription = to(...own);
            router.add(subscription);
            // The router has looked the topics up before what it knows changes.
            for (const name of names) router.deliver(about(name));
            if (removed === 'first') router.remove(subscription, own.slice(0, 1));
            if (removed === 'all') router.remove(subscription);
            const left = removed === 'none' ? own : removed === 'all' ? [] : own.slice(1);
            return { subscription, left };
          });
          for (const name of names) {
            const before = live.map(({ subscription }) => subscription.depth);
            const delivered = router.deliver(about(name));
            const got = live.map(({ subscription }, i) => subscription.depth - before[i]!);
            const wanted = live.map(({ left }) => (left.some((filter) => matches(filter, name)) ? 1 : 0));
            expect(got).toEqual(wanted);
            expect(delivered).toBe(wanted.includes(1) ? 'taken' : 'unmatched');
          }
        },
      ),
    );
  });

  it('caches a limited number of topics, and still finds all subscriptions', () => {
    const router = new Router(() => 0);
    const all = to('#');
    router.add(all);
    for (let round = 0; round < 2; round++)
      for (let n = 0; n < 600; n++) expect(router.deliver(about(`t/${n}`))).toBe('taken');
    expect(all.depth).toBe(1_200);
    expect(router.deliver(about('$SYS/x'))).toBe('unmatched');
  });
});

describe('removing a subscription', () => {
  it('returns the filters that no subscription holds any more', () => {
    const router = new Router(() => 0);
    const [one, other, third] = [to('a', 'b'), to('b', 'c'), to('b')];
    for (const subscription of [one, other, third]) router.add(subscription);
    expect(router.remove(one)).toEqual(['a']);
    expect(router.remove(one)).toEqual([]);
    expect(router.remove(third)).toEqual([]);
    expect(router.remove(other, ['b'])).toEqual(['b']);
    expect([router.has(other), router.subscriptions]).toEqual([true, [other]]);
    expect(router.remove(other, ['b', 'c'])).toEqual(['c']);
    expect([router.has(other), router.subscriptions]).toEqual([false, []]);
  });

  it('does not affect filters that were removed before', () => {
    const router = new Router(() => 0);
    const [one, other] = [to('a', 'b'), to('a')];
    router.add(one);
    router.add(other);
    router.remove(one, ['a']);
    expect(router.holdersOf('a')).toEqual([other]);
    expect(router.holdersOf('b')).toEqual([one]);
    expect(router.holdersOf('nothing')).toEqual([]);
  });
});

describe('exact filters', () => {
  it('match their own text beside patterns, each subscription once', () => {
    const router = new Router(() => 0);
    const [exact, pattern, both] = [to('a/b'), to('a/+'), to('a/b', 'a/#', '+/b')];
    for (const subscription of [exact, pattern, both]) router.add(subscription);
    expect(new Set(router.matching('a/b'))).toEqual(new Set([exact, pattern, both]));
    expect(router.matching('a/b')).toHaveLength(3);
    router.remove(pattern);
    router.remove(both);
    expect(router.matching('a/b')).toEqual([exact]);
    router.remove(exact);
    expect(router.matching('a/b')).toEqual([]);
  });

  it('are not taken for a Shared Subscription, though a Topic Name has its text', () => {
    const router = new Router(() => 0);
    const shared = to('$share/g/a');
    router.add(shared);
    expect(router.matching('$share/g/a')).toEqual([]);
    expect(router.matching('a')).toEqual([shared]);
  });
});

describe('overlapping filters', () => {
  it('are those that a message can match too, without Shared Subscriptions, which get their own copies', () => {
    const router = new Router(() => 0);
    const [one, other, shared] = [to('a/#', 'b'), to('a/b'), to('$share/g/a/b')];
    for (const subscription of [one, other, shared]) router.add(subscription);
    const found = (topicFilter: string): string[] => {
      const overlaps: string[] = [];
      router.overlapping(topicFilter, (holding) => overlaps.push(holding.topicFilter));
      return overlaps.toSorted();
    };
    expect(found('a/+')).toEqual(['a/#', 'a/b']);
    expect(found('c')).toEqual([]);
    expect(found('$share/h/a/b')).toEqual([]);
    router.remove(one, ['a/#']);
    router.overlapping('a/b', (holding) => expect([...holding.holders]).toEqual([other]));
    expect(found('a/b')).toEqual(['a/b']);
  });
});

describe('a message to be acknowledged', () => {
  const as = (ack: 'processed' | 'received' | 'manual', messages = 10) =>
    new SubscriptionRig({ ack, buffer: { messages } }).subscription;
  const one = () => messageOf(Uint8Array.of(1), { qos: 1 }, receiptOf(7, 1, 't', Uint8Array.of(1)));

  it.each([
    [['processed'], 'taken', 1],
    [['received'], 'acknowledge', 1],
    [['processed', 'manual', 'processed'], 'taken', 3],
    [['processed', 'received'], 'taken', 1],
    [['received', 'processed', 'processed'], 'taken', 2],
    [['received', 'received'], 'acknowledge', 1],
  ] as const)('for %j is %s, and settled by %d of them', (modes, delivery, copies) => {
    const router = new Router(() => 0);
    for (const mode of modes) router.add(as(mode));
    const message = one();
    const receipt = message.receipt!;
    expect(router.deliver(message)).toBe(delivery);
    expect([receipt.copies, receipt.state]).toEqual([copies, ReceiptState.Unsettled]);
    const owed = router.subscriptions.map((subscription) => subscription.hasUnsettled());
    expect(owed).toEqual(modes.map((mode) => mode !== 'received'));
  });

  it.each([
    [['received'], 'acknowledge-full'],
    [['received', 'processed'], 'taken-full'],
    [['processed', 'processed'], 'taken'],
  ] as const)('for %j whose buffers are full is %s', (modes, delivery) => {
    const router = new Router(() => 0);
    for (const mode of modes) router.add(as(mode, 1));
    expect(router.deliver(one())).toBe(delivery);
  });
});
