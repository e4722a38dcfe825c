/** The stores that a check works with. */

import { randomUUID } from 'node:crypto';
import type { SessionStore } from './session-store.ts';

/** The store to check. */
export interface StoreUnderTest {
  /**
   * Makes a store that is not open. Stores with the same `place` share their data, as those of two processes do. A place
   * is new for each check, and empty. It is text that can be a file name, or part of a key.
   */
  make(place: string): SessionStore | Promise<SessionStore>;
  /** Removes what is left of a place when its stores are closed. Default: nothing happens. */
  remove?(place: string): unknown;
}

/** What a check works with: stores in a place of its own, which are closed at its end. */
export class CheckStage {
  readonly #place = `mqtt-await-${randomUUID()}`;
  readonly #under: StoreUnderTest;
  readonly #stores: SessionStore[] = [];

  constructor(under: StoreUnderTest) {
    this.#under = under;
  }

  async make(): Promise<SessionStore> {
    const store = await this.#under.make(this.#place);
    this.#stores.push(store);
    return store;
  }

  async open(clientId = 'a'): Promise<SessionStore> {
    const store = await this.make();
    await store.open(clientId);
    return store;
  }

  async end(): Promise<void> {
    try {
      for (const store of this.#stores) await store.close();
    } finally {
      await this.#under.remove?.(this.#place);
    }
  }
}
