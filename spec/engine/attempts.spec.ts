import { describe, expect, it } from '@jest/globals';
import { Attempts } from '../../lib/engine/attempts.ts';
import type { EngineOptions } from '../../lib/engine/options.ts';
import { ENGINE_DEFAULTS } from '../support/engine-options.ts';

const half = (): number => 0.5;

function attempts(options: Partial<EngineOptions> = {}): Attempts {
  return new Attempts({ ...ENGINE_DEFAULTS, ...options });
}

describe('Attempts', () => {
  it('gives the first up, or retries it, as was asked', () => {
    const some = attempts();
    some.begin('give up');
    expect(some.failed('normal', half)).toBe('gaveUp');
    some.begin('retry');
    expect(some.failed('normal', half)).toBe(1_000);
    expect(some.failed('normal', half)).toBe(2_000);
    expect(some.number).toBe(2);
    some.begin('retry');
    expect(some.number).toBe(0);
  });

  it('retries once one was accepted, from the first delay on', () => {
    const some = attempts();
    some.begin('give up');
    some.accepted();
    expect([some.failed('normal', half), some.failed('normal', half)]).toEqual([1_000, 2_000]);
    some.accepted();
    expect(some.failed('normal', half)).toBe(1_000);
  });

  it('ends with what is final, and with a loss where reconnect is false', () => {
    const some = attempts({ reconnect: false });
    some.begin('give up');
    expect(some.failed('final', half)).toBe('ended');
    expect(some.failed('normal', half)).toBe('gaveUp');
    some.accepted();
    expect(some.failed('normal', half)).toBe('ended');
  });

  it('is patient where that is asked for, and no less than the usual delay', () => {
    const some = attempts({ reconnect: { minDelay: 1_000, maxDelay: 8_000, factor: 2, jitter: 0 } });
    some.begin('retry');
    const delays = Array.from({ length: 4 }, () => some.failed('patient', half));
    expect(delays).toEqual([2_000, 2_000, 4_000, 8_000]);
  });

  it('asks for Clean Start once where the session is to be kept', () => {
    const kept = attempts({ cleanStart: true, sessionExpiryInterval: 1 });
    const plain = attempts({ cleanStart: true });
    const never = attempts({ cleanStart: false });
    const old = attempts({ protocolVersion: 4, cleanStart: true, sessionExpiryInterval: 1 });
    const all = [kept, plain, never, old];
    expect(all.map(({ cleanStart }) => cleanStart)).toEqual([true, true, false, true]);
    for (const one of all) one.accepted();
    expect(all.map(({ cleanStart }) => cleanStart)).toEqual([false, true, false, true]);
  });

  it('wipes once with "first" on 3.x, and inherits nothing then', () => {
    const some = attempts({ protocolVersion: 4, cleanStart: 'first' });
    expect([some.wipes, some.cleanStart, some.trusted]).toEqual([true, true, false]);
    some.wiped();
    expect([some.wipes, some.cleanStart, some.trusted]).toEqual([false, false, true]);
    some.accepted();
    expect([some.first, some.inherited]).toEqual([true, false]);
    expect(attempts({ cleanStart: 'first' }).wipes).toBe(false);
  });

  it('may inherit a session on its first connection alone', () => {
    const some = attempts({ cleanStart: false });
    some.accepted();
    expect([some.first, some.inherited]).toEqual([true, true]);
    some.accepted();
    expect([some.first, some.inherited]).toEqual([false, false]);
  });

  it('trusts credentials that were accepted, or that change', () => {
    const some = attempts();
    expect(some.trusted).toBe(false);
    some.accepted();
    expect(some.trusted).toBe(true);
    expect(attempts({ credentialsVary: true }).trusted).toBe(true);
  });
});
