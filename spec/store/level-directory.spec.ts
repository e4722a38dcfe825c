import { mkdirSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { afterEach, describe, expect, it } from '@jest/globals';
import { ClassicLevel } from 'classic-level';
import { levelStore, type SessionStore } from '../../lib/store/store.ts';
import { endPrograms, startProgram } from '../network/children.ts';
import { leakGuard } from '../support/leaks.ts';
import { temporaryDirectories } from './directories.ts';
import { keysOf, put, SYNC } from './levels.ts';

/*
 * A store in a directory: who may open it, and what is left after accidents.
 */

const temporaryDirectory = temporaryDirectories();
const opened: SessionStore[] = [];

afterEach(async () => {
  await endPrograms();
  for (const store of opened.splice(0)) await store.close();
});
leakGuard();

async function open(path: string, clientId = 'owner', scope = ''): Promise<SessionStore> {
  const store = levelStore(path, { scope });
  opened.push(store);
  await store.open(clientId);
  return store;
}

/** The message of the `StoreError` with which opening the store rejects. */
async function refusal(path: string, clientId = 'owner', scope = ''): Promise<string> {
  const error: unknown = await open(path, clientId, scope).catch((caught: unknown) => caught);
  expect(error).toMatchObject({ name: 'StoreError', message: expect.stringContaining(path) });
  return (error as Error).message;
}

const logOf = (path: string): string =>
  join(path, readdirSync(path).find((name) => name.endsWith('.log')) as string);

describe('the directory', () => {
  it('is created with those above it, and nobody else may enter it', async () => {
    const home = temporaryDirectory();
    const path = join(home, 'a/b');
    await open(path);
    expect(statSync(path).mode & 0o777).toBe(0o700);
    mkdirSync(join(home, 'usual'));
    expect(statSync(join(home, 'a')).mode).toBe(statSync(join(home, 'usual')).mode);
  });

  it('keeps its mode if it exists', async () => {
    const path = join(temporaryDirectory(), 'store');
    mkdirSync(path, { mode: 0o750 });
    const { mode } = statSync(path);
    await open(path);
    expect(statSync(path).mode).toBe(mode);
  });

  it('may be given by a relative path, which is resolved at once', async () => {
    const path = join(temporaryDirectory(), 'store');
    const store = levelStore(relative(process.cwd(), path));
    await store.open('a');
    await store.close();
    expect(readdirSync(path)).toContain('CURRENT');
  });

  it.each(['file', 'file/below'])('cannot be %s', async (name) => {
    const home = temporaryDirectory();
    writeFileSync(join(home, 'file'), 'text');
    expect(await refusal(join(home, name))).toContain('is not a directory, or lies below');
    expect(readFileSync(join(home, 'file'), 'utf8')).toBe('text');
  });

  // The superuser may write into any directory, but not here.
  it('has to be writable', async () => {
    expect(await refusal('/sys/mqtt-await-spec')).toMatch(/cannot be written: this process needs the right/);
  });
});

describe('the owner of a directory', () => {
  it.each([
    ['the Client Identifier "owner"', 'other', ''],
    ['the Client Identifier "owner"', 'owner', 'other'],
  ])('is %s, and not "%s" in the scope "%s"', async (whose, clientId, scope) => {
    const path = join(temporaryDirectory(), 'store');
    await (await open(path)).commit([put('a')], SYNC);
    await opened[0]!.close();
    expect(await refusal(path, clientId, scope)).toContain(`belongs to ${whose}, and not to`);
    // The lock is given back, and nothing is changed.
    expect(await keysOf(await open(path))).toBe('a');
  });

  it('is whoever opens it first if there are no records', async () => {
    const path = join(temporaryDirectory(), 'store');
    const store = await open(path);
    await store.commit([put('a')], SYNC);
    await store.clear();
    await store.close();
    expect(await keysOf(await open(path, 'other'))).toBe('');
  });

  it.each(['a', 'z'])('may be another program, with the key %s', async (key) => {
    const path = join(temporaryDirectory(), 'store');
    const database = new ClassicLevel(path);
    await database.put(key, 'text');
    await database.close();
    expect(await refusal(path)).toContain('belongs to another program');
    await database.open();
    expect(await database.keys().all()).toEqual([key]);
    await database.close();
  });

  it('is alone, also among processes, until it ends or is killed', async () => {
    const path = join(temporaryDirectory(), 'store');
    const child = startProgram('store-owner', path, 'hold');
    await child.printed('open');
    const error: unknown = await open(path).catch((caught: unknown) => caught);
    expect(error).toMatchObject({
      name: 'StoreError',
      code: 'ERR_MQTT_STORE_LOCKED',
      message: expect.stringMatching(/^the store in .* is in use by another process.*own \(/),
    });
    await child.kill();
    // What it has reported is there.
    expect(await keysOf(await open(path))).toBe('a');
  });

  it('is alone among the stores of a process, and a ClassicLevel', async () => {
    const path = join(temporaryDirectory(), 'store');
    await open(path);
    expect(await refusal(path)).toContain('is in use');
    const store = levelStore(new ClassicLevel(path));
    await expect(store.open('owner')).rejects.toMatchObject({ code: 'ERR_MQTT_STORE_LOCKED' });
  });
});

describe('after an accident', () => {
  it.each([1, 5, 20])(
    'a last commit that lacks %d bytes is gone, and those before it are there',
    async (lost) => {
      const path = join(temporaryDirectory(), 'store');
      const store = await open(path);
      for (const key of ['a', 'b', 'c']) await store.commit([put(key, 1, 2, 3), put(`${key}2`)], SYNC);
      await store.close();
      const log = logOf(path);
      truncateSync(log, statSync(log).size - lost);
      const again = await open(path);
      expect(await keysOf(again)).toBe('a a2 b b2');
      await again.commit([put('d')], SYNC);
      await again.close();
      expect(await keysOf(await open(path))).toBe('a a2 b b2 d');
    },
  );

  it('a damaged database is reported, and can be repaired as the error says', async () => {
    const path = join(temporaryDirectory(), 'store');
    const store = await open(path);
    await store.commit([put('a')], SYNC);
    await store.close();
    writeFileSync(join(path, 'CURRENT'), 'nothing');
    expect(await refusal(path)).toMatch(/is damaged: copy it, then try ClassicLevel\.repair\(\)/);
    await ClassicLevel.repair(path);
    expect(await keysOf(await open(path))).toBe('a');
  });

  // A limit for the size of files: the system refuses to write, as on a full disk.
  it('a file that cannot grow ends the store, and what was reported is there', async () => {
    const path = join(temporaryDirectory(), 'store');
    const { code, lines, complaint } = await startProgram('store-owner', path, 'fill').ended;
    expect({ code, complaint }).toEqual({ code: 0, complaint: '' });
    const [stored, error, others, end] = lines;
    expect(error).toMatch(
      /^ERR_MQTT_STORE the store in .* has no space left: make room, then connect again \(/,
    );
    expect(others).toBe('true true true true');
    expect(end).toBe('closed');
    const count = Number(stored?.split(' ')[1]);
    expect(count).toBeGreaterThan(5);
    const store = await open(path);
    const records = await store.read({ after: '', before: '~', limit: 1_000 });
    expect(records.length).toBeGreaterThanOrEqual(count);
    // Not by toEqual(), which takes a second per MiB.
    const wrong = records.filter(({ value }, i) => !Buffer.alloc(65_536, i).equals(value));
    expect(wrong.map(({ key }) => key)).toEqual([]);
    await store.commit([put('z')], SYNC);
  });
});
