/** A store on LevelDB, or on any other database of the `abstract-level` family. */

import { resolve } from 'node:path';
import { StoreError } from '../errors.ts';
import type { LevelDatabase } from './level-database.ts';
import { openDirectory, placeOf } from './level-directory.ts';
import { lockedError } from './level-errors.ts';
import { INSTANCE, openInstance } from './level-instance.ts';
import { LevelSession, type LevelPossession } from './level-session.ts';
import { prefixOf, type SessionOwner } from './session-keys.ts';
import type { SessionStore, StoreChange, StoreRange, StoreRecord } from './session-store.ts';

/** Options of `levelStore()`. */
export interface LevelStoreOptions {
  /**
   * Tells sessions with the same Client Identifier apart, such as those of one device at two servers. Any text; default:
   * empty.
   */
  readonly scope?: string | undefined;
  /**
   * Whether what is reported as stored survives a crash of the machine or a power cut (default true). With `false` nothing
   * is synced to the disk. Everything survives the end of the process, `kill -9` included. A crash of the machine then
   * takes the last seconds, and perhaps not all of them: of two commits, the later one may be there alone.
   */
  readonly sync?: boolean | undefined;
}

/**
 * Makes a store for one client out of a directory or a database.
 *
 * A path is a directory of this client alone. It needs the package `classic-level`. What does not exist is created when
 * the client connects: the directory with mode 0700, since its files contain payloads. The files get 0644 less the umask,
 * which does not matter inside of it. A directory that exists keeps its mode.
 *
 * A database is an instance of `abstract-level`: a `ClassicLevel`, a `MemoryLevel` for tests, a sublevel. Clients of one
 * program can share it with different Client Identifiers or scopes. It is opened if it is closed, and then closed after
 * the last client. Records are below the key `mqtt-await/`. Only `classic-level` knows `sync`: what another database
 * promises is up to it.
 *
 * After a commit has failed, every call rejects with its error until the store is closed and opened again. A database of
 * the application has to be closed and opened as well, and its other clients end, too.
 * @throws TypeError for wrong arguments. Everything else is a `StoreError` of the methods
 */
export function levelStore(
  pathOrDatabase: string | LevelDatabase,
  options: LevelStoreOptions = {},
): SessionStore {
  const { scope = '', sync = true } = options;
  if (typeof scope !== 'string' || !scope.isWellFormed())
    throw new TypeError('scope: expected text, without lone surrogates');
  if (typeof sync !== 'boolean') throw new TypeError('sync: expected true or false');
  if (typeof pathOrDatabase !== 'string') {
    if (!isDatabase(pathOrDatabase))
      throw new TypeError('levelStore: expected a path, or a database of abstract-level');
    const take = (owner: SessionOwner) => openInstance(pathOrDatabase, owner);
    return new LevelStore({ place: INSTANCE, scope, sync, take });
  }
  if (pathOrDatabase === '' || pathOrDatabase.includes('\0'))
    throw new TypeError('levelStore: expected the path of a directory');
  // The process may change its directory before the client connects.
  const path = resolve(pathOrDatabase);
  return new LevelStore({ place: placeOf(path), scope, sync, take: (owner) => openDirectory(path, owner) });
}

function isDatabase(value: unknown): value is LevelDatabase {
  return (
    typeof value === 'object' &&
    value !== null &&
    ['open', 'close', 'batch', 'iterator', 'keys', 'clear'].every(
      (name) => typeof Reflect.get(value, name) === 'function',
    )
  );
}

/** What a `LevelStore` is made of. */
interface LevelStoreParts {
  readonly place: string;
  readonly scope: string;
  readonly sync: boolean;
  /** Takes the database into possession. */
  take(owner: SessionOwner): Promise<LevelPossession>;
}

class LevelStore implements SessionStore {
  readonly #parts: LevelStoreParts;
  /** From `open()` to `close()`. */
  #session: Promise<LevelSession> | undefined;
  /** The last `close()`. Never rejects. */
  #closed: Promise<void> = Promise.resolve();

  constructor(parts: LevelStoreParts) {
    this.#parts = parts;
  }

  async open(clientId: string): Promise<void> {
    const { place } = this.#parts;
    if (this.#session !== undefined)
      throw lockedError(`${place} is already open in another client of this process: make a store for each`);
    if (!clientId.isWellFormed())
      throw new StoreError(`${place}: expected a Client Identifier without lone surrogates`);
    const session = this.#take(clientId);
    this.#session = session;
    try {
      await session;
    } catch (error) {
      if (this.#session === session) this.#session = undefined;
      throw error;
    }
  }

  async read(range: StoreRange): Promise<readonly StoreRecord[]> {
    return (await this.#opened()).read(range);
  }

  async commit(changes: readonly StoreChange[], { sync }: { readonly sync: boolean }): Promise<void> {
    return (await this.#opened()).commit(changes, sync);
  }

  async clear(): Promise<void> {
    return (await this.#opened()).clear();
  }

  close(): Promise<void> {
    const session = this.#session;
    if (session === undefined) return this.#closed;
    this.#session = undefined;
    const closed = session.then(
      (opened) => opened.close(),
      () => {},
    );
    this.#closed = closed.catch(() => {});
    return closed;
  }

  async #take(clientId: string): Promise<LevelSession> {
    const { place, scope, sync } = this.#parts;
    const owner = { scope, clientId };
    await this.#closed;
    return new LevelSession(await this.#parts.take(owner), { place, prefix: prefixOf(owner), sync });
  }

  #opened(): Promise<LevelSession> {
    if (this.#session !== undefined) return this.#session;
    return Promise.reject(new StoreError(`${this.#parts.place} is not open`));
  }
}
