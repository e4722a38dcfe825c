import { describe, expect, it } from '@jest/globals';
import type { ClientOptions } from '../../../lib/client/config/client-options.ts';
import { toReconnect, toReconnection } from '../../../lib/client/config/reconnect-options.ts';
import { toSettings } from '../../../lib/client/config/settings.ts';
import { ClientLogger, type Logger } from '../../../lib/client/logger.ts';
import { ConnectionLostError } from '../../../lib/errors.ts';
import { firstAttempt } from '../../support/dial-contexts.ts';

const settingsOf = (options: object = {}, random: () => number = () => 0.5) =>
  toSettings('mqtt://server', options as ClientOptions, random);
const engineOf = (options: object = {}) => settingsOf(options).engine;

/** Name and bounds of an option, and how to read it from the options of the engine. */
type Engine = ReturnType<typeof engineOf>;
const NUMBERS: [name: keyof ClientOptions, least: number, most: number, read: (e: Engine) => unknown][] = [
  ['keepAlive', 0, 65_535, (e) => e.keepAlive],
  ['maxInflight', 0, 65_535, (e) => e.maxInflight],
  ['maxQueued', 0, Number.MAX_SAFE_INTEGER, (e) => e.queueLimits.messages],
  ['maxQueuedBytes', 0, Number.MAX_SAFE_INTEGER, (e) => e.queueLimits.bytes],
  ['messageRetry', 0, Number.MAX_SAFE_INTEGER, (e) => e.messageRetry],
  ['ackTimeout', 0, Number.MAX_SAFE_INTEGER, (e) => e.ackTimeout],
  ['requestTimeout', 1, Number.MAX_SAFE_INTEGER, (e) => e.requestTimeout],
  ['connectTimeout', 1, Number.MAX_SAFE_INTEGER, (e) => e.connectTimeout],
  ['pingTimeout', 1, Number.MAX_SAFE_INTEGER, (e) => e.pingTimeout],
  ['receiveMaximum', 1, 65_535, (e) => e.receiveMaximum],
  ['maximumPacketSize', 1, 0xffff_ffff, (e) => e.maximumPacketSize],
  ['maxFiltersPerPacket', 0, Number.MAX_SAFE_INTEGER, (e) => e.maxFiltersPerPacket],
];

const CHOICES: [name: keyof ClientOptions, allowed: unknown[], read: (e: Engine) => unknown][] = [
  ['cleanStart', [true, 'first'], (e) => e.cleanStart],
  ['onQueueFull', ['reject', 'wait', 'drop-oldest'], (e) => e.onQueueFull],
  ['queueQos0Offline', [true, false], (e) => e.queueQos0Offline],
  ['onSessionLost', ['resend', 'reject'], (e) => e.onSessionLost],
  ['storeQos0', [true, false], (e) => e.storeQos0],
  ['resubscribe', [true, false], (e) => e.resubscribe],
  ['protocolVersion', [3, 4, 5], (e) => e.protocolVersion],
];

describe('the defaults', () => {
  it('of the engine and the client', () => {
    expect(engineOf()).toEqual({
      protocolVersion: 4,
      clientId: expect.stringMatching(/^[0-9A-Za-z]{1,23}$/),
      cleanStart: true,
      sessionExpiryInterval: 0,
      keepAlive: 60,
      will: undefined,
      receiveMaximum: 1_024,
      maximumPacketSize: undefined,
      properties: {},
      maxInflight: 20,
      topicAlias: 'off',
      queueLimits: { messages: 0, bytes: 0 },
      onQueueFull: 'reject',
      queueQos0Offline: true,
      onSessionLost: 'resend',
      storeQos0: false,
      messageRetry: 5_000,
      ackTimeout: 0,
      receiveBuffer: 67_108_864,
      ackStallTimeout: 30_000,
      persistent: false,
      policy: undefined,
      requestTimeout: 30_000,
      connectTimeout: 30_000,
      pingTimeout: undefined,
      reconnect: { minDelay: 1_000, maxDelay: 120_000, factor: 2, jitter: 0.2 },
      maxFiltersPerPacket: 0,
      resubscribe: true,
      credentialsVary: false,
    });
    const { userData, logger, engine, endpoints } = settingsOf();
    expect([userData, logger, engine.persistent, endpoints]).toEqual([
      undefined,
      undefined,
      false,
      [{ target: { protocol: 'mqtt', host: 'server', port: 1883 }, credentials: {} }],
    ]);
  });

  it('have messageRetry only before 5.0', () => {
    expect([3, 4, 5].map((protocolVersion) => engineOf({ protocolVersion }).messageRetry)).toEqual([
      5_000, 5_000, 0,
    ]);
  });
});

describe('a number among the options', () => {
  it.each(NUMBERS)('%s is an integer from %d to %d', (name, least, most, read) => {
    expect(read(engineOf({ [name]: least }))).toBe(least);
    expect(read(engineOf({ [name]: most }))).toBe(most);
    for (const wrong of [least - 1, least + 0.5, Number.NaN, Infinity])
      expect(() => engineOf({ [name]: wrong })).toThrow(RangeError);
    for (const wrong of ['7', null, {}, true]) {
      expect(() => engineOf({ [name]: wrong })).toThrow(TypeError);
      expect(() => engineOf({ [name]: wrong })).toThrow(new RegExp(`^${name}: expected `));
    }
    if (most < Number.MAX_SAFE_INTEGER) expect(() => engineOf({ [name]: most + 1 })).toThrow(RangeError);
  });

  it('sessionExpiryInterval counts seconds up to for ever, on 5.0', () => {
    const with5 = (sessionExpiryInterval: unknown) => engineOf({ protocolVersion: 5, sessionExpiryInterval });
    expect(with5(0xffff_ffff).sessionExpiryInterval).toBe(0xffff_ffff);
    expect(() => with5(0x1_0000_0000)).toThrow(RangeError);
    expect(() => with5('1')).toThrow(TypeError);
  });
});

describe('a choice among the options', () => {
  it.each(CHOICES)('%s is one of %j', (name, allowed, read) => {
    for (const value of allowed) expect(read(engineOf({ clientId: 'me', [name]: value }))).toBe(value);
    for (const wrong of ['maybe', 7, null, {}])
      expect(() => engineOf({ [name]: wrong })).toThrow(new RegExp(`^${name}: expected .*, got `));
  });
});

describe('options of MQTT 5.0', () => {
  it.each([
    ['sessionExpiryInterval', 60],
    ['sessionExpiryInterval', 0],
    ['properties', {}],
  ])('%s is a TypeError with 3.1 and 3.1.1, whatever its value', (name, value) => {
    for (const protocolVersion of [3, 4])
      expect(() => settingsOf({ protocolVersion, [name]: value })).toThrow(
        new TypeError(
          `${name}: expected none with protocolVersion ${protocolVersion}, as only MQTT 5.0 has it`,
        ),
      );
    expect(() => settingsOf({ protocolVersion: 5, [name]: value })).not.toThrow();
    expect(() => settingsOf({ protocolVersion: 4, [name]: undefined })).not.toThrow();
  });

  it('do not include messageRetry, which 5.0 forbids [v5 MQTT-4.4.0-1]', () => {
    expect(() => settingsOf({ protocolVersion: 5, messageRetry: 1 })).toThrow(TypeError);
    expect(engineOf({ protocolVersion: 5, messageRetry: 0 }).messageRetry).toBe(0);
  });

  it('include the CONNECT properties, which are checked one by one', () => {
    const with5 = (properties: unknown) => settingsOf({ protocolVersion: 5, properties });
    const all = {
      topicAliasMaximum: 10,
      requestResponseInformation: true,
      requestProblemInformation: false,
      userProperties: [['k', 'v']],
    };
    expect(with5(all).engine.properties).toEqual(all);
    expect(() => with5({ topicAliasMaximum: 65_536 })).toThrow(RangeError);
    expect(() => with5({ requestResponseInformation: 1 })).toThrow(TypeError);
    expect(() => with5({ userProperties: 'k=v' })).toThrow(TypeError);
    expect(() => with5({ userProperties: [['k']] })).toThrow(/^userProperties/);
    expect(() => with5({ receiveMaximum: 7 })).toThrow(/got receiveMaximum$/);
    expect(() => with5([])).toThrow(TypeError);
  });
});

describe('an option that does not exist', () => {
  it('is a TypeError and not silently ignored', () => {
    expect(() => settingsOf({ cleansession: true })).toThrow(
      /^options: expected one of .*, got cleansession$/,
    );
    expect(() => settingsOf({ reconnect: { mindelay: 5 } })).toThrow(/got mindelay$/);
    expect(() => settingsOf({ will: { topic: 'a', message: 'x' } })).toThrow(/got message$/);
    for (const options of [null, [], 'mqtt', 7])
      expect(() => settingsOf(options as object)).toThrow(/^options: expected an object, got /);
  });

  it('is a TypeError even if it is undefined', () => {
    expect(engineOf({ keepAlive: undefined, will: undefined, logger: undefined }).keepAlive).toBe(60);
    expect(() => settingsOf({ nonsense: undefined })).toThrow(TypeError);
  });
});

describe('the Client Identifier', () => {
  it('is random by default: 23 letters and digits', () => {
    let n = 0;
    const drawn = settingsOf({}, () => (n++ % 62) / 62).engine.clientId;
    expect(drawn).toBe('0123456789abcdefghijklm');
    expect(settingsOf({ clientId: '' }, () => 0.999_999).engine.clientId).toBe('Z'.repeat(23));
    expect(settingsOf({ protocolVersion: 5 }, () => 0).engine.clientId).toBe('0'.repeat(23));
  });

  it('v4 MQTT-3.1.3-7 is required in a persistent session, unless the server assigns one', () => {
    for (const cleanStart of [false, 'first'])
      for (const protocolVersion of [3, 4]) {
        for (const clientId of [undefined, ''])
          expect(() => settingsOf({ protocolVersion, cleanStart, clientId })).toThrow(
            `clientId: expected a string that is not empty with cleanStart ${cleanStart}, got none`,
          );
        expect(engineOf({ protocolVersion, cleanStart, clientId: 'me' }).clientId).toBe('me');
      }
    expect(engineOf({ protocolVersion: 5, clientId: '' }).clientId).toBe('');
    expect(engineOf({ protocolVersion: 5, cleanStart: false }).clientId).toBe('');
  });

  it('is text that can be encoded', () => {
    for (const wrong of ['a\0b', 'a\ud800', 'a'.repeat(65_536)])
      expect(() => settingsOf({ clientId: wrong })).toThrow(TypeError);
    expect(() => settingsOf({ clientId: 7 })).toThrow('clientId: expected a string, got 7');
    expect(engineOf({ clientId: 'é'.repeat(32_767) }).clientId).toHaveLength(32_767);
  });
});

describe('persistent', () => {
  it.each([
    [{}, false],
    [{ cleanStart: false, clientId: 'a' }, true],
    [{ cleanStart: 'first', clientId: 'a' }, true],
    [{ protocolVersion: 5, cleanStart: false }, false],
    [{ protocolVersion: 5, sessionExpiryInterval: 1 }, true],
    [{ protocolVersion: 5, sessionExpiryInterval: 1, cleanStart: false }, true],
  ])('is a session that outlives its connection: %j is %s', (options, persistent) => {
    expect(settingsOf(options).engine.persistent).toBe(persistent);
  });
});

describe('the will', () => {
  const willOf = (will: unknown, options: object = {}) => engineOf({ ...options, will }).will;

  it('has an empty payload by default, and the text of a number', () => {
    const plain = { topic: 'gone', qos: 0, retain: false, properties: {} };
    expect(willOf({ topic: 'gone' })).toEqual({ ...plain, payload: new Uint8Array(0) });
    expect(willOf({ topic: 'gone', payload: null })).toEqual({ ...plain, payload: new Uint8Array(0) });
    expect(willOf({ topic: 'gone', payload: 12.5, qos: 2, retain: true })).toEqual({
      topic: 'gone',
      payload: new TextEncoder().encode('12.5'),
      qos: 2,
      retain: true,
      properties: {},
    });
  });

  it.each([
    [{ topic: '' }, /^will\.topic: expected a Topic Name/],
    [{ topic: 'a/+' }, /^will\.topic: /],
    [{}, /^will\.topic: expected a string/],
    [{ topic: 'a', qos: 3 }, /^will\.qos: expected 0 or 1 or 2, got 3/],
    [{ topic: 'a', retain: 1 }, /^will\.retain: /],
    [{ topic: 'a', payload: {} }, /^payload: /],
    [{ topic: 'a', payload: new Uint8Array(65_536) }, /will\.payload/],
    [{ topic: 'a', properties: {} }, /^will\.properties: expected none with protocolVersion 4/],
    [null, /^will: expected an object, got null/],
    ['a', /^will: expected an object/],
  ])('is checked at once (%#)', (will, message) => {
    expect(() => willOf(will)).toThrow(message);
    let thrown: unknown;
    try {
      willOf(will);
    } catch (error) {
      thrown = error;
    }
    expect(thrown instanceof TypeError || thrown instanceof RangeError).toBe(true);
  });

  it('has its properties checked at once on 5.0', () => {
    const with5 = (properties: unknown) => willOf({ topic: 'a', properties }, { protocolVersion: 5 });
    expect(with5({ willDelayInterval: 5, contentType: 'text/plain' })?.properties).toEqual({
      willDelayInterval: 5,
      contentType: 'text/plain',
    });
    for (const wrong of [
      { willDelayInterval: -1 },
      { willDelayInterval: '5' },
      { delay: 5 },
      'x',
      { topicAlias: 1 },
    ])
      expect(() => with5(wrong)).toThrow(/expected|property|must not have/);
  });
});

describe('the logger', () => {
  it('must have four levels', () => {
    const logger: Logger = { debug() {}, info() {}, warn() {}, error() {} };
    expect(settingsOf({ logger }).logger).toBe(logger);
    expect(settingsOf({ logger: console }).logger).toBe(console);
    expect(() => settingsOf({ logger: { ...logger, warn: undefined } })).toThrow(
      'logger.warn: expected a function, got undefined',
    );
    for (const wrong of [null, 'console', () => {}])
      expect(() => settingsOf({ logger: wrong })).toThrow(/^logger/);
  });
});

describe('the options that were passed in', () => {
  const given = () => ({
    protocolVersion: 5 as const,
    clientId: 'me',
    username: 'u',
    password: Uint8Array.of(1, 2),
    will: {
      topic: 'gone',
      payload: Uint8Array.of(3),
      properties: { correlationData: Uint8Array.of(4), userProperties: [['a', 'b']] as [string, string][] },
    },
    reconnect: { minDelay: 5 },
    properties: { userProperties: [['c', 'd']] as [string, string][] },
  });

  it('are copied: changing them later changes nothing', async () => {
    const options = given();
    const settings = settingsOf(options);
    options.password[0] = 9;
    options.will.payload[0] = 9;
    options.will.properties.correlationData[0] = 9;
    options.will.properties.userProperties[0]![1] = 'x';
    options.properties.userProperties.push(['e', 'f']);
    options.reconnect.minDelay = 9;
    const { engine } = settings;
    expect(engine.will).toMatchObject({
      payload: Uint8Array.of(3),
      properties: { correlationData: Uint8Array.of(4), userProperties: [['a', 'b']] },
    });
    expect(engine.properties).toMatchObject({
      requestResponseInformation: true,
      userProperties: [['c', 'd']],
    });
    expect(engine.reconnect).toMatchObject({ minDelay: 5 });
    const { password } = await settings.connectInputs(firstAttempt(), {});
    expect(password).toEqual(Uint8Array.of(1, 2));
  });

  it('are never changed', () => {
    const freeze = <T>(value: T): T => {
      if (typeof value === 'object' && value !== null && !ArrayBuffer.isView(value)) {
        Object.values(value).forEach(freeze);
        Object.freeze(value);
      }
      return value;
    };
    const options = freeze(given());
    settingsOf(options);
    expect(options).toEqual(given());
  });
});

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

  it('accepts every value in its range', () => {
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
