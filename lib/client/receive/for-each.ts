import { AsyncResource } from 'node:async_hooks';
import PQueue from 'p-queue';
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
  readonly #queue: PQueue;
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
    this.#queue = new PQueue({ concurrency });
    this.#queue.on('next', () => this.#wake());
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
    while (this.#phase === 'running') {
      if (this.#queue.pending < this.#queue.concurrency) await this.#next();
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
    }
    await this.#queue.onIdle();
    if (this.#halt !== undefined) throw this.#halt.reason;
  }

  /** Puts messages that were not finished back for the next consumer. */
  giveBack(): void {
    this.#subscription.giveBack(this.#unfinished);
  }

  async #next(): Promise<void> {
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
    if (message === undefined) return;
    // The task catches everything: its promise cannot reject.
    if (this.#phase === 'running') void this.#queue.add(() => this.#work(message));
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
