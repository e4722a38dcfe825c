import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { Router } from '../../../lib/client/receive/router.ts';
import { PublishReader } from '../../../lib/codec/publish-reader.ts';
import { encode } from '../../../lib/codec/codec.ts';
import { ReceiptState } from '../../../lib/session/incoming.ts';
import { receiptOf as receiptWith, SubscriptionRig } from './subscription-rig.ts';

/** A PUBLISH as it was read. */
function publish(topic: string): PublishReader {
  const bytes = encode({ type: 'publish', topic, payload: Uint8Array.of(1) }, 4);
  const reader = new PublishReader();
  reader.read(bytes, bytes[0]!, 2, bytes.length, 4);
  return reader;
}

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
  it('hands a message to every subscription that has a matching filter, once each', () => {
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
            for (const name of names) router.deliver(publish(name), name, undefined);
            if (removed === 'first') router.remove(subscription, own.slice(0, 1));
            if (removed === 'all') router.remove(subscription);
            const left = removed === 'none' ? own : removed === 'all' ? [] : own.slice(1);
            return { subscription, left };
          });
          for (const name of names) {
            const before = live.map(({ subscription }) => subscription.depth);
            const delivered = router.deliver(publish(name), name, undefined);
            const got = live.map(({ subscription }, i) => subscription.depth - before[i]!);
            const wanted = live.map(({ left }) => (left.some((filter) => matches(filter, name)) ? 1 : 0));
            expect(got).toEqual(wanted);
            expect(delivered).toBe(wanted.includes(1) ? 'delivered' : 'to nobody');
          }
        },
      ),
    );
  });

  it('remembers no more than it should, and still finds everybody', () => {
    const router = new Router(() => 0);
    const all = to('#');
    router.add(all);
    for (let round = 0; round < 2; round++)
      for (let n = 0; n < 600; n++)
        expect(router.deliver(publish(`t/${n}`), `t/${n}`, undefined)).toBe('delivered');
    expect(all.depth).toBe(1_200);
    expect(router.deliver(publish('$SYS/x'), '$SYS/x', undefined)).toBe('to nobody');
  });
});

describe('the last one out', () => {
  it('is who is told which filters nobody holds any more', () => {
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

  it('does not hold what it gave up before', () => {
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

describe('what overlaps', () => {
  it('is everything held that a message can match as well; a Shared Subscription has its own copies', () => {
    const router = new Router(() => 0);
    const [one, other, shared] = [to('a/#', 'b'), to('a/b'), to('$share/g/a/b')];
    for (const subscription of [one, other, shared]) router.add(subscription);
    const found = (topicFilter: string): string[] => {
      const overlaps: string[] = [];
      router.overlapping(topicFilter, (holding) => overlaps.push(holding.topicFilter));
      return overlaps;
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
  const receiptOf = () => receiptWith(7, 1, 't', Uint8Array.of(1));
  const as = (ack: 'processed' | 'received' | 'manual') => new SubscriptionRig({ ack }).subscription;

  // With 0 it is waived: acknowledged as soon as it has been delivered.
  it.each([
    [['processed', 'manual', 'processed'], 3, ReceiptState.Unsettled],
    [['processed', 'received'], 1, ReceiptState.Unsettled],
    [['received', 'received'], 0, ReceiptState.Unsettled],
  ] as const)('to %j waits for %d of them', (modes, copies, state) => {
    const router = new Router(() => 0);
    for (const mode of modes) router.add(as(mode));
    const receipt = receiptOf();
    expect(router.deliver(publish('t'), 't', receipt)).toBe('delivered');
    expect([receipt.copies, receipt.state]).toEqual([copies, state]);
  });
});
