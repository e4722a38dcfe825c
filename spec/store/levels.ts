import type { LevelDatabase } from '../../lib/store/level-database.ts';
import type { SessionStore, StoreChange } from '../../lib/store/session-store.ts';

export const SYNC = { sync: true };
export const NO_SYNC = { sync: false };

export const put = (key: string, ...bytes: number[]): StoreChange => ({
  type: 'put',
  key,
  value: Uint8Array.from(bytes),
});
export const remove = (key: string): StoreChange => ({ type: 'delete', key });

/** The keys of all records, with a space between them. */
export async function keysOf(store: SessionStore): Promise<string> {
  const records = await store.read({ after: '', before: '~', limit: 10_000 });
  return records.map(({ key }) => key).join(' ');
}

/** A database with some methods replaced. */
export function replacing(database: LevelDatabase, methods: Partial<LevelDatabase>): LevelDatabase {
  return {
    get status() {
      return database.status;
    },
    open: () => database.open(),
    close: () => database.close(),
    on: (event, listener) => database.on?.(event, listener),
    batch: (operations, options) => database.batch(operations, options),
    iterator: (options) => database.iterator(options),
    keys: (options) => database.keys(options),
    clear: (options) => database.clear(options),
    ...methods,
  };
}
