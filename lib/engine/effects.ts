import type { ConnackPacket } from '../codec/packets.ts';
import type { PublishReader } from '../codec/publish-reader.ts';
import type { Negotiated } from '../connection/negotiated.ts';
import type { ConnectPhase, FilterResult, MqttError } from '../errors.ts';
import type { Receipt } from '../session/incoming.ts';
import type { Delivery } from './delivery.ts';
import type { ServerChoice } from './options.ts';

/** What has happened to the connection, for whoever watches. */
export type Change =
  | { readonly type: 'connecting'; readonly attempt: number }
  /** A server could not be connected to, and the attempt goes on with the next one. */
  | { readonly type: 'nextServer'; readonly error: MqttError }
  | { readonly type: 'connected'; readonly connack: ConnackPacket; readonly negotiated: Negotiated }
  /** The connection is gone or did not come up; `willRetryIn` in ms. */
  | {
      readonly type: 'disconnected';
      readonly error: MqttError;
      readonly willRetryIn: number;
      readonly flapping: boolean;
    }
  /** A first attempt failed and is not retried. */
  | { readonly type: 'gaveUp'; readonly error: MqttError }
  /** The server no longer has the session; so many messages of it were with the application. */
  | { readonly type: 'sessionLost'; readonly unsettled: number }
  /** The application kept other acknowledgements waiting with these messages, which are passed over now. */
  | { readonly type: 'ackStalled'; readonly receipts: readonly Receipt[]; readonly ms: number }
  /** Reading has stopped, as the application is too slow for what comes. */
  | { readonly type: 'stopped' }
  /**
   * An answer is behind more messages than may be held. From now on messages that come are acknowledged and dropped, or
   * in a session to keep left to the server.
   */
  | { readonly type: 'lastResort'; readonly ms: number }
  /** The server breaks the protocol in a way that is tolerated; once per connection. */
  | { readonly type: 'tolerated'; readonly what: string }
  /**
   * The server does not grant these subscriptions any more; those that are `givenUp` are not asked for, as the connection
   * was lost each time they were.
   */
  | {
      readonly type: 'refused';
      readonly results: readonly FilterResult[];
      readonly givenUp: ReadonlySet<string>;
    }
  /** The end; `error` where it was not asked for. */
  | { readonly type: 'closed'; readonly error: MqttError | undefined };

/** What the engine asks of the world. None of these may call back into the engine. */
export interface Effects {
  /**
   * hot: one Application Message. The next PUBLISH overwrites the fields of `publish`, but not its payload. With QoS 1
   * and 2 there is a `receipt`; if the message is taken, it is settled once per copy (`receipt.copies`).
   */
  deliver(publish: PublishReader, receipt: Receipt | undefined): Delivery;
  /** A QoS > 0 message was acknowledged and dropped, as a last resort. */
  overflowed(topicName: string): void;
  /**
   * cold: open a Network Connection, then say `opened()`, or `dialFailed()`. `reason`: why there is another attempt.
   * Returns how many servers are left beside this one.
   */
  dial(attempt: number, reason: MqttError | undefined, which: ServerChoice): number;
  /** A server names others (4.11). Returns how many of them come next, if any. */
  redirect(serverReference: string, lasting: 'for now' | 'for good'): number;
  /** How far the attempt has come that is under way. */
  dialPhase(): ConnectPhase;
  /** cold: write the rest of the output, close, and report nothing more of this Network Connection or attempt. */
  hangUp(rest: readonly Uint8Array[]): void;
  /**
   * cold: the same in order, as the server is to process all of it: `dial()` follows, and waits for the close.
   */
  closeGracefully(rest: readonly Uint8Array[]): void;
  /** cold: write what is left, close, and say `lost()` when that is done. */
  finish(): void;
  /** cold */
  changed(change: Change): void;
}
