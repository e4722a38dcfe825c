import { isDeepStrictEqual, types } from 'node:util';
import type { ProtocolVersion } from '../../codec/packets.ts';
import type { ConnectSettings } from '../../connection/negotiated.ts';
import type { RetryContext } from '../../engine/backoff.ts';
import type { EngineOptions, Reconnection } from '../../engine/options.ts';
import { messageOf } from '../../errors.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Dial, OpenTransport } from '../../transport/transport.ts';
import {
  checkConnect,
  fixedCredentials,
  known,
  toConnectInputs,
  type AskConnectInputs,
  type IdentityOptions,
} from './connect-inputs.ts';
import { boolean, integer, numeric, oneOf, checkKeys, wrongType } from './validate.ts';
import { anyClientId, toClientId, toConnectProperties, toIdentity, toWill } from './connect-fields.ts';
import { ClientLogger, type Logger } from '../logger.ts';
import {
  checkUse,
  NETWORK_KEYS,
  toNetworkSettings,
  toTransport,
  type NetworkOptions,
  type NetworkSettings,
} from './network-options.ts';
import { onlySecure, toEndpoint, type Endpoint, type EndpointSettings, type ServerUrl } from './endpoints.ts';

/** See `ReconnectOptions.policy`. */
export type ReconnectPolicy = (context: RetryContext) => number | false;

/** How a lost connection is restored: delay `minDelay * factor ^ n`, capped at `maxDelay`, give or take `jitter`. */
export interface ReconnectOptions {
  /** ms. @default 1000 */
  readonly minDelay?: number | undefined;
  /** ms. @default 120000 */
  readonly maxDelay?: number | undefined;
  /** At least 1. @default 2 */
  readonly factor?: number | undefined;
  /** Share of the delay, 0 to 1, by which it varies at random. @default 0.2 */
  readonly jitter?: number | undefined;
  /**
   * Failed attempts in a row after which the client ends with the last error; an integer of 1 or more. A CONNACK that
   * accepts the connection starts the count again. A lost connection is not a failed attempt, but from the third
   * connection in a row that was up for less than 5 s on, each of them counts as one. The limit also holds for `policy`
   * and for `retryInitial`. @default no limit
   */
  readonly maxAttempts?: number | undefined;
  /**
   * Decides in endpoint of the delays, and of which refusals are final: ms until the next attempt, or `false` for none
   * (`Infinity` is the same). It must not call the client. If it throws or returns anything else, that is logged and the
   * default taken.
   */
  readonly policy?: ReconnectPolicy | undefined;
  /** Whether `connect()` keeps trying until it succeeds, instead of rejecting on the first failure. @default false */
  readonly retryInitial?: boolean | undefined;
}

/** Options of a client. What is only in MQTT 5.0 is a `TypeError` with another `protocolVersion`. */
export interface ClientOptions<UserData = undefined> extends NetworkOptions, IdentityOptions {
  /** 3 = MQTT 3.1, 4 = MQTT 3.1.1, 5 = MQTT 5.0. @default 4 */
  readonly protocolVersion?: ProtocolVersion | undefined;
  /**
   * Clean Start (3.1.2.4), Clean Session on 3.x: whether the session at the server is discarded on connecting.
   * `"first"`: only by the first CONNECT of this client; so does `true` with `sessionExpiryInterval` above 0.
   * @default true
   */
  readonly cleanStart?: boolean | 'first' | undefined;
  /** Seconds the session outlives the connection, 0xFFFFFFFF = for ever (3.1.2.11.2, 5.0). @default 0 */
  readonly sessionExpiryInterval?: number | undefined;
  /** Seconds, 0 = off, at most 65,535 (3.1.2.10). @default 60 */
  readonly keepAlive?: number | undefined;
  /** Anything: it is on the client as `userData`. @default undefined */
  readonly userData?: UserData | undefined;
  /** QoS > 0 messages of ours on the wire at once; 0 = as many as the server's Receive Maximum allows. @default 20 */
  readonly maxInflight?: number | undefined;
  /** Messages that may wait for a connection or for the window; 0 = no limit. @default 0 */
  readonly maxQueued?: number | undefined;
  /** The same in bytes of topic, properties and payload. @default 0 */
  readonly maxQueuedBytes?: number | undefined;
  /**
   * What happens beyond these limits: `reject` the new message, have it `wait` in line until there is room, or
   * `drop-oldest`. What is refused, dropped, or too large to ever fit rejects with `QueueFullError`. @default "reject"
   */
  readonly onQueueFull?: 'reject' | 'wait' | 'drop-oldest' | undefined;
  /** `false`: QoS 0 without a connection rejects at once. @default true */
  readonly queueQos0Offline?: boolean | undefined;
  /**
   * What becomes of QoS 2 messages in flight when the server has lost the session: `resend` as new ones (never lost,
   * may arrive twice) or `reject`. @default "resend"
   */
  readonly onSessionLost?: 'resend' | 'reject' | undefined;
  /**
   * ms until the oldest unanswered message is sent again on a live connection; 0 = off. Only 3.1 and 3.1.1: 5.0 forbids
   * it [v5 MQTT-4.4.0-1]. @default 5000 on 3.1 and 3.1.1, 0 on 5.0
   */
  readonly messageRetry?: number | undefined;
  /** ms after which an unanswered message closes the connection, so that it is sent again on the next; 0 = off. @default 0 */
  readonly ackTimeout?: number | undefined;
  /** ms to wait for SUBACK and UNSUBACK. @default 30000 */
  readonly requestTimeout?: number | undefined;
  /** ms for one attempt: credentials, name look-up, connection and CONNACK together. @default 30000 */
  readonly connectTimeout?: number | undefined;
  /** ms to wait for a sign of life after PINGREQ. @default half of Keep Alive */
  readonly pingTimeout?: number | undefined;
  /** `false`: a lost connection is the end. A function alone is short for `{ policy }`. */
  readonly reconnect?: ReconnectOptions | ReconnectPolicy | false | undefined;
  /**
   * QoS > 0 messages from the server that may be unsettled, 1 to 65,535. On every version the client then stops reading
   * from the network, and reads on at half. Announced as Receive Maximum on 5.0. @default 1024
   */
  readonly receiveMaximum?: number | undefined;
  /**
   * Bytes of topic, properties and payload that these messages may hold: then the client stops reading. Up to this limit
   * it reads past `receiveMaximum` while an answer to something of ours is awaited. A single message may be larger.
   * @default 67108864
   */
  readonly receiveBuffer?: number | undefined;
  /**
   * ms that one unsettled message may keep acknowledgements behind it waiting. Then it is skipped, that is not
   * acknowledged on this connection but on the next; in a clean session it is acknowledged. `status()` says
   * `ack-stalled`. It also limits how long messages that nobody takes, or settles, may keep everything else from coming:
   * see docs/backpressure.md. 0 = never. @default 30000
   */
  readonly ackStallTimeout?: number | undefined;
  /**
   * QoS 1 and 2 messages for which there is no subscription: `park` keeps them for the first that matches (at 1000 of
   * them or 16 MiB the client stops reading; after 10 s they no longer count), `acknowledge` discards them. @default "hold" in a session that outlives
   * the connection, else "acknowledge"
   */
  readonly unmatched?: 'hold' | 'acknowledge' | undefined;
  /** Bytes; a larger packet from the server is refused. @default no limit */
  readonly maximumPacketSize?: number | undefined;
  /** Topic Filters in one SUBSCRIBE or UNSUBSCRIBE; 0 = as many as fit. @default 0 */
  readonly maxFiltersPerPacket?: number | undefined;
  /** Whether subscriptions are restored when the server has lost the session. @default true */
  readonly resubscribe?: boolean | undefined;
  /** @default none */
  readonly logger?: Logger | undefined;
  /** Servers that are tried in turn where the one of the URL, and those before, cannot be connected to. @default none */
  readonly servers?: readonly ServerUrl[] | undefined;
  /** Whether each attempt tries them in the order given, that of the URL first, or in any. @default "listed" */
  readonly serverOrder?: 'listed' | 'shuffled' | undefined;
  /**
   * Whether an attempt goes on, or the next one begins, at the server that a server names when it refuses or ends the
   * connection: Server Reference (4.11, 5.0). It gets the same credentials. @default false
   */
  readonly followServerReference?: boolean | undefined;
}

/** What stands between a client and the machine, so that specs can put something else there. @internal */
export interface Platform {
  readonly clock: Clock;
  readonly dial: OpenTransport;
  /** In [0, 1). */
  readonly random: () => number;
}

/** All options, checked and with their defaults. */
export interface Settings<UserData> extends EndpointSettings {
  readonly network: NetworkSettings;
  /** In endpoint of the transports here. */
  readonly transport: Dial | undefined;
  readonly engine: EngineOptions & { keepAlive: number };
  readonly connectInputs: AskConnectInputs;
  readonly retryInitial: boolean;
  readonly userData: UserData;
  readonly logger: Logger | undefined;
  readonly unmatched: 'hold' | 'acknowledge';
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
  'receiveBuffer',
  'ackStallTimeout',
  'unmatched',
  'maximumPacketSize',
  'maxFiltersPerPacket',
  'resubscribe',
  'logger',
  'properties',
  'servers',
  'serverOrder',
  'followServerReference',
  ...NETWORK_KEYS,
];
const ONLY_5: readonly (keyof ClientOptions)[] = [
  'sessionExpiryInterval',
  'properties',
  'followServerReference',
];
const U32 = 0xffff_ffff;

/** Checks everything, throws `TypeError` or `RangeError`, fills in the defaults. `options` is copied. */
export function toSettings<UserData>(
  url: ServerUrl,
  options: ClientOptions<UserData>,
  random: () => number,
): Settings<UserData> {
  const said = Object.entries(checkKeys('options', options, KEYS)).filter(([, value]) => value !== undefined);
  for (const [key, value] of said)
    if (value === null && key !== 'userData') throw wrongType(key, 'a value, or none at all', value);
  const given = Object.fromEntries(said) as ClientOptions<UserData>;
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
  const reconnect = toReconnectOptions(given.reconnect);
  const logger = given.logger === undefined ? undefined : toLogger(given.logger);
  const persistent = protocolVersion === 5 ? sessionExpiryInterval > 0 : cleanStart !== true;
  const dialOptions = toNetworkSettings(given);
  const endpoints = toEndpoints(url, given);
  const will = known(given.will);
  const connect: ConnectSettings = {
    protocolVersion,
    sessionExpiryInterval,
    keepAlive: integer('keepAlive', given.keepAlive ?? 60, 0, 65_535),
    will: will && toWill(will, protocolVersion),
    receiveMaximum: integer('receiveMaximum', given.receiveMaximum ?? 1_024, 1, 65_535),
    maximumPacketSize: optional('maximumPacketSize', given.maximumPacketSize, 1, U32),
    properties: toConnectProperties(known(given.properties) ?? {}),
  };
  const clientId = known(given.clientId) ?? '';
  const ask = toConnectInputs(given, connect, cleanStart);
  if (typeof given.clientId !== 'function') toClientId(clientId, cleanStart, protocolVersion);
  // What cannot be encoded is told now, not by the first attempt to connect.
  for (const endpoint of endpoints) {
    const fromUrl = typeof endpoint === 'function' ? {} : endpoint.credentials;
    const identity = toIdentity(fixedCredentials(given, fromUrl), protocolVersion);
    checkConnect(connect, { ...identity, ...(clientId !== '' && { clientId }) });
  }
  return {
    endpoints,
    serverOrder: oneOf('serverOrder', given.serverOrder ?? 'listed', ['listed', 'shuffled']),
    followServerReference: boolean('followServerReference', given.followServerReference ?? false),
    network: dialOptions,
    transport: given.transport && toTransport(given.transport),
    engine: {
      ...connect,
      // On 5.0 the server assigns one; where none was asked for and none has to last, ours is as good.
      clientId:
        clientId !== '' || (protocolVersion === 5 && given.clientId === '') || cleanStart !== true
          ? clientId
          : anyClientId(random),
      cleanStart,
      maxInflight: integer('maxInflight', given.maxInflight ?? 20, 0, 65_535),
      queueLimits: {
        messages: integer('maxQueued', given.maxQueued ?? 0, 0),
        bytes: integer('maxQueuedBytes', given.maxQueuedBytes ?? 0, 0),
      },
      onQueueFull: oneOf('onQueueFull', given.onQueueFull ?? 'reject', ['reject', 'wait', 'drop-oldest']),
      queueQos0Offline: boolean('queueQos0Offline', given.queueQos0Offline ?? true),
      onSessionLost: oneOf('onSessionLost', given.onSessionLost ?? 'resend', ['resend', 'reject']),
      messageRetry,
      ackTimeout: integer('ackTimeout', given.ackTimeout ?? 0, 0),
      requestTimeout: integer('requestTimeout', given.requestTimeout ?? 30_000, 1),
      connectTimeout: integer('connectTimeout', given.connectTimeout ?? 30_000, 1),
      pingTimeout: optional('pingTimeout', given.pingTimeout, 1),
      reconnect: toReconnection(reconnect, new ClientLogger(logger)),
      receiveBuffer: integer('receiveBuffer', given.receiveBuffer ?? 67_108_864, 1),
      ackStallTimeout: integer('ackStallTimeout', given.ackStallTimeout ?? 30_000, 0),
      persistent,
      maxFiltersPerPacket: integer('maxFiltersPerPacket', given.maxFiltersPerPacket ?? 0, 0),
      resubscribe: boolean('resubscribe', given.resubscribe ?? true),
      credentialsVary: given.credentials !== undefined || credentialsDiffer(endpoints),
    },
    connectInputs: ask,
    retryInitial: reconnect !== false && (reconnect.retryInitial ?? false),
    userData: given.userData as UserData,
    logger,
    unmatched: oneOf('unmatched', given.unmatched ?? (persistent ? 'hold' : 'acknowledge'), [
      'hold',
      'acknowledge',
    ]),
    persistent,
  };
}

/** The server of the URL and the others, each once. */
function toEndpoints(
  url: ServerUrl,
  { servers = [], ...given }: Pick<ClientOptions, 'servers'> & NetworkOptions,
): readonly Endpoint[] {
  if (!Array.isArray(servers)) throw wrongType('servers', 'an array of URLs', servers);
  const endpoints = [url, ...(servers as readonly ServerUrl[])].map((one) => toEndpoint(one, given.ws?.path));
  const protocols = endpoints.map((endpoint) =>
    typeof endpoint === 'function' ? 'any' : endpoint.target.protocol,
  );
  checkUse(given, protocols);
  // Where `tls` is for those that are asked for alone, it is for each of them.
  const isSecure = protocols.some((protocol) => protocol === 'mqtts' || protocol === 'wss');
  const all =
    given.tls === undefined || isSecure ? endpoints : endpoints.map((endpoint) => onlySecure(endpoint));
  return all.filter((endpoint, i) => all.findIndex((other) => isDeepStrictEqual(endpoint, other)) === i);
}

/** Whether the URLs may come with other credentials than the one before. */
function credentialsDiffer(endpoints: readonly Endpoint[]): boolean {
  const [first] = endpoints;
  return endpoints.some(
    (endpoint) =>
      typeof endpoint === 'function' ||
      (typeof first === 'object' && !isDeepStrictEqual(endpoint.credentials, first.credentials)),
  );
}

function optional(name: string, value: number | undefined, least: number, most?: number): number | undefined {
  return value === undefined ? undefined : integer(name, value, least, most);
}

/** A bare function is short for `{ policy }`. */
function toReconnectOptions(given: ClientOptions['reconnect']): ReconnectOptions | false {
  if (given === undefined || given === false) return given ?? {};
  if (typeof given === 'function') return { policy: given };
  const keys = ['minDelay', 'maxDelay', 'factor', 'jitter', 'maxAttempts', 'policy', 'retryInitial'];
  const reconnect = checkKeys('reconnect', given, keys) as ReconnectOptions;
  if (reconnect.retryInitial !== undefined) boolean('reconnect.retryInitial', reconnect.retryInitial);
  if (reconnect.policy !== undefined && typeof reconnect.policy !== 'function')
    throw wrongType('reconnect.policy', 'a function', reconnect.policy);
  return reconnect;
}

function toReconnection(
  reconnect: ReconnectOptions | false,
  logger: ClientLogger,
): EngineOptions['reconnect'] {
  if (reconnect === false) return false;
  const minDelay = numeric('reconnect.minDelay', reconnect.minDelay ?? 1_000, 0);
  return {
    minDelay,
    maxDelay: numeric('reconnect.maxDelay', reconnect.maxDelay ?? Math.max(120_000, minDelay), minDelay),
    factor: numeric('reconnect.factor', reconnect.factor ?? 2, 1),
    jitter: numeric('reconnect.jitter', reconnect.jitter ?? 0.2, 0, 1),
    maxAttempts: optional('reconnect.maxAttempts', reconnect.maxAttempts, 1),
    policy: toPolicy(reconnect.policy, logger),
  };
}

/** The user's policy as the engine takes it: it never throws, and answers with a delay, `false` or nothing. */
function toPolicy(policy: ReconnectPolicy | undefined, log: ClientLogger): Reconnection['policy'] {
  if (policy === undefined) return undefined;
  return (context) => {
    try {
      const answer: unknown = policy(context);
      if (answer === false || (typeof answer === 'number' && answer >= 0)) return answer;
      // One that is asynchronous by mistake must not end the process when it rejects.
      if (types.isPromise(answer)) answer.catch(() => {});
      const got = typeof answer === 'number' ? String(answer) : typeof answer;
      log.error(`reconnect.policy: expected a delay in ms or false, got ${got}: the default is taken`);
    } catch (error) {
      log.error(`reconnect.policy threw, and the default is taken: ${messageOf(error)}`);
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
