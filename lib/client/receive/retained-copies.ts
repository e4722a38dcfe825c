import type { ClientSubscription } from './client-subscription.ts';
import type { Message } from './message.ts';

/** How long after its SUBACK, or the last of them, a subscription still awaits retained messages, in ms. */
const RETAINED_TIME = 10_000;

/** So many Topic Names are remembered; beyond it a copy may come twice, but none is kept from anybody. */
const REMEMBERED = 100_000;

/** So much of a payload, in bytes, tells one copy from another. */
const COMPARED = 65_536;

/** A subscription that awaits retained messages. */
interface Awaiting {
  /** Its place in the order of what happens: it has had the Topic Names of which a copy came after it. */
  since: number;
  /** In ms; Infinity before SUBACK. */
  until: number;
}

/** The copies of one Topic Name. */
interface Copies {
  /** The place of the last one. */
  last: number;
  /** How many came since the first of those that await this Topic Name was asked for. */
  count: number;
  /** What was in the last one. */
  content: number;
}

/**
 * Whose the copies with RETAIN 1 are. Every SUBSCRIBE brings the retained messages of its filters [MQTT-3.3.1-8], to the
 * client as a whole: a subscription that has had its own is not to get another's. A copy is for every subscription that
 * awaits one; the same copy again is for nobody, where another SUBSCRIBE explains it. Where neither is so, it is for
 * everybody: none is lost.
 */
export class RetainedCopies {
  readonly #now: () => number;
  /** How many Topic Filters that match a Topic Name are held by a subscription that `counts`. */
  readonly #matching: (topicName: string, counts: (subscription: ClientSubscription) => boolean) => number;
  readonly #awaiting = new Map<ClientSubscription, Awaiting>();
  /** Those that get live messages with RETAIN 1 as well. */
  readonly #flagged = new WeakSet<ClientSubscription>();
  readonly #copies = new Map<string, Copies>();
  /** Copies that came and subscriptions that were asked for so far. */
  #place = 0;
  /** When those that await nothing any more are looked for, in ms. */
  #tidyAt = 0;

  constructor(
    now: () => number,
    matching: (topicName: string, counts: (subscription: ClientSubscription) => boolean) => number,
  ) {
    this.#now = now;
    this.#matching = matching;
  }

  /** `subscription` is asked for at the server: it is to get what is retained, unless it wants none of it. */
  asked(subscription: ClientSubscription): void {
    if (subscription.entries.some(({ retainAsPublished }) => retainAsPublished === true))
      this.#flagged.add(subscription);
    if (subscription.entries.every(({ retainHandling }) => retainHandling === 2)) return;
    this.#tidy();
    this.#awaiting.set(subscription, { since: ++this.#place, until: Infinity });
  }

  /** SUBACK came. Many servers send what is retained before it, some long after. */
  granted(subscription: ClientSubscription): void {
    const awaiting = this.#awaiting.get(subscription);
    if (awaiting !== undefined) awaiting.until = this.#now() + RETAINED_TIME;
  }

  left(subscription: ClientSubscription): void {
    this.#awaiting.delete(subscription);
  }

  /** `subscription` is asked for anew, as the server has lost the session. */
  restored(subscription: ClientSubscription): void {
    // One that still waits for its SUBACK goes on waiting for that.
    const isGranted = this.#awaiting.get(subscription)?.until !== Infinity;
    this.asked(subscription);
    if (isGranted) this.granted(subscription);
  }

  /** Of the `matching` subscriptions, those that get a message with RETAIN 1; perhaps none. */
  of(
    { topic, payload }: Pick<Message, 'topic' | 'payload'>,
    matching: readonly ClientSubscription[],
  ): readonly ClientSubscription[] {
    this.#tidy();
    const now = this.#now();
    const open = (subscription: ClientSubscription): boolean =>
      (this.#awaiting.get(subscription)?.until ?? -Infinity) >= now;
    const waiting = matching.filter(open);
    // With Retain As Published the flag says nothing of why a message has come (3.8.3.1).
    if (waiting.length === 0 || matching.some((one) => this.#flagged.has(one))) return matching;
    const content = contentOf(payload);
    const before = this.#copies.get(topic);
    const missing = waiting.filter((one) => this.#since(one) > (before?.last ?? 0));
    // Those that went before nobody remembers who awaits one now.
    const count = missing.length === waiting.length ? 0 : (before?.count ?? 0);
    this.#came(topic, { last: ++this.#place, count: count + 1, content });
    if (missing.length > 0) {
      for (const one of missing) this.#prolong(one, now);
      return missing;
    }
    const isExplained = before?.content === content && count < this.#matching(topic, open);
    return isExplained ? [] : matching;
  }

  #since(subscription: ClientSubscription): number {
    return this.#awaiting.get(subscription)?.since ?? 0;
  }

  /** Retained messages still come for `subscription`. */
  #prolong(subscription: ClientSubscription, now: number): void {
    const awaiting = this.#awaiting.get(subscription);
    if (awaiting !== undefined && awaiting.until < Infinity) awaiting.until = now + RETAINED_TIME;
  }

  #came(topicName: string, copies: Copies): void {
    if (this.#copies.size < REMEMBERED || this.#copies.has(topicName)) this.#copies.set(topicName, copies);
  }

  /** Forgets those that await nothing any more, and with the last of them everything. */
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
