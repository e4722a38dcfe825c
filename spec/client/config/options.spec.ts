import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import type { ClientOptions } from '../../../lib/client/config/client-options.ts';
import { checkOptions, networkSection, SCHEMA } from '../../../lib/client/config/schema.ts';
import { Configuration } from '../../../lib/client/config/settings.ts';
import {
  boolean,
  callable,
  checkEncodable,
  checkKeys,
  checkObject,
  choice,
  integer,
  integerIn,
  numeric,
  oneOf,
  string,
  wrongType,
} from '../../../lib/client/config/validate.ts';
import { ProtocolError } from '../../../lib/errors.ts';
import { Stage } from '../../scenarios/stage.ts';
import { firstAttempt } from '../../support/dial-contexts.ts';
import { THROWN } from '../../support/thrown.ts';
import { MemoryStore } from '../../support/memory-store.ts';

type Key = keyof ClientOptions;
const KEYS = Object.keys(SCHEMA) as Key[];

const logger = { debug() {}, info() {}, warn() {}, error() {} };
const store = new MemoryStore();
const transport = () => Promise.reject(new Error('not dialled'));
const RECONNECT = { minDelay: 1_000, maxDelay: 120_000, factor: 2, jitter: 0.2, retryInitial: false };

/** The default of every option, and another value that it can have on MQTT 5.0. */
const OPTIONS: Readonly<Record<Key, readonly [byDefault: unknown, other: unknown]>> = {
  protocolVersion: [4, 5],
  clientId: [undefined, 'me'],
  cleanStart: [true, 'first'],
  sessionExpiryInterval: [0, 60],
  keepAlive: [60, 7],
  username: [undefined, 'u'],
  password: [undefined, 'p'],
  credentials: [undefined, () => ({})],
  authentication: [undefined, { method: 'X', start() {}, continue() {} }],
  will: [undefined, { topic: 'gone', payload: new Uint8Array(0), qos: 0, retain: false, properties: {} }],
  userData: [undefined, null],
  maxInflight: [20, 7],
  maxQueued: [0, 7],
  maxQueuedBytes: [0, 7],
  onQueueFull: ['reject', 'wait'],
  queueQos0Offline: [true, false],
  onSessionLost: ['resend', 'reject'],
  store: [undefined, store],
  storeQos0: [false, true],
  messageRetry: [5_000, 0],
  ackTimeout: [0, 7],
  requestTimeout: [30_000, 7],
  topicAlias: ['off', 'auto'],
  connectTimeout: [30_000, 7],
  pingTimeout: [undefined, 7],
  reconnect: [RECONNECT, { ...RECONNECT, maxAttempts: 7 }],
  receiveMaximum: [1_024, 7],
  receiveBuffer: [67_108_864, 7],
  ackStallTimeout: [30_000, 7],
  unmatched: ['acknowledge', 'hold'],
  maximumPacketSize: [undefined, 7],
  maxFiltersPerPacket: [0, 8],
  resubscribe: [true, false],
  logger: [undefined, logger],
  properties: [{}, { topicAliasMaximum: 7, requestResponseInformation: false }],
  servers: [[], ['mqtts://b']],
  serverOrder: ['listed', 'shuffled'],
  followServerReference: [false, true],
  tls: [undefined, { servername: 'a' }],
  ws: [undefined, { path: '/a' }],
  proxy: [undefined, 'environment'],
  localAddress: [undefined, '127.0.0.1'],
  localPort: [undefined, 7],
  family: [undefined, 4],
  noDelay: [undefined, false],
  tcpKeepAlive: [undefined, 7],
  transport: [undefined, transport],
};
const byApplies = (...some: string[]): Key[] => KEYS.filter((key) => some.includes(SCHEMA[key].applies));

describe('the options', () => {
  it.each(KEYS)('%s has its default, and takes another value', (key) => {
    const [byDefault, other] = OPTIONS[key];
    expect(checkOptions({})[key]).toEqual(byDefault);
    expect(checkOptions({ [key]: undefined })[key]).toEqual(byDefault);
    const checked = checkOptions({ protocolVersion: 5, [key]: other })[key];
    // A transport is wrapped.
    if (key === 'transport') expect(checked).toEqual(expect.any(Function));
    else expect(checked).toEqual(other);
  });

  it.each(KEYS.filter((key) => key !== 'userData'))('%s refuses a value of another type', (key) => {
    for (const wrong of [null, Symbol('wrong')]) {
      const options = { protocolVersion: 5, [key]: wrong } as ClientOptions;
      expect(() => checkOptions(options)).toThrow(TypeError);
      expect(() => checkOptions(options)).toThrow(new RegExp(`^${key}: expected .*, got `));
    }
  });

  it.each(KEYS.filter((key) => SCHEMA[key].since === 5))('%s is only in MQTT 5.0', (key) => {
    const options = { [key]: OPTIONS[key][1] };
    expect(() => checkOptions(options)).toThrow(
      new TypeError(`${key}: expected none with protocolVersion 4, as only MQTT 5.0 has it`),
    );
  });

  it('of a persistent session and of MQTT 5.0 have other defaults', () => {
    expect(checkOptions({ protocolVersion: 5 }).messageRetry).toBe(0);
    expect(checkOptions({ cleanStart: false }).unmatched).toBe('hold');
    expect(checkOptions({ protocolVersion: 5, cleanStart: false }).unmatched).toBe('acknowledge');
    expect(checkOptions({ protocolVersion: 5, sessionExpiryInterval: 1 }).unmatched).toBe('hold');
  });

  it('go to the engine or the transports by their section, those of the transports only if given', () => {
    const sectionOf = (section: string) => KEYS.filter((key) => SCHEMA[key].section === section);
    const options = checkOptions({ noDelay: true });
    const { engine } = new Configuration<unknown>('mqtt://a', {}, () => 0.5).settings;
    expect(Object.keys(engine)).toEqual(expect.arrayContaining(sectionOf('engine')));
    expect(networkSection(options)).toEqual({ noDelay: true });
    expect(sectionOf('network')).toContain('noDelay');
  });
});

describe('configure()', () => {
  const configuration = (given: ClientOptions, url = 'mqtt://h'): Configuration<unknown> =>
    new Configuration<unknown>(url, given, () => 0.5);
  const secure = () => configuration({ protocolVersion: 5, clientId: 'first' }, 'wss://a');

  it.each(byApplies('never'))('cannot change %s', (key) => {
    const some = secure();
    const before = some.settings;
    expect(() => some.change({ [key]: OPTIONS[key][1] })).toThrow(
      new RegExp(`^configure: expected one of .*, got ${key}$`),
    );
    expect(some.settings).toBe(before);
  });

  it.each(byApplies('at-once', 'next-connect'))('changes %s, and undefined restores the default', (key) => {
    const some = secure();
    const { engine } = some.settings;
    const value = (): unknown => checkOptions(some.options)[key];
    const byDefault = value();
    const before = { ...engine };
    some.change({ [key]: OPTIONS[key][1] });
    if (key !== 'transport') expect(value()).toEqual(OPTIONS[key][1]);
    // The engine reads its options in one object, which stays the same.
    expect(some.settings.engine).toBe(engine);
    if (SCHEMA[key].section === 'engine' && key !== 'messageRetry') expect({ ...engine }).not.toEqual(before);
    some.change({ [key]: key === 'logger' ? null : undefined });
    expect(value()).toEqual(byDefault);
    expect({ ...engine }).toEqual(before);
  });

  it('checks like the constructor, and changes nothing if anything is wrong', () => {
    const some = configuration({ maxInflight: 7 });
    const before = some.settings;
    expect(() => some.change({ maxInflight: 9, ackTimeout: -1 })).toThrow(RangeError);
    expect(() => some.change({ clientId: 'b' } as object)).toThrow('expected one of');
    expect(some.settings).toBe(before);
    expect(some.settings.engine.maxInflight).toBe(7);
  });

  it('keeps all other options, and the object that the engine reads', async () => {
    const some = configuration({ maxQueued: 5, username: 'me', password: 'secret' });
    const { engine } = some.settings;
    const { clientId } = engine;
    some.change({ maxInflight: 3 });
    some.change({ maxQueuedBytes: 9 });
    expect(some.settings.engine).toBe(engine);
    expect(engine).toMatchObject({ clientId, maxInflight: 3, queueLimits: { messages: 5, bytes: 9 } });
    await expect(some.settings.connectInputs(firstAttempt(), {})).resolves.toMatchObject({ username: 'me' });
  });

  it('keeps the Keep Alive of connect(), unless it names another', () => {
    const some = configuration({ keepAlive: 60 });
    some.settings.engine.keepAlive = 10;
    some.change({ maxInflight: 3 });
    expect(some.settings.engine.keepAlive).toBe(10);
    some.change({ keepAlive: 20 });
    expect(some.settings.engine.keepAlive).toBe(20);
    some.change({ keepAlive: undefined });
    expect(some.settings.engine.keepAlive).toBe(60);
  });

  it('sets a logger, and removes it with null', async () => {
    const stage = new Stage();
    const lines: string[] = [];
    const write = (line: string) => void lines.push(line);
    const collector = { debug: write, info: write, warn: write, error: write };
    const { client, broker } = await stage.online();
    client.configure({ logger: collector });
    expect(client.userData).toBeUndefined();
    await stage.end(client, broker);
    expect(lines).toEqual(['closed']);
    client.configure({ logger: null });
    const next = stage.connect(client);
    await next;
    expect(lines).toEqual(['closed']);
  });

  it('changes maxInflight on the present connection', async () => {
    const stage = new Stage();
    const { client, broker } = await stage.online({ maxInflight: 1 });
    const all = [1, 2, 3, 4].map((n) => client.publish('a', n, { qos: 1 }));
    const [first] = [await broker.expect('publish')];
    expect(broker.unread).toEqual([]);
    client.configure({ maxInflight: 2 });
    const second = await broker.expect('publish');
    client.configure({ maxInflight: 1 });
    broker.send({ type: 'puback', packetId: first?.packetId ?? 0 });
    await stage.clock.advance(1);
    expect(broker.unread).toEqual([]);
    broker.send({ type: 'puback', packetId: second.packetId ?? 0 });
    broker.ackPublishes();
    await stage.until(Promise.all(all));
    await stage.end(client, broker);
  });
});

describe('docs/api.md', () => {
  const text = readFileSync(new URL('../../../docs/api.md', import.meta.url), 'utf8');
  const [, options = '', configurable = ''] =
    /### `ClientOptions`([^]*?)### `ConfigurableOptions`([^]*?)\n### /.exec(text) ?? [];
  const rows = (table: string): string[][] =>
    table
      .split('\n')
      .filter((line) => line.startsWith('| '))
      .map((line) => line.split(' | ').map((cell) => cell.replace(/^\| | \|$/g, '')));
  const namesIn = (cell = ''): string[] =>
    Array.from(cell.matchAll(/`(\w+)`/g), ([, name]) => name as string);

  it('has every option, and the defaults that are values', () => {
    const documented = rows(options).flatMap(([names, byDefault = '']) =>
      namesIn(names).map((name) => [name, byDefault] as const),
    );
    expect(documented.map(([name]) => name).toSorted()).toEqual(KEYS.toSorted());
    const values = documented.flatMap(([name, byDefault]) => {
      const [, value] = /^`(\d+|true|false|'[\w-]+')`$/.exec(byDefault) ?? [];
      return value === undefined ? [] : [[name, value.replaceAll("'", '')]];
    });
    expect(values.length).toBeGreaterThan(15);
    for (const [name, value] of values)
      // The built-in transports have the defaults of the sockets.
      if (SCHEMA[name as Key].section !== 'network')
        expect([name, String(OPTIONS[name as Key][0])]).toEqual([name, value]);
  });

  it('lists the options that configure() changes, and when', () => {
    const [, , nextConnect, atOnce] = rows(configurable);
    expect(namesIn(nextConnect?.[0]).toSorted()).toEqual(byApplies('next-connect').toSorted());
    expect(namesIn(atOnce?.[0]).toSorted()).toEqual(byApplies('at-once').toSorted());
  });
});

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
  ])('names the expected and the actual value (%#)', (check, message) => {
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
  ])('names a value out of range (%#)', (check, message) => {
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
