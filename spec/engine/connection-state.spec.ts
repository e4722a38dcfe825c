import { describe, expect, it } from '@jest/globals';
import type { Connection } from '../../lib/connection/connection.ts';
import { ConnectionState } from '../../lib/engine/connection-state.ts';
import { online } from '../support/engines.ts';

/** Whose delays do not matter: a policy answers in their place. */
const BACKOFF = { minDelay: 1, maxDelay: 1, factor: 1, jitter: 0 };

const connection = { connectionNumber: 1 } as Connection;

describe('ConnectionState', () => {
  it('has an established connection between CONNACK and the end', () => {
    const state = new ConnectionState();
    const seen = (): unknown[] => [state.state, state.established, state.phaseOf(connection)];
    expect(seen()).toEqual(['offline', undefined, 'gone']);
    state.go('connect');
    state.go('opened');
    state.open(connection);
    expect(seen()).toEqual(['connecting', undefined, 'open']);
    state.go('accepted');
    expect(seen()).toEqual(['connected', connection, 'up']);
    state.go('disconnect');
    expect(seen()).toEqual(['disconnecting', undefined, 'open']);
    state.leave();
    state.go('lost');
    expect(seen()).toEqual(['closed', undefined, 'gone']);
  });

  it('is not changed by an input that its state does not list', () => {
    const state = new ConnectionState();
    expect([state.go('accepted'), state.state]).toEqual([false, 'offline']);
  });
});

describe('the policy', () => {
  it('is asked through Effects, and its answer decides what follows', () => {
    const rig = online({ reconnect: { ...BACKOFF, policy: () => undefined } });
    rig.engine.lost(new Error('gone'), rig.now);
    expect([rig.effects.take(), rig.engine.state, rig.engine.nextTimeout()]).toEqual([
      ['decide'],
      'waiting',
      Infinity,
    ]);
    expect(rig.engine.reconnect(rig.now)).toBe(false);
    rig.engine.decided(70, rig.now);
    expect(rig.effects.last('disconnected').willRetryIn).toBe(70);
    rig.advance(70);
    expect(rig.effects.take()).toEqual(['changed: disconnected', 'changed: connecting', 'dial 1']);
  });

  it('is not heard once the client was ended, or was answered', () => {
    const rig = online({ reconnect: { ...BACKOFF, policy: () => undefined } });
    rig.engine.lost(new Error('gone'), rig.now);
    rig.disconnect();
    rig.engine.decided(70, rig.now);
    expect([rig.engine.state, rig.engine.nextTimeout()]).toEqual(['closed', Infinity]);
    const other = online({ reconnect: { ...BACKOFF, policy: () => undefined } });
    other.engine.lost(new Error('gone'), other.now);
    other.engine.decided(false, other.now);
    other.engine.decided(70, other.now);
    expect(other.effects.last('closed').error).toMatchObject({ message: 'the connection was lost: gone' });
  });
});
