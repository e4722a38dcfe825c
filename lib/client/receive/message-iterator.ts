import type { ReceivedMessage } from './received-message.ts';
import { END, NextCalls } from './next-calls.ts';
import type { Failure, Consumer, MessageSource, MessageWaiter } from './consumer.ts';

/** One `for await` over a subscription. */
export class MessageIterator implements AsyncIterator<ReceivedMessage, undefined>, Consumer, MessageWaiter {
  readonly #subscription: MessageSource;
  readonly #calls = new NextCalls<ReceivedMessage>();
  #inHand: ReceivedMessage | undefined = undefined;
  #phase: 'running' | 'finishing' | 'over' = 'running';
  #settles: 'as it asks' | 'never' = 'as it asks';
  #error: Failure | undefined = undefined;
  /** A message was handed out that the caller cannot have seen yet. */
  #unseen = false;
  readonly #seen: () => void;

  constructor(subscription: MessageSource) {
    this.#subscription = subscription;
    this.#seen = () => {
      this.#unseen = false;
    };
  }

  /** The message that is with the loop's body. */
  get held(): readonly ReceivedMessage[] {
    return this.#inHand === undefined ? [] : [this.#inHand];
  }

  next(): Promise<IteratorResult<ReceivedMessage, undefined>> {
    if (this.#unseen || this.#calls.length > 0) this.#overlap();
    this.#settleInHand();
    this.#subscription.onProgress();
    if (this.#phase !== 'running') {
      const error = this.#error;
      this.#close();
      return error === undefined ? Promise.resolve(END) : Promise.reject(error.reason);
    }
    const message = this.#calls.length === 0 ? this.#subscription.shift() : undefined;
    if (message !== undefined) {
      this.#inHand = message;
      const handed = Promise.resolve({ value: message, done: false as const });
      if (message.unsettled) {
        // Runs before the caller goes on: asking again earlier than that is not asking for the one after it.
        this.#unseen = true;
        void handed.then(this.#seen);
      }
      return handed;
    }
    const result = this.#calls.add();
    this.#subscription.request(this);
    return result;
  }

  /**
   * `break`, `return` and `throw` look the same from here: none says that the message in hand was processed. Calls of
   * `next()` that still wait end, so that none of them takes a message that nobody would see.
   */
  return(): Promise<IteratorResult<ReceivedMessage, undefined>> {
    this.#subscription.withdraw(this);
    const message = this.#inHand;
    this.#inHand = undefined;
    if (message !== undefined) this.#subscription.giveBack([message]);
    this.#close();
    return Promise.resolve(END);
  }

  /** `return()`, for generators that delegate to this with `yield*`. Rejects with `error`. */
  async throw(error?: unknown): Promise<IteratorResult<ReceivedMessage, undefined>> {
    await this.return();
    throw error;
  }

  /** No further message: the one in hand is still the body's. */
  finish(error: Failure | undefined): void {
    if (this.#phase !== 'running') return;
    this.#phase = 'finishing';
    this.#error = error;
  }

  // --- as a waiter ------------------------------------------------------------------------------------------------

  take(message: ReceivedMessage): void {
    this.#inHand = message;
    this.#calls.give(message);
  }

  end(): void {
    this.#close();
  }

  fail(reason: unknown): void {
    this.#close({ reason });
  }

  #overlap(): void {
    if (this.#settles === 'never') return;
    this.#settles = 'never';
    this.#subscription.overlapped();
  }

  #settleInHand(): void {
    const message = this.#inHand;
    this.#inHand = undefined;
    if (message !== undefined && this.#settles === 'as it asks') this.#subscription.processed(message);
  }

  #close(error?: Failure): void {
    this.#calls.end(error);
    this.#error = undefined;
    if (this.#phase === 'over') return;
    this.#phase = 'over';
    this.#subscription.removeConsumer(this);
  }
}
