/**
 * The records of a stored session. Integers are big-endian; times are wall-clock times, in ms since 1970.
 *
 * ```
 * session          flags u8 (1: this store has seen the session begin), messages f64, bytes f64, last place f64
 * received         u16 for each Packet Identifier of a QoS 2 message from the server between PUBREC and PUBCOMP
 * m/<first>        a segment: for each message the time of its publish() f64, and its PUBLISH packet (5.0)
 * p/<first>        the progress of that segment: for each message u8, then u16 Packet Identifier, then f64 PUBREC order
 * w/<place>        a message of a segment that was withdrawn before it was read: empty
 * x/<old key>      a record that could not be read
 * ```
 *
 * Each value begins with the version of the layout (u8) and a checksum of what follows (u32). Places have 14 hexadecimal
 * digits, so that keys are ordered like places.
 */

import { copyOf } from '../bytes.ts';
import { Decoder } from '../codec/codec.ts';
import type { PublishPacket, PublishProperties } from '../codec/packets.ts';
import { PublishWriter, type OutgoingPublish } from '../codec/publish-writer.ts';
import type { Text } from '../codec/text.ts';
import type { Exchange } from './exchange.ts';
import { Progress, type Segment } from './segment.ts';
import type { StoreSizes } from './store-sizes.ts';

/** The layout that this version writes. It reads no other. */
export const LAYOUT = 1;

/** Bytes before the content of a value. */
const HEADER = 5;

export const SESSION_KEY = 'session';
export const RECEIVED_KEY = 'received';
export const MESSAGES = 'm/';
export const PROGRESS = 'p/';
export const WITHDRAWN = 'w/';
const UNREADABLE = 'x/';

/** Computes the checksum of bytes, an unsigned 32-bit integer. */
export type Checksum = (bytes: Uint8Array) => number;

/** The key of a record about a place in the order of calls. */
export function keyOf(prefix: string, place: number): string {
  return prefix + place.toString(16).padStart(14, '0');
}

export function placeOf(key: string): number {
  return Number.parseInt(key.substring(2), 16);
}

/** The key under which a record that cannot be read is kept. */
export function unreadableKeyOf(key: string): string {
  return UNREADABLE + key;
}

/** Behind all keys with `prefix`. */
export function endOf(prefix: string): string {
  return `${prefix}~`;
}

/** A message of a segment. */
export interface StoredMessage {
  readonly publish: PublishPacket;
  /** When `publish()` was called: wall-clock time in ms. */
  readonly calledAt: number;
}

/** What the record `session` says. */
export interface SessionFacts {
  /** Whether this store knows all Packet Identifiers under which the server may hold QoS 2 messages. */
  readonly isKnown: boolean;
  /** Messages that are not over. */
  readonly messages: number;
  /** Their bytes. */
  readonly bytes: number;
  /** The last place in the order of calls that was given. */
  readonly lastPlace: number;
}

function seal(value: Uint8Array, checksum: Checksum): Uint8Array {
  value[0] = LAYOUT;
  viewOf(value).setUint32(1, checksum(value.subarray(HEADER)));
  return value;
}

/** Whether `value` can be read: `newer` if another version has written it. */
export function inspect(value: Uint8Array, checksum: Checksum): 'sound' | 'newer' | 'damaged' {
  if (value.length < HEADER) return 'damaged';
  const isWhole = viewOf(value).getUint32(1) === checksum(value.subarray(HEADER));
  if (!isWhole) return 'damaged';
  return value[0] === LAYOUT ? 'sound' : 'newer';
}

function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}

export function sessionRecord(facts: SessionFacts, checksum: Checksum): Uint8Array {
  const value = new Uint8Array(HEADER + 25);
  const view = viewOf(value);
  view.setUint8(HEADER, facts.isKnown ? 1 : 0);
  view.setFloat64(HEADER + 1, facts.messages);
  view.setFloat64(HEADER + 9, facts.bytes);
  view.setFloat64(HEADER + 17, facts.lastPlace);
  return seal(value, checksum);
}

/** The facts of a sound record. */
export function readSession(value: Uint8Array): SessionFacts {
  const view = viewOf(value);
  return {
    isKnown: view.getUint8(HEADER) === 1,
    messages: view.getFloat64(HEADER + 1),
    bytes: view.getFloat64(HEADER + 9),
    lastPlace: view.getFloat64(HEADER + 17),
  };
}

export function receivedRecord(packetIds: ReadonlySet<number>, checksum: Checksum): Uint8Array {
  const value = new Uint8Array(HEADER + 2 * packetIds.size);
  const view = viewOf(value);
  let at = HEADER;
  for (const packetId of packetIds) {
    view.setUint16(at, packetId);
    at += 2;
  }
  return seal(value, checksum);
}

export function readReceived(value: Uint8Array): number[] {
  const view = viewOf(value);
  return Array.from({ length: (value.length - HEADER) >> 1 }, (_, i) => view.getUint16(HEADER + 2 * i));
}

export function progressRecord(segment: Segment, checksum: Checksum): Uint8Array {
  const value = new Uint8Array(HEADER + 11 * segment.count);
  const view = viewOf(value);
  let at = HEADER;
  for (let place = segment.first; place <= segment.last; place++) {
    const progress = segment.progressAt(place);
    view.setUint8(at++, progress);
    if (progress === Progress.Published || progress === Progress.Released) {
      view.setUint16(at, segment.packetIdAt(place));
      at += 2;
    }
    if (progress === Progress.Released) {
      view.setFloat64(at, segment.releaseAt(place));
      at += 8;
    }
  }
  return seal(value.subarray(0, at), checksum);
}

/** Takes over the progress of a sound record. Returns false if it does not fit `segment`. */
export function readProgress(value: Uint8Array, segment: Segment): boolean {
  const view = viewOf(value);
  let at = HEADER;
  try {
    for (let place = segment.first; place <= segment.last; place++) {
      const progress = view.getUint8(at++) as Progress;
      let packetId = 0;
      let release = 0;
      if (progress === Progress.Published || progress === Progress.Released) {
        packetId = view.getUint16(at);
        at += 2;
      }
      if (progress === Progress.Released) {
        release = view.getFloat64(at);
        at += 8;
      }
      segment.restore(place, progress, packetId, release);
    }
  } catch {
    return false;
  }
  return at === value.length;
}

/** Messages in one record. */
export interface WrittenSegment {
  readonly value: Uint8Array;
  /** Where the payload of each message ends in `value`. */
  readonly ends: readonly number[];
  readonly payloadLengths: readonly number[];
}

/** The payload of the message with this index, in the memory of the record. */
export function payloadIn({ value, ends, payloadLengths }: WrittenSegment, index: number): Uint8Array {
  const end = ends[index] as number;
  return value.subarray(end - (payloadLengths[index] as number), end);
}

/** Writes the records of messages. It keeps its memory from one segment to the next. */
export class SegmentWriter {
  readonly #writer: PublishWriter;
  readonly #checksum: Checksum;
  readonly #sizes: StoreSizes;
  #bytes = new Uint8Array(4_096);
  #view = viewOf(this.#bytes);
  #at = HEADER;

  constructor(text: Text, checksum: Checksum, sizes: StoreSizes) {
    this.#writer = new PublishWriter(text);
    this.#checksum = checksum;
    this.#sizes = sizes;
  }

  /**
   * Writes messages from `exchanges[from]` on, as many as fit into one segment. `toWallClock`: what to add to times of the
   * engine.
   */
  write(exchanges: readonly Exchange[], from: number, toWallClock: number): WrittenSegment {
    const ends: number[] = [];
    const payloadLengths: number[] = [];
    const { segmentMessages, segmentBytes } = this.#sizes;
    this.#at = HEADER;
    for (let i = from; i < exchanges.length && ends.length < segmentMessages; i++) {
      const exchange = exchanges[i] as Exchange;
      const message = withoutTopicAlias(exchange);
      const size = 8 + this.#writer.measure(message, exchange.topicName, 5);
      if (ends.length > 0 && this.#at + size > segmentBytes) break;
      this.#reserve(size);
      this.#view.setFloat64(this.#at, exchange.calledAt + toWallClock);
      this.#at = this.#writer.write(this.#bytes, this.#at + 8, message, 1, false);
      ends.push(this.#at);
      payloadLengths.push(this.#writer.payloadLength);
    }
    const value = copyOf(this.#bytes.subarray(0, this.#at));
    if (this.#bytes.length > 2 * segmentBytes) this.#use(new Uint8Array(4_096));
    return { value: seal(value, this.#checksum), ends, payloadLengths };
  }

  #reserve(size: number): void {
    const needed = this.#at + size;
    if (needed <= this.#bytes.length) return;
    const bytes = new Uint8Array(Math.max(needed, 2 * this.#bytes.length));
    bytes.set(this.#bytes.subarray(0, this.#at));
    this.#use(bytes);
  }

  #use(bytes: Uint8Array<ArrayBuffer>): void {
    this.#bytes = bytes;
    this.#view = viewOf(bytes);
  }
}

/** A Topic Alias ends with its connection, so no record has one. */
function withoutTopicAlias(exchange: Exchange): OutgoingPublish {
  if (exchange.properties?.topicAlias === undefined) return exchange;
  const { topicName, payload, qos, retain } = exchange;
  const { topicAlias: _, ...properties }: PublishProperties = exchange.properties;
  return { topicName, payload, qos, retain, properties };
}

/** The messages of a sound segment, or undefined if it cannot be read after all. Payloads are views of `value`. */
export function readSegment(value: Uint8Array): StoredMessage[] | undefined {
  const view = viewOf(value);
  const decoder = new Decoder({ protocolVersion: 5, receiver: 'server' });
  const messages: StoredMessage[] = [];
  try {
    for (let at = HEADER; at < value.length;) {
      const calledAt = view.getFloat64(at);
      const end = endOfPacket(value, at + 8);
      decoder.push(value.subarray(at + 8, end));
      const publish = decoder.next();
      if (publish?.type !== 'publish') return undefined;
      messages.push({ publish, calledAt });
      at = end;
    }
  } catch {
    return undefined;
  }
  return messages;
}

/** The offset behind the packet at `at`. */
function endOfPacket(bytes: Uint8Array, at: number): number {
  let length = 0;
  for (let i = 0; i < 4; i++) {
    const byte = bytes[at + 1 + i] ?? 0;
    length += (byte & 0x7f) * 128 ** i;
    if (byte < 0x80) return at + 2 + i + length;
  }
  return bytes.length + 1;
}
