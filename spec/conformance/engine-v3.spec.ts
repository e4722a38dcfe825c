import { describe, expect, it } from '@jest/globals';
import { brief, offline, online } from '../support/engines.ts';
import { connack, puback, pubcomp, publish, pubrec, pubrel, suback } from '../support/packets.ts';

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
