import { ProtocolError } from '../errors.ts';
import { isPlainTopicName, topicNameError } from '../topic/names.ts';
import { bytesOf, flag, malformed, qosOf, wrongType } from './errors.ts';
import { memoryFor } from './memory.ts';
import { Header } from './packet-type.ts';
import { NO_PROPERTIES, type ProtocolVersion, type PublishProperties, type QoS } from './packets.ts';
import { refuseProperties, writeEach } from './properties.ts';
import { isUtf8, portableText, type Text } from './text.ts';
import { VARINT_MAX, varintSize, writeVarint } from './varint.ts';
import { checkPacketId, checkText, Writer, type Encodable } from './writer.ts';

const DUP = 0x08;
const RETAIN = 0x01;
const NOTHING = new Uint8Array(0);

export interface OutgoingPublish {
  readonly topicName: string;
  readonly payload: Uint8Array | string;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly properties: PublishProperties | undefined;
}

/** At most so many topics are kept encoded. Then no more are added, so that the cache never thrashes. */
const CACHED_TOPICS = 256;
/** Longer topics are encoded each time, which bounds the cache. */
const LONGEST_CACHED = 1024;

const TOPIC_ALIAS = 0x23;
/** Bytes of a Topic Alias among the properties. */
const TOPIC_ALIAS_SIZE = 3;

/** The memory of larger properties is not kept. */
const LARGEST_SPARE = 64 * 1024;

/** Writes PUBLISH packets. For each, `measure()` comes first: `write()` relies on its results. */
export class PublishWriter {
  /** Bytes of payload in the measured packet. */
  payloadLength = 0;

  readonly #text: Text;
  #lastTopic = '';
  #lastBytes: Uint8Array = NOTHING;
  /** Made with the second topic. */
  #topics: Map<string, Uint8Array> | undefined;

  // Results of measure() for write().
  #topicName = '';
  /** The encoded topic; undefined: write() encodes it in place. */
  #topicBytes: Uint8Array | undefined;
  #topicLength = 0;
  #remainingLength = 0;
  #version: ProtocolVersion = 5;
  /** Holds the encoded properties; made for the first message that has properties. */
  #properties: Writer | undefined;
  /** A view of them. Messages of one kind have properties of one length, so it is seldom made anew. */
  #propertyBytes: Uint8Array = NOTHING;
  #propertyBytesOf: Uint8Array = NOTHING;
  #propertiesLength = 0;
  /** 0: those of the message are all properties. */
  #topicAlias = 0;

  constructor(text: Text = portableText) {
    this.#text = text;
  }

  /**
   * hot: checks a message and computes the size of its packet.
   * @param topicName empty where a Topic Alias stands for it
   * @param topicAlias one that is written besides the properties of the message, which has none; 0 = none
   * @returns the size of the whole packet
   */
  measure(
    message: OutgoingPublish,
    topicName: string,
    version: ProtocolVersion,
    topicAlias: number = 0,
  ): number {
    if (topicName === '') this.#useNoTopic(topicAlias || message.properties?.topicAlias, version);
    else if (topicName !== this.#lastTopic) this.#useTopic(topicName, version);
    else {
      this.#topicBytes = this.#lastBytes;
      this.#topicLength = this.#lastBytes.length;
    }
    const { payload, properties } = message;
    let propertiesLength = 0;
    if (properties !== undefined && properties !== NO_PROPERTIES)
      propertiesLength = this.#encodeProperties(properties, message.payload, version);
    if (topicAlias > 0) propertiesLength += TOPIC_ALIAS_SIZE;
    const payloadLength = typeof payload === 'string' ? this.#sizeOf(payload) : payload.length;
    const remainingLength =
      2 +
      this.#topicLength +
      (message.qos > 0 ? 2 : 0) +
      (version === 5 ? varintSize(propertiesLength) + propertiesLength : 0) +
      payloadLength;
    if (remainingLength > VARINT_MAX) {
      throw new ProtocolError(
        `PUBLISH has a Remaining Length of ${remainingLength} bytes, more than the protocol can express`,
        '2.1.4',
        0x95,
      );
    }
    this.#version = version;
    this.#propertiesLength = propertiesLength;
    this.#topicAlias = topicAlias;
    this.#remainingLength = remainingLength;
    this.payloadLength = payloadLength;
    return 1 + varintSize(remainingLength) + remainingLength;
  }

  /**
   * hot: writes the packet of the message that was measured last.
   * @param packetId ignored with QoS 0
   * @returns the offset behind the packet
   */
  write(
    target: Uint8Array,
    at: number,
    message: OutgoingPublish,
    packetId: number,
    duplicate: boolean,
  ): number {
    const { payload } = message;
    const offset = this.writeHeader(target, at, message, packetId, duplicate);
    if (typeof payload !== 'string') target.set(payload, offset);
    else if (payload.length > 0) this.#text.write(payload, target, offset);
    return offset + this.payloadLength;
  }

  /** hot: the same without the payload. */
  writeHeader(
    target: Uint8Array,
    at: number,
    message: OutgoingPublish,
    packetId: number,
    duplicate: boolean,
  ): number {
    const { qos } = message;
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
      let length = this.#propertiesLength;
      offset = writeVarint(target, offset, length);
      if (this.#topicAlias > 0) {
        target[offset] = TOPIC_ALIAS;
        target[offset + 1] = this.#topicAlias >>> 8;
        target[offset + 2] = this.#topicAlias;
        offset += TOPIC_ALIAS_SIZE;
        length -= TOPIC_ALIAS_SIZE;
      }
      if (length > 0) {
        target.set(this.#propertyBytes, offset);
        offset += length;
        if (length > LARGEST_SPARE) this.#dropProperties();
      }
    }
    return offset;
  }

  /** Memory that grew for large properties is not kept. */
  #dropProperties(): void {
    this.#properties = undefined;
    this.#propertyBytes = NOTHING;
    this.#propertyBytesOf = NOTHING;
  }

  #sizeOf(payload: string): number {
    if (!payload.isWellFormed()) {
      throw new TypeError('payload: expected a string without lone surrogates, which UTF-8 cannot encode');
    }
    return this.#text.byteLength(payload);
  }

  #useNoTopic(topicAlias: number | undefined, version: ProtocolVersion): void {
    // 3.3.2.1: only a Topic Alias may stand for the Topic Name.
    if (version !== 5 || topicAlias === undefined)
      throw new ProtocolError('PUBLISH has neither a Topic Name nor a Topic Alias', 'MQTT-4.7.3-1', 0x90);
    this.#topicBytes = NOTHING;
    this.#topicLength = 0;
  }

  /** Finds the encoded topic in the cache, or checks and encodes it. */
  #useTopic(topicName: string, version: ProtocolVersion): void {
    let bytes = this.#topics?.get(topicName);
    if (bytes === undefined) {
      this.#topicName = topicName;
      this.#topicLength = isPlainTopicName(topicName)
        ? topicName.length
        : this.#checkedLength(topicName, version);
      bytes = this.#admit(topicName);
      this.#topicBytes = bytes;
      if (bytes === undefined) return;
    }
    this.#lastTopic = topicName;
    this.#lastBytes = bytes;
    this.#topicBytes = bytes;
    this.#topicLength = bytes.length;
  }

  /** Checks a Topic Name. Returns its size in bytes. */
  #checkedLength(topicName: string, version: ProtocolVersion): number {
    // [MQTT-3.3.2-2] no wildcards, [MQTT-4.7.3-1] to [MQTT-4.7.3-3] not empty, no U+0000, at most 65,535 bytes.
    const error = topicNameError(topicName);
    if (error !== undefined) {
      checkText('PUBLISH', topicName, version);
      throw new ProtocolError(`PUBLISH: ${error}`, 'MQTT-3.3.2-2', 0x90);
    }
    return this.#text.byteLength(topicName);
  }

  #admit(topicName: string): Uint8Array | undefined {
    const topics = (this.#topics ??= new Map());
    if (topics.size >= CACHED_TOPICS || this.#topicLength > LONGEST_CACHED) return undefined;
    const bytes = new Uint8Array(this.#topicLength);
    this.#text.write(topicName, bytes, 0);
    topics.set(topicName, bytes);
    return bytes;
  }

  #encodeProperties(
    properties: PublishProperties,
    payload: Uint8Array | string,
    version: ProtocolVersion,
  ): number {
    if (version !== 5) {
      refuseProperties(properties, version);
      return 0;
    }
    const writer = (this.#properties ??= new Writer(this.#text));
    writer.at = 0;
    writer.version = version;
    writeEach(writer, 'publish', properties);
    checkFormat(properties.payloadFormatIndicator, payload);
    if (writer.at !== this.#propertyBytes.length || writer.bytes !== this.#propertyBytesOf) {
      this.#propertyBytes = writer.bytes.subarray(0, writer.at);
      this.#propertyBytesOf = writer.bytes;
    }
    return writer.at;
  }
}

/** With Payload Format Indicator 1 the payload is well-formed UTF-8 (3.3.2.3.2). Strings are checked elsewhere. */
export function checkFormat(payloadFormatIndicator: number | undefined, payload: Uint8Array | string): void {
  if (payloadFormatIndicator === 1 && typeof payload !== 'string' && !isUtf8(payload)) {
    throw new ProtocolError(
      'payloadFormatIndicator is 1, but the payload is not well-formed UTF-8',
      '3.3.2.3.2',
      0x99,
    );
  }
}

export function encodePublish(
  writer: PublishWriter,
  packet: Encodable<'publish'>,
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
  writer.write(target, 0, message, packetId ?? 0, duplicate);
  return target;
}
