import type { ClientSubscription } from './client-subscription.ts';
import { isGroup } from '../../topic/filters.ts';
import type { FilterEntry } from './filter-entry.ts';
import type { Message } from './message.ts';

/** How long a subscription awaits retained messages after its SUBACK, or after the last one, in ms. */
const RETAINED_TIME = 10_000;

/** How many Topic Names are remembered. For others a copy may be delivered twice, but none is lost. */
const REMEMBERED = 100_000;

/** How many bytes of a payload are compared. */
const COMPARED = 65_536;

interface Awaiting {
  /** Its position: it has had every Topic Name of which a copy arrived later. */
  since: number;
  /** When it stops awaiting, in ms; Infinity before SUBACK. */
  until: number;
}

/** The copies of one Topic Name that have arrived. */
interface Copies {
  /** The position of the last one. */
  last: number;
  /** How many arrived since the oldest subscription that awaits this Topic Name was requested. */
  count: number;
  /** A hash of the content of the last one. */
  content: number;
}

/**
 * Decides which subscriptions get a message with RETAIN 1. The server sends the retained messages of a filter for every
 * SUBSCRIBE [MQTT-3.3.1-8], and does not say for which one. So a copy goes to the subscriptions that await one. The same
 * copy again goes to none, if it can be explained by another SUBSCRIBE. Otherwise it goes to all, so that none is lost.
 */
export class RetainedCopies {
  readonly #now: () => number;
  /** How many pairs of a Topic Filter that matches and a subscription of it that `counts` there are. */
  readonly #matching: (topicName: string, counts: (subscription: ClientSubscription) => boolean) => number;
  readonly #awaiting = new Map<ClientSubscription, Awaiting>();
  /** Subscriptions that also get live messages with RETAIN 1 (Retain As Published). */
  readonly #retainAsPublished = new WeakSet<ClientSubscription>();
  readonly #copies = new Map<string, Copies>();
  /** Copies that arrived and subscriptions that were requested so far. */
  #position = 0;
  /** When subscriptions that await nothing any more are next removed, in ms. */
  #tidyAt = 0;

  constructor(
    now: () => number,
    matching: (topicName: string, counts: (subscription: ClientSubscription) => boolean) => number,
  ) {
    this.#now = now;
    this.#matching = matching;
  }

  /** `subscription` is requested from the server: it awaits retained messages, unless it wants none. */
  requested(subscription: ClientSubscription): void {
    if (subscription.entries.some(({ retainAsPublished }) => retainAsPublished === true))
      this.#retainAsPublished.add(subscription);
    // A Shared Subscription gets no retained messages when it is made (4.8.2).
    const getsNone = ({ retainHandling, topicFilter }: FilterEntry): boolean =>
      retainHandling === 2 || isGroup(topicFilter);
    if (subscription.entries.every(getsNone)) return;
    this.#tidy();
    this.#awaiting.set(subscription, { since: ++this.#position, until: Infinity });
  }

  /** SUBACK arrived. Many servers send retained messages before it, some long after. */
  granted(subscription: ClientSubscription): void {
    const awaiting = this.#awaiting.get(subscription);
    if (awaiting !== undefined) awaiting.until = this.#now() + RETAINED_TIME;
  }

  removed(subscription: ClientSubscription): void {
    this.#awaiting.delete(subscription);
  }

  /** `subscription` is requested again, as the server has lost the session. */
  restored(subscription: ClientSubscription): void {
    // Without SUBACK, it continues to wait for that.
    const isGranted = this.#awaiting.get(subscription)?.until !== Infinity;
    this.requested(subscription);
    if (isGranted) this.granted(subscription);
  }

  /**
   * Of the `matching` subscriptions, those that get a message with RETAIN 1; perhaps none. `identified`: those that its
   * Subscription Identifiers say, if it has them. The copy was caused by one of them, and is as good for all others that
   * await one.
   */
  of(
    { topic, payload }: Pick<Message, 'topic' | 'payload'>,
    matching: readonly ClientSubscription[],
    identified?: readonly ClientSubscription[],
  ): readonly ClientSubscription[] {
    const others = identified ?? matching;
    this.#tidy();
    const now = this.#now();
    const open = (subscription: ClientSubscription): boolean =>
      (this.#awaiting.get(subscription)?.until ?? -Infinity) >= now;
    const publishedAsIs = (one: ClientSubscription): boolean => this.#retainAsPublished.has(one);
    const waiting = matching.filter((one) => open(one) && (identified === undefined || !publishedAsIs(one)));
    // With Retain As Published, the flag does not say why the server sent the message (3.8.3.1).
    if (waiting.length === 0 || others.some(publishedAsIs)) return others;
    const content = contentOf(payload);
    const before = this.#copies.get(topic);
    const missing = waiting.filter((one) => (this.#awaiting.get(one)?.since ?? 0) > (before?.last ?? 0));
    // Copies from before the oldest subscription that awaits one are not counted.
    const count = missing.length === waiting.length ? 0 : (before?.count ?? 0);
    this.#position++;
    if (before !== undefined || this.#copies.size < REMEMBERED)
      this.#copies.set(topic, { last: this.#position, count: count + 1, content });
    if (missing.length > 0) {
      // Retained messages still arrive for these.
      for (const one of missing) if (this.#awaiting.get(one)?.until !== Infinity) this.granted(one);
      return missing;
    }
    const isExplained = before?.content === content && count < this.#matching(topic, open);
    return isExplained ? [] : others;
  }

  /** Removes subscriptions that await nothing any more. Without any, forgets everything. */
  #tidy(): void {
    const now = this.#now();
    if (now < this.#tidyAt) return;
    this.#tidyAt = now + RETAINED_TIME;
    for (const [subscription, { until }] of this.#awaiting)
      if (until < now) this.#awaiting.delete(subscription);
    if (this.#awaiting.size === 0) this.#copies.clear();
  }
}

/** FNV-1a over the beginning of `payload`, and its length. */
function contentOf(payload: Uint8Array): number {
  let hash = 0x811c_9dc5 ^ payload.length;
  const end = Math.min(payload.length, COMPARED);
  for (let i = 0; i < end; i++) hash = Math.imul(hash ^ (payload[i] as number), 0x0100_0193);
  return hash;
}
