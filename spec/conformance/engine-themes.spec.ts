import { describe, expect, it } from '@jest/globals';
import type { ProtocolVersion } from '../../lib/codec/packets.ts';
import { collect, errorOf, message, Stage } from '../scenarios/stage.ts';
import { brief, offline, online, withSession } from '../support/engines.ts';
import { connack, puback, publish, pubrec, pubrel, utf8 } from '../support/packets.ts';
import type { Rig } from '../support/rig.ts';

/* R6: rules that several statements make together, by theme: order, Keep Alive, Will, Topic Aliases, shared subscriptions, sizes. */

const VERSIONS: readonly ProtocolVersion[] = [3, 4, 5];

/** How a rule is named on a version: 3.1 numbers no statements. */
function named(version: ProtocolVersion, v4: string, v5: string = v4): string {
  if (version === 3) return 'v3 R6';
  return `v${version} R6, ${version === 4 ? v4 : v5}`;
}
const PRESENT = connack({ sessionPresent: true });

/** Settles what was delivered under these Packet Identifiers, in this order. */
function settle(rig: Rig, ...ids: readonly number[]): void {
  for (const id of ids) {
    const found = rig.effects.delivered.find(
      ({ packetId, receipt }) => packetId === id && receipt !== undefined,
    );
    rig.engine.settle(found!.receipt!, 0, rig.now);
  }
}

describe.each(VERSIONS)('v%i R6 order of acknowledgements', (version) => {
  it(`${named(version, 'MQTT-4.6.0-2, -3')} PUBACK and PUBREC each wait for their elders, and not for one another`, () => {
    const rig = online({ protocolVersion: version });
    rig.send(
      publish({ packetId: 1 }),
      publish({ packetId: 2, qos: 2 }),
      publish({ packetId: 3 }),
      publish({ packetId: 4, qos: 2 }),
    );
    settle(rig, 4, 3);
    expect(rig.sent()).toEqual([]);
    settle(rig, 2);
    expect(brief(rig.sent())).toEqual(['pubrec 2', 'pubrec 4']);
    settle(rig, 1);
    expect(brief(rig.sent())).toEqual(['puback 1', 'puback 3']);
  });

  it(`${named(version, 'MQTT-4.6.0-4')} PUBREL follows each PUBREC at once, in their order, and PUBCOMP each PUBREL, whatever is unsettled`, () => {
    const rig = online({ protocolVersion: version, messageRetry: 0 });
    rig.effects.onReceipt = (receipt) => (receipt.packetId < 8 ? 'acknowledge' : 'taken');
    rig.send(publish({ packetId: 6, qos: 2 }), publish({ packetId: 7, qos: 2 }), publish({ packetId: 8 }));
    for (const topic of ['a', 'b']) rig.publish(topic, { qos: 2 });
    rig.sent();
    rig.send(pubrec(2), pubrel(7), pubrec(1), pubrel(6));
    expect(brief(rig.sent())).toEqual(['pubrel 2', 'pubcomp 7', 'pubrel 1', 'pubcomp 6']);
  });

  it(`${named(version, 'MQTT-4.6.0-2')} a message that is never settled is passed over in time: its PUBACK is not sent, those behind it are`, () => {
    const rig = online({ protocolVersion: version, ackStallTimeout: 1_000 });
    rig.send(publish({ packetId: 1 }), publish({ packetId: 2 }), publish({ payload: 'at most once' }));
    settle(rig, 2);
    rig.advance(1_000);
    expect(brief(rig.sent())).toEqual(['puback 2']);
    settle(rig, 1);
    rig.advance(100_000);
    expect(rig.sent()).toEqual([]);
  });
});

describe.each(VERSIONS)('v%i R6 Keep Alive', (version) => {
  const options = { protocolVersion: version, keepAlive: 10, messageRetry: 0 };

  it(`${named(version, 'MQTT-3.1.2-23', 'MQTT-3.1.2-20')} begins anew with any packet that is sent, an acknowledgement too, and with none that is received`, () => {
    const rig = online(options);
    rig.effects.onReceipt = () => 'acknowledge';
    for (let n = 0; n < 10; n++) {
      rig.advance(5_000);
      rig.send(publish({ packetId: 1 }));
      expect(brief(rig.sent())).toEqual(['puback 1']);
    }
    const quiet = online(options);
    quiet.advance(5_000);
    quiet.send(publish());
    quiet.advance(5_000);
    expect(brief(quiet.sent())).toEqual(['pingreq']);
  });

  it(`${named(version, 'MQTT-3.12.4-1', 'MQTT-3.12.4-1, U-3.1.2-b')} without PINGRESP closes, without DISCONNECT, and connects anew`, () => {
    const rig = online(options);
    rig.advance(9_000);
    expect(brief(rig.sent())).toEqual(['pingreq']);
    rig.advance(5_000);
    expect(rig.effects.take()).toContain('hang up');
    expect([brief(rig.rest()), rig.engine.state]).toEqual([[], 'waiting']);
  });

  it(`${named(version, 'MQTT-3.1.2-23', 'MQTT-3.1.2-20')} of 65,535 s has its PINGREQ before that, and 0 has none`, () => {
    const rig = online({ ...options, keepAlive: 65_535 });
    rig.advance(65_534_000);
    expect(brief(rig.sent())).toEqual(['pingreq']);
    const off = online({ ...options, keepAlive: 0 });
    expect(off.engine.nextTimeout()).toBe(Infinity);
  });
});

describe('v5 R6 Keep Alive', () => {
  it.each([5, 20, 0])(
    'v5 R6, MQTT-3.1.2-21, MQTT-3.2.2-21, -22 is that of the server (%i s) for that connection, ours where it names none',
    (serverKeepAlive) => {
      const rig = withSession({ keepAlive: 10 }, connack({ serverKeepAlive }));
      const pings = (): number => {
        const began = rig.now;
        rig.now = Math.min(rig.engine.nextTimeout(), began + 1e9);
        rig.engine.handleTimeout(rig.now);
        return rig.sent().length === 0 ? Infinity : rig.now - began;
      };
      expect(pings()).toBe(serverKeepAlive === 0 ? Infinity : serverKeepAlive * 900);
      expect(rig.resume(PRESENT)).toEqual([]);
      expect(pings()).toBe(9_000);
    },
  );
});

describe.each(VERSIONS)('v%i R6 the Will', (version) => {
  const will = { topic: 'gone', payload: utf8('x'), qos: 1, retain: true, properties: {} } as const;
  const options = { protocolVersion: version, will, messageRetry: 0 };

  it(`${named(version, 'MQTT-3.1.2-9')} is told with every CONNECT`, () => {
    const rig = offline(options);
    rig.engine.connect('give up', rig.now);
    expect(rig.open()).toMatchObject([{ will }]);
    rig.send(connack());
    rig.engine.lost(undefined, rig.now);
    rig.advance(1_000);
    expect(rig.open()).toMatchObject([{ will }]);
  });

  it(`${named(version, 'MQTT-3.14.4-3')} is not published where the client ends the connection: DISCONNECT goes before`, () => {
    const rig = online(options);
    rig.disconnect();
    const [packet] = rig.sent();
    expect(packet).toMatchObject({ type: 'disconnect', reasonCode: 0 });
    // Nor by a planned reconnect.
    const planned = online(options);
    planned.engine.reconnect(planned.now);
    expect(planned.effects.take()[0]).toBe('retire');
    expect(planned.rest()).toMatchObject([{ type: 'disconnect', reasonCode: 0 }]);
  });

  it(`${named(version, 'MQTT-4.8.0-1', 'U-4.13.1-a')} is published where the server broke the protocol: no DISCONNECT, or one with a code that says so`, () => {
    const rig = online(options);
    rig.receive(Uint8Array.of(0x00, 0x00));
    expect(brief(rig.rest())).toEqual(version === 5 ? ['disconnect 0x82'] : []);
  });
});

describe('v5 R6 the Will', () => {
  it('v5 R6, MQTT-3.14.4-3 is published all the same with DISCONNECT 0x04', () => {
    const rig = online({
      will: { topic: 'gone', payload: utf8('x'), qos: 0, retain: false, properties: {} },
    });
    rig.engine.disconnect({ reasonCode: 4, properties: {}, pending: 'keep', timeout: 1 }, rig.now);
    expect(rig.sent()).toMatchObject([{ type: 'disconnect', reasonCode: 4 }]);
  });

  it.each([0x9a, 0x9b])(
    'v5 R6, MQTT-3.2.2-12, -13 that the server does not take (0x%x) ends the client: the next CONNECT would have the same',
    (reasonCode) => {
      const rig = offline({
        will: { topic: 'gone', payload: utf8('x'), qos: 2, retain: true, properties: {} },
      });
      rig.engine.connect('retry', rig.now);
      rig.open();
      rig.send(connack({ reasonCode }));
      expect(rig.engine.state).toBe('closed');
      expect(rig.effects.last('closed').error).toMatchObject({ reasonCode });
    },
  );
});

describe('v5 R6 Topic Aliases', () => {
  const properties = { topicAlias: 1 };
  const topics = (rig: Rig) =>
    rig.sent().flatMap((packet) => (packet.type === 'publish' ? [packet.topic] : []));

  it('v5 R6, MQTT-3.3.2-9 are sent only where the server takes them', () => {
    const rig = online();
    const { waiter } = rig.publish('a', { properties });
    expect([topics(rig), waiter.error]).toMatchObject([[], { reasonCode: 0x94, delivery: 'not-sent' }]);
  });

  it('v5 R6, MQTT-3.3.2-7 say topic and alias first, the alias alone from then on, and another topic with the topic again', () => {
    const rig = online({}, connack({ topicAliasMaximum: 1 }));
    for (const [topic, qos] of [
      ['a', 1],
      ['a', 2],
      ['a', 0],
      ['b', 1],
      ['b', 1],
    ] as const)
      rig.publish(topic, { qos, properties });
    expect(topics(rig)).toEqual(['a', '', '', 'b', '']);
  });

  it('v5 R6 hold though the message that said them was refused', () => {
    const rig = online({}, connack({ topicAliasMaximum: 1 }));
    rig.publish('a', { properties });
    expect(topics(rig)).toEqual(['a']);
    rig.send(puback(1, 0x87));
    rig.publish('a', { properties });
    expect(topics(rig)).toEqual(['']);
  });

  it('v5 R6 of the two directions know nothing of each other', () => {
    const rig = online({ properties: { topicAliasMaximum: 1 } }, connack({ topicAliasMaximum: 1 }));
    rig.send(publish({ topic: 'theirs', properties }));
    rig.publish('ours', { qos: 0, properties });
    rig.send(publish({ topic: '', properties }));
    rig.publish('ours', { qos: 0, properties });
    expect(topics(rig)).toEqual(['ours', '']);
    expect(rig.effects.delivered.map(({ topic }) => topic)).toEqual(['theirs', 'theirs']);
  });

  it('v5 R6, MQTT-3.3.2-7 that come in are set in the order of the packets, by messages that come again too, and die with the connection', () => {
    const rig = withSession({ properties: { topicAliasMaximum: 1 } });
    rig.send(publish({ topic: 'a', packetId: 1, properties }));
    rig.send(publish({ topic: 'b', packetId: 2, properties }), publish({ topic: '', properties }));
    rig.resume();
    rig.send(publish({ topic: 'a', packetId: 1, duplicate: true, properties }));
    rig.send(publish({ topic: '', properties }));
    expect(rig.effects.delivered.map(({ topic }) => topic)).toEqual(['a', 'b', 'b', 'a']);
    rig.resume();
    rig.send(publish({ topic: '', properties }));
    expect(brief(rig.rest())).toEqual(['disconnect 0x82']);
  });
});

describe('v5 R6 shared subscriptions', () => {
  it('v5 R6, MQTT-4.8.2-2 are asked for and ended by their whole name, and messages are matched by the filter alone', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ protocolVersion: 5 });
    const shared = await stage.subscribe(client, broker, '$share/workers/jobs/+', { qos: 1 });
    const looping = collect(shared);
    broker.send(message('jobs/1', 'one', 1));
    await broker.expect('puback', { packetId: 1 });
    expect(looping.texts).toEqual(['one']);
    const ending = shared.unsubscribe();
    const { topicFilters, packetId } = await broker.expect('unsubscribe');
    expect(topicFilters).toEqual(['$share/workers/jobs/+']);
    broker.send({ type: 'unsuback', packetId, reasonCodes: [0] });
    await stage.until(ending);
    await stage.end(client, broker);
  });

  it('v5 R6, MQTT-3.8.3-4 with No Local are refused before anything is written', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ protocolVersion: 5 });
    expect(await errorOf(client.subscribe('$share/workers/jobs', { noLocal: true }))).toBeInstanceOf(
      TypeError,
    );
    expect(broker.unread).toEqual([]);
    await stage.end(client, broker);
  });

  it('v5 R6, MQTT-3.3.4-3 and one that is not shared get their own copies, each acknowledged', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ protocolVersion: 5 });
    collect(await stage.subscribe(client, broker, '$share/workers/jobs', { qos: 1 }));
    collect(await stage.subscribe(client, broker, 'jobs', { qos: 1 }));
    broker.send(message('jobs', 'copy', 1), message('jobs', 'copy', 2));
    await broker.expect('puback', { packetId: 1 });
    expect(await broker.expect('puback')).toMatchObject({ packetId: 2 });
    await stage.end(client, broker);
  });
});

describe('v5 R6 Maximum Packet Size', () => {
  it('v5 R6, MQTT-3.2.2-15 counts the whole packet, up to its last byte', () => {
    // 0x30, Remaining Length, 0 1 a, 0 properties, payload.
    const rig = online({}, connack({ maximumPacketSize: 16 }));
    const [fits, larger] = [10, 11].map((n) => rig.publish('a', { qos: 0, payload: 'x'.repeat(n) }));
    expect(rig.sent()).toHaveLength(1);
    expect([fits!.waiter.reasonCode, larger!.waiter.error]).toMatchObject([0, { reasonCode: 0x95 }]);
  });

  it('v5 R6, MQTT-3.2.2-15 has SUBSCRIBE and UNSUBSCRIBE split, and refuses a filter that does not fit alone', () => {
    for (const kind of ['subscribe', 'unsubscribe'] as const) {
      const rig = online({}, connack({ maximumPacketSize: 20 }));
      rig.request(kind, 'a'.repeat(8), 'b'.repeat(8));
      const waiter = rig.request(kind, 'c'.repeat(30));
      expect(brief(rig.sent())).toEqual([`${kind} 1`, `${kind} 2`]);
      expect(waiter.reasonCodes).toEqual([0x95]);
    }
  });

  it('v5 R6, MQTT-3.2.2-15 never costs an acknowledgement: it has neither Reason String nor User Properties', () => {
    const rig = online({}, connack({ maximumPacketSize: 5 }));
    rig.send(publish({ packetId: 1 }), publish({ packetId: 2, qos: 2 }), pubrel(3));
    for (const { receipt } of rig.effects.delivered) rig.engine.settle(receipt!, 0x80, rig.now);
    expect(brief(rig.sent())).toEqual(['pubcomp 3 0x92', 'puback 1 0x80', 'pubrec 2 0x80']);
  });

  it('v5 R6, MQTT-3.1.2-24 of ours refuses a packet of the server by its first bytes, on 3.1.1 too', () => {
    for (const protocolVersion of [4, 5] as const) {
      const rig = online({ protocolVersion, maximumPacketSize: 100 });
      rig.receive(Uint8Array.of(0x30, 0x80, 0x01));
      expect([rig.engine.state, brief(rig.rest())]).toEqual([
        'waiting',
        protocolVersion === 5 ? ['disconnect 0x95'] : [],
      ]);
    }
  });
});

describe.each([4, 5] as const)('v%i a message from the server', (version) => {
  it(`v${version} MQTT-3.3.2-3, MQTT-3.3.4-1, MQTT-4.5.0-2 is answered by its QoS, whatever its topic`, () => {
    const rig = online({ protocolVersion: version });
    rig.effects.onReceipt = () => 'acknowledge';
    rig.send(
      publish({ topic: 'x' }),
      publish({ topic: 'y', packetId: 1 }),
      publish({ topic: 'z', packetId: 2, qos: 2 }),
    );
    expect(brief(rig.sent())).toEqual(['puback 1', 'pubrec 2']);
    expect(rig.effects.delivered.map(({ topic }) => topic)).toEqual(['x', 'y', 'z']);
  });
});
