import { AsyncResource } from 'node:async_hooks';
import type PQueue from 'p-queue';
import { withCancellation, checkCallWith, type CallOptions, type Failure } from '../runtime/cancellation.ts';
import { callable, choice, integerIn, type Checks } from '../config/validate.ts';
import type { Clock } from '../runtime/clock.ts';
import type { ReceivedMessage } from './received-message.ts';
import type { Consumer, MessageSource, MessageWaiter } from './consumer.ts';

/** Options of `forEach()`. */
export interface ForEachOptions extends CallOptions {
  /** The most handlers that run at a time. @default 1 */
  readonly concurrency?: number | undefined;
  /**
   * What happens when a handler throws. `stop`: its message stays unsettled, and `forEach()` rejects with the error.
   * `acknowledge`: the message is settled as processed. `reject`: it is refused with 0x80 (5.0). @default "stop"
   */
  readonly onError?: 'stop' | 'acknowledge' | 'reject' | undefined;
}

const CHECKS: Checks<Omit<ForEachOptions, keyof CallOptions>> = {
  concurrency: integerIn(1),
  onError: choice('stop', 'acknowledge', 'reject'),
};

/** Implements `Subscription.forEach()`. */
export async function forEachMessage(
  subscription: MessageSource,
  handler: (message: ReceivedMessage) => unknown,
  options: ForEachOptions,
  clock: Clock,
): Promise<void> {
  const { concurrency = 1, onError = 'stop' } = checkCallWith('forEach', options, CHECKS);
  callable('handler', handler);
  if (onError === 'reject' && !subscription.canReject)
    throw new TypeError('onError: expected "stop" or "acknowledge", as only MQTT 5.0 can refuse a message');
  const run = new Run(subscription, AsyncResource.bind(handler), onError, concurrency);
  const done = withCancellation(options, clock, 'forEach', (reason) => run.finish({ reason }));
  subscription.addConsumer(run);
  try {
    await run.finished();
  } finally {
    done();
    run.giveBack();
    subscription.removeConsumer(run);
  }
}

/** One `forEach()`. It takes a message only when a handler is free, so that other consumers get the rest. */
class Run implements Consumer {
  readonly #subscription: MessageSource;
  readonly #handler: (message: ReceivedMessage) => unknown;
  readonly #onError: NonNullable<ForEachOptions['onError']>;
  readonly #concurrency: number;
  readonly #unfinished = new Set<ReceivedMessage>();
  #phase: 'running' | 'finishing' = 'running';
  #halt: Failure | undefined = undefined;
  /** Wakes the run from its wait for a message or for a free handler. */
  #wake: () => void = () => {};

  constructor(
    subscription: MessageSource,
    handler: (message: ReceivedMessage) => unknown,
    onError: NonNullable<ForEachOptions['onError']>,
    concurrency: number,
  ) {
    this.#subscription = subscription;
    this.#handler = handler;
    this.#onError = onError;
    this.#concurrency = concurrency;
  }

  get held(): readonly ReceivedMessage[] {
    return [...this.#unfinished];
  }

  finish(error: Failure | undefined): void {
    this.#phase = 'finishing';
    if (error !== undefined) this.#halt ??= error;
    this.#wake();
  }

  async finished(): Promise<void> {
    if (this.#concurrency === 1) await this.#runInTurn();
    // p-queue is loaded only for handlers that overlap.
    else await this.#runTogether((await import('p-queue')).default);
    if (this.#halt !== undefined) throw this.#halt.reason;
  }

  async #runInTurn(): Promise<void> {
    while (this.#phase === 'running') {
      const message = await this.#next();
      if (message !== undefined) await this.#work(message);
    }
  }

  async #runTogether(Queue: typeof PQueue): Promise<void> {
    const queue = new Queue({ concurrency: this.#concurrency });
    queue.on('next', () => this.#wake());
    while (this.#phase === 'running') {
      const message = queue.pending < queue.concurrency ? await this.#next() : await this.#freeHandler();
      // The task catches everything: its promise cannot reject.
      if (message !== undefined) void queue.add(() => this.#work(message));
    }
    await queue.onIdle();
  }

  /** Resolves when a handler has finished, or nothing more is to be taken. */
  #freeHandler(): Promise<undefined> {
    return new Promise((resolve) => {
      this.#wake = () => resolve(undefined);
    });
  }

  /** Puts messages that were not finished back for the next consumer. */
  giveBack(): void {
    this.#subscription.giveBack(this.#unfinished);
  }

  /** The next message to work on; undefined: none, or it is not to be worked on any more. */
  async #next(): Promise<ReceivedMessage | undefined> {
    const message = await new Promise<ReceivedMessage | undefined>((resolve) => {
      const waiter: MessageWaiter = {
        take: (taken) => {
          // At once: `drain()` waits only for messages in hand.
          this.#unfinished.add(taken);
          resolve(taken);
        },
        end: (error) => {
          this.finish(error);
          resolve(undefined);
        },
      };
      this.#wake = () => {
        if (this.#phase === 'running') return;
        this.#subscription.withdraw(waiter);
        resolve(undefined);
      };
      this.#subscription.request(waiter);
    });
    return this.#phase === 'running' ? message : undefined;
  }

  async #work(message: ReceivedMessage): Promise<void> {
    try {
      await this.#handler(message);
      message.ack();
    } catch (error) {
      if (this.#onError === 'stop') {
        this.finish({ reason: error });
        return;
      }
      if (this.#onError === 'reject') message.reject(0x80);
      else message.ack();
    }
    this.#unfinished.delete(message);
    this.#subscription.onProgress();
  }
}
