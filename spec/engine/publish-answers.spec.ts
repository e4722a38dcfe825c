import { describe, expect, it } from '@jest/globals';
import type { EncodablePacket } from '../../lib/codec/packets.ts';
import { ProtocolError } from '../../lib/errors.ts';
import { brief, online, withSession } from '../support/engines.ts';
import { connack, puback, pubcomp, pubrec, suback, unsuback } from '../support/packets.ts';
import type { Rig } from '../support/rig.ts';

function exchanging(protocolVersion: 3 | 4 | 5 = 5): Rig {
  const rig = online({ protocolVersion });
  rig.publish('one', { qos: 1 });
  rig.publish('two', { qos: 2 });
  rig.request('subscribe', 'a', 'b');
  rig.request('unsubscribe', 'c', 'd');
  rig.sent();
  return rig;
}

/** Which statement was broken; on 5.0 the server is told with 0x82, on 3.x the connection is just closed. */
function broken(rig: Rig): unknown {
  expect(rig.effects.take()).toEqual(['hang up', 'changed: disconnected']);
  expect(brief(rig.rest())).toEqual(rig.options.protocolVersion === 5 ? ['disconnect 0x82'] : []);
  const { error } = rig.effects.last('disconnected');
  return error instanceof ProtocolError && error.statement;
}

describe('an acknowledgement of the wrong flow', () => {
  it.each<[string, EncodablePacket]>([
    ['PUBREC for QoS 1', pubrec(1)],
    ['PUBCOMP for QoS 1', pubcomp(1)],
    ['PUBCOMP before PUBREC', pubcomp(2)],
  ])('v5 U-3.4.4-a %s closes with 0x82', (_, packet) => {
    for (const version of [4, 5] as const) {
      const rig = exchanging(version);
      rig.send(packet);
      expect(broken(rig)).toBe('4.3');
      expect(rig.engine.counts.pending).toBe(2);
    }
  });

  it('v5 U-3.4.4-a PUBACK for QoS 2 closes with 0x82', () => {
    const rig = exchanging();
    rig.send(puback(2));
    expect(broken(rig)).toBe('4.3');
  });

  it.each([3, 4] as const)('PUBACK after PUBREC closes the connection of version %i', (version) => {
    const rig = exchanging(version);
    rig.send(pubrec(2), puback(2));
    rig.rest();
    expect(rig.effects.last('disconnected').error).toBeInstanceOf(ProtocolError);
  });

  it.each<[string, EncodablePacket]>([
    ['SUBACK for a PUBLISH', suback(1, 0, 0)],
    ['SUBACK for an UNSUBSCRIBE', suback(4, 0, 0)],
    ['UNSUBACK for a SUBSCRIBE', unsuback(3, 0, 0)],
    ['SUBACK for nothing', suback(9, 0)],
  ])('v5 MQTT-2.2.1-6, MQTT-3.8.4-2 %s closes with 0x82', (_, packet) => {
    const rig = exchanging();
    rig.send(packet);
    expect(broken(rig)).toBe('MQTT-2.2.1-6');
  });

  it.each<[string, EncodablePacket, string]>([
    ['SUBACK with too few', suback(3, 0), 'MQTT-3.8.4-6'],
    ['SUBACK with too many', suback(3, 0, 0, 0), 'MQTT-3.8.4-6'],
    ['UNSUBACK with too few', unsuback(4, 0), 'MQTT-3.11.3-1'],
  ])('v5 %s codes closes with 0x82', (_, packet, statement) => {
    const rig = exchanging();
    rig.send(packet);
    expect(broken(rig)).toBe(statement);
  });
});

describe('PUBACK for QoS 2 on 3.x, from a server that treats it as QoS 1', () => {
  it.each([3, 4] as const)('ends the exchange of version %i', (version) => {
    const rig = online({ protocolVersion: version, maxInflight: 1 });
    const [one, two] = [rig.publish('one', { qos: 2 }), rig.publish('two', { qos: 2 })];
    expect(brief(rig.sent())).toEqual(['publish one 1']);
    rig.send(puback(1));
    expect(brief(rig.sent())).toEqual(['publish two 2']);
    rig.send(puback(2));
    expect([one.waiter.reasonCode, two.waiter.reasonCode, rig.engine.counts.pending]).toEqual([0, 0, 0]);
  });

  it('causes one warning per connection', () => {
    const rig = withSession({ protocolVersion: 4 });
    const answer = (): string[] => {
      rig.publish('a', { qos: 2 });
      const [packet] = rig.sent();
      rig.send(puback((packet as { packetId: number }).packetId));
      return rig.effects.take();
    };
    rig.effects.take();
    expect([answer(), answer()]).toEqual([['changed: tolerated'], []]);
    rig.resume();
    rig.effects.take();
    expect(answer()).toEqual(['changed: tolerated']);
  });

  it('answers a retry, too, and is ignored if it comes twice', () => {
    const rig = online({ protocolVersion: 4, messageRetry: 5_000 });
    const { waiter } = rig.publish('a', { qos: 2 });
    rig.sent();
    rig.advance(5_000);
    rig.send(puback(1), puback(1));
    expect([waiter.told, waiter.reasonCode, rig.engine.state]).toEqual([1, 0, 'connected']);
  });
});

describe('an acknowledgement with an unknown Packet Identifier', () => {
  it('v5 U-3.4.4-a PUBACK and PUBCOMP are ignored', () => {
    const rig = exchanging();
    rig.send(puback(9), pubcomp(9));
    expect(rig.effects.take()).toEqual([]);
    expect(rig.engine.counts.pending).toBe(2);
  });

  it('v5 U-3.6.2-a PUBREC is answered with PUBREL 0x92, on 3.1.1 with PUBREL', () => {
    const five = exchanging();
    five.send(pubrec(9));
    expect(brief(five.sent())).toEqual(['pubrel 9 0x92']);
    const four = exchanging(4);
    four.send(pubrec(9));
    expect(brief(four.sent())).toEqual(['pubrel 9']);
  });

  it('v5 MQTT-4.3.3-4 a repeated PUBREC is answered with PUBREL again', () => {
    const rig = exchanging();
    rig.send(pubrec(2), pubrec(2));
    expect(brief(rig.sent())).toEqual(['pubrel 2', 'pubrel 2']);
    rig.send(pubcomp(2));
    rig.send(pubrec(2));
    expect(brief(rig.sent())).toEqual(['pubrel 2 0x92']);
  });
});

describe('acknowledgements in any order', () => {
  it('v5 MQTT-4.6.0-4 PUBRELs leave in the order of the PUBRECs', () => {
    const rig = online();
    for (let i = 0; i < 3; i++) rig.publish('a', { qos: 2 });
    rig.sent();
    rig.send(pubrec(3), pubrec(1), pubrec(2));
    expect(brief(rig.sent())).toEqual(['pubrel 3', 'pubrel 1', 'pubrel 2']);
  });

  it('v5 U-2.2.1-a, peers P7 an identifier is free again when its exchange is over, and not before', () => {
    const rig = withSession({ maxInflight: 0 });
    const long = rig.publish('long', { qos: 2 });
    rig.sent();
    rig.send(pubrec(1));
    // PUBREL, and then a whole round of all other identifiers and some more.
    rig.sent();
    for (let i = 0; i < 66; i++) {
      for (let n = 0; n < 1_000; n++) rig.publish('a', { payload: '' });
      const packetIds = rig.sent().map((packet) => (packet as { packetId: number }).packetId);
      expect([packetIds.length, new Set(packetIds).size, packetIds.includes(1)]).toEqual([
        1_000,
        1_000,
        false,
      ]);
      rig.send(...packetIds.map((packetId) => puback(packetId)));
    }
    expect(long.waiter.told).toBe(0);
    rig.resume(connack({ sessionPresent: true }));
    rig.send(pubcomp(1));
    expect(long.waiter.told).toBe(1);
  });
});

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
