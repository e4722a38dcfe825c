import { describe, expect, it } from '@jest/globals';
import type { Message } from '../../lib/client/receive/message.ts';
import type { ScriptedBroker } from '../support/scripted-broker.ts';
import { collect, message, Stage } from './stage.ts';

/* Topic Aliases as an application meets them: announced unasked, resolved always, and set by the client where it is told to. */

/** So many that they are decoded late. */
const MANY = Array.from({ length: 20 }, (_, i) => ['name', `${i}`] as const);

/** A PUBLISH of the server with a Topic Alias. */
const aliased = (topicAlias: number, topic: string, text: string, packetId?: number) => ({
  ...message(topic, text, packetId),
  properties: { topicAlias },
});

describe('Topic Aliases of the server', () => {
  it.each([
    ['16 by default', 5, undefined, 16],
    ['16 beside other properties', 5, { userProperties: [['a', 'b']] as const }, 16],
    ['as many as the application says', 5, { topicAliasMaximum: 3 }, 3],
    ['none with topicAliasMaximum 0', 5, { topicAliasMaximum: 0 }, 0],
    ['what a function says', 5, () => ({ topicAliasMaximum: 4 }), 4],
    ['16 where a function says nothing of them', 5, () => ({}), 16],
    ['none before 5.0', 4, undefined, 0],
  ] as const)('v5 3.1.2.11.5 CONNECT announces %s', async (_, protocolVersion, properties, expected) => {
    const stage = new Stage();
    const { client, broker } = await stage.online({
      protocolVersion,
      ...(properties !== undefined && { properties }),
    });
    const [connect] = broker.packets;
    expect(connect).toMatchObject({ type: 'connect' });
    expect((connect?.type === 'connect' && connect.properties.topicAliasMaximum) || 0).toBe(expected);
    expect(client.negotiated).toMatchObject({ announcedTopicAliasMaximum: expected, topicAliasMaximum: 0 });
    await stage.end(client, broker);
  });

  it('v5 MQTT-3.3.2-10, peers P26 are resolved for a client that was told nothing of them', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ protocolVersion: 5 });
    const topics: string[] = [];
    collect(await stage.subscribe(client, broker, '#', { qos: 1 }), (one) => void topics.push(one.topic));
    broker.send(
      aliased(1, 'a/b', '1'),
      aliased(16, 'c/d', '2', 7),
      aliased(1, '', '3', 8),
      aliased(16, '', '4'),
    );
    await stage.clock.advance(0);
    expect(topics).toEqual(['a/b', 'c/d', 'a/b', 'c/d']);
    await stage.end(client, broker);
  });

  it('are not in the properties of a message, which may be published again with all of them', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ protocolVersion: 5 });
    const properties: unknown[] = [];
    const again = async ({ topic, payload, properties: all }: Message): Promise<void> => {
      properties.push({ ...all });
      await client.publish(`again/${topic}`, payload, { properties: all });
    };
    collect(await stage.subscribe(client, broker, '#', { qos: 0 }), again);
    const topicAlias = 3;
    broker.send({ ...message('a', '1'), properties: { topicAlias } });
    broker.send({
      ...message('', '2'),
      properties: { topicAlias, contentType: 'text', userProperties: [['a', 'b']] },
    });
    broker.send({ ...message('', '3'), properties: { userProperties: MANY, topicAlias } });
    broker.send({ ...message('b', '4'), properties: {} });
    await stage.clock.advance(0);
    const others = [{}, { contentType: 'text', userProperties: [['a', 'b']] }, { userProperties: MANY }, {}];
    expect(properties).toEqual(others);
    for (const [i, topic] of ['a', 'a', 'a', 'b'].entries()) {
      const published = await broker.expect('publish', { topic: `again/${topic}` });
      expect(published.properties).toEqual(others[i]);
    }
    await stage.end(client, broker);
  });

  it.each([
    ['v5 MQTT-3.1.2-26, MQTT-3.3.2-11 above the maximum', {}, 17, 0x94],
    ['v5 MQTT-3.1.2-27 where none was announced', { topicAliasMaximum: 0 }, 1, 0x94],
    ['v5 U-3.3.4-a that stands for nothing', {}, 1, 0x82],
  ])('%s costs the server the connection', async (_, properties, topicAlias, reasonCode) => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ protocolVersion: 5, properties });
    broker.send(aliased(topicAlias, reasonCode === 0x94 ? 'a' : '', 'x'));
    await broker.expect('disconnect', { reasonCode });
    await broker.expectClose();
    expect(client.state).toBe('waiting');
    await stage.until(client.disconnect());
  });
});

describe('Topic Aliases of the client', () => {
  const properties = { topicAliasMaximum: 3 };
  /** Topic and alias of every PUBLISH that the server got. */
  const published = ({ packets }: ScriptedBroker): unknown[] =>
    packets.flatMap((one) => (one.type === 'publish' ? [[one.topic, one.properties.topicAlias ?? 0]] : []));

  it('v5 R6 are off unless they are asked for, and configure() turns them on for the next connection', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ protocolVersion: 5 }, { properties });
    for (let i = 0; i < 2; i++) await client.publish('site/7', `${i}`);
    client.configure({ topicAlias: 'auto' });
    await client.publish('site/7', '2');
    await stage.clock.advance(0);
    expect(published(broker)).toEqual([
      ['site/7', 0],
      ['site/7', 0],
      ['site/7', 0],
    ]);
    const next = await stage.reconnect(broker, { properties });
    for (let i = 0; i < 2; i++) await client.publish('site/7', `${i}`);
    await stage.clock.advance(0);
    expect(published(next)).toEqual([
      ['site/7', 1],
      ['', 1],
    ]);
    expect(client.negotiated).toMatchObject({ topicAliasMaximum: 3, announcedTopicAliasMaximum: 16 });
    await stage.end(client, next);
  });

  it('v5 R6 serve publish() and publishMany() alike, with every QoS', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ protocolVersion: 5, topicAlias: 'auto' }, { properties });
    broker.ackPublishes();
    const outcomes: unknown[] = [];
    const many = async (): Promise<void> => {
      const source = ([0, 1, 2, 0] as const).map((qos, i) => ({
        topic: `site/${i % 2}`,
        payload: `${i}`,
        qos,
      }));
      for await (const { status } of client.publishMany(source)) outcomes.push(status);
    };
    await stage.until(many());
    await stage.until(client.publish('site/0', 'x', { qos: 2 }));
    expect(outcomes).toEqual(['published', 'published', 'published', 'published']);
    expect(published(broker)).toEqual([
      ['site/0', 1],
      ['site/1', 2],
      ['', 1],
      ['', 2],
      ['', 1],
    ]);
    await stage.end(client, broker);
  });

  it('v5 MQTT-3.3.2-7, R5 are no part of a message that is sent again', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online(
      { protocolVersion: 5, topicAlias: 'auto', sessionExpiryInterval: 60, clientId: 'a', cleanStart: false },
      { properties },
    );
    const all = Promise.all([0, 1].map((i) => client.publish('site/7', `${i}`, { qos: 1 })));
    await stage.clock.advance(2_000);
    expect(published(broker)).toEqual([
      ['site/7', 1],
      ['', 1],
    ]);
    const next = await stage.reconnect(broker, { sessionPresent: true, properties });
    next.ackPublishes();
    await stage.until(all);
    expect(published(next)).toEqual([
      ['site/7', 0],
      ['site/7', 0],
    ]);
    await stage.end(client, next);
  });

  it.each([3, 4] as const)(
    'are a TypeError with protocolVersion %d, and nothing but "auto" and "off"',
    (protocolVersion) => {
      const stage = new Stage();
      expect(() => stage.client({ protocolVersion, topicAlias: 'auto' })).toThrow(TypeError);
      expect(() => stage.client({ protocolVersion: 5, topicAlias: true as never })).toThrow(
        'topicAlias: expected "auto" or "off", got true',
      );
    },
  );
});
