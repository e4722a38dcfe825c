import type { Subscription } from './subscription.ts';

/** How long after its SUBACK, or the last of them, a subscription still awaits retained messages, in ms. */
const PATIENCE = 10_000;

/** So many Topic Names are remembered per subscription; beyond it a copy may come twice, but none is kept from anybody. */
const REMEMBERED = 10_000;

/** What one subscription has had of the retained messages it awaits. */
interface Awaiting {
  /** Infinity before SUBACK. */
  until: number;
  readonly had: Set<string>;
}

/**
 * Whose the copies with RETAIN 1 are. Every SUBSCRIBE brings the retained messages of its filters [MQTT-3.3.1-8], to the
 * client as a whole: subscriptions that have had theirs are not to get them once more because another one has come.
 * Where it is not known whose a copy is, everybody gets it.
 */
export class RetainedCopies {
  readonly #now: () => number;
  readonly #awaiting = new Map<Subscription, Awaiting>();

  constructor(now: () => number) {
    this.#now = now;
  }

  /** `subscription` is asked for at the server: it is to get what is retained. */
  asked(subscription: Subscription): void {
    this.#awaiting.set(subscription, { until: Infinity, had: new Set() });
  }

  /** SUBACK came. Many servers send what is retained before it, some long after. */
  granted(subscription: Subscription): void {
    const awaiting = this.#awaiting.get(subscription);
    if (awaiting !== undefined) awaiting.until = this.#now() + PATIENCE;
  }

  left(subscription: Subscription): void {
    this.#awaiting.delete(subscription);
  }

  /** All are asked for anew, as the server has lost the session. */
  restored(): void {
    for (const [subscription, { until }] of this.#awaiting) {
      this.asked(subscription);
      if (until < Infinity) this.granted(subscription);
    }
  }

  /** Of those whose filters match `topicName`, the ones that a copy with RETAIN 1 is for. */
  of(topicName: string, matching: readonly Subscription[]): readonly Subscription[] {
    const now = this.#now();
    const meant = matching.filter((subscription) => {
      const awaiting = this.#awaiting.get(subscription);
      return awaiting !== undefined && awaiting.until >= now && !awaiting.had.has(topicName);
    });
    // With Retain As Published the flag says nothing of why a message has come (3.8.3.1).
    const flagged = matching.some(({ entries }) => entries.some((entry) => entry.retainAsPublished === true));
    const all = meant.length === 0 || flagged ? matching : meant;
    for (const subscription of all) this.#had(subscription, topicName, now);
    return all;
  }

  #had(subscription: Subscription, topicName: string, now: number): void {
    const awaiting = this.#awaiting.get(subscription);
    if (awaiting === undefined) return;
    if (awaiting.until < now) awaiting.had.clear();
    else {
      if (awaiting.had.size < REMEMBERED) awaiting.had.add(topicName);
      if (awaiting.until < Infinity) awaiting.until = now + PATIENCE;
    }
  }
}
