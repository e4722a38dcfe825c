import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach } from '@jest/globals';

/** Turns of the event loop, and ms, in which closing resources may disappear, and timers of a package may fire. */
const GRACE = { turns: 50, time: 20 };

/** Resources that keep a process alive. Timers are excluded, as the test runner has some. */
const KINDS = /^(?:TCPSocketWrap|TCPServerWrap|PipeWrap|TLSWrap|UDPWrap|ProcessWrap)$/;

/** The number of resources, per kind. */
type Resources = ReadonlyMap<string, number>;

function resources(timers: TimerWatch): Resources {
  const counts = new Map<string, number>([['timer', timers.armed]]);
  for (const kind of process.getActiveResourcesInfo()) {
    if (KINDS.test(kind)) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  return counts;
}

/** Counts the timers that were set through the globals of this context. */
class TimerWatch {
  readonly #original = { setTimeout, setInterval, clearTimeout, clearInterval };
  readonly #armed = new Set<unknown>();

  get armed(): number {
    return this.#armed.size;
  }

  begin(): void {
    const { setTimeout: later, setInterval: repeatedly, clearTimeout: calledOff } = this.#original;
    const armed = this.#armed;
    const watched = {
      setTimeout: (callback: (...args: unknown[]) => void, delay?: number, ...args: unknown[]) => {
        const timer = later(() => {
          armed.delete(timer);
          callback(...args);
        }, delay);
        armed.add(timer);
        return timer;
      },
      setInterval: (callback: (...args: unknown[]) => void, delay?: number, ...args: unknown[]) => {
        const timer = repeatedly(callback, delay, ...args);
        armed.add(timer);
        return timer;
      },
      clearTimeout: (timer?: NodeJS.Timeout) => {
        armed.delete(timer);
        calledOff(timer);
      },
    };
    Object.assign(globalThis, watched, { clearInterval: watched.clearTimeout });
  }

  end(): void {
    Object.assign(globalThis, this.#original);
  }
}

/** Resources added since `before`: `["TCPSocketWrap: 1"]`. Waits for closing ones. */
async function leaksSince(before: Resources, timers: TimerWatch): Promise<string[]> {
  const begin = performance.now();
  for (let turns = 0; ; turns++) {
    const left = [...resources(timers)].filter(([kind, count]) => count > (before.get(kind) ?? 0));
    const isLate = turns >= GRACE.turns && performance.now() - begin >= GRACE.time;
    if (left.length === 0 || isLate) {
      return left.map(([kind, count]) => `${kind}: ${count - (before.get(kind) ?? 0)}`);
    }
    await turn();
  }
}

/** A clock with pending wakes. */
export interface Armed {
  /** Number of pending wakes. */
  readonly armed: number;
}

/** Starts to watch. The returned function reports, once, the leaks since then. */
export function watchLeaks(clocks: () => Iterable<Armed> = () => []): () => Promise<string[]> {
  const timers = new TimerWatch();
  timers.begin();
  const before = resources(timers);
  return async () => {
    timers.end();
    const leaks = await leaksSince(before, timers);
    for (const { armed } of clocks()) if (armed > 0) leaks.push(`wake on a fake clock: ${armed}`);
    return leaks;
  };
}

/**
 * Fails each test that leaks a socket, server, timer or child process, or a wake on one of `clocks`, the fake clocks of
 * the test. Hooks run in order of registration: call it after the `afterEach` that cleans up.
 */
export function leakGuard(clocks?: () => Iterable<Armed>): void {
  let leaked: () => Promise<string[]>;
  beforeEach(() => {
    leaked = watchLeaks(clocks);
  });
  afterEach(async () => {
    const leaks = await leaked();
    if (leaks.length > 0) throw new Error(`expected no leaks, got ${leaks.join(', ')}`);
  });
}
