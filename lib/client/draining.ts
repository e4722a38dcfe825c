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
  #underway: { readonly report: Promise<DrainReport>; readonly finish: () => void } | undefined = undefined;

  constructor(driver: Driver, router: Router, clock: Clock) {
    this.#driver = driver;
    this.#router = router;
    this.#clock = clock;
  }

  /** Whether a message that has just come is not handed out any more: it stays unacknowledged, QoS 0 is let go. */
  refuses(_receipt: Receipt | undefined): boolean {
    return this.#underway !== undefined;
  }

  /** Something has moved: perhaps all is done. */
  look(): void {
    if (this.#underway !== undefined && this.#done()) this.#underway.finish();
  }

  /** Resolves when all is done, or when `timeout` or `signal` says that it has been long enough. */
  drain(options: CallOptions): Promise<DrainReport> {
    if (this.#underway !== undefined) return this.#underway.report;
    let finish = (): void => {};
    const report = new Promise<void>((resolve, reject) => {
      const limits = { signal: options.signal, timeout: options.timeout ?? PATIENCE };
      const done = bound(limits, this.#clock, 'drain', (reason) => {
        if (limits.signal?.aborted === true) reject(reason);
        else resolve();
      });
      finish = () => (done(), resolve());
    })
      .then(() => this.#report())
      .finally(() => {
        this.#underway = undefined;
      });
    this.#underway = { report, finish };
    this.look();
    return report;
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
