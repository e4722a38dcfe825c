import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach } from '@jest/globals';

/** Event-loop turns that what is being closed is given to be gone. */
const GRACE = 50;

/** What a process is kept busy with, timers aside: those of the test runner come and go. */
const KINDS = /^(?:TCPSocketWrap|TCPServerWrap|PipeWrap|TLSWrap|UDPWrap|ProcessWrap)$/;

/** How many of each kind of resource there are. */
type Resources = ReadonlyMap<string, number>;

function resources(timers: TimerWatch): Resources {
  const counts = new Map<string, number>([['timer', timers.armed]]);
  for (const kind of process.getActiveResourcesInfo()) {
    if (KINDS.test(kind)) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  return counts;
}

/** Counts the timers that are armed through the globals of this context. */
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

/** What there is more of now than there was before: `["TCPSocketWrap: 1"]`. Waits for what is just being closed. */
async function leaksSince(before: Resources, timers: TimerWatch): Promise<string[]> {
  for (let turns = 0; ; turns++) {
    const left = [...resources(timers)].filter(([kind, count]) => count > (before.get(kind) ?? 0));
    if (left.length === 0 || turns === GRACE) {
      return left.map(([kind, count]) => `${kind}: ${count - (before.get(kind) ?? 0)}`);
    }
    await turn();
  }
}

/** Anything that waits on a clock of its own. */
export interface Armed {
  /** Wakes outstanding. */
  readonly armed: number;
}

/** Starts to watch; what it returns says, once, what has been left behind since. */
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
 * Fails each test that leaves a socket, server, timer or child behind, or a wake on one of `clocks`, the fake clocks of
 * the test. Hooks run in the order in which they are registered: call it after the `afterEach` that cleans up.
 */
export function leakGuard(clocks?: () => Iterable<Armed>): void {
  let leaked: () => Promise<string[]>;
  beforeEach(() => {
    leaked = watchLeaks(clocks);
  });
  afterEach(async () => {
    const leaks = await leaked();
    if (leaks.length > 0) throw new Error(`expected nothing to be left behind, got ${leaks.join(', ')}`);
  });
}
