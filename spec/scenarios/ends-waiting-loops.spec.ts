import { Readable } from 'node:stream';
import { describe, expect, it } from '@jest/globals';
import { settled } from '../support/fake-clock.ts';
import { collect, message, Stage } from './stage.ts';

const KEEP = { clientId: 'me', cleanStart: false, messageRetry: 0 } as const;
const END = { value: undefined, done: true };

/*
 * Loops that end while they wait for a message, as with a time limit by `Promise.race()` or with a destroyed stream. The
 * next message must not go to them.
 */

describe('a loop that ends while it waits', () => {
  it('takes no message: in a persistent session the next loop gets and acknowledges it', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(KEEP);
    const subscription = await stage.subscribe(client, broker, 'a', { qos: 1 });
    const iterator = subscription[Symbol.asyncIterator]();
    const next = iterator.next();
    await Promise.race([next, settled()]);
    await iterator.return?.();
    await expect(next).resolves.toEqual(END);
    broker.send(message('a', '1', 1));
    await stage.clock.advance(0);
    expect([subscription.depth, broker.packets.some(({ type }) => type === 'puback')]).toEqual([1, false]);
    const looping = collect(subscription);
    await broker.expect('puback', { packetId: 1 });
    expect(looping.texts).toEqual(['1']);
    await stage.end(client, broker);
  });

  it('takes no message that is redelivered after a reconnect', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(KEEP);
    const subscription = await stage.subscribe(client, broker, 'a', { qos: 1 });
    const iterator = subscription[Symbol.asyncIterator]();
    const next = iterator.next();
    await iterator.return?.();
    broker.send(message('a', '1', 1));
    await stage.clock.advance(0);
    const again = await stage.reconnect(broker, { sessionPresent: true });
    again.send({ ...message('a', '1', 1), duplicate: true });
    const looping = collect(subscription);
    await again.expect('puback', { packetId: 1 });
    await expect(next).resolves.toEqual(END);
    expect(looping.texts).toEqual(['1']);
    await stage.end(client, again);
  });

  it('does not delay the acknowledgements of other subscriptions', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(KEEP);
    const left = await stage.subscribe(client, broker, 'a', { qos: 1 });
    collect(await stage.subscribe(client, broker, 'b', { qos: 1 }));
    const iterator = left[Symbol.asyncIterator]();
    void iterator.next();
    await iterator.return?.();
    const before = stage.clock.now();
    broker.send(message('a', '1', 1), message('b', '2', 2));
    await broker.expect('puback', { packetId: 2 });
    expect(stage.clock.now() - before).toBeLessThan(100);
    await stage.end(client, broker);
  });

  it('takes no message from a second loop in a clean session, whose subscription continues', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const subscription = await stage.subscribe(client, broker, 'a', { qos: 1 });
    const iterator = subscription[Symbol.asyncIterator]();
    void iterator.next();
    const staying = collect(subscription);
    await settled();
    await iterator.return?.();
    broker.send(message('a', '1', 1));
    await broker.expect('puback', { packetId: 1 });
    expect(staying.texts).toEqual(['1']);
    await stage.end(client, broker);
  });

  it('unsubscribes in a clean session if it was the last', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const iterator = client.subscribe('a', { qos: 1 })[Symbol.asyncIterator]();
    const next = iterator.next();
    const { packetId } = await broker.expect('subscribe');
    broker.send({ type: 'suback', packetId, reasonCodes: [1] });
    await stage.clock.advance(0);
    await iterator.return?.();
    await expect(next).resolves.toEqual(END);
    await broker.expect('unsubscribe', { topicFilters: ['a'] });
    // Messages under way are acknowledged, so that they free the window.
    broker.send(message('a', '1', 1));
    await broker.expect('puback', { packetId: 1 });
    await stage.end(client, broker);
  });

  it('does the same before its subscription is granted', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const subscribing = client.subscribe('a', { qos: 1 });
    const iterator = subscribing[Symbol.asyncIterator]();
    const next = iterator.next();
    const { packetId } = await broker.expect('subscribe');
    await iterator.return?.();
    await expect(next).resolves.toEqual(END);
    broker.send({ type: 'suback', packetId, reasonCodes: [1] });
    await broker.expect('unsubscribe', { topicFilters: ['a'] });
    await expect(stage.until(subscribing)).resolves.toMatchObject({ depth: 0 });
    await stage.end(client, broker);
  });
});

it.each(['messages', 'batches'])(
  'a stream of %s that is destroyed while it waits takes no message',
  async (of) => {
    const stage = new Stage();
    const { client, broker } = await stage.online(KEEP);
    const subscription = await stage.subscribe(client, broker, 'a', { qos: 1 });
    const stream = Readable.from(of === 'messages' ? subscription : subscription.batches());
    const seen: unknown[] = [];
    stream.on('data', (data) => seen.push(data));
    await settled();
    stream.destroy();
    await settled();
    expect(stream.closed).toBe(true);
    broker.send(message('a', '1', 1));
    await stage.clock.advance(0);
    expect([seen, subscription.depth]).toEqual([[], 1]);
    const looping = collect(subscription);
    await broker.expect('puback', { packetId: 1 });
    expect(looping.texts).toEqual(['1']);
    await stage.end(client, broker);
  },
);

it('status() that ends while it waits ends its next(), and the client can still be closed', async () => {
  const stage = new Stage();
  const { client, broker } = await stage.online();
  const iterator = client.status()[Symbol.asyncIterator]();
  const next = iterator.next();
  await iterator.return?.();
  await expect(next).resolves.toEqual(END);
  await stage.end(client, broker);
});
