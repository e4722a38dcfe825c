/**
 * PUBLISH (3.3): the hot path, and the only place where received bytes are passed on without a copy.
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

import type { ProtocolError } from '../errors.ts';
import { hasWildcard } from '../topic/filters.ts';
import { isPlainTopicName, topicNameError } from '../topic/names.ts';
import { hex, malformed, violation } from './errors.ts';
import { IdentifiedProperties } from './identified-properties.ts';
import type { Frame, Receiver } from './packet-type.ts';
import {
  NO_PROPERTIES,
  type ProtocolVersion,
  type PublishPacket,
  type PublishProperties,
  type QoS,
} from './packets.ts';
import { readProperties } from './properties.ts';
import { Reader, zeroPacketId } from './reader.ts';
import { portableText, type Text } from './text.ts';
import { TopicCache } from './topic-cache.ts';

const DUP = 0x08;
const RETAIN = 0x01;
const NOTHING = new Uint8Array(0);
const TOPIC_ALIAS = 0x23;
/** The reader keeps the memory of the packet that it read, up to this size in bytes, until the next one. */
const LARGEST_KEPT = 131_072;

/** Reads one PUBLISH after another into the same fields. */
export class PublishReader {
  /** The Topic Name; the same string object for the same bytes while they are cached. Empty: there is a Topic Alias. */
  topic = '';
  qos: QoS = 0;
  retain = false;
  duplicate = false;
  /** 0 with QoS 0. */
  packetId = 0;
  /** `NO_PROPERTIES` also where there is nothing but a Topic Alias. */
  properties: PublishProperties = NO_PROPERTIES;
  /** 0 = none. */
  topicAlias = 0;
  /** The approximate memory of the properties, in bytes. */
  propertiesSize = 0;
  /** The payload is `bytes[payloadStart, payloadEnd)`. */
  bytes: Uint8Array = NOTHING;
  payloadStart = 0;
  payloadEnd = 0;

  /** The memory behind `bytes`: reading it from `bytes` each time costs more than making the view of the payload. */
  #buffer: ArrayBufferLike = NOTHING.buffer;
  #byteOffset = 0;
  /** The size of the packet, without its fixed header. */
  #size = 0;
  readonly #reader: Reader;
  readonly #identified = new IdentifiedProperties();
  readonly #topics: TopicCache;
  /** The version by whose rules the cached topics were checked. */
  #version: ProtocolVersion = 5;

  constructor(text: Text = portableText) {
    const reader = new Reader(text, true);
    this.#reader = reader;
    this.#topics = new TopicCache((bytes, start, end) => {
      // Almost every Topic Name is ASCII. All versions agree about those.
      const plain = text.readAscii(bytes, start, end);
      if (isPlainTopicName(plain)) return plain;
      const topic = reader.decode(bytes, start, end);
      checkReceivedTopic(topic, this.#version);
      return topic;
    });
  }

  /** hot: reads the PUBLISH with first byte `header` and body `bytes[start, end)`. */
  read(bytes: Uint8Array, header: number, start: number, end: number, version: ProtocolVersion): void {
    const qos = (header >> 1) & 3;
    if (qos === 3 || (header & (DUP | 0x06)) === DUP) checkFlags(header, version);
    if (version !== this.#version) this.#useVersion(version);
    let at = start + 2;
    if (at > end) throw truncated();
    const topicLength = (bytes[start]! << 8) | bytes[start + 1]!;
    const topicEnd = at + topicLength;
    if (topicEnd > end) throw truncated();
    const topic = topicLength === 0 ? '' : this.#topics.get(bytes, at, topicEnd);
    at = topicEnd;
    let packetId = 0;
    if (qos > 0) {
      if (at + 2 > end) throw truncated();
      packetId = (bytes[at]! << 8) | bytes[at + 1]!;
      // [MQTT-2.2.1-4] (3.1.1: [MQTT-2.3.1-4]) the Packet Identifier is non-zero.
      if (packetId === 0) throw zeroPacketId(version);
      at += 2;
    }
    this.properties = NO_PROPERTIES;
    this.propertiesSize = 0;
    this.topicAlias = 0;
    if (version === 5) {
      if (at < end && bytes[at] === 0) at++;
      else at = this.#readProperties(bytes, at, end);
    }
    if (topicLength === 0 && this.topicAlias === 0) throw noTopic(version);
    this.topic = topic;
    this.qos = qos as QoS;
    this.retain = (header & RETAIN) !== 0;
    this.duplicate = (header & DUP) !== 0;
    this.packetId = packetId;
    if (bytes !== this.bytes) this.#useBytes(bytes);
    this.payloadStart = at;
    this.payloadEnd = end;
    this.#size = end - start;
  }

  /** hot: a view of the payload, as a plain Uint8Array. The caller must `retain()` the packet in the framer. */
  payload(): Uint8Array {
    const { payloadStart } = this;
    return new Uint8Array(this.#buffer, this.#byteOffset + payloadStart, this.payloadEnd - payloadStart);
  }

  /**
   * hot: `topicName` takes the place of the Topic Alias, which means nothing outside of this Network Connection: the
   * application may publish a message with these properties again.
   */
  resolveTopicAlias(topicName: string): void {
    this.topic = topicName;
    if (this.properties !== NO_PROPERTIES)
      (this.properties as { topicAlias?: number | undefined }).topicAlias = undefined;
  }

  /**
   * hot: the packet was processed. The memory of a large packet is released, as it may be long until the next PUBLISH.
   */
  release(): void {
    if (this.#size <= LARGEST_KEPT) return;
    this.#useBytes(NOTHING);
    this.#topics.release();
    this.#reader.release();
    this.payloadStart = 0;
    this.payloadEnd = 0;
  }

  /** Reads properties that are not empty. Returns the offset behind them. A Topic Alias or one Subscription Identifier alone
   * makes no object. */
  #readProperties(bytes: Uint8Array, at: number, end: number): number {
    if (bytes[at] === 3 && bytes[at + 1] === TOPIC_ALIAS && at + 4 <= end) {
      this.topicAlias = (bytes[at + 2]! << 8) | bytes[at + 3]!;
      if (this.topicAlias > 0) return at + 4;
    }
    const identified = this.#identified.read(bytes, at, end);
    if (identified !== undefined) {
      this.properties = identified.properties;
      this.propertiesSize = identified.size;
      return at + identified.length;
    }
    const reader = this.#reader.reset(bytes, at, end, 5);
    const properties = readProperties(reader, 'publish');
    this.properties = properties;
    this.propertiesSize = reader.at - at + reader.overhead;
    this.topicAlias = properties.topicAlias ?? 0;
    return reader.at;
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

function truncated(): ProtocolError {
  return malformed('PUBLISH ends before the end of its variable header', '2.1.4');
}

function checkFlags(header: number, version: ProtocolVersion): void {
  // [MQTT-3.3.1-4] "A PUBLISH Packet MUST NOT have both QoS bits set to 1".
  if ((header & 0x06) === 0x06)
    throw malformed(`PUBLISH has QoS 3 (first byte ${hex(header)})`, 'MQTT-3.3.1-4');
  // [MQTT-3.3.1-2] "The DUP flag MUST be set to 0 for all QoS 0 messages". 3.1 only gives it no meaning there.
  if (version !== 3)
    throw malformed(`PUBLISH has DUP with QoS 0 (first byte ${hex(header)})`, 'MQTT-3.3.1-2');
}

function checkReceivedTopic(topic: string, version: ProtocolVersion): void {
  // [MQTT-3.3.2-2] "The Topic Name in the PUBLISH packet MUST NOT contain wildcard characters". 3.1 allows the rest.
  const error =
    version === 3
      ? hasWildcard(topic)
        ? 'expected a Topic Name without the wildcards + and #'
        : undefined
      : topicNameError(topic);
  if (error !== undefined) throw violation(`PUBLISH: ${error}`, 'MQTT-3.3.2-2');
}

function noTopic(version: ProtocolVersion): ProtocolError {
  // 3.3.2.1: "It is a Protocol Error if the Topic Name is zero length and there is no Topic Alias".
  return violation(
    'PUBLISH has neither a Topic Name nor a Topic Alias',
    version === 5 ? '3.3.2.1' : 'MQTT-4.7.3-1',
  );
}

export function readPublish(
  publish: PublishReader,
  { bytes, header, start, end }: Frame,
  version: ProtocolVersion,
  receiver: Receiver,
): PublishPacket {
  publish.read(bytes, header, start, end, version);
  const { topic, qos, retain, duplicate, packetId, topicAlias } = publish;
  const properties =
    topicAlias > 0 && publish.properties === NO_PROPERTIES ? { topicAlias } : publish.properties;
  // [MQTT-3.3.4-6] "A PUBLISH packet sent from a Client to a Server MUST NOT contain a Subscription Identifier".
  if (receiver === 'server' && properties.subscriptionIdentifiers !== undefined) {
    throw violation('PUBLISH from a client has a Subscription Identifier', 'MQTT-3.3.4-6');
  }
  const payload = publish.payload();
  return qos === 0
    ? { type: 'publish', topic, payload, qos, retain, duplicate, properties }
    : { type: 'publish', topic, payload, qos, retain, duplicate, packetId, properties };
}
