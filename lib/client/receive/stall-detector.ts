import type { Clock } from '../runtime/clock.ts';
import type { ClientSubscription } from './client-subscription.ts';
import { DelayedCheck } from './delayed-check.ts';

/** What the stall detector needs of its client. */
export interface StallDetectorHost {
  readonly clock: Clock;
  /** `ackStallTimeout` in ms; 0 = off. */
  timeout(): number;
  subscriptions(): readonly ClientSubscription[];
  /** Whether the client has stopped reading. */
  isStopped(): boolean;
  /** For `ms`, `subscription` took none of its unsettled messages, and no QoS 1 or 2 message arrived. */
  stalled(subscription: ClientSubscription, ms: number): void;
  /** For `ms`, a consumer has waited for a message, and the application held so many that none could arrive. */
  starved(ms: number): void;
}

/**
 * Finds messages that nobody takes and that fill a limit, so that no subscription gets any more. If the limit is the
 * window of the server, the silence is the only sign of it.
 */
export class StallDetector {
  readonly #host: StallDetectorHost;
  readonly #check: DelayedCheck;
  #timeout = 0;
  /** QoS 1 and 2 messages that arrived so far, and how many there were when the check was scheduled. */
  #arrivals = 0;
  #arrivalsBefore = 0;
  /** The progress of each subscription when the check was scheduled. */
  #progressBefore = new Map<ClientSubscription, number>();
  /** Subscriptions that were reported and have taken nothing since, with their progress. */
  readonly #reported = new Map<ClientSubscription, number>();

  constructor(host: StallDetectorHost) {
    this.#host = host;
    this.#check = new DelayedCheck(host.clock, () => this.#run());
  }

  /** hot: a QoS 1 or 2 message arrived. */
  arrived(): void {
    this.#arrivals++;
    if (!this.#check.isPending) this.#schedule();
  }

  /** The client stops reading, so nothing arrives from now on: the time starts again if something has arrived in it. */
  stopped(): void {
    if (!this.#check.isPending || this.#arrivals === this.#arrivalsBefore) return;
    this.#check.cancel();
    this.#schedule();
  }

  /** The client has ended. */
  stop(): void {
    this.#check.cancel();
    this.#progressBefore.clear();
    this.#reported.clear();
  }

  #schedule(): void {
    this.#timeout = this.#host.timeout();
    if (this.#timeout === 0) return;
    this.#arrivalsBefore = this.#arrivals;
    this.#progressBefore = new Map(this.#host.subscriptions().map((one) => [one, one.progress]));
    this.#check.schedule(this.#timeout);
  }

  #run(): void {
    const all = this.#host.subscriptions();
    for (const [subscription, progress] of this.#reported)
      if (subscription.progress !== progress || !all.includes(subscription))
        this.#reported.delete(subscription);
    if (this.#arrivals === this.#arrivalsBefore) this.#report(all);
    if (this.#host.isStopped() || all.some((one) => one.hasUnsettled())) this.#schedule();
  }

  /** Nothing has arrived since the check was scheduled. */
  #report(all: readonly ClientSubscription[]): void {
    const isStill = (one: ClientSubscription): boolean => this.#progressBefore.get(one) === one.progress;
    // A single subscription cannot hold up another one.
    if (all.length > 1)
      for (const subscription of all) {
        if (!isStill(subscription) || !subscription.hasUnsettled() || this.#reported.has(subscription))
          continue;
        this.#host.stalled(subscription, this.#timeout);
        if (subscription.hasUnsettled()) this.#reported.set(subscription, subscription.progress);
      }
    if (this.#host.isStopped() && all.every(isStill) && all.some((one) => one.isAwaited))
      this.#host.starved(this.#timeout);
  }
}
