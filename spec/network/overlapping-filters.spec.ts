import { expect, it } from '@jest/globals';
import type { Packet } from '../../lib/codec/packets.ts';
import type { Message, Subscription } from '../../lib/index.ts';
import { describeWithMosquitto } from '../support/programs.ts';
import { actor, endActors, inTime, mosquitto, wireTap } from './actors.ts';

/*
 * Subscription Identifiers at a real broker. Mosquitto sends a copy for each filter that matches, each with its identifier.
 */

endActors();

const PATIENCE = 15_000;
const KEPT = { protocolVersion: 5, clientId: 'kept', cleanStart: false, sessionExpiryInterval: 600 } as const;

const said = ({ qos, ...message }: Message): string => `${message.topic} ${qos}`;

/** What a subscription has got when everything before `end` has arrived. */
async function until(subscription: Subscription, end: string): Promise<string[]> {
  const all: string[] = [];
  const reading = (async () => {
    for await (const message of subscription) {
      if (message.topic === end) {
        message.ack();
        break;
      }
      all.push(`${said(message)} ${message.text()}`);
    }
  })();
  await inTime(reading, PATIENCE, () => JSON.stringify(all));
  return all;
}

describeWithMosquitto('overlapping Topic Filters on 5.0', () => {
  it('v5 MQTT-3.3.4-2 to -5 neither duplicate nor leak, and each subscription has its own QoS', async () => {
    const broker = await mosquitto();
    const tap = await wireTap(broker.port, 5);
    const copies: Packet[] = [];
    tap.onPacket = (packet, from) => {
      if (packet.type === 'publish' && from === 'server' && packet.topic === 'a/b') copies.push(packet);
    };
    const { client, log } = await actor(tap.url, { protocolVersion: 5 });
    const { client: publisher } = await actor(broker.url, { protocolVersion: 5 });
    const [all, one, both] = await Promise.all([
      client.subscribe(['a/#', 'end'], { qos: 0 }),
      client.subscribe(['a/b', 'end'], { qos: 2 }),
      client.subscribe([{ topicFilter: '+/b', qos: 0 }, { topicFilter: 'a/+', qos: 1 }, 'end'], { qos: 1 }),
    ]);
    for (const text of ['1', '2']) await publisher.publish('a/b', text, { qos: 2 });
    await publisher.publish('a/c', '3', { qos: 1 });
    await publisher.publish('x/b', '4', { qos: 2 });
    await publisher.publish('end', '', { qos: 2 });
    const got = await Promise.all([all, one, both].map((subscription) => until(subscription, 'end')));
    expect(got).toEqual([
      ['a/b 0 1', 'a/b 0 2', 'a/c 0 3'],
      ['a/b 2 1', 'a/b 2 2'],
      ['a/b 1 1', 'a/b 1 2', 'a/c 1 3', 'x/b 0 4'],
    ]);
    // Four filters match, with an identifier each.
    expect(copies).toHaveLength(8);
    expect(log.filter((line) => line.includes('overlap'))).toEqual([]);
  });

  it('retained messages and Retain As Published come once to each', async () => {
    const broker = await mosquitto();
    const { client } = await actor(broker.url, { protocolVersion: 5 });
    await client.publish('a/b', 'kept', { qos: 1, retain: true });
    const asked = { retainAsPublished: true, qos: 1 } as const;
    const [published, plain] = await Promise.all([
      client.subscribe(['a/#', 'end'], asked),
      client.subscribe(['a/b', 'a/+', 'end'], { qos: 1 }),
    ]);
    await client.publish('a/b', 'live', { qos: 1, retain: true });
    await client.publish('end', '', { qos: 1 });
    expect(await until(published, 'end')).toEqual(['a/b 1 kept', 'a/b 1 live']);
    expect(await until(plain, 'end')).toEqual(['a/b 1 kept', 'a/b 1 live']);
  });

  it('a process that takes up the session of another gets what waits there, and takes no identifier for its own', async () => {
    const broker = await mosquitto();
    const { client: publisher } = await actor(broker.url);
    const earlier = await actor(broker.url, KEPT);
    await earlier.client.subscribe('a/#', { qos: 1 });
    await earlier.client.subscribe('b/#', { qos: 1 });
    await earlier.client.disconnect();
    for (const topic of ['a/1', 'b/1']) await publisher.publish(topic, 'waits', { qos: 1 });
    // It subscribes in another order.
    const { client } = await actor(broker.url, KEPT);
    const b = await client.subscribe(['b/#', 'end'], { qos: 1 });
    const a = await client.subscribe(['a/#', 'end'], { qos: 1 });
    for (const topic of ['a/2', 'b/2', 'end']) await publisher.publish(topic, 'new', { qos: 1 });
    expect(await until(a, 'end')).toEqual(['a/1 1 waits', 'a/2 1 new']);
    expect(await until(b, 'end')).toEqual(['b/1 1 waits', 'b/2 1 new']);
  });

  it('a server without a session gets the same subscriptions again', async () => {
    const broker = await mosquitto();
    const { client, next } = await actor(broker.url, { protocolVersion: 5 });
    const [all, one] = [
      await client.subscribe(['a/#', 'a/b', 'end'], { qos: 1 }),
      await client.subscribe(['a/b', 'end'], { qos: 1 }),
    ];
    const connected = next('connected');
    await broker.restart();
    await inTime(connected, PATIENCE, () => client.state);
    const { client: publisher } = await actor(broker.url);
    // Its SUBSCRIBE comes after those that restore.
    await client.subscribe('last');
    await publisher.publish('a/b', 'once', { qos: 1 });
    await publisher.publish('end', '', { qos: 1 });
    expect([await until(all, 'end'), await until(one, 'end')]).toEqual([['a/b 1 once'], ['a/b 1 once']]);
  });
});
