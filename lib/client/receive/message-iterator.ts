import type { Failure } from '../runtime/cancellation.ts';
import type { Consumer, MessageSource, MessageWaiter } from './consumer.ts';
import { ClosableIterator, END, NextCalls } from './next-calls.ts';
import type { ReceivedMessage } from './received-message.ts';

/** One `for await` over a subscription. */
export class MessageIterator extends ClosableIterator<ReceivedMessage> implements Consumer, MessageWaiter {
  readonly #subscription: MessageSource;
  readonly #calls: NextCalls<ReceivedMessage>;
  /** The message that the loop body works on. */
  #inHand: ReceivedMessage | undefined = undefined;
  #phase: 'running' | 'finishing' | 'over' = 'running';
  #error: Failure | undefined = undefined;

  constructor(subscription: MessageSource) {
    super();
    this.#subscription = subscription;
    this.#calls = new NextCalls(() => subscription.overlapped());
  }

  get held(): readonly ReceivedMessage[] {
    return this.#inHand === undefined ? [] : [this.#inHand];
  }

  next(): Promise<IteratorResult<ReceivedMessage, undefined>> {
    const settles = this.#calls.begin();
    const before = this.#inHand;
    this.#inHand = undefined;
    if (settles && before !== undefined) this.#subscription.processed(before);
    this.#subscription.onProgress();
    if (this.#phase !== 'running') {
      const error = this.#error;
      this.end();
      return error === undefined ? Promise.resolve(END) : Promise.reject(error.reason);
    }
    const message = this.#calls.length === 0 ? this.#subscription.shift() : undefined;
    if (message !== undefined) {
      this.#inHand = message; // fault: hand-over
      const handedOut = Promise.resolve({ value: message, done: false as const });
      if (message.unsettled) this.#calls.markUnseen(handedOut);
      return handedOut;
    }
    const result = this.#calls.add();
    this.#subscription.request(this);
    return result;
  }

  /**
   * `break`, `return` and `throw` cannot be told apart here, so none of them settles the message in hand. Waiting calls of
   * `next()` end, so that none of them takes a message that nobody would see.
   */
  return(): Promise<IteratorResult<ReceivedMessage, undefined>> {
    this.#subscription.withdraw(this);
    const message = this.#inHand;
    this.#inHand = undefined;
    if (message !== undefined) this.#subscription.giveBack([message]); // fault: in-hand
    this.end();
    return Promise.resolve(END);
  }

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

  end(error?: Failure): void {
    this.#calls.end(error);
    this.#error = undefined;
    if (this.#phase === 'over') return;
    this.#phase = 'over';
    this.#subscription.removeConsumer(this);
  }
}
