import { describe, expect, it } from '@jest/globals';
import { PublishError } from '../../lib/errors.ts';
import type { PublishPacket } from '../../lib/codec/packets.ts';
import { settled } from '../support/fake-clock.ts';
import { bytes, collect, message, Stage, statusOf, watch } from './stage.ts';

const KEEP = { cleanStart: false, clientId: 'me', messageRetry: 0 } as const;
const found = { sessionPresent: true };
const text = (packet: PublishPacket): string => new TextDecoder().decode(packet.payload);

/** Number of microtasks until the promise of `ask` resolves. */
async function turnsOf(ask: () => Promise<unknown>): Promise<number> {
  const state = { isThere: false };
  void ask().then(() => (state.isThere = true));
  for (let turns = 0; ; turns++) {
    if (state.isThere) return turns;
    await Promise.resolve();
  }
}

describe('peers: ends', () => {
  it('peers P1: every promise settles when the client ends, and when the server closes before CONNACK', async () => {
    const stage = new Stage();
    const client = stage.client();
    const connecting = watch(client.connect());
    const calls = [client.publish('t', 'x', { qos: 1 }), client.subscribe('a'), client.unsubscribe('b')].map(
      watch,
    );
    const broker = await stage.network.next();
    await broker.expect('connect');
    broker.close();
    await stage.clock.advance(0);
    expect(connecting()).toMatchObject({ error: { phase: 'connack' } });
    await client.disconnect();
    await settled();
    expect(calls.map((call) => call() === 'pending')).toEqual([false, false, false]);
  });

  it('peers P2: disconnect() resolves without a connection and with QoS 1 queued, and leaves nothing behind', async () => {
    const stage = new Stage();
    const client = stage.client();
    const queued = watch(client.publish('t', 'x', { qos: 1 }));
    await client.disconnect();
    expect([queued(), client.state, stage.clock.armed]).toMatchObject([
      { error: { kept: true } },
      'closed',
      0,
    ]);
  });
});

describe('peers: redelivery', () => {
  it('peers P3: does not delay anything new: connected, subscribe, and publish with QoS 0', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(KEEP);
    for (let n = 0; n < 100; n++) client.publish('old', n, { qos: 1 }).catch(() => {});
    await stage.clock.advance(0);
    const next = await stage.reconnect(broker, found);
    expect(client.state).toBe('connected');
    next.answer('subscribe');
    const subscribed = watch(client.subscribe('a'));
    const published = watch(client.publish('new', 'x'));
    await stage.clock.advance(0);
    expect([subscribed() === 'pending', published() === 'pending']).toEqual([false, false]);
    // The whole window at once, not one message per round trip.
    expect(next.unread.filter((packet) => packet.type === 'publish' && packet.qos === 1)).toHaveLength(20);
    await stage.end(client, next);
  });

  it('peers P4: sets DUP 1 if the session is present, sends messages as new if not, and sends no PUBREL into a new session', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(KEEP);
    const outcome = watch(client.publish('t', 'x', { qos: 1 }));
    const released = watch(client.publish('t', 'y', { qos: 2 }));
    await broker.expect('publish', { duplicate: false });
    const { packetId } = await broker.expect('publish', { duplicate: false });
    broker.send({ type: 'pubrec', packetId: packetId! });
    await broker.expect('pubrel');
    const second = await stage.reconnect(broker, found);
    await second.expect('pubrel', { packetId: packetId! });
    await second.expect('publish', { duplicate: true });
    // Late enough that the sent message cannot be the reason.
    await stage.clock.advance(1_001);
    const third = await stage.reconnect(second, { sessionPresent: false });
    expect(
      [await third.expect('publish'), await third.expect('publish')].map((one) => one.duplicate),
    ).toEqual([false, false]);
    third.ackPublishes();
    const ids = third.packets.flatMap((one) =>
      one.type === 'publish' ? [[one.qos, one.packetId!] as const] : [],
    );
    for (const [qos, id] of ids) third.send({ type: qos === 1 ? 'puback' : 'pubrec', packetId: id });
    await stage.clock.advance(0);
    expect([outcome(), released()]).toMatchObject([{ value: {} }, { value: {} }]);
    expect(third.packets.filter((one) => one.type === 'pubrel')).toHaveLength(1);
    await stage.end(client, third);
  });

  it('peers P8: keeps the order of the calls', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ ...KEEP, maxInflight: 4 });
    for (let n = 0; n < 12; n++) client.publish('t', n, { qos: n % 3 === 0 ? 2 : 1 }).catch(() => {});
    await stage.clock.advance(0);
    const next = await stage.reconnect(broker, found);
    next.ackPublishes();
    await stage.clock.advance(0);
    const order = next.packets.flatMap((one) => (one.type === 'publish' ? [Number(text(one))] : []));
    expect(order).toEqual(Array.from({ length: 12 }, (_, n) => n));
    await stage.end(client, next);
  });

  it('peers P9: subscriptions are restored once, in one packet, and a changed subscription is sent', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ clientId: 'me' });
    broker.answer('subscribe');
    await stage.until(Promise.all(['a', 'b', 'c'].map((filter) => client.subscribe(filter))));
    await stage.until(client.subscribe('a', { qos: 2 }));
    expect(broker.packets.at(-1)).toMatchObject({ subscriptions: [{ topicFilter: 'a', qos: 2 }] });
    await stage.until(client.subscribe(['d', 'e'], { partial: true }));
    const next = await stage.reconnect(broker);
    const { subscriptions, packetId } = await next.expect('subscribe');
    expect(subscriptions.map(({ topicFilter, qos }) => [topicFilter, qos])).toEqual([
      ['a', 2],
      ['b', 0],
      ['c', 0],
      ['d', 0],
      ['e', 0],
    ]);
    next.send({ type: 'suback', packetId, reasonCodes: [0, 0, 0, 0, 0x80] });
    await stage.clock.advance(0);
    const third = await stage.reconnect(next);
    const again = await third.expect('subscribe');
    // The Subscription that `e` was a part of has ended; those of the same packet have not.
    expect(again.subscriptions.map(({ topicFilter }) => topicFilter)).toEqual(['a', 'b', 'c']);
    await stage.end(client, third);
  });
});

describe('peers: limits', () => {
  it('peers P6: Receive Maximum, Maximum Packet Size, Maximum QoS and Retain Available of the server are respected', async () => {
    const stage = new Stage();
    const properties = {
      receiveMaximum: 2,
      maximumPacketSize: 60,
      maximumQoS: 1,
      retainAvailable: false,
    } as const;
    const { client, broker } = await stage.online({ protocolVersion: 5 }, { properties });
    const published = Array.from({ length: 5 }, (_, n) => client.publish('t', n, { qos: 1 }));
    const refused = [
      client.publish('t', 'x'.repeat(60), { qos: 1 }),
      client.publish('t', 'x', { qos: 2 }),
      client.publish('t', 'x', { retain: true }),
    ].map(watch);
    await stage.clock.advance(0);
    expect(broker.unread).toHaveLength(2);
    broker.ackPublishes();
    await stage.until(Promise.all(published));
    await stage.clock.advance(0);
    expect(refused.map((one) => one())).toMatchObject(
      [0x95, 0x9b, 0x9a].map((reasonCode) => ({ error: { reasonCode } })),
    );
    expect(broker.packets.filter((one) => one.type === 'publish')).toHaveLength(5);
    await stage.end(client, broker);
  });

  it('peers P7: a Packet Identifier is never 0, and never used again while it is in use', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ maxInflight: 0, messageRetry: 0 });
    const stuck = client.publish('t', 'stuck', { qos: 1 });
    stuck.catch(() => {});
    const { packetId } = await broker.expect('publish');
    const used = new Set<number>();
    broker.ackPublishes();
    for (let round = 0; round < 66; round++) {
      const published = Array.from({ length: 1_000 }, () => client.publish('t', '', { qos: 1 }));
      await stage.until(Promise.all(published));
    }
    for (const packet of broker.packets.slice(2)) if (packet.type === 'publish') used.add(packet.packetId!);
    expect(used.has(0) || used.has(packetId!)).toBe(false);
    expect(used.size).toBe(65_534);
    await stage.end(client, broker);
    // More messages than there are identifiers, on a machine that may have other things to do.
  }, 60_000);
});

describe('peers: processing', () => {
  it.each([
    ['PUBACK', 1],
    ['PUBREC', 2],
  ] as const)(
    'peers P10: nothing is acknowledged before an asynchronous handler has ended (%s)',
    async (answer, qos) => {
      const stage = new Stage();
      const { client, broker } = await stage.online();
      const subscription = await stage.subscribe(client, broker, 'a', { qos });
      const wait = () =>
        new Promise<void>((resolve) => void stage.clock.wakeAt(stage.clock.now() + 500, resolve));
      void subscription.forEach(wait);
      broker.send({ ...message('a', 'x', 1), qos });
      await stage.clock.advance(499);
      expect(broker.unread).toEqual([]);
      await stage.clock.advance(1);
      expect(broker.unread).toMatchObject([{ type: answer.toLowerCase(), packetId: 1 }]);
      await stage.end(client, broker);
    },
  );

  it('peers P12: a slow consumer does not stop the reader: PINGRESP and PUBACK come through', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ keepAlive: 10 });
    broker.answer('pingreq', 'publish');
    const subscription = await stage.subscribe(client, broker, 'a', { qos: 1 });
    const looping = collect(subscription, async () => {
      await client.publish('inside', 'the loop', { qos: 1 });
      await new Promise(() => {});
    });
    broker.send(...Array.from({ length: 500 }, (_, n) => message('a', `${n}`, n + 1)));
    await stage.clock.advance(60_000);
    expect([client.state, looping.texts, subscription.depth]).toEqual(['connected', ['0'], 499]);
    expect(broker.packets.filter((one) => one.type === 'publish')).toHaveLength(1);
    await stage.end(client, broker);
  });

  it('peers P21: every subscription is an independent stream, and all end', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    broker.answer('subscribe');
    const subscriptions = await stage.until(
      Promise.all([client.subscribe('a'), client.subscribe('a'), client.subscribe('b')]),
    );
    const loops = subscriptions.map((subscription) => collect(subscription));
    broker.send(message('a', '1'), message('b', '2'), message('a', '3'));
    await stage.clock.advance(0);
    expect(loops.map((one) => one.texts)).toEqual([['1', '3'], ['1', '3'], ['2']]);
    await stage.end(client, broker);
    await Promise.all(loops.map((one) => one.done));
  });

  it('peers P22: a waiting message costs no timer and no more promises than a resolved one', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ keepAlive: 0 });
    const subscription = await stage.subscribe(client, broker, 'a');
    const iterator = subscription[Symbol.asyncIterator]();
    broker.send(...Array.from({ length: 1_000 }, () => message('a', 'x')));
    await stage.clock.advance(0);
    const armed = stage.clock.armed;
    // As many microtasks as an await of a resolved promise.
    const turns = await turnsOf(() => Promise.resolve());
    for (let n = 0; n < 1_000; n++) expect(await turnsOf(() => iterator.next())).toBe(turns);
    expect(stage.clock.armed).toBe(armed);
    await stage.end(client, broker);
  });

  it('peers P27: QoS 2 is delivered once, however often it is sent', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(KEEP);
    const looping = collect(await stage.subscribe(client, broker, 'a', { qos: 2 }));
    const once = { ...message('a', 'once', 5), qos: 2 as const };
    broker.send(once);
    await broker.expect('pubrec', { packetId: 5 });
    const next = await stage.reconnect(broker, found);
    next.send({ ...once, duplicate: true });
    await next.expect('pubrec', { packetId: 5 });
    next.send({ type: 'pubrel', packetId: 5 });
    await next.expect('pubcomp', { packetId: 5 });
    expect(looping.texts).toEqual(['once']);
    next.send({ ...once, payload: bytes('another') });
    await next.expect('pubrec', { packetId: 5 });
    expect(looping.texts).toEqual(['once', 'another']);
    await stage.end(client, next);
  });
});

describe('peers: liveness', () => {
  it('peers P15: a slow connection causes no time-out, and a half-open one is noticed', async () => {
    const stage = new Stage({ latency: 2_000 });
    const { client, broker } = await stage.online({ keepAlive: 10 });
    broker.answer('pingreq');
    await stage.clock.advance(120_000);
    expect(client.state).toBe('connected');
    stage.network.connections[0]!.link.isFrozen = true;
    const began = stage.clock.now();
    await stage.clock.run(() => client.state !== 'connected');
    expect(stage.clock.now() - began).toBeLessThanOrEqual(15_000);
    await client.disconnect();
  });

  it('peers P16: clients that are lost together reconnect with growing and different delays', async () => {
    const moments: number[][] = [];
    for (const random of [0, 0.5, 0.999]) {
      const stage = new Stage();
      const { client, broker } = await stage.online();
      const events = statusOf(client);
      for (let n = 0; n < 20; n++) stage.refusals.push(new Error('down'));
      stage.random = random;
      broker.reset();
      await stage.clock.advance(60_000);
      expect(stage.targets.length).toBeLessThan(8);
      moments.push(events.flatMap((event) => /in ([\d.]+)/.exec(event)?.[1] ?? []).map(Number));
      await client.disconnect();
    }
    const [early, middle, late] = moments.map((delays) => delays.slice(0, 5));
    expect(middle).toEqual([1_000, 2_000, 4_000, 8_000, 16_000]);
    expect(early).toEqual([800, 1_600, 3_200, 6_400, 12_800]);
    expect(late!.every((delay, n) => delay > middle![n]! * 1.19)).toBe(true);
  });

  it('peers P17: a client whose session was taken over does not fight for it', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ protocolVersion: 5, clientId: 'me' });
    const closed = watch(client.closed);
    broker.send({ type: 'disconnect', reasonCode: 0x8e });
    broker.close();
    await stage.clock.advance(1_000_000);
    expect([closed(), stage.targets.length, client.state]).toMatchObject([
      { error: { reasonCode: 0x8e } },
      1,
      'closed',
    ]);
    expect(stage.clock.armed).toBe(0);
  });

  it('peers P19: a refused connection and a throwing logger cause no uncaught exceptions', async () => {
    const stage = new Stage();
    const fail = (): never => {
      throw new Error('listener');
    };
    const client = stage.client({ logger: { debug: fail, info: fail, warn: fail, error: fail } });
    stage.refusals.push(Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' }));
    await expect(client.connect()).rejects.toMatchObject({ phase: 'dial', cause: { code: 'ECONNREFUSED' } });
    const broker = await stage.connect(client);
    broker.sendBytes(Uint8Array.of(0xf0, 0xff, 0xff));
    const next = await stage.network.next();
    await next.accept();
    await stage.clock.advance(0);
    expect(client.state).toBe('connected');
    await stage.end(client, next);
  });

  it('peers P20: a silent server is abandoned', async () => {
    const stage = new Stage();
    const client = stage.client();
    const outcome = watch(client.connect());
    (await stage.network.next()).blackhole();
    await stage.clock.advance(30_000);
    expect([outcome(), stage.clock.armed]).toMatchObject([{ error: { phase: 'timeout' } }, 0]);
  });
});

describe('peers: details', () => {
  it('peers P24: answers of the server do not change the options', async () => {
    const stage = new Stage();
    const options = Object.freeze({
      protocolVersion: 5,
      clientId: '',
      keepAlive: 60,
      maxInflight: 20,
    } as const);
    const answer = {
      serverKeepAlive: 5,
      receiveMaximum: 1,
      maximumPacketSize: 100,
      assignedClientIdentifier: 'x',
    };
    const { client, broker } = await stage.online(options, { properties: answer });
    expect(client.negotiated).toMatchObject({ keepAlive: 5, receiveMaximum: 1, maximumPacketSize: 100 });
    const next = await stage.reconnect(broker);
    expect(next.packets[0]).toMatchObject({ keepAlive: 60 });
    expect(client.negotiated).toMatchObject({
      keepAlive: 60,
      receiveMaximum: 65_535,
      maximumPacketSize: Infinity,
    });
    await stage.end(client, next);
  });

  it('peers P25: a refused PUBACK or PUBREC rejects only its message, and is not followed by PUBREL', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ protocolVersion: 5 });
    const outcomes = ([1, 2, 1] as const).map((qos) => watch(client.publish('t', 'x', { qos })));
    const ids = [];
    for (const _ of outcomes) ids.push((await broker.expect('publish')).packetId!);
    broker.send(
      { type: 'puback', packetId: ids[0]!, reasonCode: 0x87 },
      { type: 'pubrec', packetId: ids[1]!, reasonCode: 0x97 },
      { type: 'puback', packetId: ids[2]! },
    );
    await stage.clock.advance(0);
    expect(outcomes.map((one) => one())).toMatchObject([
      { error: expect.any(PublishError) },
      { error: { reasonCode: 0x97, delivery: 'rejected' } },
      { value: { reasonCode: 0 } },
    ]);
    expect([client.state, broker.unread]).toEqual(['connected', []]);
    await stage.end(client, broker);
  });

  it('peers P26: a topic alias of the server never reaches the application as an empty topic', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({
      protocolVersion: 5,
      properties: { topicAliasMaximum: 5 },
    });
    const topics: string[] = [];
    collect(await stage.subscribe(client, broker, '#'), (one) => void topics.push(one.topic));
    const properties = { topicAlias: 3 };
    broker.send({ ...message('a/b', '1'), properties }, { ...message('', '2'), properties });
    await stage.clock.advance(0);
    expect(topics).toEqual(['a/b', 'a/b']);
    await stage.end(client, broker);
  });
});
