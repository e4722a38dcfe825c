/** The session of a client in an open database. */

import type { StoreError } from '../errors.ts';
import { ENCODINGS, type LevelDatabase, type LevelOperation } from './level-database.ts';
import { storeErrorOf } from './level-errors.ts';
import { endOf } from './session-keys.ts';
import type { StoreChange, StoreRange, StoreRecord } from './session-store.ts';
import { UnsyncedChanges } from './unsynced-changes.ts';

/** What is known of an open database. */
export interface LevelHealth {
  /**
   * Of a write, by any session. LevelDB may have left a torn record in its log: until it is closed, it is not written to
   * any more, as what comes behind that record could not be read.
   */
  failure: StoreError | undefined;
}

/** A database that a session possesses. */
export interface LevelPossession {
  readonly database: LevelDatabase;
  readonly health: LevelHealth;
  /** Gives it up. */
  release(): Promise<void>;
}

/** How a session keeps its records. */
export interface LevelSessionOptions {
  /** Names the database in error messages. */
  readonly place: string;
  /** Begins the keys of all records. */
  readonly prefix: string;
  /** Whether a commit may be told to survive a crash of the machine. */
  readonly sync: boolean;
}

const NOTHING = new Uint8Array(0);

/** Reads and writes the records of one session, from `open()` to `close()`. */
export class LevelSession {
  readonly #database: LevelDatabase;
  readonly #possession: LevelPossession;
  readonly #options: LevelSessionOptions;
  readonly #unsynced = new UnsyncedChanges();
  /** Calls that have not settled. */
  readonly #running = new Set<Promise<unknown>>();
  /** The first one that the session has met, also if the database was closed and opened again since. */
  #failure: StoreError | undefined;

  constructor(possession: LevelPossession, options: LevelSessionOptions) {
    this.#database = possession.database;
    this.#possession = possession;
    this.#options = options;
  }

  read({ after, before, limit }: StoreRange): Promise<readonly StoreRecord[]> {
    const { prefix } = this.#options;
    return this.#run('be read', async () => {
      const range = { ...ENCODINGS, gt: prefix + after, lt: prefix + before, limit };
      const entries = await this.#database.iterator(range).all();
      return entries.map(([key, value]) => ({ key: key.substring(prefix.length), value }));
    });
  }

  commit(changes: readonly StoreChange[], wantsSync: boolean): Promise<void> {
    return this.#write(async () => {
      const sync = this.#options.sync && (wantsSync || this.#unsynced.isFullWith(changes));
      const all = sync ? [...this.#unsynced.take(), ...changes] : changes;
      if (this.#options.sync && !sync) this.#unsynced.add(changes);
      await this.#database.batch(
        all.map((change) => this.#operationOf(change)),
        { ...ENCODINGS, sync },
      );
    });
  }

  clear(): Promise<void> {
    const { prefix } = this.#options;
    return this.#write(async () => {
      this.#unsynced.take();
      await this.#database.clear({ keyEncoding: ENCODINGS.keyEncoding, gte: prefix, lt: endOf(prefix) });
      // There is no record with this key: it is about the sync.
      if (this.#options.sync)
        await this.#database.batch([{ type: 'del', key: prefix, value: NOTHING }], {
          ...ENCODINGS,
          sync: true,
        });
    });
  }

  /** Waits for calls that are under way. Never call anything afterwards. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#running);
    try {
      await this.#possession.release();
    } catch (cause) {
      throw storeErrorOf(cause, this.#options.place, 'be closed');
    }
  }

  #operationOf(change: StoreChange): LevelOperation {
    const key = this.#options.prefix + change.key;
    return change.type === 'put'
      ? { type: 'put', key, value: change.value }
      : { type: 'del', key, value: NOTHING };
  }

  async #write(work: () => Promise<void>): Promise<void> {
    try {
      await this.#run('be written', work);
    } catch (error) {
      this.#failure ??= error as StoreError;
      this.#possession.health.failure ??= this.#failure;
      throw error;
    }
  }

  async #run<T>(action: string, work: () => Promise<T>): Promise<T> {
    this.#failure ??= this.#possession.health.failure;
    if (this.#failure !== undefined) throw this.#failure;
    const running = work();
    this.#running.add(running);
    try {
      return await running;
    } catch (cause) {
      throw storeErrorOf(cause, this.#options.place, action);
    } finally {
      this.#running.delete(running);
    }
  }
}
