import { describe, expect, it } from '@jest/globals';
import type { EngineOptions } from '../../lib/engine/options.ts';
import { ConnectError } from '../../lib/errors.ts';
import { offline, online } from '../support/engines.ts';
import { connack, disconnect } from '../support/packets.ts';
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
    expect(rig.effects.take()).toEqual(['changed: elsewhere', 'dial 0, the next server']);
    fail(rig, 'b is down');
    expect(rig.effects.take()).toEqual(['changed: elsewhere', 'dial 0, the next server']);
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
      'changed: elsewhere',
      'dial 0, the next server',
      'hang up',
      'changed: elsewhere',
      'dial 0, the next server',
      'hang up',
      'changed: elsewhere',
      'dial 0, the next server',
    ]);
    rig.open();
    rig.send(connack());
    expect(rig.engine.state).toBe('connected');
    rig.engine.lost(new Error('later'), rig.now);
    expect(rig.effects.last('disconnected').error.message).toBe('the connection was lost');
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
    expect(rig.effects.take()).toEqual(['changed: elsewhere', 'dial 0, the next server']);
    rig.effects.phase = 'tls';
    rig.advance(1);
    expect(rig.effects.take()).toEqual(['hang up', 'changed: elsewhere', 'dial 0, the next server']);
    expect(rig.effects.last('elsewhere').error).toMatchObject({
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
      'changed: elsewhere',
      'dial 0, the next server',
    ]);
    rig.open();
    rig.send(connack());
    expect(rig.engine.state).toBe('connected');
  });

  it('when it ends the connection is where the next attempt begins, after the usual delay', () => {
    const rig = online({ protocolVersion: 5 });
    rig.effects.take();
    rig.effects.followed = 1;
    rig.send(disconnect(0x9d, { serverReference: 'other' }));
    expect(rig.effects.take()).toEqual(['refer to other for good', 'hang up', 'changed: disconnected']);
    rig.advance(1_000);
    expect(rig.effects.take()).toEqual(['changed: connecting', 'dial 1']);
  });

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
