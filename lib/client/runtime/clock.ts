import { performance } from 'node:perf_hooks';
import { clearTimeout, setTimeout } from 'node:timers';

export interface Wake {
  cancel(): void;
}

/** The time of the client. All timers use it, so that a spec can replace it. */
export interface Clock {
  /** Monotonic time in ms. */
  now(): number;
  /** Calls `wake` once, at `at` or later. */
  wakeAt(at: number, wake: () => void): Wake;
}

/** The longest delay of a platform timer, in ms. */
const LONGEST = 0x7fff_ffff;

export interface Timers {
  now(): number;
  setTimeout(then: () => void, ms: number): unknown;
  clearTimeout(timer: unknown): void;
}

/** A clock over timers, which may fire a little early and take no longer delay than `LONGEST`. */
export function clockOver(timers: Timers): Clock {
  return {
    now: () => timers.now(),
    wakeAt: (at, wake) => new TimedWake(timers, at, wake),
  };
}

class TimedWake implements Wake {
  readonly #timers: Timers;
  readonly #at: number;
  readonly #wake: () => void;
  #timer: unknown;

  constructor(timers: Timers, at: number, wake: () => void) {
    this.#timers = timers;
    this.#at = at;
    this.#wake = wake;
    this.#arm();
  }

  cancel(): void {
    this.#timers.clearTimeout(this.#timer);
  }

  /** A long wait takes several timers. */
  #arm(): void {
    const delay = Math.min(LONGEST, Math.max(0, Math.ceil(this.#at - this.#timers.now())));
    this.#timer = this.#timers.setTimeout(() => {
      if (this.#timers.now() >= this.#at) this.#wake();
      else this.#arm();
    }, delay);
  }
}

/** The clock of the machine. Fake timers of a test runner do not replace it: see `nextTick`. */
export const systemClock: Clock = clockOver({
  now: () => performance.now(),
  setTimeout: (then, ms) => setTimeout(then, ms),
  clearTimeout: (timer) => clearTimeout(timer as NodeJS.Timeout),
});
