import type { Commit } from '../../session/journal.ts';
import { COMMIT_DELAY } from '../../session/store-sizes.ts';
import { messageOf, StoreError } from '../../errors.ts';
import type { SessionStore, StoreRange } from '../../store/session-store.ts';
import type { Logger } from '../logger.ts';
import type { Status } from '../status.ts';
import type { Clock, Wake } from './clock.ts';
import type { Driver } from './driver.ts';

interface StoredSessionParts {
  readonly clock: Clock;
  readonly store: SessionStore;
  readonly clientId: string;
  readonly driver: Driver;
  readonly logger: Logger;
  readonly status: Status;
}

/**
 * Connects the engine to the store: opens it when it is first needed, makes commits one after the other, reads messages
 * ahead of the network, and closes it when the client has ended.
 */
export class StoredSession {
  readonly #parts: StoredSessionParts;
  #state: 'closed' | 'opening' | 'open' = 'closed';
  #opening: Promise<void> | undefined = undefined;
  #closing: Promise<void> | undefined = undefined;
  /** The commit under way. It never rejects. */
  #commit: Promise<void> | undefined = undefined;
  /** Makes a commit that nothing waits for. */
  #delayed: Wake | undefined = undefined;
  /** The reading under way. It never rejects. */
  #reading: Promise<void> | undefined = undefined;

  constructor(parts: StoredSessionParts) {
    this.#parts = parts;
  }

  /** Resolves when the store is open and what an earlier process has left is known. Rejects with a `StoreError`. */
  open(): Promise<void> {
    if (this.#state === 'open' && this.#closing === undefined) return Promise.resolve();
    this.#opening ??= this.#open().finally(() => (this.#opening = undefined));
    return this.#opening;
  }

  /** hot: to be called whenever something may have changed. */
  pump(): void {
    const { driver } = this.#parts;
    if (this.#state === 'open') {
      if (this.#commit === undefined) this.#meetDemand();
      if (this.#reading === undefined) this.#beginReading();
    } else if (this.#state === 'closed' && driver.storeDemand !== 'none' && this.#opening === undefined)
      // Those who wait for a message are told.
      void this.open().catch((error: unknown) => this.#parts.logger.error(messageOf(error)));
  }

  /** Makes what is left to commit, and closes the store. Never rejects. */
  close(): Promise<void> {
    this.#closing ??= this.#close().finally(() => (this.#closing = undefined));
    return this.#closing;
  }

  async #open(): Promise<void> {
    const { store, clientId, driver } = this.#parts;
    await this.#closing;
    if (this.#state === 'open') return;
    this.#state = 'opening';
    // Until it is open, it is not ours to close.
    let close = (): Promise<void> => Promise.resolve();
    try {
      await store.open(clientId);
      close = () => this.#closeStore();
      await this.#recover();
      this.#state = 'open';
    } catch (cause) {
      const error = storeError('the store could not be opened', cause);
      await close();
      this.#state = 'closed';
      driver.callStore((engine) => engine.openFailed(error));
      throw error;
    }
    this.pump();
  }

  async #recover(): Promise<void> {
    const { store, driver, logger, status } = this.#parts;
    const recovery = driver.callStore((engine) => engine.recovery());
    for (let { range } = recovery; range !== undefined; { range } = recovery) {
      const records = await store.read(range);
      driver.callStore(() => recovery.read(records));
    }
    const { messages, unreadable } = driver.callStore((engine) => engine.recovered());
    if (unreadable > 0)
      logger.error(
        `the store has ${unreadable} records that cannot be read: they were kept under another key`,
      );
    if (messages > 0) logger.info(`${messages} messages of an earlier process are sent`);
    if (messages > 0 || unreadable > 0) status.report({ type: 'recovered', messages, unreadable });
  }

  /** hot: begins a commit now, or later if nothing waits for it. */
  #meetDemand(): void {
    const { clock, driver } = this.#parts;
    const demand = driver.storeDemand;
    if (demand === 'now') this.#beginCommit();
    else if (demand === 'later')
      this.#delayed ??= clock.wakeAt(clock.now() + COMMIT_DELAY, () => this.#beginCommit());
  }

  #beginCommit(): void {
    this.#stopDelay();
    const commit = this.#parts.driver.askStore((engine) => engine.takeCommit());
    if (commit !== undefined) this.#commit = this.#make(commit);
  }

  #stopDelay(): void {
    this.#delayed?.cancel();
    this.#delayed = undefined;
  }

  async #make({ changes, sync }: Commit): Promise<void> {
    const { store, driver } = this.#parts;
    try {
      await store.commit(changes, { sync }); // fault: atomic-commit
    } catch (cause) {
      this.#commit = undefined;
      await this.#fail('the store could not be written', cause);
      return;
    }
    this.#commit = undefined;
    driver.callStore((engine, now) => engine.committed(now));
    this.pump();
  }

  #beginReading(): void {
    const range = this.#parts.driver.askStore((engine) => engine.nextRange());
    if (range !== undefined) this.#reading = this.#read(range);
  }

  async #read(range: StoreRange): Promise<void> {
    const { store, driver } = this.#parts;
    try {
      const records = await store.read(range);
      this.#reading = undefined;
      if (this.#state !== 'open') return;
      driver.callStore((engine, now) => engine.rangeRead(range, records, now));
    } catch (cause) {
      this.#reading = undefined;
      await this.#fail('the store could not be read', cause);
      return;
    }
    this.pump();
  }

  /** The store has failed: the client ends. */
  async #fail(what: string, cause: unknown): Promise<void> {
    if (this.#state !== 'open') return;
    this.#state = 'closed';
    this.#stopDelay();
    const error = storeError(what, cause);
    this.#parts.driver.callStore((engine, now) => engine.failed(error, now));
    await this.#closeStore();
  }

  async #close(): Promise<void> {
    const { store, driver, logger } = this.#parts;
    // Who waits for it was told why it has failed.
    await this.#opening?.catch(() => {});
    while (this.#state === 'open') {
      const { isDiscarded } = driver;
      if (!isDiscarded && this.#commit === undefined && driver.storeDemand !== 'none') this.#beginCommit();
      if (this.#commit === undefined && this.#reading === undefined) break;
      await this.#commit;
      await this.#reading;
    }
    if (this.#state !== 'open') return;
    this.#state = 'closed';
    this.#stopDelay();
    if (driver.isDiscarded)
      try {
        await store.clear();
      } catch (error) {
        logger.error(`the store could not be cleared: ${messageOf(error)}`);
      }
    await this.#closeStore();
    driver.callStore((engine) => engine.closed());
  }

  async #closeStore(): Promise<void> {
    try {
      await this.#parts.store.close();
    } catch (error) {
      this.#parts.logger.error(`the store could not be closed: ${messageOf(error)}`);
    }
  }
}

function storeError(what: string, cause: unknown): StoreError {
  return cause instanceof StoreError ? cause : new StoreError(`${what}: ${messageOf(cause)}`, { cause });
}
