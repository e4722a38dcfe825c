import { StoreError } from '../../lib/errors.ts';
import type { SessionStore, StoreChange, StoreRange, StoreRecord } from '../../lib/store/session-store.ts';

/** What stores of one place share. */
interface Place {
  readonly sessions: Map<string, Map<string, Uint8Array>>;
  readonly locks: Set<string>;
}

const PLACES = new Map<string, Place>();

/** A store in memory that keeps every promise, and whose parts can be replaced by wrong ones. */
export class ReferenceStore implements SessionStore {
  readonly place: Place;
  clientId: string | undefined;
  records = new Map<string, Uint8Array>();

  constructor(name: string) {
    this.place = PLACES.get(name) ?? { sessions: new Map(), locks: new Set() };
    PLACES.set(name, this.place);
  }

  static remove(this: void, name: string): void {
    PLACES.delete(name);
  }

  async open(clientId: string): Promise<void> {
    const { sessions, locks } = this.place;
    if (this.clientId !== undefined || locks.has(clientId))
      throw new StoreError('in use', { code: 'ERR_MQTT_STORE_LOCKED' });
    locks.add(clientId);
    this.clientId = clientId;
    this.records = sessions.get(clientId) ?? new Map<string, Uint8Array>();
    sessions.set(clientId, this.records);
  }

  async read({ after, before, limit }: StoreRange): Promise<readonly StoreRecord[]> {
    this.mustBeOpen();
    return [...this.records]
      .map(([key, value]) => ({ key, value }))
      .filter(({ key }) => key > after && key < before)
      .toSorted((a, b) => (a.key < b.key ? -1 : 1))
      .slice(0, limit);
  }

  async commit(changes: readonly StoreChange[], _options: { readonly sync: boolean }): Promise<void> {
    this.mustBeOpen();
    for (const change of changes)
      if (change.type === 'put') this.records.set(change.key, change.value.slice());
      else this.records.delete(change.key);
  }

  async clear(): Promise<void> {
    this.mustBeOpen();
    this.records.clear();
  }

  async close(): Promise<void> {
    if (this.clientId !== undefined) this.place.locks.delete(this.clientId);
    this.clientId = undefined;
  }

  mustBeOpen(): void {
    if (this.clientId === undefined) throw new StoreError('closed');
  }
}
