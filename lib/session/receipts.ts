import type { StoreChange } from '../store/session-store.ts';
import { RECEIVED_KEY, receivedRecord, type Checksum } from './records.ts';

/** QoS 2 messages of the server between PUBREC and PUBCOMP, and what the store knows of them. */
export class Receipts {
  readonly #packetIds = new Set<number>();
  /** Packet Identifiers that came or went since the last commit, and with the one under way. */
  #changed = new Set<number>();
  #underway = new Set<number>();
  #state: 'stored' | 'stale' = 'stored';

  /** Whether the record has to be written again. */
  get isStale(): boolean {
    return this.#state === 'stale';
  }

  /** PUBREC is about to be sent. Returns whether a record of it has to be written first. */
  add(packetId: number): boolean {
    const isStored = this.#packetIds.has(packetId) && !this.#isUnstored(packetId);
    this.#packetIds.add(packetId);
    return !isStored && this.#hasChanged(packetId);
  }

  /** PUBCOMP is about to be sent. Returns whether the store has to know first: the server may use the identifier again then. */
  end(packetId: number): boolean {
    const isStored = !this.#packetIds.delete(packetId) && !this.#isUnstored(packetId);
    return !isStored && this.#hasChanged(packetId);
  }

  /** The server has no session. */
  endAll(): void {
    if (this.#packetIds.size > 0) this.#state = 'stale';
    this.#packetIds.clear();
  }

  /** Takes over a message of an earlier process. */
  restore(packetId: number): void {
    this.#packetIds.add(packetId);
  }

  /** A commit begins. Returns what it has to change. */
  takeChange(checksum: Checksum): StoreChange | undefined {
    this.#underway = this.#changed;
    this.#changed = new Set();
    if (this.#state === 'stored') return undefined;
    this.#state = 'stored';
    return this.#packetIds.size === 0
      ? { type: 'delete', key: RECEIVED_KEY }
      : { type: 'put', key: RECEIVED_KEY, value: receivedRecord(this.#packetIds, checksum) };
  }

  /** The commit was made. */
  committed(): void {
    this.#underway.clear();
  }

  clear(): void {
    this.#packetIds.clear();
    this.#changed.clear();
    this.#underway.clear();
    this.#state = 'stored';
  }

  /** Whether the store may not know yet what has become of `packetId`. */
  #isUnstored(packetId: number): boolean {
    return this.#changed.has(packetId) || this.#underway.has(packetId); // fault: unstored-receipt
  }

  #hasChanged(packetId: number): true {
    this.#changed.add(packetId);
    this.#state = 'stale';
    return true;
  }
}
