import { withCancellation, type CallOptions } from './cancellation.ts';
import type { Clock } from './clock.ts';
import type { Driver } from './driver.ts';
import type { ReceivedMessage } from '../receive/received-message.ts';
import type { Router } from '../receive/router.ts';
import type { ClientSubscription } from '../receive/client-subscription.ts';

/** What `drain()` could not finish. */
export interface DrainReport {
  /** Messages received that no loop has taken, parked ones included. */
  readonly undelivered: number;
  /** Messages published that the server has not acknowledged. */
  readonly unacknowledged: number;
}

/** Delivers a message that was intercepted. */
export type Deliver = (message: ReceivedMessage) => void;

/** ms that `drain()` waits, where it is not said otherwise. */
const DRAIN_TIMEOUT = 5_000;

/** Finishing what is in hand, before the end. */
export class Drain {
  readonly #driver: Driver;
  readonly #router: Router;
  readonly #clock: Clock;
  /** Those who wait for the end of it: while there is one, nothing new is handed out. */
  readonly #callers = new Set<() => void>();
  /** QoS 1 and 2 messages that arrived meanwhile, in order. */
  #intercepted: ReceivedMessage[] = [];
  readonly #deliver: Deliver;
  /** The subscription that was busy when it was looked at last: while it is, no other needs to be. */
  #busy: ClientSubscription | undefined = undefined;
  /** Those that were not looked at yet. */
  #unseen: Iterator<ClientSubscription> = [].values();
  /** How many messages wait for a subscription. */
  readonly #held: () => number;

  constructor(driver: Driver, router: Router, clock: Clock, parked: () => number, deliver: Deliver) {
    this.#held = parked;
    this.#driver = driver;
    this.#router = router;
    this.#clock = clock;
    this.#deliver = deliver;
  }

  /**
   * Whether a message that has just arrived is not delivered: QoS 0 is discarded, others stay unacknowledged. If the
   * drain is aborted, they are delivered then.
   */
  intercept(message: ReceivedMessage): boolean {
    if (this.#callers.size === 0) return false;
    if (message.unsettled) this.#intercepted.push(message);
    return true;
  }

  /** Something has moved: perhaps all is done. */
  checkDone(): void {
    if (this.#callers.size === 0 || !this.#done()) return;
    for (const finish of this.#callers) finish();
  }

  /** Resolves when all is done, or when `timeout` says that it has been long enough. Aborting calls it off. */
  drain({ signal, timeout = DRAIN_TIMEOUT }: CallOptions): Promise<DrainReport> {
    return new Promise<DrainReport>((resolve, reject) => {
      const finish = (): void => {
        this.#callers.delete(finish);
        this.#intercepted = [];
        done();
        resolve(this.#report());
      };
      const done = withCancellation({ signal, timeout }, this.#clock, 'drain', (reason) => {
        if (signal?.aborted !== true) finish();
        else {
          this.#callers.delete(finish);
          if (this.#callers.size === 0) this.#callOff();
          reject(reason);
        }
      });
      this.#callers.add(finish);
      this.checkDone();
    });
  }

  #callOff(): void {
    const messages = this.#intercepted;
    this.#intercepted = [];
    for (const message of messages) this.#deliver(message);
  }

  /** Parked messages and subscriptions without a loop are not waited for, nor is a connection. */
  #done(): boolean {
    if (this.#driver.counts.pending > 0 && this.#driver.state === 'connected') return false;
    return !this.#isBusy();
  }

  /** Whether any subscription is busy. Looks at each about once until all are done, however often it is asked. */
  #isBusy(): boolean {
    const known = this.#busy;
    if (known !== undefined && this.#router.has(known) && isBusy(known)) return true;
    // First those that were not looked at, then all: a loop may have begun since.
    for (let pass = 0; pass < 2; pass++) {
      for (let next = this.#unseen.next(); next.done !== true; next = this.#unseen.next())
        if (isBusy(next.value)) {
          this.#busy = next.value;
          return true;
        }
      this.#unseen = this.#router.all();
    }
    this.#busy = undefined;
    return false;
  }

  #report(): DrainReport {
    let undelivered = this.#held();
    for (const subscription of this.#router.subscriptions) undelivered += subscription.depth;
    return { undelivered, unacknowledged: this.#driver.counts.pending };
  }
}

/** Whether a loop is at work on its messages, or has some that wait. What a loop collects is handed out first. */
function isBusy(subscription: ClientSubscription): boolean {
  subscription.flush();
  return subscription.busy;
}
