/**
 * PUBLISH (3.3), both ways: the hot path, and the only place where bytes are handed out without being copied.
 *
 * ```
 * 3n                  n = DUP<<3 | QoS<<1 | RETAIN
 * Remaining Length
 * Topic Name          u16 length, bytes
 * Packet Identifier   u16        only with QoS 1 and 2
 * Property Length …              only on 5.0
 * Payload             the rest
 * ```
 */

import { hasWildcard } from '../topic/filters.ts';
import { topicNameError } from '../topic/names.ts';
import { ProtocolError } from '../errors.ts';
import { bytesOf, flag, hex, integer, malformed, notIn3, violation, wrongType } from './errors.ts';
import { memoryFor } from './memory.ts';
import { Header, type Receiver } from './packet-type.ts';
import {
  NO_PROPERTIES,
  type EncodablePacket,
  type ProtocolVersion,
  type PublishPacket,
  type PublishProperties,
  type QoS,
} from './packets.ts';
import { hasProperties, readProperties, writeEach } from './properties.ts';
import { Reader, zeroPacketId } from './reader.ts';
import { isUtf8, portableText, type Text } from './text.ts';
import { TopicCache } from './topic-cache.ts';
import { VARINT_MAX, varintSize, writeVarint } from './varint.ts';
import { checkPacketId, checkText, Writer } from './writer.ts';

const DUP = 0x08;
const RETAIN = 0x01;
const NOTHING = new Uint8Array(0);
/** The size of a packet, in bytes, whose memory is held by who has read it. */
const LARGEST_HELD = 131_072;

// ---- Reading ----

/** Reads one PUBLISH after another into the same fields. */
export class PublishReader {
  /** Topic Name: the same string object for the same bytes while they are cached. Empty: a Topic Alias stands for it. */
  topic = '';
  qos: QoS = 0;
  retain = false;
  duplicate = false;
  /** 0 with QoS 0. */
  packetId = 0;
  properties: PublishProperties = NO_PROPERTIES;
  /** About what the properties take in memory while they are held, in bytes. */
  propertiesSize = 0;
  /** What the payload is in, `[payloadStart, payloadEnd)`. */
  bytes: Uint8Array = NOTHING;
  payloadStart = 0;
  payloadEnd = 0;

  /** What `bytes` is a view of: asking it each time takes longer than making the view of the payload. */
  #buffer: ArrayBufferLike = NOTHING.buffer;
  #byteOffset = 0;
  /** Of the packet, without its fixed header. */
  #size = 0;
  readonly #reader: Reader;
  readonly #topics: TopicCache;
  /** The version whose rules the cached topics have passed. */
  #version: ProtocolVersion = 5;

  constructor(text: Text = portableText) {
    const reader = new Reader(text, true);
    this.#reader = reader;
    this.#topics = new TopicCache((bytes, start, end) => {
      const topic = reader.decode(bytes, start, end);
      checkReceivedTopic(topic, this.#version);
      return topic;
    });
  }

  /** Reads the PUBLISH of which the first byte is `header` and the body `bytes[start, end)`. */
  read(bytes: Uint8Array, header: number, start: number, end: number, version: ProtocolVersion): void {
    const qos = (header >> 1) & 3;
    if (qos === 3 || (header & (DUP | 0x06)) === DUP) checkFlags(header, version);
    if (version !== this.#version) this.#useVersion(version);
    let at = start + 2;
    if (at > end) throw cut();
    const topicLength = (bytes[start]! << 8) | bytes[start + 1]!;
    const topicEnd = at + topicLength;
    if (topicEnd > end) throw cut();
    const topic = topicLength === 0 ? '' : this.#topics.get(bytes, at, topicEnd);
    at = topicEnd;
    let packetId = 0;
    if (qos > 0) {
      if (at + 2 > end) throw cut();
      packetId = (bytes[at]! << 8) | bytes[at + 1]!;
      // [MQTT-2.2.1-4] (3.1.1: [MQTT-2.3.1-4]) the Packet Identifier is non-zero.
      if (packetId === 0) throw zeroPacketId(version);
      at += 2;
    }
    let properties: PublishProperties = NO_PROPERTIES;
    let propertiesSize = 0;
    if (version === 5) {
      if (at < end && bytes[at] === 0) {
        at++;
      } else {
        const reader = this.#reader.over(bytes, at, end, version);
        properties = readProperties(reader, 'publish');
        propertiesSize = reader.at - at + reader.overhead;
        at = reader.at;
      }
    }
    if (topicLength === 0) checkEmptyTopic(version, properties);
    this.topic = topic;
    this.qos = qos as QoS;
    this.retain = (header & RETAIN) !== 0;
    this.duplicate = (header & DUP) !== 0;
    this.packetId = packetId;
    this.properties = properties;
    this.propertiesSize = propertiesSize;
    if (bytes !== this.bytes) this.#useBytes(bytes);
    this.payloadStart = at;
    this.payloadEnd = end;
    this.#size = end - start;
  }

  /** A view of the payload: a plain Uint8Array, whatever `bytes` is. The framer must be told to `pin()`. */
  payload(): Uint8Array {
    const { payloadStart } = this;
    return new Uint8Array(this.#buffer, this.#byteOffset + payloadStart, this.payloadEnd - payloadStart);
  }

  /**
   * hot: what was read has been used. The memory of a large packet is not held until the next PUBLISH, which may never
   * come.
   */
  release(): void {
    if (this.#size <= LARGEST_HELD) return;
    this.#useBytes(NOTHING);
    this.#topics.release();
    this.#reader.release();
    this.payloadStart = 0;
    this.payloadEnd = 0;
  }

  #useBytes(bytes: Uint8Array): void {
    this.bytes = bytes;
    this.#buffer = bytes.buffer;
    this.#byteOffset = bytes.byteOffset;
  }

  #useVersion(version: ProtocolVersion): void {
    this.#version = version;
    this.#reader.useVersion(version);
    this.#topics.clear();
  }
}

function cut(): ProtocolError {
  return malformed('PUBLISH ends within its variable header', '2.1.4');
}

function checkFlags(header: number, version: ProtocolVersion): void {
  // [MQTT-3.3.1-4] "A PUBLISH Packet MUST NOT have both QoS bits set to 1".
  if ((header & 0x06) === 0x06)
    throw malformed(`PUBLISH has first byte ${hex(header)}: QoS 3`, 'MQTT-3.3.1-4');
  // [MQTT-3.3.1-2] "The DUP flag MUST be set to 0 for all QoS 0 messages". 3.1 only gives it no meaning there.
  if (version !== 3) throw malformed(`PUBLISH has first byte ${hex(header)}: DUP with QoS 0`, 'MQTT-3.3.1-2');
}

function checkReceivedTopic(topic: string, version: ProtocolVersion): void {
  // [MQTT-3.3.2-2] "The Topic Name in the PUBLISH packet MUST NOT contain wildcard characters". 3.1 allows the rest.
  const fault =
    version === 3
      ? hasWildcard(topic)
        ? 'expected a Topic Name without the wildcards + and #'
        : undefined
      : topicNameError(topic);
  if (fault !== undefined) throw violation(`PUBLISH: ${fault}`, 'MQTT-3.3.2-2');
}

function checkEmptyTopic(version: ProtocolVersion, properties: PublishProperties): void {
  // 3.3.2.1: "It is a Protocol Error if the Topic Name is zero length and there is no Topic Alias".
  if (version === 5 && properties.topicAlias !== undefined) return;
  throw violation(
    'PUBLISH has neither a Topic Name nor a Topic Alias',
    version === 5 ? '3.3.2.1' : 'MQTT-4.7.3-1',
  );
}

/** Reads a PUBLISH as a packet. */
export function readPublish(
  publish: PublishReader,
  bytes: Uint8Array,
  header: number,
  start: number,
  end: number,
  version: ProtocolVersion,
  receiver: Receiver,
): PublishPacket {
  publish.read(bytes, header, start, end, version);
  const { topic, qos, retain, duplicate, packetId, properties } = publish;
  // [MQTT-3.3.4-6] "A PUBLISH packet sent from a Client to a Server MUST NOT contain a Subscription Identifier".
  if (receiver === 'server' && properties.subscriptionIdentifiers !== undefined) {
    throw violation('PUBLISH of a client has a Subscription Identifier', 'MQTT-3.3.4-6');
  }
  const payload = publish.payload();
  return qos === 0
    ? { type: 'publish', topic, payload, qos, retain, duplicate, properties }
    : { type: 'publish', topic, payload, qos, retain, duplicate, packetId, properties };
}

// ---- Writing ----

/** A message on its way out. */
export interface OutgoingPublish {
  readonly topicName: string;
  readonly payload: Uint8Array | string;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly properties: PublishProperties | undefined;
}

/** At most so many topics are kept encoded; then no more are admitted, so that the cache never thrashes. */
const CACHED_TOPICS = 256;
/** Longer topics are encoded each time, which bounds what the cache holds. */
const LONGEST_CACHED = 1024;

/** Properties larger than this leave no memory behind. */
const LARGEST_SPARE = 64 * 1024;

/** Writes one PUBLISH after another: `measure`, then `write`, which relies on what was measured. */
export class PublishWriter {
  /** Bytes of payload in the packet that was measured. */
  payloadLength = 0;

  readonly #text: Text;
  #lastTopic = '';
  #lastBytes: Uint8Array = NOTHING;
  /** Made with the second topic. */
  #topics: Map<string, Uint8Array> | undefined;

  // What measure() found out for write().
  #topicName = '';
  /** The encoded topic; undefined: it is encoded in place. */
  #topicBytes: Uint8Array | undefined;
  #topicLength = 0;
  #remainingLength = 0;
  #version: ProtocolVersion = 5;
  /** Holds the properties of the packet measured; made with the first message that has properties. */
  #properties: Writer | undefined;
  /** A view of them. Messages of one kind have properties of one length: it is seldom made anew. */
  #propertyBytes: Uint8Array = NOTHING;
  #propertyBytesOf: Uint8Array = NOTHING;
  #propertiesLength = 0;

  constructor(text: Text = portableText) {
    this.#text = text;
  }

  /**
   * Checks a message and sizes its packet.
   * @param topicName empty where a Topic Alias stands for it
   * @param topicAlias an alias that is not among the message's own properties; 0: none
   * @returns the size of the whole packet
   */
  measure(message: OutgoingPublish, topicName: string, version: ProtocolVersion, topicAlias = 0): number {
    if (topicName !== this.#lastTopic || topicName === '')
      this.#useTopic(message, topicName, version, topicAlias);
    else {
      this.#topicBytes = this.#lastBytes;
      this.#topicLength = this.#lastBytes.length;
    }
    const { payload, properties } = message;
    let propertiesLength = 0;
    if (topicAlias !== 0 || (properties !== undefined && properties !== NO_PROPERTIES)) {
      propertiesLength = this.#encodeProperties(message, version, topicAlias);
    }
    const payloadLength = typeof payload === 'string' ? this.#sizeOf(payload) : payload.length;
    const remainingLength =
      2 +
      this.#topicLength +
      (message.qos > 0 ? 2 : 0) +
      (version === 5 ? varintSize(propertiesLength) + propertiesLength : 0) +
      payloadLength;
    if (remainingLength > VARINT_MAX) {
      throw new ProtocolError(`PUBLISH has ${remainingLength} bytes behind its fixed header`, '2.1.4', 0x95);
    }
    this.#version = version;
    this.#propertiesLength = propertiesLength;
    this.#remainingLength = remainingLength;
    this.payloadLength = payloadLength;
    return 1 + varintSize(remainingLength) + remainingLength;
  }

  /**
   * Writes the packet that was measured last, of this same message.
   * @param packetId ignored with QoS 0
   * @param includePayload false: everything up to the payload, which is written elsewhere
   * @returns the offset behind what was written
   */
  write(
    target: Uint8Array,
    at: number,
    message: OutgoingPublish,
    packetId: number,
    duplicate: boolean,
    includePayload: boolean,
  ): number {
    const { qos, payload } = message;
    target[at] = Header.publish | (duplicate ? DUP : 0) | (qos << 1) | (message.retain ? RETAIN : 0);
    let offset = writeVarint(target, at + 1, this.#remainingLength);
    const topicLength = this.#topicLength;
    target[offset] = topicLength >>> 8;
    target[offset + 1] = topicLength;
    offset += 2;
    if (this.#topicBytes !== undefined) target.set(this.#topicBytes, offset);
    else this.#text.write(this.#topicName, target, offset);
    offset += topicLength;
    if (qos > 0) {
      target[offset] = packetId >>> 8;
      target[offset + 1] = packetId;
      offset += 2;
    }
    if (this.#version === 5) {
      const length = this.#propertiesLength;
      offset = writeVarint(target, offset, length);
      if (length > 0) {
        target.set(this.#propertyBytes, offset);
        offset += length;
        if (length > LARGEST_SPARE) this.#dropProperties();
      }
    }
    if (!includePayload) return offset;
    if (typeof payload !== 'string') target.set(payload, offset);
    else if (payload.length > 0) this.#text.write(payload, target, offset);
    return offset + this.payloadLength;
  }

  /** Memory that grew for the properties of one message is not kept for the others. */
  #dropProperties(): void {
    this.#properties = undefined;
    this.#propertyBytes = NOTHING;
    this.#propertyBytesOf = NOTHING;
  }

  #sizeOf(payload: string): number {
    if (!payload.isWellFormed()) {
      throw new TypeError('payload: expected a string without lone surrogates, which have no UTF-8');
    }
    return this.#text.byteLength(payload);
  }

  /** Finds the bytes of a topic that is not the last one, or checks and encodes it. */
  #useTopic(message: OutgoingPublish, topicName: string, version: ProtocolVersion, topicAlias: number): void {
    if (topicName === '') {
      // 3.3.2.1: only a Topic Alias may stand for the Topic Name.
      if (version !== 5 || (topicAlias === 0 && message.properties?.topicAlias === undefined)) {
        throw new ProtocolError('PUBLISH has neither a Topic Name nor a Topic Alias', 'MQTT-4.7.3-1', 0x90);
      }
      this.#topicBytes = NOTHING;
      this.#topicLength = 0;
      return;
    }
    let bytes = this.#topics?.get(topicName);
    if (bytes === undefined) {
      // [MQTT-3.3.2-2] no wildcards, [MQTT-4.7.3-1] to [MQTT-4.7.3-3] not empty, no U+0000, at most 65,535 bytes.
      const fault = topicNameError(topicName);
      if (fault !== undefined) {
        checkText('PUBLISH', topicName, version);
        throw new ProtocolError(`PUBLISH: ${fault}`, 'MQTT-3.3.2-2', 0x90);
      }
      this.#topicName = topicName;
      this.#topicLength = this.#text.byteLength(topicName);
      bytes = this.#admit(topicName);
      this.#topicBytes = bytes;
      if (bytes === undefined) return;
    }
    this.#lastTopic = topicName;
    this.#lastBytes = bytes;
    this.#topicBytes = bytes;
    this.#topicLength = bytes.length;
  }

  #admit(topicName: string): Uint8Array | undefined {
    const topics = (this.#topics ??= new Map());
    if (topics.size >= CACHED_TOPICS || this.#topicLength > LONGEST_CACHED) return undefined;
    const bytes = new Uint8Array(this.#topicLength);
    this.#text.write(topicName, bytes, 0);
    topics.set(topicName, bytes);
    return bytes;
  }

  #encodeProperties(message: OutgoingPublish, version: ProtocolVersion, topicAlias: number): number {
    const properties = message.properties ?? NO_PROPERTIES;
    if (version !== 5) {
      if (topicAlias !== 0 || hasProperties(properties)) throw notIn3('properties');
      return 0;
    }
    const writer = (this.#properties ??= new Writer(this.#text));
    writer.at = 0;
    writer.version = version;
    writeEach(writer, 'publish', properties);
    if (topicAlias !== 0) {
      if (properties.topicAlias !== undefined) throw violation('topicAlias is given twice', '3.3.2.3.4');
      writer.u8(0x23);
      writer.u16(topicAlias);
    }
    checkFormat(properties.payloadFormatIndicator, message.payload);
    if (writer.at !== this.#propertyBytes.length || writer.bytes !== this.#propertyBytesOf) {
      this.#propertyBytes = writer.bytes.subarray(0, writer.at);
      this.#propertyBytesOf = writer.bytes;
    }
    return writer.at;
  }
}

/** Payload Format Indicator 1 promises a payload of well-formed UTF-8 (3.3.2.3.2). A string is that by now or is refused. */
export function checkFormat(payloadFormatIndicator: number | undefined, payload: Uint8Array | string): void {
  if (payloadFormatIndicator === 1 && typeof payload !== 'string' && !isUtf8(payload)) {
    throw new ProtocolError('payloadFormatIndicator is 1, but the payload is no UTF-8', '3.3.2.3.2', 0x99);
  }
}

/** @returns `value`, a Quality of Service; where it is left out, 0 */
export function qosOf(what: string, value: unknown): QoS {
  if (value === undefined) return 0;
  if (typeof value !== 'number') throw wrongType(what, '0, 1 or 2', value);
  // [MQTT-3.3.1-4] there is no QoS 3.
  if (value === 3) throw malformed(`${what} is 3`, 'MQTT-3.3.1-4');
  return integer(what, value, 0, 2) as QoS;
}

type EncodablePublish = Extract<EncodablePacket, { type: 'publish' }>;

/** Encodes a PUBLISH given as a packet. */
export function encodePublish(
  writer: PublishWriter,
  packet: EncodablePublish,
  version: ProtocolVersion,
): Uint8Array {
  const { topic, packetId, properties } = packet;
  if (typeof topic !== 'string') throw wrongType('topic', 'a string', topic);
  const qos = qosOf('qos', packet.qos);
  const duplicate = flag('duplicate', packet.duplicate);
  // [MQTT-3.3.1-2] "The DUP flag MUST be set to 0 for all QoS 0 messages".
  if (qos === 0 && duplicate) throw malformed('duplicate is true with qos 0', 'MQTT-3.3.1-2');
  if (qos > 0) {
    checkPacketId(packetId, version);
  } else if (packetId !== undefined) {
    // [MQTT-2.2.1-2] (3.1.1: [MQTT-2.3.1-5]) "A PUBLISH packet MUST NOT contain a Packet Identifier if its QoS is 0".
    throw malformed('packetId is given with qos 0', version === 5 ? 'MQTT-2.2.1-2' : 'MQTT-2.3.1-5');
  }
  const message: OutgoingPublish = {
    topicName: topic,
    payload: bytesOf('payload', packet.payload),
    qos,
    retain: flag('retain', packet.retain),
    properties,
  };
  const target = memoryFor(writer.measure(message, topic, version));
  writer.write(target, 0, message, packetId ?? 0, duplicate, true);
  return target;
}
