import type { Message } from './message.ts';

/** An error, or whatever else was thrown. */
export interface Failure {
  readonly reason: unknown;
}

/** Somebody who waits for the next message. */
export interface Taker {
  take(message: Message): void;
  end(): void;
  fail(error: unknown): void;
}

/** Somebody who works through the messages of a subscription: while there is one, it is read. */
export interface Reader {
  /** The messages in its hands. */
  readonly held: readonly Message[];
  /** It is to take no further message; what it has is still its own. `error`: what it then throws. */
  finish(error: Failure | undefined): void;
}

/** What a reader needs of the subscription it reads. */
export interface Source {
  /** Whether a message can be refused. */
  readonly canReject: boolean;
  entered(reader: Reader): void;
  left(reader: Reader): void;
  /** The next message goes to `taker`, now or when it comes. */
  request(taker: Taker): void;
  withdraw(taker: Taker): void;
  /** A message that was not finished is for the next who asks. */
  giveBack(message: Message): void;
  /** A message is done with: whoever waits for that may look. */
  asked(): void;
}
