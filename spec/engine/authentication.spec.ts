import { describe, expect, it } from '@jest/globals';
import type { AuthProperties, EncodablePacket } from '../../lib/codec/packets.ts';
import type { EngineOptions } from '../../lib/engine/options.ts';
import { ConnectError, ConnectionLostError, type MqttError, TimeoutError } from '../../lib/errors.ts';
import { brief } from '../support/engines.ts';
import { connack, disconnect, publish, puback, suback, utf8 } from '../support/packets.ts';
import { Rig } from '../support/rig.ts';

const METHOD = 'SCRAM';
const CONTINUE = 0x18;

/** AUTH of the server. */
function auth(reasonCode: number, properties: AuthProperties = {}): EncodablePacket {
  return { type: 'auth', reasonCode, properties: { authenticationMethod: METHOD, ...properties } };
}

const accepted = (properties: AuthProperties = {}): EncodablePacket =>
  connack({ authenticationMethod: METHOD, ...properties });

/** An engine that has sent CONNECT with an Authentication Method, or without. */
function connecting(
  options: Partial<EngineOptions> = {},
  authenticationMethod: string | undefined = METHOD,
): Rig {
  const rig = new Rig(options);
  rig.engine.connect('give up', rig.now);
  opened(rig, authenticationMethod);
  return rig;
}

function opened(rig: Rig, authenticationMethod: string | undefined = METHOD): void {
  const properties = {
    ...rig.options.properties,
    ...(authenticationMethod !== undefined && { authenticationMethod }),
  };
  rig.engine.opened({ properties }, rig.now);
  rig.sent();
  rig.effects.take();
}

/** An engine whose connection was accepted without AUTH. */
function online(options: Partial<EngineOptions> = {}, answer: EncodablePacket = accepted()): Rig {
  const rig = connecting(options);
  rig.send(answer);
  rig.sent();
  rig.effects.take();
  return rig;
}

/** The next connection is accepted. Returns what the client writes then: a suspect message would wait. */
function again(rig: Rig): string[] {
  rig.advance(rig.engine.nextTimeout() - rig.now);
  opened(rig);
  rig.send(accepted());
  return brief(rig.sent());
}

/** Waits for a re-authentication. */
class Waiter {
  outcome: 'waiting' | 'authenticated' | MqttError = 'waiting';
  authenticated(): void {
    this.outcome = 'authenticated';
  }
  failed(error: MqttError): void {
    this.outcome = error;
  }
}

/** A re-authentication whose first AUTH was sent. */
function reauthenticating(rig: Rig): Waiter {
  const waiter = new Waiter();
  expect(rig.engine.reauthenticate(waiter, rig.now)).toBe(true);
  rig.engine.authenticated(utf8('first'), rig.now);
  rig.sent();
  rig.effects.take();
  return waiter;
}

/** What ended the connection: the last packets, and the broken statement. */
function violation(rig: Rig): { packets: string[]; statement: string | undefined } {
  const packets = brief(rig.rest());
  const change = rig.effects.changes.at(-1);
  const error = change !== undefined && 'error' in change ? change.error : undefined;
  const broken = (error instanceof ConnectError ? error.cause : error) as { statement?: string } | undefined;
  return { packets, statement: broken?.statement };
}

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
