import type { BatchesOptions } from './batch-iterator.ts';
import type { CallOptions } from '../runtime/cancellation.ts';
import type { ForEachOptions } from './for-each.ts';
import type { Message } from './message.ts';

/**
 * What one `subscribe()` call yields: its messages, in order of arrival. Iterate it as often as you like; several
 * loops share the work. Asking for the next message says that the one before is processed (see `AckMode`). An interface,
 * so that tests can make one of an object literal.
 */
export interface Subscription extends AsyncIterable<Message>, AsyncDisposable {
  readonly topicFilters: readonly string[];
  /** Per filter: granted QoS, or the Reason Code that refused it (`partial: true`). Empty before SUBACK. */
  readonly granted: readonly number[];
  /** Messages waiting here. */
  readonly depth: number;
  /** Messages dropped, by the limits of `buffer` or as a last resort: see docs/backpressure.md. */
  readonly dropped: number;
  /** One message, acknowledged as it is handed over (with `ack: "manual"`: not). */
  receive(options?: CallOptions): Promise<Message>;
  /**
   * What is waiting, at once, and at least one message: several times cheaper than one by one. A batch is
   * acknowledged when the next one is asked for.
   */
  batches(options?: BatchesOptions): AsyncIterableIterator<readonly Message[]>;
  /**
   * Calls `handler` for each message, up to `concurrency` at once, and settles each when its handler has finished.
   * Resolves when the subscription ends. A handler that throws: see `ForEachOptions.onError`.
   */
  forEach(handler: (message: Message) => unknown, options?: ForEachOptions): Promise<void>;
  /**
   * Loops end after the message in hand. In a persistent session the subscription stays at the server and a later
   * loop goes on here; in a clean one this is `unsubscribe()`.
   */
  stop(): Promise<void>;
  /** Ends the subscription for good: at the server too, unless another subscription has the same filters. */
  unsubscribe(): Promise<void>;
}

/** What `subscribe()` returns: await it for the `Subscription`, after SUBACK, or iterate it at once. */
export interface Subscribing extends Promise<Subscription>, AsyncIterable<Message> {}
