import { withCancellation, type CallOptions } from './cancellation.ts';
import type { Clock } from './clock.ts';
import type { Driver } from './driver.ts';
import type { ReceivedMessage } from '../receive/received-message.ts';
import type { MessageDelivery } from './message-delivery.ts';
import type { Router } from '../receive/router.ts';
import type { ClientSubscription } from '../receive/client-subscription.ts';
import type { UnmatchedMessages } from '../receive/unmatched-messages.ts';

/** What `drain()` could not finish. */
export interface DrainReport {
  /** Received messages that no loop has taken, held ones included. */
  readonly undelivered: number;
  /** Published messages that the server has not acknowledged. */
  readonly unacknowledged: number;
}

interface DrainParts {
  readonly clock: Clock;
  readonly delivery: MessageDelivery;
  readonly driver: Driver;
  readonly router: Router;
  readonly unmatched: UnmatchedMessages;
}

/** The default of `timeout`, in ms. */
const DRAIN_TIMEOUT = 5_000;

/** `drain()`: waits until messages in progress are processed, and hands out no new ones meanwhile. */
export class Drain {
  readonly #parts: DrainParts;
  /** One per call that waits. While there is one, nothing new is handed out. */
  readonly #callers = new Set<() => void>();
  /** QoS 1 and 2 messages that arrived meanwhile, in order. */
  #intercepted: ReceivedMessage[] = [];
  /** The subscription that was found busy last. While it is, no other has to be checked. */
  #busy: ClientSubscription | undefined = undefined;
  #unchecked: Iterator<ClientSubscription> = [].values();

  constructor(parts: DrainParts) {
    this.#parts = parts;
  }

  /** Whether a call waits. */
  get isActive(): boolean {
    return this.#callers.size > 0;
  }

  /**
   * hot: takes a message that arrives during `drain()`. It stays unacknowledged, and QoS 0 is discarded. If all calls are
   * aborted, it is handed out. Returns false if no call waits.
   */
  intercept(message: ReceivedMessage): boolean {
    if (this.#callers.size === 0) return false;
    if (message.unsettled) this.#intercepted.push(message);
    return true;
  }

  checkDone(): void {
    if (this.#callers.size === 0 || !this.#done()) return;
    for (const finish of this.#callers) finish();
  }

  /** Resolves when all is done, or after `timeout`. Aborting rejects it. */
  drain({ signal, timeout = DRAIN_TIMEOUT }: CallOptions): Promise<DrainReport> {
    return new Promise<DrainReport>((resolve, reject) => {
      const finish = (): void => {
        this.#callers.delete(finish);
        this.#intercepted = [];
        done();
        resolve(this.#report());
      };
      const done = withCancellation({ signal, timeout }, this.#parts.clock, 'drain', (reason) => {
        if (signal?.aborted !== true) finish();
        else {
          this.#callers.delete(finish);
          if (this.#callers.size === 0) this.#abort();
          reject(reason);
        }
      });
      this.#callers.add(finish);
      this.checkDone();
    });
  }

  #abort(): void {
    const intercepted = this.#intercepted;
    this.#intercepted = [];
    for (const message of intercepted) this.#parts.delivery.deliverLate(message);
  }

  /** Does not wait for held messages, subscriptions without a loop, or a connection. */
  #done(): boolean {
    const { counts, state } = this.#parts.driver;
    return (counts.pending === 0 || state !== 'connected') && !this.#isBusy();
  }

  /** Whether any subscription is busy. However often it is called, it checks each about once until all are done. */
  #isBusy(): boolean {
    const { router } = this.#parts;
    const known = this.#busy;
    if (known !== undefined && router.has(known) && isBusy(known)) return true;
    // First those not checked yet, then all: a loop may have begun since.
    for (let pass = 0; pass < 2; pass++) {
      for (let next = this.#unchecked.next(); next.done !== true; next = this.#unchecked.next())
        if (isBusy(next.value)) {
          this.#busy = next.value;
          return true;
        }
      this.#unchecked = router.all();
    }
    this.#busy = undefined;
    return false;
  }

  #report(): DrainReport {
    const { driver, router, unmatched } = this.#parts;
    let undelivered = unmatched.depth;
    for (const subscription of router.subscriptions) undelivered += subscription.depth;
    return { undelivered, unacknowledged: driver.counts.pending };
  }
}

/** Whether a loop processes a message, or has some waiting. Batches that a loop collects are handed out first. */
function isBusy(subscription: ClientSubscription): boolean {
  subscription.flush();
  return subscription.busy;
}
