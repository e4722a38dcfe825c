import { describe, expect, it } from '@jest/globals';
import { Decoder, encode } from '../../lib/codec/codec.ts';
import { brief, offline, online } from '../support/engines.ts';
import { connack, pingresp, publish, pubrec, pubrel, suback, unsuback } from '../support/packets.ts';
import type { Rig } from '../support/rig.ts';

/** MQTT 3.1.1: statements that are those of 5.0, shown on its own bytes and connections. */
const V4 = { protocolVersion: 4, cleanStart: false } as const;
const PRESENT = connack({ sessionPresent: true });

/** How the connection was closed: without DISCONNECT. */
const CLOSED = [['hang up', 'changed: disconnected'], []];

/** What the application and the server see of a close. */
const closing = (rig: Rig): unknown => [rig.effects.take(), rig.rest()];

describe('v4 what is sent', () => {
  it('v4 MQTT-2.2.2-1, MQTT-3.8.1-1, MQTT-3.10.1-1 has the first bytes that are specified', () => {
    const subscriptions = [{ topicFilter: 'a', qos: 0 }] as const;
    const firsts = [
      encode({ type: 'connect', clientId: 'c', cleanStart: true, keepAlive: 0 }, 4),
      encode({ type: 'puback', packetId: 1 }, 4),
      encode({ type: 'pubrec', packetId: 1 }, 4),
      encode({ type: 'pubrel', packetId: 1 }, 4),
      encode({ type: 'pubcomp', packetId: 1 }, 4),
      encode({ type: 'subscribe', packetId: 1, subscriptions }, 4),
      encode({ type: 'unsubscribe', packetId: 1, topicFilters: ['a'] }, 4),
      encode({ type: 'pingreq' }, 4),
      encode({ type: 'disconnect' }, 4),
    ].map(([first]) => first);
    expect(firsts).toEqual([0x10, 0x40, 0x50, 0x62, 0x70, 0x82, 0xa2, 0xc0, 0xe0]);
  });

  it('v4 MQTT-3.1.3-2, -3 has the Client Identifier first, the same in every CONNECT', () => {
    const rig = online({ ...V4, clientId: 'c' });
    rig.publish('a');
    rig.sent();
    rig.engine.lost(undefined, rig.now);
    rig.advance(1_000);
    expect(rig.open()).toMatchObject([{ clientId: 'c', cleanStart: false }]);
    rig.send(PRESENT);
    expect(brief(rig.sent())).toEqual(['publish a 1 DUP']);
  });

  it('v4 MQTT-3.3.1-3 has DUP where it is sent again, whatever DUP came with', () => {
    const rig = online(V4);
    rig.effects.onReceipt = () => 'acknowledge';
    rig.send(publish({ packetId: 1, duplicate: true }));
    rig.publish('a');
    expect(brief(rig.sent())).toEqual(['puback 1', 'publish a 1']);
    expect(rig.effects.delivered).toHaveLength(1);
    expect(brief(rig.resume(PRESENT))).toEqual(['publish a 1 DUP']);
  });

  it('v4 MQTT-4.6.0-1 is sent again in the order of the first transmission, QoS 1 and 2 alike', () => {
    const rig = online(V4);
    for (const [topic, qos] of [['a', 2], ['b', 1], ['c', 2], ['d', 1]] as const) rig.publish(topic, { qos }); // prettier-ignore
    rig.sent();
    expect(brief(rig.resume(PRESENT))).toEqual([
      'publish a 1 DUP',
      'publish b 2 DUP',
      'publish c 3 DUP',
      'publish d 4 DUP',
    ]);
  });

  it.each(['\ud800', 'a\0'])(
    'v4 MQTT-3.8.3-1, MQTT-3.10.3-1, MQTT-3.1.3-4, -11 is no string such as %j',
    (text) => {
      const subscriptions = [{ topicFilter: text, qos: 0 }] as const;
      const connect = { type: 'connect', clientId: 'c', cleanStart: true, keepAlive: 0 } as const;
      for (const packet of [
        { type: 'subscribe', packetId: 1, subscriptions },
        { type: 'unsubscribe', packetId: 1, topicFilters: [text] },
        { ...connect, clientId: text },
        { ...connect, username: text },
      ] as const)
        expect(() => encode(packet, 4)).toThrow(expect.objectContaining({ name: 'ProtocolError' }));
    },
  );

  it('v4 MQTT-3.10.4-1 ends a filter by the text that it was subscribed with', () => {
    const rig = online(V4);
    rig.request('subscribe', 'a/+/É');
    rig.send(suback(1, 1));
    rig.request('unsubscribe', 'a/+/É');
    expect(rig.sent()).toMatchObject([
      { subscriptions: [{ topicFilter: 'a/+/É' }] },
      { topicFilters: ['a/+/É'] },
    ]);
  });
});

describe('v4 what comes', () => {
  it('v4 MQTT-3.3.1-8, -9 tells RETAIN as it came', () => {
    const decoder = new Decoder({ protocolVersion: 4, receiver: 'client' });
    for (const first of [0x31, 0x30]) decoder.push(Uint8Array.of(first, 4, 0, 1, 0x61, 0x68));
    expect([decoder.next(), decoder.next()]).toMatchObject([{ retain: true }, { retain: false }]);
  });

  it('v4 MQTT-3.3.2-1 with a Topic Name that is no UTF-8, or ends behind the packet, closes', () => {
    for (const bytes of [
      [0x30, 4, 0, 1, 0xff, 0x68],
      [0x30, 3, 0, 2, 0x61],
    ]) {
      const rig = online(V4);
      rig.receive(Uint8Array.from(bytes));
      expect(closing(rig)).toEqual(CLOSED);
    }
  });

  it.each([0x60, 0x63, 0x6a])('v4 MQTT-3.6.1-1, MQTT-2.2.2-2 PUBREL with first byte %d closes', (first) => {
    const rig = online(V4);
    rig.receive(Uint8Array.of(first, 2, 0, 1));
    expect(closing(rig)).toEqual(CLOSED);
  });

  it('v4 MQTT-3.8.4-1, -2, MQTT-3.9.3-1 may be messages before SUBACK, whose codes are in the order of the filters', () => {
    const rig = online(V4);
    const waiter = rig.request('subscribe', 'a', 'b', 'c');
    expect(rig.sent()).toMatchObject([{ packetId: 1 }]);
    rig.send(publish(), suback(1, 0, 0x80, 2));
    expect(rig.effects.delivered).toHaveLength(1);
    expect(waiter.reasonCodes).toEqual([0, 0x80, 2]);
  });

  it('v4 MQTT-3.8.4-2 SUBACK for another identifier closes', () => {
    const rig = online(V4);
    rig.request('subscribe', 'a');
    rig.sent();
    rig.send(suback(2, 0));
    expect(closing(rig)).toEqual(CLOSED);
  });

  it('v4 MQTT-3.10.4-2, -3, -4, -5 are messages after UNSUBSCRIBE and after UNSUBACK, answered to their end', () => {
    const rig = online(V4);
    rig.effects.onReceipt = () => 'acknowledge';
    rig.send(publish({ packetId: 7, qos: 2 }));
    const waiter = rig.request('unsubscribe', 'a/b');
    expect(brief(rig.sent())).toEqual(['pubrec 7', 'unsubscribe 1']);
    rig.send(publish({ packetId: 1 }), unsuback(1), publish({ packetId: 2 }), pubrel(7));
    expect(brief(rig.sent())).toEqual(['puback 1', 'puback 2', 'pubcomp 7']);
    expect(waiter.reasonCodes).toEqual([0]);
  });

  it('v4 MQTT-3.12.4-1 may be a PINGRESP that nobody asked for', () => {
    const rig = online(V4);
    rig.send(pingresp);
    expect(rig.engine.state).toBe('connected');
  });

  it('v4 MQTT-3.2.2-4 a refusal with Session Present 1 ends the attempt with its return code', () => {
    const rig = offline(V4);
    rig.engine.connect('give up', rig.now);
    rig.open();
    rig.receive(Uint8Array.of(0x20, 2, 1, 3));
    expect(rig.effects.last('gaveUp').error).toMatchObject({ reasonCode: 3 });
  });

  it('v4 MQTT-3.1.3-8, -9, MQTT-3.1.2-2 return code 2 and 1 end the client: the next CONNECT would be the same', () => {
    for (const reasonCode of [1, 2]) {
      const rig = offline(V4);
      rig.engine.connect('retry', rig.now);
      rig.open();
      rig.send(connack({ reasonCode }));
      expect(rig.effects.last('closed').error).toMatchObject({ reasonCode });
      expect(rig.engine.nextTimeout()).toBe(Infinity);
    }
  });
});

describe('v5 acknowledgements with other first bytes', () => {
  it.each([0x41, 0x50 | 8, 0x60, 0x6a, 0x72])(
    'v5 MQTT-2.1.3-1, MQTT-3.6.1-1 %d closes with 0x81',
    (first) => {
      const rig = online();
      rig.receive(Uint8Array.of(first, 2, 0, 1));
      expect(brief(rig.rest())).toEqual(['disconnect 0x81']);
      expect(rig.engine.state).toBe('waiting');
    },
  );

  it('v5 MQTT-3.6.1-1 takes PUBREL 62, and PUBREC of what it does not know', () => {
    const rig = online();
    rig.send(pubrel(1), pubrec(2));
    expect(brief(rig.sent())).toEqual(['pubcomp 1 0x92', 'pubrel 2 0x92']);
  });
});
