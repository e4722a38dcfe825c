import type { Clock, Wake } from '../runtime/clock.ts';
import type { ClientSubscription } from './client-subscription.ts';

/** What watching for stalls needs of its client. */
export interface StallDetectorHost {
  readonly clock: Clock;
  /** `ackStallTimeout`: ms, 0 = off. */
  timeout(): number;
  subscriptions(): readonly ClientSubscription[];
  /** Whether nothing is read from the network, as so much is unsettled. */
  isStopped(): boolean;
  /** Nothing of `subscription` was taken for `ms`, and nothing that is to be acknowledged has come for anybody. */
  stalled(subscription: ClientSubscription, ms: number): void;
  /** For `ms` somebody has waited for a message, and the application has so many unsettled that none can come. */
  starved(ms: number): void;
}

/**
 * A limit that is reached by messages nobody takes: then nothing more comes, for any subscription. Where it is the
 * window of the server, nothing but the silence tells of it.
 */
export class StallDetector {
  readonly #host: StallDetectorHost;
  #wake: Wake | undefined = undefined;
  #arrivals = 0;
  /** The counts when the wake was armed. */
  #arrivalsBefore = 0;
  #progressBefore = new Map<ClientSubscription, number>();
  /** Those that were reported and have taken nothing since. */
  readonly #reported = new Map<ClientSubscription, number>();

  constructor(host: StallDetectorHost) {
    this.#host = host;
  }

  /** hot: a message came that is to be acknowledged. */
  arrived(): void {
    this.#arrivals++;
    if (this.#wake === undefined) this.#arm();
  }

  /** Nothing more is read: nothing comes from now on, so the time begins anew where something has come in it. */
  stopped(): void {
    if (this.#wake === undefined || this.#arrivals === this.#arrivalsBefore) return;
    this.#wake.cancel();
    this.#arm();
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
    const isStill = (one: ClientSubscription): boolean => this.#progressBefore.get(one) === one.progress;
    for (const [subscription, progress] of this.#reported)
      if (subscription.progress !== progress || !all.includes(subscription))
        this.#reported.delete(subscription);
    // One that is alone holds up no other.
    if (isSilent && all.length > 1)
      for (const subscription of all) {
        if (!isStill(subscription) || !subscription.hasUnsettled() || this.#reported.has(subscription))
          continue;
        this.#host.stalled(subscription, timeout);
        if (subscription.hasUnsettled()) this.#reported.set(subscription, subscription.progress);
      }
    const isStarved = isSilent && this.#host.isStopped() && all.every(isStill);
    if (isStarved && all.some((one) => one.isAwaited)) this.#host.starved(timeout);
    if (this.#host.isStopped() || all.some((one) => one.hasUnsettled())) this.#arm();
  }
}
