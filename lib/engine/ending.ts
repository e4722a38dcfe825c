import { ClosedError, type MqttError } from '../errors.ts';
import type { Exchange } from '../session/exchange.ts';
import type { Session } from '../session/session.ts';

/** What becomes of messages that are not over when the client is ended: they go out after the next connect, or not. */
export type Pending = 'keep' | 'discard';

/**
 * Tells everybody who waits that the client has ended. Messages with QoS > 0 stay, unless they are to be discarded:
 * the promise ends, the message does not. QoS 0 is never kept over the end.
 */
export function abandonAll(session: Session, pending: Pending, cause: MqttError | undefined): void {
  const options = cause === undefined ? undefined : { cause };
  const message =
    cause === undefined ? 'the client was disconnected' : `the client has ended: ${cause.message}`;
  for (const request of session.requests.takeAll())
    request.fail(new ClosedError(message, undefined, options));
  session.incoming.abandon();
  for (const exchange of session.outgoing.all()) {
    const kept = pending === 'keep';
    if (kept) keep(exchange);
    else {
      session.outgoing.giveUp(exchange);
      session.packetIdentifiers.free(exchange.packetId);
    }
    exchange.fail(new ClosedError(message, { delivery: 'unknown', kept }, options));
  }
  for (const exchange of session.queue.takeOutside())
    exchange.end(new ClosedError(message, { delivery: 'not-sent', kept: false }, options));
  // A list of its own: withdrawing may move what is in the queue.
  const waiting = [...session.queue];
  for (const exchange of waiting) {
    const kept = pending === 'keep' && exchange.qos > 0;
    if (kept) keep(exchange);
    else session.queue.withdraw(exchange);
    exchange.fail(
      new ClosedError(message, { delivery: exchange.written ? 'unknown' : 'not-sent', kept }, options),
    );
  }
}

/** The payload is the caller's again when the promise settles, so a message that outlives its promise has its own. */
function keep(exchange: Exchange): void {
  if (exchange.waiter !== undefined) exchange.keepPayload();
}
