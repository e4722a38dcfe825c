/** A time that has been asked for and can be called off. */
export interface Wake {
  cancel(): void;
}

/** Time as the client sees it: everything that waits goes through here, so that a spec can put its own in place. */
export interface Clock {
  /** ms from some moment on; never goes back. */
  now(): number;
  /** Calls `wake` once, at `at` or later, never before. */
  wakeAt(at: number, wake: () => void): Wake;
}

/** The longest delay that timers of the platform take, in ms. */
const LONGEST = 0x7fff_ffff;

/** The clock of the machine, monotonic. */
export const systemClock: Clock = {
  now: () => performance.now(),
  wakeAt(at, wake) {
    let timer = setTimeout(step, delay());
    function delay(): number {
      return Math.min(LONGEST, Math.max(0, Math.ceil(at - performance.now())));
    }
    // A timer may come a little early, and a long wait is cut into steps.
    function step(): void {
      if (performance.now() >= at) wake();
      else timer = setTimeout(step, delay());
    }
    return { cancel: () => clearTimeout(timer) };
  },
};
