import type { AuthProperties, ConnackPacket } from '../codec/packets.ts';
import type { PublishReader } from '../codec/publish-reader.ts';
import type { Negotiated } from '../connection/negotiated.ts';
import type { ConnectPhase, FilterResult, MqttError } from '../errors.ts';
import type { Receipt } from '../session/incoming.ts';
import type { RetryContext } from './backoff.ts';
import type { SessionPresence } from './connack.ts';
import type { Delivery } from './delivery.ts';
import type { ServerChoice } from './options.ts';

/** A change that the client reports or reacts to. */
export type Change =
  | { readonly type: 'connecting'; readonly attempt: number }
  /** An attempt failed at one server, and goes on with the next one. */
  | { readonly type: 'nextServer'; readonly error: MqttError }
  | {
      readonly type: 'connected';
      readonly connack: ConnackPacket;
      readonly negotiated: Negotiated;
      readonly presence: SessionPresence;
    }
  /** The connection was lost, or an attempt failed. `willRetryIn` in ms. */
  | {
      readonly type: 'disconnected';
      readonly error: MqttError;
      readonly willRetryIn: number;
      readonly flapping: boolean;
    }
  /** A first attempt failed and is not retried. */
  | { readonly type: 'gaveUp'; readonly error: MqttError }
  /** The server has lost the session. The application held `unsettled` messages of it. */
  | { readonly type: 'sessionLost'; readonly unsettled: number }
  /** The application has not settled these messages for `ms`. They are skipped, or acknowledged in a clean session. */
  | { readonly type: 'ackStalled'; readonly receipts: readonly Receipt[]; readonly ms: number }
  /** Reading has stopped, because the application is too slow for what arrives. */
  | { readonly type: 'stopped' }
  /**
   * The buffer is full, and an awaited answer is behind it. New messages are acknowledged and dropped, or in a persistent
   * session left to the server.
   */
  | { readonly type: 'lastResort'; readonly ms: number }
  /** The server violates the protocol in a way that is tolerated. Reported once per connection. */
  | { readonly type: 'tolerated'; readonly what: string }
  /** The server has restored the subscriptions to these Topic Filters. */
  | { readonly type: 'restored'; readonly topicFilters: readonly string[] }
  /**
   * The server has refused to restore these subscriptions. Those in `givenUp` were not asked for, because the connection
   * was lost each time they were.
   */
  | {
      readonly type: 'refused';
      readonly results: readonly FilterResult[];
      readonly givenUp: ReadonlySet<string>;
    }
  /** A stored message that no call waits for will not be delivered. */
  | { readonly type: 'publishFailed'; readonly topicName: string; readonly error: MqttError }
  /** The client has ended. `error`: unless `disconnect()` ended it. */
  | { readonly type: 'closed'; readonly error: MqttError | undefined };

/**
 * What the application does for the exchange of AUTH packets (4.12), or that the exchange is over: it calls back with
 * `authenticated()` or `authenticationFailed()`, unless the exchange is over.
 *
 *   start     the data of the first AUTH of a re-authentication
 *   continue  the answer to AUTH of the server
 *   finish    the server has accepted with CONNACK or AUTH: a check of its data
 */
export type AuthenticationStep =
  | { readonly type: 'start' }
  | { readonly type: 'continue' | 'finish'; readonly properties: AuthProperties }
  | { readonly type: 'over'; readonly result: 'done' | 'failed' };

/**
 * What the engine asks of its driver. An effect must not call the engine, nor run code of the application: what does is
 * done after the engine has returned, in the order of the effects. Receipts may be settled or released within `deliver()`.
 */
export interface Effects {
  /**
   * hot: one Application Message. The next one overwrites the fields of `publish`, but not its payload. `receipt` belongs to
   * QoS 1 and 2: it has to be settled once per copy (`receipt.copies`), or released.
   */
  deliver(publish: PublishReader, receipt: Receipt | undefined): Delivery;
  /** A QoS 1 or 2 message was acknowledged and dropped, as a last resort. */
  overflowed(topicName: string): void;
  /**
   * cold: open a Network Connection, then call `opened()` or `dialFailed()`. `reason`: the error that ended the previous
   * attempt or connection. Returns how many other servers are left for this attempt.
   */
  dial(attempt: number, reason: MqttError | undefined, choice: ServerChoice): number;
  /** The server refers to others (4.11). Returns how many of them come next. */
  redirect(serverReference: string, lasting: 'for now' | 'for good'): number;
  /** The phase that the present attempt has reached. */
  dialPhase(): ConnectPhase;
  /** cold: write the rest of the output and close. Report nothing more of this connection or attempt. */
  hangUp(rest: readonly Uint8Array[]): void;
  /** cold: the same, but let the server read all of it first: `dial()` follows, and waits for the close. */
  closeGracefully(rest: readonly Uint8Array[]): void;
  /** cold: write the rest of the output, close, and call `lost()` then. */
  finish(): void;
  /** cold: ask `EngineOptions.reconnect.policy`, then call `decided()`. */
  decide(context: RetryContext): void;
  /** cold: `asked`: the engine waits for the application; `not needed`: there is nothing to wait for. */
  authenticate(step: AuthenticationStep): 'asked' | 'not needed';
  /** cold: something has changed. */
  changed(change: Change): void;
}
