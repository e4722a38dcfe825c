import { describe, expect, it } from '@jest/globals';
import type { SubscribeOptions } from '../../../lib/client/receive/subscribe-options.ts';
import { ClosedError, SubscribeError, TimeoutError } from '../../../lib/errors.ts';
import { withoutUnhandled } from '../../support/unhandled.ts';
import { settled } from '../../support/fake-clock.ts';
import { collect, errorOf, message, Stage, watch } from '../../scenarios/stage.ts';

describe('the arguments of subscribe()', () => {
  it.each([
    ['', {}, /^topicFilter: /],
    ['a/#/b', {}, /^topicFilter: expected a Topic Filter/],
    ['a+', {}, /^topicFilter: /],
    ['a\0', {}, /^topicFilter: /],
    ['$share//a', {}, /^topicFilter: /],
    ['a'.repeat(65_536), {}, /^topicFilter: /],
    [7, {}, /^topicFilter: expected a string or an array, got 7/],
    [[], {}, /^topicFilter: expected at least one, got none/],
    [['a', 'b', 'a'], {}, /^topicFilter: expected each Topic Filter once/],
    [['a', { topicFilter: 'a', qos: 1 }], {}, /^topicFilter: expected each Topic Filter once/],
    [[{ filter: 'a' }], {}, /got filter$/],
    [[{ topicFilter: 'a', qos: 3 }], {}, /^qos: /],
    ['a', { qos: 3 }, /^qos: /],
    ['a', { ack: 'never' }, /^ack: /],
    ['a', { buffer: { messages: 0 } }, /^buffer\.messages: /],
    ['a', { buffer: { bytes: 1.5 } }, /^buffer\.bytes: /],
    ['a', { buffer: 10 }, /^buffer: expected an object/],
    ['a', { overflow: 'drop' }, /^overflow: /],
    ['a', { partial: 1 }, /^partial: /],
    ['a', { timeout: -1 }, /^timeout: /],
    ['a', { signal: 7 }, /^signal: /],
    ['a', { onMessage: () => {} }, /got onMessage$/],
    ['a', null, /^subscribe: expected an object/],
    ['a', { noLocal: true }, /^noLocal: expected none, as only MQTT 5.0 has it/],
    ['a', { retainAsPublished: false }, /^retainAsPublished: expected none/],
    ['a', { retainHandling: 0 }, /^retainHandling: expected none/],
    ['a', { properties: {} }, /^properties: expected none/],
    [[{ topicFilter: 'a', noLocal: true }], {}, /^noLocal: expected none/],
  ])('are checked (%#)', async (topicFilter, options, expected) => {
    const client = new Stage().client();
    const subscribing = client.subscribe(topicFilter as string, options as SubscribeOptions);
    const error = await errorOf(subscribing);
    expect(error.message).toMatch(expected);
    expect(error instanceof TypeError || error instanceof RangeError).toBe(true);
    await expect(collect(subscribing).done).rejects.toBe(error);
  });

  it.each([
    ['a', { retainHandling: 3 }, /^retainHandling: /],
    ['$share/g/a', { noLocal: true }, /MQTT-3.8.3-4/],
    ['a', { properties: { userProperties: 'x' } }, /userProperties/],
    ['a', { properties: { userProperties: [['a']] } }, /userProperties/],
    ['a', { properties: { subscriptionIdentifier: 5 } }, /got subscriptionIdentifier$/],
  ])('are checked on 5.0: %j %j', async (topicFilter, options, expected) => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ protocolVersion: 5 });
    const error = await errorOf(client.subscribe(topicFilter, options as SubscribeOptions));
    expect(error.message).toMatch(expected);
    await stage.end(client, broker);
    expect(broker.unread.map((packet) => packet.type)).toEqual(['disconnect']);
  });

  it('are held against what the server can', async () => {
    const stage = new Stage();
    const limits = { wildcardSubscriptionAvailable: false, sharedSubscriptionAvailable: false };
    const { client, broker } = await stage.online({ protocolVersion: 5 }, { properties: limits });
    const results = async (filter: string) =>
      (await errorOf<SubscribeError>(client.subscribe(filter))).results;
    expect(await results('a/#')).toEqual([{ topicFilter: 'a/#', reasonCode: 0xa2 }]);
    expect(await results('$share/g/a')).toEqual([{ topicFilter: '$share/g/a', reasonCode: 0x9e }]);
    await stage.subscribe(client, broker, 'a');
    await stage.end(client, broker);
  });

  it('are what is sent', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ protocolVersion: 5 });
    const properties = { userProperties: [['k', 'v']] as const };
    const options = { qos: 1, noLocal: true, retainHandling: 2, properties } as const;
    client
      .subscribe(['a', { topicFilter: 'b', qos: 2, noLocal: false, retainAsPublished: true }], options)
      .catch(() => {});
    const [a, b] = [await broker.expect('subscribe'), await broker.expect('subscribe')];
    expect([a.properties, b.properties]).toEqual([
      { ...properties, subscriptionIdentifier: 1 },
      { ...properties, subscriptionIdentifier: 2 },
    ]);
    expect([...a.subscriptions, ...b.subscriptions]).toEqual([
      { topicFilter: 'a', qos: 1, noLocal: true, retainAsPublished: false, retainHandling: 2 },
      { topicFilter: 'b', qos: 2, noLocal: false, retainAsPublished: true, retainHandling: 2 },
    ]);
    await stage.end(client, broker);
  });
});

describe('subscribe()', () => {
  it('resolves on SUBACK, with what was granted; messages may come before it', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const subscribing = client.subscribe(['a', 'b'], { qos: 2 });
    const { packetId } = await broker.expect('subscribe');
    broker.send(message('b', 'early'), { type: 'suback', packetId, reasonCodes: [1, 0] });
    const subscription = await stage.until(subscribing);
    expect([subscription.topicFilters, subscription.granted, subscription.depth]).toEqual([
      ['a', 'b'],
      [1, 0],
      1,
    ]);
    await stage.end(client, broker);
  });

  it('waits for a connection, and calls of one turn share a packet', async () => {
    const stage = new Stage();
    const client = stage.client();
    const calls = [client.subscribe('a'), client.subscribe(['b', 'c'], { qos: 1 }), client.subscribe('d')];
    const broker = await stage.connect(client);
    const { packetId, subscriptions } = await broker.expect('subscribe');
    expect(subscriptions.map(({ topicFilter }) => topicFilter)).toEqual(['a', 'b', 'c', 'd']);
    broker.send({ type: 'suback', packetId, reasonCodes: [0, 1, 0x80, 0] });
    const [a, bc, d] = await stage.until(Promise.allSettled(calls));
    expect([a!.status, bc!.status, d!.status]).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    await stage.end(client, broker);
  });

  it('waits for no other call, and those on one Topic Filter reach the server in their order', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const first = client.subscribe('a');
    const again = client.subscribe('a', { qos: 1 });
    const other = client.subscribe('b');
    const one = await broker.expect('subscribe', { subscriptions: [{ topicFilter: 'a', qos: 0 }] });
    const two = await broker.expect('subscribe', {
      subscriptions: [
        { topicFilter: 'a', qos: 1 },
        { topicFilter: 'b', qos: 0 },
      ],
    });
    broker.send({ type: 'suback', packetId: two.packetId, reasonCodes: [1, 0] });
    await stage.until(Promise.all([again, other]));
    broker.send({ type: 'suback', packetId: one.packetId, reasonCodes: [0] });
    expect((await stage.until(first)).granted).toEqual([0]);
    await stage.end(client, broker);
  });

  it('of one Topic Filter 300 times at once takes one round trip', async () => {
    const stage = new Stage({ latency: 20 });
    const { client, broker } = await stage.online();
    broker.answer('subscribe');
    const begin = stage.clock.now();
    await stage.until(Promise.all(Array.from({ length: 300 }, () => client.subscribe('a', { qos: 1 }))));
    expect(stage.clock.now() - begin).toBe(40);
    expect(broker.packets.filter(({ type }) => type === 'subscribe')).toHaveLength(1);
    await stage.end(client, broker);
  });

  it('is all or nothing: what was granted beside a refused filter is unsubscribed again', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const subscribing = client.subscribe(['a', 'b', 'c']);
    const looping = collect(subscribing);
    const { packetId } = await broker.expect('subscribe');
    broker.send({ type: 'suback', packetId, reasonCodes: [0, 0x80, 1] });
    const error = await errorOf<SubscribeError>(stage.until(subscribing));
    expect(error).toBeInstanceOf(SubscribeError);
    expect(error.results).toEqual([
      { topicFilter: 'a', reasonCode: 0 },
      { topicFilter: 'b', reasonCode: 0x80 },
      { topicFilter: 'c', reasonCode: 1 },
    ]);
    expect(error.message).toMatch(/b: .*0x80/);
    await expect(looping.done).rejects.toBe(error);
    await broker.expect('unsubscribe', { topicFilters: ['a', 'c'] });
    await stage.end(client, broker);
  });

  it('goes on with what was granted where that is asked for, unless nothing was', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const [some, none] = [
      client.subscribe(['a', 'b'], { partial: true }),
      client.subscribe(['c'], { partial: true }),
    ];
    none.catch(() => {});
    const { packetId } = await broker.expect('subscribe');
    broker.send({ type: 'suback', packetId, reasonCodes: [0x80, 1, 0x80] });
    const subscription = await stage.until(some);
    expect(subscription.granted).toEqual([0x80, 1]);
    await expect(none).rejects.toBeInstanceOf(SubscribeError);
    broker.send(message('b', 'yes'), message('a', 'no'));
    await stage.clock.advance(0);
    expect(subscription.depth).toBe(1);
    const leaving = subscription.unsubscribe();
    const { packetId: left } = await broker.expect('unsubscribe', { topicFilters: ['b'] });
    broker.send({ type: 'unsuback', packetId: left });
    await stage.until(leaving);
    await stage.end(client, broker);
  });
});

describe('two subscriptions to one Topic Filter', () => {
  it('share it at the server: the last one out unsubscribes', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    broker.answer('subscribe', 'unsubscribe');
    const [one, other] = await stage.until(Promise.all([client.subscribe('a'), client.subscribe('a')]));
    expect(broker.packets.filter((packet) => packet.type === 'subscribe')).toHaveLength(1);
    broker.send(message('a', 'for both'));
    await stage.clock.advance(0);
    expect([one.depth, other.depth]).toEqual([1, 1]);
    await stage.until(one.unsubscribe());
    expect(broker.packets.map((packet) => packet.type)).not.toContain('unsubscribe');
    await stage.until(other.unsubscribe());
    expect(broker.packets.at(-1)).toMatchObject({ type: 'unsubscribe', topicFilters: ['a'] });
    await stage.end(client, broker);
  });
});

describe('a subscribe() that its caller gives up', () => {
  it('before it was sent is not sent', async () => {
    const stage = new Stage();
    const client = stage.client();
    const reason = new Error('no');
    const aborting = new AbortController();
    const outcome = watch(client.subscribe('a', { signal: aborting.signal }));
    const late = watch(client.subscribe('b', { timeout: 10 }));
    aborting.abort(reason);
    await stage.clock.advance(10);
    expect([outcome(), late()]).toMatchObject([{ error: reason }, { error: expect.any(TimeoutError) }]);
    const broker = await stage.connect(client);
    await stage.end(client, broker);
    expect(broker.packets.map((packet) => packet.type)).toEqual(['connect', 'disconnect']);
  });

  it('after it was sent is unsubscribed again', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const outcome = watch(client.subscribe('a', { timeout: 10 }));
    const { packetId } = await broker.expect('subscribe');
    await stage.clock.advance(10);
    expect(outcome()).toMatchObject({ error: expect.any(TimeoutError) });
    broker.send({ type: 'suback', packetId, reasonCodes: [0] });
    const leaving = await broker.expect('unsubscribe', { topicFilters: ['a'] });
    broker.send({ type: 'unsuback', packetId: leaving.packetId });
    await stage.clock.advance(0);
    const next = await stage.reconnect(broker);
    await stage.end(client, next);
    expect(next.packets.map((packet) => packet.type)).toEqual(['connect', 'disconnect']);
  });

  it('after SUBACK is stopped, and its loops throw the reason', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const aborting = new AbortController();
    const reason = new Error('shutting down');
    const subscription = await stage.subscribe(client, broker, 'a', { signal: aborting.signal });
    const looping = collect(subscription);
    await settled();
    aborting.abort(reason);
    await expect(looping.done).rejects.toBe(reason);
    await broker.expect('unsubscribe', { topicFilters: ['a'] });
    await stage.end(client, broker);
  });

  it('after it ended by itself concerns nobody', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    broker.answer('unsubscribe');
    const aborting = new AbortController();
    const subscription = await stage.subscribe(client, broker, 'a', { signal: aborting.signal });
    await stage.until(subscription.unsubscribe());
    const sent = broker.packets.length;
    aborting.abort();
    await settled();
    expect(broker.packets).toHaveLength(sent);
    await stage.end(client, broker);
  });
});

describe('a SUBACK that does not come', () => {
  it('rejects after requestTimeout, and is for nobody when it comes after all', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ requestTimeout: 2_000 });
    const outcome = watch(client.subscribe('a'));
    const { packetId } = await broker.expect('subscribe');
    await stage.clock.advance(1_999);
    expect(outcome()).toBe('pending');
    await stage.clock.advance(1);
    expect(outcome()).toMatchObject({ error: { message: expect.stringContaining('requestTimeout') } });
    const leaving = await broker.expect('unsubscribe', { topicFilters: ['a'] });
    broker.send(
      { type: 'suback', packetId, reasonCodes: [0] },
      { type: 'unsuback', packetId: leaving.packetId },
    );
    await stage.clock.advance(0);
    expect(client.state).toBe('connected');
    const again = client.subscribe('a');
    const second = await broker.expect('subscribe');
    broker.send({ type: 'suback', packetId: second.packetId, reasonCodes: [0] });
    await stage.until(again);
    await stage.end(client, broker);
  });
});

describe('unsubscribe()', () => {
  it('ends the subscriptions that have no other filter left, however many calls it takes', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ protocolVersion: 5 });
    broker.answer('subscribe', 'unsubscribe');
    const both = await stage.until(client.subscribe(['a', 'b']));
    const one = await stage.until(client.subscribe('a'));
    const [first, second] = [collect(one), collect(both)];
    await settled();
    await expect(stage.until(client.unsubscribe('a'))).resolves.toEqual({
      reasonCodes: [0],
      results: [{ topicFilter: 'a', reasonCode: 0 }],
    });
    await first.done;
    broker.send(message('a', 'nobody'), message('b', 'still here'));
    await stage.clock.advance(0);
    expect(second.texts).toEqual(['still here']);
    await stage.until(client.unsubscribe(['b', 'never']));
    await second.done;
    await stage.end(client, broker);
  });

  it('is for good: what is unsubscribed is not restored, even where the answer never came', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const subscription = await stage.subscribe(client, broker, 'a');
    await stage.subscribe(client, broker, 'b');
    const leaving = watch(subscription.unsubscribe());
    await broker.expect('unsubscribe');
    await stage.clock.advance(30_000);
    expect(leaving()).toMatchObject({ error: expect.any(TimeoutError) });
    const next = await stage.reconnect(broker);
    await next.expect('subscribe', { subscriptions: [{ topicFilter: 'b', qos: 0 }] });
    await stage.end(client, next);
  });

  it('checks its arguments', async () => {
    const client = new Stage().client();
    for (const [filter, options] of [
      ['a/#/b', {}],
      [[], {}],
      [[7], {}],
      [7, {}],
      ['a', { timeout: -1 }],
      ['a', { now: true }],
    ])
      expect((await errorOf(client.unsubscribe(filter as string, options as object))).message).toMatch(
        /expected/,
      );
  });

  it('rejects when the client is closed', async () => {
    const stage = new Stage();
    const client = stage.client();
    const waiting = client.unsubscribe('a');
    await client.disconnect();
    await expect(waiting).rejects.toBeInstanceOf(ClosedError);
    await expect(client.unsubscribe('a')).rejects.toBeInstanceOf(ClosedError);
    await expect(client.subscribe('a')).rejects.toBeInstanceOf(ClosedError);
  });
});

describe('a filter that is refused when subscriptions are restored', () => {
  it('ends its Subscription after what waits there; what else it held is unsubscribed', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const refused = await stage.subscribe(client, broker, ['a', 'b']);
    const staying = await stage.subscribe(client, broker, 'c');
    broker.send(message('a', 'waits'));
    await stage.clock.advance(0);
    const next = await stage.reconnect(broker);
    const { packetId, subscriptions } = await next.expect('subscribe');
    expect(subscriptions.map(({ topicFilter }) => topicFilter)).toEqual(['a', 'b', 'c']);
    next.send({ type: 'suback', packetId, reasonCodes: [0x80, 0, 0] });
    await next.expect('unsubscribe', { topicFilters: ['b'] });
    const looping = collect(refused);
    await expect(looping.done).rejects.toBeInstanceOf(SubscribeError);
    expect(looping.texts).toEqual(['waits']);
    next.send(message('c', 'goes on'));
    await stage.clock.advance(0);
    expect(staying.depth).toBe(1);
    await stage.end(client, next);
  });
});

describe('the end of the client while a subscribe() waits for its SUBACK', () => {
  it.each(['disconnect', 'drain'] as const)('by %s() ends its loop without an error', async (how) => {
    const stage = new Stage();
    await withoutUnhandled(async () => {
      const { client, broker } = await stage.online();
      const loop = (async () => {
        for await (const one of client.subscribe('a', { qos: 1 })) one.ack();
      })();
      await broker.expect('subscribe');
      const ending: PromiseLike<unknown> = client[how]();
      await broker.expect('disconnect');
      broker.close();
      await stage.until(ending);
      await expect(stage.until(loop)).resolves.toBeUndefined();
    });
  });

  it('rejects who awaits it, and is no unhandled rejection where nobody does', async () => {
    const stage = new Stage();
    await withoutUnhandled(async () => {
      const { client, broker } = await stage.online();
      void client.subscribe('a');
      const awaited = errorOf(client.subscribe('b'));
      await stage.end(client, broker);
      expect(await awaited).toBeInstanceOf(ClosedError);
    });
  });

  it('throws in a loop that began after it', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    await stage.end(client, broker);
    await expect(collect(client.subscribe('a')).done).rejects.toBeInstanceOf(ClosedError);
  });

  it('throws the error in its loop where that is how the client has ended', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ reconnect: false });
    client.closed.catch(() => {});
    const looping = collect(client.subscribe('a'));
    await broker.expect('subscribe');
    broker.reset();
    await stage.clock.advance(0);
    await expect(looping.done).rejects.toMatchObject({ message: expect.stringContaining('lost') });
  });
});

describe('a stop() or unsubscribe() in a clean session that the end of the client comes before', () => {
  it.each(['stop', 'unsubscribe'] as const)(
    '%s() resolves: the session is over, and it with it',
    async (how) => {
      const stage = new Stage();
      await withoutUnhandled(async () => {
        const { client, broker } = await stage.online();
        const subscription = await stage.subscribe(client, broker, 'a');
        const leaving = subscription[how]();
        const draining = client.drain();
        await broker.expect('disconnect');
        broker.close();
        await stage.until(draining);
        await expect(stage.until(leaving)).resolves.toBeUndefined();
      });
    },
  );

  it('and so does leaving an `await using` scope', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const subscription = await stage.subscribe(client, broker, 'a');
    const leaving = subscription[Symbol.asyncDispose]();
    await stage.end(client, broker);
    await expect(leaving).resolves.toBeUndefined();
  });
});
