import { setImmediate as turn } from 'node:timers/promises';
import type { Clock, Wake } from '../../lib/client/runtime/clock.ts';

/** What an event leads to may itself take a turn of the event loop or two. */
const TURNS = 3;

/** So many wakes without an end in sight are a circle. */
const MOST_STEPS = 100_000;
/** And so many at one moment. */
const MOST_AT_ONCE = 100_000;

interface Armed extends Wake {
  readonly at: number;
  readonly wake: () => void;
}

/** Time that passes only when a spec says so: hours of it in milliseconds. */
export class FakeClock implements Clock {
  #now: number;
  readonly #armed = new Set<Armed>();

  /** Begins somewhere, but not at 0: who takes 0 for "no time" is found out. */
  constructor(start = 10_000) {
    this.#now = start;
  }

  now(): number {
    return this.#now;
  }

  /** Wakes outstanding. */
  get armed(): number {
    return this.#armed.size;
  }

  wakeAt(at: number, wake: () => void): Wake {
    const entry: Armed = { at, wake, cancel: () => void this.#armed.delete(entry) };
    this.#armed.add(entry);
    return entry;
  }

  /** Lets `ms` pass, stopping at each time that somebody waits for; what happens there has settled before it goes on. */
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

  /** Goes on to the next time that somebody waits for, and has one wake happen. */
  async advanceToNext(): Promise<void> {
    await settled();
    const next = this.#next();
    if (next === undefined) throw new Error('expected a wake outstanding, got none');
    await this.#fire(next);
  }

  /** Goes on from wake to wake until something is true. Throws where nobody waits for anything any more. */
  async run(until: () => boolean): Promise<void> {
    await settled();
    for (let step = 0; !until(); step++) {
      const next = this.#next();
      if (next === undefined)
        throw new Error(`expected ${String(until)}, but nothing is going to happen any more`);
      if (step === MOST_STEPS) throw new Error(`expected ${String(until)} within ${MOST_STEPS} wakes`);
      await this.#fire(next);
    }
  }

  /** The earliest; of several at one time the one that was asked for first. */
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

/** Lets promises, ticks and what they have put off to the next turns run to their end. */
export async function settled(): Promise<void> {
  for (let i = 0; i < TURNS; i++) await turn();
}
