import type { EngineOptions } from '../../engine/options.ts';
import type { Logger } from '../logger.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Driver } from '../runtime/driver.ts';
import type { StallReports } from '../runtime/stall-reports.ts';
import type { ClientSubscription } from './client-subscription.ts';
import { DelayedCheck } from './delayed-check.ts';
import type { Router } from './router.ts';

interface StallDetectorParts {
  readonly clock: Clock;
  readonly configuration: { readonly settings: { readonly engine: Pick<EngineOptions, 'ackStallTimeout'> } };
  readonly driver: Pick<Driver, 'isReading' | 'starved'>;
  readonly logger: Pick<Logger, 'warn'>;
  readonly router: Pick<Router, 'subscriptions'>;
  readonly stallReports: Pick<StallReports, 'unread'>;
}

/**
 * Finds messages that nobody takes and that fill a limit, so that no subscription gets any more. If the limit is the
 * window of the server, the silence is the only sign of it.
 */
export class StallDetector {
  readonly #parts: StallDetectorParts;
  readonly #check: DelayedCheck;
  #timeout = 0;
  /** QoS 1 and 2 messages that arrived so far, and how many there were when the check was scheduled. */
  #arrivals = 0;
  #arrivalsBefore = 0;
  /** The progress of each subscription when the check was scheduled. */
  #progressBefore = new Map<ClientSubscription, number>();
  /** Subscriptions that were reported and have taken nothing since, with their progress. */
  readonly #reported = new Map<ClientSubscription, number>();

  constructor(parts: StallDetectorParts) {
    this.#parts = parts;
    this.#check = new DelayedCheck(parts.clock, () => this.#run());
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
    this.#timeout = this.#parts.configuration.settings.engine.ackStallTimeout;
    if (this.#timeout === 0) return;
    this.#arrivalsBefore = this.#arrivals;
    this.#progressBefore = new Map(this.#parts.router.subscriptions.map((one) => [one, one.progress]));
    this.#check.schedule(this.#timeout);
  }

  #run(): void {
    const { driver, router } = this.#parts;
    const all = router.subscriptions;
    for (const [subscription, progress] of this.#reported)
      if (subscription.progress !== progress || !all.includes(subscription))
        this.#reported.delete(subscription);
    if (this.#arrivals === this.#arrivalsBefore) this.#report(all);
    if (!driver.isReading || all.some((one) => one.hasUnsettled())) this.#schedule();
  }

  /** Nothing has arrived since the check was scheduled. */
  #report(all: readonly ClientSubscription[]): void {
    const { driver, logger, stallReports } = this.#parts;
    const isStill = (one: ClientSubscription): boolean => this.#progressBefore.get(one) === one.progress;
    // A single subscription cannot hold up another one.
    if (all.length > 1)
      for (const subscription of all) {
        if (!isStill(subscription) || !subscription.hasUnsettled() || this.#reported.has(subscription))
          continue;
        stallReports.unread(subscription, this.#timeout);
        if (subscription.hasUnsettled()) this.#reported.set(subscription, subscription.progress);
      }
    if (driver.isReading || !all.every(isStill) || !all.some((one) => one.isAwaited)) return;
    logger.warn(
      `the application waits for a message, but has held so many for ${this.#timeout} ms that none can arrive`,
    );
    driver.starved();
  }
}
