/** A cursor over the body of one packet. Every read is checked against `end`. */

import type { ProtocolError } from '../errors.ts';
import { malformed, violation } from './errors.ts';
import type { ProtocolVersion } from './packets.ts';
import { isUtf8, portableText, readLossy, type Text } from './text.ts';
import { TopicCache } from './topic-cache.ts';

/** Longer strings seldom repeat. */
const LONGEST_CACHED = 64;

/** Up to this length a loop copies faster than the platform. */
const SHORT = 32;

const NOTHING = new Uint8Array(0);

export class Reader {
  bytes: Uint8Array = NOTHING;
  /** The next byte to read. */
  at = 0;
  /** The end of the packet, or of its properties while those are read. */
  end = 0;
  version: ProtocolVersion = 5;
  /** The approximate memory of the properties read last, beyond their bytes. */
  overhead = 0;
  readonly #text: Text;
  readonly #strings: TopicCache | undefined;

  /** @param caching whether short strings are cached, for packets whose strings repeat */
  constructor(text: Text = portableText, caching = false) {
    this.#text = text;
    if (caching) this.#strings = new TopicCache((bytes, start, end) => this.decode(bytes, start, end));
  }

  /** Starts reading `bytes[start, end)`. */
  reset(bytes: Uint8Array, start: number, end: number, version: ProtocolVersion): this {
    this.bytes = bytes;
    this.at = start;
    this.end = end;
    this.version = version;
    return this;
  }

  /** Drops the bytes that it read last. */
  release(): void {
    this.reset(NOTHING, 0, 0, this.version);
    this.#strings?.release();
  }

  /** Changes the version. The cached strings were not checked by its rules. */
  useVersion(version: ProtocolVersion): void {
    this.version = version;
    this.#strings?.clear();
  }

  get left(): number {
    return this.end - this.at;
  }

  /** Skips `count` bytes and returns the offset of the first. */
  take(count: number): number {
    const from = this.at;
    if (count > this.end - from)
      throw malformed('a field is longer than the packet or the properties that contain it', '2.1.4');
    this.at = from + count;
    return from;
  }

  u8(): number {
    return this.bytes[this.take(1)]!;
  }

  u16(): number {
    const from = this.take(2);
    return (this.bytes[from]! << 8) | this.bytes[from + 1]!;
  }

  u32(): number {
    const from = this.take(4);
    const { bytes } = this;
    return (
      ((bytes[from]! << 24) | (bytes[from + 1]! << 16) | (bytes[from + 2]! << 8) | bytes[from + 3]!) >>> 0
    );
  }

  varint(): number {
    let byte = this.u8();
    if (byte < 0x80) return byte;
    let value = byte & 0x7f;
    for (let shift = 7; shift < 28; shift += 7) {
      byte = this.u8();
      value |= (byte & 0x7f) << shift;
      if (byte >= 0x80) continue;
      // [MQTT-1.5.5-1] "The encoded value MUST use the minimum number of bytes necessary".
      if (byte === 0) throw malformed('a Variable Byte Integer is longer than necessary', 'MQTT-1.5.5-1');
      return value;
    }
    throw malformed('a Variable Byte Integer is longer than four bytes', '1.5.5');
  }

  utf8(): string {
    const length = this.u16();
    const from = this.take(length);
    if (length === 0) return '';
    return this.#strings !== undefined && length <= LONGEST_CACHED
      ? this.#strings.get(this.bytes, from, from + length)
      : this.decode(this.bytes, from, from + length);
  }

  /** The string of `bytes[start, end)`, by the rules of the version. */
  decode(bytes: Uint8Array, start: number, end: number): string {
    const s = this.#text.read(bytes, start, end);
    // 3.1 has neither of the rules below.
    if (this.version === 3) return s ?? readLossy(bytes, start, end);
    if (s === undefined) throw illFormed(this.version);
    if (s.includes('\0')) throw withNul(this.version);
    return s;
  }

  /** Skips a string of 5.0 and checks it. Allocates nothing. */
  skipUtf8(): void {
    const length = this.u16();
    const from = this.take(length);
    const { bytes, at } = this;
    if (!isUtf8(bytes, from, at)) throw illFormed(5);
    for (let i = from; i < at; i++) if (bytes[i] === 0) throw withNul(5);
  }

  /** Binary Data, as a copy: only the payload of a PUBLISH is a view. */
  binary(): Uint8Array {
    const length = this.u16();
    return this.copy(length);
  }

  /** A copy of the next `count` bytes, as a plain Uint8Array. */
  copy(count: number): Uint8Array {
    const from = this.take(count);
    const { bytes } = this;
    if (count > SHORT) return new Uint8Array(bytes.subarray(from, from + count));
    const copy = new Uint8Array(count);
    for (let i = 0; i < count; i++) copy[i] = bytes[from + i]!;
    return copy;
  }

  packetId(): number {
    const packetId = this.u16();
    // [MQTT-2.2.1-4] (3.1.1: [MQTT-2.3.1-4]) a Packet Identifier is non-zero.
    if (packetId === 0) throw zeroPacketId(this.version);
    return packetId;
  }

  /** The packet ends with its last field (2.1.4). */
  finish(): void {
    if (this.at !== this.end) {
      throw malformed(`the packet has ${this.end - this.at} more bytes after its last field`, '2.1.4');
    }
  }
}

function illFormed(version: ProtocolVersion): ProtocolError {
  return malformed('a string is not well-formed UTF-8', version === 5 ? 'MQTT-1.5.4-1' : 'MQTT-1.5.3-1');
}

function withNul(version: ProtocolVersion): ProtocolError {
  return malformed('a string contains U+0000', version === 5 ? 'MQTT-1.5.4-2' : 'MQTT-1.5.3-2');
}

/** The error for Packet Identifier 0 in a received packet. */
export function zeroPacketId(version: ProtocolVersion): ProtocolError {
  return violation('a Packet Identifier is 0', version === 5 ? 'MQTT-2.2.1-4' : 'MQTT-2.3.1-4');
}
