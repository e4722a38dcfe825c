import { describe, expect, it } from '@jest/globals';
import { collect, message, Stage } from './stage.ts';

/*
 * Several subscriptions of one client whose Topic Filters are the same or overlap: the server knows only filters.
 */

describe('the same Topic Filter again', () => {
  it('is asked for with the highest QoS of all who hold it, so that nobody gets less than before', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    await stage.subscribe(client, broker, 'a/b', { qos: 2 });
    const second = client.subscribe('a/b', { qos: 0 });
    const { packetId } = await broker.expect('subscribe', {
      subscriptions: [{ topicFilter: 'a/b', qos: 2 }],
    });
    broker.send({ type: 'suback', packetId, reasonCodes: [2] });
    await stage.until(second);
    expect(stage.log.some((line) => line.includes('overlap'))).toBe(false);
    await stage.end(client, broker);
  });

  it('brings its retained messages to the newcomer only', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const retained = { ...message('a/b', 'kept'), retain: true };
    const first = collect(await stage.subscribe(client, broker, 'a/b'));
    broker.send(retained);
    await stage.clock.advance(0);
    const second = collect(await stage.subscribe(client, broker, 'a/#'));
    broker.send(retained, message('a/b', 'live'));
    await stage.clock.advance(0);
    expect([first.texts, second.texts]).toEqual([
      ['kept', 'live'],
      ['kept', 'live'],
    ]);
    await stage.end(client, broker);
  });

  it('brings them to all where the subscriptions are restored', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const retained = { ...message('a/b', 'kept'), retain: true };
    const first = collect(await stage.subscribe(client, broker, 'a/b'));
    const second = collect(await stage.subscribe(client, broker, 'a/#'));
    const next = await stage.reconnect(broker);
    const { packetId } = await next.expect('subscribe');
    next.send({ type: 'suback', packetId, reasonCodes: [0, 0] }, retained);
    await stage.clock.advance(0);
    expect([first.texts, second.texts]).toEqual([['kept'], ['kept']]);
    await stage.end(client, next);
  });
});

describe('a Topic Filter that overlaps with others', () => {
  it('is asked for with the highest QoS of the overlapping ones, and a warning says what to expect', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    await stage.subscribe(client, broker, 'a/#', { qos: 1 });
    const second = client.subscribe([{ topicFilter: 'a/+', qos: 0 }, 'c', '$share/g/a/b'], { qos: 0 });
    const { packetId } = await broker.expect('subscribe', {
      subscriptions: [
        { topicFilter: 'a/+', qos: 1 },
        { topicFilter: 'c', qos: 0 },
        { topicFilter: '$share/g/a/b', qos: 0 },
      ],
    });
    broker.send({ type: 'suback', packetId, reasonCodes: [1, 0, 0] });
    expect((await stage.until(second)).granted).toEqual([1, 0, 0]);
    expect(stage.log.filter((line) => line.startsWith('warn: Topic Filters overlap'))).toHaveLength(1);
    await stage.end(client, broker);
  });

  it('in one call with another is asked for with the higher QoS as well', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const subscribing = client.subscribe([
      { topicFilter: 'a/#', qos: 0 },
      { topicFilter: 'a/b', qos: 2 },
    ]);
    const { packetId } = await broker.expect('subscribe', {
      subscriptions: [
        { topicFilter: 'a/#', qos: 2 },
        { topicFilter: 'a/b', qos: 2 },
      ],
    });
    broker.send({ type: 'suback', packetId, reasonCodes: [2, 2] });
    expect((await stage.until(subscribing)).granted).toEqual([2, 2]);
    await stage.end(client, broker);
  });

  it('gets one copy of each message for each subscription, acknowledged when all are done with it', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online();
    const first = await stage.subscribe(client, broker, 'a/#', { qos: 1 });
    const second = await stage.subscribe(client, broker, 'a/b', { qos: 1 });
    broker.send(message('a/b', 'one', 7));
    const done = stage.until(first.receive());
    expect((await done).text()).toBe('one');
    await stage.clock.advance(0);
    expect(broker.unread).toEqual([]);
    expect((await stage.until(second.receive())).text()).toBe('one');
    await broker.expect('puback', { packetId: 7 });
    await stage.end(client, broker);
  });
});
