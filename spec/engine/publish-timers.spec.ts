import { describe, expect, it } from '@jest/globals';
import { brief, online, withSession } from '../support/engines.ts';
import { connack, puback, pubcomp, pubrec } from '../support/packets.ts';

/** 3.1.1 with `messageRetry`. */
const RETRY = { protocolVersion: 4, messageRetry: 5_000 } as const;

describe('messageRetry', () => {
  it('v3 V31-7 sends the oldest again with DUP, at intervals that double', () => {
    const rig = online({ ...RETRY, protocolVersion: 3 });
    rig.publish('a');
    rig.publish('b');
    rig.sent();
    const seen: [number, string[]][] = [];
    for (let s = 1; s <= 40; s++) {
      rig.advance(1_000);
      const sent = brief(rig.sent());
      if (sent.length > 0) seen.push([s, sent]);
    }
    expect(seen).toEqual([
      [5, ['publish a 1 DUP']],
      [15, ['publish a 1 DUP']],
      [35, ['publish a 1 DUP']],
    ]);
  });

  it('starts over with any acknowledgement', () => {
    const rig = online(RETRY);
    rig.publish('a');
    rig.publish('b');
    rig.sent();
    rig.advance(5_000);
    expect(brief(rig.sent())).toEqual(['publish a 1 DUP']);
    rig.advance(4_000);
    rig.send(puback(2));
    rig.advance(4_999);
    expect(rig.sent()).toEqual([]);
    rig.advance(1);
    expect(brief(rig.sent())).toEqual(['publish a 1 DUP']);
    rig.send(puback(1));
    rig.advance(60_000);
    expect(rig.sent()).toEqual([]);
    expect(rig.engine.nextTimeout()).toBe(Infinity);
  });

  it('sends a copy of a large payload, as an acknowledgement may give it back to its caller too early', () => {
    const rig = online(RETRY);
    const payload = new Uint8Array(20_000).fill(7);
    const { waiter } = rig.publish('a', { payload });
    rig.sent();
    rig.advance(5_000);
    rig.send(puback(1));
    expect(waiter.told).toBe(1);
    payload.fill(0);
    expect(rig.sent()).toMatchObject([{ duplicate: true, payload: new Uint8Array(20_000).fill(7) }]);
  });

  it('sends PUBREL again if PUBCOMP is missing', () => {
    const rig = online(RETRY);
    rig.publish('a', { qos: 2 });
    rig.sent();
    rig.send(pubrec(1));
    rig.sent();
    rig.advance(5_000);
    expect(brief(rig.sent())).toEqual(['pubrel 1']);
  });

  it('sends PUBREL again also after a resume', () => {
    const rig = withSession(RETRY);
    rig.publish('a', { qos: 2 });
    rig.sent();
    rig.send(pubrec(1));
    rig.sent();
    expect(brief(rig.resume())).toEqual(['pubrel 1']);
    rig.advance(5_000);
    expect(brief(rig.sent())).toEqual(['pubrel 1']);
  });

  it('starts with the first delay on a new connection', () => {
    const rig = withSession(RETRY);
    rig.publish('a');
    rig.sent();
    rig.advance(16_000);
    rig.sent();
    rig.resume();
    rig.advance(4_999);
    expect(rig.sent()).toEqual([]);
    rig.advance(1);
    expect(brief(rig.sent())).toEqual(['publish a 1 DUP']);
  });

  it('takes no place in the window, and its acknowledgement counts', () => {
    const rig = online({ ...RETRY, maxInflight: 2 });
    const [one] = [rig.publish('a'), rig.publish('b'), rig.publish('c')];
    rig.sent();
    rig.advance(5_000);
    rig.sent();
    rig.send(puback(1));
    expect(one.waiter.reasonCode).toBe(0);
    expect(brief(rig.sent())).toEqual(['publish c 3']);
    rig.send(puback(1));
    expect(rig.sent()).toEqual([]);
  });

  it('waits while output is pending', () => {
    const rig = online(RETRY);
    rig.publish('a');
    const piece = rig.engine.takeOutput(rig.now) as Uint8Array;
    rig.advance(60_000);
    expect(rig.engine.outputSize).toBe(0);
    rig.engine.flushed(piece, true, rig.now);
    rig.advance(4_999);
    expect(rig.engine.outputSize).toBe(0);
    rig.advance(1);
    expect(rig.engine.outputSize).toBeGreaterThan(0);
  });

  it('covers only packets of the present connection', () => {
    const rig = withSession({ ...RETRY, maxInflight: 1 });
    rig.publish('a', { qos: 2 });
    rig.sent();
    rig.send(pubrec(1));
    rig.publish('b');
    rig.sent();
    rig.resume();
    rig.advance(5_000);
    expect(brief(rig.sent())).toEqual(['pubrel 1']);
    rig.send(pubcomp(1));
    expect(brief(rig.sent())).toEqual(['publish b 2']);
  });

  it('v5 MQTT-4.4.0-1, v4 0 sends nothing again on a live connection', () => {
    for (const rig of [online(), online({ protocolVersion: 4 })]) {
      rig.publish('a');
      rig.publish('b', { qos: 2 });
      rig.sent();
      rig.send(pubrec(2));
      rig.sent();
      rig.advance(1e9);
      expect(rig.sent()).toEqual([]);
      expect(rig.engine.nextTimeout()).toBe(Infinity);
    }
  });
});

describe('ackTimeout', () => {
  it('closes the connection when a message is unacknowledged for so long, and the resume sends it again', () => {
    const rig = withSession({ ackTimeout: 30_000 });
    const { waiter } = rig.publish('a');
    rig.sent();
    rig.advance(29_999);
    expect(rig.effects.take()).toEqual([]);
    rig.advance(1);
    expect(rig.effects.take()).toEqual(['hang up', 'changed: disconnected']);
    expect(rig.effects.last('disconnected').error.message).toContain('ackTimeout');
    expect(waiter.told).toBe(0);
    expect(brief(rig.reconnect(connack({ sessionPresent: true })))).toEqual(['publish a 1 DUP']);
  });

  it('counts for each message from its own sending', () => {
    const rig = online({ ackTimeout: 30_000 });
    rig.publish('a');
    rig.sent();
    rig.advance(20_000);
    rig.publish('b');
    rig.sent();
    rig.send(puback(1));
    rig.advance(29_999);
    expect(rig.engine.state).toBe('connected');
    rig.advance(1);
    expect(rig.engine.state).toBe('waiting');
  });

  it('is not postponed by messageRetry', () => {
    const rig = online({ ...RETRY, ackTimeout: 30_000 });
    rig.publish('a');
    rig.sent();
    rig.advance(29_999);
    expect(rig.engine.state).toBe('connected');
    rig.advance(1);
    expect(rig.engine.state).toBe('waiting');
  });

  it('starts over with PUBREC, and after a resume', () => {
    const rig = withSession({ ackTimeout: 30_000 });
    rig.publish('a', { qos: 2 });
    rig.sent();
    rig.advance(20_000);
    rig.send(pubrec(1));
    rig.sent();
    rig.advance(29_999);
    expect(rig.engine.state).toBe('connected');
    rig.advance(1);
    expect(rig.engine.state).toBe('waiting');
    expect(brief(rig.reconnect(connack({ sessionPresent: true })))).toEqual(['pubrel 1']);
    rig.advance(30_000);
    expect(rig.engine.state).toBe('waiting');
  });

  it('does not count the time that a message waits for the window of a new connection', () => {
    const rig = withSession({ ackTimeout: 30_000 });
    for (const topic of ['a', 'b']) rig.publish(topic);
    rig.sent();
    rig.advance(10_000);
    rig.engine.lost(undefined, rig.now);
    rig.advance(1_000);
    rig.open();
    rig.advance(25_000);
    rig.send(connack({ sessionPresent: true, receiveMaximum: 1 }));
    rig.sent();
    rig.advance(29_000);
    rig.send(puback(1));
    expect(brief(rig.sent())).toEqual(['publish b 2 DUP']);
    rig.advance(29_000);
    expect(rig.engine.state).toBe('connected');
  });
});
