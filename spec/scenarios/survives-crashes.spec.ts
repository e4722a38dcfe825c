import { describe, expect, it } from '@jest/globals';
import type { Client, StatusEvent } from '../../lib/index.ts';
import { StoreError } from '../../lib/errors.ts';
import { COMMIT_DELAY } from '../../lib/session/store-sizes.ts';
import { settled } from '../support/fake-clock.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { errorOf, message, Stage, watch } from './stage.ts';

const KEEP = { cleanStart: false, clientId: 'me', messageRetry: 0 } as const;
/** The events of a client. */
function eventsOf(client: Client<unknown>): StatusEvent[] {
  const events: StatusEvent[] = [];
  void (async () => {
    for await (const event of client.status()) events.push(event);
  })();
  return events;
}

const found = { sessionPresent: true };

/** A connected client with a store, and what else a spec needs of it. */
async function online(store = new MemoryStore(), options: object = {}, connack: object = {}) {
  const stage = new Stage();
  const { client, broker } = await stage.online({ ...KEEP, store, ...options }, connack);
  return { stage, client, broker, store };
}

describe('a published message of QoS 1 or 2', () => {
  it('is written to the network after it was stored, with a sync', async () => {
    const { stage, client, broker, store } = await online();
    store.mode = 'held';
    const published = watch(client.publish('a', '1', { qos: 1 }));
    await settled();
    expect([broker.unread, store.held, published()]).toEqual([[], 1, 'pending']);
    store.mode = 'at once';
    store.release();
    const { packetId } = await broker.expect('publish', { topic: 'a', duplicate: false });
    expect(store.commits.some(({ sync }) => sync)).toBe(true);
    broker.send({ type: 'puback', packetId: packetId! });
    await stage.clock.advance(0);
    expect(published()).toMatchObject({ value: { reasonCode: 0 } });
    await stage.end(client, broker);
    expect(store.keys.filter((key) => key !== 'session')).toEqual([]);
  });

  it('is sent by the next process, QoS 1 with DUP 1 and its Packet Identifier, in order and before new ones', async () => {
    const { stage, client, broker, store } = await online();
    for (const text of ['1', '2', '3']) client.publish(text, text, { qos: 1 }).catch(() => {});
    const { packetId } = await broker.expect('publish', { topic: '1' });
    await broker.expect('publish', { topic: '2' });
    await broker.expect('publish', { topic: '3' });
    broker.send({ type: 'puback', packetId: packetId! });
    await stage.clock.advance(COMMIT_DELAY);
    const next = await online(store.crash(), {}, found);
    next.client.publish('4', '4', { qos: 1 }).catch(() => {});
    await next.broker.expect('publish', { topic: '2', packetId: 2, duplicate: true });
    await next.broker.expect('publish', { topic: '3', packetId: 3, duplicate: true });
    await next.broker.expect('publish', { topic: '4', duplicate: false });
    await next.stage.end(next.client, next.broker);
    expect(next.broker.packets.filter(({ type }) => type === 'publish')).toHaveLength(3);
  });

  it('costs a second commit within 5 ms, or none if other messages are stored first', async () => {
    const { stage, client, broker, store } = await online();
    const acknowledge = async (topic: string): Promise<void> => {
      const { packetId } = await broker.expect('publish', { topic });
      broker.send({ type: 'puback', packetId: packetId! });
      await stage.clock.advance(COMMIT_DELAY - 1);
    };
    const before = store.commits.length;
    for (const topic of ['a', 'b', 'c']) {
      client.publish(topic, '1', { qos: 1 }).catch(() => {});
      await acknowledge(topic);
    }
    expect(store.commits.length - before).toBe(3);
    await stage.clock.advance(1);
    expect(store.commits.slice(before).map(({ sync }) => sync)).toEqual([true, true, true, false]);
    expect(store.keys.filter((key) => key !== 'session')).toEqual([]);
    await stage.end(client, broker);
    expect(store.commits.length - before).toBe(4);
  });

  it('is published as a new one if the server has lost the session', async () => {
    const { client, broker, store } = await online();
    client.publish('1', '1', { qos: 1 }).catch(() => {});
    client.publish('2', '2', { qos: 2 }).catch(() => {});
    await broker.expect('publish');
    await broker.expect('publish');
    const next = await online(store.crash());
    await next.broker.expect('publish', { topic: '1', duplicate: false });
    await next.broker.expect('publish', { topic: '2', duplicate: false });
    await next.stage.end(next.client, next.broker);
    expect(next.broker.packets.filter(({ type }) => type === 'publish')).toHaveLength(2);
  });

  it('of QoS 2 is written after the store has its Packet Identifier, and PUBREL after the store has the PUBREC', async () => {
    const { stage, client, broker, store } = await online();
    const published = watch(client.publish('a', '1', { qos: 2 }));
    const { packetId } = await broker.expect('publish', { topic: 'a' });
    expect(store.commits.map(({ sync }) => sync).slice(-2)).toEqual([true, true]);
    store.mode = 'held';
    broker.send({ type: 'pubrec', packetId: packetId! });
    await stage.clock.advance(0);
    expect([broker.unread, store.held]).toEqual([[], 1]);
    const killed = store.crash();
    const next = await online(killed, {}, found);
    await next.broker.expect('publish', { topic: 'a', packetId: packetId!, duplicate: true });
    next.broker.send({ type: 'pubrec', packetId: packetId! });
    await next.broker.expect('pubrel', { packetId: packetId! });
    const last = await online(killed.crash(), {}, found);
    await last.broker.expect('pubrel', { packetId: packetId! });
    last.broker.send({ type: 'pubcomp', packetId: packetId! });
    await last.stage.end(last.client, last.broker);
    expect(last.broker.packets.map(({ type }) => type)).toEqual(['connect', 'pubrel', 'disconnect']);
    expect(published()).toBe('pending');
  });

  it('resolves when it is stored, if that is asked for, also without a connection', async () => {
    const stage = new Stage();
    const store = new MemoryStore();
    const client = stage.client({ ...KEEP, store });
    await stage.until(client.publish('a', '1', { qos: 1, until: 'stored' }));
    expect(client.stats().stored).toMatchObject({ messages: 1 });
    const broker = await stage.connect(client);
    const { packetId } = await broker.expect('publish', { topic: 'a' });
    broker.send({ type: 'puback', packetId: packetId! });
    await stage.clock.advance(0);
    expect(client.stats().stored).toMatchObject({ messages: 0, failed: 0 });
    await stage.end(client, broker);
  });

  it('that the server refuses is reported, if no call waits for it', async () => {
    const { stage, client, broker } = await online(new MemoryStore(), {
      protocolVersion: 5,
      sessionExpiryInterval: 60,
      messageRetry: undefined,
    });
    const events = eventsOf(client);
    await stage.until(client.publish('a', '1', { qos: 1, until: 'stored' }));
    const { packetId } = await broker.expect('publish');
    broker.send({ type: 'puback', packetId: packetId!, reasonCode: 0x97 });
    await stage.clock.advance(0);
    expect(events).toMatchObject([
      { type: 'publish-failed', topic: 'a', error: { reasonCode: 0x97, delivery: 'rejected' } },
    ]);
    expect(client.stats().stored).toEqual({ messages: 0, bytes: 0, failed: 1 });
    await stage.end(client, broker);
  });

  it('waits in the store, and not in memory, if there are many', async () => {
    const stage = new Stage();
    const store = new MemoryStore();
    const client = stage.client({ ...KEEP, store, maxInflight: 0 });
    for (let n = 0; n < 5_000; n += 2_500)
      await stage.until(
        Promise.all(
          Array.from({ length: 2_500 }, (_, i) =>
            client.publish(`${n + i}`, 'x', { qos: 1, until: 'stored' }),
          ),
        ),
      );
    expect(client.stats()).toMatchObject({ queued: { messages: 5_000 }, stored: { messages: 5_000 } });
    await stage.until(client.disconnect());
    const next = await online(store, { maxInflight: 0 }, found);
    for (let n = 0; n < 5_000; n++) {
      const { packetId } = await next.broker.expect('publish', { topic: `${n}` });
      next.broker.send({ type: 'puback', packetId: packetId! });
    }
    await next.stage.clock.advance(0);
    expect(next.client.stats()).toMatchObject({ pending: 0, stored: { messages: 0, bytes: 0 } });
    await next.stage.end(next.client, next.broker);
    expect(store.keys).toEqual(['session']);
  });
});

describe('a session that an unknown client has used', () => {
  it('is not taken for a known one when the store was closed and opened again', async () => {
    const { stage, client, broker } = await online(new MemoryStore(), {}, found);
    await stage.end(client, broker);
    const next = await stage.connect(client, found);
    client.publish('a', '1', { qos: 2 }).catch(() => {});
    const { packetId } = await next.expect('pubrel');
    expect(await next.expect('publish', { topic: 'a' })).toMatchObject({ packetId });
    await stage.end(client, next);
    expect(next.packets.map(({ type }) => type)).toEqual(['connect', 'pubrel', 'publish', 'disconnect']);
  });
});

describe('a QoS 2 message of the server', () => {
  it('is answered with PUBREC after the store knows its Packet Identifier, and not delivered again', async () => {
    const { stage, client, broker, store } = await online();
    const subscription = await stage.subscribe(client, broker, 'a', { qos: 2 });
    store.mode = 'held';
    broker.send({ ...message('a', 'x', 7), qos: 2 });
    const received = subscription[Symbol.asyncIterator]();
    await stage.until(received.next());
    void received.next();
    await stage.clock.advance(0);
    expect([broker.unread, store.held]).toEqual([[], 1]);
    store.release();
    await broker.expect('pubrec', { packetId: 7 });
    const next = await online(store.crash(), { unmatched: 'hold' }, found);
    next.broker.send({ ...message('a', 'x', 7), qos: 2, duplicate: true });
    await next.broker.expect('pubrec', { packetId: 7 });
    expect(next.client.stats()).toMatchObject({ held: 0, unsettled: { messages: 0 } });
    next.broker.send({ type: 'pubrel', packetId: 7 });
    await next.broker.expect('pubcomp', { packetId: 7 });
    expect(next.store.keys).toEqual(['session']);
    await next.stage.end(next.client, next.broker);
  });
});

describe('a store', () => {
  it('that another client has is an error, and no message is sent without it', async () => {
    const store = new MemoryStore();
    await store.open('me');
    const stage = new Stage();
    const client = stage.client({ ...KEEP, store });
    const published = watch(client.publish('a', '1', { qos: 1 }));
    expect(await errorOf(client.connect())).toMatchObject({ code: 'ERR_MQTT_STORE_LOCKED' });
    expect(published()).toMatchObject({
      error: { code: 'ERR_MQTT_STORE', delivery: 'not-sent', kept: false },
    });
    await client.disconnect();
  });

  it('that does not answer does not keep disconnect() waiting for longer than its timeout', async () => {
    const { stage, client, broker, store } = await online();
    store.mode = 'held';
    const published = watch(client.publish('a', '1', { qos: 1 }));
    await settled();
    const ended = watch(client.disconnect({ timeout: 100 }));
    await settled();
    broker.close();
    await stage.clock.advance(99);
    expect([ended(), published()]).toEqual(['pending', 'pending']);
    await stage.clock.advance(1);
    expect([ended(), published()]).toEqual([{ value: undefined }, 'pending']);
    store.mode = 'at once';
    store.release();
    await stage.clock.advance(0);
    expect([published(), store.isOpen]).toMatchObject([
      { error: { delivery: 'not-sent', kept: true } },
      false,
    ]);
  });

  it('that fails ends the client, and what it has is sent after the next connect()', async () => {
    const { stage, client, broker, store } = await online();
    const first = watch(client.publish('a', '1', { qos: 1 }));
    await broker.expect('publish', { topic: 'a' });
    await stage.clock.advance(COMMIT_DELAY);
    store.failure = new Error('no space left on device');
    const second = watch(client.publish('b', '2', { qos: 1 }));
    expect(await errorOf(client.closed)).toBeInstanceOf(StoreError);
    expect([first(), second()]).toMatchObject([
      { error: { delivery: 'unknown', kept: true } },
      { error: { code: 'ERR_MQTT_STORE', delivery: 'not-sent', kept: false } },
    ]);
    store.failure = undefined;
    const next = await stage.connect(client, found);
    await next.expect('publish', { topic: 'a', duplicate: true });
    await stage.end(client, next);
  });
});
