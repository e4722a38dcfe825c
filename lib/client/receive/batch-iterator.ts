import { inMicrotask, type Failure } from '../runtime/cancellation.ts';
import type { Clock, Wake } from '../runtime/clock.ts';
import type { ReceivedMessage } from './received-message.ts';
import { ClosableIterator, END, NextCalls } from './next-calls.ts';
import type { Consumer, MessageSource, MessageWaiter } from './consumer.ts';

/** Options of `batches()`. */
export interface BatchesOptions {
  /** The most messages in one batch; a full batch is handed out at once. @default 1000 */
  readonly max?: number | undefined;
  /** How long a batch waits to become full, in ms after its first message. @default 0 */
  readonly linger?: number | undefined;
}

/** One loop over a subscription that takes its messages in batches. It is a consumer from its first `next()`. */
export class BatchIterator
  extends ClosableIterator<readonly ReceivedMessage[]>
  implements Consumer, MessageWaiter
{
  readonly #subscription: MessageSource;
  readonly #clock: Clock;
  readonly #max: number;
  readonly #linger: number;
  readonly #calls: NextCalls<readonly ReceivedMessage[]>;
  /** The batch that the loop body works on. */
  #inHand: readonly ReceivedMessage[] = [];
  /** The next batch; the application has seen none of it. */
  #collected: ReceivedMessage[] = [];
  /** Hands out the batch that is being collected, full or not. */
  #deadline: Wake | undefined = undefined;
  #phase: 'new' | 'running' | 'finishing' | 'over' = 'new';
  #error: Failure | undefined = undefined;

  constructor(subscription: MessageSource, clock: Clock, max: number, linger: number) {
    super();
    this.#subscription = subscription;
    this.#clock = clock;
    this.#max = max;
    this.#linger = linger;
    this.#calls = new NextCalls(() => subscription.overlapped());
  }

  get held(): readonly ReceivedMessage[] {
    return [...this.#inHand, ...this.#collected];
  }

  next(): Promise<IteratorResult<readonly ReceivedMessage[], undefined>> {
    if (this.#phase === 'new') {
      this.#phase = 'running';
      this.#subscription.addConsumer(this);
    }
    const settles = this.#calls.begin();
    const batch = this.#inHand;
    this.#inHand = [];
    if (settles) for (const message of batch) this.#subscription.processed(message);
    const result = this.#calls.add();
    if (this.#phase !== 'running') this.#close(this.#error);
    else if (this.#calls.length === 1) this.#collect();
    this.#subscription.onProgress();
    return result;
  }

  /** Ends waiting calls of `next()`. Messages that were not settled or not handed out are for the next consumer. */
  return(): Promise<IteratorResult<readonly ReceivedMessage[], undefined>> {
    this.#stopCollecting();
    const [inHand, collected] = [this.#inHand, this.#collected];
    this.#inHand = [];
    this.#collected = [];
    this.#subscription.giveBack(inHand, collected);
    this.#close();
    return Promise.resolve(END);
  }

  /** Takes no further message, and hands out the batch that was collected. */
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

  end(error: Failure | undefined): void {
    if (this.#collected.length > 0) this.finish(error);
    else this.#close(error);
  }

  /** Takes messages that wait, and requests the next one if they do not fill the batch. */
  #collect(): void {
    while (this.#collected.length < this.#max) {
      const message = this.#subscription.shift();
      if (message === undefined) {
        if (this.#collected.length > 0) this.#deadline ??= this.#scheduleHandOut();
        this.#subscription.request(this);
        return;
      }
      this.#collected.push(message);
    }
    this.#handOut();
  }

  /** Without `linger`, a batch is the messages of one read from the network, which arrive in one turn. */
  #scheduleHandOut(): Wake {
    if (this.#linger > 0) return this.#clock.wakeAt(this.#clock.now() + this.#linger, () => this.#handOut());
    return { cancel: inMicrotask(() => this.#handOut()) };
  }

  #handOut(): void {
    this.#stopCollecting();
    this.#inHand = this.#collected;
    this.#collected = [];
    // Before `give()`, so that it calls back before the caller continues.
    this.#calls.markUnseen(Promise.resolve());
    this.#calls.give(this.#inHand);
    if (this.#calls.length === 0) return;
    if (this.#phase === 'running') this.#collect();
    else this.#close(this.#error);
  }

  #stopCollecting(): void {
    this.#deadline?.cancel();
    this.#deadline = undefined;
    this.#subscription.withdraw(this);
  }

  #close(error?: Failure): void {
    this.#calls.end(error);
    this.#error = undefined;
    const before = this.#phase;
    this.#phase = 'over';
    if (before === 'running' || before === 'finishing') this.#subscription.removeConsumer(this);
  }
}
