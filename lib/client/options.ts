import { encode } from '../codec/codec.ts';
import type {
  ConnectProperties,
  ProtocolVersion,
  QoS,
  WillMessage,
  WillProperties,
} from '../codec/packets.ts';
import { connectPacket, type ConnectSettings } from '../connection/handshake.ts';
import type { RetryContext } from '../engine/backoff.ts';
import type { EngineOptions } from '../engine/options.ts';
import { topicNameError } from '../topic/names.ts';
import type { Clock } from './clock.ts';
import type { AttemptContext } from '../transport/options.ts';
import type { Dial, RoadDial, Target } from '../transport/transport.ts';
import type { UrlCredentials } from '../transport/url.ts';
import { asArgument, flag, integer, numeric, oneOf, record, string, wrongType } from './checks.ts';
import { Log, type Logger } from './log.ts';
import { toBytes, type Payload } from './payload.ts';
import { ROAD_KEYS, toRoad, toTransport, type RoadOptions, type RoadSettings } from './roads.ts';

/** User name and password for one CONNECT (3.1.3.5, 3.1.3.6). */
export interface Credentials {
  readonly username?: string;
  readonly password?: string | Uint8Array;
}

/** The message the server publishes for a client that is gone without DISCONNECT (3.1.2.5). */
export interface Will {
  readonly topic: string;
  /** `null` = zero length. */
  readonly payload?: Payload;
  /** @default 0 */
  readonly qos?: QoS;
  /** @default false */
  readonly retain?: boolean;
  /** 5.0 */
  readonly properties?: WillProperties;
}

/** See `ReconnectOptions.policy`. */
export type ReconnectPolicy = (context: RetryContext) => number | false;

/** How a lost connection is restored: delay `minDelay * factor ^ n`, capped at `maxDelay`, give or take `jitter`. */
export interface ReconnectOptions {
  /** ms. @default 1000 */
  readonly minDelay?: number;
  /** ms. @default 120000 */
  readonly maxDelay?: number;
  /** At least 1. @default 2 */
  readonly factor?: number;
  /** Share of the delay, 0 to 1, by which it varies at random. @default 0.2 */
  readonly jitter?: number;
  /**
   * Decides in place of the delays, and of which refusals are final: ms until the next attempt, or `false` for none
   * (`Infinity` is the same). It must not call the client. If it throws or returns anything else, that is logged and the
   * default taken.
   */
  readonly policy?: ReconnectPolicy;
  /** Whether `connect()` keeps trying until it succeeds, instead of rejecting on the first failure. @default false */
  readonly retryInitial?: boolean;
}

/** Options of a client. What is only in MQTT 5.0 is a `TypeError` with another `protocolVersion`. */
export interface ClientOptions<UserData = undefined> extends RoadOptions {
  /** 3 = MQTT 3.1, 4 = MQTT 3.1.1, 5 = MQTT 5.0. @default 4 */
  readonly protocolVersion?: ProtocolVersion;
  /**
   * Client Identifier (3.1.3.1). Empty or absent: a random one of up to 23 letters and digits, which takes
   * `cleanStart: true`; on 5.0 an empty one lets the server assign it. @default random
   */
  readonly clientId?: string;
  /**
   * Clean Start (3.1.2.4), Clean Session on 3.x: whether the session at the server is discarded on connecting.
   * `"first"`: only by the first CONNECT of this client; so does `true` with `sessionExpiryInterval` above 0.
   * @default true
   */
  readonly cleanStart?: boolean | 'first';
  /** Seconds the session outlives the connection, 0xFFFFFFFF = for ever (3.1.2.11.2, 5.0). @default 0 */
  readonly sessionExpiryInterval?: number;
  /** Seconds, 0 = off, at most 65,535 (3.1.2.10). @default 60 */
  readonly keepAlive?: number;
  readonly username?: string;
  /** Without `username` only on 5.0 [v4 MQTT-3.1.2-22]. */
  readonly password?: string | Uint8Array;
  /** Asked before every CONNECT, in place of `username` and `password`: for tokens that expire. */
  readonly credentials?: (context: AttemptContext) => Credentials | Promise<Credentials>;
  readonly will?: Will;
  /** Anything: it is on the client as `userData`. @default undefined */
  readonly userData?: UserData;
  /** QoS > 0 messages of ours on the wire at once; 0 = as many as the server's Receive Maximum allows. @default 20 */
  readonly maxInflight?: number;
  /** Messages that may wait for a connection or for the window; 0 = no limit. @default 0 */
  readonly maxQueued?: number;
  /** The same in bytes of payload. @default 0 */
  readonly maxQueuedBytes?: number;
  /**
   * What happens beyond these limits: `reject` the new message, have it `wait` in line until there is room, or
   * `drop-oldest`. What is refused, dropped, or too large to ever fit rejects with `QueueFullError`. @default "reject"
   */
  readonly onQueueFull?: 'reject' | 'wait' | 'drop-oldest';
  /** `false`: QoS 0 without a connection rejects at once. @default true */
  readonly queueQos0Offline?: boolean;
  /**
   * What becomes of QoS 2 messages in flight when the server has lost the session: `resend` as new ones (never lost,
   * may arrive twice) or `reject`. @default "resend"
   */
  readonly onSessionLost?: 'resend' | 'reject';
  /**
   * ms until the oldest unanswered message is sent again on a live connection; 0 = off. Only 3.1 and 3.1.1: 5.0 forbids
   * it [v5 MQTT-4.4.0-1]. @default 5000 on 3.1 and 3.1.1, 0 on 5.0
   */
  readonly messageRetry?: number;
  /** ms after which an unanswered message closes the connection, so that it is sent again on the next; 0 = off. @default 0 */
  readonly ackTimeout?: number;
  /** ms to wait for SUBACK and UNSUBACK. @default 30000 */
  readonly requestTimeout?: number;
  /** ms for one attempt: credentials, name look-up, connection and CONNACK together. @default 30000 */
  readonly connectTimeout?: number;
  /** ms to wait for a sign of life after PINGREQ. @default half of Keep Alive */
  readonly pingTimeout?: number;
  /** `false`: a lost connection is the end. A function alone is short for `{ policy }`. */
  readonly reconnect?: ReconnectOptions | ReconnectPolicy | false;
  /** QoS > 0 messages from the server that may be unacknowledged here: Receive Maximum on 5.0. @default 1024 */
  readonly receiveMaximum?: number;
  /**
   * ms that one unsettled message may keep acknowledgements behind it waiting; then it is passed over: not acknowledged
   * on this connection, answered on the next. `status()` says `ack-stalled`. 0 = never. @default 30000
   */
  readonly ackStallTimeout?: number;
  /**
   * QoS 1 and 2 messages for which there is no subscription: `park` keeps them for the first that matches (at most 1000
   * and 16 MiB; after 10 s they are passed over), `acknowledge` lets them go. @default "park" in a session that outlives
   * the connection, else "acknowledge"
   */
  readonly unmatched?: 'park' | 'acknowledge';
  /** Bytes; a larger packet from the server is refused. @default no limit */
  readonly maximumPacketSize?: number;
  /** Topic Filters in one SUBSCRIBE or UNSUBSCRIBE; 0 = as many as fit. @default 0 */
  readonly maxFiltersPerPacket?: number;
  /** Whether subscriptions are restored when the server has lost the session. @default true */
  readonly resubscribe?: boolean;
  /** @default none */
  readonly logger?: Logger;
  /** The other CONNECT properties (3.1.2.11, 5.0). */
  readonly properties?: Pick<
    ConnectProperties,
    'topicAliasMaximum' | 'requestResponseInformation' | 'requestProblemInformation' | 'userProperties'
  >;
}

/** What stands between a client and the machine, so that specs can put something else there. @internal */
export interface Platform {
  readonly clock: Clock;
  readonly dial: RoadDial;
  /** In [0, 1). */
  readonly random: () => number;
}

/** All options, checked and with their defaults. */
export interface Settings<UserData> {
  readonly target: Target;
  readonly road: RoadSettings;
  /** In place of the transports here. */
  readonly transport: Dial | undefined;
  readonly engine: EngineOptions & { keepAlive: number };
  readonly credentials: (context: AttemptContext) => Credentials | Promise<Credentials>;
  readonly retryInitial: boolean;
  readonly userData: UserData;
  readonly logger: Logger | undefined;
  readonly unmatched: 'park' | 'acknowledge';
  /** Whether the session outlives a connection. */
  readonly persistent: boolean;
}

const KEYS: readonly (keyof ClientOptions)[] = [
  'protocolVersion',
  'clientId',
  'cleanStart',
  'sessionExpiryInterval',
  'keepAlive',
  'username',
  'password',
  'credentials',
  'will',
  'userData',
  'maxInflight',
  'maxQueued',
  'maxQueuedBytes',
  'onQueueFull',
  'queueQos0Offline',
  'onSessionLost',
  'messageRetry',
  'ackTimeout',
  'requestTimeout',
  'connectTimeout',
  'pingTimeout',
  'reconnect',
  'receiveMaximum',
  'ackStallTimeout',
  'unmatched',
  'maximumPacketSize',
  'maxFiltersPerPacket',
  'resubscribe',
  'logger',
  'properties',
  ...ROAD_KEYS,
];
const ONLY_5: readonly (keyof ClientOptions)[] = ['sessionExpiryInterval', 'properties'];
const U32 = 0xffff_ffff;
const LETTERS = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';

/**
 * Checks everything, throws `TypeError` or `RangeError`, fills in the defaults. `options` is copied; `fromUrl` stands in
 * for what it does not say.
 */
export function toSettings<UserData>(
  target: Target,
  options: ClientOptions<UserData>,
  random: () => number,
  fromUrl: UrlCredentials = {},
): Settings<UserData> {
  const said = Object.entries(record('options', options, KEYS)).filter(([, value]) => value !== undefined);
  for (const [key, value] of said)
    if (value === null && key !== 'userData') throw wrongType(key, 'a value, or none at all', value);
  const given = { ...fromUrl, ...Object.fromEntries(said) } as ClientOptions<UserData>;
  const protocolVersion = oneOf('protocolVersion', given.protocolVersion ?? 4, [3, 4, 5]);
  if (protocolVersion < 5)
    for (const key of ONLY_5)
      if (given[key] !== undefined)
        throw new TypeError(
          `${key}: expected none with protocolVersion ${protocolVersion}, as only MQTT 5.0 has it`,
        );
  const cleanStart = oneOf('cleanStart', given.cleanStart ?? true, [true, false, 'first']);
  const sessionExpiryInterval = integer('sessionExpiryInterval', given.sessionExpiryInterval ?? 0, 0, U32);
  const messageRetry = integer('messageRetry', given.messageRetry ?? (protocolVersion < 5 ? 5_000 : 0), 0);
  if (protocolVersion === 5 && messageRetry > 0)
    throw new TypeError(
      `messageRetry: expected 0 with protocolVersion 5, which forbids it [v5 MQTT-4.4.0-1], got ${messageRetry}`,
    );
  const { credentials } = given;
  const reconnect = toReconnectOptions(given.reconnect);
  const logger = given.logger === undefined ? undefined : toLogger(given.logger);
  const persistent = protocolVersion === 5 ? sessionExpiryInterval > 0 : cleanStart !== true;
  if (credentials !== undefined && typeof credentials !== 'function')
    throw wrongType('credentials', 'a function', credentials);
  const fixed: Credentials = {
    ...(given.username !== undefined && { username: given.username }),
    ...(given.password !== undefined && { password: given.password }),
  };
  const identity = toIdentity(fixed, protocolVersion);
  const clientId = toClientId(given.clientId, cleanStart, protocolVersion, random);
  const connect: ConnectSettings = {
    protocolVersion,
    sessionExpiryInterval,
    keepAlive: integer('keepAlive', given.keepAlive ?? 60, 0, 65_535),
    will: given.will === undefined ? undefined : toWill(given.will, protocolVersion),
    receiveMaximum: integer('receiveMaximum', given.receiveMaximum ?? 1_024, 1, 65_535),
    maximumPacketSize: optional('maximumPacketSize', given.maximumPacketSize, 1, U32),
    properties: toConnectProperties(given.properties ?? {}),
  };
  // What cannot be encoded is told now, not by the first attempt to connect.
  asArgument(() =>
    encode(connectPacket(connect, { clientId, cleanStart: true, ...identity }), protocolVersion),
  );
  return {
    target,
    road: toRoad(given),
    transport: given.transport && toTransport(given.transport),
    engine: {
      ...connect,
      will: structuredClone(connect.will),
      properties: structuredClone(connect.properties),
      clientId,
      cleanStart,
      maxInflight: integer('maxInflight', given.maxInflight ?? 20, 0, 65_535),
      queueLimits: {
        messages: integer('maxQueued', given.maxQueued ?? 0, 0),
        bytes: integer('maxQueuedBytes', given.maxQueuedBytes ?? 0, 0),
      },
      onQueueFull: oneOf('onQueueFull', given.onQueueFull ?? 'reject', ['reject', 'wait', 'drop-oldest']),
      queueQos0Offline: flag('queueQos0Offline', given.queueQos0Offline ?? true),
      onSessionLost: oneOf('onSessionLost', given.onSessionLost ?? 'resend', ['resend', 'reject']),
      messageRetry,
      ackTimeout: integer('ackTimeout', given.ackTimeout ?? 0, 0),
      requestTimeout: integer('requestTimeout', given.requestTimeout ?? 30_000, 1),
      connectTimeout: integer('connectTimeout', given.connectTimeout ?? 30_000, 1),
      pingTimeout: optional('pingTimeout', given.pingTimeout, 1),
      reconnect: toBackoff(reconnect),
      policy: reconnect === false ? undefined : toPolicy(reconnect.policy, new Log(logger)),
      ackStallTimeout: integer('ackStallTimeout', given.ackStallTimeout ?? 30_000, 0),
      persistent,
      maxFiltersPerPacket: integer('maxFiltersPerPacket', given.maxFiltersPerPacket ?? 0, 0),
      resubscribe: flag('resubscribe', given.resubscribe ?? true),
      credentialsVary: credentials !== undefined,
    },
    credentials: credentials ?? (() => identity),
    retryInitial: reconnect !== false && (reconnect.retryInitial ?? false),
    userData: given.userData as UserData,
    logger,
    unmatched: oneOf('unmatched', given.unmatched ?? (persistent ? 'park' : 'acknowledge'), [
      'park',
      'acknowledge',
    ]),
    persistent,
  };
}

function optional(name: string, value: number | undefined, least: number, most?: number): number | undefined {
  return value === undefined ? undefined : integer(name, value, least, most);
}

function toClientId(
  given: string | undefined,
  cleanStart: boolean | 'first',
  version: ProtocolVersion,
  random: () => number,
): string {
  const clientId = given === undefined ? '' : string('clientId', given);
  if (clientId !== '') {
    if (!clientId.isWellFormed() || clientId.includes('\0'))
      throw new TypeError('clientId: expected well-formed text without U+0000');
    return clientId;
  }
  // On 5.0 the server assigns one [MQTT-3.1.3-7]; where none was asked for and none has to last, ours is as good.
  if (version === 5 && (given === '' || cleanStart !== true)) return '';
  if (cleanStart !== true)
    throw new TypeError(`clientId: expected one of your own with cleanStart ${cleanStart}, got none`);
  return Array.from({ length: 23 }, () => LETTERS[Math.floor(random() * LETTERS.length)]).join('');
}

/** Checks credentials and puts them into the form that CONNECT has. */
export function toIdentity(
  credentials: Credentials,
  version: ProtocolVersion,
): { username?: string; password?: Uint8Array } {
  const { username, password } = record('credentials', credentials, ['username', 'password']) as Credentials;
  if (username !== undefined) string('username', username);
  if (password !== undefined && typeof password !== 'string' && !(password instanceof Uint8Array))
    throw wrongType('password', 'a string or bytes', password);
  if (password !== undefined && username === undefined && version < 5)
    throw new TypeError(
      'password: expected a username with it, as MQTT 3.1 and 3.1.1 have no password without [v4 MQTT-3.1.2-22]',
    );
  const identity = {
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password: toBytes(password) }),
  };
  // Too long, or not well-formed: it must not be found out by the attempt that is to send it.
  asArgument(() =>
    encode({ type: 'connect', clientId: '1', cleanStart: true, keepAlive: 0, ...identity }, version),
  );
  return identity;
}

function toWill(given: Will, version: ProtocolVersion): WillMessage {
  const will = record('will', given, ['topic', 'payload', 'qos', 'retain', 'properties']) as unknown as Will;
  const wrong = topicNameError(string('will.topic', will.topic));
  if (wrong !== undefined) throw new TypeError(`will.topic: ${wrong}`);
  if (version < 5 && will.properties !== undefined)
    throw new TypeError(
      `will.properties: expected none with protocolVersion ${version}, as only MQTT 5.0 has them`,
    );
  return {
    topic: will.topic,
    payload: toBytes(will.payload ?? null),
    qos: oneOf('will.qos', will.qos ?? 0, [0, 1, 2]),
    retain: flag('will.retain', will.retain ?? false),
    properties: will.properties ?? {},
  };
}

function toConnectProperties(given: NonNullable<ClientOptions['properties']>): ConnectProperties {
  const keys = [
    'topicAliasMaximum',
    'requestResponseInformation',
    'requestProblemInformation',
    'userProperties',
  ];
  const properties = record('properties', given, keys) as ConnectProperties;
  optional('properties.topicAliasMaximum', properties.topicAliasMaximum, 0, 65_535);
  for (const key of ['requestResponseInformation', 'requestProblemInformation'] as const)
    if (properties[key] !== undefined) flag(`properties.${key}`, properties[key]);
  return properties;
}

/** A bare function is short for `{ policy }`. */
function toReconnectOptions(given: ClientOptions['reconnect']): ReconnectOptions | false {
  if (given === undefined || given === false) return given ?? {};
  if (typeof given === 'function') return { policy: given };
  const keys = ['minDelay', 'maxDelay', 'factor', 'jitter', 'policy', 'retryInitial'];
  const reconnect = record('reconnect', given, keys) as ReconnectOptions;
  if (reconnect.retryInitial !== undefined) flag('reconnect.retryInitial', reconnect.retryInitial);
  if (reconnect.policy !== undefined && typeof reconnect.policy !== 'function')
    throw wrongType('reconnect.policy', 'a function', reconnect.policy);
  return reconnect;
}

function toBackoff(reconnect: ReconnectOptions | false): EngineOptions['reconnect'] {
  if (reconnect === false) return false;
  const minDelay = numeric('reconnect.minDelay', reconnect.minDelay ?? 1_000, 0);
  return {
    minDelay,
    maxDelay: numeric('reconnect.maxDelay', reconnect.maxDelay ?? Math.max(120_000, minDelay), minDelay),
    factor: numeric('reconnect.factor', reconnect.factor ?? 2, 1),
    jitter: numeric('reconnect.jitter', reconnect.jitter ?? 0.2, 0, 1),
  };
}

/** The user's policy as the engine takes it: it never throws, and answers with a delay, `false` or nothing. */
function toPolicy(policy: ReconnectPolicy | undefined, log: Log): EngineOptions['policy'] {
  if (policy === undefined) return undefined;
  return (context) => {
    try {
      const answer: unknown = policy(context);
      if (answer === false || (typeof answer === 'number' && answer >= 0)) return answer;
      // One that is asynchronous by mistake must not end the process when it rejects.
      if (answer instanceof Promise) answer.catch(() => {});
      const got = typeof answer === 'number' ? String(answer) : typeof answer;
      log.error(`reconnect.policy: expected a delay in ms or false, got ${got}: the default is taken`);
    } catch (error) {
      log.error(`reconnect.policy threw, and the default is taken: ${String(error)}`);
    }
    return undefined;
  };
}

function toLogger(logger: Logger): Logger {
  if (typeof logger !== 'object' || (logger as unknown) === null)
    throw wrongType('logger', 'an object', logger);
  for (const level of ['debug', 'info', 'warn', 'error'] as const)
    if (typeof logger[level] !== 'function') throw wrongType(`logger.${level}`, 'a function', logger[level]);
  return logger;
}
