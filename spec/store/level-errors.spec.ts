import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { MemoryLevel } from 'memory-level';
import { StoreError } from '../../lib/errors.ts';
import { storeErrorOf } from '../../lib/store/level-errors.ts';
import { levelStore } from '../../lib/store/store.ts';
import { keysOf, NO_SYNC, put, replacing, SYNC } from './levels.ts';

/** An error as databases make them: what happened is in the cause. */
const failure = (code: string, message: string): Error =>
  Object.assign(
    new Error('Database failed to open', { cause: Object.assign(new Error(message), { code }) }),
    { code: 'LEVEL_DATABASE_NOT_OPEN' },
  );

describe('the error of a database', () => {
  it.each([
    ['LEVEL_LOCKED', 'IO error: lock d/LOCK: already held by process', /in use.*own \(IO error: lock/],
    ['LEVEL_CORRUPTION', 'Corruption: no meta-nextfile', /is damaged: copy it.*repair\(\)/],
    ['LEVEL_IO_ERROR', 'IO error: d/3.log: No space left on device', /no space left: make room/],
    ['LEVEL_IO_ERROR', 'IO error: d/3.log: Disk quota exceeded', /no space left: make room/],
    ['ENOSPC', "ENOSPC: no space left on device, mkdir 'd'", /no space left: make room/],
    ['LEVEL_IO_ERROR', 'IO error: d/LOCK: Permission denied', /cannot be written.*the right/],
    ['EROFS', "EROFS: read-only file system, mkdir 'd'", /cannot be written.*the right/],
    ['LEVEL_IO_ERROR', 'IO error: d/LOCK: Not a directory', /is not a directory.*another path/],
    ['LEVEL_IO_ERROR', 'IO error: d/4.ldb: Too many open files', /more open files.*raise/],
    [
      'LEVEL_IO_ERROR',
      'IO error: d/4.ldb: Input/output error',
      /could not be opened: IO error.*output error$/,
    ],
  ])('is explained: %s, %s', (code, message, expected) => {
    const cause = failure(code, message);
    const error = storeErrorOf(cause, 'the store in d', 'be opened');
    expect(error).toBeInstanceOf(StoreError);
    expect(error.message).toMatch(expected);
    expect(error.cause).toBe(cause);
    expect(error.code).toBe(code === 'LEVEL_LOCKED' ? 'ERR_MQTT_STORE_LOCKED' : 'ERR_MQTT_STORE');
  });

  it('may be anything, also a ring of causes', () => {
    const ring = new Error('ring');
    ring.cause = ring;
    expect(storeErrorOf(ring, 'it', 'be read').message).toBe('it could not be read: ring');
    expect(storeErrorOf('text', 'it', 'be read').message).toBe('it could not be read: text');
    expect(storeErrorOf(undefined, 'it', 'be read').message).toBe('it could not be read: undefined');
  });
});

describe('after a failure', () => {
  const noSpace = failure('LEVEL_IO_ERROR', 'IO error: 3.log: No space left on device');

  it.each(['batch', 'clear'] as const)('of %s, every call but close() rejects with it', async (method) => {
    const database = new MemoryLevel();
    let isFull = true;
    const shared = replacing(database, {
      [method]: async () => {
        if (isFull) throw noSpace;
      },
    });
    const store = levelStore(shared);
    const other = levelStore(shared);
    await store.open('a');
    await other.open('b');
    const write = (): Promise<void> => (method === 'batch' ? store.commit([put('a')], SYNC) : store.clear());
    const error: unknown = await write().catch((caught: unknown) => caught);
    expect(error).toMatchObject({ name: 'StoreError', message: expect.stringContaining('no space left') });
    isFull = false;
    for (const call of [write(), store.commit([], NO_SYNC), keysOf(store), store.clear()])
      await expect(call).rejects.toBe(error);
    // What another client writes behind a torn record could not be read.
    await expect(other.commit([put('b')], SYNC)).rejects.toBe(error);
    await store.close();
    await expect(store.open('a')).rejects.toThrow('has failed to write: close it, and open it again');
    await database.close();
    await database.open();
    await store.open('a');
    expect(await keysOf(store)).toBe('');
    await expect(keysOf(other)).rejects.toBe(error);
    await store.close();
    await other.close();
  });

  it('of a read, the store goes on', async () => {
    let isBroken = true;
    const database = new MemoryLevel();
    const store = levelStore(
      replacing(database, {
        iterator(options) {
          if (isBroken) throw failure('LEVEL_CORRUPTION', 'Corruption: block checksum mismatch');
          return database.iterator(options);
        },
      }),
    );
    await store.open('a');
    await expect(keysOf(store)).rejects.toThrow('is damaged');
    isBroken = false;
    await store.commit([put('a')], SYNC);
    expect(await keysOf(store)).toBe('a');
    await store.close();
  });

  it('of open(), it can be opened again', async () => {
    const database = new MemoryLevel();
    let isBroken = true;
    const open = (): Promise<void> => (isBroken ? Promise.reject(noSpace) : database.open());
    const store = levelStore(replacing(database, { open }));
    await expect(store.open('a')).rejects.toThrow('no space left');
    isBroken = false;
    await store.open('a');
    await store.close();
  });

  it('of closing, close() rejects once, and the session is free', async () => {
    const database = new MemoryLevel();
    await database.close();
    let isBroken = true;
    const close = (): Promise<void> => (isBroken ? Promise.reject(noSpace) : database.close());
    const shared = replacing(database, { close });
    const store = levelStore(shared);
    await store.open('a');
    await expect(store.close()).rejects.toThrow('no space left');
    isBroken = false;
    await store.close();
    const next = levelStore(shared);
    await next.open('a');
    await next.close();
  });

  it('close() waits for a commit that is under way, also one that fails', async () => {
    const database = new MemoryLevel();
    let fail: (error: Error) => void = () => {};
    const batch = (): Promise<void> => new Promise((_, reject) => (fail = reject));
    const store = levelStore(replacing(database, { batch }));
    await store.open('a');
    const log: string[] = [];
    const committed = store.commit([put('a')], SYNC).catch(() => log.push('commit'));
    const closed = store.close().then(() => log.push('close'));
    await turn();
    fail(noSpace);
    await Promise.all([committed, closed]);
    expect(log).toEqual(['commit', 'close']);
  });
});
