/** The entry `mqtt-await/store`: what is published survives the process. */

export { StoreError } from '../errors.ts';
export { levelStore } from './level-store.ts';
export type { StoreErrorOptions } from '../errors.ts';
export type { LevelDatabase } from './level-database.ts';
export type { LevelStoreOptions } from './level-store.ts';
export type { SessionStore, StoreChange, StoreRange, StoreRecord } from './session-store.ts';
