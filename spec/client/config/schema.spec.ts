import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { Configuration } from '../../../lib/client/config/settings.ts';
import type { ClientOptions } from '../../../lib/client/config/client-options.ts';
import { checkOptions, engineSection, networkSection, SCHEMA } from '../../../lib/client/config/schema.ts';
import type { Settings } from '../../../lib/client/config/settings.ts';

type Key = keyof ClientOptions;
const KEYS = Object.keys(SCHEMA) as Key[];

const logger = { debug() {}, info() {}, warn() {}, error() {} };
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
  will: [undefined, { topic: 'gone', payload: new Uint8Array(0), qos: 0, retain: false, properties: {} }],
  userData: [undefined, null],
  maxInflight: [20, 7],
  maxQueued: [0, 7],
  maxQueuedBytes: [0, 7],
  onQueueFull: ['reject', 'wait'],
  queueQos0Offline: [true, false],
  onSessionLost: ['resend', 'reject'],
  messageRetry: [5_000, 0],
  ackTimeout: [0, 7],
  requestTimeout: [30_000, 7],
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
  properties: [{}, { topicAliasMaximum: 7 }],
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
    expect(Object.keys(engineSection(options)).toSorted()).toEqual(sectionOf('engine').toSorted());
    expect(networkSection(options)).toEqual({ noDelay: true });
    expect(sectionOf('network')).toContain('noDelay');
  });
});

describe('configure()', () => {
  const made = (): Configuration<unknown> =>
    new Configuration<unknown>('wss://a', { protocolVersion: 5, clientId: 'first' }, () => 0.5);

  it.each(byApplies('never'))('cannot change %s', (key) => {
    const some = made();
    const before = some.settings;
    expect(() => some.change({ [key]: OPTIONS[key][1] })).toThrow(
      new RegExp(`^configure: expected one of .*, got ${key}$`),
    );
    expect(some.settings).toBe(before);
  });

  it.each(byApplies('at-once', 'next-connect'))('changes %s, and undefined restores the default', (key) => {
    const some = made();
    const { engine } = some.settings;
    const valueIn = (settings: Settings<unknown>): unknown => settings[key];
    const byDefault = valueIn(some.settings);
    const before = { ...engine };
    some.change({ [key]: OPTIONS[key][1] });
    if (key !== 'transport') expect(valueIn(some.settings)).toEqual(OPTIONS[key][1]);
    // The engine reads its options in one object, which stays the same.
    expect(some.settings.engine).toBe(engine);
    if (SCHEMA[key].section === 'engine' && key !== 'messageRetry') expect({ ...engine }).not.toEqual(before);
    some.change({ [key]: key === 'logger' ? null : undefined });
    expect(valueIn(some.settings)).toEqual(byDefault);
    expect({ ...engine }).toEqual(before);
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

  it('says what configure() changes, and when', () => {
    const [, , nextConnect, atOnce] = rows(configurable);
    expect(namesIn(nextConnect?.[0]).toSorted()).toEqual(byApplies('next-connect').toSorted());
    expect(namesIn(atOnce?.[0]).toSorted()).toEqual(byApplies('at-once').toSorted());
  });
});
