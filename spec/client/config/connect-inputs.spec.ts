import { describe, expect, it } from '@jest/globals';
import type { ClientOptions } from '../../../lib/client/config/client-options.ts';
import {
  anyClientId,
  toClientId,
  toConnectProperties,
  toIdentity,
  toWill,
} from '../../../lib/client/config/connect-fields.ts';
import { ask } from '../../../lib/client/config/connect-inputs.ts';
import type { ServerUrl } from '../../../lib/client/config/endpoints.ts';
import { toSettings } from '../../../lib/client/config/settings.ts';
import { ConnectError } from '../../../lib/errors.ts';
import { firstAttempt } from '../../support/dial-contexts.ts';

describe('credentials', () => {
  const identityOf = async (options: object, fromUrl = {}) => {
    const { connectInputs: identify } = toSettings('mqtt://server', options as ClientOptions, Math.random);
    return identify(firstAttempt(), fromUrl);
  };
  const bytes = (text: string) => new TextEncoder().encode(text);

  it('are a user name and a password, as text or as bytes', async () => {
    await expect(identityOf({ username: 'u' })).resolves.toEqual({ username: 'u' });
    await expect(identityOf({ username: 'u', password: 'é' })).resolves.toEqual({
      username: 'u',
      password: bytes('é'),
    });
    await expect(identityOf({ username: '', password: Uint8Array.of(0, 255) })).resolves.toEqual({
      username: '',
      password: Uint8Array.of(0, 255),
    });
    await expect(identityOf({})).resolves.toEqual({});
  });

  it('have a password without a user name only on 5.0 [v4 MQTT-3.1.2-22]', async () => {
    for (const protocolVersion of [3, 4] as const)
      expect(() => toSettings('mqtt://server', { protocolVersion, password: 'p' }, Math.random)).toThrow(
        /^password: expected a username/,
      );
    await expect(identityOf({ protocolVersion: 5, password: 'p' })).resolves.toEqual({
      password: bytes('p'),
    });
  });

  it('of the URL are used for those that the options do not have', async () => {
    const fromUrl = { username: 'url', password: 'urlpass' };
    await expect(identityOf({}, fromUrl)).resolves.toEqual({ username: 'url', password: bytes('urlpass') });
    await expect(identityOf({ username: undefined }, fromUrl)).resolves.toMatchObject({ username: 'url' });
    await expect(identityOf({ username: 'mine' }, fromUrl)).resolves.toEqual({
      username: 'mine',
      password: bytes('urlpass'),
    });
  });

  it('are checked at once, and not shown in the message', () => {
    const wrong: object[] = [
      { username: 7 },
      { username: 'secret\ud800' },
      { username: 'secret'.repeat(20_000) },
      { username: 'u', password: ['secret'] },
      { username: 'u', password: 'secret\ud800' },
      { username: 'u', password: 'secret'.repeat(20_000) },
      { password: 'secret' },
      { credentials: 'secret' },
      { credentials: { username: 'secret' } },
    ];
    for (const options of wrong) {
      let error: unknown;
      try {
        toSettings('mqtt://server', options as ClientOptions, Math.random);
      } catch (thrown) {
        error = thrown;
      }
      expect(error instanceof TypeError || error instanceof RangeError).toBe(true);
      expect((error as Error).message).not.toContain('secret');
    }
    expect.assertions(wrong.length * 2);
  });

  it('of functions, or of several URLs, may vary', () => {
    const varies = (url: ServerUrl, options: ClientOptions = {}): unknown =>
      toSettings(url, options, Math.random).engine.credentialsVary;
    expect(varies('mqtt://server', { credentials: () => ({}) })).toBe(true);
    expect(varies(() => 'mqtt://server')).toBe(true);
    expect(varies('mqtt://me@a', { servers: ['mqtt://you@b'] })).toBe(true);
    expect(varies('mqtt://me@a', { servers: ['mqtt://me@b'] })).toBe(false);
  });

  it('of a function are checked when it returns them', () => {
    for (const given of [
      undefined,
      null,
      'token',
      { user: 'a' },
      { username: 'a\0' },
      { username: 'a'.repeat(65_536) },
    ])
      expect(() => toIdentity(given as never, 4)).toThrow(TypeError);
    expect(() => toIdentity({ password: 'p' }, 4)).toThrow(TypeError);
  });
});

describe('functions that are called before every CONNECT', () => {
  const askOf = (options: ClientOptions) => toSettings('mqtt://server', options, Math.random).connectInputs;
  const context = firstAttempt();

  it('return the Client Identifier, the Will, the properties and the credentials, and get the context', async () => {
    const seen: unknown[] = [];
    const see = <T>(answer: T) => {
      return async (given: unknown): Promise<T> => {
        seen.push(given);
        return answer;
      };
    };
    const asked = askOf({
      protocolVersion: 5,
      clientId: see('mine'),
      credentials: see({ username: 'u', password: 'token' }),
      will: see({ topic: 'gone', payload: 'bye', qos: 1 as const }),
      properties: see({ topicAliasMaximum: 7 }),
    });
    await expect(asked(context, { username: 'url' })).resolves.toEqual({
      clientId: 'mine',
      username: 'u',
      password: new TextEncoder().encode('token'),
      will: {
        topic: 'gone',
        payload: new TextEncoder().encode('bye'),
        qos: 1,
        retain: false,
        properties: {},
      },
      properties: { requestResponseInformation: true, topicAliasMaximum: 7 },
    });
    expect(seen).toEqual([context, context, context, context]);
  });

  it('may return no Will, and an empty Client Identifier on 5.0', async () => {
    const asked = askOf({ protocolVersion: 5, clientId: () => '', will: () => undefined });
    await expect(asked(context, {})).resolves.toEqual({});
  });

  it.each([
    ['clientId', { clientId: () => 7 as never }, 'no clientId: clientId: expected a string, got 7'],
    [
      'clientId',
      { cleanStart: false, clientId: () => '' },
      'no clientId: clientId: expected a string that is not empty with cleanStart false, got none',
    ],
    ['will', { will: () => ({ topic: 'a/#' }) }, 'no will: will.topic: expected a Topic Name'],
    [
      'properties',
      { protocolVersion: 5, properties: () => ({ topicAliasMaximum: -1 }) },
      'no properties: properties.topicAliasMaximum: expected an integer',
    ],
    [
      'credentials',
      { credentials: () => ({ password: 'x' }) },
      'no credentials: password: expected a username',
    ],
    ['anything that is too long for CONNECT', { clientId: () => 'x'.repeat(70_000) }, 'no CONNECT: '],
  ] as [string, ClientOptions, string][])(
    'have their results checked: %s (%#)',
    async (_, options, message) => {
      await expect(askOf(options)(context, {})).rejects.toMatchObject({
        name: 'ConnectError',
        phase: 'credentials',
        message: expect.stringContaining(message),
        cause: expect.objectContaining({ name: expect.stringMatching(/^(TypeError|RangeError)$/) }),
      });
    },
  );

  it('are named in the error when they throw', async () => {
    const cause = new Error('vault is sealed');
    const thrown = ask('will', () => Promise.reject(cause));
    await expect(thrown).rejects.toEqual(new ConnectError('credentials', 'no will: vault is sealed'));
    await expect(thrown).rejects.toMatchObject({ cause });
  });
});

describe('a Client Identifier', () => {
  it('v5 MQTT-3.1.3-5, v4 MQTT-3.1.3-5 that is random has 23 letters and digits, which every server accepts', () => {
    let n = 0;
    const drawn = new Set(Array.from({ length: 62 }, () => anyClientId(() => (n++ % 62) / 62)).join(''));
    expect(drawn.size).toBe(62);
    expect(anyClientId(() => 0.999)).toMatch(/^[0-9A-Za-z]{23}$/);
  });

  it('may be empty if the server assigns one, or in a clean session', () => {
    expect([toClientId('', true, 4), toClientId('', false, 5), toClientId('', 'first', 5)]).toEqual([
      '',
      '',
      '',
    ]);
    expect(() => toClientId('', false, 4)).toThrow('clientId: expected a string that is not empty');
    expect(() => toClientId('', 'first', 3)).toThrow('clientId: expected a string that is not empty');
  });
});

describe('a Will and the CONNECT properties', () => {
  it('are copied: changing them later changes nothing', () => {
    const payload = Uint8Array.of(1);
    const userProperties: [string, string][] = [['a', 'b']];
    const will = toWill('will', { topic: 't', payload, properties: { userProperties } }, 5);
    const properties = toConnectProperties('properties', { userProperties });
    payload[0] = 9;
    userProperties.push(['c', 'd']);
    expect(will.payload).toEqual(Uint8Array.of(1));
    expect(will.properties).toEqual({ userProperties: [['a', 'b']] });
    expect(properties).toMatchObject({ userProperties: [['a', 'b']] });
  });
});
