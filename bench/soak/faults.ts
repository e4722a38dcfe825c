/** Injects faults into the network between clients and broker, and into the broker. */
import { setTimeout as pause } from 'node:timers/promises';
import type { FaultProxy } from '../../spec/support/fault-proxy.ts';
import type { Mosquitto } from '../../spec/support/mosquitto.ts';

/** Minimum and maximum ms between two faults. */
const LULL = [300, 5_000] as const;

/** The targets of the faults, and the source of random numbers. */
export interface Breakable {
  readonly proxies: readonly FaultProxy[];
  readonly broker: Mosquitto;
  readonly random: () => number;
  /** The broker is restarted only after this time of `performance.now()`. */
  readonly restartsFrom: number;
  /** Called before each restart. */
  readonly onRestart: () => void;
}

/** Injects one fault after another until `stopping` is aborted. Each lasting fault is repaired before the next. */
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
      // Some freezes last longer than Keep Alive allows.
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
      // Aborted: the run ends.
    }
  }
}
