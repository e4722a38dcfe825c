import { setImmediate } from 'node:timers';
import type { Clock, Wake } from './clock.ts';

/** A timer that fires later than this, in ms, was held up by a busy process. */
const LATE = 20;

/** The one timer of a client: it fires when the engine is due next. */
export class EngineTimer {
  readonly #clock: Clock;
  readonly #onDue: () => void;
  #wake: Wake | undefined = undefined;
  #at = Infinity;
  /** How late it fired at most, in ms: how long the process was busy. */
  maxLag = 0;

  constructor(clock: Clock, onDue: () => void) {
    this.#clock = clock;
    this.#onDue = onDue;
  }

  /** hot: fires at `at`, or earlier: firing early costs less than moving the timer. Infinity stops it. */
  set(at: number): void {
    if (at >= this.#at && at !== Infinity) return;
    if (at === this.#at) return;
    this.#wake?.cancel(); // fault: wake
    this.#at = at;
    this.#wake = at === Infinity ? undefined : this.#clock.wakeAt(at, () => this.#fire());
  }

  #fire(): void {
    const lag = this.#clock.now() - this.#at;
    if (lag > this.maxLag) this.maxLag = lag;
    this.#at = Infinity;
    this.#wake = undefined;
    // The server may have answered while the process was busy: what has arrived is read before anything is too late.
    if (lag > LATE) setImmediate(() => this.#onDue());
    else this.#onDue();
  }
}
