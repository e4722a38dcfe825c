import type { DisconnectProperties } from '../codec/packets.ts';
import type { ConnectIdentity, ConnectSettings } from '../connection/negotiated.ts';
import type { SlabPool } from '../connection/outbox.ts';
import type { Traffic } from '../connection/traffic.ts';
import type { Text } from '../codec/text.ts';
import type { QueueLimits } from '../session/queue.ts';
import type { Backoff, RetryContext } from './backoff.ts';

/** What the engine goes by. All times in ms. */
export interface EngineOptions extends ConnectSettings {
  readonly clientId: string;
  /** `first`: only until a first CONNECT was accepted. */
  readonly cleanStart: boolean | 'first';
  readonly maxInflight: number;
  readonly queueLimits: QueueLimits;
  readonly onQueueFull: 'reject' | 'wait' | 'drop-oldest';
  readonly queueQos0Offline: boolean;
  readonly onSessionLost: 'resend' | 'reject';
  /** 0 = off. */
  readonly messageRetry: number;
  /** 0 = off. */
  readonly ackTimeout: number;
  /** Bytes of unsettled messages that may be held while an answer to something of ours is awaited. */
  readonly receiveBuffer: number;
  /** How long one message may keep the acknowledgements behind it waiting; 0 = for ever. */
  readonly ackStallTimeout: number;
  /** Whether the session outlives a connection, so that what is not acknowledged comes again. */
  readonly persistent: boolean;
  readonly requestTimeout: number;
  readonly connectTimeout: number;
  /** Undefined = half of Keep Alive. */
  readonly pingTimeout: number | undefined;
  /** `false`: a lost connection is the end. */
  readonly reconnect: Backoff | false;
  /** Decides in place of `reconnect` and of what refusals mean; undefined = as if it were not there. Never throws. */
  readonly policy?: ((context: RetryContext) => number | false | undefined) | undefined;
  readonly maxFiltersPerPacket: number;
  readonly resubscribe: boolean;
  /** Whether every attempt may come with other credentials, so that refused ones are no reason to give up. @default false */
  readonly credentialsVary?: boolean;
}

/** Buffers of the application that never drop a message. */
export interface BufferPressure {
  /** How many of them are full. */
  readonly full: number;
  /** What they hold of messages that need no acknowledgement, in bytes. */
  readonly bytes: number;
}

/** What the engine takes from the platform, so that it needs none. */
export interface EnginePorts {
  readonly text: Text;
  readonly slabs: SlabPool;
  readonly allocate: (size: number) => Uint8Array;
  /** What is counted. */
  readonly traffic: Traffic;
  /** Buffers of the application that stop the reading while they are full. */
  readonly buffers: BufferPressure;
  /** In [0, 1). */
  readonly random: () => number;
  /** Runs a function of the user's; what that does to the engine has to wait until the engine is done. */
  readonly decide: <T>(ask: () => T) => T;
}

/** What one attempt connects with. What is absent is as the options say. */
export interface Credentials extends Pick<ConnectIdentity, 'username' | 'password' | 'server'> {
  /** Not empty. */
  readonly clientId?: string;
  readonly will?: ConnectSettings['will'];
  readonly properties?: ConnectSettings['properties'];
}

/**
 * Which server an attempt tries: the first of those there are, the next one where that has failed, or the same one once
 * more.
 */
export type ServerChoice = 'first' | 'next' | 'same';

/** What becomes of messages that are not over when the client is ended: they go out after the next connect, or not. */
export type Pending = 'keep' | 'discard';

/**
 * What follows from input: read on; read on after the application had its turn; or read nothing more before
 * `mayRead` says so.
 */
export type ReadResult = 'all' | 'turn' | 'stop';

/** How a connection is ended by `disconnect()`. */
export interface DisconnectRequest {
  readonly reasonCode: number;
  readonly properties: DisconnectProperties;
  readonly pending: Pending;
  /** ms until the connection is destroyed. */
  readonly timeout: number;
}
