import { describe, expect, it } from '@jest/globals';
import type { ConnackProperties, Packet } from '../../lib/codec/packets.ts';
import type { EngineOptions } from '../../lib/engine/options.ts';
import { online, withSession } from '../support/engines.ts';
import { connack, puback } from '../support/packets.ts';
import type { Rig } from '../support/rig.ts';

/* Topic Aliases that the client chooses (option `topicAlias: "auto"`), as they are written. */

const auto = { topicAlias: 'auto' } as const;
const TOPIC = 'site/7/line/3';

/** What was published: topic and alias; 0 = none. */
function written(packets: readonly Packet[]): (readonly [string, number])[] {
  return packets.flatMap((one) =>
    one.type === 'publish' ? [[one.topic, one.properties.topicAlias ?? 0] as const] : [],
  );
}

const aliasing = (
  granted: ConnackProperties = { topicAliasMaximum: 5 },
  options: Partial<EngineOptions> = {},
): Rig => online({ ...auto, ...options }, connack(granted));

/** QoS 0 the fast way. */
function publishNow(rig: Rig, topicName: string, payload: string | Uint8Array = 'x'): void {
  const message = { topicName, payload, qos: 0, retain: false, properties: undefined } as const;
  expect(rig.engine.publishNow(message)).toBe(true);
}

describe('v5 R6 a topic that is published to again', () => {
  it('v5 MQTT-3.3.2-9 is written once, and its alias from then on, whatever the QoS', () => {
    const rig = aliasing();
    publishNow(rig, TOPIC);
    for (const qos of [0, 1, 2] as const) rig.publish(TOPIC, { qos });
    publishNow(rig, TOPIC);
    expect(written(rig.sent())).toEqual([
      [TOPIC, 1],
      ['', 1],
      ['', 1],
      ['', 1],
      ['', 1],
    ]);
  });

  it('keeps the properties of each message', () => {
    const rig = aliasing();
    const properties = { contentType: 'text', userProperties: [['a', 'b']] as const };
    for (let i = 0; i < 2; i++) rig.publish(TOPIC, { qos: 0, payload: 'hi', properties });
    expect(rig.sent()).toMatchObject([
      { topic: TOPIC, payload: Buffer.from('hi'), properties: { topicAlias: 1, ...properties } },
      { topic: '', payload: Buffer.from('hi'), properties: { topicAlias: 1, ...properties } },
    ]);
    expect(properties).toEqual({ contentType: 'text', userProperties: [['a', 'b']] });
  });

  it.each([
    ['v5 MQTT-3.2.2-18 where the server takes no alias', {}, auto],
    ['with topicAlias "off"', { topicAliasMaximum: 5 }, { topicAlias: 'off' }],
    ['before 5.0', {}, { ...auto, protocolVersion: 4 }],
  ] as const)('is written again %s', (_, granted, options) => {
    const rig = aliasing(granted, options);
    for (let i = 0; i < 2; i++) rig.publish(TOPIC, { qos: 0 });
    expect(written(rig.sent())).toEqual([
      [TOPIC, 0],
      [TOPIC, 0],
    ]);
  });

  it('gets an alias with the next connection where configure() asks for it', () => {
    const rig = withSession({ topicAlias: 'off' }, connack({ topicAliasMaximum: 5 }));
    Object.assign(rig.options, auto);
    rig.publish(TOPIC, { qos: 0 });
    expect(written(rig.sent())).toEqual([[TOPIC, 0]]);
    rig.resume(connack({ sessionPresent: true, topicAliasMaximum: 5 }));
    rig.publish(TOPIC, { qos: 0 });
    expect(written(rig.sent())).toEqual([[TOPIC, 1]]);
  });

  it('is written again when another topic has taken its alias', () => {
    const rig = aliasing({ topicAliasMaximum: 2 });
    for (const topic of ['one/a', 'two/b', 'one/a', 'three/c', 'one/a', 'two/b']) publishNow(rig, topic);
    expect(written(rig.sent())).toEqual([
      ['one/a', 1],
      ['two/b', 2],
      ['', 1],
      ['three/c', 2],
      ['', 1],
      ['two/b', 2],
    ]);
  });
});

describe('v5 R5, MQTT-3.3.2-7 an alias that the client chose', () => {
  it('ends with its connection', () => {
    const rig = aliasing();
    publishNow(rig, TOPIC);
    rig.sent();
    rig.resume(connack({ topicAliasMaximum: 5 }));
    publishNow(rig, TOPIC);
    expect(written(rig.sent())).toEqual([[TOPIC, 1]]);
  });

  it.each([1, 2] as const)(
    'is no part of a QoS %d message: one that is sent again has its topic and no alias',
    (qos) => {
      const rig = withSession(auto, connack({ topicAliasMaximum: 5 }));
      for (let i = 0; i < 2; i++) rig.publish(TOPIC, { qos, properties: { contentType: 'x' } });
      expect(written(rig.sent())).toEqual([
        [TOPIC, 1],
        ['', 1],
      ]);
      const again = rig.resume(connack({ sessionPresent: true, topicAliasMaximum: 5 }));
      const whole = { topic: TOPIC, duplicate: true, properties: { contentType: 'x' } };
      expect(again).toMatchObject([whole, whole]);
      expect(written(again)).toEqual([
        [TOPIC, 0],
        [TOPIC, 0],
      ]);
    },
  );

  it('is set anew by a message that goes out as new after the session was lost', () => {
    const rig = withSession(auto, connack({ topicAliasMaximum: 5 }));
    for (let i = 0; i < 2; i++) rig.publish(TOPIC);
    rig.sent();
    expect(written(rig.resume(connack({ topicAliasMaximum: 5 })))).toEqual([
      [TOPIC, 1],
      ['', 1],
    ]);
  });

  it('v5 MQTT-3.2.2-17 keeps within the maximum of the server that is connected now', () => {
    const rig = withSession(auto, connack({ topicAliasMaximum: 5 }));
    for (const topic of ['one/a', 'two/b']) publishNow(rig, topic);
    rig.sent();
    rig.resume(connack({ sessionPresent: true, topicAliasMaximum: 1 }));
    for (const topic of ['one/a', 'two/b']) publishNow(rig, topic);
    expect(written(rig.sent())).toEqual([
      ['one/a', 1],
      ['two/b', 1],
    ]);
    rig.resume(connack({ sessionPresent: true }));
    publishNow(rig, 'one/a');
    expect(written(rig.sent())).toEqual([['one/a', 0]]);
  });
});

describe('v5 R6 an alias that the client chose is set', () => {
  it('by a message that the server refuses', () => {
    const rig = aliasing();
    rig.publish(TOPIC);
    expect(written(rig.sent())).toEqual([[TOPIC, 1]]);
    rig.send(puback(1, 0x87));
    rig.publish(TOPIC);
    expect(written(rig.sent())).toEqual([['', 1]]);
  });

  it('v5 MQTT-3.2.2-15 not by a message that is too large to be written', () => {
    const rig = aliasing({ topicAliasMaximum: 5, maximumPacketSize: 40 });
    const { waiter } = rig.publish(TOPIC, { qos: 1, payload: 'x'.repeat(40) });
    expect(waiter.error).toMatchObject({ reasonCode: 0x95, delivery: 'not-sent' });
    rig.publish(TOPIC, { qos: 0, payload: 'x' });
    expect(written(rig.sent())).toEqual([[TOPIC, 1]]);
  });

  it('v5 MQTT-3.2.2-15 not by a message that only fits without it, which is sent', () => {
    // Fixed header 2, topic 2 and 13, Property Length 1.
    const payload = 'x'.repeat(40 - 18);
    const rig = aliasing({ topicAliasMaximum: 5, maximumPacketSize: 40 });
    publishNow(rig, TOPIC, payload);
    publishNow(rig, TOPIC, payload.slice(0, -3));
    publishNow(rig, TOPIC, payload);
    publishNow(rig, TOPIC, 'x');
    expect(written(rig.sent())).toEqual([
      [TOPIC, 0],
      [TOPIC, 1],
      ['', 1],
      ['', 1],
    ]);
  });

  it('v5 MQTT-3.2.2-15 and makes no message fit: one that is sent again would be too large with its topic', () => {
    const rig = aliasing({ topicAliasMaximum: 5, maximumPacketSize: 40 });
    publishNow(rig, TOPIC);
    publishNow(rig, TOPIC);
    const { waiter } = rig.publish(TOPIC, { payload: 'x'.repeat(40 - 18 - 2 + 1) });
    expect(waiter.error).toMatchObject({ reasonCode: 0x95, delivery: 'not-sent' });
    expect(written(rig.sent())).toEqual([
      [TOPIC, 1],
      ['', 1],
    ]);
  });

  it.each([
    ['bytes', new Uint8Array(20_000)],
    ['text', 'x'.repeat(20_000)],
    ['text of other characters', '\u{20ac}'.repeat(6_000)],
  ])('not by a message of large %s, which may be given up before it is written', (_, payload) => {
    const rig = aliasing();
    rig.publish(TOPIC, { qos: 0, payload });
    rig.publish(TOPIC, { qos: 0 });
    rig.publish(TOPIC, { qos: 0, payload });
    expect(written(rig.sent())).toEqual([
      [TOPIC, 0],
      [TOPIC, 1],
      [TOPIC, 0],
    ]);
  });

  it('not by a message that cannot be encoded', () => {
    const rig = aliasing();
    const { waiter } = rig.publish(TOPIC, { payload: '\ud800' });
    expect(waiter.error).toMatchObject({ delivery: 'not-sent' });
    rig.publish(TOPIC);
    expect(written(rig.sent())).toEqual([[TOPIC, 1]]);
  });
});

describe('v5 R6 an alias that the application names', () => {
  const named = (topicAlias: number) => ({ qos: 0, properties: { topicAlias } }) as const;

  it('is its own from then on: the topic that had it gets another', () => {
    const rig = aliasing({ topicAliasMaximum: 2 });
    publishNow(rig, 'mine/a');
    rig.publish('yours/b', named(1));
    publishNow(rig, 'mine/a');
    rig.publish('yours/b', named(1));
    publishNow(rig, 'mine/c');
    rig.publish('yours/b', named(1));
    expect(written(rig.sent())).toEqual([
      ['mine/a', 1],
      ['yours/b', 1],
      ['mine/a', 2],
      ['', 1],
      ['mine/c', 2],
      ['', 1],
    ]);
  });

  it('may stand beside one that the client chose for the same topic', () => {
    const rig = aliasing();
    publishNow(rig, TOPIC);
    rig.publish(TOPIC, named(3));
    publishNow(rig, TOPIC);
    rig.publish(TOPIC, named(3));
    expect(written(rig.sent())).toEqual([
      [TOPIC, 1],
      [TOPIC, 3],
      ['', 1],
      ['', 3],
    ]);
  });

  it('can be any: with all of them named, the client has none left', () => {
    const rig = aliasing({ topicAliasMaximum: 1 });
    rig.publish('yours/b', named(1));
    for (let i = 0; i < 2; i++) publishNow(rig, 'mine/a');
    rig.publish('yours/b', named(1));
    expect(written(rig.sent())).toEqual([
      ['yours/b', 1],
      ['mine/a', 0],
      ['mine/a', 0],
      ['', 1],
    ]);
  });
});
