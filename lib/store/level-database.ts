/** What a store needs of a database of the `abstract-level` family, without a dependency on its types. */

/** One change of a batch. */
export interface LevelOperation {
  readonly type: 'put' | 'del';
  readonly key: string;
  readonly value: Uint8Array;
}

/** How keys and values are passed: as text and as bytes. */
export interface LevelEncodings {
  readonly keyEncoding: 'utf8';
  readonly valueEncoding: 'view';
}

/** Options of a batch. `sync` is that of `classic-level`; other databases ignore it. */
export interface LevelBatchOptions extends LevelEncodings {
  readonly sync: boolean;
}

/** A range of keys. */
export interface LevelRange {
  readonly gt?: string;
  readonly gte?: string;
  readonly lt?: string;
  readonly limit?: number;
  readonly reverse?: boolean;
}

/** An iterator; only its shortcut is used. */
export interface LevelIterator<T> {
  all(): Promise<T[]>;
}

/** A database of `abstract-level` 1, 2 or 3, such as a `ClassicLevel` or a `MemoryLevel`. */
export interface LevelDatabase {
  readonly status: string;
  open(): Promise<void>;
  close(): Promise<void>;
  on?(event: 'closed', listener: () => void): unknown;
  batch(operations: LevelOperation[], options: LevelBatchOptions): Promise<void>;
  iterator(options: LevelRange & LevelEncodings): LevelIterator<[string, Uint8Array]>;
  keys(options: LevelRange & Pick<LevelEncodings, 'keyEncoding'>): LevelIterator<string>;
  clear(options: LevelRange & Pick<LevelEncodings, 'keyEncoding'>): Promise<void>;
}

/** Keys are text and values are bytes, whatever the database has been told to use by default. */
export const ENCODINGS: LevelEncodings = { keyEncoding: 'utf8', valueEncoding: 'view' };
