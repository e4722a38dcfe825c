import { describe, expect, it } from '@jest/globals';
import { ClosedError } from '../../lib/errors.ts';
import { brief, offline, online, withSession } from '../support/engines.ts';
import { connack, disconnect, puback, publish, suback } from '../support/packets.ts';
import type { Rig } from '../support/rig.ts';

/** Connects one that has been closed again. Returns what it writes after CONNACK. */
function connectAgain(rig: Rig): string[] {
  rig.engine.connect('give up', rig.now);
  rig.open();
  rig.send(connack());
  return brief(rig.sent());
}

describe('disconnect', () => {
  it('v5 MQTT-3.14.4-1, -2 sends DISCONNECT last, behind what is in the output, and closes', () => {
    const rig = online();
    rig.publish('a', { qos: 0 });
    rig.disconnect();
    expect(rig.effects.take()).toEqual(['finish']);
    expect(rig.engine.state).toBe('disconnecting');
    rig.publish('b', { qos: 0 });
    rig.request('subscribe', 'c');
    rig.send(publish({ packetId: 1 }), publish());
    expect(brief(rig.sent())).toEqual(['publish a', 'disconnect']);
    expect(rig.effects.delivered).toEqual([]);
    rig.engine.lost(undefined, rig.now);
    expect(rig.effects.take()).toEqual(['changed: closed']);
    expect(rig.effects.last('closed').error).toBeUndefined();
    expect(rig.engine.state).toBe('closed');
    expect(rig.engine.nextTimeout()).toBe(Infinity);
  });

  it('destroys a connection that the server does not close in time', () => {
    const rig = online({ keepAlive: 1, ackTimeout: 10 });
    rig.publish('a');
    rig.disconnect('keep', 500);
    rig.sent();
    rig.effects.take();
    rig.advance(499);
    expect(rig.effects.take()).toEqual([]);
    rig.advance(1);
    expect(rig.effects.take()).toEqual(['hang up', 'changed: closed']);
    expect(rig.engine.nextTimeout()).toBe(Infinity);
  });

  it('ignores garbage that arrives meanwhile', () => {
    const rig = online();
    rig.disconnect();
    rig.receive(Uint8Array.of(0x30, 0xff, 0xff, 0xff, 0xff, 0xff));
    expect(rig.effects.take()).toEqual(['finish', 'hang up', 'changed: closed']);
  });

  const states: [string, (rig: Rig) => void][] = [
    ['offline', () => {}],
    ['dialing', (rig) => rig.engine.connect('give up', rig.now)],
    [
      'connecting',
      (rig) => {
        rig.engine.connect('give up', rig.now);
        rig.open();
      },
    ],
    [
      'waiting',
      (rig) => {
        rig.engine.connect('retry', rig.now);
        rig.open();
        rig.engine.lost(undefined, rig.now);
      },
    ],
  ];
  it.each(states)('peers P1, P2 ends at once while %s, and rejects every waiting call', (state, bring) => {
    const rig = offline();
    const [message, request] = [rig.publish('a'), rig.ask('subscribe', 'f')];
    bring(rig);
    expect(rig.engine.state).toBe(state);
    rig.effects.take();
    rig.disconnect();
    expect(rig.effects.take()).toEqual(['hang up', 'changed: closed']);
    expect(rig.engine.state).toBe('closed');
    expect(rig.engine.nextTimeout()).toBe(Infinity);
    expect(message.waiter).toMatchObject({ told: 1, error: expect.any(ClosedError) });
    expect(request).toMatchObject({ told: 1, error: expect.any(ClosedError) });
    rig.engine.opened({}, rig.now);
    rig.engine.lost(undefined, rig.now);
    expect(rig.sent()).toEqual([]);
    expect(rig.effects.take()).toEqual([]);
  });

  it('once more changes nothing', () => {
    const rig = online();
    rig.disconnect();
    rig.disconnect();
    rig.engine.lost(undefined, rig.now);
    rig.disconnect();
    expect(rig.effects.take()).toEqual(['finish', 'changed: closed']);
  });

  it('accepts no new calls afterwards', () => {
    const rig = online();
    rig.disconnect();
    const [message, request] = [rig.publish('a'), rig.request('subscribe', 'f')];
    rig.engine.lost(undefined, rig.now);
    const later = rig.publish('b');
    expect([message.waiter.error, request.error, later.waiter.error]).toEqual([
      expect.any(ClosedError),
      expect.any(ClosedError),
      expect.any(ClosedError),
    ]);
    expect(rig.engine.withdraw(message.exchange)).toBe(false);
    expect(rig.engine.counts.pending).toBe(0);
  });
});

describe('messages without an acknowledgement', () => {
  it('are kept: the promise ends, the message goes out after the next connect, in call order', () => {
    const rig = online({ maxInflight: 1 });
    const [flying, waiting, zero] = [
      rig.publish('a'),
      rig.publish('b', { qos: 2 }),
      rig.publish('c', { qos: 0 }),
    ];
    rig.sent();
    rig.disconnect();
    expect(flying.waiter.error).toMatchObject({ delivery: 'unknown', kept: true });
    expect(waiting.waiter.error).toMatchObject({ delivery: 'not-sent', kept: true });
    expect(zero.waiter.reasonCode).toBe(0);
    rig.engine.lost(undefined, rig.now);
    expect(rig.engine.counts.pending).toBe(2);
    expect(connectAgain(rig)).toEqual(['publish a 2']);
    rig.send(puback(2));
    expect(brief(rig.sent())).toEqual(['publish b 3']);
    expect([flying.waiter.told, waiting.waiter.told]).toEqual([1, 1]);
  });

  it('are kept with a copy of the payload, which is the caller’s again', () => {
    const rig = withSession({ maxInflight: 1 });
    const payload = new Uint8Array([1, 2, 3]);
    const large = new Uint8Array(20_000).fill(1);
    rig.publish('a', { payload: large });
    rig.publish('b', { payload });
    rig.disconnect();
    payload.fill(0);
    large.fill(0);
    expect(rig.sent()).toMatchObject([{ payload: new Uint8Array(20_000).fill(1) }, { type: 'disconnect' }]);
    rig.engine.lost(undefined, rig.now);
    rig.engine.connect('give up', rig.now);
    rig.open();
    rig.send(connack({ sessionPresent: true }));
    expect(rig.sent()).toMatchObject([{ payload: new Uint8Array(20_000).fill(1), duplicate: true }]);
    rig.send(puback(1));
    expect(rig.sent()).toMatchObject([{ payload: new Uint8Array([1, 2, 3]), duplicate: false }]);
  });

  it('with QoS 0 whose payload is on its way are done when it has left', () => {
    const rig = online();
    const payload = new Uint8Array(20_000).fill(1);
    const { waiter } = rig.publish('a', { qos: 0, payload });
    rig.disconnect();
    expect(waiter.told).toBe(0);
    payload.fill(0);
    expect(rig.sent()).toMatchObject([{ payload: new Uint8Array(20_000).fill(1) }, { type: 'disconnect' }]);
    expect(waiter).toMatchObject({ told: 1, reasonCode: 0 });
  });

  it.each(['keep', 'discard'] as const)(
    'with a large payload that the network holds give it back when the connection is gone (%s)',
    (pending) => {
      const rig = withSession();
      const payload = new Uint8Array(20_000).fill(1);
      const { waiter } = rig.publish('a', { payload });
      const small = rig.publish('b');
      const pieces: Uint8Array[] = [];
      const take = (): void => {
        const { engine, now } = rig;
        for (let piece = engine.takeOutput(now); piece !== undefined; piece = engine.takeOutput(now))
          pieces.push(piece);
      };
      take();
      expect(pieces.some(({ buffer }) => buffer === payload.buffer)).toBe(true);
      rig.disconnect(pending);
      take();
      expect([waiter.told, small.waiter.told]).toEqual([0, 1]);
      for (const piece of pieces) rig.engine.flushed(piece, true, rig.now);
      rig.engine.lost(undefined, rig.now);
      expect(waiter.error).toMatchObject({ delivery: 'unknown', kept: pending === 'keep' });
      payload.fill(0);
      rig.engine.connect('give up', rig.now);
      rig.open();
      rig.send(connack());
      const again = rig.sent();
      if (pending === 'keep') expect(again[0]).toMatchObject({ payload: new Uint8Array(20_000).fill(1) });
      else expect(again).toEqual([]);
    },
  );

  it('are not kept with QoS 0', () => {
    const rig = offline();
    const { waiter } = rig.publish('a', { qos: 0 });
    rig.disconnect();
    expect(waiter.error).toMatchObject({ delivery: 'not-sent', kept: false });
    expect(connectAgain(rig)).toEqual([]);
  });

  it('are forgotten if the caller discards them, and their identifiers are free', () => {
    const rig = withSession({ maxInflight: 1 });
    const [one, two] = [rig.publish('a'), rig.publish('b')];
    rig.disconnect('discard');
    expect(one.waiter.error).toMatchObject({ delivery: 'unknown', kept: false });
    expect(two.waiter.error).toMatchObject({ delivery: 'not-sent', kept: false });
    rig.engine.lost(undefined, rig.now);
    expect(rig.engine.counts.pending).toBe(0);
    expect(connectAgain(rig)).toEqual([]);
  });

  it('are forgotten by a later disconnect that asks for it', () => {
    const rig = online({ reconnect: false });
    rig.publish('a');
    rig.engine.lost(undefined, rig.now);
    expect(rig.engine.counts.pending).toBe(1);
    rig.disconnect('discard');
    expect(rig.engine.counts.pending).toBe(0);
  });

  it('are kept over a terminal error, which is the cause their callers are told', () => {
    const rig = online();
    const { waiter } = rig.publish('a');
    const request = rig.request('subscribe', 'f');
    rig.sent();
    rig.send(disconnect(0x8e));
    expect(waiter.error).toMatchObject({ kept: true, delivery: 'unknown', cause: { reasonCode: 0x8e } });
    expect(request.error).toMatchObject({ cause: { reasonCode: 0x8e } });
    expect(connectAgain(rig)).toEqual(['publish a 3']);
  });
});

describe('a received message', () => {
  it('that is unsettled when the client ends is new on the next connection', () => {
    const rig = withSession();
    rig.send(publish({ packetId: 1, payload: 'm' }));
    const { receipt } = rig.effects;
    rig.disconnect();
    rig.sent();
    rig.engine.lost(undefined, rig.now);
    rig.engine.connect('give up', rig.now);
    rig.open();
    rig.send(connack({ sessionPresent: true }), publish({ packetId: 1, payload: 'm', duplicate: true }));
    expect(rig.effects.texts).toEqual(['m', 'm']);
    rig.engine.settle(receipt, 0, rig.now);
    expect(rig.sent()).toEqual([]);
  });
});

describe('subscriptions', () => {
  it('are restored after a disconnect too, unless they were forgotten', () => {
    const rig = online();
    rig.request('subscribe', 'a', 'b');
    rig.sent();
    rig.send(suback(1, 1, 1));
    rig.engine.forget('a');
    rig.disconnect();
    rig.sent();
    rig.engine.lost(undefined, rig.now);
    rig.engine.connect('give up', rig.now);
    rig.open();
    rig.send(connack());
    expect(rig.sent()).toMatchObject([{ subscriptions: [{ topicFilter: 'b' }] }]);
  });
});

describe('DISCONNECT', () => {
  const ending = { reasonCode: 0, properties: {}, pending: 'keep', timeout: 1 } as const;

  it('v5 U-3.14.2-a cannot extend a session that ends with the connection', () => {
    const rig = online();
    const properties = { sessionExpiryInterval: 5 };
    expect(() => rig.engine.disconnect({ ...ending, properties }, rig.now)).toThrow(TypeError);
    expect(rig.engine.state).toBe('connected');
    rig.publish('a');
    expect(brief(rig.sent())).toEqual(['publish a 1']);
  });

  it('is refused without effect if it cannot be encoded', () => {
    const rig = online();
    const { waiter } = rig.publish('a');
    expect(() => rig.engine.disconnect({ ...ending, reasonCode: 1 }, rig.now)).toThrow('MQTT-3.14.2-1');
    expect(rig.engine.state).toBe('connected');
    expect(waiter.told).toBe(0);
  });

  it('v5 MQTT-3.14.2-3, -4 leaves out Reason String and User Properties to stay within Maximum Packet Size', () => {
    const rig = withSession({}, connack({ maximumPacketSize: 30 }));
    const properties = {
      sessionExpiryInterval: 5,
      reasonString: 'x'.repeat(30),
      userProperties: [['a', 'b']] as [string, string][],
    };
    rig.engine.disconnect({ ...ending, reasonCode: 4, properties }, rig.now);
    expect(rig.sent()).toEqual([
      { type: 'disconnect', reasonCode: 4, properties: { sessionExpiryInterval: 5 } },
    ]);
  });

  it('v5 MQTT-3.14.4-3 has its Reason Code, and on 3.1.1 none', () => {
    const five = online();
    five.engine.disconnect({ ...ending, reasonCode: 4 }, five.now);
    expect(five.sent()).toEqual([{ type: 'disconnect', reasonCode: 4, properties: {} }]);
    const four = online({ protocolVersion: 4 });
    four.disconnect();
    expect(four.sent()).toEqual([{ type: 'disconnect', reasonCode: 0, properties: {} }]);
  });
});
