import { describe, expect, it } from '@jest/globals';
import type { PublishPacket } from '../../../lib/codec/packets.ts';
import type { Client } from '../../../lib/client/client.ts';
import type { RequestManyOptions } from '../../../lib/client/request/request-options.ts';
import { collect, errorOf, Stage } from '../../scenarios/stage.ts';
import type { ScriptedBroker } from '../../support/scripted-broker.ts';
import { grant, reply, V5 } from './request-rig.ts';

/** A loop over the replies to one request, and the request as it was sent. */
async function gathering(
  client: Client<unknown>,
  broker: ScriptedBroker,
  options: RequestManyOptions = {},
): Promise<ReturnType<typeof collect> & { readonly publish: PublishPacket }> {
  const loop = collect(client.requestMany('fleet/who', null, options));
  await grant(broker);
  return { ...loop, publish: await broker.expect('publish', { topic: 'fleet/who' }) };
}

describe('requestMany()', () => {
  it('sends nothing before it is iterated, and one request for each loop', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(V5);
    const replies = client.requestMany('fleet/who', null, { timeout: 100 });
    await stage.clock.advance(1_000);
    expect([broker.unread, client.stats().requests.pending]).toEqual([[], 0]);
    const loops = [collect(replies), collect(replies)];
    await grant(broker);
    for (const text of ['one', 'two']) reply(broker, await broker.expect('publish'), text);
    await stage.clock.advance(100);
    await Promise.all(loops.map(({ done }) => done));
    expect(loops.map(({ texts }) => texts)).toEqual([['one'], ['two']]);
    await stage.end(client, broker);
  });

  it('yields replies as they arrive, and ends without an error when its time is over', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(V5);
    const { publish, texts, done } = await gathering(client, broker, { timeout: 2_000 });
    expect(publish.properties).toMatchObject({ messageExpiryInterval: 2 });
    for (const text of ['a', 'b', 'c']) {
      reply(broker, publish, text);
      await stage.clock.advance(600);
      expect(texts.at(-1)).toBe(text);
    }
    await stage.clock.advance(200);
    await done;
    reply(broker, publish, 'late');
    await stage.clock.advance(0);
    expect([texts, client.stats().requests]).toMatchObject([['a', 'b', 'c'], { pending: 0, unexpected: 1 }]);
    await stage.end(client, broker);
  });

  it('ends after so many replies', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(V5);
    const { publish, texts, done } = await gathering(client, broker, { until: { count: 2 } });
    for (const text of ['a', 'b', 'c']) reply(broker, publish, text);
    await stage.until(done);
    await stage.clock.advance(0);
    expect([texts, client.stats().requests]).toMatchObject([['a', 'b'], { pending: 0, unexpected: 1 }]);
    await stage.end(client, broker);
  });

  it('ends when no reply has come for so long since the last, and waits for the first until its timeout', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(V5);
    const { publish, texts, done } = await gathering(client, broker, {
      until: { stall: 300 },
      timeout: 5_000,
    });
    const start = stage.clock.now();
    await stage.clock.advance(1_000);
    for (const text of ['a', 'b']) {
      reply(broker, publish, text);
      await stage.clock.advance(299);
    }
    reply(broker, publish, 'c');
    await stage.until(done);
    expect(texts).toEqual(['a', 'b', 'c']);
    expect(stage.clock.now() - start).toBe(1_000 + 299 + 299 + 300);
    await stage.end(client, broker);
  });

  it('keeps replies that come faster than the loop takes them', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(V5);
    const loop = client.requestMany('fleet/who', null, { until: { count: 3 } })[Symbol.asyncIterator]();
    const first = loop.next();
    await grant(broker);
    const publish = await broker.expect('publish');
    for (const text of ['a', 'b', 'c']) reply(broker, publish, text);
    await stage.clock.advance(0);
    const texts = [];
    for (let next = await stage.until(first); next.done !== true; next = await loop.next())
      texts.push(next.value.text());
    expect(texts).toEqual(['a', 'b', 'c']);
    await stage.end(client, broker);
  });

  it('stops waiting when the loop is left', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(V5);
    const leaving = (async () => {
      for await (const one of client.requestMany('fleet/who', null)) return one.text();
      return undefined;
    })();
    await grant(broker);
    const publish = await broker.expect('publish');
    for (const text of ['a', 'b']) reply(broker, publish, text);
    expect(await stage.until(leaving)).toBe('a');
    expect(client.stats().requests.pending).toBe(0);
    await stage.end(client, broker);
    expect(stage.clock.armed).toBe(0);
  });

  it('throws a failure of a service, or leaves it out if asked to', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(V5);
    const failure = { userProperties: [['mqtt-await-error-code', 'busy']] } as const;
    const throwing = await gathering(client, broker);
    reply(broker, throwing.publish, 'a');
    reply(broker, throwing.publish, '', failure);
    expect(await stage.until(errorOf(throwing.done))).toMatchObject({ code: 'busy', remote: true });
    expect(throwing.texts).toEqual(['a']);
    const skipping = collect(client.requestMany('fleet/who', null, { onError: 'skip', until: { count: 3 } }));
    const publish = await broker.expect('publish');
    reply(broker, publish, 'a');
    reply(broker, publish, '', failure);
    reply(broker, publish, 'c');
    await stage.until(skipping.done);
    expect(skipping.texts).toEqual(['a', 'c']);
    await stage.end(client, broker);
  });

  it('throws if nobody has subscribed, if it could not be sent in time, and what aborts it', async () => {
    const stage = new Stage();
    const client = stage.client(V5);
    const unsent = collect(client.requestMany('fleet/who', null, { timeout: 100 }));
    await stage.clock.advance(100);
    expect(await errorOf(unsent.done)).toMatchObject({ code: 'ERR_MQTT_TIMEOUT', delivery: 'not-sent' });
    const broker = await stage.connect(client);
    const unheard = await gathering(client, broker, { qos: 1 });
    broker.send({ type: 'puback', packetId: unheard.publish.packetId as number, reasonCode: 0x10 });
    expect(await stage.until(errorOf(unheard.done))).toMatchObject({ code: 'ERR_MQTT_NO_SUBSCRIBER' });
    const controller = new AbortController();
    const aborted = collect(client.requestMany('fleet/who', null, { signal: controller.signal }));
    await broker.expect('publish');
    const reason = new Error('enough');
    controller.abort(reason);
    expect(await stage.until(errorOf(aborted.done))).toBe(reason);
    await stage.end(client, broker);
  });

  it('throws what ends the client', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(V5);
    const { done } = await gathering(client, broker);
    await stage.end(client, broker);
    expect(await errorOf(done)).toMatchObject({ code: 'ERR_MQTT_CLOSED' });
  });

  it.each([
    { until: { stall: 0 } },
    { until: { count: 0 } },
    { until: { rounds: 1 } },
    { onError: 'ignore' },
    { retain: true },
  ])('throws at once on the wrong options %j', (options) => {
    const client = new Stage().client(V5);
    expect(() => client.requestMany('a', '', options as never)).toThrow(/until|onError|requestMany/);
  });
});
