/** A database that the application has made. Sessions of several clients can be in it, and other things. */

import { StoreError } from '../errors.ts';
import type { LevelDatabase } from './level-database.ts';
import { lockedError, storeErrorOf } from './level-errors.ts';
import type { LevelHealth, LevelPossession } from './level-session.ts';
import { nameOf, prefixOf, type SessionOwner } from './session-keys.ts';

/** The database of the application, as error messages name it. */
export const INSTANCE = 'the database that levelStore() was given';

/** Who uses a database. */
interface Users {
  /** The prefixes of the sessions that are open. */
  readonly prefixes: Set<string>;
  /** Whether the application had not opened it, so that it is closed after the last session. */
  readonly wasClosed: boolean;
}

const HEALTH = new WeakMap<LevelDatabase, LevelHealth>();
const USERS = new WeakMap<LevelDatabase, Users>();

/**
 * Takes a session of `database` into possession, and opens the database if it is closed.
 * @throws StoreError if another store has the session, or the database cannot be opened, or has failed to write
 */
export async function openInstance(database: LevelDatabase, owner: SessionOwner): Promise<LevelPossession> {
  const prefix = prefixOf(owner);
  const health = healthOf(database);
  if (health.failure !== undefined)
    throw new StoreError(`${INSTANCE} has failed to write: close it, and open it again`, {
      cause: health.failure,
    });
  const users = usersOf(database);
  if (users.prefixes.has(prefix))
    throw lockedError(
      `${INSTANCE} is already used by another client with ${nameOf(owner)}: end that one, or give this one another scope`,
    );
  users.prefixes.add(prefix);
  try {
    await database.open();
  } catch (cause) {
    leave(database, users, prefix);
    throw storeErrorOf(cause, INSTANCE, 'be opened');
  }
  const release = async (): Promise<void> => {
    const isLast = leave(database, users, prefix);
    if (isLast && users.wasClosed) await database.close();
  };
  return { database, health, release };
}

function healthOf(database: LevelDatabase): LevelHealth {
  let health = HEALTH.get(database);
  if (health === undefined) {
    const created: LevelHealth = { failure: undefined };
    health = created;
    HEALTH.set(database, created);
    database.on?.('closed', () => (created.failure = undefined));
  }
  if (database.status !== 'open') health.failure = undefined;
  return health;
}

function usersOf(database: LevelDatabase): Users {
  const known = USERS.get(database);
  if (known !== undefined) return known;
  // A new database opens itself: it is `opening`.
  const wasClosed = database.status === 'closed' || database.status === 'closing';
  const users = { prefixes: new Set<string>(), wasClosed };
  USERS.set(database, users);
  return users;
}

/** Returns whether there are no other users. */
function leave(database: LevelDatabase, users: Users, prefix: string): boolean {
  users.prefixes.delete(prefix);
  const isLast = users.prefixes.size === 0;
  if (isLast) USERS.delete(database);
  return isLast;
}
