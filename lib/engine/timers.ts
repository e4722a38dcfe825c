/** Every reason this client ever has to wake up without being spoken to. */
export const Timer = {
  /** Give up on an attempt: credentials, dialing and CONNACK together take too long. */ Connect: 0,
  /** Send PINGREQ: too long since the last packet out or the last byte in. */ KeepAlive: 1,
  /** Close: PINGREQ was not answered. */ PingResp: 2,
  /** Fail a SUBSCRIBE or UNSUBSCRIBE that is not acknowledged. */ Ack: 3,
  /** Dial again: the backoff delay is over. */ Reconnect: 4,
  /** Send the oldest unanswered exchange again on a live connection; 3.1 and 3.1.1 only. */ Retry: 5,
  /** Close: an exchange has waited longer than `ackTimeout`. */ Watchdog: 6,
  /** Destroy: DISCONNECT was not followed by the close in time. */ Close: 7,
  /** Pass over: a message has kept the acknowledgements behind it waiting for too long. */ Stall: 8,
  /** Reconnect or drop: an answer is behind more messages than may be held, and the application settles none. */ LastResort: 9,
  /** Send what is suspect, or what has waited for a suspect request: see `Quarantine`. */ Trial: 10,
} as const;
export type TimerName = keyof typeof Timer;
export type Timer = (typeof Timer)[TimerName];

const SLOTS = Object.keys(Timer).length;

/** One slot per timer: when it is due, in ms of the clock that is passed in. */
export class Timers {
  readonly #at: Float64Array = new Float64Array(SLOTS).fill(Infinity);
  /** 1 = the timer is held: it can be set, but is not due. */
  readonly #held: Uint8Array = new Uint8Array(SLOTS);

  set(timer: Timer, at: number): void {
    this.#at[timer] = at;
  }

  stop(timer: Timer): void {
    this.#at[timer] = Infinity;
  }

  /** Holds `timers` until `release()`: none of them is due meanwhile, whatever sets it. */
  hold(timers: readonly Timer[]): void {
    for (const timer of timers) this.#held[timer] = 1;
  }

  /** Ends `hold()`. The timers that it held are stopped, so that their time begins anew. */
  release(): void {
    for (let slot = 0; slot < SLOTS; slot++) if (this.#held[slot] === 1) this.#at[slot] = Infinity;
    this.#held.fill(0);
  }

  /** Stops all but `spared`, which runs across connections. None is held any more. */
  stopAll(spared?: Timer): void {
    const at = spared === undefined ? Infinity : this.at(spared);
    this.#at.fill(Infinity);
    this.#held.fill(0);
    if (spared !== undefined) this.set(spared, at);
  }

  /** When `timer` is due; Infinity = not set. */
  at(timer: Timer): number {
    return this.#at[timer] as number;
  }

  /** Whether `timer` is due; if so it is stopped. */
  expire(timer: Timer, now: number): boolean {
    if (this.#held[timer] === 1 || this.at(timer) > now) return false;
    this.#at[timer] = Infinity;
    return true;
  }

  /** When the first of all is due; Infinity = none is set. */
  next(): number {
    let first = Infinity;
    for (let slot = 0; slot < SLOTS; slot++) {
      const at = this.#at[slot] as number;
      if (at < first && this.#held[slot] === 0) first = at;
    }
    return first;
  }
}
