import type { Client } from '../../lib/client/client.ts';
import type { ClientOptions } from '../../lib/client/config/client-options.ts';
import type { Clock, Wake } from '../../lib/client/runtime/clock.ts';
import { STORE_SIZES, type StoreSizes } from '../../lib/session/store-sizes.ts';
import type { OpenTransport } from '../../lib/transport/transport.ts';
import type { MakeClient } from './world.ts';

/** Few messages fill them. */
const SIZES: StoreSizes = {
  ...STORE_SIZES,
  segmentMessages: 2,
  pageMessages: 4,
  segmentsPerRead: 2,
  recordsPerRead: 2,
};

/** One process with a client. When it is killed, its timers are gone, and it opens no connection any more. */
export class ClientProcess {
  readonly client: Client;
  readonly #wakes = new Set<Wake>();
  #state: 'running' | 'killed' = 'running';

  constructor(makeClient: MakeClient, options: ClientOptions, clock: Clock, dial: OpenTransport) {
    const never = new Promise<never>(() => {});
    this.client = makeClient('mqtt://server', options, {
      clock: { now: () => clock.now(), wakeAt: (at, wake) => this.#wakeAt(clock, at, wake) },
      wallClock: () => clock.now(),
      random: () => 0.5,
      dial: (...given) => (this.isRunning ? dial(...given) : never),
      storeSizes: SIZES,
    });
  }

  get isRunning(): boolean {
    return this.#state === 'running';
  }

  kill(): void {
    this.#state = 'killed';
    for (const wake of this.#wakes) wake.cancel();
    this.#wakes.clear();
  }

  #wakeAt(clock: Clock, at: number, wake: () => void): Wake {
    if (!this.isRunning) return { cancel() {} };
    const armed = clock.wakeAt(at, () => {
      this.#wakes.delete(entry);
      wake();
    });
    const entry: Wake = {
      cancel: () => {
        this.#wakes.delete(entry);
        armed.cancel();
      },
    };
    this.#wakes.add(entry);
    return entry;
  }
}
