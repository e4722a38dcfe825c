import { describe, expect, it } from '@jest/globals';
import type { Client } from '../../../lib/index.ts';
import { ClosedError, type SubscribeError } from '../../../lib/errors.ts';
import { collect, errorOf, message, Stage } from '../../scenarios/stage.ts';

/*
 * Topic Filters that servers treat specially: Shared Subscriptions, filters under other names, subscriptions that a server
 * makes by itself.
 */

type Filters = Parameters<Client['subscribe']>[0];
type Options = Parameters<Client['subscribe']>[1];

describe('share', () => {
  it('v5 MQTT-4.8.2-1 makes the filter $share/<share>/<filter>, for the call or for one filter', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const filters = ['jobs/#', { topicFilter: 'events', share: 'b' }, { topicFilter: '/x' }];
    const subscription = await stage.subscribe(client, broker, filters, { share: 'workers', qos: 1 });
    const asked = ['$share/workers/jobs/#', '$share/b/events', '$share/workers//x'];
    expect(broker.packets.at(-1)).toMatchObject({
      subscriptions: asked.map((topicFilter) => ({ topicFilter, qos: 1 })),
    });
    expect(subscription.topicFilters).toEqual(asked);
    const { texts } = collect(subscription);
    broker.send(message('jobs/7', 'one'), message('events', 'two'), message('$share/workers/jobs/7', 'none'));
    await stage.clock.advance(0);
    expect(texts).toEqual(['one', 'two']);
    await stage.end(client, broker);
  });

  it('v5 MQTT-3.10.4-1 is part of the filter that is unsubscribed, which may be given as text as well', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const text = await stage.subscribe(client, broker, '$share/workers/jobs', { qos: 1 });
    const option = await stage.subscribe(client, broker, { topicFilter: 'jobs', share: 'workers' });
    expect(text.topicFilters).toEqual(option.topicFilters);
    await text.unsubscribe();
    const leaving = option.unsubscribe();
    const { packetId } = await broker.expect('unsubscribe', { topicFilters: ['$share/workers/jobs'] });
    broker.send({ type: 'unsuback', packetId });
    await stage.until(leaving);
    await stage.end(client, broker);
  });

  it.each<[Filters, object, RegExp]>([
    ['a', { share: '' }, /^share: expected a ShareName/],
    ['a', { share: 'a/b' }, /^share: expected a ShareName/],
    ['a', { share: '+' }, /^share: expected a ShareName/],
    ['a', { share: '#' }, /^share: expected a ShareName/],
    ['a', { share: 7 }, /^share: expected a string, got 7/],
    ['a', { share: 'a\0' }, /^topicFilter: .*U\+0000/],
    ['$share/g/a', { share: 'workers' }, /^share: expected none/],
    ['a', { share: 'g', noLocal: true }, /^noLocal: .*MQTT-3.8.3-4/],
    [{ topicFilter: 'a', share: 'g' }, { noLocal: true }, /^noLocal: .*MQTT-3.8.3-4/],
    [['a', { topicFilter: '$share/g/a' }], { share: 'g' }, /^share: expected none/],
    [['$share/g/a', { topicFilter: 'a', share: 'g' }], {}, /^topicFilter: expected each Topic Filter once/],
  ])('v5 MQTT-3.8.3-4, MQTT-4.8.2-1 is checked (%#)', async (filters, options, expected) => {
    const client = new Stage().client({ protocolVersion: 5 });
    const error = await errorOf(client.subscribe(filters, options as Options));
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toMatch(expected);
  });

  it('v5 U-3.2.2-e is refused for a server that has no Shared Subscriptions', async () => {
    const stage = new Stage();
    const properties = { sharedSubscriptionAvailable: false };
    const { client, broker } = await stage.online({ protocolVersion: 5 }, { properties });
    const error = await errorOf<SubscribeError>(client.subscribe('a', { share: 'g' }));
    expect(error.results).toEqual([{ topicFilter: '$share/g/a', reasonCode: 0x9e }]);
    await stage.end(client, broker);
  });

  it('v5 R6 awaits no retained messages: those of another subscription are not for it', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const shared = await stage.subscribe(client, broker, 'a/#', { share: 'g' });
    const plain = await stage.subscribe(client, broker, 'a/b');
    broker.send({ ...message('a/b', 'kept'), retain: true }, message('a/b', 'live'));
    await stage.clock.advance(0);
    expect([shared.depth, plain.depth]).toEqual([1, 2]);
    await stage.end(client, broker);
  });
});

describe('deliveredAs', () => {
  it('is the filter that Topic Names match, in place of the one that was asked for', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const filter = { topicFilter: '$views/latest/+', deliveredAs: 'sensors/+/latest' };
    const subscription = await stage.subscribe(client, broker, [filter, 'other']);
    expect(broker.packets.at(-1)).toMatchObject({
      subscriptions: [{ topicFilter: '$views/latest/+' }, { topicFilter: 'other' }],
    });
    broker.send(
      message('sensors/7/latest', 'yes'),
      message('$views/latest/7', 'no'),
      message('other', 'too'),
    );
    await stage.clock.advance(0);
    expect(subscription.depth).toBe(2);
    const leaving = subscription.unsubscribe();
    const { packetId } = await broker.expect('unsubscribe', { topicFilters: ['$views/latest/+', 'other'] });
    broker.send({ type: 'unsuback', packetId });
    await stage.until(leaving);
    await stage.end(client, broker);
  });

  it('may be an exact name, also of a Shared Subscription', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const subscription = await stage.subscribe(client, broker, 'x/a', { share: 'g', deliveredAs: 'a' });
    broker.send(message('a', 'yes'), message('x/a', 'no'));
    await stage.clock.advance(0);
    expect(subscription.depth).toBe(1);
    await stage.end(client, broker);
  });

  it.each([
    ['$queue/jobs/+', 'jobs/7'],
    ['$exclusive/jobs/7', 'jobs/7'],
    ['$delayed/15/jobs/7', 'jobs/7'],
  ])(
    'of the prefixes of EMQX is known: %s gets %s, and its own text from other servers',
    async (filter, name) => {
      const stage = new Stage();
      const { client, broker } = await stage.online();
      const subscription = await stage.subscribe(client, broker, filter);
      const literal = filter.replace('+', '7');
      broker.send(message(name, 'stripped'), message(literal, 'literal'), message('other', 'no'));
      await stage.clock.advance(0);
      const texts = [(await subscription.receive()).text(), (await subscription.receive()).text()];
      expect([texts, subscription.depth]).toEqual([['stripped', 'literal'], 0]);
      await stage.end(client, broker);
    },
  );

  it('is the same for all subscriptions to one filter', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const filter = { topicFilter: 'x', deliveredAs: 'a' };
    await stage.subscribe(client, broker, filter);
    await stage.subscribe(client, broker, filter);
    const error = await errorOf(client.subscribe({ topicFilter: 'x', deliveredAs: 'b' }));
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toBe(
      'deliveredAs: expected "a", as other subscriptions to this Topic Filter have, got "b"',
    );
    await expect(client.subscribe('x')).rejects.toThrow(/got none$/);
    await stage.end(client, broker);
  });

  it.each([
    ['', /^deliveredAs: expected a Topic Filter of at least one character/],
    ['a#', /^deliveredAs: expected a Topic Filter with # alone/],
    ['$share/g/a', /^deliveredAs: expected a filter that Topic Names match/],
    [7, /^deliveredAs: expected a string, got 7/],
  ])('is checked: %j', async (deliveredAs, expected) => {
    const client = new Stage().client();
    const error = await errorOf(client.subscribe('a', { deliveredAs } as Options));
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toMatch(expected);
  });
});

describe('local: true', () => {
  const local = (topicFilter: string) => ({ topicFilter, local: true });

  it('sends neither SUBSCRIBE nor UNSUBSCRIBE, and gets what the server sends by itself', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const subscription = await stage.until(client.subscribe(local('events/#'), { qos: 1 }));
    expect([subscription.granted, subscription.results]).toEqual([
      [1],
      [{ topicFilter: 'events/#', reasonCode: 1 }],
    ]);
    const { texts } = collect(subscription);
    broker.send(message('events/7', 'x', 7));
    await broker.expect('puback', { packetId: 7 });
    expect(texts).toEqual(['x']);
    await stage.until(subscription.unsubscribe());
    await stage.end(client, broker);
    expect(broker.packets.map(({ type }) => type)).toEqual(['connect', 'puback', 'disconnect']);
  });

  it('needs no connection, and a loop over it ends without a packet', async () => {
    const stage = new Stage();
    const client = stage.client();
    const subscription = await client.subscribe('events', { local: true });
    const broker = await stage.connect(client);
    broker.send(message('events', 'x'));
    await stage.clock.advance(0);
    for await (const one of subscription) {
      expect(one.text()).toBe('x');
      break;
    }
    expect(client.stats().subscriptions).toEqual([]);
    await stage.end(client, broker);
    expect(broker.packets.map(({ type }) => type)).toEqual(['connect', 'disconnect']);
  });

  it('is not restored when the server has lost the session, and goes on all the same', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const subscription = await stage.subscribe(client, broker, [local('events'), 'other'], { qos: 1 });
    expect(subscription.granted).toEqual([1, 1]);
    expect(broker.packets.at(-1)).toMatchObject({ subscriptions: [{ topicFilter: 'other' }] });
    const next = await stage.reconnect(broker);
    await next.expect('subscribe', { subscriptions: [{ topicFilter: 'other', qos: 1 }] });
    next.send(message('events', 'x'), message('other', 'y'));
    await stage.clock.advance(0);
    expect(subscription.depth).toBe(2);
    await stage.end(client, next);
  });

  it('shares a filter with subscriptions of the client: the last of those unsubscribes, and it stays', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const own = await stage.until(client.subscribe(local('a')));
    const asked = await stage.subscribe(client, broker, 'a');
    const leaving = asked.unsubscribe();
    const { packetId } = await broker.expect('unsubscribe', { topicFilters: ['a'] });
    broker.send({ type: 'unsuback', packetId }, message('a', 'x'));
    await stage.until(leaving);
    await stage.clock.advance(0);
    expect(own.depth).toBe(1);
    await stage.end(client, broker);
  });

  it('is ended by client.unsubscribe() too, without a packet for it', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ protocolVersion: 5 });
    broker.answer('subscribe', 'unsubscribe');
    const { done } = collect(await stage.until(client.subscribe(local('events'))));
    await stage.until(client.subscribe('a'));
    const { results } = await stage.until(client.unsubscribe(['a', 'events', 'never']));
    expect(results.map(({ topicFilter }) => topicFilter)).toEqual(['a', 'events', 'never']);
    await done;
    expect(broker.packets.at(-1)).toMatchObject({ type: 'unsubscribe', topicFilters: ['a', 'never'] });
    await stage.end(client, broker);
  });

  it('is not held against what the server can, and is not ended by a refusal of the same filter', async () => {
    const stage = new Stage();
    const properties = { wildcardSubscriptionAvailable: false };
    const { client, broker } = await stage.online({ protocolVersion: 5 }, { properties });
    const all = await stage.until(client.subscribe(local('#')));
    const own = await stage.until(client.subscribe(local('a')));
    await stage.subscribe(client, broker, 'a');
    const next = await stage.reconnect(broker);
    const { packetId } = await next.expect('subscribe');
    next.send({ type: 'suback', packetId, reasonCodes: [0x87] }, message('a', 'x'));
    await stage.clock.advance(0);
    expect([all.depth, own.depth]).toEqual([1, 1]);
    await stage.end(client, next);
  });

  it('ends with the client, and rejects when that is closed', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const { done } = collect(await stage.until(client.subscribe(local('a'))));
    await stage.end(client, broker);
    await done;
    await expect(client.subscribe(local('a'))).rejects.toBeInstanceOf(ClosedError);
  });
});
