import { expect, it } from '@jest/globals';
import type { Client } from '../../lib/index.ts';
import { describeWithMosquitto } from '../support/programs.ts';
import { actor, endActors, inTime, mosquitto, mosquittoSub, wireTap } from './actors.ts';

/*
 * Topic Aliases that the client chooses, at a server that resolves them. A witness that is none of ours gets every
 * message under its topic.
 */

endActors();

/** ms after which what has not come is not going to come. */
const PATIENCE = 15_000;
const TOPICS = Array.from({ length: 6 }, (_, i) => `site/7/line/${i}/sensor/temperature`);

/** What came under which topic, as `topic|payload`. */
const told = (messages: readonly { readonly topic: string; readonly text: string }[]): string[] =>
  messages.map(({ topic, text }) => `${topic}|${text}`).toSorted();

/** Publishes to the topics in an order that repeats some more than others. Returns what has to arrive. */
async function publishAll(client: Client, count: number, from: number): Promise<string[]> {
  const all = Array.from({ length: count }, (_, i) => {
    const topic = TOPICS[i % 3 === 0 ? (i / 3) % 6 : i % 2] as string;
    return { topic, payload: `${from + i}`, qos: (i % 3) as 0 | 1 | 2 };
  });
  await Promise.all(all.map(({ topic, payload, qos }) => client.publish(topic, payload, { qos })));
  return all.map(({ topic, payload }) => `${topic}|${payload}`);
}

describeWithMosquitto('v5 R6 Topic Aliases that the client chooses', () => {
  it.each([
    ['v5 MQTT-3.2.2-17 as many as it takes by itself', [], 10],
    ['v5 MQTT-3.2.2-17 as many as max_topic_alias allows', ['max_topic_alias 2'], 2],
    ['v5 MQTT-3.2.2-18 none with max_topic_alias 0', ['max_topic_alias 0'], 0],
  ])('%s: messages arrive under their topics, over a reconnect too', async (_, config, maximum) => {
    const broker = await mosquitto({ config });
    const witness = await mosquittoSub(broker, { topicFilter: 'site/#', qos: 2, version: 5, count: 120 });
    const tap = await wireTap(broker.port, 5);
    const sent = { aliases: new Set<number>(), whole: 0, shortened: 0 };
    tap.onPacket = (packet) => {
      if (packet.type !== 'publish') return;
      if (packet.properties.topicAlias !== undefined) sent.aliases.add(packet.properties.topicAlias);
      sent[packet.topic === '' ? 'shortened' : 'whole']++;
    };
    const { client } = await actor(tap.url, {
      protocolVersion: 5,
      topicAlias: 'auto',
      sessionExpiryInterval: 60,
    });
    expect(client.negotiated).toMatchObject({ topicAliasMaximum: maximum, announcedTopicAliasMaximum: 16 });
    const expected = await publishAll(client, 60, 0);
    await client.reconnect();
    expected.push(...(await publishAll(client, 60, 60)));
    const messages = await inTime(witness.done, PATIENCE, () => `${witness.messages.length} messages`);
    expect(told(messages)).toEqual(expected.toSorted());
    expect(Math.max(0, ...sent.aliases)).toBe(Math.min(maximum, TOPICS.length));
    if (maximum === 10)
      expect(sent).toMatchObject({ whole: 2 * TOPICS.length, shortened: 120 - 2 * TOPICS.length });
    else expect(sent.shortened > 0).toBe(maximum > 0);
  });

  it('an alias that the application names stands beside them', async () => {
    const broker = await mosquitto({ config: ['max_topic_alias 3'] });
    const witness = await mosquittoSub(broker, { topicFilter: 'site/#', qos: 1, version: 5, count: 20 });
    const { client } = await actor(broker.url, { protocolVersion: 5, topicAlias: 'auto' });
    const expected: string[] = [];
    for (let i = 0; i < 20; i++) {
      const topic = TOPICS[i % 5] as string;
      const properties = i % 5 === 0 ? { topicAlias: 1 + (i % 2) } : {};
      await client.publish(topic, `${i}`, { qos: 1, properties });
      expected.push(`${topic}|${i}`);
    }
    const messages = await inTime(witness.done, PATIENCE, () => `${witness.messages.length} messages`);
    expect(told(messages)).toEqual(expected.toSorted());
    await expect(client.publish('site/7', 'x', { properties: { topicAlias: 4 } })).rejects.toMatchObject({
      reasonCode: 0x94,
      delivery: 'not-sent',
    });
  });

  it('with max_packet_size, every message arrives that fits without an alias', async () => {
    const broker = await mosquitto({ config: ['max_packet_size 100'] });
    const witness = await mosquittoSub(broker, { topicFilter: 'site/#', qos: 1, version: 5, count: 20 });
    const { client } = await actor(broker.url, { protocolVersion: 5, topicAlias: 'auto' });
    const [topic = ''] = TOPICS;
    // Fixed header 2, topic 2 and its length, Packet Identifier 2, Property Length 1.
    const most = 100 - 7 - topic.length;
    const expected: string[] = [];
    for (let i = 0; i < 20; i++) {
      const payload = `${i}`.padEnd(most - (i % 5), '.');
      await client.publish(topic, payload, { qos: 1 });
      expected.push(`${topic}|${payload}`);
    }
    const messages = await inTime(witness.done, PATIENCE, () => `${witness.messages.length} messages`);
    expect(told(messages)).toEqual(expected.toSorted());
  });
});
