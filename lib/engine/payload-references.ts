import { NO_PROPERTIES } from '../codec/packets.ts';
import type { OutgoingPublish } from '../codec/publish-writer.ts';
import type { Connection } from '../connection/connection.ts';
import { ConnectionLostError, PublishError, type Delivery } from '../errors.ts';
import { Stage, type Exchange } from '../session/exchange.ts';
import type { Session } from '../session/session.ts';

/** Payloads up to this many bytes are copied into the slab: a write of their own would cost more than the copy. */
export const COPY_LIMIT = 16_384;

/** One message in the output whose payload is passed by reference. */
interface Reference {
  readonly exchange: Exchange;
  /** The delivery of the message if nothing of this transmission leaves. */
  readonly delivery: Delivery;
}

/**
 * Messages whose payload is passed to the transport by reference: it must not change before its last piece has left.
 * QoS 0 ends then. A payload that is gone before (its owner transferred or resized the memory) costs its message, and
 * the connection as well if a part of the packet has left or other packets rely on it.
 */
export class PayloadReferences {
  readonly #session: Session;
  /** By the last piece of the payload. */
  readonly #byLastPiece = new Map<Uint8Array, Reference>();

  constructor(session: Session) {
    this.#session = session;
  }

  /** `exchange` was just written by reference. */
  track(connection: Connection, exchange: Exchange): void {
    const { lastPiece } = connection.outbox;
    const delivery = exchange.written ? 'unknown' : 'not-sent';
    if (lastPiece !== undefined) this.#byLastPiece.set(lastPiece, { exchange, delivery });
  }

  /** The caller of `exchange`, or every caller, gets its payload back: pieces that have not left are copied. */
  detach(connection: Connection, exchange?: Exchange): void {
    if (typeof exchange?.payload === 'string') return;
    for (const [piece, copy] of connection.outbox.detach(exchange?.payload.buffer)) {
      const reference = this.#byLastPiece.get(piece);
      if (reference === undefined) continue;
      this.#byLastPiece.delete(piece);
      this.#byLastPiece.set(copy, reference);
    }
  }

  /** hot: `piece` has left. Returns why the connection has to be closed, if it has. */
  flushed(connection: Connection, piece: Uint8Array): ConnectionLostError | undefined {
    if (this.#byLastPiece.size === 0) return undefined;
    const reference = this.#take(piece);
    if (reference === undefined) return undefined;
    const { exchange } = reference;
    if (!exchange.isIntact) return this.#cut(reference, connection);
    if (exchange.qos === 0) exchange.settle(0, NO_PROPERTIES);
    return undefined;
  }

  /** Gives up the next messages in the output whose payload is gone. Returns why the connection has to be closed, if it has. */
  dropUnwritable(connection: Connection): ConnectionLostError | undefined {
    const { outbox } = connection;
    for (let packet = outbox.dropUnwritable(); packet !== undefined; packet = outbox.dropUnwritable()) {
      const reference = this.#take(packet.lastPiece);
      const hasAlias = reference?.exchange.properties?.topicAlias !== undefined;
      if (packet.phase === 'cut' || hasAlias) return this.#cut(reference, connection);
      if (reference !== undefined) this.#giveUp(reference, connection);
    }
    return undefined;
  }

  /** The connection ended: the delivery of QoS 0 that was still to leave is unknown. */
  abandonUnsent(): void {
    const unsent = [...this.#byLastPiece.values()].flatMap(({ exchange }) =>
      exchange.qos > 0 ? [] : exchange,
    );
    this.#byLastPiece.clear();
    const fate = { delivery: 'unknown', kept: false } as const;
    const message = 'the connection was lost while the message was being written, so it may not have arrived';
    for (const exchange of unsent) exchange.end(new ConnectionLostError(message, { fate })); // fault: unsent
  }

  #take(piece: Uint8Array): Reference | undefined {
    const reference = this.#byLastPiece.get(piece);
    this.#byLastPiece.delete(piece);
    return reference;
  }

  /** A part of a packet is missing on the wire: nothing may follow it. */
  #cut(reference: Reference | undefined, connection: Connection): ConnectionLostError {
    connection.outbox.clear();
    if (reference !== undefined) this.#giveUp({ ...reference, delivery: 'unknown' }, connection);
    return new ConnectionLostError(
      'closed: a packet could not be completed, as the memory of its payload was transferred or resized before it was written',
    );
  }

  #giveUp({ exchange, delivery }: Reference, connection: Connection): void {
    const { outgoing, packetIdentifiers } = this.#session;
    if (exchange.qos > 0) {
      if (exchange.stage !== Stage.Published) return;
      if (delivery === 'not-sent') outgoing.end(exchange);
      else outgoing.giveUp(exchange);
      packetIdentifiers.free(exchange.packetId);
      connection.quota.give();
    }
    exchange.end(payloadGone(delivery));
  }
}

/** Whether `message` is passed by reference and its payload is memory of its caller. */
export function borrowsPayload({ payload }: OutgoingPublish): boolean {
  return typeof payload !== 'string' && payload.byteLength > COPY_LIMIT;
}

/** The owner of a payload transferred or resized its memory before it was written. */
export function payloadGone(delivery: Delivery): PublishError {
  const message =
    'message given up: the memory of its payload was transferred or resized before the promise settled';
  return new PublishError(message, 0x80, { delivery, kept: false });
}
