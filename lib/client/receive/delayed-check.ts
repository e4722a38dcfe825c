import type { Clock, Wake } from '../runtime/clock.ts';

/** A check that runs once after a delay. At most one is pending. */
export class DelayedCheck {
  readonly #clock: Clock;
  readonly #check: () => void;
  #wake: Wake | undefined = undefined;

  constructor(clock: Clock, check: () => void) {
    this.#clock = clock;
    this.#check = check;
  }

  get isPending(): boolean {
    return this.#wake !== undefined;
  }

  /** Runs the check in `delay` ms, unless one is pending. */
  schedule(delay: number): void {
    this.scheduleAt(this.#clock.now() + delay);
  }

  scheduleAt(time: number): void {
    this.#wake ??= this.#clock.wakeAt(time, () => {
      this.#wake = undefined;
      this.#check();
    });
  }

  cancel(): void {
    this.#wake?.cancel();
    this.#wake = undefined;
  }
}
