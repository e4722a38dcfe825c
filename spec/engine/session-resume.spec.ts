import { describe, expect, it } from '@jest/globals';
import { PublishError } from '../../lib/errors.ts';
import { brief, offline, online, withSession } from '../support/engines.ts';
import { connack, puback, pubcomp, pubrec, suback, unsuback } from '../support/packets.ts';
import type { Rig } from '../support/rig.ts';

const LOST = connack({ sessionPresent: false });
const PRESENT = connack({ sessionPresent: true });

describe('Session Present 1', () => {
  it('v5 MQTT-4.4.0-1, MQTT-4.6.0-1, MQTT-3.3.1-1, peers P4, P8 sends PUBLISH again with DUP and its old identifier, in order', () => {
    const rig = withSession();
    for (const [i, qos] of ([1, 2, 1, 2] as const).entries()) rig.publish(`${i}`, { qos });
    rig.sent();
    rig.send(puback(1));
    expect(brief(rig.resume())).toEqual(['publish 1 2 DUP', 'publish 2 3 DUP', 'publish 3 4 DUP']);
    rig.send(puback(3), pubrec(2));
    expect(brief(rig.resume())).toEqual(['pubrel 2', 'publish 3 4 DUP']);
  });

  it('v5 MQTT-4.6.0-4, MQTT-4.3.3-6 repeats PUBRELs in the order of the PUBRECs and never their PUBLISH', () => {
    const rig = withSession();
    const all = [1, 2, 3].map((n) => rig.publish(`${n}`, { qos: 2 }));
    rig.sent();
    rig.send(pubrec(3), pubrec(1));
    rig.sent();
    expect(brief(rig.resume())).toEqual(['pubrel 3', 'pubrel 1', 'publish 2 2 DUP']);
    rig.send(pubcomp(1), pubcomp(3), pubrec(2), pubcomp(2));
    expect(all.map(({ waiter }) => waiter.reasonCode)).toEqual([0, 0, 0]);
  });

  it('v5 MQTT-4.9.0-2, U-4.9-b keeps to the window, PUBRELs outstanding counted', () => {
    const rig = withSession({ maxInflight: 3 });
    for (let i = 1; i <= 5; i++) rig.publish(`${i}`, { qos: 2 });
    rig.sent();
    rig.send(pubrec(1), pubrec(2));
    rig.sent();
    expect(brief(rig.resume(connack({ sessionPresent: true, receiveMaximum: 2 })))).toEqual([
      'pubrel 1',
      'pubrel 2',
    ]);
    rig.send(pubcomp(1));
    expect(brief(rig.sent())).toEqual(['publish 3 3 DUP']);
    rig.send(pubcomp(2));
    // The fourth was never written: it is no duplicate.
    expect(brief(rig.sent())).toEqual(['publish 4 4']);
    rig.send(pubrec(3), pubrec(4));
    expect(brief(rig.sent())).toEqual(['pubrel 3', 'pubrel 4']);
    rig.send(pubcomp(3));
    expect(brief(rig.sent())).toEqual(['publish 5 5']);
  });

  it('sends all PUBRELs, though they are more than the window', () => {
    const rig = withSession();
    for (let i = 1; i <= 4; i++) rig.publish(`${i}`, { qos: 2 });
    rig.publish('next');
    rig.sent();
    rig.send(pubrec(1), pubrec(2), pubrec(3), pubrec(4));
    expect(rig.resume(connack({ sessionPresent: true, receiveMaximum: 1 }))).toHaveLength(4);
    rig.send(pubcomp(1), pubcomp(2), pubcomp(3));
    expect(rig.sent()).toEqual([]);
    rig.send(pubcomp(4));
    expect(brief(rig.sent())).toEqual(['publish next 5 DUP']);
  });

  it('peers P3, P8 lets new messages queue behind what is sent again, and blocks nothing else', () => {
    const rig = withSession({ maxInflight: 1 });
    rig.publish('old');
    rig.publish('queued');
    rig.sent();
    rig.engine.lost(undefined, rig.now);
    rig.publish('offline');
    rig.publish('zero', { qos: 0 });
    expect(brief(rig.reconnect(connack({ sessionPresent: true })))).toEqual(['publish old 1 DUP']);
    rig.publish('new');
    rig.request('subscribe', 'f');
    expect(brief(rig.sent())).toEqual(['subscribe 2']);
    rig.send(puback(1));
    expect(brief(rig.sent())).toEqual(['publish queued 3']);
  });

  it('is taken up again where the connection was lost in the middle of sending again', () => {
    const rig = withSession({ maxInflight: 2 });
    for (let i = 1; i <= 4; i++) rig.publish(`${i}`);
    rig.sent();
    rig.resume();
    rig.send(puback(1));
    rig.sent();
    expect(brief(rig.resume())).toEqual(['publish 2 2 DUP', 'publish 3 3 DUP']);
    rig.send(puback(3), puback(2));
    expect(brief(rig.sent())).toEqual(['publish 4 4']);
  });

  it('is forgiving where the server answers before it was sent again', () => {
    const rig = withSession({ maxInflight: 2 });
    const all = [1, 2].map((n) => rig.publish(`${n}`, { qos: 2 }));
    rig.sent();
    rig.engine.lost(undefined, rig.now);
    rig.reconnect(connack({ sessionPresent: true, receiveMaximum: 1 }));
    rig.send(pubrec(2));
    expect(brief(rig.sent())).toEqual(['pubrel 2']);
    rig.send(pubcomp(2));
    // What took nothing of this connection's quota gives nothing back.
    rig.publish('3');
    expect(brief(rig.sent())).toEqual([]);
    rig.send(pubrec(1), pubcomp(1));
    expect(all.map(({ waiter }) => waiter.reasonCode)).toEqual([0, 0]);
    expect(brief(rig.sent())).toEqual(['pubrel 1', 'publish 3 3']);
  });

  it('v5 U-3.6.2-a takes PUBCOMP 0x92 for the end: the server has the message', () => {
    const rig = withSession();
    const { waiter } = rig.publish('a', { qos: 2 });
    rig.sent();
    rig.send(pubrec(1));
    rig.resume();
    rig.send(pubcomp(1, 0x92));
    expect(waiter).toMatchObject({ told: 1, reasonCode: 0 });
  });

  it('peers P9 sends no SUBSCRIBE again that was answered', () => {
    const rig = withSession();
    rig.request('subscribe', 'a');
    rig.send(suback(1, 1));
    rig.sent();
    expect(rig.resume()).toEqual([]);
  });
});

describe('Session Present 0', () => {
  it('v5 MQTT-3.2.2-5, peers P4 publishes as new, in the old order, before newer messages', () => {
    const rig = withSession();
    const all = [1, 2, 1].map((qos, i) => rig.publish(`${i}`, { qos: qos as 1 | 2 }));
    rig.sent();
    rig.send(pubrec(2));
    rig.engine.lost(undefined, rig.now);
    rig.publish('new');
    const sent = rig.reconnect(LOST);
    expect(brief(sent)).toEqual(['publish 0 4', 'publish 1 5', 'publish 2 6', 'publish new 7']);
    rig.send(puback(4), pubrec(5), pubcomp(5), puback(6));
    expect(all.map(({ waiter }) => waiter.told)).toEqual([1, 1, 1]);
    expect(rig.effects.last('sessionLost')).toEqual({ type: 'sessionLost', unsettled: 0 });
  });

  it('frees all identifiers', () => {
    const rig = withSession({ maxInflight: 0 });
    for (let i = 0; i < 65_535; i++) rig.publish('a', { payload: '' });
    rig.sent();
    expect(rig.resume(LOST)).toHaveLength(65_535);
  });

  it('rejects QoS 2 where onSessionLost says so, and says that nobody can know', () => {
    const rig = withSession({ onSessionLost: 'reject' });
    const [one, two] = [rig.publish('1'), rig.publish('2', { qos: 2 })];
    rig.sent();
    expect(brief(rig.resume(LOST))).toEqual(['publish 1 3']);
    expect(two.waiter.error).toBeInstanceOf(PublishError);
    expect(two.waiter.error).toMatchObject({ delivery: 'unknown', kept: false });
    rig.send(puback(3));
    expect(one.waiter.reasonCode).toBe(0);
    expect(rig.engine.counts.pending).toBe(0);
  });

  it('is no lost session on the first connection, not even after the session was wiped', () => {
    const rig = withSession();
    expect(rig.effects.changes.map(({ type }) => type)).toEqual(['connecting', 'connected']);
    const wiped = offline({ protocolVersion: 4, cleanStart: 'first' });
    wiped.engine.connect('give up', wiped.now);
    wiped.open();
    wiped.send(connack());
    wiped.open();
    wiped.send(connack());
    expect(wiped.effects.changes.map(({ type }) => type)).not.toContain('sessionLost');
    wiped.resume();
    wiped.resume(LOST);
    expect(wiped.effects.changes.map(({ type }) => type)).toContain('sessionLost');
  });

  it('says unknown of a message once written, though it waits in the queue again', () => {
    const rig = withSession({ maxInflight: 1 });
    const { waiter } = rig.publish('a', { qos: 2, payload: 'x'.repeat(100) });
    rig.sent();
    rig.resume(connack({ maximumPacketSize: 50 }));
    expect(waiter.error).toMatchObject({ delivery: 'unknown', kept: false });
  });
});

describe('subscriptions', () => {
  it('peers P9 are restored in one packet, before all that is published', () => {
    const rig = withSession();
    rig.publish('old');
    rig.request('subscribe', 'a', { topicFilter: 'b', qos: 2, noLocal: true });
    rig.request('subscribe', 'c');
    rig.request('unsubscribe', 'a');
    rig.sent();
    rig.send(suback(2, 1, 2), suback(3, 0));
    rig.sent();
    rig.send(unsuback(4, 0));
    const sent = rig.resume(LOST);
    expect(brief(sent)).toEqual(['subscribe 5', 'publish old 6']);
    expect(sent[0]).toMatchObject({
      subscriptions: [
        { topicFilter: 'b', qos: 2, noLocal: true },
        { topicFilter: 'c', qos: 1 },
      ],
    });
    rig.send(suback(5, 2, 1));
    // Once restored they are restored again the next time.
    rig.now += 2_000;
    expect(brief(rig.resume(LOST))).toEqual(['subscribe 7', 'publish old 8']);
  });

  it('that are refused when they are restored are told, and forgotten', () => {
    const rig = withSession();
    rig.request('subscribe', 'a', 'b');
    rig.sent();
    rig.send(suback(1, 1, 1));
    rig.resume(LOST);
    rig.send(suback(2, 1, 0x87));
    expect(rig.effects.last('refused').results).toEqual([{ topicFilter: 'b', reasonCode: 0x87 }]);
    expect(rig.resume(LOST)).toMatchObject([{ subscriptions: [{ topicFilter: 'a' }] }]);
  });

  it('whose restoring was cut short are restored on the next connection', () => {
    const rig = withSession();
    rig.request('subscribe', 'a', 'b');
    rig.sent();
    rig.send(suback(1, 1, 1));
    expect(rig.resume(LOST)).toHaveLength(1);
    expect(rig.resume(LOST)).toMatchObject([{ subscriptions: [{ topicFilter: 'a' }, { topicFilter: 'b' }] }]);
  });

  it('whose restoring was not answered in time are restored on the next connection', () => {
    const rig = withSession({ requestTimeout: 500 });
    rig.request('subscribe', 'a');
    rig.sent();
    rig.send(suback(1, 1));
    expect(rig.resume(LOST)).toHaveLength(1);
    rig.advance(500);
    expect(rig.engine.state).toBe('connected');
    expect(rig.resume(LOST)).toMatchObject([{ subscriptions: [{ topicFilter: 'a' }] }]);
  });

  it('peers P9 are not restored twice where a SUBSCRIBE waits for the same filter', () => {
    const rig = withSession();
    rig.request('subscribe', 'a', 'b');
    rig.sent();
    rig.send(suback(1, 1, 1));
    rig.engine.lost(undefined, rig.now);
    rig.ask('subscribe', { topicFilter: 'a', qos: 2 });
    const sent = rig.reconnect(LOST);
    expect(sent).toMatchObject([
      {
        subscriptions: [
          { topicFilter: 'b', qos: 1 },
          { topicFilter: 'a', qos: 2 },
        ],
      },
    ]);
  });

  it('are left alone where resubscribe is off, and those forgotten are never restored', () => {
    const off = withSession({ resubscribe: false });
    const on = withSession();
    for (const rig of [off, on]) {
      rig.request('subscribe', 'a');
      rig.sent();
      rig.send(suback(1, 1));
    }
    on.engine.forget('a');
    expect(off.resume(LOST)).toEqual([]);
    expect(on.resume(LOST)).toEqual([]);
  });

  it('unanswered are asked for again after a loss, before newer ones', () => {
    const rig = withSession();
    const waiter = rig.request('subscribe', 'a');
    rig.sent();
    rig.engine.lost(undefined, rig.now);
    rig.ask('unsubscribe', 'b');
    expect(brief(rig.reconnect(connack({ sessionPresent: true })))).toEqual(['subscribe 2', 'unsubscribe 3']);
    rig.send(suback(2, 1));
    expect(waiter).toMatchObject({ told: 1, reasonCodes: [1] });
  });
});

describe('MQTT 3.1, which has no Session Present', () => {
  it('v3 V31-4, V31-9 resends and subscribes again with Clean Session 0', () => {
    const rig = withSession({ protocolVersion: 3 });
    rig.request('subscribe', 'a');
    const [one] = [rig.publish('b'), rig.publish('c', { qos: 2 })];
    rig.sent();
    rig.send(suback(1, 1), pubrec(3));
    expect(brief(rig.resume(connack()))).toEqual(['subscribe 4', 'pubrel 3', 'publish b 2 DUP']);
    rig.send(puback(2));
    expect(one.waiter.reasonCode).toBe(0);
    expect(rig.effects.changes.map(({ type }) => type)).not.toContain('sessionLost');
  });

  it('starts over with Clean Session 1', () => {
    const rig = online({ protocolVersion: 3 });
    rig.publish('a');
    rig.sent();
    expect(brief(rig.resume(connack()))).toEqual(['publish a 2']);
  });
});

describe('a session that an earlier process began', () => {
  it('has what may be half-done under an identifier released before its first QoS 2 message', () => {
    const rig = withSession({}, connack({ sessionPresent: true }));
    const { waiter } = rig.publish('a', { qos: 2 });
    expect(brief(rig.sent())).toEqual(['pubrel 1', 'publish a 1']);
    rig.send(pubcomp(1, 0x92), pubrec(1));
    expect(waiter.told).toBe(0);
    expect(brief(rig.sent())).toEqual(['pubrel 1']);
    rig.send(pubcomp(1));
    expect(waiter).toMatchObject({ told: 1, reasonCode: 0 });
  });

  it('needs it once per identifier, and not for QoS 1', () => {
    const rig = withSession({ maxInflight: 0 }, connack({ sessionPresent: true }));
    rig.publish('a');
    for (let i = 2; i <= 65_535; i++) rig.publish('b', { qos: 2, payload: '' });
    expect(rig.sent()).toHaveLength(1 + 2 * 65_534);
    rig.send(puback(1), pubcomp(2), pubrec(2), pubcomp(2));
    rig.sent();
    rig.publish('c', { qos: 2 });
    rig.publish('d', { qos: 2 });
    expect(brief(rig.sent())).toEqual(['pubrel 1', 'publish c 1', 'publish d 2']);
  });

  it('does not need it where the server has none', () => {
    const rig = withSession();
    rig.publish('a', { qos: 2 });
    expect(brief(rig.sent())).toEqual(['publish a 1']);
    rig.resume();
    rig.publish('b', { qos: 2 });
    expect(brief(rig.sent())).toEqual(['publish b 2']);
  });
});

describe('a QoS 2 message that is given up while the server may have it', () => {
  /** Gives up QoS 2 under Packet Identifier 1 in another way each. */
  const ways: [string, (rig: Rig) => void][] = [
    [
      'as it no longer fits',
      (rig) => {
        rig.publish('large', { qos: 2, payload: 'x'.repeat(100) });
        rig.sent();
        rig.now += 2_000;
        rig.resume(connack({ sessionPresent: true, maximumPacketSize: 50 }));
      },
    ],
    [
      'in quarantine',
      (rig) => {
        rig.publish('poison', { qos: 2 });
        rig.sent();
        rig.resume(PRESENT);
        rig.resume(PRESENT);
        rig.advance(2_000);
        rig.sent();
        rig.resume(PRESENT);
      },
    ],
    [
      'by disconnect()',
      (rig) => {
        rig.publish('unwanted', { qos: 2 });
        rig.sent();
        rig.disconnect('discard');
        rig.sent();
        rig.engine.lost(undefined, rig.now);
        rig.engine.connect('give up', rig.now);
        rig.open();
        rig.send(PRESENT);
      },
    ],
  ];

  it.each(ways)(
    'v5 MQTT-4.3.3-10 does not swallow the next one under its identifier: that has its PUBREL sent first (%s)',
    (_, giveUp) => {
      const rig = withSession({ maxInflight: 0 });
      giveUp(rig);
      expect([rig.sent(), rig.engine.counts.pending]).toEqual([[], 0]);
      for (let id = 2; id <= 65_535; id++) rig.publish('others', { payload: '' });
      rig.sent();
      const { waiter } = rig.publish('next', { qos: 2 });
      expect(brief(rig.sent())).toEqual(['pubrel 1', 'publish next 1']);
      rig.send(pubcomp(1), pubrec(1));
      expect([brief(rig.sent()), waiter.told]).toEqual([['pubrel 1'], 0]);
      rig.send(pubcomp(1));
      expect(waiter.reasonCode).toBe(0);
      // Once.
      rig.publish('last', { qos: 2 });
      expect(brief(rig.sent())).toEqual(['publish last 1']);
    },
  );
});
