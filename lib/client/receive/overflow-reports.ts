import type { Clock } from '../runtime/clock.ts';
import { DelayedCheck } from './delayed-check.ts';

/** ms between two reports about one subscription. */
const INTERVAL = 1_000;

/** A subscription, as far as reports need it. */
interface Dropper {
  /** Messages dropped so far. */
  readonly dropped: number;
}

/** Reports dropped messages: the first at once, then at most once a second for each subscription. */
export class OverflowReports<Subscription extends Dropper> {
  readonly #report: (subscription: Subscription) => void;
  /** Subscriptions reported within the last second, with their count of dropped messages at that time. */
  readonly #reported = new Map<Subscription, number>();
  readonly #check: DelayedCheck;

  constructor(clock: Clock, report: (subscription: Subscription) => void) {
    this.#report = report;
    this.#check = new DelayedCheck(clock, () => this.#reportAgain());
  }

  /** `subscription` has dropped a message. */
  dropped(subscription: Subscription): void {
    if (this.#reported.has(subscription)) return;
    this.#reportNow(subscription);
    this.#check.schedule(INTERVAL);
  }

  /** The client has ended. */
  stop(): void {
    this.#check.cancel();
    this.#reported.clear();
  }

  #reportNow(subscription: Subscription): void {
    this.#reported.set(subscription, subscription.dropped);
    this.#report(subscription);
  }

  #reportAgain(): void {
    for (const [subscription, dropped] of this.#reported)
      if (subscription.dropped > dropped) this.#reportNow(subscription);
      else this.#reported.delete(subscription);
    if (this.#reported.size > 0) this.#check.schedule(INTERVAL);
  }
}
