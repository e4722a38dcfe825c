import type { SubscriptionRequest } from '../codec/packets.ts';

/**
 * What this client is subscribed to, to say it again where the server has lost the session. It belongs to the
 * server's Session State, not to ours (4.1): what is kept here is the application's wish.
 */
export class Subscriptions {
  readonly #filters = new Map<string, SubscriptionRequest>();

  /** Granted. The same filter again replaces its options [MQTT-3.8.4-3]. */
  set(entry: SubscriptionRequest): void {
    this.#filters.set(entry.topicFilter, entry);
  }

  delete(topicFilter: string): void {
    this.#filters.delete(topicFilter);
  }

  values(): IterableIterator<SubscriptionRequest> {
    return this.#filters.values();
  }
}
