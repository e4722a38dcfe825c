import { describe, expect, it } from '@jest/globals';
import type { EncodablePacket } from '../../lib/codec/packets.ts';
import { brief, offline, online, withSession } from '../support/engines.ts';
import {
  connack,
  disconnect,
  puback,
  pubcomp,
  publish,
  pubrec,
  pubrel,
  suback,
  unsuback,
} from '../support/packets.ts';
import type { Rig } from '../support/rig.ts';

/** MQTT 5.0: what takes a session or a connection to show. What one packet shows is in the codec's files. */
const PRESENT = connack({ sessionPresent: true });

/** One that has sent its CONNECT. */
function connecting(options: Parameters<typeof offline>[0] = {}): Rig {
  const rig = offline(options);
  rig.engine.connect('give up', rig.now);
  rig.open();
  rig.effects.take();
  return rig;
}

/** How the connection was closed: what was written last, and the statement that was broken. */
function closing(rig: Rig): unknown {
  expect(rig.effects.take()).toEqual(['hang up', 'changed: disconnected']);
  const { error } = rig.effects.last('disconnected');
  return [...brief(rig.rest()), 'statement' in error && error.statement];
}

describe('v5 3.1 CONNECT', () => {
  it('v5 MQTT-3.1.0-1, -2 is the first packet on every connection, and there is one', () => {
    const rig = withSession();
    rig.publish('a');
    rig.engine.lost(undefined, rig.now);
    rig.publish('b');
    rig.advance(1_000);
    expect(brief(rig.open())).toEqual(['connect']);
    rig.send(PRESENT);
    expect(brief(rig.sent())).not.toContain('connect');
  });

  it('v5 MQTT-3.1.2-4 with Clean Start drops what there was of a session', () => {
    const rig = online();
    rig.publish('a');
    rig.send(publish({ packetId: 1, qos: 2 }));
    rig.engine.settle(rig.effects.receipt, 0, rig.now);
    rig.sent();
    expect(brief(rig.resume(connack()))).toEqual(['publish a 2']);
    rig.send(publish({ packetId: 1, qos: 2, payload: 'new', duplicate: true }));
    expect(rig.effects.texts.at(-1)).toBe('new');
  });

  it('v5 MQTT-3.1.2-23, MQTT-4.1.0-1 keeps the session over the end of a connection', () => {
    const rig = withSession();
    rig.publish('a');
    rig.send(publish({ packetId: 1, qos: 2 }));
    rig.sent();
    expect(brief(rig.resume())).toEqual(['publish a 1 DUP']);
    rig.engine.settle(rig.effects.receipt, 0, rig.now);
    rig.send(publish({ packetId: 1, qos: 2, duplicate: true }));
    expect(brief(rig.sent())).toEqual(['pubrec 1']);
    expect(rig.effects.delivered).toHaveLength(1);
  });

  it('v5 U-3.1.2-c, MQTT-3.2.2-22 says nothing where the session ends with the connection, and Keep Alive stays ours', () => {
    const rig = offline({ keepAlive: 7 });
    rig.engine.connect('give up', rig.now);
    expect(rig.open()).toEqual([
      {
        type: 'connect',
        clientId: 'c',
        cleanStart: true,
        keepAlive: 7,
        properties: { receiveMaximum: 1024 },
      },
    ]);
    rig.send(connack());
    expect(rig.engine.negotiated).toMatchObject({ sessionExpiryInterval: 0, keepAlive: 7 });
    const forever = online({ sessionExpiryInterval: 0xffff_ffff });
    expect(forever.engine.negotiated?.sessionExpiryInterval).toBe(0xffff_ffff);
  });

  it('v5 MQTT-3.1.2-28 takes no notice of Response Information that was not asked for', () => {
    const answer = connack({ responseInformation: 'r/' });
    const asked = online({ properties: { requestResponseInformation: true } }, answer);
    const rig = online({}, answer);
    expect([
      asked.engine.negotiated?.responseInformation,
      rig.engine.negotiated?.responseInformation,
    ]).toEqual(['r/', undefined]);
  });

  const why = { reasonString: 'why' };
  it.each<[string, EncodablePacket]>([
    ['PUBACK', puback(1, 0, why)],
    ['PUBREC', pubrec(2, 0, { userProperties: [['a', 'b']] })],
    ['PUBREL', pubrel(7, 0, why)],
    ['PUBCOMP', pubcomp(9, 0, why)],
    ['SUBACK', { type: 'suback', packetId: 3, reasonCodes: [0], properties: why }],
    ['UNSUBACK', { type: 'unsuback', packetId: 4, reasonCodes: [0], properties: why }],
  ])(
    'v5 MQTT-3.1.2-29 with Request Problem Information 0 takes no Reason String or User Property in %s',
    (_, packet) => {
      for (const requestProblemInformation of [false, true, undefined]) {
        const properties = requestProblemInformation === undefined ? {} : { requestProblemInformation };
        const rig = online({ properties });
        rig.publish('a');
        rig.publish('b', { qos: 2 });
        rig.request('subscribe', 'f');
        rig.request('unsubscribe', 'g');
        rig.sent();
        rig.send(packet);
        if (requestProblemInformation === false)
          expect(closing(rig)).toEqual(['disconnect 0x82', 'MQTT-3.1.2-29']);
        else expect(rig.effects.take()).toEqual([]);
      }
    },
  );

  it('v5 MQTT-3.1.2-29 with Request Problem Information 0 takes them in PUBLISH, CONNACK and DISCONNECT', () => {
    const properties = { requestProblemInformation: false };
    const rig = online({ properties }, connack({ reasonString: 'why' }));
    rig.send(publish({ properties: { userProperties: [['a', 'b']] } }));
    expect(rig.effects.delivered).toHaveLength(1);
    rig.send(disconnect(0x8b, { reasonString: 'why' }));
    expect(rig.effects.last('disconnected').error).toMatchObject({ reasonCode: 0x8b });
  });

  it('v5 MQTT-3.1.3-2 goes on with the session under the Client Identifier that was assigned', () => {
    const rig = online(
      { clientId: '', cleanStart: false, sessionExpiryInterval: 60 },
      connack({ assignedClientIdentifier: 'x' }),
    );
    rig.publish('a');
    rig.sent();
    rig.engine.lost(undefined, rig.now);
    rig.advance(1_000);
    expect(rig.open()).toMatchObject([{ clientId: 'x', cleanStart: false }]);
    rig.send(PRESENT);
    expect(brief(rig.sent())).toEqual(['publish a 1 DUP']);
  });

  it('v5 MQTT-3.1.4-6 sends nothing behind CONNECT, so that a refusal loses nothing', () => {
    const rig = connecting();
    const { waiter } = rig.publish('a');
    rig.engine.flushRequests(rig.now);
    expect(rig.sent()).toEqual([]);
    rig.send(connack({ reasonCode: 0x88 }));
    expect(waiter.told).toBe(0);
    rig.engine.connect('give up', rig.now);
    rig.open();
    rig.send(connack());
    expect(brief(rig.sent())).toEqual(['publish a 1']);
  });
});

describe('v5 3.2 CONNACK', () => {
  it('v5 MQTT-3.2.2-3 decides whether the session is resumed or fresh', () => {
    for (const sessionPresent of [true, false]) {
      const rig = withSession();
      rig.publish('a');
      rig.sent();
      expect(brief(rig.resume(connack({ sessionPresent })))).toEqual([
        sessionPresent ? 'publish a 1 DUP' : 'publish a 2',
      ]);
    }
  });

  it('v5 MQTT-3.2.2-6 with a refusal and Session Present 1 tells the reason', () => {
    const rig = connecting({ cleanStart: false });
    rig.receive(Uint8Array.of(0x20, 3, 1, 0x88, 0));
    expect(rig.effects.last('gaveUp').error).toMatchObject({ reasonCode: 0x88 });
  });

  it('v5 MQTT-3.2.2-7, MQTT-4.13.2-1, MQTT-4.12.0-4 that refuses closes the connection', () => {
    const rig = connecting();
    rig.send(connack({ reasonCode: 0x87 }));
    expect(rig.effects.take()).toEqual(['hang up', 'changed: closed']);
    expect(rig.rest()).toEqual([]);
  });

  it('v5 MQTT-3.2.2-10 with Maximum QoS 0 still lets us subscribe with QoS 2', () => {
    const rig = online({}, connack({ maximumQoS: 0 }));
    rig.request('subscribe', { topicFilter: 'a', qos: 2 });
    expect(rig.sent()).toMatchObject([{ subscriptions: [{ qos: 2 }] }]);
  });

  it('v5 MQTT-3.2.2-19, -20 above our Maximum Packet Size closes with 0x95', () => {
    const rig = connecting({ maximumPacketSize: 20 });
    rig.send(connack({ reasonString: 'x'.repeat(30) }));
    expect(rig.effects.take()).toEqual(['hang up', 'changed: gaveUp']);
    expect(brief(rig.rest())).toEqual(['disconnect 0x95']);
  });

  it('v5 U-4.11-a with Use another server or Server moved is an attempt that failed', () => {
    for (const reasonCode of [0x9c, 0x9d]) {
      const rig = connecting();
      rig.send(connack({ reasonCode, serverReference: 'other' }));
      expect(rig.effects.last('gaveUp').error).toMatchObject({ reasonCode });
    }
  });
});

describe('v5 3.3 PUBLISH', () => {
  it('v5 MQTT-3.3.4-2 in several copies is several messages', () => {
    const rig = online();
    rig.send(publish({ packetId: 1, payload: 'm' }), publish({ packetId: 2, payload: 'm' }));
    expect(rig.effects.texts).toEqual(['m', 'm']);
  });

  it('v5 MQTT-3.4.2-2, -3, MQTT-3.5.2-2, -3, MQTT-3.6.2-2, -3, MQTT-3.7.2-2, -3 is answered without Reason Strings and User Properties', () => {
    const rig = online({}, connack({ maximumPacketSize: 5 }));
    rig.send(publish({ packetId: 1 }), publish({ packetId: 2, qos: 2 }), pubrel(3), pubrec(4));
    for (const { receipt } of rig.effects.delivered)
      if (receipt !== undefined) rig.engine.settle(receipt, 0x80, rig.now);
    expect(rig.sent().map((packet) => ('properties' in packet ? packet.properties : undefined))).toEqual([
      {},
      {},
      {},
      {},
    ]);
  });
});

describe('v5 3.8 SUBSCRIBE and 3.10 UNSUBSCRIBE', () => {
  it('v5 MQTT-3.8.4-1 takes messages that come before SUBACK', () => {
    const rig = online();
    const waiter = rig.request('subscribe', 'a/b');
    rig.sent();
    rig.send(publish(), suback(1, 0), publish());
    expect(rig.effects.delivered).toHaveLength(2);
    expect(waiter.reasonCodes).toEqual([0]);
  });

  it('v5 MQTT-3.10.4-2, -3, -4, -5 takes messages after UNSUBSCRIBE and after UNSUBACK, and acknowledges them', () => {
    const rig = online();
    rig.effects.onReceipt = () => 'acknowledge';
    const waiter = rig.request('unsubscribe', 'a/b');
    rig.sent();
    rig.send(publish({ packetId: 1 }), unsuback(1, 0x11), publish({ packetId: 2 }));
    expect(brief(rig.sent())).toEqual(['puback 1', 'puback 2']);
    expect(waiter.reasonCodes).toEqual([0x11]);
    rig.send(unsuback(1, 0));
    expect(closing(rig)).toEqual(['disconnect 0x82', 'MQTT-2.2.1-6']);
  });

  it.each([
    ['MQTT-3.8.4-6', 'suback'],
    ['MQTT-3.11.3-1', 'unsuback'],
  ] as const)('v5 %s %s with another number of codes than filters closes with 0x82', (statement, type) => {
    for (const reasonCodes of [[0], [0, 0, 0]]) {
      const rig = online();
      rig.request(type === 'suback' ? 'subscribe' : 'unsubscribe', 'a', 'b');
      rig.sent();
      rig.send({ type, packetId: 1, reasonCodes });
      expect(closing(rig)).toEqual(['disconnect 0x82', statement]);
    }
  });

  it.each(['suback', 'unsuback'] as const)(
    'v5 MQTT-3.9.2-1, -2, MQTT-3.11.2-1, -2 %s above our Maximum Packet Size closes with 0x95',
    (type) => {
      const rig = online({ maximumPacketSize: 20 });
      rig.request(type === 'suback' ? 'subscribe' : 'unsubscribe', 'a');
      rig.sent();
      rig.send({ type, packetId: 1, reasonCodes: [0], properties: { reasonString: 'x'.repeat(20) } });
      expect(closing(rig)).toEqual(['disconnect 0x95', 'MQTT-3.1.2-24']);
    },
  );
});

describe('v5 3.14 DISCONNECT and 3.15 AUTH', () => {
  it('v5 U-3.14.2-b with Session Expiry Interval 0 ends the session: the server has none, and all is published as new', () => {
    const rig = withSession();
    rig.publish('a');
    const properties = { sessionExpiryInterval: 0 };
    rig.engine.disconnect({ reasonCode: 0, properties, pending: 'keep', timeout: 1 }, rig.now);
    expect(rig.sent().at(-1)).toMatchObject({ type: 'disconnect', properties });
    rig.engine.lost(undefined, rig.now);
    rig.engine.connect('give up', rig.now);
    rig.open();
    rig.send(connack());
    expect(brief(rig.sent())).toEqual(['publish a 2']);
  });

  it('v5 MQTT-3.14.2-2 of the server with a Session Expiry Interval closes as any other', () => {
    const rig = online();
    rig.receive(Uint8Array.of(0xe0, 7, 0x8b, 5, 0x11, 0, 0, 0, 9));
    expect(rig.effects.last('disconnected').error).toMatchObject({ reasonCode: 0x8b });
  });

  it('v5 MQTT-4.12.0-6, -7 AUTH that nobody asked for closes with 0x82, and none is ever sent', () => {
    const rig = online();
    rig.send({ type: 'auth', reasonCode: 0x18, properties: { authenticationMethod: 'm' } });
    expect(closing(rig)).toEqual(['disconnect 0x82', 'MQTT-4.12.0-6']);
  });
});

describe('v5 4 Operational behaviour', () => {
  it('v5 MQTT-4.1.0-2 relies on Session Present, not on a timer of its own', () => {
    const rig = withSession({ sessionExpiryInterval: 1 });
    rig.publish('a');
    rig.sent();
    rig.engine.lost(undefined, rig.now);
    rig.advance(1_000);
    rig.now += 1e9;
    rig.open();
    rig.send(PRESENT);
    expect(brief(rig.sent())).toEqual(['publish a 1 DUP']);
  });

  it('v5 MQTT-4.3.1-1 QoS 0 is sent once, with DUP 0', () => {
    const rig = withSession();
    rig.publish('a', { qos: 0 });
    expect(rig.sent()).toMatchObject([{ qos: 0, duplicate: false }]);
    expect(rig.resume()).toEqual([]);
  });

  it('v5 MQTT-4.3.2-1, MQTT-4.3.3-1 each new QoS 1 and 2 message has an identifier of its own', () => {
    const rig = online({ maxInflight: 0 });
    for (let i = 0; i < 100; i++) rig.publish('a', { qos: i % 2 === 0 ? 1 : 2 });
    rig.request('subscribe', 'f');
    const ids = rig.sent().map((packet) => 'packetId' in packet && packet.packetId);
    expect(new Set(ids).size).toBe(101);
  });

  it('v5 MQTT-4.3.2-3, MQTT-4.3.3-3, -5 PUBLISH is unacknowledged until PUBACK or PUBREC, PUBREL until PUBCOMP', () => {
    const rig = withSession();
    rig.publish('one');
    rig.publish('two', { qos: 2 });
    rig.sent();
    expect(brief(rig.resume())).toEqual(['publish one 1 DUP', 'publish two 2 DUP']);
    rig.send(puback(1, 0x80), pubrec(2));
    rig.sent();
    rig.now += 2_000;
    expect(brief(rig.resume())).toEqual(['pubrel 2']);
    rig.send(pubcomp(2));
    expect(rig.resume()).toEqual([]);
  });

  it('v5 MQTT-4.3.3-7, -13 a message that was sent does not expire: it is sent again, and its handshake finished', () => {
    const rig = withSession();
    const { waiter } = rig.publish('a', { qos: 2, properties: { messageExpiryInterval: 1 } });
    rig.sent();
    rig.now += 60_000;
    expect(brief(rig.resume())).toEqual(['publish a 1 DUP']);
    rig.send(pubrec(1), pubcomp(1));
    expect(brief(rig.sent())).toEqual(['pubrel 1']);
    expect(waiter.reasonCode).toBe(0);
  });

  it('v5 MQTT-4.4.0-2 a refused message is not sent again', () => {
    const rig = withSession();
    const [one, two] = [rig.publish('a'), rig.publish('b', { qos: 2 })];
    rig.sent();
    rig.send(puback(1, 0x87), pubrec(2, 0x97));
    expect([one.waiter.reasonCode, two.waiter.reasonCode]).toEqual([0x87, 0x97]);
    expect(rig.resume()).toEqual([]);
  });

  it('v5 MQTT-4.9.0-1, U-4.9-b the quota starts full with every CONNACK', () => {
    const rig = withSession({}, connack({ receiveMaximum: 2 }));
    for (let i = 0; i < 3; i++) rig.publish('a');
    expect(rig.sent()).toHaveLength(2);
    expect(rig.resume(connack({ sessionPresent: true, receiveMaximum: 3 }))).toHaveLength(3);
  });

  it('v5 U-4.13.1-a, MQTT-4.13.2-1 a Malformed Packet is told with its code, behind what was written, then the connection is closed', () => {
    const rig = online();
    rig.publish('a', { qos: 0 });
    rig.receive(Uint8Array.of(0x3e, 4, 0, 1, 0x61, 0));
    expect(closing(rig)).toEqual(['publish a', 'disconnect 0x81', 'MQTT-3.3.1-4']);
  });

  it('v5 MQTT-3.4.2-1, MQTT-3.9.3-2 a Reason Code that the packet cannot have closes with 0x82', () => {
    const rig = online();
    rig.publish('a');
    rig.sent();
    rig.receive(Uint8Array.of(0x40, 3, 0, 1, 0x01));
    expect(closing(rig)).toEqual(['disconnect 0x82', 'MQTT-3.4.2-1']);
  });
});
