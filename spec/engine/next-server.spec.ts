import { describe, expect, it } from '@jest/globals';
import type { EngineOptions } from '../../lib/engine/options.ts';
import { ConnectError } from '../../lib/errors.ts';
import type { Packet } from '../../lib/codec/packets.ts';
import { brief, offline, online } from '../support/engines.ts';
import { connack, disconnect, puback, suback } from '../support/packets.ts';
import type { Rig } from '../support/rig.ts';

/** One that is dialing the first of so many servers. */
function dialing(servers: number, options: Partial<EngineOptions> = {}): Rig {
  const rig = offline(options);
  rig.effects.servers = servers;
  rig.engine.connect('give up', rig.now);
  expect(rig.effects.take()).toEqual(['changed: connecting', 'dial 0']);
  return rig;
}

const fail = (rig: Rig, message: string) => rig.engine.dialFailed(new ConnectError('dial', message), rig.now);

describe('an attempt with several servers', () => {
  it('goes on with the next one where one cannot be dialled, and fails with what all of them said', () => {
    const rig = dialing(3);
    fail(rig, 'a is down');
    expect(rig.effects.take()).toEqual(['changed: nextServer', 'dial 0, the next server']);
    fail(rig, 'b is down');
    expect(rig.effects.take()).toEqual(['changed: nextServer', 'dial 0, the next server']);
    rig.engine.dialFailed(new ConnectError('tls', 'c is expired'), rig.now);
    expect(rig.effects.take()).toEqual(['changed: gaveUp']);
    const { error } = rig.effects.last('gaveUp');
    expect(error).toMatchObject({
      phase: 'tls',
      message: 'none of 3 servers: a is down; b is down; c is expired',
      cause: { errors: [{ message: 'a is down' }, { message: 'b is down' }, { message: 'c is expired' }] },
    });
  });

  it('goes on where CONNACK does not come, or refuses for now, or the connection breaks before', () => {
    const rig = dialing(4, { protocolVersion: 5 });
    rig.open();
    rig.engine.lost(undefined, rig.now);
    rig.open();
    rig.send(connack({ reasonCode: 0x88 }));
    rig.open();
    rig.receive(Uint8Array.of(0x20, 0x80, 0x80, 0x80, 0x80));
    expect(rig.effects.take()).toEqual([
      'changed: nextServer',
      'dial 0, the next server',
      'hang up',
      'changed: nextServer',
      'dial 0, the next server',
      'hang up',
      'changed: nextServer',
      'dial 0, the next server',
    ]);
    rig.open();
    rig.send(connack());
    expect(rig.engine.state).toBe('connected');
    rig.engine.lost(new Error('later'), rig.now);
    expect(rig.effects.last('disconnected').error.message).toBe('the connection was lost: later');
  });

  it('does not go on where the refusal would be the same everywhere, nor where nobody wants it any more', () => {
    const refused = dialing(2, { protocolVersion: 5 });
    refused.open();
    refused.send(connack({ reasonCode: 0x85 }));
    expect(refused.engine.state).toBe('closed');
    const left = dialing(2);
    left.engine.giveUp(new ConnectError('timeout', 'given up'), left.now);
    expect(left.effects.last('gaveUp').error.message).toBe('given up');
    const ended = dialing(2);
    ended.engine.disconnect({ reasonCode: 0, properties: {}, pending: 'keep', timeout: 5_000 }, ended.now);
    expect(ended.engine.state).toBe('closed');
  });

  it('gives each server an equal share of the time that is left, and takes no longer than connectTimeout', () => {
    const rig = dialing(3, { connectTimeout: 900 });
    rig.advance(100);
    fail(rig, 'a is down');
    rig.advance(399);
    expect(rig.effects.take()).toEqual(['changed: nextServer', 'dial 0, the next server']);
    rig.effects.phase = 'tls';
    rig.advance(1);
    expect(rig.effects.take()).toEqual(['hang up', 'changed: nextServer', 'dial 0, the next server']);
    expect(rig.effects.last('nextServer').error).toMatchObject({
      phase: 'timeout',
      during: 'tls',
      message: 'no connection within 400 ms: waited for the TLS handshake (tls)',
    });
    rig.advance(400);
    expect(rig.effects.take()).toEqual(['hang up', 'changed: gaveUp']);
    expect(rig.now - 900).toBe(offline().now);
  });

  it('begins with the first one again after the delay, and has nothing left of what failed before', () => {
    const rig = dialing(2, { reconnect: { minDelay: 100, maxDelay: 100, factor: 1, jitter: 0 } });
    rig.open();
    rig.send(connack());
    rig.engine.lost(undefined, rig.now);
    rig.effects.take();
    rig.advance(100);
    fail(rig, 'a is down');
    fail(rig, 'b is down');
    expect(rig.effects.last('disconnected').error.message).toBe('none of 2 servers: a is down; b is down');
    rig.advance(100);
    fail(rig, 'a is down');
    rig.open();
    rig.engine.lost(undefined, rig.now);
    expect(rig.effects.last('disconnected').error.message).toMatch(
      /^none of 2 servers: a is down; the server/,
    );
  });
});

describe('v5 U-4.11-a a server that names another one', () => {
  it.each([
    [0x9c, 'for now'],
    [0x9d, 'for good'],
  ])('when it refuses with %d is left for that one in the same attempt', (reasonCode, lasting) => {
    const rig = dialing(1, { protocolVersion: 5 });
    rig.effects.followed = 1;
    rig.open();
    rig.send(connack({ reasonCode, serverReference: 'other:1883' }));
    expect(rig.effects.take()).toEqual([
      `refer to other:1883 ${lasting}`,
      'hang up',
      'changed: nextServer',
      'dial 0, the next server',
    ]);
    rig.open();
    rig.send(connack());
    expect(rig.engine.state).toBe('connected');
  });

  it.each([
    [0x9c, 'for now'],
    [0x9d, 'for good'],
  ])(
    'when it ends the connection with %d is where the next attempt begins, after the usual delay',
    (reasonCode, lasting) => {
      const rig = online({ protocolVersion: 5 });
      rig.effects.take();
      rig.effects.followed = 1;
      rig.send(disconnect(reasonCode, { serverReference: 'other' }));
      expect(rig.effects.take()).toEqual([`refer to other ${lasting}`, 'hang up', 'changed: disconnected']);
      rig.advance(1_000);
      expect(rig.effects.take()).toEqual(['changed: connecting', 'dial 1']);
    },
  );

  it('is only refused or lost where the reference is not followed, or there is none', () => {
    const rig = dialing(1, { protocolVersion: 5 });
    rig.open();
    rig.send(connack({ reasonCode: 0x9c, serverReference: 'other' }));
    expect(rig.effects.last('gaveUp').error).toMatchObject({ phase: 'connack', reasonCode: 0x9c });
    const bare = dialing(1, { protocolVersion: 5 });
    bare.effects.followed = 1;
    bare.open();
    bare.send(connack({ reasonCode: 0x9d }));
    expect(bare.effects.take()).toEqual(['hang up', 'changed: gaveUp']);
  });
});

describe('a session and the servers it may be at', () => {
  const KEPT = { cleanStart: false, sessionExpiryInterval: 3_600 } as const;
  const PRESENT = connack({ sessionPresent: true });

  /** The connection breaks, and the next one is to `server`. Returns what is written once it is accepted. */
  function moveTo(rig: Rig, server: string, answer = PRESENT): Packet[] {
    rig.engine.lost(undefined, rig.now);
    rig.advance(1_000);
    rig.open(server);
    rig.send(answer);
    return rig.sent();
  }

  function at(server: string, options: Partial<EngineOptions>): Rig {
    const rig = offline(options);
    rig.engine.connect('give up', rig.now);
    rig.open(server);
    rig.send(connack());
    rig.sent();
    return rig;
  }

  it.each([4, 5] as const)(
    'is completed where another server has one of an earlier time: no subscription is missing there (%d)',
    (protocolVersion) => {
      const rig = at('a', {
        ...KEPT,
        protocolVersion,
        ...(protocolVersion < 5 && { sessionExpiryInterval: 0 }),
      });
      rig.request('subscribe', 'x');
      rig.sent();
      rig.send(suback(1, 0));
      expect(brief(moveTo(rig, 'b', connack()))).toEqual(['subscribe 2']);
      rig.send(suback(2, 0));
      rig.request('subscribe', 'y');
      rig.sent();
      rig.send(suback(3, 0));
      const [subscribe, ...rest] = moveTo(rig, 'a');
      expect(rest).toEqual([]);
      // What is retained does not come again for what that session has.
      const retainHandling = protocolVersion === 5 ? 1 : undefined;
      expect(subscribe).toMatchObject({
        type: 'subscribe',
        subscriptions: [{ topicFilter: 'x' }, { topicFilter: 'y' }].map((entry) =>
          retainHandling === undefined ? entry : { ...entry, retainHandling },
        ),
      });
      rig.send(suback(subscribe?.type === 'subscribe' ? subscribe.packetId : 0, 0, 0));
      expect(moveTo(rig, 'a')).toEqual([]);
    },
  );

  it('goes on at another server, and a QoS 2 message is not taken there for a repeat of an old one', () => {
    const rig = at('a', KEPT);
    const first = rig.publish('one', { qos: 1 });
    rig.sent();
    expect(brief(moveTo(rig, 'b'))).toEqual(['publish one 1 DUP']);
    rig.send(puback(1));
    expect(first.waiter.reasonCode).toBe(0);
    rig.publish('two', { qos: 2 });
    expect(brief(rig.sent())).toEqual(['pubrel 2', 'publish two 2']);
    expect(rig.effects.changes.map(({ type }) => type)).not.toContain('sessionLost');
  });

  it('is wiped at each server that is tried until one is accepted to be kept: cleanStart "first" on 3.1.1', () => {
    const rig = offline({ protocolVersion: 4, cleanStart: 'first' });
    rig.effects.servers = 2;
    rig.engine.connect('give up', rig.now);
    const cleanStartAt = (server: string) => {
      const [connect] = rig.open(server);
      return connect?.type === 'connect' && connect.cleanStart;
    };
    expect(cleanStartAt('a')).toBe(true);
    rig.send(connack());
    expect(cleanStartAt('a')).toBe(false);
    rig.engine.lost(undefined, rig.now);
    expect(cleanStartAt('b')).toBe(true);
    rig.send(connack());
    // Its URL is asked for again, and is another one: no loop.
    expect(cleanStartAt('c')).toBe(false);
    rig.send(connack());
    expect(rig.engine.state).toBe('connected');
  });
});
