import type { Clock } from '../runtime/clock.ts';
import type { Status } from '../status.ts';
import { DelayedCheck } from './delayed-check.ts';
import type { Subscription } from './subscription.ts';

/** ms between two reports about one subscription. */
const INTERVAL = 1_000;

/** Reports dropped messages: the first at once, then at most once a second for each subscription. */
export class OverflowReports {
  readonly #status: Pick<Status, 'report'>;
  /** Subscriptions reported within the last second, with their count of dropped messages at that time. */
  readonly #reported = new Map<Subscription, number>();
  readonly #check: DelayedCheck;

  constructor(clock: Clock, status: Pick<Status, 'report'>) {
    this.#status = status;
    this.#check = new DelayedCheck(clock, () => this.#reportAgain());
  }

  dropped(subscription: Subscription): void {
    if (this.#reported.has(subscription)) return;
    this.#reportNow(subscription);
    this.#check.schedule(INTERVAL);
  }

  stop(): void {
    this.#check.cancel();
    this.#reported.clear();
  }

  #reportNow(subscription: Subscription): void {
    const { dropped } = subscription;
    this.#reported.set(subscription, dropped);
    this.#status.report({ type: 'overflow', subscription, dropped });
  }

  #reportAgain(): void {
    for (const [subscription, dropped] of this.#reported)
      if (subscription.dropped > dropped) this.#reportNow(subscription);
      else this.#reported.delete(subscription);
    if (this.#reported.size > 0) this.#check.schedule(INTERVAL);
  }
}
