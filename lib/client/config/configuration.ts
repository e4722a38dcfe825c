import type { EngineOptions } from '../../engine/options.ts';
import { checkKeys } from './validate.ts';
import type { Logger } from '../logger.ts';
import { toSettings, type ClientOptions, type Settings } from './settings.ts';
import { NETWORK_KEYS } from './network-options.ts';
import type { ServerUrl } from './endpoints.ts';

/** What acts at once, on the connection that is up as well. */
type AtOnce =
  | 'userData'
  | 'maxInflight'
  | 'maxQueued'
  | 'maxQueuedBytes'
  | 'onQueueFull'
  | 'queueQos0Offline'
  | 'onSessionLost'
  | 'messageRetry'
  | 'ackTimeout'
  | 'ackStallTimeout'
  | 'requestTimeout'
  | 'connectTimeout'
  | 'reconnect'
  | 'maxFiltersPerPacket'
  | 'resubscribe';

/** What acts with the next CONNECT. */
type AtNextConnect =
  | 'username'
  | 'password'
  | 'credentials'
  | 'will'
  | 'keepAlive'
  | 'pingTimeout'
  | 'servers'
  | 'serverOrder'
  | 'followServerReference'
  | (typeof NETWORK_KEYS)[number];

/**
 * What `configure()` changes. With the next CONNECT: `username`, `password`, `credentials`, `will`, `keepAlive`,
 * `pingTimeout`, and what concerns servers and the way to them; all else at once. A limit that is lowered drops nothing,
 * it only admits less. `undefined`: back to the default, such as no Will.
 */
export type ConfigurableOptions<UserData = undefined> = {
  readonly [Key in AtOnce | AtNextConnect]?: ClientOptions<UserData>[Key] | undefined;
} & {
  /** `null`: none. */
  readonly logger?: Logger | null | undefined;
};

const KEYS: readonly (keyof ConfigurableOptions)[] = [
  'username',
  'password',
  'credentials',
  'will',
  'keepAlive',
  'pingTimeout',
  'servers',
  'serverOrder',
  'followServerReference',
  ...NETWORK_KEYS,
  'userData',
  'maxInflight',
  'maxQueued',
  'maxQueuedBytes',
  'onQueueFull',
  'queueQos0Offline',
  'onSessionLost',
  'messageRetry',
  'ackTimeout',
  'ackStallTimeout',
  'requestTimeout',
  'connectTimeout',
  'reconnect',
  'maxFiltersPerPacket',
  'resubscribe',
  'logger',
];

/** What the engine, which goes by one object all its life, is told through that object. */
const ENGINE_KEYS: readonly (keyof EngineOptions)[] = [
  'will',
  'keepAlive',
  'pingTimeout',
  'maxInflight',
  'queueLimits',
  'onQueueFull',
  'queueQos0Offline',
  'onSessionLost',
  'messageRetry',
  'ackTimeout',
  'ackStallTimeout',
  'requestTimeout',
  'connectTimeout',
  'reconnect',
  'maxFiltersPerPacket',
  'resubscribe',
  'credentialsVary',
];

/** The options a client was given, as they change. */
export class Configuration<UserData> {
  readonly #url: ServerUrl;
  readonly #random: () => number;
  #given: ClientOptions<UserData>;
  #settings: Settings<UserData>;

  constructor(url: ServerUrl, given: ClientOptions<UserData>, random: () => number) {
    this.#url = url;
    this.#random = random;
    this.#settings = toSettings(url, given, random);
    this.#given = { ...given };
  }

  get settings(): Settings<UserData> {
    return this.#settings;
  }

  /** Checks like the constructor, and changes nothing where anything is wrong. */
  change(changes: ConfigurableOptions<UserData>): void {
    const { logger, ...rest } = checkKeys('configure', changes, KEYS) as ConfigurableOptions<UserData>;
    const { logger: before, ...kept } = this.#given;
    const now = logger === null ? undefined : (logger ?? before);
    const given = { ...kept, ...rest, ...(now !== undefined && { logger: now }) } as ClientOptions<UserData>;
    const { engine, ...next } = toSettings(this.#url, given, this.#random);
    const lasting = this.#settings.engine;
    // `connect()` may have said another Keep Alive since: only a new word takes its place.
    const keys = ENGINE_KEYS.filter((key) => key !== 'keepAlive' || 'keepAlive' in rest);
    Object.assign(lasting, Object.fromEntries(keys.map((key) => [key, engine[key]])));
    this.#settings = { ...next, engine: lasting };
    this.#given = given;
  }
}
