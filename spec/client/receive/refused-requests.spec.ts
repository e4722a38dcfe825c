import { describe, expect, it } from '@jest/globals';
import { SubscribeError, UnsubscribeError } from '../../../lib/errors.ts';
import { withoutUnhandled } from '../../support/unhandled.ts';
import type { ScriptedBroker } from '../../support/scripted-broker.ts';
import { collect, errorOf, message, Stage, watch } from '../../scenarios/stage.ts';

describe('an UNSUBSCRIBE that is refused', () => {
  it('rejects unsubscribe() with what came of each filter', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ protocolVersion: 5 });
    await stage.subscribe(client, broker, ['a', 'b', 'c']);
    const leaving = client.unsubscribe(['a', 'b', 'c']);
    const { packetId } = await broker.expect('unsubscribe');
    broker.send({ type: 'unsuback', packetId, reasonCodes: [0, 0x87, 0x11] });
    const error = await errorOf<UnsubscribeError>(stage.until(leaving));
    expect(error).toBeInstanceOf(UnsubscribeError);
    expect(error).toMatchObject({
      code: 'ERR_MQTT_UNSUBSCRIBE',
      message: 'could not unsubscribe: b: Not authorized (0x87)',
      results: [
        { topicFilter: 'a', reasonCode: 0 },
        { topicFilter: 'b', reasonCode: 0x87 },
        { topicFilter: 'c', reasonCode: 0x11 },
      ],
    });
    await stage.end(client, broker);
  });

  it('as its packet would be too large rejects as well', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(
      { protocolVersion: 5 },
      { properties: { maximumPacketSize: 40 } },
    );
    const topicFilter = 'x'.repeat(40);
    const error = await errorOf<UnsubscribeError>(stage.until(client.unsubscribe(topicFilter)));
    expect(error).toBeInstanceOf(UnsubscribeError);
    expect(error.results).toEqual([{ topicFilter, reasonCode: 0x95 }]);
    await stage.end(client, broker);
  });

  it('rejects unsubscribe() and stop() of a Subscription', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ protocolVersion: 5 });
    for (const how of ['unsubscribe', 'stop'] as const) {
      const subscription = await stage.subscribe(client, broker, 'a');
      const leaving = subscription[how]();
      const { packetId } = await broker.expect('unsubscribe');
      broker.send({ type: 'unsuback', packetId, reasonCodes: [0x83] });
      await expect(stage.until(leaving)).rejects.toBeInstanceOf(UnsubscribeError);
    }
    await stage.end(client, broker);
  });

  it('is a warning where a loop has ended: nobody was given a promise', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ protocolVersion: 5 });
    await withoutUnhandled(async () => {
      const looping = collect(await stage.subscribe(client, broker, 'a'), () => {
        throw new Error('enough');
      });
      broker.send(message('a', 'x'));
      await expect(stage.until(looping.done)).rejects.toThrow('enough');
      const { packetId } = await broker.expect('unsubscribe');
      broker.send({ type: 'unsuback', packetId, reasonCodes: [0x83] });
      await stage.clock.advance(0);
    });
    expect(stage.log.some((line) => line.startsWith('warn: unsubscribe failed: could not unsubscribe'))).toBe(
      true,
    );
    await stage.end(client, broker);
  });

  it('may name filters that the server does not have: that is for the server to say', async () => {
    const stage = new Stage();
    const limits = { wildcardSubscriptionAvailable: false };
    const { client, broker } = await stage.online({ protocolVersion: 5 }, { properties: limits });
    broker.answer('unsubscribe');
    await expect(stage.until(client.unsubscribe('a/#'))).resolves.toMatchObject({ reasonCodes: [0] });
    await stage.end(client, broker);
  });
});

describe('a subscribe() that the server answers by closing', () => {
  /** Serves connections that end with a SUBSCRIBE for `poison`, until `promise` settles. */
  async function serve(stage: Stage, first: ScriptedBroker, poison: string, promise: PromiseLike<unknown>) {
    const outcome = watch(promise);
    const brokers = [first];
    let broker = first;
    let seen = 0;
    for (let ticks = 0; outcome() === 'pending' && ticks < 2_000; ticks++) {
      await stage.clock.advance(10);
      const asked = broker.packets.slice(seen).filter((packet) => packet.type === 'subscribe');
      seen = broker.packets.length;
      const isFatal = asked.some(({ subscriptions }) =>
        subscriptions.some(({ topicFilter }) => topicFilter === poison),
      );
      if (!isFatal) {
        for (const { packetId, subscriptions } of asked)
          broker.send({ type: 'suback', packetId, reasonCodes: subscriptions.map(({ qos }) => qos) });
        if (broker.unread.some(({ type }) => type === 'publish')) broker.answer('publish');
        continue;
      }
      broker.close();
      broker = await stage.network.next();
      await broker.accept();
      seen = 0;
      brokers.push(broker);
    }
    return brokers;
  }

  it('rejects and says why; what is published beside it arrives, and it is not sent again', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const subscribing = client.subscribe('$share/g/a');
    const published = [1, 2, 3].map((n) => client.publish('t', `${n}`, { qos: 1, timeout: 20_000 }));
    const begin = stage.clock.now();
    const brokers = await serve(stage, broker, '$share/g/a', subscribing);
    const error = await errorOf<SubscribeError>(subscribing);
    expect(error).toBeInstanceOf(SubscribeError);
    expect(error.message).toBe(
      'could not subscribe: $share/g/a: the connection was lost each time it was requested',
    );
    expect(error.results).toEqual([{ topicFilter: '$share/g/a', reasonCode: 0x80 }]);
    expect(brokers).toHaveLength(4);
    expect(stage.clock.now() - begin).toBeLessThan(10_000);
    await expect(stage.until(Promise.all(published))).resolves.toHaveLength(3);
    const last = brokers.at(-1)!;
    await stage.clock.advance(5_000);
    expect(last.packets.map(({ type }) => type)).not.toContain('subscribe');
    await stage.end(client, last);
  });

  it('in a restored subscription ends that one in its loop, and no other', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const poison = collect(await stage.subscribe(client, broker, 'poison'));
    const other = collect(await stage.subscribe(client, broker, 'other'));
    const next = await stage.reconnect(broker);
    const brokers = await serve(stage, next, 'poison', poison.done);
    const error = await errorOf<SubscribeError>(poison.done);
    expect(error).toBeInstanceOf(SubscribeError);
    expect(error.message).toContain('the connection was lost each time');
    await stage.clock.advance(5_000);
    const last = brokers.at(-1)!;
    last.send(message('other', 'goes on'));
    await stage.clock.advance(0);
    expect(other.texts).toEqual(['goes on']);
    await stage.end(client, last);
  });
});
