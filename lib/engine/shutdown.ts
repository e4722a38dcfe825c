import type { Connection } from '../connection/connection.ts';
import { ClosedError, messageOf, type Delivery, type MqttError } from '../errors.ts';
import type { Exchange } from '../session/exchange.ts';
import type { Journal } from '../session/journal.ts';
import type { Session } from '../session/session.ts';
import type { EngineContext } from './engine-context.ts';
import type { Pending } from './options.ts';
import { borrowsPayload, type PayloadReferences } from './publish-output.ts';

const never = (): boolean => false;

/**
 * The end of a client: rejects all calls that wait. A QoS 1 or 2 message outlives its promise and is sent after the next
 * `connect()`, unless it is to be discarded. QoS 0 is never kept.
 */
export class Shutdown {
  readonly #session: Session;
  readonly #references: PayloadReferences;
  readonly #journal: Journal | undefined;
  #pending: Pending = 'keep';
  /** Whether the network may still be reading the payload of an exchange. */
  #isBorrowed: (exchange: Exchange) => boolean = never;

  constructor({ session, journal }: EngineContext, references: PayloadReferences) {
    this.#session = session;
    this.#journal = journal;
    this.#references = references;
  }

  /**
   * `disconnect()` was called. `connection`: the one that is being closed. A call whose payload may be in output that the
   * network holds is rejected in `finish()`: its caller must not use the payload before.
   */
  begin(pending: Pending, connection: Connection | undefined): void {
    this.#pending = pending;
    if (connection !== undefined) this.#references.detach(connection);
    if (connection !== undefined && connection.piecesOut > 0)
      this.#isBorrowed = (exchange) =>
        exchange.connectionNumber === connection.connectionNumber && borrowsPayload(exchange);
    this.#settle(undefined);
  }

  /** The client has ended or is ending: what was kept is discarded after all. */
  discard(): void {
    this.#pending = 'discard';
    this.#settle(undefined);
  }

  /** The connection is gone. */
  finish(): void {
    this.#isBorrowed = never;
    this.#settle(undefined);
  }

  /** An error has ended the client. */
  end(cause: MqttError): void {
    this.#pending = 'keep';
    this.#settle(cause);
  }

  #settle(cause: MqttError | undefined): void {
    const pending = this.#pending;
    const session = this.#session;
    const options = cause === undefined ? undefined : { cause };
    const message =
      cause === undefined ? 'the client was disconnected' : `the client has ended: ${messageOf(cause)}`;
    const requests = session.requests.takeAll();
    if (requests.length > 0) {
      const closed = new ClosedError(message, undefined, options);
      for (const request of requests) request.fail(closed);
    }
    const errors = new ClosedErrors(message, options);
    session.incoming.abandonAll();
    for (const exchange of session.outgoing.all()) {
      if (this.#isBorrowed(exchange)) continue;
      const kept = pending === 'keep' && keep(exchange);
      if (!kept) {
        session.outgoing.giveUp(exchange);
        session.packetIdentifiers.free(exchange.packetId);
      }
      exchange.fail(errors.with('unknown', kept)); // fault: close-in-flight
    }
    for (const exchange of session.queue.takeWaiters()) exchange.end(errors.with('not-sent', false));
    // A copy: withdrawing changes the queue.
    const waiting = [...session.queue];
    for (const exchange of waiting) {
      const isStored = exchange.segment !== undefined;
      const kept = pending === 'keep' && (exchange.qos > 0 || isStored) && keep(exchange);
      if (!kept) session.queue.withdraw(exchange);
      exchange.fail(errors.with(exchange.delivery, kept));
    }
    if (this.#journal !== undefined) this.#settleStored(this.#journal, errors);
  }

  /** Messages that are not in the store yet are told when they are: until then, nobody knows whether they are kept. */
  #settleStored(journal: Journal, errors: ClosedErrors): void {
    const kept = this.#pending === 'keep';
    for (const exchange of journal.backlog.awaited()) exchange.fail(errors.with('not-sent', kept));
    if (kept) return;
    for (const exchange of journal.takeUnstored()) exchange.end(errors.with('not-sent', false));
    journal.discard();
  }
}

/** The errors of one end: calls whose messages have the same fate share one, as the calls of one signal share its reason. */
class ClosedErrors {
  readonly #message: string;
  readonly #options: ErrorOptions | undefined;
  readonly #made: ClosedError[] = [];

  constructor(message: string, options: ErrorOptions | undefined) {
    this.#message = message;
    this.#options = options;
  }

  with(delivery: Delivery, kept: boolean): ClosedError {
    let error = this.#made.find((one) => one.delivery === delivery && one.kept === kept);
    if (error === undefined) {
      error = new ClosedError(this.#message, { delivery, kept }, this.#options);
      this.#made.push(error);
    }
    return error;
  }
}

/**
 * Copies the payload of a message that outlives its promise, as the caller may change it once the promise has settled,
 * unless it is memory of the store. Returns whether the payload is intact.
 */
function keep(exchange: Exchange): boolean {
  const isOwn = exchange.waiter === undefined || exchange.segment !== undefined;
  return isOwn || exchange.copyPayload();
}
