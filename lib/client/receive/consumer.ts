import type { ReceivedMessage } from './received-message.ts';

/** An error, or whatever else was thrown. */
export interface Failure {
  readonly reason: unknown;
}

/** Somebody who waits for the next message. */
export interface MessageWaiter {
  take(message: ReceivedMessage): void;
  end(): void;
  fail(error: unknown): void;
}

/** Somebody who works through the messages of a subscription: while there is one, it is read. */
export interface Consumer {
  /** The messages in its hands. */
  readonly held: readonly ReceivedMessage[];
  /** It is to take no further message; what it has is still its own. `error`: what it then throws. */
  finish(error: Failure | undefined): void;
  /** Hands out what it has collected: nothing more will come for now. */
  flush?(): void;
}

/** What a reader needs of the subscription it reads. */
export interface MessageSource {
  /** Whether a message can be refused. */
  readonly canReject: boolean;
  addConsumer(reader: Consumer): void;
  removeConsumer(reader: Consumer): void;
  /** hot: what waits, if anything. */
  shift(): ReceivedMessage | undefined;
  /** The next message goes to `waiter`, now or when it comes. */
  request(waiter: MessageWaiter): void;
  /** `waiter` gets no message any more, however often it has requested one. */
  withdraw(waiter: MessageWaiter): void;
  /** A reader asks for its next message: the one it had is processed. */
  processed(message: ReceivedMessage): void;
  /** Calls of `next()` overlap: asking is not settling there. */
  overlapped(): void;
  /**
   * What a reader has not finished is for the next one, in the old order: of `handedOut` what is not settled, then
   * `unread`, which the application has not seen.
   */
  giveBack(handedOut: Iterable<ReceivedMessage>, unread?: readonly ReceivedMessage[]): void;
  /** A message is done with: whoever waits for that may look. */
  onProgress(): void;
}
