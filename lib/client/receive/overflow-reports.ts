import type { Clock, Wake } from '../runtime/clock.ts';

/** ms between two events of one subscription. */
const INTERVAL = 1_000;

/** Something that drops messages, and counts them. */
interface Dropper {
  readonly dropped: number;
}

/** Tells of dropped messages: of the first at once, then at most once a second for each subscription. */
export class OverflowReports<Subscription extends Dropper> {
  readonly #clock: Clock;
  readonly #report: (subscription: Subscription) => void;
  /** Subscriptions that were told of in this second, and how many they had dropped by then. */
  readonly #told = new Map<Subscription, number>();
  #wake: Wake | undefined = undefined;

  constructor(clock: Clock, report: (subscription: Subscription) => void) {
    this.#clock = clock;
    this.#report = report;
  }

  /** `subscription` has dropped a message. */
  dropped(subscription: Subscription): void {
    if (this.#told.has(subscription)) return;
    this.#tell(subscription);
    this.#wake ??= this.#clock.wakeAt(this.#clock.now() + INTERVAL, () => this.#look());
  }

  /** The client has ended. */
  stop(): void {
    this.#wake?.cancel();
    this.#wake = undefined;
    this.#told.clear();
  }

  #tell(subscription: Subscription): void {
    this.#told.set(subscription, subscription.dropped);
    this.#report(subscription);
  }

  #look(): void {
    this.#wake = undefined;
    for (const [subscription, told] of this.#told)
      if (subscription.dropped > told) this.#tell(subscription);
      else this.#told.delete(subscription);
    if (this.#told.size > 0)
      this.#wake = this.#clock.wakeAt(this.#clock.now() + INTERVAL, () => this.#look());
  }
}
