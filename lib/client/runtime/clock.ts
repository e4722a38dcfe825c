import { performance } from 'node:perf_hooks';
import { clearTimeout, setTimeout } from 'node:timers';

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

/** What the clock of a machine is made of. */
export interface Timers {
  now(): number;
  setTimeout(then: () => void, ms: number): unknown;
  clearTimeout(timer: unknown): void;
}

/** A clock over timers, which may come a little early, and for which a delay may be too long. */
export function clockOver(timers: Timers): Clock {
  return {
    now: () => timers.now(),
    wakeAt(at, wake) {
      let timer = timers.setTimeout(step, delay());
      function delay(): number {
        return Math.min(LONGEST, Math.max(0, Math.ceil(at - timers.now())));
      }
      // A long wait is cut into steps.
      function step(): void {
        if (timers.now() >= at) wake();
        else timer = timers.setTimeout(step, delay());
      }
      return { cancel: () => timers.clearTimeout(timer) };
    },
  };
}

/** The clock of the machine, monotonic; not one that a test runner has put in place of the globals: see `nextTick`. */
export const systemClock: Clock = clockOver({
  now: () => performance.now(),
  setTimeout: (then, ms) => setTimeout(then, ms),
  clearTimeout: (timer) => clearTimeout(timer as NodeJS.Timeout),
});
