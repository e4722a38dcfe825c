import { describe, expect, it } from '@jest/globals';
import { Client } from '../../lib/index.ts';
import { settled } from '../support/fake-clock.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { collect, errorOf, eventsOf, message, Stage, watch } from './stage.ts';

const KEEP = { cleanStart: false, clientId: 'me', messageRetry: 0 } as const;
const FIVE = { ...KEEP, protocolVersion: 5, sessionExpiryInterval: 60 } as const;
const found = { sessionPresent: true };
const STORED = { qos: 1, until: 'stored' } as const;

describe('while a commit is under way', () => {
  it('QoS 0, SUBSCRIBE and PUBACK are written, and wait for nothing', async () => {
    const stage = new Stage();
    const store = new MemoryStore();
    const { client, broker } = await stage.online({ ...KEEP, store });
    const loop = collect(await stage.subscribe(client, broker, 'in', { qos: 1 }));
    store.mode = 'held';
    const held = watch(client.publish('a', '1', { qos: 1 }));
    await settled();
    broker.send(message('in', 'x', 7), message('in', 'y', 8));
    await stage.until(client.publish('b', '0'));
    void client.subscribe('c').catch(() => {});
    await stage.clock.advance(0);
    const types = broker.unread.map(({ type }) => type).toSorted();
    expect([types, held(), store.held]).toEqual([['puback', 'puback', 'publish', 'subscribe'], 'pending', 1]);
    expect(loop.texts).toEqual(['x', 'y']);
    store.mode = 'at once';
    store.release();
    await stage.end(client, broker);
  });
});

describe('the next process', () => {
  it('reports the messages that it sends', async () => {
    const stage = new Stage();
    const store = new MemoryStore();
    const first = stage.client({ ...KEEP, store });
    await stage.until(Promise.all(['1', '2'].map((text) => first.publish('a', text, STORED))));
    const client = stage.client({ ...KEEP, store: store.crash() });
    const recovered = eventsOf(client, 'recovered');
    const broker = await stage.connect(client);
    expect(recovered).toEqual([{ type: 'recovered', messages: 2, unreadable: 0 }]);
    await stage.end(client, broker);
  });

  it('does not send what has expired meanwhile, and reports it', async () => {
    const stage = new Stage();
    const store = new MemoryStore();
    const first = stage.client({ ...FIVE, messageRetry: undefined, store });
    const properties = { messageExpiryInterval: 10 };
    await stage.until(first.publish('late', 'x', { ...STORED, properties }));
    await stage.until(first.publish('good', 'x', STORED));
    const killed = store.crash();
    await stage.clock.advance(11_000);
    const client = stage.client({ ...FIVE, messageRetry: undefined, store: killed });
    const failed = eventsOf(client, 'publish-failed');
    const broker = await stage.connect(client, found);
    await broker.expect('publish', { topic: 'good' });
    expect(failed).toMatchObject([{ topic: 'late', error: { code: 'ERR_MQTT_TIMEOUT', kept: false } }]);
    expect(client.stats().stored).toMatchObject({ messages: 1, failed: 1 });
    await stage.end(client, broker);
  });

  it('reports QoS 2 of a lost session instead of sending it, with onSessionLost: "reject"', async () => {
    const stage = new Stage();
    const store = new MemoryStore();
    const { client, broker } = await stage.online({ ...KEEP, store });
    client.publish('a', 'x', { qos: 2 }).catch(() => {});
    await broker.expect('publish');
    const next = stage.client({ ...KEEP, store: store.crash(), onSessionLost: 'reject' });
    const failed = eventsOf(next, 'publish-failed');
    const again = await stage.connect(next);
    await stage.clock.advance(0);
    expect(failed).toMatchObject([{ topic: 'a', error: { delivery: 'unknown', kept: false } }]);
    await stage.end(next, again);
    expect(again.packets.map(({ type }) => type)).toEqual(['connect', 'disconnect']);
  });

  it('does not send what its caller has withdrawn', async () => {
    const stage = new Stage();
    const store = new MemoryStore();
    const first = stage.client({ ...KEEP, store });
    const aborted = new AbortController();
    const published = watch(first.publish('a', '1', { qos: 1, signal: aborted.signal }));
    await stage.until(first.publish('b', '2', STORED));
    aborted.abort();
    await stage.clock.advance(0);
    expect(published()).toMatchObject({ error: { name: 'AbortError' } });
    const next = stage.client({ ...KEEP, store: store.crash() });
    const broker = await stage.connect(next);
    await broker.expect('publish', { topic: 'b' });
    await stage.end(next, broker);
    expect(store.isOpen).toBe(false);
  });
});

describe('maxQueued', () => {
  const limited = (stage: Stage, onQueueFull: 'reject' | 'wait' | 'drop-oldest', store = new MemoryStore()) =>
    stage.client({ ...KEEP, store, maxQueued: 2, onQueueFull });

  it('counts what waits in the store, also that of an earlier process', async () => {
    const stage = new Stage();
    const store = new MemoryStore();
    const first = limited(stage, 'reject', store);
    await stage.until(Promise.all(['1', '2'].map((text) => first.publish('a', text, STORED))));
    expect(await errorOf(first.publish('a', '3', STORED))).toMatchObject({ code: 'ERR_MQTT_QUEUE_FULL' });
    const next = limited(stage, 'reject', store.crash());
    const fourth = watch(next.publish('a', '4', STORED));
    await stage.clock.advance(0);
    // The store was not open yet, so nobody knew how much is in it.
    expect(fourth()).toMatchObject({ value: { reasonCode: 0 } });
    expect(await errorOf(next.publish('a', '5', STORED))).toMatchObject({ code: 'ERR_MQTT_QUEUE_FULL' });
  });

  it('lets a message wait before it is stored, with onQueueFull: "wait"', async () => {
    const stage = new Stage();
    const client = limited(stage, 'wait');
    const outcomes = ['1', '2', '3'].map((text) => watch(client.publish('a', text, STORED)));
    await stage.clock.advance(0);
    expect(outcomes.map((outcome) => outcome() === 'pending')).toEqual([false, false, true]);
    const broker = await stage.connect(client);
    broker.ackPublishes();
    await stage.clock.advance(0);
    expect(outcomes[2]!()).toMatchObject({ value: { reasonCode: 0 } });
    await stage.end(client, broker);
  });

  it('drops the oldest message, stored or not, with onQueueFull: "drop-oldest"', async () => {
    const stage = new Stage();
    const store = new MemoryStore();
    const client = limited(stage, 'drop-oldest', store);
    const failed = eventsOf(client, 'publish-failed');
    await stage.until(client.publish('1', 'x', STORED));
    const [second, third, fourth] = ['2', '3', '4'].map((topic) =>
      watch(client.publish(topic, 'x', { qos: 1 })),
    );
    await stage.clock.advance(0);
    expect(failed).toMatchObject([{ topic: '1', error: { code: 'ERR_MQTT_QUEUE_FULL' } }]);
    expect([second!(), third!(), fourth!()]).toMatchObject([
      { error: { code: 'ERR_MQTT_QUEUE_FULL', delivery: 'not-sent', kept: false } },
      'pending',
      'pending',
    ]);
    const next = stage.client({ ...KEEP, store: store.crash() });
    const broker = await stage.connect(next);
    await broker.expect('publish', { topic: '3' });
    await broker.expect('publish', { topic: '4' });
    await stage.end(next, broker);
    expect(broker.packets.filter(({ type }) => type === 'publish')).toHaveLength(2);
  });
});

describe('publishMany() with until: "stored"', () => {
  it('takes from its source without a connection, up to maxQueued', async () => {
    const stage = new Stage();
    const client = stage.client({ ...KEEP, store: new MemoryStore(), maxQueued: 50 });
    let taken = 0;
    const source = function* () {
      for (; taken < 1_000; taken++) yield { topic: 'a', payload: `${taken}`, qos: 1 as const };
    };
    const outcomes: string[] = [];
    const loop = (async () => {
      for await (const { status } of client.publishMany(source(), { until: 'stored' })) outcomes.push(status);
    })();
    await stage.clock.advance(0);
    expect([taken <= 51, outcomes.length, new Set(outcomes)]).toEqual([true, 50, new Set(['published'])]);
    const broker = await stage.connect(client);
    broker.ackPublishes();
    await stage.until(loop);
    expect([taken, outcomes.length]).toEqual([1_000, 1_000]);
    await stage.end(client, broker);
  });
});

describe('QoS 0', () => {
  it.each([
    [true, ['a']],
    [false, []],
  ])('that waits for a connection is stored with storeQos0: %s', async (storeQos0, sent) => {
    const stage = new Stage();
    const store = new MemoryStore();
    const client = stage.client({ ...KEEP, store, storeQos0 });
    client.publish('a', 'x').catch(() => {});
    await stage.until(client.publish('b', 'x', STORED));
    const next = stage.client({ ...KEEP, store: store.crash() });
    const broker = await stage.connect(next);
    await stage.clock.advance(0);
    const topics = broker.packets.flatMap((packet) => (packet.type === 'publish' ? [packet.topic] : []));
    expect(topics).toEqual([...sent, 'b']);
    await stage.end(next, broker);
  });
});

describe('QoS 0 with queueQos0Offline: false', () => {
  it('is rejected without a connection, and not stored', async () => {
    const stage = new Stage();
    const store = new MemoryStore();
    const client = stage.client({ ...KEEP, store, storeQos0: true, queueQos0Offline: false });
    expect(await errorOf(client.publish('a', 'x'))).toMatchObject({ delivery: 'not-sent', kept: false });
    expect(client.stats().pending).toBe(0);
  });
});

describe('disconnect()', () => {
  it('rejects calls with kept: true, and the messages are sent after the next connect()', async () => {
    const stage = new Stage();
    const store = new MemoryStore();
    const { client, broker } = await stage.online({ ...KEEP, store });
    const calls = ['1', '2'].map((text) => watch(client.publish('a', text, { qos: 1 })));
    await stage.end(client, broker);
    expect(calls.map((call) => call())).toMatchObject([{ error: { kept: true } }, { error: { kept: true } }]);
    expect([store.isOpen, client.stats().pending]).toEqual([false, 0]);
    const next = await stage.connect(client, found);
    await next.expect('publish', { topic: 'a' });
    await next.expect('publish', { topic: 'a' });
    await stage.end(client, next);
  });

  it('removes the session from the store with pending: "discard"', async () => {
    const stage = new Stage();
    const store = new MemoryStore();
    const { client, broker } = await stage.online({ ...KEEP, store });
    const call = watch(client.publish('a', '1', { qos: 1 }));
    await broker.expect('publish');
    const ended = client.disconnect({ pending: 'discard' });
    await settled();
    broker.close();
    await stage.until(ended);
    expect([call(), store.keys, store.isOpen]).toMatchObject([{ error: { kept: false } }, [], false]);
  });
});

describe('wrong arguments', () => {
  it('are until: "stored" without a store or with QoS 0, and a store without a fixed Client Identifier', async () => {
    const store = new MemoryStore();
    const plain = new Client('mqtt://a', KEEP);
    await expect(plain.publish('a', 'x', STORED)).rejects.toThrow(/^until: expected "acknowledged"/);
    const stored = new Client('mqtt://a', { ...KEEP, store });
    await expect(stored.publish('a', 'x', { until: 'stored' })).rejects.toThrow(/QoS 0, which is not stored/);
    for (const clientId of [undefined, '', () => 'me'])
      expect(() => new Client('mqtt://a', { store, clientId })).toThrow(/^clientId: expected a text/);
  });
});
