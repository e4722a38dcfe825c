import { describe, expect, it } from '@jest/globals';
import {
  callable,
  checkEncodable,
  checkObject,
  choice,
  integerIn,
  boolean,
  integer,
  numeric,
  oneOf,
  checkKeys,
  string,
  wrongType,
} from '../../../lib/client/config/validate.ts';
import { ProtocolError } from '../../../lib/errors.ts';
import { THROWN } from '../../support/thrown.ts';

describe('a check', () => {
  it.each([
    [() => integer('n', 'ten', 0), 'n: expected an integer of 0 or more, got a string of 3 characters'],
    [() => integer('n', '', 1, 9), 'n: expected an integer from 1 to 9, got an empty string'],
    [() => integer('n', null, 0), 'n: expected an integer of 0 or more, got null'],
    [() => numeric('n', undefined, 0, 1), 'n: expected a number from 0 to 1, got undefined'],
    [() => boolean('f', 1), 'f: expected true or false, got 1'],
    [() => string('s', [1, 2]), 's: expected a string, got an array of 2'],
    [() => string('s', () => {}), 's: expected a string, got a function'],
    [() => callable('f', 1), 'f: expected a function, got 1'],
    [() => choice(1, 2)('o', 3), 'o: expected 1 or 2, got 3'],
    [() => oneOf('o', 3, [0, 1, 2]), 'o: expected 0 or 1 or 2, got 3'],
    [() => oneOf('o', 'c', ['a', 'b']), 'o: expected "a" or "b", got a string of 1 characters'],
    [() => checkKeys('r', null, []), 'r: expected an object, got null'],
    [() => checkKeys('r', [], []), 'r: expected an object, got an array of 0'],
    [() => checkKeys('r', { c: 1 }, ['a', 'b']), 'r: expected one of a, b, got c'],
  ])('says what it expected and what it got (%#)', (check, message) => {
    expect(check).toThrow(TypeError);
    expect(check).toThrow(message);
  });

  it.each([
    [() => integer('n', -1, 0), 'n: expected an integer of 0 or more, got -1'],
    [() => integer('n', 1.5, 0, 2), 'n: expected an integer from 0 to 2, got 1.5'],
    [() => integer('n', Number.NaN, 0), 'got NaN'],
    [() => integer('n', 2 ** 53, 0), 'got 9007199254740992'],
    [() => numeric('n', Infinity, 0), 'n: expected a number of 0 or more, got Infinity'],
    [() => numeric('n', -0.1, 0, 1), 'n: expected a number from 0 to 1, got -0.1'],
  ])('says what is out of range (%#)', (check, message) => {
    expect(check).toThrow(RangeError);
    expect(check).toThrow(message);
  });

  it('returns a valid value, bounds included', () => {
    const given = { a: 1 };
    expect([integer('n', 0, 0), integer('n', 9, 1, 9), numeric('n', 0.5, 0.5)]).toEqual([0, 9, 0.5]);
    expect([boolean('f', false), string('s', ''), oneOf('o', 2, [1, 2])]).toEqual([false, '', 2]);
    expect(checkKeys('r', given, ['a'])).toBe(given);
  });

  it('never shows text, which could be a secret, nor the contents of an object', () => {
    const messages = ['hunter2', ['hunter2'], { password: 'hunter2' }, new Map([['k', 'hunter2']])].map(
      (value) => wrongType('x', 'a number', value).message,
    );
    expect(messages).toHaveLength(4);
    expect(messages.join()).not.toContain('hunter2');
  });
});

describe('checkObject()', () => {
  interface Pair {
    readonly a: number;
    readonly b?: string | undefined;
  }
  const checks = { a: integerIn(1, 9), b: string };

  it('checks every key, and returns a copy without undefined ones', () => {
    const given = { a: 1, b: undefined };
    const copy = checkObject<Pair>('pair', given, checks);
    expect(copy).toStrictEqual({ a: 1 });
    expect(copy).not.toBe(given);
  });

  it('names the key of an error', () => {
    expect(() => checkObject<Pair>('pair', { a: 10 }, checks)).toThrow(
      'pair.a: expected an integer from 1 to 9',
    );
    expect(() => checkObject<Pair>('pair', { b: 5 }, checks)).toThrow('pair.b: expected a string, got 5');
    expect(() => checkObject<Pair>('pair', { c: 1 }, checks)).toThrow('pair: expected one of a, b, got c');
  });
});

describe('a wrong argument', () => {
  it.each(Object.entries(THROWN))('that is %s can be described', (_, make) => {
    expect(wrongType('x', 'a number', make())).toMatchObject({
      name: 'TypeError',
      message: expect.stringMatching(/^x: expected a number, got /),
    });
  });
});

describe('checkEncodable()', () => {
  it('makes a TypeError of a ProtocolError, and leaves other errors as they are', () => {
    const breach = new ProtocolError('too long', 'MQTT-1.5.4-1', 0x81);
    const thrown = (check: () => void): unknown => {
      try {
        return checkEncodable(check);
      } catch (error) {
        return error;
      }
    };
    const argument = thrown(() => {
      throw breach;
    }) as TypeError;
    expect(argument).toBeInstanceOf(TypeError);
    expect([argument.message, argument.cause]).toEqual(['too long [MQTT-1.5.4-1]', breach]);
    const range = new RangeError('out of range');
    expect(
      thrown(() => {
        throw range;
      }),
    ).toBe(range);
    expect(thrown(() => {})).toBeUndefined();
  });
});
