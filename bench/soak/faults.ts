/** What goes wrong between clients and broker, and with the broker. */
import { setTimeout as pause } from 'node:timers/promises';
import type { FaultProxy } from '../../spec/support/fault-proxy.ts';
import type { Mosquitto } from '../../spec/support/mosquitto.ts';

/** ms between two faults, at least and at most. */
const LULL = [300, 5_000] as const;

/** What there is to break, and by what chance. */
export interface Breakable {
  readonly proxies: readonly FaultProxy[];
  readonly broker: Mosquitto;
  readonly random: () => number;
  /** ms of `performance.now()` from which on the broker is restarted, too. */
  readonly restartsFrom: number;
  /** Is called before each restart. */
  readonly onRestart: () => void;
}

/** Breaks one thing after another, until it is told to stop; what lasts for a while is mended before that. */
export class Faults {
  readonly counts: Record<string, number> = {};
  readonly #what: Breakable;
  readonly #stopping: AbortSignal;

  constructor(what: Breakable, stopping: AbortSignal) {
    this.#what = what;
    this.#stopping = stopping;
  }

  async run(): Promise<void> {
    for (;;) {
      await this.#wait(LULL[0] + this.#what.random() * (LULL[1] - LULL[0]));
      if (this.#stopping.aborted) return;
      await this.#fault();
    }
  }

  async #fault(): Promise<void> {
    const { random, proxies, broker, restartsFrom, onRestart } = this.#what;
    const proxy = proxies[Math.floor(random() * proxies.length)] as FaultProxy;
    const chance = random();
    if (chance < 0.22) this.#count('cut', () => proxy.cut());
    else if (chance < 0.44) this.#count('reset', () => proxy.reset());
    else if (chance < 0.54) this.#count('half-open', () => proxy.halfOpen());
    else if (chance < 0.7) {
      this.#count('freeze', () => proxy.freeze());
      // Some of it is longer than a client believes that anybody is there.
      await this.#wait(random() * 9_000);
      proxy.thaw();
    } else if (chance < 0.86) {
      this.#count('slow', () => proxy.slow(30_000 + random() * 300_000));
      await this.#wait(random() * 5_000);
      proxy.slow(Infinity);
    } else if (performance.now() >= restartsFrom) {
      this.#count('broker restart', onRestart);
      await broker.kill('SIGTERM');
      await this.#wait(random() * 2_000);
      await broker.start();
    }
  }

  #count(what: string, does: () => void): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1;
    does();
  }

  async #wait(ms: number): Promise<void> {
    try {
      await pause(ms, undefined, { signal: this.#stopping });
    } catch {
      // What was waited for is over.
    }
  }
}
