import { describe, expect, it } from '@jest/globals';
import type { ConnackProperties } from '../../lib/codec/packets.ts';
import { PublishError } from '../../lib/errors.ts';
import { brief, offline, online, withSession } from '../support/engines.ts';
import { connack, puback } from '../support/packets.ts';
import type { Rig } from '../support/rig.ts';

type Message = Parameters<Rig['publish']>[1];

const GUARDS: [string, ConnackProperties, Message, number][] = [
  ['v5 MQTT-3.2.2-11 QoS above Maximum QoS', { maximumQoS: 1 }, { qos: 2 }, 0x9b],
  ['v5 MQTT-3.2.2-14 RETAIN where it is not available', { retainAvailable: false }, { retain: true }, 0x9a],
  [
    'v5 MQTT-3.2.2-15 a packet above Maximum Packet Size',
    { maximumPacketSize: 30 },
    { payload: 'x'.repeat(30) },
    0x95,
  ],
  [
    'v5 MQTT-3.2.2-17, MQTT-3.3.2-9 a Topic Alias above the maximum',
    { topicAliasMaximum: 2 },
    { properties: { topicAlias: 3 } },
    0x94,
  ],
  ['v5 MQTT-3.2.2-18 a Topic Alias with Topic Alias Maximum 0', {}, { properties: { topicAlias: 1 } }, 0x94],
];

describe('a message beyond the limits of the server', () => {
  it.each(GUARDS)('%s is refused when it is published', (_, granted, message, reasonCode) => {
    const rig = online({}, connack(granted));
    const { waiter } = rig.publish('bad', message);
    expect(waiter.error).toBeInstanceOf(PublishError);
    expect(waiter.error).toMatchObject({ reasonCode, delivery: 'not-sent', kept: false });
    rig.publish('good');
    expect(brief(rig.sent())).toEqual(['publish good 2']);
    expect(rig.effects.take()).toEqual([]);
  });

  it.each(GUARDS)(
    'peers P5, P6 %s is refused when it leaves the queue',
    (_, granted, message, reasonCode) => {
      const rig = offline();
      const bad = rig.publish('bad', message);
      rig.publish('good');
      expect(bad.waiter.told).toBe(0);
      rig.engine.connect('give up', rig.now);
      rig.open();
      rig.send(connack(granted));
      expect(brief(rig.sent())).toEqual(['publish good 2']);
      expect(bad.waiter.error).toMatchObject({ reasonCode, delivery: 'not-sent', kept: false });
    },
  );

  // An alias is not the message: one that was sent under it goes out again without.
  const limits = GUARDS.filter(([, , , reasonCode]) => reasonCode !== 0x94);

  it.each(limits)('%s is refused when it would be sent again', (_, granted, message, reasonCode) => {
    const rig = withSession();
    const bad = rig.publish('bad', message);
    const good = rig.publish('good');
    rig.sent();
    expect(brief(rig.resume(connack({ sessionPresent: true, ...granted })))).toEqual(['publish good 2 DUP']);
    expect(bad.waiter.error).toMatchObject({ reasonCode, delivery: 'unknown', kept: false });
    rig.send(puback(2));
    expect(good.waiter.reasonCode).toBe(0);
    expect(rig.engine.counts.pending).toBe(0);
  });

  it('takes no place in the window and no Packet Identifier', () => {
    const rig = online({ maxInflight: 1 }, connack({ maximumQoS: 1 }));
    for (let i = 0; i < 3; i++) rig.publish('bad', { qos: 2 });
    rig.publish('good');
    expect(rig.sent()).toHaveLength(1);
  });
});

describe('Topic Aliases', () => {
  const topicAlias = { properties: { topicAlias: 1 } };

  it('v5 MQTT-3.3.2-9 replace the topic from the second message on, until they get another', () => {
    const rig = online({}, connack({ topicAliasMaximum: 1 }));
    for (const topic of ['a', 'a', 'b', 'b', 'a']) rig.publish(topic, { qos: 0, ...topicAlias });
    expect(rig.sent().map((packet) => packet.type === 'publish' && packet.topic)).toEqual([
      'a',
      '',
      'b',
      '',
      'a',
    ]);
  });

  it('v5 MQTT-3.3.2-7 are defined again on each connection, with the Topic Name', () => {
    const rig = withSession({}, connack({ topicAliasMaximum: 1 }));
    rig.publish('a', { qos: 0, ...topicAlias });
    rig.publish('a', topicAlias);
    rig.sent();
    const again = rig.resume(connack({ sessionPresent: true, topicAliasMaximum: 1 }));
    expect(again).toMatchObject([{ topic: 'a', duplicate: true, properties: { topicAlias: 1 } }]);
  });

  it.each([
    ['resumed', true],
    ['lost', false],
  ])(
    'v5 MQTT-3.3.2-7 are dropped from a message that is sent again where the server allows fewer (session %s)',
    (_, sessionPresent) => {
      const rig = withSession({}, connack({ topicAliasMaximum: 2 }));
      const properties = { topicAlias: 2, contentType: 'text' };
      const sent = rig.publish('a', { properties });
      rig.sent();
      const again = rig.resume(connack({ sessionPresent, topicAliasMaximum: 1 }));
      expect(again).toMatchObject([{ topic: 'a', duplicate: sessionPresent }]);
      expect(again[0]).toHaveProperty('properties', { contentType: 'text' });
      const { waiter } = rig.publish('b', { properties });
      expect([sent.waiter.told, waiter.error]).toMatchObject([0, { reasonCode: 0x94, delivery: 'not-sent' }]);
    },
  );

  it('are not defined by a message that was refused', () => {
    const rig = online({}, connack({ topicAliasMaximum: 1, maximumPacketSize: 30 }));
    rig.publish('a', { qos: 0, payload: 'x'.repeat(40), ...topicAlias });
    rig.publish('a', { qos: 0, payload: 'small', ...topicAlias });
    expect(rig.sent()).toMatchObject([{ topic: 'a', properties: { topicAlias: 1 } }]);
  });
});

describe('a payload that is passed by reference', () => {
  it('is not copied, and QoS 0 is done once it has left', () => {
    const rig = online();
    const { waiter } = rig.publish('a', { qos: 0, payload: new Uint8Array(20_000) });
    expect(waiter.told).toBe(0);
    expect(rig.sent()).toMatchObject([{ payload: new Uint8Array(20_000) }]);
    expect(waiter).toMatchObject({ told: 1, reasonCode: 0 });
  });

  it('leaves the delivery of QoS 0 unknown if the connection is lost first', () => {
    const rig = online();
    const { exchange, waiter } = rig.publish('a', { qos: 0, payload: 'x'.repeat(20_000) });
    rig.engine.takeOutput(rig.now);
    rig.engine.lost(undefined, rig.now);
    expect(waiter.error).toMatchObject({ delivery: 'unknown', kept: false });
    expect(rig.engine.withdraw(exchange)).toBe(false);
  });

  it('is copied if its caller leaves before it has left', () => {
    const rig = online();
    const payload = new Uint8Array(20_000).fill(7);
    const { exchange } = rig.publish('a', { payload });
    expect(rig.engine.withdraw(exchange)).toBe(true);
    payload.fill(0);
    expect(rig.sent()).toMatchObject([{ payload: new Uint8Array(20_000).fill(7) }]);
  });

  it('is not kept if the caller of a QoS 0 message leaves while it is being written', () => {
    const rig = online();
    const { exchange } = rig.publish('a', { qos: 0, payload: new Uint8Array(20_000) });
    expect(rig.engine.withdraw(exchange)).toBe(false);
    expect(brief(rig.sent())).toEqual(['publish a']);
  });
});
