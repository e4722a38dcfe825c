import { StoreError } from '../../lib/errors.ts';
import type { SessionStore, StoreChange, StoreRange, StoreRecord } from '../../lib/store/session-store.ts';

/** A commit as the store has got it. */
export interface MadeCommit {
  readonly changes: readonly StoreChange[];
  readonly sync: boolean;
}

/** What a commit number is compared with: commits of all owners, in order. */
interface CommitCounts {
  /** Handed over. */
  begun: number;
  /** Made: a crash of the process does not lose them. */
  made: number;
  /** The last one with a sync, and those before it: a crash of the machine does not lose them. */
  synced: number;
}

/**
 * A store in memory that outlives its clients. It can hold commits back, fail, and lose its owner like a process that is
 * killed: `crash()` takes away the store of the present owner, and what was not committed is lost.
 */
export class MemoryStore implements SessionStore {
  readonly records: Map<string, Uint8Array>;
  /** Made commits, oldest first. */
  readonly commits: MadeCommit[] = [];
  readonly counts: CommitCounts;
  /** What the next calls reject with. */
  failure: Error | undefined = undefined;
  /** `held`: commits wait for `release()`. */
  mode: 'at once' | 'held' = 'at once';
  #held: (() => void)[] = [];
  #owner: 'nobody' | 'client' | 'gone' = 'nobody';
  /** What a crash of the machine leaves. */
  #synced: Map<string, Uint8Array>;

  constructor(records: Map<string, Uint8Array> = new Map(), commits = 0) {
    this.records = records;
    this.counts = { begun: commits, made: commits, synced: commits };
    this.#synced = new Map(records);
  }

  /** Keys, in order. */
  get keys(): string[] {
    return [...this.records.keys()].toSorted();
  }

  get isOpen(): boolean {
    return this.#owner === 'client';
  }

  /** Commits that wait. */
  get held(): number {
    return this.#held.length;
  }

  async open(clientId: string): Promise<void> {
    await Promise.resolve();
    if (this.failure !== undefined) throw this.failure;
    if (this.#owner !== 'nobody')
      throw new StoreError(`${clientId}: another client has the store`, { code: 'ERR_MQTT_STORE_LOCKED' });
    this.#owner = 'client';
  }

  async read({ after, before, limit }: StoreRange): Promise<readonly StoreRecord[]> {
    await Promise.resolve();
    if (this.failure !== undefined) throw this.failure;
    const keys = this.keys.filter((key) => key > after && key < before).slice(0, limit);
    return keys.map((key) => ({ key, value: this.records.get(key) as Uint8Array }));
  }

  async commit(changes: readonly StoreChange[], { sync }: { readonly sync: boolean }): Promise<void> {
    const number = ++this.counts.begun;
    await Promise.resolve();
    if (this.mode === 'held') await new Promise<void>((resolve) => this.#held.push(resolve));
    if (this.#owner === 'gone') await new Promise<never>(() => {});
    if (this.failure !== undefined) throw this.failure;
    for (const change of changes)
      if (change.type === 'put') this.records.set(change.key, change.value.slice());
      else this.records.delete(change.key);
    this.commits.push({ changes, sync });
    this.counts.made = number;
    if (!sync) return;
    this.counts.synced = number;
    this.#synced = new Map(this.records);
  }

  async clear(): Promise<void> {
    await Promise.resolve();
    if (this.failure !== undefined) throw this.failure;
    this.records.clear();
    this.#synced.clear();
  }

  async close(): Promise<void> {
    await Promise.resolve();
    if (this.#owner === 'client') this.#owner = 'nobody';
  }

  /** Makes the commits that wait. */
  release(): void {
    const held = this.#held;
    this.#held = [];
    for (const go of held) go();
  }

  /** The process of the owner is killed, or the machine fails. Returns the store as the next process finds it. */
  crash(of: 'process' | 'machine' = 'process'): MemoryStore {
    this.#owner = 'gone';
    const { made, synced } = this.counts;
    return of === 'process'
      ? new MemoryStore(new Map(this.records), made)
      : new MemoryStore(new Map(this.#synced), synced);
  }
}
