/** What is written: one function per command. */
import { writeAck } from '../codec/acks.ts';
import { encode } from '../codec/codec.ts';
import { PublishWriter, type OutgoingPublish } from '../codec/publish.ts';
import type { SubscriptionRequest } from '../codec/packets.ts';
import type { Text } from '../codec/text.ts';
import type { Connection } from '../connection/connection.ts';
import { ConnectionLostError, type Delivery, PublishError, type ProtocolError } from '../errors.ts';
import type { Exchange } from '../session/exchange.ts';
import type { Answers } from '../session/incoming.ts';
import { PACKET_IDENTIFIERS } from '../session/packet-identifiers.ts';
import type { RequestPart, RequestLimits, RequestPacket, Requests } from '../session/requests.ts';
import type { Session } from '../session/session.ts';
import { hasWildcard, isShared } from '../topic/filters.ts';
import type { DisconnectRequest, EngineOptions } from './options.ts';
import { sendableCode } from './connect-errors.ts';

/** Payloads up to this many bytes are copied into the slab: a write of their own would cost more than the copy. */
export const COPY_LIMIT = 16_384;

/**
 * Bytes of a payload that are handed to the network at once. On a slow link a large one takes longer than Keep Alive: each
 * slice that has left is a sign of life.
 */
export const SLICE = 262_144;

/** With so many bytes waiting in the output nothing new is published; it waits in the queue. */
export const HIGH_WATER = 1_048_576;

const PUBACK = 0x40;
const PUBREC = 0x50;
const PUBREL = 0x62;
const PUBCOMP = 0x70;

const REFUSALS: Readonly<Record<number, string>> = {
  0x94: 'its Topic Alias is above the Topic Alias Maximum of the server',
  0x95: 'its packet is larger than the Maximum Packet Size of the server',
  0x9a: 'the server does not support retained messages',
  0x9b: 'its QoS is above the Maximum QoS of the server',
};

/** A message whose payload is passed by reference. */
export interface Reference {
  readonly exchange: Exchange;
  /** What is known of its delivery where this time nothing of it is written. */
  readonly delivery: Delivery;
}

/** PUBLISH into the output, and which exchanges end when a piece of the output has left. */
export class PacketWriter {
  readonly #writer: PublishWriter;
  readonly #text: Text;
  /** By the last piece of their payload. */
  readonly #references = new Map<Uint8Array, Reference>();

  constructor(text: Text) {
    this.#text = text;
    this.#writer = new PublishWriter(text);
  }

  /**
   * Writes one PUBLISH, or nothing where the server does not take such a message: then the Reason Code it would
   * answer with is returned, else 0.
   */
  write(connection: Connection, message: OutgoingPublish, packetId: number, duplicate: boolean): number {
    const { negotiated, outbox } = connection;
    if (negotiated === undefined) return 0x80;
    // [MQTT-3.2.2-11], [MQTT-3.2.2-14]
    if (message.qos > negotiated.maximumQoS) return 0x9b;
    if (message.retain && !negotiated.retainAvailable) return 0x9a;
    let { topicName } = message;
    const alias = message.properties?.topicAlias;
    if (alias !== undefined) {
      if (alias > connection.aliases.outgoingMaximum) return 0x94;
      if (connection.aliases.isKnown(alias, topicName)) topicName = '';
    }
    const size = this.#writer.measure(message, topicName, negotiated.protocolVersion);
    // [MQTT-3.2.2-15]
    if (size > negotiated.maximumPacketSize) return 0x95;
    if (alias !== undefined) connection.aliases.sent(alias, message.topicName);
    connection.traffic.packetsSent++;
    if (this.#writer.payloadLength <= COPY_LIMIT) {
      outbox.reserve(size);
      outbox.at = this.#writer.write(outbox.bytes, outbox.at, message, packetId, duplicate, true);
    } else {
      const header = new Uint8Array(size - this.#writer.payloadLength);
      this.#writer.write(header, 0, message, packetId, duplicate, false);
      outbox.appendLent(header, this.#payload(message, this.#writer.payloadLength), SLICE);
    }
    return 0;
  }

  /** Whether the payload of `message` is passed by reference, so that it must not change until it has left. */
  passesByReference(message: OutgoingPublish): boolean {
    const { payload } = message;
    if (typeof payload !== 'string') return payload.byteLength > COPY_LIMIT;
    // No character takes more than three bytes per UTF-16 unit: most strings need no counting.
    return payload.length * 3 > COPY_LIMIT && this.#text.byteLength(payload) > COPY_LIMIT;
  }

  /** Whether the payload of `message` is its caller's own memory, where it is passed by reference. */
  isLent(message: OutgoingPublish): boolean {
    return typeof message.payload !== 'string' && this.passesByReference(message);
  }

  /** `exchange`, just written by reference, is told of when its payload has left, or cannot leave any more. */
  trackReference(connection: Connection, exchange: Exchange): void {
    const { lastPiece } = connection.outbox;
    const delivery = exchange.written ? 'unknown' : 'not-sent';
    if (lastPiece !== undefined) this.#references.set(lastPiece, { exchange, delivery });
  }

  /** The reference that ends with `piece`, which has left or never will. */
  takeReference(piece: Uint8Array): Reference | undefined {
    if (this.#references.size === 0) return undefined;
    const reference = this.#references.get(piece);
    this.#references.delete(piece);
    return reference;
  }

  /** The payload of `exchange`, or of all, is its caller's again: what has not left yet is copied. */
  detach(connection: Connection, exchange?: Exchange): void {
    if (typeof exchange?.payload === 'string') return;
    for (const [piece, copy] of connection.outbox.detach(exchange?.payload.buffer)) {
      const ending = this.#references.get(piece);
      if (ending === undefined) continue;
      this.#references.delete(piece);
      this.#references.set(copy, ending);
    }
  }

  /** The connection ended: nobody can know what became of payloads that were still to leave. */
  abandonUnsent(): void {
    const unsent = [...this.#references.values()].flatMap(({ exchange }) =>
      exchange.qos > 0 ? [] : exchange,
    );
    this.#references.clear();
    const fate = { delivery: 'unknown', kept: false } as const;
    for (const exchange of unsent) exchange.end(new ConnectionLostError('the connection was lost', { fate }));
  }

  #payload({ payload }: OutgoingPublish, length: number): Uint8Array {
    if (typeof payload !== 'string') return payload;
    const bytes = new Uint8Array(length);
    this.#text.write(payload, bytes, 0);
    return bytes;
  }
}

/** Its owner has taken the payload of a message back before it was written. */
export function spoiled(delivery: Delivery): PublishError {
  const message = 'message not sent: the memory of its payload was transferred or resized meanwhile';
  return new PublishError(message, 0x80, { delivery, kept: false });
}

/** Why `message` is refused by a guard of ours, as its caller is told. */
export function refusal(reasonCode: number, written: boolean): PublishError {
  const why = REFUSALS[reasonCode] ?? 'there is no connection';
  return new PublishError(`message not sent: ${why}`, reasonCode, {
    delivery: written ? 'unknown' : 'not-sent',
    kept: false,
  });
}

/**
 * DISCONNECT. On 3.x it says nothing and always deletes the Will [v4 MQTT-3.14.4-3]. Without a connection it is only
 * checked. Throws where it must not be sent.
 */
export function disconnectPacket(
  options: EngineOptions,
  connection: Connection | undefined,
  { reasonCode, properties }: DisconnectRequest,
): Uint8Array {
  if (options.protocolVersion < 5) return encode({ type: 'disconnect' }, options.protocolVersion);
  // U-3.14.2-a: a session that ends with the connection cannot be made to last with its end.
  if (options.sessionExpiryInterval === 0 && (properties.sessionExpiryInterval ?? 0) > 0)
    throw new TypeError(
      `sessionExpiryInterval: expected none, as CONNECT had none, got ${properties.sessionExpiryInterval}`,
    );
  const packet = encode({ type: 'disconnect', reasonCode, properties }, 5);
  if (packet.length <= (connection?.negotiated?.maximumPacketSize ?? Infinity)) return packet;
  // [MQTT-3.14.2-3, MQTT-3.14.2-4] What only explains goes, rather than the packet.
  const { reasonString: _, userProperties: __, ...needed } = properties;
  return encode({ type: 'disconnect', reasonCode, properties: needed }, 5);
}

function ack(connection: Connection, header: number, packetId: number, reasonCode: number): void {
  const { outbox } = connection;
  connection.traffic.packetsSent++;
  outbox.reserve(5);
  const { bytes } = outbox;
  const at = writeAck(bytes, outbox.at, header, packetId);
  if (reasonCode > 0 && connection.protocolVersion === 5) {
    bytes[outbox.at + 1] = 3;
    bytes[at] = reasonCode;
    outbox.at = at + 1;
  } else outbox.at = at;
}

/** PUBREL, in answer to PUBREC or again after a resume. */
export function writePubrel(connection: Connection, packetId: number, reasonCode: number): void {
  ack(connection, PUBREL, packetId, reasonCode);
}

/** PUBCOMP, in answer to every PUBREL [MQTT-4.3.3-11]. */
export function writePubcomp(connection: Connection, packetId: number, reasonCode: number): void {
  ack(connection, PUBCOMP, packetId, reasonCode);
}

/** DISCONNECT because of what the server sent; 3.x has no such thing. Nothing is written after it [MQTT-3.14.4-1]. */
export function writeRefusal(connection: Connection, error: ProtocolError): void {
  if (connection.protocolVersion < 5) return;
  connection.outbox.append(encode({ type: 'disconnect', reasonCode: sendableCode(error.reasonCode) }, 5));
}

/** Acknowledgements of what we received. */
export class AckWriter implements Answers {
  connection: Connection | undefined = undefined;

  puback(packetId: number, reasonCode: number): void {
    if (this.connection !== undefined) ack(this.connection, PUBACK, packetId, reasonCode);
  }

  pubrec(packetId: number, reasonCode: number): void {
    if (this.connection !== undefined) ack(this.connection, PUBREC, packetId, reasonCode);
  }
}

/** Writes every SUBSCRIBE and UNSUBSCRIBE that can go now, but for those that are suspect. */
export function writeRequests(
  session: Session,
  connection: Connection,
  text: Text,
  options: EngineOptions,
  now: number,
): void {
  const { requests, packetIdentifiers } = session;
  refuseUnsupported(requests, connection);
  const most = PACKET_IDENTIFIERS - packetIdentifiers.inUse;
  for (const parts of requests.takePackets(requestLimits(connection, options), most, text))
    writeRequest(session, connection, parts, options, now);
}

/** Writes one packet of suspect ones. Returns it, or undefined where nothing was written. */
export function writeSuspects(
  session: Session,
  connection: Connection,
  text: Text,
  options: EngineOptions,
  now: number,
): RequestPacket | undefined {
  const { requests, packetIdentifiers } = session;
  refuseUnsupported(requests, connection);
  if (packetIdentifiers.inUse === PACKET_IDENTIFIERS) return undefined;
  const parts = requests.takeSuspects(requestLimits(connection, options), text);
  return parts.length === 0 ? undefined : writeRequest(session, connection, parts, options, now);
}

function requestLimits({ negotiated }: Connection, { maxFiltersPerPacket }: EngineOptions): RequestLimits {
  const maximum = negotiated?.maximumPacketSize ?? Infinity;
  return { filters: maxFiltersPerPacket, bytes: maximum === Infinity ? 0 : maximum };
}

function writeRequest(
  { requests, packetIdentifiers }: Session,
  connection: Connection,
  parts: readonly RequestPart[],
  { requestTimeout }: EngineOptions,
  now: number,
): RequestPacket | undefined {
  const packetId = packetIdentifiers.take();
  const packet = requestPacket(connection, packetId, parts);
  if (packet.length <= (connection.negotiated?.maximumPacketSize ?? Infinity)) {
    connection.outbox.append(packet);
    return requests.sent(packetId, parts, now, requestTimeout);
  }
  // A single filter that does not fit is let through to here, so that it is refused to its caller.
  packetIdentifiers.free(packetId);
  for (const part of parts) requests.answer(part, 0x95);
  return undefined;
}

/** What this server does not do is not asked of it (3.2.2.3.11, -13): the answer would be the same. */
function refuseUnsupported(requests: Requests, { negotiated }: Connection): void {
  if (negotiated === undefined) return;
  const { wildcardSubscriptionAvailable: wildcards, sharedSubscriptionAvailable: shared } = negotiated;
  if (wildcards && shared) return;
  const codeOf = (topicFilter: string): number => {
    if (!shared && isShared(topicFilter)) return 0x9e;
    return !wildcards && hasWildcard(topicFilter) ? 0xa2 : 0;
  };
  for (const part of requests.takeSubscriptions((topicFilter) => codeOf(topicFilter) > 0))
    requests.answer(part, codeOf(part.entry.topicFilter));
}

function requestPacket(connection: Connection, packetId: number, parts: readonly RequestPart[]): Uint8Array {
  const { kind, userProperties } = parts[0] as RequestPart;
  const properties = userProperties === undefined ? {} : { userProperties };
  const version = connection.protocolVersion;
  if (kind === 'subscribe') {
    const subscriptions: SubscriptionRequest[] = parts.map((part) => part.entry);
    return encode({ type: 'subscribe', packetId, subscriptions, properties }, version);
  }
  const topicFilters = parts.map((part) => part.entry.topicFilter);
  return encode({ type: 'unsubscribe', packetId, topicFilters, properties }, version);
}
