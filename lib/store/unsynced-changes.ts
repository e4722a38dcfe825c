/**
 * LevelDB writes to a new log file every few MiB. A sync covers the new file only, and the end of the old one is safe a
 * moment later. If the machine crashes in between, a commit without `sync` is lost, and a later one with `sync` is there.
 * A store must not do that. So a commit with `sync` repeats the changes since the last one: a batch is in one file.
 */

import type { StoreChange } from './session-store.ts';

/** Changes to repeat at most; the next commit is synced instead. */
const MAXIMUM_CHANGES = 512;
/** Bytes of values to repeat at most. */
const MAXIMUM_BYTES = 65_536;

/** The changes of commits without `sync` since the last one with it. */
export class UnsyncedChanges {
  #changes: StoreChange[] = [];
  #bytes = 0;

  /** Whether a commit of `changes` has to be synced, as there would be too much to repeat. */
  isFullWith(changes: readonly StoreChange[]): boolean {
    return (
      this.#changes.length + changes.length > MAXIMUM_CHANGES ||
      this.#bytes + bytesOf(changes) > MAXIMUM_BYTES
    );
  }

  add(changes: readonly StoreChange[]): void {
    this.#bytes += bytesOf(changes);
    for (const change of changes) this.#changes.push(change);
  }

  /** Returns them, in order, and forgets them. */
  take(): readonly StoreChange[] {
    const changes = this.#changes;
    if (changes.length > 0) this.#changes = [];
    this.#bytes = 0;
    return changes;
  }
}

function bytesOf(changes: readonly StoreChange[]): number {
  let bytes = 0;
  for (const change of changes) if (change.type === 'put') bytes += change.value.byteLength;
  return bytes;
}
