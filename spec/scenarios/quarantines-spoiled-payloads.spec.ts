import { describe, expect, it } from '@jest/globals';
import type { Packet, QoS } from '../../lib/codec/packets.ts';
import { ConnectionLostError, PublishError, TimeoutError } from '../../lib/errors.ts';
import { settled } from '../support/fake-clock.ts';
import { bytes, Stage, statusOf, watch } from './stage.ts';

/*
 * The memory of a payload must not change until its promise settles. An application that transfers or resizes it
 * nevertheless loses only that message, and no incomplete packet is sent.
 */

const PERSISTENT = { clientId: 'me', cleanStart: false } as const;

/** Resizable memory, which the types of the oldest supported Node.js do not know. */
type Resizable = ArrayBuffer & { resize(size: number): void };

const WAYS: readonly (readonly [string, (size: number) => { payload: Uint8Array; spoil: () => void }])[] = [
  [
    'transferred',
    (size) => {
      const payload = new Uint8Array(size).fill(7);
      const { buffer } = payload;
      return { payload, spoil: () => void structuredClone(buffer, { transfer: [buffer] }) };
    },
  ],
  [
    'shrunk',
    (size) => {
      const buffer = Reflect.construct(ArrayBuffer, [size, { maxByteLength: 2 * size }]) as Resizable;
      return { payload: new Uint8Array(buffer).fill(7), spoil: () => buffer.resize(size >> 1) };
    },
  ],
  [
    'shrunk below a part of it',
    (size) => {
      const buffer = Reflect.construct(ArrayBuffer, [size + 8, { maxByteLength: 2 * size }]) as Resizable;
      return { payload: new Uint8Array(buffer, 8, size).fill(7), spoil: () => buffer.resize(8) };
    },
  ],
  [
    'grown',
    (size) => {
      const buffer = Reflect.construct(ArrayBuffer, [size, { maxByteLength: 2 * size }]) as Resizable;
      return { payload: new Uint8Array(buffer).fill(7), spoil: () => buffer.resize(size + 1) };
    },
  ],
];

const topics = (packets: readonly Packet[]): string[] =>
  packets.flatMap((packet) => (packet.type === 'publish' ? [packet.topic] : []));

describe.each(WAYS)('a payload whose memory is %s', (_, make) => {
  const SPOILED = { message: expect.stringMatching(/transferred or resized/), kept: false } as const;

  it.each<[QoS, number]>([
    [0, 100_000],
    [1, 100_000],
    [2, 100_000],
    [1, 3_000_000],
  ])('right after the call loses only that message: QoS %d, %d bytes', async (qos, size) => {
    const stage = new Stage({ room: 10_000_000 });
    const { client, broker } = await stage.online({ maxInflight: 1, messageRetry: 0 });
    const { payload, spoil } = make(size);
    const outcome = watch(client.publish('spoiled', payload, { qos }));
    spoil();
    const next = client.publish('next', 'x', { qos: 1 });
    broker.ackPublishes();
    await stage.until(next);
    expect(outcome()).toMatchObject({ error: { ...SPOILED, delivery: 'not-sent' } });
    expect((outcome() as { error: unknown }).error).toBeInstanceOf(PublishError);
    expect([topics(broker.packets), client.state, client.stats().pending]).toEqual([
      ['next'],
      'connected',
      0,
    ]);
    await stage.end(client, broker);
  });

  it('that was copied by publish() arrives', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const { payload, spoil } = make(100);
    const publishing = client.publish('a', payload, { qos: 1 });
    spoil();
    expect((await broker.expect('publish')).payload).toEqual(new Uint8Array(100).fill(7));
    broker.send({ type: 'puback', packetId: 1 });
    await stage.until(publishing);
    await stage.end(client, broker);
  });

  it.each([100, 100_000])(
    'while it waits for a connection is rejected in its turn (%d bytes)',
    async (size) => {
      const stage = new Stage({ room: 10_000_000 });
      const client = stage.client();
      const { payload, spoil } = make(size);
      const outcomes = ([0, 1, 2] as const).map((qos) => watch(client.publish('spoiled', payload, { qos })));
      const next = watch(client.publish('next', 'x'));
      spoil();
      const broker = await stage.connect(client);
      await broker.expect('publish', { topic: 'next' });
      for (const outcome of outcomes)
        expect(outcome()).toMatchObject({ error: { ...SPOILED, delivery: 'not-sent' } });
      expect([next(), client.stats().queued]).toEqual([
        { value: { reasonCode: 0, properties: {} } },
        { messages: 0, bytes: 0 },
      ]);
      await stage.end(client, broker);
    },
  );

  it.each([100, 100_000])('is not sent again on the next connection (%d bytes)', async (size) => {
    const stage = new Stage({ room: 10_000_000 });
    const { client, broker } = await stage.online({ ...PERSISTENT, messageRetry: 0 });
    const { payload, spoil } = make(size);
    const outcome = watch(client.publish('spoiled', payload, { qos: 1 }));
    client.publish('next', 'x', { qos: 1 }).catch(() => {});
    for (const topic of ['spoiled', 'next']) await broker.expect('publish', { topic });
    spoil();
    const second = await stage.reconnect(broker, { sessionPresent: true });
    await second.expect('publish', { topic: 'next', duplicate: true });
    expect(outcome()).toMatchObject({ error: { ...SPOILED, delivery: 'unknown' } });
    await stage.end(client, second);
  });

  it.each([100, 100_000])(
    'is not sent again by messageRetry, and may still be acknowledged (%d bytes)',
    async (size) => {
      const stage = new Stage({ room: 10_000_000 });
      const { client, broker } = await stage.online({ messageRetry: 1_000, maxInflight: 1 });
      const { payload, spoil } = make(size);
      const outcome = watch(client.publish('spoiled', payload, { qos: 1 }));
      await broker.expect('publish');
      spoil();
      await stage.clock.advance(5_000);
      expect(outcome()).toMatchObject({ error: { ...SPOILED, delivery: 'unknown' } });
      expect([topics(broker.unread), client.stats().inFlight]).toEqual([[], 1]);
      broker.send({ type: 'puback', packetId: 1 });
      await stage.clock.advance(0);
      expect(client.stats().inFlight).toBe(0);
      await stage.end(client, broker);
    },
  );

  it('ends with the timeout of its call, and is not kept', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ ...PERSISTENT, messageRetry: 0 });
    const { payload, spoil } = make(100);
    const outcome = watch(client.publish('spoiled', payload, { qos: 1, timeout: 50 }));
    await broker.expect('publish');
    spoil();
    await stage.clock.advance(50);
    expect(outcome()).toMatchObject({ error: { delivery: 'unknown', kept: false } });
    expect((outcome() as { error: unknown }).error).toBeInstanceOf(TimeoutError);
    const second = await stage.reconnect(broker, { sessionPresent: true });
    await stage.end(client, second);
    expect(topics(second.packets)).toEqual([]);
  });

  it.each([100, 100_000])('is not kept over disconnect(): %d bytes', async (size) => {
    const stage = new Stage({ room: 10_000_000 });
    const { client, broker } = await stage.online({ ...PERSISTENT, maxInflight: 1 });
    const [sent, waiting] = [make(size), make(size)];
    const outcomes = [sent, waiting].map(({ payload }) =>
      watch(client.publish('spoiled', payload, { qos: 1 })),
    );
    await broker.expect('publish');
    sent.spoil();
    waiting.spoil();
    await stage.end(client, broker);
    expect(outcomes.map((outcome) => outcome())).toMatchObject([
      { error: { delivery: 'unknown', kept: false } },
      { error: { delivery: 'not-sent', kept: false } },
    ]);
    const second = await stage.connect(client);
    await stage.end(client, second);
    expect(topics(second.packets)).toEqual([]);
  });

  it('while it is being written ends the connection: the rest of its packet is missing', async () => {
    const stage = new Stage({ room: 1_000, latency: 10 });
    const { client, broker } = await stage.online({ ...PERSISTENT, messageRetry: 0 });
    const status = statusOf(client);
    const { payload, spoil } = make(3_000_000);
    const outcome = watch(client.publish('spoiled', payload, { qos: 1 }));
    const next = client.publish('next', 'y'.repeat(400_000), { qos: 1 });
    await stage.clock.advance(15);
    spoil();
    const second = await stage.network.next();
    await second.accept({ sessionPresent: true });
    second.ackPublishes();
    await stage.until(next);
    expect(outcome()).toMatchObject({ error: { ...SPOILED, delivery: 'unknown' } });
    expect([topics(broker.packets), topics(second.packets)]).toEqual([[], ['next']]);
    expect(status).toContain('disconnected, again in 1000');
    expect(client.stats().failures).toEqual({ ERR_MQTT_CONNECTION_LOST: 1 });
    await stage.end(client, second);
  });

  it('while its last bytes are being written ends the connection: they may be missing', async () => {
    const stage = new Stage({ room: 1_000, latency: 10 });
    const { client, broker } = await stage.online({ ...PERSISTENT, messageRetry: 0 });
    const { payload, spoil } = make(100_000);
    const outcome = watch(client.publish('spoiled', payload));
    await stage.clock.advance(5);
    spoil();
    const second = await stage.network.next();
    await second.accept({ sessionPresent: true });
    expect(outcome()).toMatchObject({ error: { ...SPOILED, delivery: 'unknown' } });
    // What has arrived is complete.
    const whole = broker.packets.filter(
      (packet) => packet.type !== 'publish' || packet.payload.every((byte) => byte === 7),
    );
    expect(whole).toHaveLength(broker.packets.length);
    await stage.end(client, second);
  });

  it('on a connection left by a planned reconnect has no effect: it was copied', async () => {
    const stage = new Stage({ room: 1_000, latency: 10 });
    const { client, broker } = await stage.online({ ...PERSISTENT, messageRetry: 0 });
    const { payload, spoil } = make(50_000);
    client.publish('first', 'y'.repeat(50_000), { qos: 0 }).catch(() => {});
    const outcome = watch(client.publish('spoiled', payload));
    await settled();
    const reconnecting = client.reconnect();
    spoil();
    await stage.clock.advance(500);
    expect(topics(broker.packets)).toEqual(['first', 'spoiled']);
    expect(broker.packets.at(-1)).toMatchObject({ type: 'disconnect' });
    broker.close();
    const second = await stage.network.next();
    await second.accept({ sessionPresent: true });
    await stage.until(reconnecting);
    expect(outcome()).toMatchObject({ error: { delivery: 'unknown' } });
    expect((outcome() as { error: unknown }).error).toBeInstanceOf(ConnectionLostError);
    await stage.end(client, second);
  });
});

it('whose message introduced a Topic Alias ends the connection if it cannot be written', async () => {
  const stage = new Stage({ room: 10_000_000 });
  const options = { ...PERSISTENT, protocolVersion: 5, sessionExpiryInterval: 60 } as const;
  const { client, broker } = await stage.online(options, { properties: { topicAliasMaximum: 5 } });
  const properties = { topicAlias: 1 };
  const payload = new Uint8Array(100_000);
  const outcome = watch(client.publish('a', payload, { qos: 1, properties }));
  const next = client.publish('a', 'x', { qos: 1, properties });
  structuredClone(payload.buffer, { transfer: [payload.buffer] });
  const second = await stage.network.next();
  await second.accept({ sessionPresent: true, properties: { topicAliasMaximum: 5 } });
  await second.expect('publish', { topic: 'a', payload: bytes('x'), packetId: 2 });
  second.send({ type: 'puback', packetId: 2 });
  await stage.until(next);
  expect([outcome(), topics(broker.packets)]).toMatchObject([{ error: { kept: false } }, []]);
  await stage.end(client, second);
});
