import type { Receipt } from '../session/incoming.ts';
import { bound, type CallOptions } from './calls.ts';
import type { Clock } from './clock.ts';
import type { Driver } from './driver.ts';
import type { Router } from './router.ts';

/** What `drain()` could not finish. */
export interface DrainReport {
  /** Messages received that no loop has taken. */
  readonly undelivered: number;
  /** Messages published that the server has not acknowledged. */
  readonly unacknowledged: number;
}

/** ms that `drain()` waits, where it is not said otherwise. */
const PATIENCE = 5_000;

/** Finishing what is in hand, before the end. */
export class Draining {
  readonly #driver: Driver;
  readonly #router: Router;
  readonly #clock: Clock;
  /** Those who wait for the end of it: while there is one, nothing new is handed out. */
  readonly #callers = new Set<() => void>();

  constructor(driver: Driver, router: Router, clock: Clock) {
    this.#driver = driver;
    this.#router = router;
    this.#clock = clock;
  }

  /** Whether a message that has just come is not handed out any more: it stays unacknowledged, QoS 0 is let go. */
  refuses(_receipt: Receipt | undefined): boolean {
    return this.#callers.size > 0;
  }

  /** Something has moved: perhaps all is done. */
  look(): void {
    if (this.#callers.size === 0 || !this.#done()) return;
    for (const finish of this.#callers) finish();
  }

  /** Resolves when all is done, or when `timeout` says that it has been long enough. Aborting only ends the waiting. */
  drain({ signal, timeout = PATIENCE }: CallOptions): Promise<DrainReport> {
    return new Promise<DrainReport>((resolve, reject) => {
      const finish = (): void => {
        this.#callers.delete(finish);
        done();
        resolve(this.#report());
      };
      const done = bound({ signal, timeout }, this.#clock, 'drain', (reason) => {
        if (signal?.aborted !== true) finish();
        else {
          this.#callers.delete(finish);
          reject(reason);
        }
      });
      this.#callers.add(finish);
      this.look();
    });
  }

  /** Parked messages and subscriptions without a loop are not waited for, nor is a connection. */
  #done(): boolean {
    if (this.#router.subscriptions.some((subscription) => subscription.busy)) return false;
    return this.#driver.pendingPublishes === 0 || this.#driver.state !== 'connected';
  }

  #report(): DrainReport {
    let undelivered = 0;
    for (const subscription of this.#router.subscriptions) undelivered += subscription.depth;
    return { undelivered, unacknowledged: this.#driver.pendingPublishes };
  }
}
