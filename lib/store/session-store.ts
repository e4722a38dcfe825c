/** What a client needs of a store. Records are opaque to it: the client writes them, and reads them again. */

/** One record. Keys are ASCII text, and are ordered by their bytes. */
export interface StoreRecord {
  readonly key: string;
  readonly value: Uint8Array;
}

/** One change of a commit. A `put` replaces the record with its key; deleting what is not there is no error. */
export type StoreChange =
  | { readonly type: 'put'; readonly key: string; readonly value: Uint8Array }
  | { readonly type: 'delete'; readonly key: string };

/** The records to read: those with `after` < key < `before`, in ascending order of keys. */
export interface StoreRange {
  readonly after: string;
  readonly before: string;
  /** Records to return at most. */
  readonly limit: number;
}

/**
 * Keeps the session of one client where it survives the process. `levelStore()` is one; applications can write others.
 *
 * The client calls `open()` first, and nothing after `close()` but `open()` again. It never makes two commits at a time.
 * Reads may happen during a commit; they are for records of earlier commits. A rejection ends the client: what the store
 * has got is then read by the next `open()`. Errors should be `StoreError`s.
 */
export interface SessionStore {
  /**
   * Takes the session of `clientId` into possession, for this object alone. Rejects with a `StoreError` whose code is
   * `ERR_MQTT_STORE_LOCKED` as long as another process or client has it.
   */
  open(clientId: string): Promise<void>;
  /** Reads one page. Fewer records than `limit` mean that there are no more. */
  read(range: StoreRange): Promise<readonly StoreRecord[]>;
  /**
   * Makes all `changes`, in order, or none of them. Resolves when they survive a crash of the process, and with `sync` one
   * of the machine. A commit without `sync` may be lost in a crash of the machine, but never without those after it.
   * The values are not changed afterwards.
   */
  commit(changes: readonly StoreChange[], options: { readonly sync: boolean }): Promise<void>;
  /** Removes all records of the session. */
  clear(): Promise<void>;
  /** Gives up the session, so that another process can open it. Of no effect if the store is not open. */
  close(): Promise<void>;
}
