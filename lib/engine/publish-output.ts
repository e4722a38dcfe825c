import { NO_PROPERTIES } from '../codec/packets.ts';
import { PublishWriter, type OutgoingPublish } from '../codec/publish-writer.ts';
import type { Text } from '../codec/text.ts';
import type { AssignedAliases } from '../connection/assigned-aliases.ts';
import type { Connection } from '../connection/connection.ts';
import { ConnectionLostError, PublishError, withoutFrames, type Delivery } from '../errors.ts';
import { Stage, type Exchange } from '../session/exchange.ts';
import type { Session } from '../session/session.ts';

/** Payloads up to this many bytes are copied into the slab: a write of their own would cost more than the copy. */
export const COPY_LIMIT = 16_384;

/** Bytes of UTF-8 for one UTF-16 unit, at most. */
const LARGEST_CHARACTER = 3;

const REFUSALS: Readonly<Record<number, string>> = {
  0x94: 'its Topic Alias is above the Topic Alias Maximum of the server',
  0x95: 'its packet is larger than the Maximum Packet Size of the server',
  0x9a: 'the server does not support retained messages',
  0x9b: 'its QoS is above the Maximum QoS of the server',
};

/** Writes PUBLISH into the output, within the limits of the server. */
export class PublishOutput {
  readonly #writer: PublishWriter;
  readonly #text: Text;

  constructor(text: Text) {
    this.#text = text;
    this.#writer = new PublishWriter(text);
  }

  /**
   * hot: writes one PUBLISH and returns 0. If the server does not take such a message, it writes nothing and returns the
   * Reason Code that the server would answer with.
   */
  write(connection: Connection, message: OutgoingPublish, packetId: number, duplicate: boolean): number {
    const { negotiated, outbox } = connection;
    if (negotiated === undefined) return 0x80;
    // [MQTT-3.2.2-11], [MQTT-3.2.2-14]
    if (message.qos > negotiated.maximumQoS) return 0x9b;
    if (message.retain && !negotiated.retainAvailable) return 0x9a;
    // A message that is sent again carries its Topic Name.
    const assigned = duplicate ? undefined : connection.assigned; // fault: resent-alias
    const alias = message.properties?.topicAlias;
    let size = 0;
    if (alias !== undefined) {
      if (alias > connection.aliases.outgoingMaximum) return 0x94;
      size = this.#measureNamed(connection, message, alias, duplicate);
    } else if (assigned !== undefined)
      size = this.#measureAssigned(assigned, message, negotiated.maximumPacketSize);
    if (size === 0) size = this.#writer.measure(message, message.topicName, negotiated.protocolVersion);
    // [MQTT-3.2.2-15]
    if (size > negotiated.maximumPacketSize) return 0x95;
    connection.traffic.packetsSent++;
    if (this.#writer.payloadLength <= COPY_LIMIT) {
      outbox.reserve(size);
      outbox.at = this.#writer.write(outbox.bytes, outbox.at, message, packetId, duplicate);
    } else {
      const header = new Uint8Array(size - this.#writer.payloadLength);
      this.#writer.writeHeader(header, 0, message, packetId, duplicate);
      const payload = this.#payload(message, this.#writer.payloadLength);
      outbox.appendByReference(header, payload, connection.slices.size);
    }
    return 0;
  }

  /** Whether the payload of `message` is passed by reference, so that it must not change before it has left. */
  passesByReference({ payload }: OutgoingPublish): boolean {
    if (typeof payload !== 'string') return payload.byteLength > COPY_LIMIT;
    // Most strings need no counting.
    return payload.length * LARGEST_CHARACTER > COPY_LIMIT && this.#text.byteLength(payload) > COPY_LIMIT;
  }

  /** Measures a message with the Topic Alias that its caller has named. Only a packet that is written sets the alias. */
  #measureNamed(
    { aliases, assigned, negotiated }: Connection,
    message: OutgoingPublish,
    alias: number,
    duplicate: boolean,
  ): number {
    const { topicName } = message;
    const isKnown = !duplicate && aliases.isKnown(alias, topicName);
    const size = this.#writer.measure(message, isKnown ? '' : topicName, 5);
    if (size > (negotiated?.maximumPacketSize ?? 0)) return size;
    aliases.noteSent(alias, topicName);
    assigned?.reserve(alias); // fault: named-alias
    return size;
  }

  /**
   * hot: measures a message with a Topic Alias that the client chooses. Returns 0 if it goes without one: if it is too large
   * with Topic Name and alias, as it is sent again with its Topic Name; and if its payload is passed by reference, as its
   * packet may be dropped before it is written.
   */
  #measureAssigned(assigned: AssignedAliases, message: OutgoingPublish, maximumSize: number): number {
    const { payload, topicName } = message;
    if (payload.length > COPY_LIMIT) return 0; // fault: borrowed-alias
    const known = assigned.find(topicName);
    const alias = known > 0 ? known : assigned.next();
    if (alias === 0) return 0;
    const size = this.#writer.measure(message, known > 0 ? '' : topicName, 5, alias);
    if (size > maximumSize || this.#writer.payloadLength > COPY_LIMIT) return 0; // fault: unwritten-alias
    if (known > 0 && size + topicName.length * LARGEST_CHARACTER > maximumSize) {
      if (this.#writer.measure(message, topicName, 5) > maximumSize) return 0; // fault: shortened-size
      this.#writer.measure(message, '', 5, alias);
    }
    if (known === 0) assigned.define(alias, topicName); // fault: set-alias
    return size;
  }

  #payload({ payload }: OutgoingPublish, length: number): Uint8Array {
    if (typeof payload !== 'string') return payload;
    const bytes = new Uint8Array(length);
    this.#text.write(payload, bytes, 0);
    return bytes;
  }
}

/** Why a message that `write()` refused was not sent. */
export function refusal(reasonCode: number, delivery: Delivery): PublishError {
  const why = REFUSALS[reasonCode] ?? 'the client is not connected';
  return new PublishError(`message not sent: ${why}`, reasonCode, { delivery, kept: false });
}

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
  #byLastPiece: Map<Uint8Array, Reference> | undefined = undefined;

  constructor(session: Session) {
    this.#session = session;
  }

  /** `exchange` was just written by reference. */
  track(connection: Connection, exchange: Exchange): void {
    const { lastPiece } = connection.outbox;
    const { delivery } = exchange;
    if (lastPiece !== undefined) (this.#byLastPiece ??= new Map()).set(lastPiece, { exchange, delivery });
  }

  /** The caller of `exchange`, or every caller, gets its payload back: pieces that have not left are copied. */
  detach(connection: Connection, exchange?: Exchange): void {
    const references = this.#byLastPiece;
    if (typeof exchange?.payload === 'string' || references === undefined) return;
    for (const [piece, copy] of connection.outbox.detach(exchange?.payload.buffer)) {
      const reference = references.get(piece);
      if (reference === undefined) continue;
      references.delete(piece);
      references.set(copy, reference);
    }
  }

  /** hot: `piece` has left. Returns why the connection has to be closed, if it has. */
  flushed(connection: Connection, piece: Uint8Array): ConnectionLostError | undefined {
    if (this.#byLastPiece === undefined) return undefined;
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
    const unsent = [...(this.#byLastPiece?.values() ?? [])].flatMap(({ exchange }) =>
      exchange.qos > 0 ? [] : exchange,
    );
    this.#byLastPiece = undefined;
    const fate = { delivery: 'unknown', kept: false } as const;
    const message = 'the connection was lost while the message was being written, so it may not have arrived';
    const lost = (): ConnectionLostError => new ConnectionLostError(message, { fate });
    for (const exchange of unsent) exchange.end(withoutFrames(lost)); // fault: unsent
  }

  #take(piece: Uint8Array): Reference | undefined {
    const reference = this.#byLastPiece?.get(piece);
    this.#byLastPiece?.delete(piece);
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
