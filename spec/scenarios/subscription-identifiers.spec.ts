import { describe, expect, it } from '@jest/globals';
import type { PublishProperties } from '../../lib/codec/packets.ts';
import type { ScriptedBroker } from '../support/scripted-broker.ts';
import { bytes, collect, errorOf, Stage, watch } from './stage.ts';

/*
 * Routing by Subscription Identifier (5.0). The first identifier of a clean session is 1, each further filter has the next.
 */

const CLEAN = { protocolVersion: 5 } as const;
const KEPT = { protocolVersion: 5, clientId: 'me', cleanStart: false, sessionExpiryInterval: 3_600 } as const;

/** A PUBLISH with these identifiers; with a Packet Identifier QoS 1. */
function sent(topic: string, text: string, identifiers: readonly number[], packetId?: number) {
  const properties: PublishProperties =
    identifiers.length === 0 ? {} : { subscriptionIdentifiers: identifiers };
  const qos = packetId === undefined ? (0 as const) : (1 as const);
  return { type: 'publish' as const, topic, payload: bytes(text), qos, packetId, properties };
}

/** The identifier with which a Topic Filter was subscribed to last. */
function identifierOf(broker: ScriptedBroker, topicFilter: string): number {
  const packet = broker.packets.findLast(
    (one) => one.type === 'subscribe' && one.subscriptions[0]?.topicFilter === topicFilter,
  );
  if (packet?.type !== 'subscribe') throw new Error(`${topicFilter} was not subscribed to`);
  return packet.properties.subscriptionIdentifier ?? 0;
}

const pubacks = (broker: ScriptedBroker): number[] =>
  broker.packets.flatMap((packet) => (packet.type === 'puback' ? [packet.packetId] : []));

describe('two subscriptions whose Topic Filters overlap', () => {
  async function overlapping(options: object = CLEAN) {
    const stage = new Stage();
    const { client, broker } = await stage.online(options);
    broker.answer('subscribe', 'unsubscribe');
    const [all, one] = await stage.until(
      Promise.all([client.subscribe('a/#', { qos: 1 }), client.subscribe('a/b', { qos: 1 })]),
    );
    return { stage, client, broker, all, one, heard: [collect(all).texts, collect(one).texts] };
  }

  it('v5 MQTT-3.3.4-2, -3 each get a message once where the server sends a copy for each', async () => {
    const { stage, client, broker, heard } = await overlapping();
    broker.send(sent('a/b', 'm', [2], 1), sent('a/b', 'm', [1], 2), sent('a/c', 'n', [1], 3));
    await stage.clock.advance(0);
    expect(heard).toEqual([['m', 'n'], ['m']]);
    expect(pubacks(broker)).toEqual([1, 2, 3]);
    await stage.end(client, broker);
  });

  it('v5 MQTT-3.3.4-4 each get it once where the server sends one copy with all identifiers', async () => {
    const { stage, client, broker, heard } = await overlapping();
    broker.send(sent('a/b', 'm', [2, 1], 1), sent('a/b', 'o', [1, 2, 1], 2));
    await stage.clock.advance(0);
    expect(heard).toEqual([
      ['m', 'o'],
      ['m', 'o'],
    ]);
    expect(pubacks(broker)).toEqual([1, 2]);
    await stage.end(client, broker);
  });

  it('each get it by its Topic Name where it has no identifier, or one that this client never sent', async () => {
    const { stage, client, broker, heard } = await overlapping();
    broker.send(
      sent('a/b', 'm', []),
      sent('a/b', 'n', [99]),
      sent('a/b', 'o', [1, 99]),
      sent('a/c', 'p', [77]),
    );
    await stage.clock.advance(0);
    expect(heard).toEqual([
      ['m', 'n', 'o', 'p'],
      ['m', 'n', 'o'],
    ]);
    await stage.end(client, broker);
  });

  it('does not believe an identifier whose filter the Topic Name does not match', async () => {
    const { stage, client, broker, heard } = await overlapping();
    broker.send(sent('a/c', 'm', [2]), sent('x', 'n', [1]), sent('a/b', 'o', [2]));
    await stage.clock.advance(0);
    expect(heard).toEqual([['m'], ['o']]);
    expect(client.stats().discarded).toBe(1);
    await stage.end(client, broker);
  });

  it('are asked for with their own QoS, and nobody is warned', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(CLEAN);
    const subscribing = [client.subscribe('a/#', { qos: 0 }), client.subscribe('a/b', { qos: 2 })];
    const asked = [await broker.expect('subscribe'), await broker.expect('subscribe')];
    expect(asked.map(({ subscriptions, properties }) => [subscriptions[0]!.qos, properties])).toEqual([
      [0, { subscriptionIdentifier: 1 }],
      [2, { subscriptionIdentifier: 2 }],
    ]);
    for (const { packetId } of asked) broker.send({ type: 'suback', packetId, reasonCodes: [0] });
    await stage.until(Promise.all(subscribing));
    expect(stage.log.filter((line) => line.includes('overlap'))).toEqual([]);
    await stage.end(client, broker);
  });

  it('v5 U-3.2.2-d are asked for with the higher QoS, with a warning, where the server has no identifiers', async () => {
    const stage = new Stage();
    const properties = { subscriptionIdentifiersAvailable: false };
    const { client, broker } = await stage.online(CLEAN, { properties });
    const subscribing = client.subscribe([
      { topicFilter: 'a/#', qos: 0 },
      { topicFilter: 'a/b', qos: 2 },
    ]);
    const { packetId, ...asked } = await broker.expect('subscribe');
    expect(asked.properties).toEqual({});
    expect(asked.subscriptions.map(({ qos }) => qos)).toEqual([2, 2]);
    broker.send({ type: 'suback', packetId, reasonCodes: [2, 2] });
    const subscription = await stage.until(subscribing);
    broker.send(sent('a/b', 'm', []));
    await stage.clock.advance(0);
    expect(subscription.depth).toBe(1);
    expect(stage.log.filter((line) => line.startsWith('warn: Topic Filters overlap'))).toHaveLength(1);
    await stage.end(client, broker);
  });

  it('v5 MQTT-3.10.4-2 leave each other alone: what still arrives for the one that ended is acknowledged', async () => {
    for (const options of [CLEAN, KEPT]) {
      const { stage, client, broker, one, heard } = await overlapping(options);
      const [all, b] = [identifierOf(broker, 'a/#'), identifierOf(broker, 'a/b')];
      await stage.until(one.unsubscribe());
      broker.send(sent('a/b', 'm', [b], 1), sent('a/b', 'm', [all], 2), sent('a/b', 'n', [all, b], 3));
      await stage.clock.advance(0);
      expect([heard, pubacks(broker)]).toEqual([
        [['m', 'n'], []],
        [1, 2, 3],
      ]);
      expect([client.stats().discarded, client.stats().held]).toEqual([1, 0]);
      await stage.end(client, broker);
    }
  });

  it('that share a filter share its identifier, which a new subscription after the last one does not', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(CLEAN);
    broker.answer('subscribe', 'unsubscribe');
    const first = await stage.until(client.subscribe('a', { qos: 1 }));
    const second = await stage.until(client.subscribe('a', { qos: 2 }));
    expect(identifierOf(broker, 'a')).toBe(1);
    await stage.until(first.unsubscribe());
    broker.send(sent('a', 'm', [1]));
    await stage.clock.advance(0);
    expect(second.depth).toBe(1);
    await stage.until(second.unsubscribe());
    const third = await stage.until(client.subscribe('a', { qos: 1 }));
    expect(identifierOf(broker, 'a')).toBe(2);
    // What was sent for the earlier one is for the new one too: the filter is the same.
    broker.send(sent('a', 'n', [1]), sent('a', 'o', [2]));
    await stage.clock.advance(0);
    expect(third.depth).toBe(2);
    await stage.end(client, broker);
  });
});

describe('one subscription with Topic Filters that overlap', () => {
  it.each([
    ['a copy for each filter', [sent('a/b', 'm', [1], 1), sent('a/b', 'm', [2], 2)]],
    ['a copy for each, the other way round', [sent('a/b', 'm', [2], 1), sent('a/b', 'm', [1], 2)]],
    ['one copy with all identifiers', [sent('a/b', 'm', [1, 2], 1)]],
  ])('v5 MQTT-3.3.4-2 gets a message once: %s', async (_, copies) => {
    const stage = new Stage();
    const { client, broker } = await stage.online(KEPT);
    broker.answer('subscribe');
    const { texts } = collect(await stage.until(client.subscribe(['a/#', 'a/b', 'c'], { qos: 1 })));
    const first = identifierOf(broker, 'a/#');
    expect([identifierOf(broker, 'a/b'), identifierOf(broker, 'c')]).toEqual([first + 1, first + 2]);
    const real = copies.map((copy) => ({
      ...copy,
      properties: {
        subscriptionIdentifiers: copy.properties.subscriptionIdentifiers!.map((n) => first - 1 + n),
      },
    }));
    broker.send(...real, sent('c', 'n', [first + 2]));
    await stage.clock.advance(0);
    expect(texts).toEqual(['m', 'n']);
    expect(pubacks(broker)).toEqual(copies.map(({ packetId }) => packetId));
    await stage.end(client, broker);
  });

  it('takes the copy with the higher QoS: the other may be missing, as QoS 0 does not wait for a client', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(KEPT);
    broker.answer('subscribe');
    const filters = [
      { topicFilter: 'a/#', qos: 0 as const },
      { topicFilter: 'a/b', qos: 1 as const },
    ];
    const { texts } = collect(await stage.until(client.subscribe(filters)));
    const [all, one] = [identifierOf(broker, 'a/#'), identifierOf(broker, 'a/b')];
    const next = await stage.reconnect(broker, { sessionPresent: true });
    next.send(sent('a/b', 'waited', [one], 1), sent('a/b', 'live', [all]), sent('a/b', 'live', [one], 2));
    await stage.clock.advance(0);
    expect([texts, pubacks(next)]).toEqual([
      ['waited', 'live'],
      [1, 2],
    ]);
    await stage.end(client, next);
  });

  it('takes the copy that was granted more where the server grants less than was asked for', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(KEPT);
    const subscribing = client.subscribe(['a/b', 'a/#'], { qos: 1 });
    for (const code of [0, 1])
      broker.send({
        type: 'suback',
        packetId: (await broker.expect('subscribe')).packetId,
        reasonCodes: [code],
      });
    const subscription = await stage.until(subscribing);
    broker.send(sent('a/b', 'm', [identifierOf(broker, 'a/#')], 1));
    broker.send(sent('a/b', 'm', [identifierOf(broker, 'a/b')]));
    await stage.clock.advance(0);
    expect(subscription.depth).toBe(1);
    await stage.end(client, broker);
  });

  it('takes the copy of a filter that the server has, while it may not have the other', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(CLEAN);
    const subscribing = client.subscribe(['a/#', 'a/b']);
    const [first, second] = [await broker.expect('subscribe'), await broker.expect('subscribe')];
    // The server has processed the second alone.
    broker.send({ type: 'suback', packetId: second.packetId, reasonCodes: [0] }, sent('a/b', 'early', [2]));
    broker.send({ type: 'suback', packetId: first.packetId, reasonCodes: [0] });
    const subscription = await stage.until(subscribing);
    broker.send(sent('a/b', 'both', [2]), sent('a/b', 'both', [1]));
    await stage.clock.advance(0);
    expect((await subscription.receive()).text()).toBe('early');
    expect(subscription.depth).toBe(1);
    const next = await stage.reconnect(broker);
    const restoring = [await next.expect('subscribe'), await next.expect('subscribe')];
    next.send(
      { type: 'suback', packetId: restoring[1]!.packetId, reasonCodes: [0] },
      sent('a/b', 'early', [2]),
    );
    next.send({ type: 'suback', packetId: restoring[0]!.packetId, reasonCodes: [0] });
    next.send(sent('a/b', 'both', [2]), sent('a/b', 'both', [1]));
    await stage.clock.advance(0);
    expect(subscription.depth).toBe(3);
    await stage.end(client, next);
  });

  it('goes on when one of them is refused (partial), or unsubscribed, and loses nothing', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(CLEAN);
    const subscribing = client.subscribe(['a/#', 'a/+', 'a/b'], { partial: true });
    for (const code of [0x87, 0, 0])
      broker.send({
        type: 'suback',
        packetId: (await broker.expect('subscribe')).packetId,
        reasonCodes: [code],
      });
    const { texts } = collect(await stage.until(subscribing));
    broker.send(sent('a/b', 'm', [2]), sent('a/b', 'm', [3]));
    await stage.clock.advance(0);
    expect(texts).toEqual(['m']);
    // The copy for a/b is left to that for a/+, which arrives when a/+ has ended.
    broker.send(sent('a/b', 'n', [3]));
    await stage.clock.advance(0);
    broker.answer('unsubscribe');
    const leaving = client.unsubscribe('a/+');
    broker.send(sent('a/b', 'n', [2]), sent('a/c', 'gone', [2]));
    await stage.until(leaving);
    broker.send(sent('a/b', 'o', [3]));
    await stage.clock.advance(0);
    expect(texts).toEqual(['m', 'n', 'o']);
    await stage.end(client, broker);
  });

  it('v5 R6 gets separate copies for a Shared Subscription, which others of the group do not get', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(CLEAN);
    broker.answer('subscribe');
    const { texts } = collect(await stage.until(client.subscribe(['$share/g/a', 'a'])));
    broker.send(sent('a', 'm', [1]), sent('a', 'm', [2]), sent('a', 'n', [2]));
    await stage.clock.advance(0);
    expect(texts).toEqual(['m', 'm', 'n']);
    await stage.end(client, broker);
  });
});

describe('a message with RETAIN 1 and an identifier', () => {
  const kept = (identifiers: readonly number[], text = 'kept') => ({
    ...sent('a/b', text, identifiers),
    retain: true,
  });

  it('goes once to each subscription that awaits it, in whatever order the copies come', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(CLEAN);
    broker.answer('subscribe');
    const heard = [client.subscribe('a/#'), client.subscribe('a/b'), client.subscribe(['a/+', '+/b'])].map(
      (one) => collect(one).texts,
    );
    await stage.clock.advance(0);
    broker.send(kept([3]), kept([1]), kept([2]), kept([4]));
    await stage.clock.advance(0);
    expect(heard).toEqual([['kept'], ['kept'], ['kept']]);
    await stage.clock.advance(20_000);
    heard.push(collect(client.subscribe('a/b')).texts);
    await stage.clock.advance(0);
    broker.send(kept([2]));
    await stage.clock.advance(0);
    expect(heard).toEqual([['kept'], ['kept'], ['kept'], ['kept']]);
    await stage.end(client, broker);
  });

  it('with Retain As Published goes to the subscriptions of its identifiers only', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(CLEAN);
    broker.answer('subscribe');
    const asPublished = await stage.until(client.subscribe('a/#', { retainAsPublished: true }));
    const plain = await stage.until(client.subscribe('a/b'));
    broker.send(kept([1], 'live'), sent('a/b', 'live', [2]), kept([1], 'again'), sent('a/b', 'again', [2]));
    await stage.clock.advance(0);
    expect([asPublished.depth, plain.depth]).toEqual([2, 2]);
    await stage.end(client, broker);
  });

  it('that nobody awaits goes to the subscriptions of its identifiers only', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(CLEAN);
    broker.answer('subscribe');
    const [all, one] = await stage.until(Promise.all([client.subscribe('a/#'), client.subscribe('a/b')]));
    await stage.clock.advance(20_000);
    broker.send(kept([2]));
    await stage.clock.advance(0);
    expect([all.depth, one.depth]).toEqual([0, 1]);
    await stage.end(client, broker);
  });
});

describe('identifiers over connections and processes', () => {
  it('are the same on the next connection, with the session and without it', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(KEPT);
    broker.answer('subscribe');
    const [all, one] = await stage.until(Promise.all([client.subscribe('a/#'), client.subscribe('a/b')]));
    const [a, b] = [identifierOf(broker, 'a/#'), identifierOf(broker, 'a/b')];
    const resumed = await stage.reconnect(broker, { sessionPresent: true });
    resumed.send(sent('a/b', 'm', [a]));
    await stage.clock.advance(0);
    const fresh = await stage.reconnect(resumed);
    fresh.answer('subscribe');
    await stage.clock.advance(0);
    expect([identifierOf(fresh, 'a/#'), identifierOf(fresh, 'a/b')]).toEqual([a, b]);
    fresh.send(sent('a/b', 'n', [b]));
    await stage.clock.advance(0);
    expect([all.depth, one.depth]).toEqual([1, 1]);
    await stage.end(client, fresh);
  });

  it('v5 MQTT-3.3.4-3 to -5 of an earlier process are not taken for those of this one', async () => {
    const begins: number[] = [];
    for (const random of [0, 0.25, 0.999_999]) {
      const stage = new Stage();
      stage.random = random;
      const { client, broker } = await stage.online(KEPT, { sessionPresent: true });
      broker.answer('subscribe');
      // Two copies of the earlier process wait at the server: for its filters with identifiers 1 and 2.
      const [all, one] = [client.subscribe('a/#', { qos: 1 }), client.subscribe('c', { qos: 1 })].map(
        (subscribing) => collect(subscribing).texts,
      );
      broker.send(sent('a/b', 'old', [2], 1), sent('c', 'old', [1], 2));
      await stage.clock.advance(0);
      expect([all, one]).toEqual([['old'], ['old']]);
      begins.push(identifierOf(broker, 'a/#'));
      await stage.end(client, broker);
    }
    // Three bytes, where they can differ.
    expect(begins).toEqual([16_384, 536_576, 2_097_149]);
  });

  it('of a message that waited for its subscription do not matter: its Topic Name decides', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(KEPT, { sessionPresent: true });
    broker.answer('subscribe');
    broker.send(sent('a/b', 'held', [5], 1));
    await stage.clock.advance(0);
    expect(client.stats().held).toBe(1);
    const { texts } = collect(await stage.until(client.subscribe('a/#', { qos: 1 })));
    await stage.clock.advance(0);
    expect([texts, pubacks(broker)]).toEqual([['held'], [1]]);
    await stage.end(client, broker);
  });

  it('of subscriptions that ended with disconnect() are those of whoever subscribes after the next connect()', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(KEPT);
    broker.answer('subscribe');
    await stage.until(client.subscribe('a/b', { qos: 1 }));
    const before = identifierOf(broker, 'a/b');
    await stage.end(client, broker);
    const next = await stage.connect(client, { sessionPresent: true });
    next.answer('subscribe');
    next.send(sent('a/b', 'waited', [before], 1));
    await stage.clock.advance(0);
    expect(client.stats().held).toBe(1);
    const { texts } = collect(await stage.until(client.subscribe('a/#', { qos: 1 })));
    next.send(sent('a/b', 'waited too', [before], 2));
    await stage.clock.advance(0);
    expect(texts).toEqual(['waited', 'waited too']);
    await stage.end(client, next);
  });

  it('of a subscribe() that failed are held in a persistent session, for whoever subscribes next', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(KEPT);
    const failing = watch(client.subscribe('a/b', { qos: 1, timeout: 1_000 }));
    const { packetId } = await broker.expect('subscribe');
    await stage.clock.advance(1_000);
    expect(failing()).toMatchObject({ error: { code: 'ERR_MQTT_TIMEOUT' } });
    broker.answer('subscribe', 'unsubscribe');
    const identifier = identifierOf(broker, 'a/b');
    broker.send({ type: 'suback', packetId, reasonCodes: [1] }, sent('a/b', 'm', [identifier], 1));
    await stage.clock.advance(0);
    expect([client.stats().held, pubacks(broker)]).toEqual([1, []]);
    const { texts } = collect(await stage.until(client.subscribe('a/b', { qos: 1 })));
    await stage.clock.advance(0);
    expect(texts).toEqual(['m']);
    await stage.end(client, broker);
  });

  it('all or nothing: a copy for a filter that is unsubscribed again goes to no other subscription', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(CLEAN);
    broker.answer('unsubscribe');
    const other = await stage.subscribe(client, broker, 'a/b');
    const subscribing = client.subscribe(['a/#', 'c']);
    const [first, second] = [await broker.expect('subscribe'), await broker.expect('subscribe')];
    broker.send({ type: 'suback', packetId: first.packetId, reasonCodes: [0] });
    broker.send({ type: 'suback', packetId: second.packetId, reasonCodes: [0x87] });
    await errorOf(stage.until(subscribing));
    broker.send(sent('a/b', 'm', [2]), sent('a/b', 'm', [1]));
    await stage.clock.advance(0);
    expect(other.depth).toBe(1);
    await stage.end(client, broker);
  });
});

describe('identifiers and filters that servers treat specially', () => {
  it('deliveredAs: a filter and its twin each get their own messages', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(CLEAN);
    broker.answer('subscribe');
    const [queue, view, plain] = await stage.until(
      Promise.all([
        client.subscribe('$queue/a'),
        client.subscribe({ topicFilter: '$view/1', deliveredAs: 'a' }),
        client.subscribe('a'),
      ]),
    );
    broker.send(sent('a', 'm', [1]), sent('a', 'm', [2]), sent('a', 'm', [3]), sent('a', 'n', [3]));
    await stage.clock.advance(0);
    expect([queue.depth, view.depth, plain.depth]).toEqual([1, 1, 2]);
    await stage.end(client, broker);
  });

  it('local: true gets messages without an identifier, and those of others that it matches', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(CLEAN);
    broker.answer('subscribe');
    const own = await stage.until(client.subscribe({ topicFilter: 'a/#', local: true }));
    const asked = await stage.until(client.subscribe('a/b'));
    expect(identifierOf(broker, 'a/b')).toBe(1);
    broker.send(sent('a/c', 'm', []), sent('a/b', 'n', [1]));
    await stage.clock.advance(0);
    expect([own.depth, asked.depth]).toEqual([2, 1]);
    await stage.end(client, broker);
  });
});
