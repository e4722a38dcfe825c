/** The timers of the engine. */
export const Timer = {
  /** Give up an attempt: credentials, dialing and CONNACK together take too long. */ Connect: 0,
  /** Send PINGREQ: the last packet sent or byte received is too long ago. */ KeepAlive: 1,
  /** Close: PINGREQ was not answered. */ PingResp: 2,
  /** Fail a SUBSCRIBE or UNSUBSCRIBE that is not acknowledged. */ Ack: 3,
  /** Dial again: the backoff delay is over. */ Reconnect: 4,
  /** Send the oldest unanswered exchange again on a live connection; 3.1 and 3.1.1 only. */ Retry: 5,
  /** Close: an exchange has waited longer than `ackTimeout`. */ Watchdog: 6,
  /** Destroy: DISCONNECT was not followed by the close in time. */ Close: 7,
  /** Skip or release messages that have delayed acknowledgements for too long. */ Stall: 8,
  /** Read past the limits: an answer is behind more messages than may be held, and the application settles none. */ LastResort: 9,
  /** Send what is in quarantine, or has waited for it: see `Quarantine`. */ Trial: 10,
  /** Fail a re-authentication that takes too long, and close once its first AUTH was sent. */ Authentication: 11,
} as const;
export type TimerName = keyof typeof Timer;
export type Timer = (typeof Timer)[TimerName];

const SLOTS = Object.keys(Timer).length;

/** One slot per timer: the time when it is due, in ms of the caller's clock. */
export class Timers {
  readonly #at: Float64Array = new Float64Array(SLOTS).fill(Infinity);
  /** 1 = held: the timer can be set, but is not due. */
  readonly #held: Uint8Array = new Uint8Array(SLOTS);

  set(timer: Timer, at: number): void {
    this.#at[timer] = at;
  }

  stop(timer: Timer): void {
    this.#at[timer] = Infinity;
  }

  /** Holds `timers`: until `release()` none of them is due, even if it is set. */
  hold(timers: readonly Timer[]): void {
    for (const timer of timers) this.#held[timer] = 1;
  }

  /** Ends `hold()`. The held timers are stopped, so that their time starts again. */
  release(): void {
    for (let slot = 0; slot < SLOTS; slot++) if (this.#held[slot] === 1) this.#at[slot] = Infinity;
    this.#held.fill(0);
  }

  /** Stops and releases all timers. Only `spared` stays set: it runs across connections. */
  stopAll(spared?: Timer): void {
    const at = spared === undefined ? Infinity : this.at(spared);
    this.#at.fill(Infinity);
    this.#held.fill(0);
    if (spared !== undefined) this.set(spared, at);
  }

  /** The time when `timer` is due; Infinity = not set. */
  at(timer: Timer): number {
    return this.#at[timer] as number;
  }

  /** Whether `timer` is due. If so, it is stopped. */
  expire(timer: Timer, now: number): boolean {
    if (this.#held[timer] === 1 || this.at(timer) > now) return false;
    this.#at[timer] = Infinity;
    return true;
  }

  /** The time when the next timer is due; Infinity = none is set. */
  next(): number {
    let first = Infinity;
    for (let slot = 0; slot < SLOTS; slot++) {
      const at = this.#at[slot] as number;
      if (at < first && this.#held[slot] === 0) first = at;
    }
    return first;
  }
}
