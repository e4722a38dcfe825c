import { describe, expect, it } from '@jest/globals';
import { toReconnect, toReconnection } from '../../../lib/client/config/reconnect-options.ts';
import { ClientLogger } from '../../../lib/client/logger.ts';
import { ConnectionLostError } from '../../../lib/errors.ts';

const reconnect = (value: unknown) => toReconnect('reconnect', value);
const DEFAULTS = { minDelay: 1_000, maxDelay: 120_000, factor: 2, jitter: 0.2, retryInitial: false };

describe('reconnect', () => {
  it('has defaults, and a function is short for { policy }', () => {
    const policy = () => 5;
    expect(reconnect({})).toEqual(DEFAULTS);
    expect(reconnect({ factor: 3, policy: undefined })).toEqual({ ...DEFAULTS, factor: 3 });
    expect(reconnect(policy)).toEqual({ ...DEFAULTS, policy });
    expect(reconnect(false)).toBe(false);
  });

  it('takes every value in its range', () => {
    const all = { minDelay: 0, maxDelay: 0.5, factor: 1, jitter: 1, maxAttempts: 1, retryInitial: true };
    expect(reconnect(all)).toEqual(all);
  });

  it('never has a maximum below its minimum', () => {
    expect(reconnect({ minDelay: 300_000 })).toMatchObject({ minDelay: 300_000, maxDelay: 300_000 });
    expect(() => reconnect({ minDelay: 10, maxDelay: 9 })).toThrow(
      new RangeError('reconnect.maxDelay: expected a number of 10 or more, got 9'),
    );
  });

  it.each([
    [{ minDelay: -1 }, RangeError, 'reconnect.minDelay: expected a number of 0 or more, got -1'],
    [{ minDelay: '1' }, TypeError, 'reconnect.minDelay: expected a number of 0 or more'],
    [{ maxDelay: Infinity }, RangeError, 'reconnect.maxDelay: expected a number of 0 or more, got Infinity'],
    [{ factor: 0.9 }, RangeError, 'reconnect.factor: expected a number of 1 or more, got 0.9'],
    [{ jitter: 1.1 }, RangeError, 'reconnect.jitter: expected a number from 0 to 1, got 1.1'],
    [{ jitter: -0.1 }, RangeError, 'reconnect.jitter: expected a number from 0 to 1, got -0.1'],
    [{ maxAttempts: 0 }, RangeError, 'reconnect.maxAttempts: expected an integer of 1 or more, got 0'],
    [{ maxAttempts: 1.5 }, RangeError, 'reconnect.maxAttempts: expected an integer of 1 or more, got 1.5'],
    [{ maxAttempts: '3' }, TypeError, 'reconnect.maxAttempts: expected an integer of 1 or more'],
    [{ policy: 5 }, TypeError, 'reconnect.policy: expected a function, got 5'],
    [{ retryInitial: 1 }, TypeError, 'reconnect.retryInitial: expected true or false, got 1'],
    [{ mindelay: 5 }, TypeError, 'got mindelay'],
    [true, TypeError, 'reconnect: expected an object, got true'],
    [null, TypeError, 'reconnect: expected an object, got null'],
  ])('refuses %j', (value, kind, message) => {
    expect(() => reconnect(value)).toThrow(kind);
    expect(() => reconnect(value)).toThrow(message);
  });
});

describe('the part of the engine', () => {
  const lines: string[] = [];
  const write = (line: string) => void lines.push(line);
  const logger = new ClientLogger({ debug: write, info: write, warn: write, error: write });
  const context = {
    attempt: 0,
    error: new ConnectionLostError('gone'),
    reasonCode: undefined,
    uptime: 0,
    flapping: false,
  };

  it('is everything but retryInitial', () => {
    const { retryInitial: _, ...rest } = DEFAULTS;
    const settings = reconnect({ maxAttempts: 3 });
    expect(toReconnection(settings, logger)).toEqual({ ...rest, maxAttempts: 3 });
    expect(toReconnection(false, logger)).toBe(false);
  });

  it('has a policy that never throws, and logs an invalid answer', () => {
    const answers: unknown[] = [7, 0, false, Infinity, -1, Number.NaN, 'soon', undefined];
    const given = answers.map((answer) => {
      const settings = toReconnection(reconnect({ policy: () => answer }), logger);
      return settings && settings.policy?.(context);
    });
    expect(given).toEqual([7, 0, false, Infinity, undefined, undefined, undefined, undefined]);
    expect(lines).toEqual(
      ['-1', 'NaN', 'string', 'undefined'].map(
        (got) =>
          `reconnect.policy: expected a delay in ms or false, got ${got}; the default delay is used instead`,
      ),
    );
  });
});
