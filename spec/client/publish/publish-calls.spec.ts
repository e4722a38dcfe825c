import { describe, expect, it } from '@jest/globals';
import { PendingPublish, PUBLISHED, PUBLISHED_AT_ONCE } from '../../../lib/client/publish/pending-publish.ts';
import type { PublishOptions } from '../../../lib/client/publish/publish-calls.ts';
import { NO_PROPERTIES } from '../../../lib/codec/packets.ts';
import {
  ClosedError,
  ConnectionLostError,
  PublishError,
  QueueFullError,
  TimeoutError,
} from '../../../lib/errors.ts';
import { Stage as ExchangeStage } from '../../../lib/session/exchange.ts';
import { bytes, errorOf, Stage, watch } from '../../scenarios/stage.ts';
import { settled } from '../../support/fake-clock.ts';

describe('the arguments of publish()', () => {
  const wrong: [topicName: unknown, payload: unknown, options: unknown, message: RegExp][] = [
    ['a/+', '', undefined, /^topicName: expected a Topic Name without the wildcards/],
    ['', '', undefined, /^topicName: /],
    ['a\0', '', undefined, /^topicName: /],
    ['a\ud800', '', undefined, /^topicName: /],
    ['a'.repeat(65_536), '', undefined, /^topicName: /],
    [7, '', undefined, /^topicName: expected a string, got 7/],
    ['a', undefined, undefined, /^payload: /],
    ['a', { a: 1 }, undefined, /^payload: /],
    ['a', '\ud800', undefined, /^payload: /],
    ['a', '', { qos: 3 }, /^qos: expected 0 or 1 or 2, got 3/],
    ['a', '', { retain: 1 }, /^retain: /],
    ['a', '', { timeout: -1 }, /^timeout: /],
    ['a', '', { signal: {} }, /^signal: /],
    ['a', '', { quality: 1 }, /^publish: expected one of .*, got quality/],
    ['a', '', null, /^publish: expected an object/],
    ['a', '', { properties: {} }, /^properties: expected none, as only MQTT 5.0 has them/],
  ];

  it.each(wrong)('are checked before anything is done (%#)', async (topicName, payload, options, message) => {
    const client = new Stage().client();
    const publishing = client.publish(topicName as string, payload as string, options as PublishOptions);
    const error = await errorOf(publishing);
    expect(error.message).toMatch(message);
    expect(error instanceof TypeError || error instanceof RangeError).toBe(true);
  });

  it.each([
    [{ messageExpiryInterval: -1 }],
    [{ messageExpiryInterval: '60' }],
    [{ responseTopic: 'a/#' }],
    [{ userProperties: [['a']] }],
    [{ contentType: 'a\0' }],
    [{ expiry: 5 }],
  ])('are checked with their properties on 5.0: %j', async (properties) => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ protocolVersion: 5 });
    const error = await errorOf(client.publish('a', '', { qos: 1, properties: properties as object }));
    expect(error instanceof TypeError || error instanceof RangeError).toBe(true);
    await stage.end(client, broker);
    expect(broker.unread.map((packet) => packet.type)).toEqual(['disconnect']);
  });

  it('v5 MQTT-3.3.4-6 may have the properties of a received message, whose Subscription Identifiers are left out', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ protocolVersion: 5 });
    const properties = { contentType: 'text/plain', subscriptionIdentifiers: [1] };
    for (const qos of [0, 1] as const) {
      const publishing = client.publish('a', '', { qos, properties });
      const packet = await broker.expect('publish', { qos });
      expect(packet.properties).toEqual({ contentType: 'text/plain' });
      if (packet.packetId !== undefined) broker.send({ type: 'puback', packetId: packet.packetId });
      await stage.until(publishing);
    }
    await stage.end(client, broker);
  });

  it('that are valid are sent', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ protocolVersion: 5 });
    const properties = {
      messageExpiryInterval: 60,
      userProperties: [['k', 'v']] as const,
      contentType: 'text/plain',
    };
    await client.publish('a', 21.5, { retain: true, properties });
    const sent = await broker.expect('publish');
    expect(sent).toMatchObject({ topic: 'a', payload: bytes('21.5'), retain: true, properties });
    await stage.end(client, broker);
  });
});

describe('publish() with QoS 0', () => {
  it('resolves at once, with one promise for all', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const [one, other] = [client.publish('a', '1'), client.publish('a', '2')];
    expect(one).toBe(other);
    await expect(one).resolves.toEqual({ reasonCode: 0, properties: {} });
    for (const text of ['1', '2']) await broker.expect('publish', { payload: bytes(text), qos: 0 });
    await stage.end(client, broker);
  });

  it('waits for a connection, and leaves in call order with it', async () => {
    const stage = new Stage();
    const client = stage.client();
    const outcomes = ['1', '2'].map((text) => watch(client.publish('a', text)));
    await settled();
    expect(outcomes.map((outcome) => outcome())).toEqual(['pending', 'pending']);
    const broker = await stage.connect(client);
    for (const text of ['1', '2']) await broker.expect('publish', { payload: bytes(text) });
    expect(outcomes.map((outcome) => outcome())).toEqual([
      { value: { reasonCode: 0, properties: {} } },
      { value: { reasonCode: 0, properties: {} } },
    ]);
    await stage.end(client, broker);
  });

  it('rejects at once without a connection if queueQos0Offline is false', async () => {
    const client = new Stage().client({ queueQos0Offline: false });
    const error = await errorOf<ConnectionLostError>(client.publish('a', 'x'));
    expect(error).toBeInstanceOf(ConnectionLostError);
    expect([error.delivery, error.kept]).toEqual(['not-sent', false]);
  });

  it('of a large payload resolves when it has left, and not before', async () => {
    const stage = new Stage({ room: 1_000, latency: 100 });
    const { client, broker } = await stage.online();
    const outcome = watch(client.publish('a', new Uint8Array(50_000)));
    await stage.clock.advance(99);
    expect(outcome()).toBe('pending');
    await broker.expect('publish');
    await settled();
    expect(outcome()).toEqual({ value: { reasonCode: 0, properties: {} } });
    await stage.end(client, broker);
  });

  it('is backpressure: awaited in a loop it never holds more than about 1 MiB', async () => {
    const stage = new Stage({ latency: 1_000 });
    const { client, broker } = await stage.online();
    let published = 0;
    void (async () => {
      for (;;) {
        await client.publish('a', 'x'.repeat(10_000));
        published += 10_000;
      }
    })().catch(() => {});
    for (let i = 0; i < 100; i++) await settled();
    const held = published;
    expect(held).toBeGreaterThan(900_000);
    expect(held).toBeLessThan(1_500_000);
    await stage.clock.advance(10_000);
    expect(published).toBeGreaterThan(held);
    // As much as the network takes in ten round trips, and what is held again.
    expect(published - held).toBeLessThan(3_000_000);
    broker.reset();
    await client.disconnect();
  });
});

describe('publish() with QoS 1 and 2', () => {
  it('resolves with PUBACK and with PUBCOMP', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const [one, two] = [client.publish('a', '1', { qos: 1 }), client.publish('a', '2', { qos: 2 })].map(
      watch,
    );
    const first = await broker.expect('publish', { qos: 1, duplicate: false });
    const second = await broker.expect('publish', { qos: 2, duplicate: false });
    broker.send(
      { type: 'puback', packetId: first.packetId! },
      { type: 'pubrec', packetId: second.packetId! },
    );
    await broker.expect('pubrel', { packetId: second.packetId! });
    expect([one!() === 'pending', two!()]).toEqual([false, 'pending']);
    broker.send({ type: 'pubcomp', packetId: second.packetId! });
    await stage.clock.advance(0);
    expect(two!()).toEqual({ value: { reasonCode: 0, properties: {} } });
    await stage.end(client, broker);
  });

  it('resolves with 0x10 if nobody subscribed, and rejects from 0x80 on', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ protocolVersion: 5 });
    const [one, other] = [client.publish('a', '1', { qos: 1 }), client.publish('a', '2', { qos: 2 })];
    other.catch(() => {});
    const first = await broker.expect('publish');
    const second = await broker.expect('publish');
    broker.send({ type: 'puback', packetId: first.packetId!, reasonCode: 0x10 });
    broker.send({ type: 'pubrec', packetId: second.packetId!, reasonCode: 0x87 });
    await expect(stage.until(one)).resolves.toMatchObject({ reasonCode: 0x10 });
    await expect(stage.until(other)).rejects.toMatchObject({
      reasonCode: 0x87,
      delivery: 'rejected',
      kept: false,
    });
    await stage.end(client, broker);
  });

  it('is refused by the limits of the server before anything is written', async () => {
    const stage = new Stage();
    const limits = {
      maximumQoS: 1,
      retainAvailable: false,
      maximumPacketSize: 100,
      topicAliasMaximum: 2,
    } as const;
    const { client, broker } = await stage.online({ protocolVersion: 5 }, { properties: limits });
    const codes = async (payload: string, options: PublishOptions) =>
      (await errorOf<PublishError>(client.publish('a', payload, options))).reasonCode;
    expect(await codes('x', { qos: 2 })).toBe(0x9b);
    expect(await codes('x', { retain: true })).toBe(0x9a);
    expect(await codes('x'.repeat(100), { qos: 1 })).toBe(0x95);
    expect(await codes('x', { properties: { topicAlias: 3 } })).toBe(0x94);
    await client.publish('a', 'fits');
    await broker.expect('publish', { payload: bytes('fits') });
    await stage.end(client, broker);
  });

  it('is refused if the queue is full', async () => {
    const stage = new Stage();
    const client = stage.client({ maxQueued: 2 });
    const waiting = [1, 2].map((n) => client.publish('a', n, { qos: 1 }));
    for (const one of waiting) one.catch(() => {});
    await expect(client.publish('a', 3, { qos: 1 })).rejects.toBeInstanceOf(QueueFullError);
    await client.disconnect();
    for (const one of waiting) await expect(one).rejects.toBeInstanceOf(ClosedError);
  });
});

describe('a publish() that its caller gives up', () => {
  it('is removed from the queue, and never sent', async () => {
    const stage = new Stage();
    const client = stage.client();
    const aborting = new AbortController();
    const reason = new Error('too old');
    const aborted = client.publish('a', 'aborted', { qos: 1, signal: aborting.signal });
    const late = watch(client.publish('a', 'late', { qos: 1, timeout: 50 }));
    const kept = client.publish('a', 'kept', { qos: 1 });
    aborting.abort(reason);
    await expect(aborted).rejects.toBe(reason);
    await stage.clock.advance(50);
    const { error } = late() as { error: TimeoutError };
    expect(error).toBeInstanceOf(TimeoutError);
    expect([error.delivery, error.kept]).toEqual(['not-sent', false]);
    expect(stage.clock.armed).toBe(0);
    const broker = await stage.connect(client);
    broker.ackPublishes();
    await stage.until(kept);
    expect(broker.packets.filter((packet) => packet.type === 'publish')).toHaveLength(1);
    await stage.end(client, broker);
  });

  it('goes on where it was written: its fate is unknown, its payload is copied, its identifier is freed in time', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ cleanStart: false, clientId: 'me' });
    const payload = bytes('mine');
    const outcome = watch(client.publish('a', payload, { qos: 1, timeout: 50 }));
    const { packetId } = await broker.expect('publish');
    await stage.clock.advance(50);
    const { error } = outcome() as { error: TimeoutError };
    expect([error.delivery, error.kept]).toEqual(['unknown', true]);
    payload.fill(0);
    const next = await stage.reconnect(broker, { sessionPresent: true });
    await next.expect('publish', { packetId: packetId!, duplicate: true, payload: bytes('mine') });
    next.send({ type: 'puback', packetId: packetId! });
    await stage.clock.advance(0);
    await stage.end(client, next);
    expect(stage.clock.armed).toBe(0);
  });

  it('is not called never sent where it waits again, as the session it was sent in is lost', async () => {
    const stage = new Stage();
    const options = {
      cleanStart: false,
      clientId: 'me',
      protocolVersion: 5,
      sessionExpiryInterval: 60,
    } as const;
    const { client, broker } = await stage.online(options);
    client.publish('a', 'first', { qos: 1 }).catch(() => {});
    const outcome = watch(client.publish('a', 'mine', { qos: 1, timeout: 5_000 }));
    await broker.expect('publish');
    await broker.expect('publish');
    const next = await stage.reconnect(broker, { sessionPresent: false, properties: { receiveMaximum: 1 } });
    await next.expect('publish', { payload: bytes('first') });
    await stage.clock.advance(5_000);
    expect(outcome()).toMatchObject({ error: { delivery: 'unknown', kept: false } });
    await stage.end(client, next);
  });

  it('has its large payload back, whatever the network still holds of it', async () => {
    const stage = new Stage({ room: 1_000, latency: 100 });
    const { client, broker } = await stage.online();
    const payload = new Uint8Array(50_000).fill(7);
    const outcome = watch(client.publish('a', payload, { qos: 1, timeout: 50 }));
    await stage.clock.advance(50);
    expect(outcome()).toMatchObject({ error: { delivery: 'unknown', kept: true } });
    payload.fill(0);
    await broker.expect('publish', { payload: new Uint8Array(50_000).fill(7) });
    await stage.end(client, broker);
  });

  it('before it was called is not published', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const reason = new Error('never');
    await expect(client.publish('a', '', { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    await stage.end(client, broker);
    expect(broker.unread.map((packet) => packet.type)).toEqual(['disconnect']);
  });

  it('leaves neither a timer nor a listener when it is answered', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ keepAlive: 0, messageRetry: 0 });
    const before = stage.clock.armed;
    const { signal } = new AbortController();
    const publishing = client.publish('a', 'x', { qos: 1, signal, timeout: 5_000 });
    expect(stage.clock.armed).toBe(before + 1);
    broker.ackPublishes();
    await stage.until(publishing);
    expect(stage.clock.armed).toBe(before);
    await stage.end(client, broker);
  });
});

const pending = () => new PendingPublish('a', 'x', 1, false, undefined);

describe('a publish that is under way', () => {
  it('resolves with what the server said', async () => {
    const [usual, unmatched] = [pending(), pending()];
    usual.settle(0, NO_PROPERTIES);
    unmatched.settle(0x10, { reasonString: 'nobody' });
    await expect(usual.promise).resolves.toBe(PUBLISHED);
    await expect(unmatched.promise).resolves.toEqual({
      reasonCode: 0x10,
      properties: { reasonString: 'nobody' },
    });
    expect(usual.stage).toBe(ExchangeStage.Over);
  });

  it('keeps the properties that came with code 0', async () => {
    const one = pending();
    one.settle(0, { userProperties: [['a', 'b']] });
    await expect(one.promise).resolves.toEqual({
      reasonCode: 0,
      properties: { userProperties: [['a', 'b']] },
    });
  });

  it('rejects with a reason that is long cut in the message, and whole in the properties', async () => {
    const refused = pending();
    const reasonString = 'x'.repeat(65_000);
    refused.settle(0x97, { reasonString });
    const error = (await refused.promise.catch((thrown: unknown) => thrown)) as PublishError;
    expect(error.message).toBe(`the server refused the message: Quota exceeded (0x97): ${'x'.repeat(256)}…`);
    expect(error.properties).toEqual({ reasonString });
  });

  it('rejects with the reason in words if the server refused', async () => {
    const refused = pending();
    refused.settle(0x97, { reasonString: 'come back tomorrow' });
    const error = (await refused.promise.catch((thrown: unknown) => thrown)) as PublishError;
    expect(error).toBeInstanceOf(PublishError);
    expect(error).toMatchObject({
      code: 'ERR_MQTT_PUBLISH',
      reasonCode: 0x97,
      delivery: 'rejected',
      kept: false,
      properties: { reasonString: 'come back tomorrow' },
    });
    expect(error.message).toMatch(/Quota exceeded.*0x97.*come back tomorrow/i);
  });

  it('settles once, and each promise is its own', async () => {
    const [one, other] = [pending(), pending()];
    const reason = new Error('no patience');
    one.failed(reason);
    one.settle(0, NO_PROPERTIES);
    other.fail(new ClosedError('over', { delivery: 'not-sent', kept: false }));
    await expect(one.promise).rejects.toBe(reason);
    await expect(other.promise).rejects.toMatchObject({ delivery: 'not-sent' });
  });
});

describe('the outcome of QoS 0', () => {
  it('is one frozen object for all', async () => {
    await expect(PUBLISHED_AT_ONCE).resolves.toBe(PUBLISHED);
    expect(Object.isFrozen(PUBLISHED) && Object.isFrozen(PUBLISHED.properties)).toBe(true);
  });
});
