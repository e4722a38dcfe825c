import type { Receipt } from '../../session/incoming.ts';
import type { ClientLogger } from '../logger.ts';
import type { ClientSubscription } from '../receive/client-subscription.ts';
import type { Settler } from '../receive/received-message.ts';
import type { Router } from '../receive/router.ts';
import type { Status } from '../status.ts';

interface StallReportsParts {
  readonly driver: Pick<Settler, 'settle'>;
  readonly logger: ClientLogger;
  /** Whether the session outlives the connection: the server sends skipped messages again. */
  readonly persistent: boolean;
  readonly router: Router;
  readonly status: Status;
}

/** Reports messages that the application has not settled in time, and lets later ones through. */
export class StallReports {
  readonly #parts: StallReportsParts;

  constructor(parts: StallReportsParts) {
    this.#parts = parts;
  }

  /**
   * Nobody reads `subscription`, and its messages hold up others or fill the receive window. From now on they do not count
   * in a persistent session. In a clean one they are acknowledged.
   */
  unread(subscription: ClientSubscription, ms: number): void {
    const { driver, logger, persistent, status } = this.#parts;
    status.report({ type: 'ack-stalled', subscription, ms });
    subscription.markStalled();
    if (persistent) {
      logger.warn(`a subscription was not read for ${ms} ms: its messages no longer hold up others`);
      return;
    }
    const receipts = subscription.release();
    logger.warn(`a subscription was not read for ${ms} ms: ${receipts.length} messages are acknowledged`);
    for (const receipt of receipts) driver.settle(receipt, 0);
  }

  /** The engine has skipped `receipts`, or acknowledged them in a clean session. Reports each subscription once. */
  unsettled(receipts: readonly Receipt[], ms: number): void {
    const { logger, persistent, router, status } = this.#parts;
    const what = persistent ? 'skipped' : 'acknowledged';
    logger.warn(`${receipts.length} messages were not settled for ${ms} ms: they are ${what}`);
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
      if (subscription !== undefined && router.has(subscription)) this.unread(subscription, ms);
  }

  #subscriptionOf(receipt: Receipt): ClientSubscription | undefined {
    const { router } = this.#parts;
    const matching = router.matching(receipt.topicName);
    const has = (one: ClientSubscription): boolean => one.has(receipt);
    return matching.find(has) ?? router.subscriptions.find(has) ?? matching[0];
  }
}
