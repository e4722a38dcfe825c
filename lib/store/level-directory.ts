/** A directory with a database of LevelDB, by the optional package `classic-level`. It belongs to one session. */

import { mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { codeOf, messageOf, StoreError } from '../errors.ts';
import { loadPackage } from '../packages.ts';
import type { LevelDatabase } from './level-database.ts';
import { storeErrorOf } from './level-errors.ts';
import type { LevelPossession } from './level-session.ts';
import { nameOf, ownerOf, prefixOf, type SessionOwner } from './session-keys.ts';

/** The part of `classic-level` that is used here. */
interface ClassicLevelPackage {
  readonly ClassicLevel: new (location: string) => LevelDatabase;
}

/**
 * Opens the database in the directory `path`, which is created if it does not exist. LevelDB locks it.
 * @throws StoreError if it is locked, cannot be opened, or has records of another session
 */
export async function openDirectory(path: string, owner: SessionOwner): Promise<LevelPossession> {
  const ClassicLevel = await loadClassicLevel();
  const place = placeOf(path);
  let database: LevelDatabase | undefined;
  try {
    await makeDirectory(path);
    database = new ClassicLevel(path);
    await database.open();
    await checkOwner(database, place, owner);
  } catch (cause) {
    // Otherwise it stays locked.
    await database?.close().catch(() => {});
    throw storeErrorOf(cause, place, 'be opened');
  }
  const opened = database;
  return { database: opened, health: { failure: undefined }, release: () => opened.close() };
}

/** The store in a directory, as error messages name it. */
export function placeOf(path: string): string {
  return `the store in ${path}`;
}

async function loadClassicLevel(): Promise<ClassicLevelPackage['ClassicLevel']> {
  try {
    return ((await loadPackage('classic-level', 'levelStore() with a path')) as ClassicLevelPackage)
      .ClassicLevel;
  } catch (cause) {
    throw new StoreError(messageOf(cause), { cause });
  }
}

/** If the first and the last key are of this session, all are. */
async function checkOwner(database: LevelDatabase, place: string, owner: SessionOwner): Promise<void> {
  const prefix = prefixOf(owner);
  for (const reverse of [false, true]) {
    const [key = prefix] = await database.keys({ keyEncoding: 'utf8', limit: 1, reverse }).all();
    if (key.startsWith(prefix)) continue;
    const other = ownerOf(key);
    const whose = other === undefined ? 'another program' : nameOf(other);
    throw new StoreError(
      `${place} belongs to ${whose}, and not to ${nameOf(owner)}: give each client a directory of its own, or a database that they share`,
    );
  }
}

/**
 * Creates the directory, which nobody but its owner may enter, and those above it with the usual mode. So payloads are
 * private, whatever mode LevelDB gives to files that it creates later. A directory that exists keeps its mode.
 */
async function makeDirectory(path: string): Promise<void> {
  const parent = dirname(path);
  const created = await mkdir(parent, { recursive: true });
  try {
    await mkdir(path, { mode: 0o700 });
  } catch (error) {
    // A file in its place is for LevelDB to complain of.
    if (codeOf(error) === 'EEXIST') return;
    throw error;
  }
  const top = dirname(created ?? path);
  await syncDirectory(parent);
  for (let at = parent; at !== top && at !== dirname(at);) {
    at = dirname(at);
    await syncDirectory(at);
  }
}

/** Lets the entries of a directory survive a crash of the machine, where the system can do so. */
async function syncDirectory(path: string): Promise<void> {
  try {
    const handle = await open(path, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch {
    // Windows and some file systems refuse. They do it by themselves, or not at all.
  }
}
