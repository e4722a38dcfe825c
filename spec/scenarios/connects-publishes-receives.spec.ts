import { describe, expect, it } from '@jest/globals';
import { bytes, collect, message, Stage, statusOf } from './stage.ts';

describe.each([3, 4, 5] as const)('with protocol version %d', (protocolVersion) => {
  it('a client connects, publishes with every QoS, receives with every QoS, and disconnects', async () => {
    const stage = new Stage();
    const client = stage.client({ protocolVersion });
    const events = statusOf(client);
    const broker = await stage.connect(client);
    broker.ackPublishes();
    broker.answer('subscribe', 'unsubscribe');
    const results = [0, 1, 2].map((qos) =>
      client.publish('out', `${qos}`, { qos: qos as 0 | 1 | 2, retain: true }),
    );
    const subscription = await stage.until(client.subscribe('in/+', { qos: 2 }));
    const looping = collect(subscription);
    broker.send(
      { ...message('in/0', 'zero'), retain: true },
      { ...message('in/1', 'one', 7), qos: 1 },
      { ...message('in/2', 'two', 8), qos: 2 },
    );
    await broker.expect('puback', { packetId: 7 });
    await broker.expect('pubrec', { packetId: 8 });
    broker.send({ type: 'pubrel', packetId: 8 });
    await broker.expect('pubcomp', { packetId: 8 });
    expect(looping.texts).toEqual(['zero', 'one', 'two']);
    await expect(Promise.all(results)).resolves.toHaveLength(3);
    const published = broker.packets.filter((packet) => packet.type === 'publish');
    expect(published.map(({ qos, payload, retain }) => [qos, payload, retain])).toEqual([
      [0, bytes('0'), true],
      [1, bytes('1'), true],
      [2, bytes('2'), true],
    ]);
    await stage.end(client, broker);
    await looping.done;
    expect(broker.packets.at(-1)).toMatchObject({ type: 'disconnect', reasonCode: 0 });
    expect([events, client.state, stage.clock.armed]).toEqual([
      ['connecting 0', 'connected', 'closed'],
      'closed',
      0,
    ]);
  });
});

describe('a stream that is cut anywhere', () => {
  it.each([1, 2, 3, 7])('into reads of %d bytes is decoded', async (size) => {
    const stage = new Stage({ chunks: () => size });
    const { client, broker } = await stage.online({ protocolVersion: 5 });
    broker.ackPublishes();
    const subscription = await stage.subscribe(client, broker, '#', { qos: 1 });
    const looping = collect(subscription);
    const texts = Array.from({ length: 20 }, (_, n) => 'x'.repeat(n * 5));
    broker.send(...texts.map((text, n) => message(`t/${n}`, text, n + 1)));
    const published = texts.map((text) => client.publish('u', text, { qos: 2 }));
    for (const n of texts.keys()) await broker.expect('puback', { packetId: n + 1 });
    await stage.until(Promise.all(published));
    expect(looping.texts).toEqual(texts);
    await stage.end(client, broker);
  });
});
