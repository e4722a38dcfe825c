import { describe, expect, it } from '@jest/globals';
import type { ConnackProperties, ProtocolVersion } from '../../lib/codec/packets.ts';
import { Traffic } from '../../lib/connection/traffic.ts';
import { brief, online, withSession } from '../support/engines.ts';
import { connack, puback, pubcomp, publish, pubrec, pubrel, suback } from '../support/packets.ts';
import type { Rig } from '../support/rig.ts';

/*
 * R5: what the statements of 3.1.2, 3.2.2, 4.1, 4.3, 4.4 and 4.9 come to together. What outlives a Network Connection, what
 * does not, what is sent again, and how much of it.
 */

const PRESENT = connack({ sessionPresent: true });
const VERSIONS: readonly ProtocolVersion[] = [4, 5];

/** One with a session to keep, of a version. */
const kept = (protocolVersion: ProtocolVersion, options: object = {}): Rig =>
  withSession({ protocolVersion, messageRetry: 0, ...options });

describe.each(VERSIONS)('v%i R5 what is kept', (version) => {
  it(`v${version} R5, MQTT-4.4.0-1 of a message of ours is its identifier, its order, its topic, payload, RETAIN and properties`, () => {
    const rig = kept(version);
    const properties = version === 5 ? { contentType: 'text', userProperties: [['a', 'b'] as const] } : {};
    rig.publish('one', { payload: 'x', retain: true, properties });
    rig.publish('two', { qos: 2, payload: 'y', properties });
    const sent = rig.sent();
    expect(rig.resume()).toEqual(sent.map((packet) => ({ ...packet, duplicate: true })));
  });

  it(`v${version} R5, ${version === 4 ? 'MQTT-4.3.3-1' : 'MQTT-4.3.3-3, -5, -6'} of a QoS 2 message of ours is how far it has come`, () => {
    const rig = kept(version);
    rig.publish('published', { qos: 2 });
    rig.publish('released', { qos: 2 });
    rig.sent();
    rig.send(pubrec(2));
    rig.sent();
    expect(brief(rig.resume())).toEqual(['pubrel 2', 'publish published 1 DUP']);
    rig.send(pubrec(1), pubcomp(2));
    rig.sent();
    rig.now += 2_000;
    expect(brief(rig.resume())).toEqual(['pubrel 1']);
  });

  it(`v${version} R5, ${version === 4 ? 'MQTT-4.3.3-2' : 'MQTT-4.3.3-10'} of the server's messages are the identifiers of QoS 2 that await PUBREL`, () => {
    const rig = kept(version);
    rig.effects.onReceipt = () => 'acknowledge';
    rig.send(publish({ packetId: 7, qos: 2 }));
    rig.resume();
    rig.send(publish({ packetId: 7, qos: 2, duplicate: true }));
    expect([brief(rig.sent()), rig.effects.delivered.length]).toEqual([['pubrec 7'], 1]);
    rig.resume();
    rig.send(pubrel(7));
    expect(brief(rig.sent())).toEqual(['pubcomp 7']);
  });

  it(`v${version} R5, MQTT-4.3.1-1 of QoS 0 is nothing that was written`, () => {
    const rig = kept(version);
    rig.publish('a', { qos: 0 });
    rig.sent();
    expect(rig.resume()).toEqual([]);
  });

  it(`v${version} R5 of a SUBSCRIBE that is unanswered is that it is asked again, as a new packet: its identifier is free at once`, () => {
    const rig = kept(version, { maxInflight: 0 });
    rig.request('subscribe', 'f');
    rig.request('unsubscribe', 'g');
    expect(brief(rig.sent())).toEqual(['subscribe 1', 'unsubscribe 2']);
    rig.engine.lost(undefined, rig.now);
    for (let i = 0; i < 65_535; i++) rig.publish('a', { payload: '' });
    const after = rig.reconnect(PRESENT);
    expect(brief(after).slice(0, 2)).toEqual(['subscribe 3', 'unsubscribe 4']);
    // All others are there, 1 and 2 among them.
    expect(after).toHaveLength(65_535);
  });

  it(`v${version} R5 of a PINGREQ that is unanswered is nothing: the next connection does not wait for its PINGRESP`, () => {
    const rig = kept(version, { keepAlive: 10, pingTimeout: 3_000 });
    rig.advance(9_000);
    expect(brief(rig.sent())).toEqual(['pingreq']);
    rig.resume();
    rig.effects.take();
    rig.advance(5_000);
    expect([rig.engine.state, rig.effects.take()]).toEqual(['connected', []]);
  });

  it(`v${version} R5 of a token of the server's message is nothing to write: the identifier may mean another message`, () => {
    const rig = kept(version);
    rig.send(publish({ packetId: 1, payload: 'old' }));
    const { receipt } = rig.effects;
    rig.resume();
    rig.engine.settle(receipt, 0, rig.now);
    expect(rig.sent()).toEqual([]);
    rig.send(publish({ packetId: 1, payload: 'new' }));
    expect(rig.sent()).toEqual([]);
    rig.engine.settle(rig.effects.receipt, 0, rig.now);
    expect(brief(rig.sent())).toEqual(['puback 1']);
    expect(rig.effects.texts).toEqual(['old', 'new']);
  });
});

describe.each(VERSIONS)('v%i R5 what is sent again', (version) => {
  it(`v${version} R5, MQTT-3.3.1-1 has DUP 1 where it may have been written, and what never was is new, with DUP 0, behind it`, () => {
    const rig = kept(version, { maxInflight: 2 });
    for (const topic of ['a', 'b', 'c']) rig.publish(topic);
    rig.sent();
    rig.engine.lost(undefined, rig.now);
    rig.publish('d', { qos: 2 });
    const again = rig.reconnect(PRESENT);
    expect(brief(again)).toEqual(['publish a 1 DUP', 'publish b 2 DUP']);
    rig.send(puback(1), puback(2));
    expect(brief(rig.sent())).toEqual(['publish c 3', 'publish d 4']);
  });

  it(`v${version} R5, MQTT-3.3.1-1 has DUP 1 though its bytes were still in the output when the connection was lost`, () => {
    const rig = kept(version);
    rig.publish('a');
    rig.engine.lost(undefined, rig.now);
    expect(brief(rig.reconnect(PRESENT))).toEqual(['publish a 1 DUP']);
  });

  it(`v${version} R5, MQTT-4.4.0-1 goes out again on each connection, and at no other time`, () => {
    const rig = kept(version);
    rig.publish('a');
    rig.publish('b', { qos: 2 });
    rig.sent();
    rig.send(pubrec(2));
    rig.sent();
    for (let n = 0; n < 3; n++) {
      expect(brief(rig.resume())).toEqual(['pubrel 2', 'publish a 1 DUP']);
      rig.advance(10_000);
      expect(rig.sent()).toEqual([]);
    }
  });

  it(`v${version} R5, MQTT-3.2.2-3 is nothing with Session Present 0: all identifiers are free, what is in flight is new, and so are subscriptions`, () => {
    const rig = kept(version);
    rig.request('subscribe', 'f');
    rig.publish('a');
    rig.publish('b', { qos: 2 });
    rig.sent();
    rig.send(suback(1, 1), pubrec(3));
    rig.sent();
    const after = rig.resume(connack());
    expect(brief(after)).toEqual(['subscribe 4', 'publish a 5', 'publish b 6']);
    expect(rig.engine.counts.inFlight).toBe(2);
    // What comes for the old ones is for nobody.
    rig.send(puback(2));
    expect([rig.engine.state, rig.engine.counts.inFlight]).toEqual(['connected', 2]);
  });
});

describe('v5 R5 the limits of the new connection', () => {
  const limits: [string, string, ConnackProperties, Parameters<Rig['publish']>[1], number][] = [
    ['MQTT-3.2.2-15', 'Maximum Packet Size', { maximumPacketSize: 30 }, { payload: 'x'.repeat(30) }, 0x95],
    ['MQTT-3.2.2-11', 'Maximum QoS', { maximumQoS: 1 }, { qos: 2 }, 0x9b],
    ['MQTT-3.2.2-14', 'Retain Available', { retainAvailable: false }, { retain: true }, 0x9a],
  ];

  it.each(limits)(
    'v5 R5, %s hold for what is sent again (%s): what no longer fits is told to its caller, the rest goes out',
    (_, __, granted, message, reasonCode) => {
      const rig = withSession();
      rig.publish('before');
      const { waiter } = rig.publish('bad', message);
      const behind = rig.publish('behind');
      rig.sent();
      const again = rig.resume(connack({ sessionPresent: true, ...granted }));
      expect(brief(again)).toEqual(['publish before 1 DUP', 'publish behind 3 DUP']);
      expect(waiter.error).toMatchObject({ reasonCode, delivery: 'unknown', kept: false });
      rig.send(puback(1), puback(3));
      expect([behind.waiter.reasonCode, rig.engine.counts.pending, rig.engine.state]).toEqual([
        0,
        0,
        'connected',
      ]);
    },
  );

  it.each(limits)('v5 R5, %s hold for that connection alone (%s)', (_, __, granted, message) => {
    const rig = withSession({}, connack(granted));
    rig.resume();
    const { waiter } = rig.publish('good', message);
    expect(brief(rig.sent())).toEqual(['publish good 1']);
    expect(waiter.told).toBe(0);
  });

  it('v5 R5, MQTT-3.3.2-7 are those of Topic Aliases too: a message that is kept goes out again with its whole topic', () => {
    const rig = withSession({}, connack({ topicAliasMaximum: 5 }));
    const properties = { topicAlias: 5 };
    rig.publish('a', { properties });
    rig.publish('a', { properties });
    expect(rig.sent()).toMatchObject([{ topic: 'a' }, { topic: '', properties }]);
    // Not so soon that what was sent could be the reason.
    rig.now += 2_000;
    const more = rig.resume(connack({ sessionPresent: true, topicAliasMaximum: 5 }));
    expect(more).toMatchObject([
      { topic: 'a', properties },
      { topic: 'a', properties },
    ]);
    rig.now += 2_000;
    const none = rig.resume(PRESENT);
    expect(none).toMatchObject([
      { topic: 'a', duplicate: true },
      { topic: 'a', duplicate: true },
    ]);
    for (const packet of none) expect(packet).toHaveProperty('properties', {});
  });

  it('v5 R5, MQTT-4.9.0-1, -2 are those of the quota too: what is sent again takes of it, and the rest follows as it frees', () => {
    const rig = withSession();
    for (const topic of ['a', 'b', 'c', 'd']) rig.publish(topic);
    rig.publish('new', { qos: 0 });
    rig.sent();
    const answer = connack({ sessionPresent: true, receiveMaximum: 1 });
    expect(brief(rig.resume(answer))).toEqual(['publish a 1 DUP']);
    for (const [i, next] of ['b 2', 'c 3', 'd 4'].entries()) {
      rig.send(puback(i + 1));
      expect(brief(rig.sent())).toEqual([`publish ${next} DUP`]);
    }
  });
});

describe('v5 R5 the quota', () => {
  /** How many PUBLISHes with QoS > 0 the client writes now, of as many as are wanted. */
  const room = (rig: Rig): number => {
    for (let n = 0; n < 9; n++) rig.publish('more');
    return rig.sent().filter(({ type }) => type === 'publish').length;
  };
  const two = { sessionPresent: true, receiveMaximum: 2 };

  it.each([
    ['gets one back with PUBACK', 1, [puback(1)], 1],
    ['gets one back with a PUBACK that refuses', 1, [puback(1, 0x87)], 1],
    ['gets one back with PUBCOMP', 2, [pubrec(1), pubcomp(1)], 1],
    ['gets one back with PUBCOMP 0x92', 2, [pubrec(1), pubcomp(1, 0x92)], 1],
    ['gets one back with a PUBREC that refuses', 2, [pubrec(1, 0x87)], 1],
    ['gets none back with PUBREC, however often', 2, [pubrec(1), pubrec(1)], 0],
  ] as const)('v5 R5, U-4.9-a %s', (_, qos, answers, freed) => {
    const rig = online({}, connack({ receiveMaximum: 1 }));
    rig.publish('a', { qos });
    expect(room(rig)).toBe(1);
    rig.send(...answers);
    expect(rig.sent().filter(({ type }) => type === 'publish')).toHaveLength(freed);
  });

  it('v5 R5, U-4.9-a gets nothing back by SUBACK, PINGRESP, PUBREL, or by answers to what is not in flight', () => {
    const rig = online({}, connack({ receiveMaximum: 1 }));
    rig.request('subscribe', 'f');
    expect(room(rig)).toBe(1);
    rig.send(suback(1, 1), { type: 'pingresp' }, pubrel(9), puback(8), pubcomp(8), pubrec(7, 0x80));
    expect(brief(rig.sent()).filter((packet) => packet.startsWith('publish'))).toEqual([]);
  });

  it('v5 R5, U-4.9-a is never above what it was: an answer that comes twice gives once', () => {
    const rig = online({}, connack({ receiveMaximum: 1 }));
    rig.publish('a');
    rig.sent();
    rig.send(puback(1), puback(1), puback(1));
    expect(room(rig)).toBe(1);
  });

  it('v5 R5, U-4.9-b, MQTT-3.3.4-7 is not put up by PUBCOMP for a PUBREL of an older connection', () => {
    const rig = withSession({}, connack({ receiveMaximum: 2 }));
    rig.publish('a', { qos: 2 });
    rig.publish('b', { qos: 2 });
    rig.sent();
    rig.send(pubrec(1), pubrec(2));
    rig.sent();
    expect(brief(rig.resume(connack(two)))).toEqual(['pubrel 1', 'pubrel 2']);
    // Those that await PUBCOMP are counted, which is stricter than it has to be.
    expect(room(rig)).toBe(0);
    rig.send(pubcomp(1));
    expect(rig.sent()).toHaveLength(1);
    rig.send(pubcomp(2));
    expect(rig.sent()).toHaveLength(1);
    rig.send(pubcomp(1), pubcomp(2));
    expect(rig.sent()).toEqual([]);
  });

  it('v5 R5, MQTT-3.3.4-7 is not put up by the answer to what has not been sent again yet', () => {
    const rig = withSession({}, connack({ receiveMaximum: 3 }));
    for (const topic of ['a', 'b', 'c']) rig.publish(topic, { qos: 2 });
    rig.sent();
    expect(brief(rig.resume(connack(two)))).toEqual(['publish a 1 DUP', 'publish b 2 DUP']);
    rig.send(pubrec(3), pubcomp(3));
    rig.publish('d');
    expect(brief(rig.sent())).toEqual(['pubrel 3']);
    rig.send(pubrec(1), pubcomp(1));
    expect(brief(rig.sent())).toEqual(['pubrel 1', 'publish d 4']);
  });
});

describe('v5 R5 what the server may send unacknowledged', () => {
  const two = { receiveMaximum: 2 };
  const messages = (...ids: number[]) => ids.map((packetId) => publish({ packetId }));
  /** An engine, and how many messages it has seen beyond Receive Maximum. */
  const counted = (engine: typeof online) => {
    const traffic = new Traffic();
    return { rig: engine(two, undefined, { traffic }), beyond: () => traffic.beyondReceiveMaximum };
  };

  it('v5 R5, MQTT-3.3.4-9 counts an identifier that comes again once', () => {
    const { rig, beyond } = counted(online);
    rig.send(...messages(1), publish({ packetId: 1, duplicate: true }), ...messages(2));
    expect([beyond(), rig.effects.delivered.length]).toEqual([0, 2]);
    rig.engine.settle(rig.effects.delivered[0]!.receipt!, 0, rig.now);
    rig.read();
    rig.send(publish({ packetId: 2, duplicate: true }), ...messages(3, 4));
    expect([beyond(), rig.engine.state, rig.effects.delivered.length]).toEqual([1, 'connected', 3]);
  });

  it.each([
    ['PUBACK', 1, 0, false],
    ['PUBACK that refuses', 1, 0x80, false],
    ['PUBREC that refuses', 2, 0x80, false],
    ['PUBCOMP', 2, 0, true],
  ] as const)('v5 R5, MQTT-3.3.4-9 has room again with our %s', (_, qos, reasonCode, releases) => {
    const { rig, beyond } = counted(online);
    rig.send(publish({ packetId: 1, qos }), ...messages(2));
    const [first] = rig.effects.delivered;
    rig.engine.settle(first!.receipt!, reasonCode, rig.now);
    rig.read();
    if (releases) rig.send(pubrel(1));
    rig.send(...messages(3, 4));
    expect([beyond(), rig.engine.state, rig.effects.delivered.length]).toEqual([1, 'connected', 3]);
  });

  it('v5 R5, MQTT-3.3.4-9 counts for each connection alone', () => {
    const { rig, beyond } = counted(withSession);
    rig.send(...messages(1));
    rig.resume();
    rig.send(publish({ packetId: 1, duplicate: true }), ...messages(2, 3));
    expect(rig.effects.delivered).toHaveLength(2);
    expect(beyond()).toBe(1);
    expect(rig.effects.last('tolerated').what).toContain('exceeds Receive Maximum (2)');
  });
});
