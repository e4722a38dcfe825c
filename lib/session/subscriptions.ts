import type { SubscriptionRequest } from '../codec/packets.ts';

/**
 * The subscriptions of this client, to restore them if the server has lost the session. Session State of the client does
 * not include them (4.1): they are what the application asked for.
 */
export class Subscriptions {
  readonly #filters = new Map<string, SubscriptionRequest>();

  /** A subscription was granted. The same Topic Filter again replaces its options [MQTT-3.8.4-3]. */
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
