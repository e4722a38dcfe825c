import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import type { Connection } from '../../lib/connection/connection.ts';
import { backoffDelay } from '../../lib/engine/backoff.ts';
import { ConnectAttempts } from '../../lib/engine/connect-attempts.ts';
import type { Verdict } from '../../lib/engine/connect-errors.ts';
import { ConnectionState } from '../../lib/engine/connection-state.ts';
import type { EngineOptions } from '../../lib/engine/options.ts';
import { ConnectError, ConnectionLostError } from '../../lib/errors.ts';
import { ENGINE_DEFAULTS } from '../support/engine-options.ts';
import { online } from '../support/engines.ts';

const half = (): number => 0.5;

function attempts(options: Partial<EngineOptions> = {}): ConnectAttempts {
  return new ConnectAttempts({ ...ENGINE_DEFAULTS, ...options }, { random: half });
}

const BACKOFF = { minDelay: 1_000, maxDelay: 120_000, factor: 2, jitter: 0 };

const error = new ConnectionLostError('gone');

/** What follows a failure: the delay, or why there is none. */
function failed(some: ConnectAttempts, verdict: Verdict = 'normal', now = 0): number | string {
  const next = some.failed(error, verdict, now);
  return next.input === 'lost' ? next.delay : next.input;
}

describe('ConnectAttempts', () => {
  it('gives up or retries the first attempt, as requested', () => {
    const some = attempts();
    some.begin('give up');
    expect(failed(some)).toBe('gaveUp');
    some.begin('retry');
    expect(failed(some)).toBe(1_000);
    expect(failed(some)).toBe(2_000);
    expect(some.number).toBe(2);
    some.begin('retry');
    expect(some.number).toBe(0);
  });

  it('retries after an accepted attempt, starting with the first delay', () => {
    const some = attempts();
    some.begin('give up');
    some.accepted(0, 'c');
    expect([failed(some), failed(some)]).toEqual([1_000, 2_000]);
    some.accepted(0, 'c');
    expect(failed(some)).toBe(1_000);
  });

  it('ends with a final error, and with a loss if reconnect is false', () => {
    const some = attempts({ reconnect: false });
    some.begin('give up');
    expect(failed(some, 'final')).toBe('ended');
    expect(failed(some)).toBe('gaveUp');
    some.accepted(0, 'c');
    expect(failed(some)).toBe('ended');
  });

  it('waits longer if the verdict is patient, and never less than the usual delay', () => {
    const some = attempts({ reconnect: { minDelay: 1_000, maxDelay: 8_000, factor: 2, jitter: 0 } });
    some.begin('retry');
    const delays = Array.from({ length: 4 }, () => failed(some, 'patient'));
    expect(delays).toEqual([2_000, 2_000, 4_000, 8_000]);
  });

  it('requests Clean Start once if the session is to be kept', () => {
    const kept = attempts({ cleanStart: true, sessionExpiryInterval: 1 });
    const plain = attempts({ cleanStart: true });
    const never = attempts({ cleanStart: false });
    const old = attempts({ protocolVersion: 4, cleanStart: true, sessionExpiryInterval: 1 });
    const all = [kept, plain, never, old];
    expect(all.map((one) => one.cleanStart())).toEqual([true, true, false, true]);
    for (const one of all) one.accepted(0, 'c');
    expect(all.map((one) => one.cleanStart())).toEqual([false, true, false, true]);
  });

  it('wipes once with "first" on 3.x, and inherits nothing then', () => {
    const some = attempts({ protocolVersion: 4, cleanStart: 'first' });
    expect([some.wipes(), some.cleanStart(), some.credentialsWorked]).toEqual([true, true, false]);
    some.wiped();
    expect([some.wipes(), some.cleanStart(), some.credentialsWorked]).toEqual([false, false, true]);
    some.accepted(0, 'c');
    expect([some.isFirst, some.isUnknownSession]).toEqual([true, false]);
    expect(attempts({ cleanStart: 'first' }).wipes()).toBe(false);
  });

  it('may inherit a session on its first connection alone', () => {
    const some = attempts({ cleanStart: false });
    some.accepted(0, 'c');
    expect([some.isFirst, some.isUnknownSession]).toEqual([true, true]);
    some.accepted(0, 'c');
    expect([some.isFirst, some.isUnknownSession]).toEqual([false, false]);
  });

  it('trusts credentials that were accepted, or that change', () => {
    const some = attempts();
    expect(some.credentialsWorked).toBe(false);
    some.accepted(0, 'c');
    expect(some.credentialsWorked).toBe(true);
    expect(attempts({ credentialsVary: true }).credentialsWorked).toBe(true);
  });

  it('keeps counting from the third short connection in a row, and reports flapping', () => {
    const some = attempts();
    some.begin('retry');
    const lives = (ms: number, from: number) => {
      some.accepted(from, 'c');
      return some.failed(error, 'normal', from + ms);
    };
    const lost = (delay: number, flapping: boolean) => ({ input: 'lost', delay, flapping });
    expect([lives(4_999, 0), lives(10, 0)]).toEqual([lost(1_000, false), lost(1_000, false)]);
    expect([lives(10, 0), lives(10, 0), lives(10, 0)]).toEqual([
      lost(2_000, true),
      lost(4_000, true),
      lost(8_000, true),
    ]);
    expect([lives(5_000, 0), lives(10, 0)]).toEqual([lost(1_000, false), lost(1_000, false)]);
  });

  it('asks the policy with the facts it needs, and follows its answer', () => {
    const some = attempts({ reconnect: { ...BACKOFF, policy: () => undefined } });
    some.begin('retry');
    const refused = new ConnectError('connack', 'refused', { reasonCode: 0x87 });
    some.accepted(100, 'c');
    expect(some.failed(error, 'normal', 400)).toEqual({
      input: 'undecided',
      context: { attempt: 0, error, reasonCode: undefined, uptime: 300, flapping: false },
    });
    expect([some.isUndecided, some.decided(250), some.isUndecided]).toMatchObject([
      true,
      { delay: 250 },
      false,
    ]);
    expect(some.failed(refused, 'patient', 500)).toEqual({
      input: 'undecided',
      context: { attempt: 1, error: refused, reasonCode: 0x87, uptime: 0, flapping: false },
    });
    expect(some.decided(undefined)).toMatchObject({ delay: 30_000 });
    for (const answer of [false, Infinity] as const) {
      some.failed(error, 'normal', 600);
      expect(some.decided(answer)).toEqual({ input: 'ended' });
    }
    some.failed(error, 'final', 600);
    expect(some.decided(7)).toMatchObject({ delay: 7 });
  });

  it('does not ask the policy after the attempt was given up', () => {
    const some = attempts({ reconnect: { ...BACKOFF, policy: () => 1 } });
    some.begin('retry');
    some.failed(error, 'normal', 0);
    some.abandoned();
    expect(some.isUndecided).toBe(false);
  });
});

describe('reconnect.maxAttempts', () => {
  const limited = (maxAttempts: number, policy?: () => number): ConnectAttempts => {
    const some = attempts({ reconnect: { ...BACKOFF, maxAttempts, policy } });
    some.begin('retry');
    return some;
  };

  it('ends the client after that many failed attempts in a row, and starts again with connect()', () => {
    const some = limited(3);
    expect([failed(some), failed(some), failed(some)]).toEqual([1_000, 2_000, 'ended']);
    some.begin('retry');
    expect([failed(some), failed(some), failed(some)]).toEqual([1_000, 2_000, 'ended']);
    expect(failed(limited(1))).toBe('ended');
  });

  it('does not count a lost connection', () => {
    const some = limited(2);
    failed(some);
    some.accepted(0, 'c');
    expect([failed(some, 'normal', 6_000), failed(some), failed(some)]).toEqual([1_000, 2_000, 'ended']);
  });

  it('counts an attempt that replaces a connection', () => {
    const some = limited(1);
    some.accepted(0, 'c');
    some.replaced();
    expect(failed(some, 'normal', 6_000)).toBe('ended');
  });

  it('counts every short connection from the third in a row on', () => {
    const some = limited(2);
    const results = [1, 2, 3, 4].map(() => {
      some.accepted(0, 'c');
      return failed(some, 'normal', 10);
    });
    expect(results).toEqual([1_000, 1_000, 2_000, 'ended']);
  });

  it('also limits a policy, which is not asked after the last attempt', () => {
    const some = limited(2, () => 1);
    expect([failed(some), some.decided(1), failed(some)]).toMatchObject(['undecided', { delay: 1 }, 'ended']);
    expect(some.isUndecided).toBe(false);
  });

  it('leaves a first attempt that is not retried as it is', () => {
    const some = limited(1);
    some.begin('give up');
    expect(failed(some)).toBe('gaveUp');
  });
});

describe('backoffDelay', () => {
  it('goes from minDelay to maxDelay by its factor', () => {
    const backoff = { minDelay: 1_000, maxDelay: 120_000, factor: 2, jitter: 0 };
    const delays = [0, 1, 2, 6, 7, 1_000_000].map((attempt) => backoffDelay(backoff, attempt, 0));
    expect(delays).toEqual([1_000, 2_000, 4_000, 64_000, 120_000, 120_000]);
  });

  it('peers P16 stays within the jitter around the delay, for any attempt', () => {
    const backoff = fc.record({
      minDelay: fc.nat(10_000),
      maxDelay: fc.integer({ min: 10_000, max: 1_000_000 }),
      factor: fc.double({ min: 1, max: 10, noNaN: true }),
      jitter: fc.double({ min: 0, max: 1, noNaN: true }),
    });
    const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    fc.assert(
      fc.property(backoff, fc.nat(2_000), chance, (options, attempt, random) => {
        const delay = backoffDelay(options, attempt, random);
        const middle = backoffDelay({ ...options, jitter: 0 }, attempt, random);
        expect(middle).toBeLessThanOrEqual(options.maxDelay);
        expect(middle).toBeGreaterThanOrEqual(options.minDelay);
        expect(Math.abs(delay - middle)).toBeLessThanOrEqual(middle * options.jitter + 1e-6);
      }),
    );
  });

  it('is a number for ever with minDelay 0', () => {
    expect(backoffDelay({ minDelay: 0, maxDelay: 10, factor: 10, jitter: 0.2 }, 5_000, 0.5)).toBe(0);
  });
});

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
