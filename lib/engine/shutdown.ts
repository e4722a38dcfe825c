import type { Connection } from '../connection/connection.ts';
import { ClosedError, messageOf, type MqttError } from '../errors.ts';
import type { Exchange } from '../session/exchange.ts';
import type { Session } from '../session/session.ts';
import type { Pending } from './options.ts';
import { borrowsPayload, type PayloadReferences } from './payload-references.ts';

const nobody = (): boolean => false;

/**
 * Tells everybody who waits that the client has ended. Messages with QoS > 0 stay, unless they are to be discarded:
 * the promise ends, the message does not. QoS 0 is never kept over the end.
 */
export class Shutdown {
  readonly #session: Session;
  readonly #references: PayloadReferences;
  #pending: Pending = 'keep';
  /** Whose payload the network may still be reading. */
  #isBorrowed: (exchange: Exchange) => boolean = nobody;

  constructor(session: Session, references: PayloadReferences) {
    this.#session = session;
    this.#references = references;
  }

  /**
   * `disconnect()`: now. `connection`: the one that is being ended in order. A payload that may be in output which the
   * network holds has to wait for `finish()`, as it is not its caller's before.
   */
  begin(pending: Pending, connection: Connection | undefined): void {
    this.#pending = pending;
    if (connection !== undefined) this.#references.detach(connection);
    if (connection !== undefined && connection.piecesOut > 0)
      this.#isBorrowed = (exchange) =>
        exchange.connectionNumber === connection.connectionNumber && borrowsPayload(exchange);
    this.#settle(undefined);
  }

  /** The client has ended or is ending: what was kept is let go after all. */
  discard(): void {
    this.#pending = 'discard';
    this.#settle(undefined);
  }

  /** The connection is gone. */
  finish(): void {
    this.#isBorrowed = nobody;
    this.#settle(undefined);
  }

  /** An error that is final. */
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
    for (const request of session.requests.takeAll())
      request.fail(new ClosedError(message, undefined, options));
    session.incoming.abandonAll();
    for (const exchange of session.outgoing.all()) {
      if (this.#isBorrowed(exchange)) continue;
      const kept = pending === 'keep' && keep(exchange);
      if (!kept) {
        session.outgoing.giveUp(exchange);
        session.packetIdentifiers.free(exchange.packetId);
      }
      exchange.fail(new ClosedError(message, { delivery: 'unknown', kept }, options));
    }
    for (const exchange of session.queue.takeWaiters())
      exchange.end(new ClosedError(message, { delivery: 'not-sent', kept: false }, options));
    // A list of its own: withdrawing may move what is in the queue.
    const waiting = [...session.queue];
    for (const exchange of waiting) {
      const kept = pending === 'keep' && exchange.qos > 0 && keep(exchange);
      if (!kept) session.queue.withdraw(exchange);
      const delivery = exchange.written ? 'unknown' : 'not-sent';
      exchange.fail(new ClosedError(message, { delivery, kept }, options));
    }
  }
}

/**
 * The payload is the caller's again when the promise settles, so a message that outlives its promise has its own. Returns
 * whether there is one to keep.
 */
function keep(exchange: Exchange): boolean {
  return exchange.waiter === undefined || exchange.copyPayload();
}
