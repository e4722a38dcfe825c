import { AsyncResource } from 'node:async_hooks';
import PQueue from 'p-queue';
import { withCancellation, checkCall, type CallOptions } from '../runtime/cancellation.ts';
import { integer, oneOf, checkKeys, wrongType } from '../config/validate.ts';
import type { Clock } from '../runtime/clock.ts';
import type { ReceivedMessage } from './received-message.ts';
import type { Failure, Consumer, MessageSource, MessageWaiter } from './consumer.ts';

/** How `forEach()` works through messages. */
export interface ForEachOptions extends CallOptions {
  /** Handlers at work at once. @default 1 */
  readonly concurrency?: number | undefined;
  /**
   * What a handler that throws does: `stop` leaves its message unsettled and rejects `forEach()` with the error,
   * `acknowledge` settles the message as if it had been processed, `reject` refuses it with 0x80 (5.0). @default "stop"
   */
  readonly onError?: 'stop' | 'acknowledge' | 'reject' | undefined;
}

/** Handlers with bounded concurrency over a subscription; each message is settled when its handler has finished. */
export async function forEachMessage(
  subscription: MessageSource,
  handler: (message: ReceivedMessage) => unknown,
  options: ForEachOptions,
  clock: Clock,
): Promise<void> {
  checkKeys('forEach', options, ['concurrency', 'onError', 'signal', 'timeout']);
  checkCall(options);
  if (typeof handler !== 'function') throw wrongType('handler', 'a function', handler);
  const onError = oneOf('onError', options.onError ?? 'stop', ['stop', 'acknowledge', 'reject']);
  if (onError === 'reject' && !subscription.canReject)
    throw new TypeError('onError: expected "stop" or "acknowledge", as only MQTT 5.0 can refuse a message');
  const concurrency = integer('concurrency', options.concurrency ?? 1, 1);
  const run = new Run(subscription, AsyncResource.bind(handler), onError, concurrency);
  const done = withCancellation(options, clock, 'forEach', (reason) => run.halt({ reason }));
  subscription.addConsumer(run);
  try {
    await run.finished();
  } finally {
    done();
    run.giveBack();
    subscription.removeConsumer(run);
  }
}

/** One `forEach()`: takes a message whenever a handler is free for it, so that others can have what has to wait. */
class Run implements Consumer {
  readonly #subscription: MessageSource;
  readonly #handler: (message: ReceivedMessage) => unknown;
  readonly #onError: NonNullable<ForEachOptions['onError']>;
  readonly #concurrency: number;
  readonly #queue: PQueue;
  readonly #unfinished = new Set<ReceivedMessage>();
  #phase: 'running' | 'finishing' = 'running';
  #halt: Failure | undefined = undefined;
  /** Goes on where it waits: for a message, or for a handler to be free. */
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

  /** Takes no further message, and rejects once the handlers at work have finished. */
  halt(halt: Failure): void {
    this.finish(halt);
  }

  async finished(): Promise<void> {
    while (this.#phase === 'running') {
      if (this.#queue.pending < this.#concurrency) await this.#next();
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
    }
    await this.#queue.onIdle();
    if (this.#halt !== undefined) throw this.#halt.reason;
  }

  /** What was not finished is for the next reader. */
  giveBack(): void {
    this.#subscription.giveBack(this.#unfinished);
  }

  async #next(): Promise<void> {
    const message = await new Promise<ReceivedMessage | undefined>((resolve) => {
      const waiter: MessageWaiter = {
        take: (taken) => {
          // At once: a message that is in nobody's hands would not be waited for.
          this.#unfinished.add(taken);
          resolve(taken);
        },
        end: () => {
          this.finish(undefined);
          resolve(undefined);
        },
        fail: (reason) => {
          this.finish({ reason });
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
        this.halt({ reason: error });
        return;
      }
      if (this.#onError === 'reject') message.reject(0x80);
      else message.ack();
    }
    this.#unfinished.delete(message);
    this.#subscription.onProgress();
  }
}
