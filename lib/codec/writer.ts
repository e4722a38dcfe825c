/**
 * A growing buffer that packets are written into. Strings and binary data are checked here, so that no packet can be
 * written with an illegal one.
 */

import { bytesOf, integer, malformed, stringOf, wrongType } from './errors.ts';
import { memoryFor } from './memory.ts';
import type { EncodablePacket, ProtocolVersion } from './packets.ts';
import { portableText, type Text } from './text.ts';
import { VARINT_MAX, varintSize, writeVarint } from './varint.ts';

/** The first byte and the longest Remaining Length: `begin` leaves room for them, `finish` fills it from its end. */
const FIXED_HEADER = 5;

/** Up to this length a loop over ASCII is faster than the platform. */
const SHORT = 32;

/** A packet of one type, or of several, to encode. */
export type Encodable<Type extends EncodablePacket['type']> = Extract<EncodablePacket, { type: Type }>;

export class Writer {
  /** Replaced when it grows. */
  bytes: Uint8Array;
  /** Where the next byte goes. */
  at = 0;
  version: ProtocolVersion = 5;
  readonly #text: Text;

  constructor(text: Text = portableText, size = 256) {
    this.#text = text;
    this.bytes = new Uint8Array(size);
  }

  /** Starts a packet: its body follows. */
  begin(version: ProtocolVersion): this {
    this.version = version;
    this.at = FIXED_HEADER;
    return this;
  }

  /** Writes the fixed header in front of the body. Returns a copy of the packet. */
  finish(header: number): Uint8Array {
    const length = this.at - FIXED_HEADER;
    if (length > VARINT_MAX)
      throw malformed(
        `the packet has a Remaining Length of ${length} bytes, more than the protocol can express`,
        '2.1.4',
      );
    const start = FIXED_HEADER - 1 - varintSize(length);
    this.bytes[start] = header;
    writeVarint(this.bytes, start + 1, length);
    const packet = memoryFor(this.at - start);
    packet.set(this.bytes.subarray(start, this.at));
    return packet;
  }

  /** Makes room for `count` bytes. */
  ensure(count: number): void {
    const needed = this.at + count;
    if (needed <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.bytes.length * 2));
    grown.set(this.bytes.subarray(0, this.at));
    this.bytes = grown;
  }

  u8(value: number): void {
    this.ensure(1);
    this.bytes[this.at++] = value;
  }

  u16(value: number): void {
    this.ensure(2);
    this.bytes[this.at++] = value >>> 8;
    this.bytes[this.at++] = value;
  }

  u32(value: number): void {
    this.u16(value >>> 16);
    this.u16(value & 0xffff);
  }

  varint(value: number): void {
    this.ensure(4);
    this.at = writeVarint(this.bytes, this.at, value);
  }

  packetId(value: unknown): void {
    this.u16(checkPacketId(value, this.version));
  }

  /** A UTF-8 Encoded String (1.5.4). `what` is its name in errors. */
  utf8(what: string, value: unknown): void {
    const s = stringOf(what, value);
    this.ensure(2 + 3 * s.length);
    const start = this.at + 2;
    let length = s.length <= SHORT ? this.#ascii(s, start) : -1;
    if (length < 0) {
      checkText(what, s, this.version);
      length = this.#text.write(s, this.bytes, start);
      if (length > 0xffff)
        throw malformed(`${what} has ${length} bytes, more than the 65,535 of a string`, '1.5.4');
    }
    this.bytes[start - 2] = length >>> 8;
    this.bytes[start - 1] = length;
    this.at = start + length;
  }

  /** Writes a string of U+0001 to U+007F, which needs no check. Returns -1 for any other. */
  #ascii(s: string, start: number): number {
    const { bytes } = this;
    for (let i = 0; i < s.length; i++) {
      const unit = s.charCodeAt(i);
      if (unit === 0 || unit > 0x7f) return -1;
      bytes[start + i] = unit;
    }
    return s.length;
  }

  /** Binary Data (1.5.6). */
  binary(what: string, value: unknown): void {
    const data = bytesOf(what, value);
    if (data.length > 0xffff) {
      throw malformed(`${what} has ${data.length} bytes, more than the 65,535 of Binary Data`, '1.5.6');
    }
    this.u16(data.length);
    this.raw(data);
  }

  raw(data: Uint8Array): void {
    this.ensure(data.length);
    this.bytes.set(data, this.at);
    this.at += data.length;
  }

  /** Inserts, at `start`, the length of everything written since. */
  prefix(start: number): void {
    const length = this.at - start;
    const size = varintSize(length);
    this.ensure(size);
    this.bytes.copyWithin(start + size, start, this.at);
    writeVarint(this.bytes, start, length);
    this.at += size;
  }
}

/** Refuses a string that is not allowed in a packet. */
export function checkText(what: string, s: string, version: ProtocolVersion): void {
  // [MQTT-1.5.4-1] (3.1.1: [MQTT-1.5.3-1]) no lone surrogates: the platform's encoder would write U+FFFD silently.
  if (!s.isWellFormed()) {
    throw malformed(`${what} has a lone surrogate`, version === 5 ? 'MQTT-1.5.4-1' : 'MQTT-1.5.3-1');
  }
  // [MQTT-1.5.4-2] (3.1.1: [MQTT-1.5.3-2]) no U+0000.
  if (s.includes('\0')) {
    throw malformed(`${what} contains U+0000`, version === 5 ? 'MQTT-1.5.4-2' : 'MQTT-1.5.3-2');
  }
}

export function checkPacketId(value: unknown, version: ProtocolVersion): number {
  if (value === undefined) throw wrongType('packetId', 'an integer of 1 to 65535', value);
  const packetId = integer('packetId', value, 0, 0xffff);
  // [MQTT-2.2.1-3] (3.1.1: [MQTT-2.3.1-1]) a Packet Identifier is non-zero.
  if (packetId === 0) throw malformed('packetId is 0', version === 5 ? 'MQTT-2.2.1-3' : 'MQTT-2.3.1-1');
  return packetId;
}
