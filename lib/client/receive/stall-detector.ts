import type { EngineOptions } from '../../engine/options.ts';
import type { Receipt } from '../../session/incoming.ts';
import type { Logger } from '../logger.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Driver } from '../runtime/driver.ts';
import type { Status } from '../status.ts';
import type { ClientSubscription } from './client-subscription.ts';
import { DelayedCheck } from './delayed-check.ts';
import type { Router } from './router.ts';

interface StallDetectorParts {
  readonly clock: Clock;
  readonly configuration: { readonly settings: { readonly engine: Pick<EngineOptions, 'ackStallTimeout'> } };
  readonly driver: Pick<Driver, 'isReading' | 'settle' | 'starved'>;
  readonly logger: Pick<Logger, 'warn'>;
  /** Whether the session outlives the connection: the server sends skipped messages again. */
  readonly persistent: boolean;
  readonly router: Pick<Router, 'has' | 'matching' | 'subscriptions'>;
  readonly status: Pick<Status, 'report'>;
}

/**
 * Finds messages that nobody takes and that fill a limit, so that no subscription gets any more. If the limit is the
 * window of the server, the silence is the only sign of it. Reports them, and those that the engine finds, and lets later
 * messages through.
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

  stop(): void {
    this.#check.cancel();
    this.#progressBefore.clear();
    this.#reported.clear();
  }

  /** The engine has skipped `receipts`, or acknowledged them in a clean session. Reports each subscription once. */
  unsettled(receipts: readonly Receipt[], ms: number): void {
    const { logger, persistent, router, status } = this.#parts;
    const what = persistent ? 'skipped' : 'acknowledged';
    logger.warn(`${countOf(receipts)} not settled for ${ms} ms, and in the way of others: ${what}`);
    const subscriptions = new Set(receipts.map((receipt) => this.#subscriptionOf(receipt)));
    const unread = [...subscriptions].filter((one) => one?.isUnread === true);
    for (const subscription of subscriptions)
      if (!unread.includes(subscription)) status.report({ type: 'ack-stalled', subscription, ms });
    if (!persistent) {
      const released = new Set(receipts);
      for (const subscription of router.subscriptions) subscription.release(released);
    }
    // Later messages of an unread subscription would hold up others for as long again.
    for (const subscription of unread)
      if (subscription !== undefined && router.has(subscription)) this.#unread(subscription, ms);
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
    const { driver, logger } = this.#parts;
    const isStill = (one: ClientSubscription): boolean => this.#progressBefore.get(one) === one.progress;
    // A single subscription cannot hold up another one.
    if (all.length > 1)
      for (const subscription of all) {
        if (!isStill(subscription) || !subscription.hasUnsettled() || this.#reported.has(subscription))
          continue;
        this.#unread(subscription, this.#timeout);
        if (subscription.hasUnsettled()) this.#reported.set(subscription, subscription.progress);
      }
    if (driver.isReading || !all.every(isStill) || !all.some((one) => one.isAwaited)) return;
    logger.warn(
      `the application waits for a message, but has held so many for ${this.#timeout} ms that none can arrive`,
    );
    driver.starved();
  }

  /**
   * Nothing was taken from `subscription` for `ms`, and its messages hold up others or fill the receive window. In a
   * persistent session they do not count from now on. In a clean one they are acknowledged.
   */
  #unread(subscription: ClientSubscription, ms: number): void {
    const { driver, logger, persistent, status } = this.#parts;
    status.report({ type: 'ack-stalled', subscription, ms });
    subscription.markStalled();
    if (persistent) {
      logger.warn(
        `nothing was taken from a subscription for ${ms} ms: its messages no longer hold up others`,
      );
      return;
    }
    const receipts = subscription.release();
    logger.warn(`nothing was taken from a subscription for ${ms} ms: ${countOf(receipts)} acknowledged`);
    for (const receipt of receipts) driver.settle(receipt, 0);
  }

  #subscriptionOf(receipt: Receipt): ClientSubscription | undefined {
    const { router } = this.#parts;
    const matching = router.matching(receipt.topicName);
    const has = (one: ClientSubscription): boolean => one.has(receipt);
    return matching.find(has) ?? router.subscriptions.find(has) ?? matching[0];
  }
}

function countOf({ length }: readonly Receipt[]): string {
  return length === 1 ? '1 message was' : `${length} messages were`;
}
