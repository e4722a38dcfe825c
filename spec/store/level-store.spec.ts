import { join } from 'node:path';
import { afterEach, describe, expect, it } from '@jest/globals';
import { ClassicLevel } from 'classic-level';
import { MemoryLevel } from 'memory-level';
import type { LevelDatabase, LevelOperation } from '../../lib/store/level-database.ts';
import { storePromises, type StoreUnderTest } from '../../lib/store/conformance.ts';
import { levelStore, type SessionStore } from '../../lib/store/store.ts';
import { leakGuard } from '../support/leaks.ts';
import { temporaryDirectories } from './directories.ts';
import { keysOf, NO_SYNC, put, remove, replacing, SYNC } from './levels.ts';

/*
 * levelStore() keeps the promises of a store with each kind of database, and leaves the database of an application alone.
 */

const temporaryDirectory = temporaryDirectories();
leakGuard();

/** One database for each place. */
function shared(create: (place: string) => LevelDatabase): StoreUnderTest {
  const databases = new Map<string, LevelDatabase>();
  return {
    make(place) {
      const database = databases.get(place) ?? create(place);
      databases.set(place, database);
      return levelStore(database);
    },
    async remove(place) {
      await databases.get(place)?.close();
      databases.delete(place);
    },
  };
}

/** Directories of one test. */
function directories(): (place: string) => string {
  const homes = new Map<string, string>();
  return (place) => {
    const home = homes.get(place) ?? temporaryDirectory();
    homes.set(place, home);
    return join(home, 'store');
  };
}

const pathOf = directories();
const DATABASES: Readonly<Record<string, StoreUnderTest>> = {
  'a path': { make: (place) => levelStore(pathOf(place)) },
  'a path, without sync': { make: (place) => levelStore(pathOf(place), { sync: false, scope: 'é/!' }) },
  'a ClassicLevel': shared((place) => new ClassicLevel(pathOf(place))),
  'a MemoryLevel': shared(() => new MemoryLevel()),
  'a MemoryLevel of JSON': shared(
    () => new MemoryLevel<string, unknown>({ storeEncoding: 'view', valueEncoding: 'json' }),
  ),
  'a sublevel': shared(() => new MemoryLevel().sublevel('outbox', { valueEncoding: 'json' })),
};

describe.each(Object.entries(DATABASES))('levelStore() with %s', (_, under) => {
  const promises = storePromises(under);
  it.each(promises.map(({ name, check }) => [name, check] as const))('%s', async (_name, check) => {
    await expect(check()).resolves.toBeUndefined();
  });
});

describe('levelStore()', () => {
  it.each([
    ['an empty path', () => levelStore(''), 'the path of a directory'],
    ['a path with NUL', () => levelStore('a\0b'), 'the path of a directory'],
    ['no database', () => levelStore({} as LevelDatabase), 'a database of abstract-level'],
    ['null', () => levelStore(null as unknown as string), 'a database of abstract-level'],
    ['a scope that is no text', () => levelStore('a', { scope: 1 as unknown as string }), 'scope: expected'],
    ['a scope that has no UTF-8', () => levelStore('a', { scope: '\ud800' }), 'scope: expected'],
    ['sync that is no boolean', () => levelStore('a', { sync: 1 as unknown as boolean }), 'sync: expected'],
  ])('refuses %s', (_, make, message) => {
    expect(make).toThrow(TypeError);
    expect(make).toThrow(message);
  });

  it('rejects a Client Identifier that has no UTF-8', async () => {
    await expect(levelStore(new MemoryLevel()).open('\udc00')).rejects.toThrow('without lone surrogates');
  });

  it('takes options that are undefined', async () => {
    const store = levelStore(new MemoryLevel(), { scope: undefined, sync: undefined });
    await expect(store.open('a')).resolves.toBeUndefined();
    await store.close();
  });

  it('names a database that cannot hold bytes', async () => {
    const store = levelStore(new MemoryLevel({ storeEncoding: 'utf8' }));
    await store.open('a');
    await expect(store.commit([put('k')], SYNC)).rejects.toMatchObject({
      name: 'StoreError',
      message: expect.stringContaining("'view' cannot be transcoded"),
    });
    await store.close();
  });
});

describe('the database of an application', () => {
  const opened: SessionStore[] = [];
  const open = async (database: LevelDatabase, clientId: string, scope = ''): Promise<SessionStore> => {
    const store = levelStore(database, { scope });
    await store.open(clientId);
    opened.push(store);
    return store;
  };

  afterEach(async () => {
    for (const store of opened.splice(0)) await store.close();
  });

  it('can be shared by clients with other Client Identifiers or scopes', async () => {
    const database = new MemoryLevel();
    const stores = [
      await open(database, 'a'),
      await open(database, 'b'),
      await open(database, 'a', 'b'),
      await open(database, 'b', 'a'),
      await open(database, '', 'a/b'),
      await open(database, 'a/b', ''),
    ];
    for (const [i, store] of stores.entries()) await store.commit([put(`k${i}`)], SYNC);
    for (const [i, store] of stores.entries()) expect(await keysOf(store)).toBe(`k${i}`);
    await stores[0]!.clear();
    expect(await Promise.all(stores.map(keysOf))).toEqual(['', 'k1', 'k2', 'k3', 'k4', 'k5']);
  });

  it('names the session that is used twice', async () => {
    const database = new MemoryLevel();
    await open(database, 'meter', 'plant');
    await expect(open(database, 'meter', 'plant')).rejects.toMatchObject({
      name: 'StoreError',
      code: 'ERR_MQTT_STORE_LOCKED',
      message: expect.stringContaining('the Client Identifier "meter" in the scope "plant"'),
    });
  });

  it('can hold other things, which stay', async () => {
    const database = new MemoryLevel<string, unknown>({ valueEncoding: 'json' });
    await database.batch(
      ['a', 'mqtt-await', 'mqtt-await0', 'z'].map((key) => ({ type: 'put' as const, key, value: { key } })),
    );
    const store = await open(database, 'a');
    await store.commit([put('k', 1, 2)], SYNC);
    expect(await keysOf(store)).toBe('k');
    await store.clear();
    expect(await database.keys().all()).toEqual(['a', 'mqtt-await', 'mqtt-await0', 'z']);
    expect(await database.get('a')).toEqual({ key: 'a' });
  });

  it('stays open if it was', async () => {
    const database = new MemoryLevel();
    await database.open();
    await (await open(database, 'a')).close();
    expect(database.status).toBe('open');
  });

  it('is closed after the last client if it was closed', async () => {
    const database = new MemoryLevel();
    await database.open();
    await database.close();
    const [a, b] = [await open(database, 'a'), await open(database, 'b')];
    await a.close();
    expect(database.status).toBe('open');
    await b.commit([put('k')], SYNC);
    await b.close();
    expect(database.status).toBe('closed');
    await open(database, 'a');
    expect(database.status).toBe('open');
  });

  it('rejects calls when the application closes it, until it is opened again', async () => {
    const database = new MemoryLevel();
    const store = await open(database, 'a');
    await database.close();
    const error = { name: 'StoreError', message: expect.stringContaining('as the database is closed') };
    await expect(keysOf(store)).rejects.toMatchObject(error);
    await expect(store.commit([put('k')], SYNC)).rejects.toMatchObject(error);
    await store.close();
    await store.open('a');
    expect(await keysOf(store)).toBe('');
  });
});

describe('a commit', () => {
  /** Opens a store. Returns it and the batches that it makes: keys, and `sync` behind those that are synced. */
  async function recorded(options = {}): Promise<readonly [SessionStore, string[]]> {
    const database = new MemoryLevel();
    const batches: string[] = [];
    const batch = (operations: LevelOperation[], given: { sync: boolean }): Promise<void> => {
      const keys = operations.map(({ type, key }) => `${type} ${key.replace(/.*\//, '')}`);
      batches.push([...keys, ...(given.sync ? ['sync'] : [])].join(', '));
      return database.batch(operations, { keyEncoding: 'utf8', valueEncoding: 'view' } as object);
    };
    const store = levelStore(replacing(database, { batch }), options);
    await store.open('a');
    return [store, batches];
  }

  it('is one batch; one with sync repeats those without before it, in order', async () => {
    const [store, batches] = await recorded();
    await store.commit([put('a'), remove('b')], SYNC);
    await store.commit([put('c')], NO_SYNC);
    await store.commit([remove('c')], NO_SYNC);
    await store.commit([put('d')], SYNC);
    await store.commit([put('e')], SYNC);
    expect(batches).toEqual([
      'put a, del b, sync',
      'put c',
      'del c',
      'put c, del c, put d, sync',
      'put e, sync',
    ]);
    await store.close();
  });

  it('without sync is synced when there is too much to repeat', async () => {
    const [store, batches] = await recorded();
    const value = new Uint8Array(60_000);
    await store.commit([{ type: 'put', key: 'a', value }], NO_SYNC);
    await store.commit([{ type: 'put', key: 'b', value }], NO_SYNC);
    await store.commit([put('c')], NO_SYNC);
    expect(batches).toEqual(['put a', 'put a, put b, sync', 'put c']);
    const many = Array.from({ length: 512 }, () => remove('d'));
    await store.commit(many, NO_SYNC);
    expect(batches.at(-1)).toMatch(/^put c, del d.*sync$/);
    await store.close();
  });

  it('is never synced with sync: false', async () => {
    const [store, batches] = await recorded({ sync: false });
    await store.commit([put('a')], NO_SYNC);
    await store.commit([put('b')], SYNC);
    await store.clear();
    expect(batches).toEqual(['put a', 'put b']);
    await store.close();
  });
});
