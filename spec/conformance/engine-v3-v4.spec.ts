import { describe, expect, it } from '@jest/globals';
import { brief, offline, online } from '../support/engines.ts';
import { connack, puback, pubcomp, publish, pubrec, pubrel, suback, unsuback } from '../support/packets.ts';
import type { Rig } from '../support/rig.ts';

/** MQTT 3.1: where it differs from 3.1.1 in what takes a session or a connection to show. */
const V3 = { protocolVersion: 3, cleanStart: false } as const;

describe('v3', () => {
  it('v3 V31-4, V31-9 takes the session to be there with Clean Session 0: what is in flight goes out again, with DUP', () => {
    const rig = online(V3);
    rig.request('subscribe', 'f');
    rig.publish('a');
    rig.publish('b', { qos: 2 });
    rig.sent();
    rig.send(suback(1, 1), pubrec(3));
    rig.sent();
    // The reserved byte of CONNACK means nothing.
    rig.engine.lost(undefined, rig.now);
    rig.advance(1_000);
    rig.open();
    rig.receive(Uint8Array.of(0x20, 2, 1, 0));
    expect(brief(rig.sent())).toEqual(['subscribe 4', 'pubrel 3', 'publish a 2 DUP']);
  });

  it('v3 V31-5 a subscription is granted positively', () => {
    const rig = online(V3);
    const waiter = rig.request('subscribe', 'f', 'g');
    rig.sent();
    rig.send(suback(1, 0, 2));
    expect(waiter.reasonCodes).toEqual([0, 2]);
  });

  it('v3 V31-6 a message that the server refused is acknowledged as any other', () => {
    const rig = online(V3);
    const { waiter } = rig.publish('a');
    rig.sent();
    rig.send(puback(1));
    expect(waiter.reasonCode).toBe(0);
  });

  it('v3 V31-7 sends again what is unanswered in time: PUBLISH with DUP, then PUBREL', () => {
    const rig = online({ ...V3, messageRetry: 5_000 });
    rig.publish('a', { qos: 2 });
    rig.sent();
    rig.advance(5_000);
    expect(brief(rig.sent())).toEqual(['publish a 1 DUP']);
    rig.send(pubrec(1));
    rig.sent();
    rig.advance(5_000);
    expect(brief(rig.sent())).toEqual(['pubrel 1']);
    rig.send(pubcomp(1));
    rig.advance(60_000);
    expect(rig.sent()).toEqual([]);
  });

  it('v3 V31-8, V31-10 takes what the server sends again on a live connection', () => {
    const rig = online(V3);
    rig.effects.onReceipt = () => 'acknowledge';
    const [one, two] = [{ packetId: 1 }, { packetId: 2, qos: 2 as const }];
    rig.send(
      publish(one),
      publish({ ...one, duplicate: true }),
      publish(two),
      publish({ ...two, duplicate: true }),
    );
    expect(brief(rig.sent())).toEqual(['puback 1', 'puback 1', 'pubrec 2', 'pubrec 2']);
    expect(rig.effects.delivered).toHaveLength(3);
    rig.send(pubrel(2));
    rig.receive(Uint8Array.of(0x6a, 2, 0, 2));
    expect(brief(rig.sent())).toEqual(['pubcomp 2', 'pubcomp 2']);
  });

  it('v3 V31-12 closes where PINGRESP does not come', () => {
    const rig = online({ ...V3, keepAlive: 10 });
    rig.advance(9_000);
    expect(brief(rig.sent())).toEqual(['pingreq']);
    rig.advance(5_000);
    expect(rig.effects.take()).toEqual(['hang up', 'changed: disconnected']);
  });

  it('v3 V31-13 waits for CONNACK before it sends', () => {
    const rig = offline(V3);
    rig.publish('a');
    rig.engine.connect('give up', rig.now);
    expect(brief(rig.open())).toEqual(['connect']);
    rig.publish('b');
    expect(rig.sent()).toEqual([]);
    rig.send(connack());
    expect(brief(rig.sent())).toEqual(['publish a 1', 'publish b 2']);
  });
});

/** MQTT 3.1.1: what takes a session or a connection to show. */
const V4 = { protocolVersion: 4, cleanStart: false } as const;
const PRESENT = connack({ sessionPresent: true });

describe('v4 sessions', () => {
  it('v4 MQTT-3.1.2-4, MQTT-4.1.0-1, -2, MQTT-4.4.0-1 goes on with Clean Session 0 and Session Present 1', () => {
    const rig = online(V4);
    rig.publish('a');
    rig.publish('b', { qos: 2 });
    rig.publish('c', { qos: 2 });
    rig.sent();
    rig.send(pubrec(3));
    rig.sent();
    expect(brief(rig.resume(PRESENT))).toEqual(['pubrel 3', 'publish a 1 DUP', 'publish b 2 DUP']);
  });

  it('v4 MQTT-3.1.2-6 begins anew with Clean Session 1', () => {
    const rig = online({ ...V4, cleanStart: true });
    rig.publish('a');
    rig.sent();
    rig.engine.lost(undefined, rig.now);
    rig.advance(1_000);
    expect(rig.open()).toMatchObject([{ cleanStart: true }]);
    rig.send(connack());
    expect(brief(rig.sent())).toEqual(['publish a 2']);
  });

  it('v4 MQTT-3.2.2-1 closes where Session Present is 1 after Clean Session 1', () => {
    const rig = offline({ ...V4, cleanStart: true });
    rig.engine.connect('give up', rig.now);
    rig.open();
    rig.send(PRESENT);
    expect(rig.engine.state).toBe('offline');
    expect(rig.rest()).toEqual([]);
  });

  it('v4 MQTT-3.2.2-2, -3, U4-3.2.2-b drops its state where Session Present is 0', () => {
    const rig = online(V4);
    rig.publish('a', { qos: 2 });
    rig.send(publish({ packetId: 5, qos: 2 }));
    rig.engine.settle(rig.effects.receipt, 0, rig.now);
    rig.sent();
    expect(brief(rig.resume(connack()))).toEqual(['publish a 2']);
    rig.send(publish({ packetId: 5, qos: 2, payload: 'new', duplicate: true }));
    expect(rig.effects.texts.at(-1)).toBe('new');
  });

  it('v4 MQTT-2.3.1-3 sends again under the old identifier, which is free after the last acknowledgement', () => {
    const rig = online({ ...V4, maxInflight: 0 });
    for (let i = 0; i < 65_533; i++) rig.publish('a', { payload: '' });
    rig.request('subscribe', 'f');
    rig.request('unsubscribe', 'g');
    rig.publish('z', { payload: '' });
    rig.sent();
    expect(rig.engine.counts.pending).toBe(65_534);
    rig.send(suback(65_534, 1));
    expect(brief(rig.sent())).toEqual(['publish z 65534']);
    rig.publish('y', { payload: '' });
    expect(brief(rig.sent())).toEqual([]);
    rig.send(puback(9));
    expect(brief(rig.sent())).toEqual(['publish y 9']);
    rig.publish('x', { payload: '' });
    rig.send({ type: 'unsuback', packetId: 65_535 });
    expect(brief(rig.sent())).toEqual(['publish x 65535']);
  });

  it('v4 MQTT-3.1.4-5 loses nothing with a refused CONNECT', () => {
    const rig = offline(V4);
    const { waiter } = rig.publish('a');
    rig.engine.connect('give up', rig.now);
    rig.open();
    rig.send(connack({ reasonCode: 3 }));
    expect(waiter.told).toBe(0);
    expect(rig.engine.counts.pending).toBe(1);
  });
});

describe('v4 connections', () => {
  it('v4 MQTT-3.2.2-5, -6 fails with the return code, or without where the server just closes', () => {
    const refused = offline(V4);
    refused.engine.connect('give up', refused.now);
    refused.open();
    refused.send(connack({ reasonCode: 3 }));
    expect(refused.effects.last('gaveUp').error).toMatchObject({ reasonCode: 3, phase: 'connack' });
    const closed = offline(V4);
    closed.engine.connect('give up', closed.now);
    closed.open();
    closed.engine.lost(undefined, closed.now);
    expect(closed.effects.last('gaveUp').error).toMatchObject({ reasonCode: undefined, phase: 'connack' });
  });

  it('v4 MQTT-3.14.4-1, -2 sends nothing after DISCONNECT, and closes', () => {
    const rig = online(V4);
    rig.disconnect();
    rig.publish('late', { qos: 0 });
    rig.send(publish({ packetId: 1 }));
    expect(brief(rig.sent())).toEqual(['disconnect']);
    expect(rig.effects.take()).toEqual(['finish']);
  });

  it('v4 MQTT-3.14.4-3, MQTT-4.8.0-1 closes on errors without DISCONNECT, so that the Will is published', () => {
    const rig = online(V4);
    rig.send(puback(1), connack());
    expect(rig.effects.take()).toEqual(['hang up', 'changed: disconnected']);
    expect(rig.rest()).toEqual([]);
  });

  it('v4 MQTT-2.3.1-7, MQTT-3.8.4-5 closes where SUBACK or UNSUBACK is for nothing, or has another count', () => {
    for (const packet of [suback(9, 0), suback(1, 0, 0), { type: 'unsuback', packetId: 1 } as const]) {
      const rig = online(V4);
      rig.request('subscribe', 'a');
      rig.sent();
      rig.send(packet);
      expect(rig.engine.state).toBe('waiting');
    }
    expect(unsuback(1)).toMatchObject({ reasonCodes: [] });
  });
});

describe('v4 messages of ours', () => {
  it('v4 MQTT-4.3.1-1 QoS 0 is sent once, with DUP 0', () => {
    const rig = online(V4);
    rig.publish('a', { qos: 0 });
    expect(rig.sent()).toMatchObject([{ qos: 0, duplicate: false }]);
    expect(rig.resume(PRESENT)).toEqual([]);
  });

  it('v4 MQTT-4.3.2-1 QoS 1 has an identifier of its own, DUP 0, and is unacknowledged until PUBACK', () => {
    const rig = online(V4);
    rig.publish('a');
    rig.publish('b');
    expect(rig.sent()).toMatchObject([
      { packetId: 1, duplicate: false },
      { packetId: 2, duplicate: false },
    ]);
    rig.send(puback(2));
    expect(brief(rig.resume(PRESENT))).toEqual(['publish a 1 DUP']);
  });

  it('v4 MQTT-4.3.3-1 QoS 2 goes through PUBREC, PUBREL and PUBCOMP', () => {
    const rig = online(V4);
    const { waiter } = rig.publish('a', { qos: 2 });
    expect(rig.sent()).toMatchObject([{ packetId: 1, duplicate: false }]);
    rig.send(pubrec(1), pubrec(1));
    expect(brief(rig.sent())).toEqual(['pubrel 1', 'pubrel 1']);
    rig.send(pubcomp(1));
    expect(waiter.reasonCode).toBe(0);
  });

  it('v4 MQTT-3.3.5-2 takes an acknowledgement for delivery: 3.1.1 knows no refusal', () => {
    const rig = online(V4);
    const { waiter } = rig.publish('a');
    rig.sent();
    rig.send(puback(1));
    expect(waiter.reasonCode).toBe(0);
  });
});

describe('v4 messages from the server', () => {
  function received(rig: Rig, qos: 1 | 2, duplicate = false): void {
    rig.send(publish({ packetId: 1, qos, duplicate, payload: 'm' }));
  }

  it('v4 MQTT-4.3.2-2 QoS 1 is acknowledged, then its identifier means a new message', () => {
    const rig = online(V4);
    for (let i = 1; i <= 2; i++) {
      received(rig, 1, i === 2);
      rig.engine.settle(rig.effects.receipt, 0, rig.now);
      expect(brief(rig.sent())).toEqual(['puback 1']);
      expect(rig.effects.delivered).toHaveLength(i);
    }
  });

  it('v4 MQTT-4.3.3-2 QoS 2 is delivered at PUBLISH, once, until PUBREL', () => {
    const rig = online(V4);
    received(rig, 2);
    rig.engine.settle(rig.effects.receipt, 0, rig.now);
    received(rig, 2, true);
    rig.send(pubrel(1));
    expect(brief(rig.sent())).toEqual(['pubrec 1', 'pubrec 1', 'pubcomp 1']);
    expect(rig.effects.delivered).toHaveLength(1);
    received(rig, 2);
    expect(rig.effects.delivered).toHaveLength(2);
  });

  it('v4 MQTT-3.3.5-1 in several copies are several messages', () => {
    const rig = online(V4);
    rig.send(publish({ packetId: 1 }), publish({ packetId: 2 }));
    expect(rig.effects.delivered).toHaveLength(2);
  });

  it('v4 MQTT-4.6.0-2, -3 are acknowledged in the order of receipt', () => {
    const rig = online(V4);
    rig.send(
      publish({ packetId: 1 }),
      publish({ packetId: 2 }),
      publish({ packetId: 3, qos: 2 }),
      publish({ packetId: 4, qos: 2 }),
    );
    for (const { receipt } of rig.effects.delivered.toReversed())
      if (receipt !== undefined) rig.engine.settle(receipt, 0, rig.now);
    expect(brief(rig.sent())).toEqual(['pubrec 3', 'pubrec 4', 'puback 1', 'puback 2']);
  });
});
