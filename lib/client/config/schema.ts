/**
 * The options of a client: one entry for each, which is the only place at run time that has its name. What users read
 * about it is in `ClientOptions`; rules that involve several options are in `settings.ts`.
 */

import { NO_PROPERTIES, type ProtocolVersion, type WillMessage } from '../../codec/packets.ts';
import type { EngineOptions } from '../../engine/options.ts';
import type { SessionStore } from '../../store/session-store.ts';
import type { AttemptContext } from '../../transport/options.ts';
import type { Logger } from '../logger.ts';
import type { ClientOptions, FixedOption, IdentityOptions, NetworkOptions } from './client-options.ts';
import { toAuthentication } from './authentication.ts';
import { CREDENTIAL_CHECKS, DEFAULT_PROPERTIES, toConnectProperties, toWill } from './connect-fields.ts';
import type { ServerUrl } from './endpoints.ts';
import { toLocalAddress, toProxy, toTransport, type NetworkSettings } from './network-options.ts';
import { toReconnect, type ReconnectSettings } from './reconnect-options.ts';
import { toTls } from './tls-options.ts';
import { boolean, callable, checkKeys, choice, integerIn, string, wrongType } from './validate.ts';
import { toWebSocket } from './websocket-options.ts';

/** Options that stay undefined when they are not given. */
type WithoutDefault =
  | keyof NetworkOptions
  | Exclude<keyof IdentityOptions, 'properties'>
  | 'pingTimeout'
  | 'maximumPacketSize'
  | 'logger'
  | 'store';

/** The function form of an option that may also be a value. */
type FunctionOf<Key extends keyof ClientOptions> = Extract<
  ClientOptions[Key],
  (context: AttemptContext) => unknown
>;

/** Options whose checked value has another type than the given one. */
interface Converted<UserData> {
  readonly userData: UserData;
  readonly will: WillMessage | FunctionOf<'will'> | undefined;
  readonly reconnect: ReconnectSettings | false;
  readonly proxy: NetworkSettings['proxy'] | undefined;
}

/** All options: checked, copied and with their defaults. */
export type CheckedOptions<UserData = unknown> = {
  readonly [Key in keyof ClientOptions<UserData>]-?: Key extends keyof Converted<UserData>
    ? Converted<UserData>[Key]
    : Key extends WithoutDefault
      ? ClientOptions<UserData>[Key]
      : Exclude<ClientOptions<UserData>[Key], undefined>;
};

/** The options that checks and defaults of others depend on. */
export type SessionOptions = Pick<CheckedOptions, 'protocolVersion' | 'cleanStart' | 'sessionExpiryInterval'>;

/** Where an option is used: in the engine, in the transports, or elsewhere in the client. */
type SectionOf<Key> = Key extends keyof EngineOptions
  ? 'engine'
  : Key extends keyof NetworkSettings
    ? 'network'
    : 'client';

/** A default that depends on other options. */
type DefaultOf<T = unknown> = (session: SessionOptions) => T;

interface Entry<Key extends keyof ClientOptions> {
  readonly section: SectionOf<Key>;
  /** When a change by `configure()` takes effect. */
  readonly applies: Key extends FixedOption ? 'never' : 'at-once' | 'next-connect';
  /** The first version of MQTT that has it: with a lower one it is a `TypeError`. */
  readonly since?: ProtocolVersion;
  readonly default: CheckedOptions[Key] | DefaultOf<CheckedOptions[Key]>;
  /** Returns the value to use, or throws a `TypeError` or `RangeError`. */
  readonly check: (name: string, value: unknown, session: SessionOptions) => CheckedOptions[Key];
}

type Schema = { readonly [Key in keyof ClientOptions]-?: Entry<Key> };

const U32 = 0xffff_ffff;

// prettier-ignore
export const SCHEMA: Schema = {
  // `SessionOptions` come first: others are checked with them.
  protocolVersion: { section: 'engine', applies: 'never', default: 4, check: choice(3, 4, 5) },
  cleanStart: { section: 'engine', applies: 'never', default: true, check: choice<boolean | 'first'>(true, false, 'first') },
  sessionExpiryInterval: { section: 'engine', applies: 'never', since: 5, default: 0, check: integerIn(0, U32) },

  clientId: { section: 'engine', applies: 'never', default: undefined, check: unlessFunction(string) },
  username: { section: 'client', applies: 'next-connect', default: undefined, check: CREDENTIAL_CHECKS.username },
  password: { section: 'client', applies: 'next-connect', default: undefined, check: CREDENTIAL_CHECKS.password },
  credentials: { section: 'client', applies: 'next-connect', default: undefined, check: callable },
  authentication: { section: 'client', applies: 'next-connect', since: 5, default: undefined, check: toAuthentication },
  will: {
    section: 'engine', applies: 'next-connect', default: undefined,
    check: unlessFunction((name, value, { protocolVersion }) => toWill(name, value, protocolVersion)),
  },
  properties: {
    section: 'engine', applies: 'never', since: 5, check: unlessFunction(toConnectProperties),
    default: ({ protocolVersion }: SessionOptions) => (protocolVersion < 5 ? NO_PROPERTIES : DEFAULT_PROPERTIES),
  },
  keepAlive: { section: 'engine', applies: 'next-connect', default: 60, check: integerIn(0, 65_535) },
  pingTimeout: { section: 'engine', applies: 'next-connect', default: undefined, check: integerIn(1) },
  connectTimeout: { section: 'engine', applies: 'at-once', default: 30_000, check: integerIn(1) },
  reconnect: { section: 'engine', applies: 'at-once', default: toReconnect('reconnect', {}), check: toReconnect },

  servers: { section: 'client', applies: 'next-connect', default: [], check: toServers },
  serverOrder: { section: 'client', applies: 'next-connect', default: 'listed', check: choice('listed', 'shuffled') },
  followServerReference: { section: 'client', applies: 'next-connect', since: 5, default: false, check: boolean },
  tls: { section: 'network', applies: 'next-connect', default: undefined, check: toTls },
  ws: { section: 'network', applies: 'next-connect', default: undefined, check: toWebSocket },
  proxy: { section: 'network', applies: 'next-connect', default: undefined, check: toProxy },
  localAddress: { section: 'network', applies: 'next-connect', default: undefined, check: (_, value) => toLocalAddress(value) },
  localPort: { section: 'network', applies: 'next-connect', default: undefined, check: integerIn(1, 65_535) },
  family: { section: 'network', applies: 'next-connect', default: undefined, check: choice(4, 6) },
  noDelay: { section: 'network', applies: 'next-connect', default: undefined, check: boolean },
  // ms; systems count its seconds in 15 bits.
  tcpKeepAlive: { section: 'network', applies: 'next-connect', default: undefined, check: integerIn(0, 32_767_000) },
  transport: { section: 'client', applies: 'next-connect', default: undefined, check: toTransport },

  maxInflight: { section: 'engine', applies: 'at-once', default: 20, check: integerIn(0, 65_535) },
  topicAlias: { section: 'engine', applies: 'next-connect', since: 5, default: 'off', check: choice('auto', 'off') },
  maxQueued: { section: 'client', applies: 'at-once', default: 0, check: integerIn(0) },
  maxQueuedBytes: { section: 'client', applies: 'at-once', default: 0, check: integerIn(0) },
  onQueueFull: { section: 'engine', applies: 'at-once', default: 'reject', check: choice('reject', 'wait', 'drop-oldest') },
  queueQos0Offline: { section: 'engine', applies: 'at-once', default: true, check: boolean },
  onSessionLost: { section: 'engine', applies: 'at-once', default: 'resend', check: choice('resend', 'reject') },
  store: { section: 'client', applies: 'never', default: undefined, check: toStore },
  storeQos0: { section: 'engine', applies: 'at-once', default: false, check: boolean },
  messageRetry: {
    section: 'engine', applies: 'at-once', check: toMessageRetry,
    default: ({ protocolVersion }) => (protocolVersion < 5 ? 5_000 : 0),
  },
  ackTimeout: { section: 'engine', applies: 'at-once', default: 0, check: integerIn(0) },
  requestTimeout: { section: 'engine', applies: 'at-once', default: 30_000, check: integerIn(1) },
  maxFiltersPerPacket: { section: 'engine', applies: 'at-once', default: 0, check: integerIn(0) },
  resubscribe: { section: 'engine', applies: 'at-once', default: true, check: boolean },

  receiveMaximum: { section: 'engine', applies: 'never', default: 1_024, check: integerIn(1, 65_535) },
  receiveBuffer: { section: 'engine', applies: 'never', default: 67_108_864, check: integerIn(1) },
  maximumPacketSize: { section: 'engine', applies: 'never', default: undefined, check: integerIn(1, U32) },
  ackStallTimeout: { section: 'engine', applies: 'at-once', default: 30_000, check: integerIn(0) },
  unmatched: {
    section: 'client', applies: 'never', check: choice('hold', 'acknowledge'),
    default: (session) => (isPersistent(session) ? 'hold' : 'acknowledge'),
  },
  userData: { section: 'client', applies: 'at-once', default: undefined, check: (_, value) => value },
  logger: { section: 'client', applies: 'at-once', default: undefined, check: toLogger },
};

const ENTRIES: readonly (readonly [string, Entry<keyof ClientOptions>])[] = Object.entries(SCHEMA);
const KEYS = Object.keys(SCHEMA) as (keyof ClientOptions)[];
const NETWORK_KEYS = KEYS.filter((key) => SCHEMA[key].section === 'network');

export const CONFIGURABLE: readonly string[] = ENTRIES.flatMap(([key, { applies }]) =>
  applies === 'never' ? [] : [key],
);

/** Options that were not given are those of this prototype, so that the options of a client are small. */
const DEFAULTS: object = Object.fromEntries(ENTRIES.map(([key, entry]) => [key, entry.default]));
const DERIVED = ENTRIES.filter(([, entry]) => typeof entry.default === 'function');

/** Checks every option by itself and copies them all. Throws `TypeError` or `RangeError`. */
export function checkOptions<UserData>(options: ClientOptions<UserData>): CheckedOptions<UserData> {
  const given = { ...checkKeys('options', options, KEYS) };
  const checked = Object.create(DEFAULTS) as Record<string, unknown>;
  const session = checked as SessionOptions;
  for (const key of KEYS) {
    const value = given[key];
    if (value === undefined) continue;
    const { since = 3, check } = SCHEMA[key];
    if (session.protocolVersion < since)
      throw new TypeError(
        `${key}: expected none with protocolVersion ${session.protocolVersion}, as only MQTT 5.0 has it`,
      );
    checked[key] = check(key, value, session);
  }
  for (const [key, entry] of DERIVED)
    if (!Object.hasOwn(checked, key)) checked[key] = (entry.default as DefaultOf)(session);
  return checked as CheckedOptions<UserData>;
}

/** The options that the transports use, if they were given. */
export function networkSection(options: CheckedOptions): NetworkSettings {
  const network: Record<string, unknown> = {};
  for (const key of NETWORK_KEYS) if (options[key] !== undefined) network[key] = options[key];
  return network;
}

/** Whether the session outlives its connection. */
export function isPersistent(session: SessionOptions): boolean {
  return session.protocolVersion === 5 ? session.sessionExpiryInterval > 0 : session.cleanStart !== true;
}

/** A function is called for each attempt, and its result is checked then. */
function unlessFunction<T, F>(
  check: (name: string, value: unknown, session: SessionOptions) => T,
): (name: string, value: unknown, session: SessionOptions) => T | F {
  return (name, value, session) => (typeof value === 'function' ? (value as F) : check(name, value, session));
}

/** The URLs are checked when they are parsed. */
function toServers(name: string, value: unknown): readonly ServerUrl[] {
  if (!Array.isArray(value)) throw wrongType(name, 'an array of URLs', value);
  return [...(value as ServerUrl[])];
}

function toMessageRetry(name: string, value: unknown, { protocolVersion }: SessionOptions): number {
  const messageRetry = integerIn(0)(name, value);
  if (protocolVersion === 5 && messageRetry > 0)
    throw new TypeError(
      `${name}: expected 0 with protocolVersion 5, which forbids it [v5 MQTT-4.4.0-1], got ${messageRetry}`,
    );
  return messageRetry;
}

function toStore(name: string, value: unknown): SessionStore {
  if (typeof value !== 'object' || value === null) throw wrongType(name, 'a SessionStore', value);
  const store = value as SessionStore;
  for (const method of ['open', 'read', 'commit', 'clear', 'close'] as const)
    callable(`${name}.${method}`, store[method]);
  return store;
}

function toLogger(name: string, value: unknown): Logger {
  if (typeof value !== 'object' || value === null) throw wrongType(name, 'an object', value);
  const logger = value as Logger;
  for (const level of ['debug', 'info', 'warn', 'error'] as const)
    callable(`${name}.${level}`, logger[level]);
  return logger;
}
