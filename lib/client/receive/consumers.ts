import { Ring } from '../../session/ring.ts';
import type { Consumer, Failure, MessageWaiter } from './consumer.ts';
import type { ReceivedMessage } from './received-message.ts';

/** The consumers of one subscription, and the requests that wait for a message. */
export class Consumers {
  readonly #consumers = new Set<Consumer>();
  readonly #waiters = new Ring<MessageWaiter>();

  /** How many loops there are; a single `receive()` is none. */
  get size(): number {
    return this.#consumers.size;
  }

  /** Whether nobody works on the messages, or waits for one. */
  get isEmpty(): boolean {
    return this.#consumers.size === 0 && this.#waiters.length === 0;
  }

  /** Whether a request waits while no consumer has a message in hand. */
  get isAwaited(): boolean {
    return this.#waiters.length > 0 && this.held().length === 0;
  }

  add(consumer: Consumer): void {
    this.#consumers.add(consumer);
  }

  remove(consumer: Consumer): void {
    this.#consumers.delete(consumer);
  }

  /** The messages in hand. */
  held(): ReceivedMessage[] {
    return [...this.#consumers].flatMap((consumer) => consumer.held);
  }

  /** Consumers take no further message, and end after those in hand. */
  finish(error: Failure | undefined): void {
    for (const consumer of this.#consumers) consumer.finish(error);
  }

  /** Consumers hand out what they have collected. */
  flush(): void {
    for (const consumer of this.#consumers) consumer.flush?.();
  }

  request(waiter: MessageWaiter): void {
    this.#waiters.push(waiter);
  }

  withdraw(waiter: MessageWaiter): void {
    while (this.#waiters.removeFirst((one) => one === waiter) !== undefined);
  }

  /** hot: the oldest request. */
  shiftWaiter(): MessageWaiter | undefined {
    return this.#waiters.shift();
  }

  /** Ends all requests. */
  endWaiters(error: Failure | undefined): void {
    for (const waiter of this.#waiters.takeAll()) endWaiter(waiter, error);
  }
}

export function endWaiter(waiter: MessageWaiter, error: Failure | undefined): void {
  if (error === undefined) waiter.end();
  else waiter.fail(error.reason);
}
