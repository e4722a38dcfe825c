import type { StoreRange, StoreRecord } from '../store/session-store.ts';
import { ClosedError, StoreError, withoutFrames, type MqttError } from '../errors.ts';
import { Stage } from '../session/exchange.ts';
import type { Commit, Demand, Journal } from '../session/journal.ts';
import { Recovery } from '../session/recovery.ts';
import type { ConnectionState } from './connection-state.ts';
import type { EngineContext } from './engine-context.ts';
import type { Lifecycle } from './lifecycle.ts';
import type { OutboundPublish } from './outbound-publish.ts';
import type { StoreGate } from './store-gate.ts';

interface StoreParts {
  readonly journal: Journal;
  readonly gate: StoreGate;
  readonly state: ConnectionState;
  readonly outbound: OutboundPublish;
  readonly lifecycle: Lifecycle;
}

/** What was found in the store when it was opened. */
export interface Recovered {
  /** Messages that are to be sent. */
  readonly messages: number;
  /** Records that could not be read, so far. */
  readonly unreadable: number;
}

/**
 * The store, as the engine sees it. The driver opens it and reads what `recovery()` asks for. From then on it makes each
 * commit that `takeCommit()` returns and reports it with `committed()`, and reads each `nextRange()`.
 */
export class EngineStore {
  readonly #context: EngineContext;
  readonly #parts: StoreParts;
  readonly #journal: Journal;

  constructor(context: EngineContext, parts: StoreParts) {
    this.#context = context;
    this.#parts = parts;
    this.#journal = parts.journal;
  }

  /** How soon a commit has to be made. Messages may wait for the store to be opened, too. */
  get demand(): Demand {
    return this.#journal.demand;
  }

  /** Whether the session in the store is to be discarded when it is closed. */
  get isDiscarded(): boolean {
    return this.#journal.isDiscarded;
  }

  /** Begins to read what the store has. `recovered()` follows. */
  recovery(): Recovery {
    return new Recovery(this.#context.session, this.#journal, this.#context.ports.checksum ?? (() => 0));
  }

  /** The recovery is done. */
  recovered(): Recovered {
    const { messages, unreadable } = this.#journal;
    return { messages, unreadable };
  }

  /** The changes to commit now. `committed()` or `failed()` follows. */
  takeCommit(): Commit | undefined {
    const commit = this.#journal.takeCommit();
    if (commit !== undefined) this.#parts.gate.begun();
    return commit;
  }

  committed(now: number): void {
    const { outbound, state } = this.#parts;
    outbound.committed(state.established, now);
    if (state.state === 'closed' || state.state === 'disconnecting') this.#failStored();
  }

  nextRange(): StoreRange | undefined {
    return this.#journal.nextRange();
  }

  rangeRead(range: StoreRange, records: readonly StoreRecord[], now: number): void {
    this.#journal.rangeRead(range, records);
    const { outbound, state } = this.#parts;
    if (state.established !== undefined) outbound.pump(state.established, now);
  }

  /** The store could not be opened. Messages that waited for it are rejected. */
  openFailed(cause: MqttError): void {
    this.#rejectUnstored(cause);
    this.#forget();
  }

  /** The store has failed: the client ends, and what is in the store is read when it is opened again. */
  failed(error: MqttError, now: number): void {
    const { gate, lifecycle } = this.#parts;
    gate.clear();
    for (const exchange of this.#journal.backlog.awaited()) exchange.fail(keptError(error));
    this.#rejectUnstored(error);
    lifecycle.storeFailed(error, now);
    this.#forget();
  }

  /** The store was closed after the last commit. */
  closed(): void {
    this.#parts.gate.clear();
    this.#rejectUnstored(new StoreError('the store was closed'));
    this.#forget();
  }

  #rejectUnstored(cause: MqttError): void {
    const fate = { delivery: 'not-sent', kept: false } as const;
    for (const exchange of this.#journal.close())
      // fault: kept-unstored
      exchange.end(
        withoutFrames(() => new StoreError(`message not stored: ${cause.message}`, { fate, cause })),
      );
  }

  /** Messages that were stored after the client had ended wait for the next `connect()`. */
  #failStored(): void {
    const fate = { delivery: 'not-sent', kept: true } as const;
    const error = withoutFrames(() => new ClosedError('the client was disconnected', fate));
    for (const exchange of this.#context.session.queue) exchange.fail(error);
    for (const exchange of this.#journal.backlog.awaited()) exchange.fail(error);
  }

  /** What is in the store leaves memory. */
  #forget(): void {
    const { outgoing, packetIdentifiers, queue } = this.#context.session;
    for (const exchange of outgoing.leave()) {
      packetIdentifiers.free(exchange.packetId);
      exchange.segment = undefined;
      exchange.dropPayload();
      exchange.stage = Stage.Over;
    }
    // A copy: withdrawing changes the queue.
    const waiting = [...queue];
    for (const exchange of waiting) {
      if (exchange.segment === undefined) continue;
      exchange.segment = undefined;
      queue.withdraw(exchange);
    }
  }
}

function keptError(cause: MqttError): StoreError {
  const fate = { delivery: 'not-sent', kept: true } as const;
  return withoutFrames(() => new StoreError(`message not sent yet: ${cause.message}`, { fate, cause }));
}
