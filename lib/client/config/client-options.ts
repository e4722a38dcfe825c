/**
 * The options of a client, as an application writes them. Their checks, defaults and use are in `schema.ts`, which does
 * not compile unless it has the same names.
 */

import type { ProtocolVersion } from '../../codec/packets.ts';
import type { RetryContext } from '../../engine/backoff.ts';
import type {
  AttemptContext,
  ProxyOptions,
  SocketOptions,
  TlsOptions,
  WebSocketOptions,
} from '../../transport/options.ts';
import type { SessionStore } from '../../store/session-store.ts';
import type { Dial } from '../../transport/transport.ts';
import type { Logger } from '../logger.ts';
import type { Authentication } from './authentication.ts';
import type { Credentials, OtherConnectProperties, Will } from './connect-fields.ts';
import type { ServerUrl } from './endpoints.ts';

/** A value, or a function that returns it and is called before every CONNECT. */
export type ValueOrFunction<T> = T | ((context: AttemptContext) => T | Promise<T>);

/**
 * Options with which a client identifies itself in CONNECT. Functions are called before every CONNECT; their time counts
 * towards `connectTimeout`.
 */
export interface IdentityOptions {
  /**
   * Client Identifier (3.1.3.1). On 3.1 and 3.1.1 it may only be empty or absent with `cleanStart: true`. On 5.0 the
   * server assigns one if it is empty, or if it is absent and `cleanStart` is not `true`. A function that returns
   * another one than before loses the session. @default 23 random letters and digits
   */
  readonly clientId?: ValueOrFunction<string> | undefined;
  /** User Name (3.1.3.5). */
  readonly username?: string | undefined;
  /** Password (3.1.3.6). Without `username` only on 5.0 [v4 MQTT-3.1.2-22]. */
  readonly password?: string | Uint8Array | undefined;
  /** Replaces `username` and `password`: for tokens that expire. */
  readonly credentials?: ((context: AttemptContext) => Credentials | Promise<Credentials>) | undefined;
  /**
   * Enhanced authentication (4.12): functions that exchange AUTH packets with the server, before CONNACK and for
   * `reauthenticate()`. They may be async; their time counts towards `connectTimeout`. 5.0. @default none
   */
  readonly authentication?: Authentication | undefined;
  /** Will Message (3.1.2.5). A function may return undefined: no Will. @default none */
  readonly will?:
    | Will
    | ((context: AttemptContext) => Will | undefined | Promise<Will | undefined>)
    | undefined;
  /** Properties of CONNECT that have no option (3.1.2.11). 5.0. @default `{ topicAliasMaximum: 16, requestResponseInformation: true }` */
  readonly properties?: ValueOrFunction<OtherConnectProperties> | undefined;
}

/** Options of how to reach the server. */
export interface NetworkOptions extends SocketOptions {
  /** For `mqtts:` and `wss:`. @default the server is verified by the authorities that the system trusts */
  readonly tls?: TlsOptions | undefined;
  /** For `ws:` and `wss:`. */
  readonly ws?: WebSocketOptions | undefined;
  /**
   * A proxy: its URL, or an object with the URL and more. `"environment"`: the proxy that `https_proxy` or `all_proxy`
   * names, unless `no_proxy` contains the server. It needs the package `proxy-from-env`, and is read for every attempt.
   * `http_proxy` is not used, because MQTT needs a tunnel. Not for Unix sockets. @default none
   */
  readonly proxy?: string | URL | ProxyOptions | undefined;
  /** Opens Network Connections instead of the built-in transports. @default the transport of the URL */
  readonly transport?: Dial | undefined;
}

/** See `ReconnectOptions.policy`. */
export type ReconnectPolicy = (context: RetryContext) => number | false;

/**
 * How the client restores a lost connection. The delay before attempt n, from 0, is `minDelay * factor ^ n`, at most
 * `maxDelay`, plus or minus up to `jitter` of it.
 */
export interface ReconnectOptions {
  /** ms, at least 0. @default 1000 */
  readonly minDelay?: number | undefined;
  /** ms, at least `minDelay`. @default 120000, or `minDelay` if that is more */
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
   * Overrides the delays, and which refusals are final: returns the ms until the next attempt, or `false` for no further
   * attempt (`Infinity` is the same). It must not call the client. If it throws or returns anything else, that is logged
   * and the default delay used.
   */
  readonly policy?: ReconnectPolicy | undefined;
  /** Whether `connect()` keeps trying until it succeeds, instead of rejecting on the first failure. @default false */
  readonly retryInitial?: boolean | undefined;
}

/** Options of a client. An option that is undefined counts as not given. */
export interface ClientOptions<UserData = undefined> extends NetworkOptions, IdentityOptions {
  /** 3 = MQTT 3.1, 4 = MQTT 3.1.1, 5 = MQTT 5.0. An option marked 5.0 is a `TypeError` with 3 or 4. @default 4 */
  readonly protocolVersion?: ProtocolVersion | undefined;
  /**
   * Clean Start (3.1.2.4), on 3.x Clean Session: whether the server discards the session when the client connects. On 5.0
   * `sessionExpiryInterval` alone says whether the session outlives the connection.
   * `"first"`: only at the first CONNECT of this client, and so does `true` if `sessionExpiryInterval` is above 0.
   * @default true
   */
  readonly cleanStart?: boolean | 'first' | undefined;
  /**
   * Seconds that the session outlives the connection; 0 = it ends with it, whatever `cleanStart` says; 0xFFFFFFFF = no
   * limit (3.1.2.11.2). 5.0. @default 0
   */
  readonly sessionExpiryInterval?: number | undefined;
  /** Seconds, at most 65,535; 0 = off (3.1.2.10). @default 60 */
  readonly keepAlive?: number | undefined;
  /** Any value; the client has it as `userData`. @default undefined */
  readonly userData?: UserData | undefined;
  /**
   * QoS 1 and 2 messages of this client that may be unacknowledged at a time, at most 65,535; 0 = the server's Receive
   * Maximum. @default 20
   */
  readonly maxInflight?: number | undefined;
  /**
   * Whether the client chooses Topic Aliases for the topics that it publishes to (3.3.2.3.4): `auto` writes a Topic Name
   * once for each connection, and from then on the alias in its place, as long as the topic is among those that were last
   * published to. At most 256, and the server's Topic Alias Maximum. 5.0. @default "off"
   */
  readonly topicAlias?: 'auto' | 'off' | undefined;
  /** Messages that may wait in the queue, for a connection or for `maxInflight`; 0 = no limit. @default 0 */
  readonly maxQueued?: number | undefined;
  /** The same in bytes of topic, properties and payload; 0 = no limit. @default 0 */
  readonly maxQueuedBytes?: number | undefined;
  /**
   * When the queue is full: `reject` the new message, let it `wait` for room, or `drop-oldest`. A message that is
   * rejected or dropped, or too large for an empty queue, rejects with a `QueueFullError`. @default "reject"
   */
  readonly onQueueFull?: 'reject' | 'wait' | 'drop-oldest' | undefined;
  /** `false`: a QoS 0 message without a connection rejects at once. @default true */
  readonly queueQos0Offline?: boolean | undefined;
  /**
   * For unacknowledged QoS 2 messages when the server has lost the session: `resend` them as new messages, which may
   * arrive twice, or `reject` them. @default "resend"
   */
  readonly onSessionLost?: 'resend' | 'reject' | undefined;
  /**
   * Keeps published QoS 1 and 2 messages, and what has to be known of the session, where they survive the process: see
   * docs/durability.md. They are sent after they were stored, and what an earlier process has left is sent first. Needs a
   * fixed `clientId`. If the store fails, the client ends with a `StoreError`. @default none
   */
  readonly store?: SessionStore | undefined;
  /** Whether QoS 0 messages that wait for a connection are stored as well. @default false */
  readonly storeQos0?: boolean | undefined;
  /**
   * ms until the client sends the oldest unanswered message again on the same connection; 0 = off. Above 0 it is a
   * `TypeError` on 5.0 [v5 MQTT-4.4.0-1]. @default 5000 on 3.1 and 3.1.1, 0 on 5.0
   */
  readonly messageRetry?: number | undefined;
  /** ms after which an unanswered message closes the connection and is sent again on the next; 0 = off. @default 0 */
  readonly ackTimeout?: number | undefined;
  /** ms to wait for SUBACK and UNSUBACK, at least 1. @default 30000 */
  readonly requestTimeout?: number | undefined;
  /**
   * ms for one attempt to connect, at least 1: functions of the options, name look-up, connection and CONNACK together.
   * @default 30000
   */
  readonly connectTimeout?: number | undefined;
  /** ms to wait for a byte from the server after PINGREQ, at least 1. @default half of Keep Alive */
  readonly pingTimeout?: number | undefined;
  /** `false`: a lost connection ends the client. A function is short for `{ policy }`. @default see `ReconnectOptions` */
  readonly reconnect?: ReconnectOptions | ReconnectPolicy | false | undefined;
  /**
   * Unsettled QoS 1 and 2 messages from the server, 1 to 65,535, at which the client stops reading; it reads again at
   * half of it. Announced as Receive Maximum on 5.0 (3.1.2.11.3). @default 1024
   */
  readonly receiveMaximum?: number | undefined;
  /**
   * Bytes of topic, properties and payload of these messages, at least 1, at which the client stops reading. Below this
   * limit, it reads beyond `receiveMaximum` while it waits for an answer from the server. One message may be larger.
   * @default 67108864
   */
  readonly receiveBuffer?: number | undefined;
  /**
   * ms that one unsettled message may delay the acknowledgements behind it; 0 = no limit. Then the client skips it: it is
   * acknowledged on the next connection; in a clean session, which ends with its connection, now. `status()` reports
   * `ack-stalled`.
   * The option also limits how long unread messages may block all others: see docs/backpressure.md. @default 30000
   */
  readonly ackStallTimeout?: number | undefined;
  /**
   * For QoS 1 and 2 messages without a matching subscription: `hold` keeps them for the first subscription that matches;
   * `acknowledge` acknowledges and discards them. At 1,000 held messages or 16 MiB the client stops reading; after 10 s
   * held messages are skipped. @default "hold" if the session outlives the connection, else "acknowledge"
   */
  readonly unmatched?: 'hold' | 'acknowledge' | undefined;
  /** Bytes, at least 1; a larger packet from the server is an error. Announced on 5.0 (3.1.2.11.4). @default no limit */
  readonly maximumPacketSize?: number | undefined;
  /** Topic Filters in one SUBSCRIBE or UNSUBSCRIBE; 0 = as many as fit. @default 0 */
  readonly maxFiltersPerPacket?: number | undefined;
  /** Whether the client restores its subscriptions when the server has lost the session. @default true */
  readonly resubscribe?: boolean | undefined;
  /** Gets log lines, without passwords and payloads. @default none */
  readonly logger?: Logger | undefined;
  /** Further servers, which are tried in turn if the server of the URL cannot be connected to. @default none */
  readonly servers?: readonly ServerUrl[] | undefined;
  /** Whether each attempt tries the servers in the order given, beginning with the URL, or at random. @default "listed" */
  readonly serverOrder?: 'listed' | 'shuffled' | undefined;
  /**
   * Whether the client goes to the server that a CONNACK or DISCONNECT names as Server Reference (4.11). It sends the
   * same credentials there. 5.0. @default false
   */
  readonly followServerReference?: boolean | undefined;
}

/** Options that `configure()` cannot change. */
export type FixedOption =
  | 'protocolVersion'
  | 'clientId'
  | 'cleanStart'
  | 'sessionExpiryInterval'
  | 'receiveMaximum'
  | 'receiveBuffer'
  | 'unmatched'
  | 'maximumPacketSize'
  | 'properties'
  | 'store';

/**
 * The options that `configure()` changes. The options of `IdentityOptions` and `NetworkOptions`, `keepAlive`,
 * `pingTimeout`, `topicAlias`, `servers`, `serverOrder` and `followServerReference` take effect with the next CONNECT, all
 * others at once. A lower limit drops nothing; the client only admits less. `undefined` restores the default.
 */
export interface ConfigurableOptions<UserData = undefined> extends Omit<
  ClientOptions<UserData>,
  FixedOption | 'logger'
> {
  /** `null` removes the logger. */
  readonly logger?: Logger | null | undefined;
}
