import type { DisconnectProperties } from '../codec/packets.ts';
import type { ConnectIdentity, ConnectSettings } from '../connection/negotiated.ts';
import type { SlabPool } from '../connection/outbox.ts';
import type { Traffic } from '../connection/traffic.ts';
import type { Text } from '../codec/text.ts';
import type { Checksum } from '../session/records.ts';
import type { StoreSizes } from '../session/store-sizes.ts';
import type { QueueLimits } from '../session/queue.ts';
import type { Backoff, RetryContext } from './backoff.ts';

export interface Reconnection extends Backoff {
  /** Failed attempts in a row after which the client ends; undefined = no limit. */
  readonly maxAttempts?: number | undefined;
  /** Overrides the delays and which refusals are final, unless it returns undefined. Never throws. */
  readonly policy?: ((context: RetryContext) => number | false | undefined) | undefined;
}

/** The options of the engine, which reads them when it needs them: `configure()` changes them. All times in ms. */
export interface EngineOptions extends ConnectSettings {
  readonly clientId: string;
  /** `first`: only until the first CONNECT has been accepted. */
  readonly cleanStart: boolean | 'first';
  readonly maxInflight: number;
  /** `auto`: the client chooses Topic Aliases for what it publishes (5.0). */
  readonly topicAlias: 'auto' | 'off';
  readonly queueLimits: QueueLimits;
  readonly onQueueFull: 'reject' | 'wait' | 'drop-oldest';
  readonly queueQos0Offline: boolean;
  readonly onSessionLost: 'resend' | 'reject';
  /** Whether QoS 0 that waits for a connection is stored, if there is a store. */
  readonly storeQos0: boolean;
  /** 0 = off. */
  readonly messageRetry: number;
  /** 0 = off. */
  readonly ackTimeout: number;
  /** Bytes of unsettled messages that the client may hold while it waits for an answer from the server. */
  readonly receiveBuffer: number;
  /** How long one message may delay the acknowledgements behind it; 0 = no limit. */
  readonly ackStallTimeout: number;
  /** Whether the session outlives a connection, so that the server sends unacknowledged messages again. */
  readonly persistent: boolean;
  readonly requestTimeout: number;
  readonly connectTimeout: number;
  /** Undefined = half of Keep Alive. */
  readonly pingTimeout: number | undefined;
  /** `false`: a lost connection ends the client. */
  readonly reconnect: Reconnection | false;
  readonly maxFiltersPerPacket: number;
  readonly resubscribe: boolean;
  /** Whether each attempt may use other credentials, so that refused ones are not final. @default false */
  readonly credentialsVary?: boolean;
}

/** Buffers of the application that never drop a message. */
export interface BufferPressure {
  /** Number of full buffers. */
  readonly full: number;
  /** Bytes of messages in them that need no acknowledgement. */
  readonly bytes: number;
}

/** What the engine needs from the platform. */
export interface EnginePorts {
  readonly text: Text;
  readonly slabs: SlabPool;
  readonly allocate: (size: number) => Uint8Array;
  /** Keeps memory that payloads point into from being transferred. */
  readonly protect?: (chunk: Uint8Array) => void;
  /** Counts bytes and packets. */
  readonly traffic: Traffic;
  /** Buffers of the application; while one is full, the client does not read. */
  readonly buffers: BufferPressure;
  /** Only with a store: how records are checked. */
  readonly checksum?: Checksum;
  /** Only with a store: what to add to a time of the engine for the wall-clock time, in ms. */
  readonly toWallClock?: () => number;
  /** Only with a store. Default: `STORE_SIZES`. */
  readonly storeSizes?: StoreSizes | undefined;
  /** In [0, 1). */
  readonly random: () => number;
}

/** What one attempt connects with. For an absent key, the options apply. */
export interface Credentials extends Pick<ConnectIdentity, 'username' | 'password' | 'server'> {
  /** Not empty. */
  readonly clientId?: string;
  readonly will?: ConnectSettings['will'];
  readonly properties?: ConnectSettings['properties'];
}

/** The server that an attempt tries: the first of the list, the next after a failure, or the same again. */
export type ServerChoice = 'first' | 'next' | 'same';

/** Whether unfinished messages are kept for the next `connect()` when the client is ended. */
export type Pending = 'keep' | 'discard';

/**
 * What follows from input. `all`: read what arrives next; `again`: CONNACK was handled, read the rest once it was reported;
 * `turn`: read on after the application has had its turn; `stop`: read nothing more until `mayRead` allows it.
 */
export type ReadResult = 'all' | 'again' | 'turn' | 'stop';

export interface DisconnectRequest {
  readonly reasonCode: number;
  readonly properties: DisconnectProperties;
  readonly pending: Pending;
  /** ms until the connection is destroyed. */
  readonly timeout: number;
}
