import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { clockOver, systemClock } from '../../../lib/client/runtime/clock.ts';

/** The longest delay that a timer of Node takes; a longer one fires at once. */
const LONGEST = 2 ** 31 - 1;

/** Over the globals, which are fakes in these specs. */
const clock = clockOver({
  now: () => performance.now(),
  setTimeout: (then, ms) => setTimeout(then, ms),
  clearTimeout: (timer) => clearTimeout(timer as NodeJS.Timeout),
});

describe('a clock over timers', () => {
  beforeEach(() => {
    jest.useFakeTimers();
  });
  afterEach(() => {
    jest.restoreAllMocks();
    jest.useRealTimers();
  });

  it('tells milliseconds that never go back, whatever the time of day does', () => {
    const before = clock.now();
    jest.setSystemTime(0);
    jest.advanceTimersByTime(1500);
    expect(clock.now() - before).toBe(1500);
  });

  it('wakes once, at the time asked for', () => {
    const wake = jest.fn();
    clock.wakeAt(clock.now() + 1000, wake);
    jest.advanceTimersByTime(999);
    expect(wake).not.toHaveBeenCalled();
    jest.advanceTimersByTime(1);
    expect(wake).toHaveBeenCalledTimes(1);
    jest.advanceTimersByTime(10_000);
    expect(wake).toHaveBeenCalledTimes(1);
  });

  it('never wakes within the call, also for a time that is over', () => {
    const wake = jest.fn();
    clock.wakeAt(clock.now() - 5000, wake);
    expect(wake).not.toHaveBeenCalled();
    jest.advanceTimersByTime(1);
    expect(wake).toHaveBeenCalledTimes(1);
  });

  it('never wakes before a time between two milliseconds', () => {
    const at = clock.now() + 10.25;
    const woken: number[] = [];
    clock.wakeAt(at, () => woken.push(clock.now()));
    jest.advanceTimersByTime(20);
    expect(woken).toHaveLength(1);
    expect(woken[0]).toBeGreaterThanOrEqual(at);
  });

  it('waits on when the timer comes too early', () => {
    const wake = jest.fn();
    const start = clock.now();
    const now = jest.spyOn(performance, 'now');
    now.mockReturnValue(start);
    clock.wakeAt(start + 100, wake);
    now.mockReturnValue(start + 99.5);
    jest.advanceTimersByTime(100);
    expect(wake).not.toHaveBeenCalled();
    now.mockReturnValue(start + 100.5);
    jest.advanceTimersByTime(1);
    expect(wake).toHaveBeenCalledTimes(1);
    expect(jest.getTimerCount()).toBe(0);
  });

  it.each([LONGEST, LONGEST + 1, LONGEST * 3 + 17, 2 ** 40])(
    'waits %d ms in as many steps as it takes',
    (ms) => {
      const wake = jest.fn();
      clock.wakeAt(clock.now() + ms, wake);
      const steps = Math.floor((ms - 1) / LONGEST);
      for (let step = 0; step < steps; step++) jest.advanceTimersByTime(LONGEST);
      jest.advanceTimersByTime(ms - steps * LONGEST - 1);
      expect(wake).not.toHaveBeenCalled();
      jest.advanceTimersByTime(1);
      expect(wake).toHaveBeenCalledTimes(1);
      expect(jest.getTimerCount()).toBe(0);
    },
  );

  it.each([1000, LONGEST * 2])('forgets a wake in %d ms that is called off, at any time', (ms) => {
    const wake = jest.fn();
    const early = clock.wakeAt(clock.now() + ms, wake);
    early.cancel();
    expect(jest.getTimerCount()).toBe(0);
    const late = clock.wakeAt(clock.now() + ms, wake);
    jest.advanceTimersByTime(ms - 1);
    expect(jest.getTimerCount()).toBe(1);
    late.cancel();
    late.cancel();
    expect(jest.getTimerCount()).toBe(0);
    jest.advanceTimersByTime(ms * 2);
    expect(wake).not.toHaveBeenCalled();
  });
});

describe('systemClock on this machine', () => {
  it('keeps time', async () => {
    const at = systemClock.now() + 3;
    const woken = await new Promise<number>((resolve) => {
      systemClock.wakeAt(at, () => resolve(systemClock.now()));
    });
    expect(woken).toBeGreaterThanOrEqual(at);
  });

  it('keeps time while a test runner has fakes in place of the globals, and after', async () => {
    const before = systemClock.now();
    const lateness = (): Promise<number> => {
      const at = systemClock.now() + 2;
      return new Promise((resolve) => systemClock.wakeAt(at, () => resolve(systemClock.now() - at)));
    };
    const begunBefore = lateness();
    jest.useFakeTimers();
    let begunDuring: Promise<number>;
    try {
      expect(systemClock.now()).toBeGreaterThanOrEqual(before);
      begunDuring = lateness();
      expect(await begunBefore).toBeGreaterThanOrEqual(0);
    } finally {
      jest.useRealTimers();
    }
    expect(await begunDuring).toBeGreaterThanOrEqual(0);
  });
});
