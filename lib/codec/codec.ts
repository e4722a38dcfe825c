/**
 * The codec of the client as an entry of the package, `mqtt-await/codec`: packets to bytes and bytes to packets, for both
 * ends of a connection and all versions.
 *
 * ```ts
 * const bytes = encode({ type: 'publish', topic: 'a/b', payload: new Uint8Array(0) }, 5);
 * const decoder = new Decoder({ receiver: 'server', protocolVersion: 5 });
 * decoder.push(bytes);
 * for (let packet = decoder.next(); packet !== undefined; packet = decoder.next()) console.log(packet.type);
 * ```
 */

import { isBytes } from '../bytes.ts';
import { writeReason } from './acks.ts';
import { writeAuth } from './auth.ts';
import { writeConnack } from './connack.ts';
import { readConnect, writeConnect } from './connect.ts';
import { integer, malformed, violation, wrongType } from './errors.ts';
import { Framer } from './framer.ts';
import { checkHeader, Header, packetTitle, PacketType, type Receiver } from './packet-type.ts';
import type { EncodablePacket, Packet, ProtocolVersion } from './packets.ts';
import { PublishReader, readPublish } from './publish-reader.ts';
import { encodePublish, PublishWriter } from './publish-writer.ts';
import { readPacket } from './read-packet.ts';
import { Reader } from './reader.ts';
import { writeSubscriptionAck } from './suback.ts';
import { writeSubscribe, writeUnsubscribe } from './subscribe.ts';
import { varintSize } from './varint.ts';
import { Writer } from './writer.ts';

export { ProtocolError } from '../errors.ts';
export type { Receiver } from './packet-type.ts';
export type * from './packets.ts';
export { reasonCodeName } from './reason-codes.ts';

/** Options of a {@link Decoder}. */
export interface DecoderOptions {
  /**
   * The version of the connection.
   * @default for a server the version in CONNECT, which must be the first packet; for a client 4
   */
  readonly protocolVersion?: ProtocolVersion | undefined;
  /**
   * The end that decodes. Packets that only the other end may receive are refused.
   * @default 'client'
   */
  readonly receiver?: Receiver | undefined;
  /**
   * Larger packets are refused with Reason Code 0x95 as soon as their Remaining Length has arrived. In bytes, fixed header
   * included.
   * @default 268,435,460, the largest size that the protocol can express
   */
  readonly maximumPacketSize?: number | undefined;
}

/**
 * Decodes a stream of bytes, in chunks of any size, into packets. A breach of the protocol throws a ProtocolError. Rules
 * that depend on the state of a connection or session (Packet Identifiers in use, quotas, Topic Aliases) are not checked.
 */
export class Decoder {
  readonly #framer: Framer;
  readonly #publish = new PublishReader();
  readonly #receiver: Receiver;
  #version: ProtocolVersion | undefined;
  #error: { readonly thrown: unknown } | undefined;

  constructor({ protocolVersion, receiver = 'client', maximumPacketSize }: DecoderOptions = {}) {
    if (protocolVersion !== undefined) checkVersion(protocolVersion);
    if ((receiver as unknown) !== 'client' && (receiver as unknown) !== 'server') {
      throw wrongType('receiver', "'client' or 'server'", receiver);
    }
    if (maximumPacketSize !== undefined) integer('maximumPacketSize', maximumPacketSize, 1, 0xffff_ffff);
    this.#receiver = receiver;
    this.#version = protocolVersion ?? (receiver === 'client' ? 4 : undefined);
    // Before the version is known, 4 has the more lenient rule for Remaining Length.
    this.#framer = new Framer({ protocolVersion: this.#version ?? 4, maximumPacketSize });
  }

  /** The version of the connection; undefined while a server waits for CONNECT. */
  get protocolVersion(): ProtocolVersion | undefined {
    return this.#version;
  }

  /** Adds bytes. They belong to the decoder from now on: payloads are views of them. */
  push(chunk: Uint8Array): void {
    if (!isBytes(chunk)) throw wrongType('chunk', 'a Uint8Array', chunk);
    if (this.#error === undefined) this.#framer.push(chunk);
  }

  /**
   * The next packet; undefined: more bytes are needed.
   * @throws ProtocolError for a breach of the protocol, and again at every later call
   */
  next(): Packet | undefined {
    if (this.#error !== undefined) throw this.#error.thrown;
    try {
      if (this.#framer.next()) return this.#read();
      const { pendingHeader } = this.#framer;
      if (pendingHeader >= 0) this.#checkHeader(pendingHeader);
      return undefined;
    } catch (error) {
      this.#error = { thrown: error };
      throw error;
    }
  }

  /** An illegal packet is refused by its first byte, before the rest of it arrives. */
  #checkHeader(header: number): void {
    // [MQTT-3.1.0-1] "the first packet sent from the Client to the Server MUST be a CONNECT packet".
    if (this.#version === undefined && header >> 4 !== PacketType.connect)
      throw violation(`the first packet is ${packetTitle(header)}, not CONNECT`, 'MQTT-3.1.0-1');
    checkHeader(header, this.#version ?? 4, this.#receiver);
  }

  #read(): Packet {
    const framer = this.#framer;
    const { header } = framer;
    if (this.#version === undefined || header === Header.connect) return this.#readConnect();
    if (header >> 4 !== PacketType.publish) return readPacket(framer, this.#version, this.#receiver);
    const packet = readPublish(this.#publish, framer, this.#version, this.#receiver);
    if (packet.payload.length > 0) framer.retain();
    this.#publish.release();
    return packet;
  }

  #readConnect(): Packet {
    const { bytes, header, packetStart, start, end } = this.#framer;
    this.#checkHeader(header);
    const reader = new Reader().reset(bytes, start, end, this.#version ?? 5);
    const packet = readConnect(reader);
    if (this.#version !== undefined && reader.version !== this.#version) {
      throw violation(
        `CONNECT has version ${reader.version} on a connection of version ${this.#version}`,
        'MQTT-3.1.2-2',
      );
    }
    // The framer did not know yet that this version has the rule [MQTT-1.5.5-1].
    if (reader.version === 5 && start - packetStart - 1 > varintSize(end - start)) {
      throw malformed('Remaining Length is longer than necessary', 'MQTT-1.5.5-1');
    }
    this.#version = reader.version;
    this.#framer.protocolVersion = reader.version;
    return packet;
  }
}

/** Kept for the next packet. */
let spareWriter: Writer | undefined;
const publishWriter = new PublishWriter();

/** A larger writer is not kept. */
const LARGEST_SPARE = 64 * 1024;

/**
 * Encodes a packet.
 * @returns bytes that belong to the caller. Small packets share an ArrayBuffer, as small Buffers do: do not transfer
 *   their `buffer`.
 * @throws ProtocolError if the packet breaks the protocol
 * @throws TypeError or RangeError if a field has a wrong type or value, or this version does not have it
 */
export function encode(packet: EncodablePacket, protocolVersion: ProtocolVersion): Uint8Array {
  checkVersion(protocolVersion);
  if (typeof packet !== 'object' || (packet as unknown) === null)
    throw wrongType('packet', 'an object', packet);
  if (packet.type === 'publish') return encodePublish(publishWriter, packet, protocolVersion);
  // Not reused while in use: a packet that is refused half written leaves nothing behind.
  const writer = spareWriter ?? new Writer();
  spareWriter = undefined;
  writeBody(writer.begin(protocolVersion), packet);
  const bytes = writer.finish(Header[packet.type]);
  if (writer.bytes.length <= LARGEST_SPARE) spareWriter = writer;
  return bytes;
}

function writeBody(writer: Writer, packet: Exclude<EncodablePacket, { type: 'publish' }>): void {
  switch (packet.type) {
    case 'connect':
      return writeConnect(writer, packet);
    case 'connack':
      return writeConnack(writer, packet);
    case 'puback':
    case 'pubrec':
    case 'pubrel':
    case 'pubcomp':
      writer.packetId(packet.packetId);
      return writeReason(writer, packet);
    case 'subscribe':
      return writeSubscribe(writer, packet);
    case 'suback':
    case 'unsuback':
      return writeSubscriptionAck(writer, packet);
    case 'unsubscribe':
      return writeUnsubscribe(writer, packet);
    case 'pingreq':
    case 'pingresp':
      return;
    case 'disconnect':
      return writeReason(writer, packet);
    case 'auth':
      return writeAuth(writer, packet);
    default:
      throw wrongType('type', 'the name of a Control Packet', (packet as { type: unknown }).type);
  }
}

function checkVersion(value: unknown): void {
  if (value !== 3 && value !== 4 && value !== 5) {
    throw typeof value === 'number'
      ? new RangeError(`protocolVersion: expected 3, 4 or 5, got ${value}`)
      : wrongType('protocolVersion', '3, 4 or 5', value);
  }
}
