import type { Failure } from '../runtime/cancellation.ts';
import type { ReceivedMessage } from './received-message.ts';

/** Waits for the next message. Exactly one of its methods is called for each request. */
export interface MessageWaiter {
  take(message: ReceivedMessage): void;
  /** The subscription has ended, or failed. */
  end(error: Failure | undefined): void;
}

/** A loop or `forEach()` over a subscription. */
export interface Consumer {
  /** The messages in hand. */
  readonly held: readonly ReceivedMessage[];
  /** Takes no further message, and ends after those in hand. `error`: what it then throws. */
  finish(error: Failure | undefined): void;
  /** Hands out what it has collected: no more will arrive for now. */
  flush?(): void;
}

/** A subscription as its consumers see it. */
export interface MessageSource {
  readonly canReject: boolean;
  addConsumer(consumer: Consumer): void;
  removeConsumer(consumer: Consumer): void;
  /** hot: the next message, if one waits. */
  shift(): ReceivedMessage | undefined;
  /** Passes the next message to `waiter`, now or when it arrives. */
  request(waiter: MessageWaiter): void;
  /** Forgets all requests of `waiter`. */
  withdraw(waiter: MessageWaiter): void;
  /** A consumer asks for its next message: it has processed `message`. */
  processed(message: ReceivedMessage): void;
  /** Calls of `next()` overlap, so they settle nothing from now on. */
  overlapped(): void;
  /**
   * Puts messages back for the next consumer, in the old order: those of `handedOut` that are not settled, then
   * `unread`, which the application has not seen.
   */
  giveBack(handedOut: Iterable<ReceivedMessage>, unread?: readonly ReceivedMessage[]): void;
  /** A message is processed: `drain()` may be done. */
  onProgress(): void;
}
