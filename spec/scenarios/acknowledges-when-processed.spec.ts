import { describe, expect, it } from '@jest/globals';
import type { Message } from '../../lib/client/receive/message.ts';
import { collect, message, Stage } from './stage.ts';

describe('a message with QoS 1 or 2', () => {
  it.each([1, 2] as const)('is acknowledged when the loop asks for the next one (QoS %d)', async (qos) => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const subscription = await stage.subscribe(client, broker, 'a', { qos: 2 });
    let finish = (): void => {};
    const looping = collect(subscription, () => new Promise<void>((resolve) => (finish = resolve)));
    broker.send({ ...message('a', 'x', 9), qos });
    await stage.clock.advance(500);
    expect([looping.texts, broker.unread]).toEqual([['x'], []]);
    finish();
    await broker.expect(qos === 1 ? 'puback' : 'pubrec', { packetId: 9 });
    await stage.end(client, broker);
  });

  it('of QoS 2 has its PUBREL answered at once, even while the loop is busy', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const subscription = await stage.subscribe(client, broker, 'a', { qos: 2 });
    collect(subscription, (one) => (one.text() === 'slow' ? new Promise(() => {}) : undefined));
    broker.send({ ...message('a', 'quick', 1), qos: 2 }, { ...message('a', 'slow', 2), qos: 2 });
    await broker.expect('pubrec', { packetId: 1 });
    broker.send({ type: 'pubrel', packetId: 1 });
    expect(await broker.expect('pubcomp', { packetId: 1 })).toMatchObject({ reasonCode: 0 });
    await stage.end(client, broker);
  });

  it('can be acknowledged on arrival, or by hand', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const atOnce = await stage.subscribe(client, broker, 'a', { qos: 1, ack: 'received' });
    const byHand = await stage.subscribe(client, broker, 'b', { qos: 1, ack: 'manual' });
    broker.send(message('a', 'nobody reads', 1));
    await broker.expect('puback', { packetId: 1 });
    broker.send(message('b', 'by hand', 2));
    const taken = await stage.until(byHand.receive());
    await stage.clock.advance(100);
    expect([atOnce.depth, broker.unread]).toEqual([1, []]);
    taken.ack();
    await broker.expect('puback', { packetId: 2 });
    await stage.end(client, broker);
  });

  it('can be rejected on 5.0, and is not sent again', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ protocolVersion: 5 });
    const subscription = await stage.subscribe(client, broker, 'a', { qos: 2 });
    collect(subscription, (one) => one.reject(0x99));
    broker.send(message('a', 'x', 1), { ...message('a', 'y', 2), qos: 2 });
    expect(await broker.expect('puback')).toMatchObject({ packetId: 1, reasonCode: 0x99 });
    expect(await broker.expect('pubrec')).toMatchObject({ packetId: 2, reasonCode: 0x99 });
    await stage.end(client, broker);
  });
});

describe('acknowledgements', () => {
  it('are sent in order of arrival, over all subscriptions: early ones wait', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const taken: Message[] = [];
    for (const filter of ['a', 'b', 'c']) {
      const subscription = await stage.subscribe(client, broker, filter, { qos: 1, ack: 'manual' });
      collect(subscription, (one) => void taken.push(one));
    }
    broker.send(message('a', '1', 1), message('b', '2', 2), message('c', '3', 3), message('a', '4', 4));
    await stage.clock.advance(0);
    const of = (text: string) => taken.find((one) => one.text() === text)!;
    of('3').ack();
    of('4').ack();
    of('2').ack();
    await stage.clock.advance(100);
    expect(broker.unread).toEqual([]);
    of('1').ack();
    for (const packetId of [1, 2, 3, 4]) await broker.expect('puback', { packetId });
    await stage.end(client, broker);
  });

  it('with PUBACK and PUBREC do not wait for each other', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const subscription = await stage.subscribe(client, broker, '#', { qos: 2, ack: 'manual' });
    broker.send(message('a', 'one', 1), { ...message('a', 'two', 2), qos: 2 });
    const [, two] = [await stage.until(subscription.receive()), await stage.until(subscription.receive())];
    two.ack();
    expect(await broker.expect('pubrec')).toMatchObject({ packetId: 2 });
    await stage.end(client, broker);
  });

  it('wait for every subscription that received the message', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const [one, other] = [
      await stage.subscribe(client, broker, 'a/+', { qos: 1, ack: 'manual' }),
      await stage.subscribe(client, broker, 'a/#', { qos: 1, ack: 'manual' }),
    ];
    broker.send(message('a/b', 'x', 1));
    (await stage.until(one.receive())).ack();
    await stage.clock.advance(100);
    expect(broker.unread).toEqual([]);
    (await stage.until(other.receive())).ack();
    await broker.expect('puback', { packetId: 1 });
    await stage.end(client, broker);
  });
});

describe('a loop that breaks off', () => {
  it('leaves its message unacknowledged for the next loop in a persistent session', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ cleanStart: false, clientId: 'me' });
    const subscription = await stage.subscribe(client, broker, 'a', { qos: 1 });
    broker.send(message('a', 'x', 1));
    await stage.clock.advance(0);
    for await (const one of subscription) if (one.text() === 'x') break;
    await stage.clock.advance(100);
    expect(broker.unread).toEqual([]);
    const again = collect(subscription, (one) => expect(one.duplicate).toBe(true));
    await broker.expect('puback', { packetId: 1 });
    expect(again.texts).toEqual(['x']);
    await stage.end(client, broker);
  });

  it('unsubscribes in a clean session, and acknowledges unsettled and later messages', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const subscription = await stage.subscribe(client, broker, 'a', { qos: 1 });
    broker.send(message('a', 'x', 1), message('a', 'y', 2));
    await stage.clock.advance(0);
    for await (const one of subscription) if (one.text() === 'x') break;
    const sent = [await broker.expect('puback'), await broker.expect('puback')];
    expect(sent.map(({ packetId }) => packetId)).toEqual([1, 2]);
    const { packetId } = await broker.expect('unsubscribe', { topicFilters: ['a'] });
    broker.send(message('a', 'straggler', 3), { type: 'unsuback', packetId });
    await broker.expect('puback', { packetId: 3 });
    await stage.end(client, broker);
  });
});
