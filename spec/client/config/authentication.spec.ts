import { describe, expect, it } from '@jest/globals';
import { toAuthentication, toAuthenticationData } from '../../../lib/client/config/authentication.ts';
import { Client } from '../../../lib/client/client.ts';
import type { ClientOptions } from '../../../lib/client/config/client-options.ts';

const nothing = (): undefined => undefined;
const whole = { method: 'X', start: nothing, continue: nothing, finish: nothing };

describe('the option authentication', () => {
  it('takes an object with functions, also an instance of a class', () => {
    class Token {
      readonly method = 'TOKEN';
      readonly #token = 't';
      start(): string {
        return this.#token;
      }
      continue(): undefined {}
    }
    const token = new Token();
    expect(toAuthentication('authentication', token)).toBe(token);
    expect(toAuthentication('authentication', whole)).toBe(whole);
    expect(() => toAuthentication('authentication', { ...whole, finish: undefined })).not.toThrow();
  });

  it.each<[string, unknown, string]>([
    ['another type', 'SCRAM', 'authentication: expected an object, got a string of 5 characters'],
    ['no method', { ...whole, method: undefined }, 'authentication.method: expected a string, got undefined'],
    ['a method that is no text', { ...whole, method: 'a\0' }, 'MQTT-1.5.4-2'],
    ['no start', { ...whole, start: undefined }, 'authentication.start: expected a function, got undefined'],
    ['no continue', { ...whole, continue: 1 }, 'authentication.continue: expected a function, got 1'],
    ['a finish that is no function', { ...whole, finish: {} }, 'authentication.finish: expected a function'],
    ['a misspelt finish, so that no proof is left unchecked', { ...whole, finnish: nothing }, 'got finnish'],
  ])('refuses %s', (_, wrong, message) => {
    const options = { protocolVersion: 5, authentication: wrong } as ClientOptions;
    expect(() => new Client('mqtt://h', options)).toThrow(TypeError);
    expect(() => new Client('mqtt://h', options)).toThrow(message);
  });

  it.each([3, 4] as const)('does not exist on version %d', (protocolVersion) => {
    expect(() => new Client('mqtt://h', { protocolVersion, authentication: whole })).toThrow(
      `authentication: expected none with protocolVersion ${protocolVersion}, as only MQTT 5.0 has it`,
    );
  });

  it('configure() changes it, and checks it like the constructor', () => {
    const client = new Client('mqtt://h', { protocolVersion: 5 });
    expect(() => client.configure({ authentication: whole })).not.toThrow();
    expect(() => client.configure({ authentication: { ...whole, start: 1 as never } })).toThrow(TypeError);
    expect(() => new Client('mqtt://h').configure({ authentication: whole })).toThrow(TypeError);
  });
});

describe('Authentication Data', () => {
  it('is a copy of bytes, text as UTF-8, or none', () => {
    const bytes = Buffer.from([1, 2]);
    const data = toAuthenticationData('start', bytes);
    bytes.fill(0);
    expect(data).toEqual(Uint8Array.of(1, 2));
    expect(toAuthenticationData('start', 'ä')).toEqual(Uint8Array.of(0xc3, 0xa4));
    expect(toAuthenticationData('start', '')).toEqual(new Uint8Array(0));
    expect(toAuthenticationData('start', undefined)).toBeUndefined();
    expect(toAuthenticationData('start', 'x'.repeat(65_535))).toHaveLength(65_535);
  });

  it('of another type or size is refused, and never shown', () => {
    for (const wrong of [null, 12_345, {}, '\ud800secret', [1]]) {
      expect(() => toAuthenticationData('start', wrong)).toThrow(TypeError);
      expect(() => toAuthenticationData('start', wrong)).not.toThrow(/12345|secret/);
    }
    expect(() => toAuthenticationData('start', 'x'.repeat(65_536))).toThrow(
      new RangeError('start: expected at most 65535 bytes, got 65536'),
    );
  });
});
