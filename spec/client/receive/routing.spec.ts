import assert from 'node:assert/strict';
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { BufferPressure } from '../../../lib/client/receive/buffer-pressure.ts';
import type { ClientSubscription } from '../../../lib/client/receive/client-subscription.ts';
import { RetainedCopies } from '../../../lib/client/receive/retained-copies.ts';
import { Router } from '../../../lib/client/receive/router.ts';
import { UnmatchedMessages } from '../../../lib/client/receive/unmatched-messages.ts';
import { type Receipt, ReceiptState } from '../../../lib/session/incoming.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { messageOf, NO_SETTLER, receiptOf, SubscriptionRig } from './subscription-rig.ts';

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
      for (let n = 0; n < 600; n++) assert.equal(router.deliver(about(`t/${n}`)), 'taken');
    assert.equal(all.depth, 1_200);
    assert.equal(router.deliver(about('$SYS/x')), 'unmatched');
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

describe('a message without a subscription', () => {
  /** Held messages, and a client that records their calls. */
  function rig() {
    const clock = new FakeClock();
    const stalled: number[] = [];
    const settled: number[] = [];
    const left: number[] = [];
    const warnings: string[] = [];
    let [fetches, rooms] = [0, 0];
    const pressure = new BufferPressure(1_000);
    pressure.add(() => void rooms++);
    const unmatched = new UnmatchedMessages({
      clock,
      pressure,
      driver: {
        settle: (receipt) => void settled.push(receipt.packetId),
        reconnect: () => ++fetches > 0,
      },
      logger: { warn: (message) => void warnings.push(message) },
    });
    const settler = {
      ...NO_SETTLER,
      markStalled: (receipt: Receipt) => void stalled.push(receipt.packetId),
      abandon: (receipt: Receipt) => void left.push(receipt.packetId),
    };
    let packetId = 0;
    const hold = (topicName: string, size = 1, memory = new Uint8Array(size)): void => {
      const payload = memory.subarray(0, size);
      const receipt = receiptOf(++packetId, 1, topicName, payload);
      unmatched.hold(messageOf(payload, { topic: topicName, qos: 1, bytes: memory }, receipt, settler));
    };
    return {
      clock,
      stalled,
      settled,
      left,
      warnings,
      unmatched,
      hold,
      pressure,
      counts: () => ({ fetches, rooms }),
    };
  }

  const texts = (names: readonly string[]) => (topicName: string) => names.includes(topicName);

  it('goes to the first subscription that matches, in order of arrival', async () => {
    const { unmatched, hold, clock } = rig();
    for (const topic of ['a', 'b', 'a']) hold(topic);
    const [one, other] = [new SubscriptionRig(), new SubscriptionRig()];
    unmatched.handOver(one.subscription, texts(['a']));
    unmatched.handOver(other.subscription, texts(['a']));
    expect([one.subscription.depth, other.subscription.depth, unmatched.depth]).toEqual([2, 0, 1]);
    unmatched.handOver(other.subscription, texts(['b']));
    expect([other.subscription.depth, unmatched.depth, clock.armed]).toEqual([1, 0, 0]);
    expect((await other.subscription.receive()).topic).toBe('b');
  });

  it('is acknowledged when it is handed over to a subscription that acknowledges on receipt', () => {
    const { unmatched, hold, settled } = rig();
    hold('a');
    const [processing, receiving] = [new SubscriptionRig(), new SubscriptionRig({ ack: 'received' })];
    unmatched.handOver(processing.subscription, texts(['a']));
    expect(settled).toEqual([]);
    hold('a');
    unmatched.handOver(receiving.subscription, texts(['a']));
    expect([settled, receiving.subscription.depth, receiving.settled]).toEqual([[2], 1, []]);
  });

  it.each([
    ['a thousand messages', 1_000, 1],
    ['16 MiB of them', 4, 4 * 1_048_576],
  ])('stops the reading with %s, until a subscription takes half of them', (_, count, size) => {
    const { hold, unmatched, pressure, counts } = rig();
    for (let i = 1; i < count; i++) hold('a', size);
    expect(pressure.full).toBe(0);
    hold('b', size);
    hold('b', size);
    expect([pressure.full, unmatched.depth]).toEqual([1, count + 1]);
    unmatched.handOver(new SubscriptionRig().subscription, texts(['a']));
    expect([pressure.full, unmatched.depth, counts().rooms]).toEqual([0, 2, 1]);
  });

  it('holds up no others after 10 s, with one warning, and can still be handed over', async () => {
    const { hold, unmatched, clock, stalled, warnings } = rig();
    hold('a');
    await clock.advance(4_000);
    hold('a');
    await clock.advance(5_999);
    expect(stalled).toEqual([]);
    await clock.advance(1);
    expect(stalled).toEqual([1]);
    await clock.advance(4_000);
    expect(stalled).toEqual([1, 2]);
    expect(warnings).toEqual([
      '1 messages have had no subscription for 10000 ms: they no longer hold up others',
      '1 messages have had no subscription for 10000 ms: they no longer hold up others',
    ]);
    const late = new SubscriptionRig();
    unmatched.handOver(late.subscription, texts(['a']));
    expect([late.subscription.depth, clock.armed]).toEqual([2, 0]);
  });

  it('makes room after 10 s: the oldest are abandoned, and a later subscription causes a reconnect', async () => {
    const { hold, unmatched, clock, left, pressure, counts } = rig();
    for (let i = 0; i < 1_000; i++) hold(i === 0 ? 'a' : 'b');
    expect(pressure.full).toBe(1);
    await clock.advance(10_000);
    expect([pressure.full, left]).toEqual([0, []]);
    for (let i = 0; i < 3; i++) hold('b');
    expect([left, unmatched.depth]).toEqual([[1, 2, 3], 1_000]);
    unmatched.handOver(new SubscriptionRig().subscription, texts(['c']));
    expect(counts().fetches).toBe(0);
    unmatched.handOver(new SubscriptionRig().subscription, texts(['b']));
    unmatched.handOver(new SubscriptionRig().subscription, texts(['b']));
    expect(counts().fetches).toBe(1);
  });

  it('causes no reconnect after a new connection', async () => {
    const { hold, unmatched, clock, counts } = rig();
    for (let i = 0; i < 1_000; i++) hold('a');
    await clock.advance(10_000);
    hold('a');
    unmatched.connected();
    unmatched.handOver(new SubscriptionRig().subscription, texts(['a']));
    expect(counts().fetches).toBe(0);
  });

  it('does not keep a large piece of memory alive for a small payload', async () => {
    const { hold, unmatched } = rig();
    const memory = new Uint8Array(65_536);
    hold('a', 10, memory);
    const { subscription } = new SubscriptionRig();
    unmatched.handOver(subscription, texts(['a']));
    expect((await subscription.receive()).payload.buffer.byteLength).toBe(10);
  });

  it('is forgotten when its session is over', () => {
    const { hold, unmatched, clock } = rig();
    hold('a');
    unmatched.clear();
    expect([unmatched.depth, clock.armed]).toEqual([0, 0]);
  });
});

describe('a copy with RETAIN 1', () => {
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
