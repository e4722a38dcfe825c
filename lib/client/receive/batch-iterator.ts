import type { Clock, Wake } from '../runtime/clock.ts';
import type { ReceivedMessage } from './received-message.ts';
import { END, NextCalls } from './next-calls.ts';
import type { Failure, Consumer, MessageSource, MessageWaiter } from './consumer.ts';

/** How `batches()` cuts messages into batches. */
export interface BatchesOptions {
  /** Messages in a batch at the most; a full one leaves at once. @default 1000 */
  readonly max?: number | undefined;
  /** ms that a batch that is not full waits for more, from its first message on. @default 0 */
  readonly linger?: number | undefined;
}

/** One loop over a subscription that takes its messages in batches. It is a reader from its first `next()` on. */
export class BatchIterator
  implements AsyncIterableIterator<readonly ReceivedMessage[]>, Consumer, MessageWaiter
{
  readonly #subscription: MessageSource;
  readonly #clock: Clock;
  readonly #max: number;
  readonly #linger: number;
  readonly #calls = new NextCalls<readonly ReceivedMessage[]>();
  /** The batch that is with the loop's body. */
  #inHand: readonly ReceivedMessage[] = [];
  /** The batch to come; the application has not seen any of it. */
  #collected: ReceivedMessage[] = [];
  /** While a batch is collected: when it leaves at the latest. */
  #departure: Wake | undefined = undefined;
  #phase: 'new' | 'running' | 'finishing' | 'over' = 'new';
  #settles: 'as it asks' | 'never' = 'as it asks';
  #error: Failure | undefined = undefined;
  /** Whether the caller can have seen the batch that was handed out last. */
  #last: 'seen' | 'unseen' = 'seen';
  readonly #seen: () => void;

  constructor(subscription: MessageSource, clock: Clock, max: number, linger: number) {
    this.#subscription = subscription;
    this.#clock = clock;
    this.#max = max;
    this.#linger = linger;
    this.#seen = () => {
      this.#last = 'seen';
    };
  }

  get held(): readonly ReceivedMessage[] {
    return [...this.#inHand, ...this.#collected];
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<readonly ReceivedMessage[], undefined>> {
    if (this.#phase === 'new') {
      this.#phase = 'running';
      this.#subscription.addConsumer(this);
    }
    if (this.#last === 'unseen' || this.#calls.length > 0) this.#overlap();
    this.#settleInHand();
    const result = this.#calls.add();
    if (this.#phase !== 'running') this.#close(this.#error);
    else if (this.#calls.length === 1) this.#collect();
    this.#subscription.onProgress();
    return result;
  }

  /** Ends calls of `next()` that still wait. What was not settled, or not even handed out, is for the next reader. */
  return(): Promise<IteratorResult<readonly ReceivedMessage[], undefined>> {
    this.#stopCollecting();
    const [inHand, collected] = [this.#inHand, this.#collected];
    this.#inHand = [];
    this.#collected = [];
    this.#subscription.giveBack(inHand, collected);
    this.#close();
    return Promise.resolve(END);
  }

  /** `return()`, for generators that delegate to this with `yield*`. Rejects with `error`. */
  async throw(error?: unknown): Promise<IteratorResult<readonly ReceivedMessage[], undefined>> {
    await this.return();
    throw error;
  }

  /** No further message: what is collected is handed out. */
  finish(error: Failure | undefined): void {
    if (this.#phase !== 'running') return;
    this.#phase = 'finishing';
    this.#error = error;
    this.flush();
  }

  flush(): void {
    if (this.#collected.length > 0) this.#handOut();
  }

  // --- as a waiter ------------------------------------------------------------------------------------------------

  take(message: ReceivedMessage): void {
    this.#collected.push(message);
    this.#collect();
  }

  end(): void {
    this.#finishOrClose(undefined);
  }

  fail(reason: unknown): void {
    this.#finishOrClose({ reason });
  }

  #finishOrClose(error: Failure | undefined): void {
    if (this.#collected.length > 0) this.finish(error);
    else this.#close(error);
  }

  /** Takes what waits. Asks for what comes where that is not enough. */
  #collect(): void {
    while (this.#collected.length < this.#max) {
      const message = this.#subscription.shift();
      if (message === undefined) {
        if (this.#collected.length > 0) this.#departure ??= this.#depart();
        this.#subscription.request(this);
        return;
      }
      this.#collected.push(message);
    }
    this.#handOut();
  }

  /** Without `linger` a batch leaves after the messages that one read of the network brings: those come in one turn. */
  #depart(): Wake {
    if (this.#linger > 0) return this.#clock.wakeAt(this.#clock.now() + this.#linger, () => this.#handOut());
    let leave: (() => void) | undefined = () => this.#handOut();
    void Promise.resolve().then(() => leave?.());
    return { cancel: () => (leave = undefined) };
  }

  #handOut(): void {
    this.#stopCollecting();
    this.#inHand = this.#collected;
    this.#collected = [];
    this.#last = 'unseen';
    // Before the batch is given: so this runs before the caller goes on.
    void Promise.resolve().then(this.#seen);
    this.#calls.give(this.#inHand);
    if (this.#calls.length === 0) return;
    if (this.#phase === 'running') this.#collect();
    else this.#close(this.#error);
  }

  #stopCollecting(): void {
    this.#departure?.cancel();
    this.#departure = undefined;
    this.#subscription.withdraw(this);
  }

  #overlap(): void {
    if (this.#settles === 'never') return;
    this.#settles = 'never';
    this.#subscription.overlapped();
  }

  #settleInHand(): void {
    const batch = this.#inHand;
    this.#inHand = [];
    if (this.#settles === 'as it asks') for (const message of batch) this.#subscription.processed(message);
  }

  #close(error?: Failure): void {
    this.#calls.end(error);
    this.#error = undefined;
    const before = this.#phase;
    this.#phase = 'over';
    if (before === 'running' || before === 'finishing') this.#subscription.removeConsumer(this);
  }
}
