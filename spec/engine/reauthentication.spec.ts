import { describe, expect, it } from '@jest/globals';
import type { EncodablePacket } from '../../lib/codec/packets.ts';
import type { EngineOptions } from '../../lib/engine/options.ts';
import { ConnectError, ConnectionLostError, TimeoutError } from '../../lib/errors.ts';
import { brief } from '../support/engines.ts';
import { connack, disconnect, publish, puback, suback, utf8 } from '../support/packets.ts';
import type { Rig } from '../support/rig.ts';
import {
  accepted,
  again,
  auth,
  connecting,
  CONTINUE,
  METHOD,
  online,
  reauthenticating,
  violation,
  Waiter,
} from '../support/authentication-rig.ts';

describe('re-authentication', () => {
  it('v5 MQTT-4.12.1-1 sends AUTH 0x19 with the Method of CONNECT, and ends with AUTH 0x00', () => {
    const rig = online();
    const waiter = new Waiter();
    expect(rig.engine.reauthenticate(waiter, rig.now)).toBe(true);
    expect(rig.effects.take()).toEqual(['authentication: start']);
    expect(rig.sent()).toEqual([]);
    rig.engine.authenticated(utf8('again'), rig.now);
    expect(rig.sent()).toEqual([
      {
        type: 'auth',
        reasonCode: 0x19,
        properties: { authenticationMethod: METHOD, authenticationData: utf8('again') },
      },
    ]);
    rig.send(auth(CONTINUE));
    expect(rig.effects.take()).toEqual(['authentication: continue']);
    rig.engine.authenticated(utf8('answer'), rig.now);
    expect(brief(rig.sent())).toEqual(['auth 0x18']);
    expect(waiter.outcome).toBe('waiting');
    rig.send(auth(0));
    expect(waiter.outcome).toBe('authenticated');
    expect(rig.effects.take()).toEqual(['authentication: finish', 'authentication done']);
    expect(rig.engine.nextTimeout()).toBe(Infinity);
    // And once more.
    reauthenticating(rig);
  });

  it('lets other traffic go on', () => {
    const rig = online();
    const waiter = reauthenticating(rig);
    const { waiter: published } = rig.publish('a');
    const subscribed = rig.request('subscribe', 'b');
    expect(brief(rig.sent())).toEqual(['publish a 1', 'subscribe 2']);
    rig.send(publish({ topic: 'b', packetId: 9 }), puback(1), suback(2, 1));
    expect(published.reasonCode).toBe(0);
    expect(subscribed.reasonCodes).toEqual([1]);
    expect(rig.effects.texts).toEqual(['m']);
    expect(waiter.outcome).toBe('waiting');
  });

  it('cannot begin before CONNACK, nor while one is open', () => {
    const rig = connecting();
    expect(rig.engine.reauthenticate(new Waiter(), rig.now)).toBe(false);
    rig.send(accepted());
    reauthenticating(rig);
    expect(rig.engine.reauthenticate(new Waiter(), rig.now)).toBe(false);
  });

  it.each<[string, EncodablePacket, string]>([
    ['AUTH 0x18', auth(CONTINUE), '4.12'],
    ['AUTH 0x00', auth(0), '4.12'],
    ['AUTH with another Method', auth(CONTINUE, { authenticationMethod: 'X' }), 'MQTT-4.12.0-5'],
  ])('v5 R6 %s when no exchange is open is a Protocol Error', (_, packet, statement) => {
    const rig = online();
    rig.send(packet);
    expect(violation(rig)).toEqual({ packets: ['disconnect 0x82'], statement });
  });

  it('v5 R6 AUTH of the server before the first AUTH of the client is a Protocol Error', () => {
    const rig = online();
    const waiter = new Waiter();
    rig.engine.reauthenticate(waiter, rig.now);
    rig.send(auth(CONTINUE));
    expect(violation(rig)).toEqual({ packets: ['disconnect 0x82'], statement: '4.12' });
    expect(waiter.outcome).toMatchObject({ statement: '4.12' });
  });

  it('v5 MQTT-4.12.0-5 AUTH with another Method ends it', () => {
    const rig = online();
    const waiter = reauthenticating(rig);
    rig.send(auth(0, { authenticationMethod: 'X' }));
    expect(violation(rig)).toEqual({ packets: ['disconnect 0x82'], statement: 'MQTT-4.12.0-5' });
    expect(waiter.outcome).toMatchObject({ statement: 'MQTT-4.12.0-5' });
  });

  it('v5 MQTT-4.12.1-2 that the server refuses fails with its code, and what was sent is not to blame', () => {
    const rig = online();
    rig.publish('a');
    for (let i = 0; i < 2; i++) {
      const waiter = reauthenticating(rig);
      rig.send(disconnect(0x87));
      expect(waiter.outcome).toBeInstanceOf(ConnectionLostError);
      expect(waiter.outcome).toMatchObject({ reasonCode: 0x87 });
      expect(rig.effects.last('disconnected').error).toBe(waiter.outcome);
      expect(again(rig)).toEqual([expect.stringMatching(/^publish a \d$/)]);
    }
  });

  it('v5 MQTT-3.2.0-2 that the server refuses with a second CONNACK, as Mosquitto does, fails with its code', () => {
    const rig = online();
    const waiter = reauthenticating(rig);
    rig.send(connack({ reasonCode: 0x87 }));
    expect(brief(rig.rest())).toEqual(['disconnect 0x82']);
    expect(waiter.outcome).toMatchObject({
      code: 'ERR_MQTT_CONNECTION_LOST',
      reasonCode: 0x87,
      cause: { statement: 'MQTT-3.2.0-2' },
    });
    const other = online();
    const accepting = reauthenticating(other);
    other.send(accepted());
    expect(violation(other)).toEqual({ packets: ['disconnect 0x82'], statement: 'MQTT-3.2.0-2' });
    expect(accepting.outcome).toMatchObject({ statement: 'MQTT-3.2.0-2' });
    const idle = online();
    idle.send(connack({ reasonCode: 0x87 }));
    expect(violation(idle)).toEqual({ packets: ['disconnect 0x82'], statement: 'MQTT-3.2.0-2' });
  });

  it('that the server ends with DISCONNECT 0x8C is final', () => {
    const rig = online();
    const waiter = reauthenticating(rig);
    rig.send(disconnect(0x8c));
    expect(rig.engine.state).toBe('closed');
    expect(waiter.outcome).toMatchObject({ reasonCode: 0x8c });
  });

  it('fails when the connection is lost, and what was sent is not to blame', () => {
    const rig = online();
    rig.publish('a');
    for (let i = 0; i < 2; i++) {
      const waiter = reauthenticating(rig);
      rig.engine.lost(undefined, rig.now);
      expect(waiter.outcome).toBeInstanceOf(ConnectionLostError);
      expect(rig.effects.take()).toEqual(['authentication failed', 'changed: disconnected']);
      expect(again(rig)).toEqual([expect.stringMatching(/^publish a \d$/)]);
    }
  });

  it('an answer without a question changes nothing', () => {
    for (const rig of [online(), connecting()]) {
      const { state } = rig.engine;
      rig.engine.authenticated(utf8('x'), rig.now);
      rig.engine.authenticationFailed(new ConnectError('authentication', 'x'), rig.now);
      expect(rig.engine.state).toBe(state);
      expect(rig.sent()).toEqual([]);
      expect(rig.effects.take()).toEqual([]);
    }
  });

  it('fails when the connection is replaced or ended', () => {
    const replaced = online();
    const first = reauthenticating(replaced);
    replaced.engine.reconnect(replaced.now);
    expect(first.outcome).toBeInstanceOf(ConnectionLostError);
    const ended = online();
    const second = reauthenticating(ended);
    ended.disconnect();
    expect(second.outcome).toMatchObject({ code: 'ERR_MQTT_CLOSED' });
    expect(ended.effects.take()).toEqual(['authentication failed', 'finish']);
  });

  it('v5 MQTT-4.12.1-2 closes with DISCONNECT if a function fails', () => {
    const rig = online();
    const waiter = reauthenticating(rig);
    rig.send(auth(CONTINUE));
    const error = new ConnectError('authentication', 'no token', { reasonCode: 0x83 });
    rig.engine.authenticationFailed(error, rig.now);
    expect(brief(rig.rest())).toEqual(['disconnect 0x83']);
    expect(waiter.outcome).toBe(error);
    expect(rig.effects.last('disconnected').error).toMatchObject({
      code: 'ERR_MQTT_CONNECTION_LOST',
      cause: error,
      message: 'closed: no token',
    });
  });

  it('keeps the connection if its first data cannot be made, as nothing was sent', () => {
    const rig = online();
    const waiter = new Waiter();
    rig.engine.reauthenticate(waiter, rig.now);
    const error = new ConnectError('authentication', 'no token');
    rig.engine.authenticationFailed(error, rig.now);
    expect(waiter.outcome).toBe(error);
    expect(rig.engine.state).toBe('connected');
    expect(rig.sent()).toEqual([]);
    expect(rig.engine.nextTimeout()).toBe(Infinity);
    reauthenticating(rig);
  });

  it('whose callers have left is not begun, and goes on if its first AUTH was sent', () => {
    const rig = online();
    const error = new ConnectError('timeout', 'left');
    const waiter = new Waiter();
    rig.engine.reauthenticate(waiter, rig.now);
    rig.engine.withdrawReauthentication(error);
    expect(waiter.outcome).toBe(error);
    rig.engine.authenticated(utf8('late'), rig.now);
    expect(rig.sent()).toEqual([]);
    const other = reauthenticating(rig);
    rig.engine.withdrawReauthentication(error);
    expect(other.outcome).toBe('waiting');
    rig.send(auth(0));
    expect(other.outcome).toBe('authenticated');
  });

  it('v5 MQTT-3.2.2-15 refuses data that the server has no room for, before anything is sent', () => {
    const rig = online({}, connack({ authenticationMethod: METHOD, maximumPacketSize: 100 }));
    const waiter = new Waiter();
    rig.engine.reauthenticate(waiter, rig.now);
    rig.engine.authenticated(new Uint8Array(100), rig.now);
    expect(waiter.outcome).toMatchObject({ phase: 'authentication', reasonCode: 0x95 });
    expect(rig.engine.state).toBe('connected');
    const other = reauthenticating(rig);
    rig.send(auth(CONTINUE));
    rig.engine.authenticated(new Uint8Array(100), rig.now);
    expect(brief(rig.rest())).toEqual(['disconnect 0x95']);
    expect(other.outcome).toMatchObject({ phase: 'authentication', reasonCode: 0x95 });
  });

  it('v5 MQTT-4.12.1-2 closes if the server does not answer within connectTimeout', () => {
    const rig = online({ connectTimeout: 500 });
    const waiter = reauthenticating(rig);
    rig.advance(499);
    expect(waiter.outcome).toBe('waiting');
    rig.advance(1);
    expect(waiter.outcome).toBeInstanceOf(TimeoutError);
    expect(brief(rig.rest())).toEqual(['disconnect 0x80']);
    expect(rig.effects.last('disconnected').error).toMatchObject({
      message: 'closed: reauthenticate took longer than 500 ms (connectTimeout)',
    });
  });

  it('fails without closing if the application has not made its first data within connectTimeout', () => {
    const rig = online({ connectTimeout: 500 });
    const waiter = new Waiter();
    rig.engine.reauthenticate(waiter, rig.now);
    rig.advance(500);
    expect(waiter.outcome).toBeInstanceOf(TimeoutError);
    expect(rig.engine.state).toBe('connected');
  });

  describe('while reading is stopped', () => {
    /** An engine that has stopped reading, as the application settles nothing. */
    function stopped(options: Partial<EngineOptions> = {}): Rig {
      const rig = online({ receiveMaximum: 1, receiveBuffer: 50, connectTimeout: 500, ...options });
      const large = publish({ packetId: 1, payload: 'x'.repeat(60) });
      expect(rig.receive(rig.bytes(large, publish({ packetId: 2 })))).toBe('stop');
      return rig;
    }

    const settleFirst = (rig: Rig): void => {
      rig.engine.settle(rig.effects.delivered[0]!.receipt!, 0, rig.now);
      expect(rig.engine.mayRead).toBe(true);
      rig.read();
      rig.sent();
    };

    it('the silence of the server means nothing, and its time starts again afterwards', () => {
      const rig = stopped({ ackStallTimeout: 0 });
      const waiter = reauthenticating(rig);
      rig.advance(10_000);
      settleFirst(rig);
      rig.advance(499);
      expect(waiter.outcome).toBe('waiting');
      rig.advance(1);
      expect(waiter.outcome).toBeInstanceOf(TimeoutError);
    });

    it('AUTH is awaited, so that the last resort is due if the application settles nothing', () => {
      const rig = stopped({ ackStallTimeout: 1_000 });
      rig.advance(10_000);
      rig.effects.take();
      reauthenticating(rig);
      rig.advance(1_000);
      expect(rig.effects.take()).toContain('changed: lastResort');
    });

    it('AUTH is read past the limit of messages, below that of bytes', () => {
      const rig = stopped({ ackStallTimeout: 0 });
      const waiter = reauthenticating(rig);
      rig.receive(rig.bytes(auth(0)));
      expect(waiter.outcome).toBe('waiting');
      // The second message is at the limit then.
      settleFirst(rig);
      expect(rig.effects.delivered).toHaveLength(2);
      expect(waiter.outcome).toBe('authenticated');
    });
  });
});
