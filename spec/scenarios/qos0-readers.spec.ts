import { describe, expect, it } from '@jest/globals';
import type { Client } from '../../lib/client/client.ts';
import type { Message } from '../../lib/client/receive/message.ts';
import type { Subscription } from '../../lib/client/receive/subscription.ts';
import { encode } from '../../lib/codec/codec.ts';
import { ChunkTransport } from '../support/chunk-transport.ts';
import { settled } from '../support/fake-clock.ts';
import { collect, eventsOf, message, Stage } from './stage.ts';

/*
 * QoS 0: readers that keep up lose nothing, however much comes at once. Losses of slow readers are reported.
 */

const texts = (count: number): string[] => Array.from({ length: count }, (_, n) => String(n));

describe('10,000 tiny messages of QoS 0 in four chunks, ten times the capacity of a buffer', () => {
  const COUNT = 10_000;
  const ROOM = COUNT / 10;
  const ALL = texts(COUNT);
  const packets = ALL.map((text) => encode(message('a', text), 4));
  const chunks = [0, 1, 2, 3].map((n) =>
    Buffer.concat(packets.slice((n * COUNT) / 4, ((n + 1) * COUNT) / 4)),
  );

  /** A way to read that passes each message to `count`. */
  type Way = (subscription: Subscription, count: (one: Message) => void) => readonly Promise<unknown>[];

  const loop: Way = (subscription, count) => [
    (async () => {
      for await (const one of subscription) count(one);
    })(),
  ];
  const ways: readonly (readonly [string, Way])[] = [
    ['for await', loop],
    [
      'batches()',
      (subscription, count) => [
        (async () => {
          for await (const batch of subscription.batches()) batch.forEach(count);
        })(),
      ],
    ],
    [
      'receive() in a loop',
      (subscription, count) => [
        (async () => {
          for (;;) count(await subscription.receive());
        })(),
      ],
    ],
    ['forEach()', (subscription, count) => [subscription.forEach(count, { concurrency: 4 })]],
    ['three loops at once', (subscription, count) => [0, 1, 2].flatMap(() => loop(subscription, count))],
  ];

  /** A client with `many` subscriptions on one filter, and its transport. */
  async function online(many: number) {
    const transport = new ChunkTransport();
    const client: Client = new Stage().client({ transport: async () => transport });
    await client.connect();
    const subscriptions: Subscription[] = [];
    for (let n = 0; n < many; n++)
      subscriptions.push(await client.subscribe('a', { buffer: { messages: ROOM } }));
    return { client, transport, subscriptions };
  }

  it.each(ways)('reach %s, and none is dropped', async (_, read) => {
    const { client, transport, subscriptions } = await online(1);
    const [subscription] = subscriptions as [Subscription];
    const seen: string[] = [];
    const readers = read(subscription, (one) => void seen.push(one.text()));
    for (const reader of readers) reader.catch(() => {});
    for (const chunk of chunks) transport.bring(new Uint8Array(chunk));
    while (seen.length < COUNT && subscription.dropped === 0) await settled();
    expect([seen.length, subscription.dropped]).toEqual([COUNT, 0]);
    expect(seen).toEqual(ALL);
    await client.disconnect();
    await Promise.allSettled(readers);
  });

  it('all reach both subscriptions on one filter', async () => {
    const { client, transport, subscriptions } = await online(2);
    const loops = subscriptions.map((subscription) => collect(subscription));
    for (const chunk of chunks) transport.bring(new Uint8Array(chunk));
    const dropped = (): number => subscriptions.reduce((sum, one) => sum + one.dropped, 0);
    while (loops.some((one) => one.texts.length < COUNT) && dropped() === 0) await settled();
    expect(dropped()).toBe(0);
    for (const one of loops) expect(one.texts).toEqual(ALL);
    await client.disconnect();
  });

  it('reach a loop besides an unread subscription, which drops the oldest', async () => {
    const { client, transport, subscriptions } = await online(2);
    const [read, unread] = subscriptions as [Subscription, Subscription];
    const looping = collect(read);
    for (const chunk of chunks) transport.bring(new Uint8Array(chunk));
    while (looping.texts.length < COUNT && read.dropped === 0) await settled();
    expect([read.dropped, unread.depth, unread.dropped]).toEqual([0, ROOM, COUNT - ROOM]);
    await client.disconnect();
  });
});

describe('a slow reader of QoS 0', () => {
  /** A loop that takes `pace` ms for each message. */
  const slowly = (stage: Stage, subscription: Subscription, pace: number) =>
    collect(
      subscription,
      () =>
        new Promise<void>((resolve) => {
          stage.clock.wakeAt(stage.clock.now() + pace, resolve);
        }),
    );

  it('loses the oldest messages, which are counted and reported at most once a second and subscription', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ keepAlive: 0 });
    const overflows = eventsOf(client, 'overflow');
    const limits = { buffer: { messages: 100 } };
    const slow = await stage.subscribe(client, broker, 'slow', limits);
    const slower = await stage.subscribe(client, broker, 'slower', limits);
    const loops = [slowly(stage, slow, 10), slowly(stage, slower, 50)];
    const begun = stage.clock.now();
    let sent = 0;
    for (; stage.clock.now() < begun + 5_000; sent += 50) {
      const some = texts(50).map((_, n) => String(sent + n));
      broker.send(...some.flatMap((text) => [message('slow', text), message('slower', text)]));
      await stage.clock.advance(100);
    }
    await stage.clock.advance(10_000);
    for (const [i, subscription] of [slow, slower].entries()) {
      const seen = loops[i]!.texts.map(Number);
      expect(subscription.dropped).toBeGreaterThan(sent / 2);
      expect(seen.length + subscription.dropped).toBe(sent);
      expect(seen).toEqual(seen.toSorted((a, b) => a - b));
      const told = overflows.filter((event) => event.subscription === subscription);
      const numbers = told.map(({ dropped }) => dropped);
      expect(numbers.length).toBeGreaterThan(3);
      expect(numbers.length).toBeLessThanOrEqual(6);
      expect(numbers).toEqual([...new Set(numbers)].toSorted((a, b) => a - b));
      expect(numbers.at(-1)).toBe(subscription.dropped);
    }
    await stage.end(client, broker);
    expect(stage.clock.armed).toBe(0);
  });

  it.each([
    ['3.1.1', {}],
    ['5.0', { protocolVersion: 5 }],
  ] as const)(
    "loses nothing with overflow 'pause', and holds no more than its buffer (%s)",
    async (_, version) => {
      const COUNT = 1_000;
      const stage = new Stage();
      const { client, broker } = await stage.online({ keepAlive: 0, ...version });
      const limits = { overflow: 'pause', buffer: { messages: 50 } } as const;
      const subscription = await stage.subscribe(client, broker, 'a', limits);
      const looping = slowly(stage, subscription, 10);
      broker.send(...texts(COUNT).map((text) => message('a', text)));
      let deepest = 0;
      for (let n = 0; n < 100; n++) {
        await stage.clock.advance(10);
        deepest = Math.max(deepest, subscription.depth);
      }
      expect([client.stats().reading, deepest]).toEqual(['stopped', 50]);
      await stage.clock.advance(10 * COUNT);
      expect([looping.texts, subscription.dropped]).toEqual([texts(COUNT), 0]);
      await stage.end(client, broker);
    },
  );

  it.each([
    ['3.1.1', {}],
    ['5.0', { protocolVersion: 5 }],
  ] as const)("may await a publish of QoS 1 in a loop with overflow 'pause' (%s)", async (_, version) => {
    const COUNT = 1_000;
    const stage = new Stage();
    const { client, broker } = await stage.online({ keepAlive: 0, ...version });
    broker.answer('publish');
    const limits = { overflow: 'pause', buffer: { messages: 50 } } as const;
    const subscription = await stage.subscribe(client, broker, 'a', limits);
    let published = 0;
    const looping = collect(subscription, async (one) => {
      if (Number(one.text()) % 10 !== 0) return;
      await client.publish('own', one.text(), { qos: 1 });
      published++;
    });
    broker.send(...texts(COUNT).map((text) => message('a', text)));
    await stage.clock.advance(100);
    expect([looping.texts, published, subscription.dropped]).toEqual([texts(COUNT), COUNT / 10, 0]);
    await stage.end(client, broker);
  });
});
