import { describe, expect, it } from '@jest/globals';
import type { EncodablePacket } from '../../lib/codec/packets.ts';
import { ConnectError } from '../../lib/errors.ts';
import { brief } from '../support/engines.ts';
import { connack, publish, utf8 } from '../support/packets.ts';
import { Rig } from '../support/rig.ts';
import {
  accepted,
  auth,
  connecting,
  CONTINUE,
  METHOD,
  online,
  reauthenticating,
  violation,
  Waiter,
} from '../support/authentication-rig.ts';

describe('enhanced authentication', () => {
  it('v5 MQTT-4.12.0-3, -5 answers each AUTH of the server with AUTH 0x18 and the Method of CONNECT', () => {
    const rig = connecting();
    for (const round of ['1', '2']) {
      rig.send(auth(CONTINUE, { authenticationData: utf8(`question ${round}`) }));
      expect(rig.effects.take()).toEqual(['authentication: continue']);
      expect(rig.effects.steps.at(-1)).toMatchObject({
        properties: { authenticationData: utf8(`question ${round}`) },
      });
      expect(rig.sent()).toEqual([]);
      rig.engine.authenticated(utf8(`answer ${round}`), rig.now);
      expect(rig.sent()).toEqual([
        {
          type: 'auth',
          reasonCode: CONTINUE,
          properties: { authenticationMethod: METHOD, authenticationData: utf8(`answer ${round}`) },
        },
      ]);
    }
    rig.send(accepted());
    expect(rig.effects.take()).toEqual([
      'authentication: finish',
      'authentication done',
      'changed: connected',
    ]);
    expect(rig.engine.state).toBe('connected');
  });

  it('sends AUTH without data if there is none', () => {
    const rig = connecting();
    rig.send(auth(CONTINUE));
    rig.engine.authenticated(undefined, rig.now);
    expect(rig.sent()).toEqual([
      { type: 'auth', reasonCode: CONTINUE, properties: { authenticationMethod: METHOD } },
    ]);
  });

  it('v5 MQTT-3.1.2-30 sends nothing but AUTH and DISCONNECT until CONNACK', () => {
    const rig = connecting();
    rig.publish('early', { qos: 0 });
    rig.publish('early');
    rig.request('subscribe', 'a');
    rig.send(auth(CONTINUE));
    expect(rig.sent()).toEqual([]);
    rig.engine.authenticated(undefined, rig.now);
    expect(brief(rig.sent())).toEqual(['auth 0x18']);
    rig.send(accepted());
    rig.engine.flushRequests(rig.now);
    expect(brief(rig.sent())).toEqual(['subscribe 1', 'publish early', 'publish early 2']);
  });

  it.each([
    [0x80, 'changed: gaveUp'],
    // Of functions, which may return other data the next time.
    [0x87, 'changed: gaveUp'],
    [0x8c, 'changed: closed'],
  ])('v5 MQTT-4.12.0-1, -4 can be refused by CONNACK %d at any step', (reasonCode, end) => {
    for (const steps of [[], ['asked'], ['asked', 'answered']]) {
      const rig = connecting({ credentialsVary: true });
      if (steps.includes('asked')) rig.send(auth(CONTINUE));
      if (steps.includes('answered')) rig.engine.authenticated(undefined, rig.now);
      rig.sent();
      rig.effects.take();
      rig.send(connack({ reasonCode }));
      expect(rig.effects.changes.at(-1)).toMatchObject({ error: { phase: 'connack', reasonCode } });
      expect(rig.effects.take()).toEqual(['hang up', 'authentication failed', end]);
    }
  });

  it('v5 MQTT-4.12.0-4 can be ended by a close at any step', () => {
    const rig = connecting();
    rig.send(auth(CONTINUE));
    rig.effects.take();
    rig.engine.lost(undefined, rig.now);
    expect(rig.effects.take()).toEqual(['authentication failed', 'changed: gaveUp']);
    // The application answers later.
    rig.engine.authenticated(utf8('late'), rig.now);
    rig.engine.authenticationFailed(new ConnectError('authentication', 'late'), rig.now);
    expect(rig.effects.take()).toEqual([]);
  });

  it.each<[string, EncodablePacket, string]>([
    ['MQTT-4.12.0-2 AUTH 0x00', auth(0), 'MQTT-4.12.0-2'],
    [
      'MQTT-4.12.0-5 U-3.15.2-a AUTH with another Method',
      auth(CONTINUE, { authenticationMethod: 'X' }),
      'MQTT-4.12.0-5',
    ],
    ['MQTT-4.12.0-5 CONNACK with another Method', accepted({ authenticationMethod: 'X' }), 'MQTT-4.12.0-5'],
    ['MQTT-4.12.0-5 CONNACK without a Method', connack(), 'MQTT-4.12.0-5'],
  ])('v5 %s before the connection is accepted is a Protocol Error', (_, packet, statement) => {
    const rig = connecting();
    rig.send(packet);
    expect(violation(rig)).toEqual({ packets: ['disconnect 0x82'], statement });
    expect(rig.effects.last('gaveUp').error).toMatchObject({ phase: 'connack' });
  });

  it.each<[string, EncodablePacket]>([
    ['AUTH', auth(CONTINUE)],
    ['a CONNACK that accepts', accepted()],
  ])('v5 R6 %s while AUTH of the client is awaited is a Protocol Error', (_, packet) => {
    const rig = connecting();
    rig.send(auth(CONTINUE), packet);
    expect(violation(rig)).toEqual({ packets: ['disconnect 0x82'], statement: '4.12' });
  });

  it.each<[string, Uint8Array, string, string]>([
    [
      'MQTT-3.15.2-1 R6 AUTH 0x19',
      Uint8Array.of(0xf0, 6, 0x19, 4, 0x15, 0, 1, 0x58),
      '0x82',
      'MQTT-3.15.2-1',
    ],
    ['U-3.15.2-a AUTH without a Method', Uint8Array.of(0xf0, 2, 0x18, 0), '0x82', '3.15.2.2.2'],
    ['U-3.15.2-a AUTH without anything', Uint8Array.of(0xf0, 0), '0x82', '3.15.2.2.2'],
    [
      'MQTT-3.15.1-1 AUTH with flags',
      Uint8Array.of(0xf1, 6, 0x18, 4, 0x15, 0, 1, 0x58),
      '0x81',
      'MQTT-2.1.3-1',
    ],
  ])('v5 %s from the server ends the connection', (_, bytes, code, statement) => {
    const before = connecting();
    before.receive(bytes);
    expect(violation(before)).toEqual({ packets: [`disconnect ${code}`], statement });
    const after = online();
    after.receive(bytes);
    expect(violation(after)).toEqual({ packets: [`disconnect ${code}`], statement });
  });

  it('v5 MQTT-4.12.0-6 without a Method in CONNECT, AUTH and a Method in CONNACK are Protocol Errors', () => {
    for (const packet of [auth(CONTINUE), auth(0), accepted()]) {
      const rig = new Rig();
      rig.engine.connect('give up', rig.now);
      rig.open();
      rig.send(packet);
      expect(violation(rig)).toEqual({ packets: ['disconnect 0x82'], statement: 'MQTT-4.12.0-6' });
    }
  });

  it('v5 MQTT-4.12.0-7 without a Method in CONNECT there is no re-authentication', () => {
    const rig = new Rig();
    rig.engine.connect('give up', rig.now);
    rig.open();
    rig.send(connack());
    expect(rig.engine.reauthenticate(new Waiter(), rig.now)).toBe(false);
    expect(rig.sent()).toEqual([]);
  });

  it('v5 MQTT-3.1.2-29 AUTH with a Reason String that was not asked for is a Protocol Error', () => {
    for (const when of ['before CONNACK', 'after CONNACK']) {
      const options = { properties: { requestProblemInformation: false } };
      const rig = when === 'before CONNACK' ? connecting(options) : online(options);
      if (when === 'after CONNACK') reauthenticating(rig);
      rig.send(auth(CONTINUE, { reasonString: 'why' }));
      expect(violation(rig)).toEqual({ packets: ['disconnect 0x82'], statement: 'MQTT-3.1.2-29' });
    }
  });

  it('ends the attempt if a function fails, with the code that it names if a client may send it', () => {
    const cases: [number | undefined, string][] = [
      [undefined, 'disconnect 0x80'],
      [0x83, 'disconnect 0x83'],
      [0x87, 'disconnect 0x80'],
      [0x04, 'disconnect 0x80'],
    ];
    for (const [reasonCode, last] of cases) {
      const rig = connecting();
      rig.send(auth(CONTINUE));
      rig.effects.take();
      const error = new ConnectError('authentication', 'no token', { reasonCode });
      rig.engine.authenticationFailed(error, rig.now);
      expect(brief(rig.rest())).toEqual([last]);
      expect(rig.effects.take()).toEqual(['authentication failed', 'hang up', 'changed: gaveUp']);
      expect(rig.effects.last('gaveUp').error).toBe(error);
    }
  });

  it('a failed function is retried with the usual delay', () => {
    const rig = online();
    rig.engine.lost(undefined, rig.now);
    rig.advance(1_000);
    rig.engine.opened({ properties: { authenticationMethod: METHOD } }, rig.now);
    rig.send(auth(CONTINUE));
    rig.engine.authenticationFailed(new ConnectError('authentication', 'no', { reasonCode: 0x8c }), rig.now);
    expect(rig.effects.last('disconnected').willRetryIn).toBe(2_000);
  });

  it('is bounded by connectTimeout, which says whether the application or the server was waited for', () => {
    const rig = connecting({ connectTimeout: 500 });
    rig.send(auth(CONTINUE));
    rig.advance(500);
    expect(rig.effects.last('gaveUp').error).toMatchObject({ phase: 'timeout', during: 'authentication' });
    const silent = connecting({ connectTimeout: 500 });
    silent.send(auth(CONTINUE));
    silent.engine.authenticated(undefined, silent.now);
    silent.advance(500);
    expect(silent.effects.last('gaveUp').error).toMatchObject({ phase: 'timeout', during: 'connack' });
  });

  it('disconnect() ends it', () => {
    const rig = connecting();
    rig.send(auth(CONTINUE));
    rig.effects.take();
    rig.disconnect();
    expect(rig.effects.take()).toEqual(['authentication failed', 'hang up', 'changed: closed']);
    rig.engine.authenticated(utf8('late'), rig.now);
    expect(rig.sent()).toEqual([]);
  });
});

describe("the server's proof", () => {
  /** An engine whose application checks the proof that came with CONNACK. Messages are behind it. */
  function proving(): Rig {
    const rig = connecting();
    rig.effects.proof = 'asked';
    rig.publish('secret', { qos: 0 });
    rig.engine.onData(
      rig.bytes(accepted({ authenticationData: utf8('proof') }), publish({ topic: 'behind' })),
    );
    expect(rig.engine.read(rig.now)).toBe('stop');
    return rig;
  }

  it('is checked before the connection is used, and what is behind CONNACK waits', () => {
    const rig = proving();
    expect(rig.effects.take()).toEqual(['authentication: finish']);
    expect(rig.effects.steps.at(-1)).toMatchObject({ properties: { authenticationData: utf8('proof') } });
    expect(rig.engine.state).toBe('connecting');
    expect(rig.engine.mayRead).toBe(false);
    expect(rig.sent()).toEqual([]);
    rig.engine.authenticated(undefined, rig.now);
    expect(rig.effects.take()).toEqual(['authentication done', 'changed: connected']);
    expect(rig.engine.mayRead).toBe(true);
    expect(rig.read()).toBe('all');
    expect(rig.effects.delivered).toMatchObject([{ topic: 'behind' }]);
    expect(brief(rig.sent())).toEqual(['publish secret']);
  });

  it('that is wrong ends the attempt, and nothing was delivered or sent', () => {
    const rig = proving();
    rig.effects.take();
    rig.engine.authenticationFailed(new ConnectError('authentication', 'an impostor'), rig.now);
    expect(brief(rig.rest())).toEqual(['disconnect 0x80']);
    expect(rig.effects.take()).toEqual(['authentication failed', 'hang up', 'changed: gaveUp']);
    expect(rig.effects.delivered).toEqual([]);
  });

  it('that is being checked counts towards connectTimeout', () => {
    const rig = proving();
    rig.advance(30_000);
    expect(rig.effects.last('gaveUp').error).toMatchObject({ phase: 'timeout', during: 'authentication' });
  });

  it('is not delivered past by the last read of a connection that is lost', () => {
    const rig = proving();
    expect(rig.engine.read(rig.now, 'none')).toBe('all');
    rig.engine.lost(undefined, rig.now);
    expect(rig.effects.delivered).toEqual([]);
    expect(rig.effects.last('gaveUp').error.message).toBe('the server closed the connection before CONNACK');
  });

  it('of a re-authentication is checked while other traffic goes on', () => {
    const rig = online();
    const waiter = reauthenticating(rig);
    rig.effects.proof = 'asked';
    rig.send(auth(0, { authenticationData: utf8('proof') }), publish({ topic: 'on' }));
    expect(rig.effects.delivered).toMatchObject([{ topic: 'on' }]);
    expect(waiter.outcome).toBe('waiting');
    rig.engine.authenticated(undefined, rig.now);
    expect(waiter.outcome).toBe('authenticated');
    expect(rig.engine.state).toBe('connected');
  });
});
