import type { FilterResult } from '../../errors.ts';
import type { BatchesOptions } from './batch-iterator.ts';
import type { CallOptions } from '../runtime/cancellation.ts';
import type { ForEachOptions } from './for-each.ts';
import type { Message } from './message.ts';

/** When a QoS 1 or 2 message is acknowledged. */
export type AckMode = 'processed' | 'received' | 'manual';

/**
 * The messages of one `subscribe()` call, in order of arrival. Several loops share them: each message goes to one loop. A
 * loop that asks for the next message settles the one before it, unless `ack` says otherwise. An interface, so that tests
 * can use an object literal.
 */
export interface Subscription extends AsyncIterable<Message>, AsyncDisposable {
  readonly topicFilters: readonly string[];
  /** For each filter the granted QoS, or the Reason Code that refused it (`partial: true`). Empty before SUBACK. */
  readonly granted: readonly number[];
  /**
   * The same with the Topic Filters, and with the reason string and the User Properties of SUBACK if it had any (5.0).
   * Empty before SUBACK.
   */
  readonly results: readonly FilterResult[];
  /** The number of messages that wait for a loop. */
  readonly depth: number;
  /** The number of messages dropped by the limits of `buffer`, or as a last resort: see docs/backpressure.md. */
  readonly dropped: number;
  /**
   * The next message. It is acknowledged at once, except with `ack: "manual"`. Rejects with a `ClosedError` when the
   * subscription has ended.
   */
  receive(options?: CallOptions): Promise<Message>;
  /**
   * A loop over all waiting messages at once, at least one: several times cheaper than one by one. With `linger`, a batch
   * waits for more messages. A batch is settled when the next one is asked for.
   */
  batches(options?: BatchesOptions): AsyncIterableIterator<readonly Message[]>;
  /**
   * Calls `handler` for each message, up to `concurrency` at a time, and settles each message when its handler has
   * finished. Resolves when the subscription ends. `onError` says what happens when a handler throws.
   */
  forEach(handler: (message: Message) => unknown, options?: ForEachOptions): Promise<void>;
  /**
   * Ends loops after the message in hand. In a persistent session the subscription stays at the server, and a later loop
   * continues. In other sessions this is `unsubscribe()`.
   */
  stop(): Promise<void>;
  /** Ends the subscription, also at the server, unless another subscription has the same filters. */
  unsubscribe(): Promise<void>;
}

/** The result of `subscribe()`: await it for the `Subscription` after SUBACK, or iterate it at once. */
export interface Subscribing extends Promise<Subscription>, AsyncIterable<Message> {}
