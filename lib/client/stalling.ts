import type { Clock, Wake } from './clock.ts';
import type { Subscription } from './subscription.ts';

/** What watching for stalls needs of its client. */
export interface StallingHost {
  readonly clock: Clock;
  /** `ackStallTimeout`: ms, 0 = off. */
  timeout(): number;
  subscriptions(): readonly Subscription[];
  /** Nothing of `subscription` was taken for `ms`, and nothing that is to be acknowledged has come for anybody. */
  stalled(subscription: Subscription, ms: number): void;
}

/**
 * A window that is full of messages nobody takes: then nothing more comes, for any subscription, and so nothing ever
 * waits behind them that would have them passed over. How large the window is, only 5.0 tells; that it is full shows by
 * the silence.
 */
export class Stalling {
  readonly #host: StallingHost;
  #wake: Wake | undefined = undefined;
  #arrivals = 0;
  /** How it stood when the wake was armed. */
  #arrivalsBefore = 0;
  #progressBefore = new Map<Subscription, number>();
  /** Those that were reported and have taken nothing since. */
  readonly #reported = new Map<Subscription, number>();

  constructor(host: StallingHost) {
    this.#host = host;
  }

  /** hot: a message came that is to be acknowledged. */
  arrived(): void {
    this.#arrivals++;
    if (this.#wake === undefined) this.#arm();
  }

  /** The client has ended. */
  stop(): void {
    this.#wake?.cancel();
    this.#wake = undefined;
    this.#progressBefore.clear();
    this.#reported.clear();
  }

  #arm(): void {
    const timeout = this.#host.timeout();
    if (timeout === 0) return;
    this.#arrivalsBefore = this.#arrivals;
    this.#progressBefore = new Map(this.#host.subscriptions().map((one) => [one, one.progress]));
    const { clock } = this.#host;
    this.#wake = clock.wakeAt(clock.now() + timeout, () => this.#look(timeout));
  }

  #look(timeout: number): void {
    this.#wake = undefined;
    const all = this.#host.subscriptions();
    const isSilent = this.#arrivals === this.#arrivalsBefore;
    for (const [subscription, progress] of this.#reported)
      if (subscription.progress !== progress || !all.includes(subscription))
        this.#reported.delete(subscription);
    // Who is alone holds nobody up.
    if (isSilent && all.length > 1)
      for (const subscription of all) {
        const { progress } = subscription;
        if (this.#progressBefore.get(subscription) !== progress || !subscription.hasUnsettled()) continue;
        if (this.#reported.has(subscription)) continue;
        this.#host.stalled(subscription, timeout);
        if (subscription.hasUnsettled()) this.#reported.set(subscription, progress);
      }
    if (all.some((one) => one.hasUnsettled())) this.#arm();
  }
}
