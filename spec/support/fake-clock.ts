import { setImmediate as turn } from 'node:timers/promises';
import type { Clock, Wake } from '../../lib/client/runtime/clock.ts';

/** Turns of the event loop in which consequences of an event may happen. */
const TURNS = 3;

/** Number of wakes that counts as an endless loop. */
const MOST_STEPS = 100_000;
/** Number of wakes at one time that counts as an endless loop. */
const MOST_AT_ONCE = 10_000;

interface Armed extends Wake {
  readonly at: number;
  readonly wake: () => void;
}

/** A clock that a spec advances: hours pass in milliseconds. */
export class FakeClock implements Clock {
  #now: number;
  readonly #armed = new Set<Armed>();

  /** Does not start at 0, to find code that treats 0 as "no time". */
  constructor(start = 10_000) {
    this.#now = start;
  }

  now(): number {
    return this.#now;
  }

  /** Number of pending wakes. */
  get armed(): number {
    return this.#armed.size;
  }

  wakeAt(at: number, wake: () => void): Wake {
    const entry: Armed = { at, wake, cancel: () => void this.#armed.delete(entry) };
    this.#armed.add(entry);
    return entry;
  }

  /** Advances by `ms` and stops at each wake. Consequences of a wake settle before time continues. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await settled();
    let atOnce = 0;
    for (let next = this.#next(); next !== undefined && next.at <= end; next = this.#next()) {
      atOnce = next.at > this.#now ? 0 : atOnce + 1;
      if (atOnce === MOST_AT_ONCE)
        throw new Error(`expected time to pass, got ${atOnce} wakes at one moment`);
      await this.#fire(next);
    }
    this.#now = end;
    await settled();
  }

  /** Advances to the next wake, and calls it. */
  async advanceToNext(): Promise<void> {
    await settled();
    const next = this.#next();
    if (next === undefined) throw new Error('expected a pending wake, got none');
    await this.#fire(next);
  }

  /** Advances from wake to wake until a condition is true. Throws when no wake is pending. */
  async run(until: () => boolean): Promise<void> {
    await settled();
    for (let step = 0; !until(); step++) {
      const next = this.#next();
      if (next === undefined)
        throw new Error(`expected ${String(until)}, but no wake is pending that could change it`);
      if (step === MOST_STEPS) throw new Error(`expected ${String(until)} within ${MOST_STEPS} wakes`);
      await this.#fire(next);
    }
  }

  /** The earliest wake; of several at one time the one that was registered first. */
  #next(): Armed | undefined {
    let first: Armed | undefined;
    for (const entry of this.#armed) if (first === undefined || entry.at < first.at) first = entry;
    return first;
  }

  async #fire(entry: Armed): Promise<void> {
    this.#armed.delete(entry);
    this.#now = Math.max(this.#now, entry.at);
    entry.wake();
    await settled();
  }
}

/** Waits for promises, ticks, and what they schedule for the next turns. */
export async function settled(): Promise<void> {
  for (let i = 0; i < TURNS; i++) await turn();
}
