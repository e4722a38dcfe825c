import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { Reader } from '../../lib/codec/reader.ts';
import type { ProtocolVersion } from '../../lib/codec/packets.ts';
import { counted, hex, join } from '../support/bytes.ts';
import { codePoints } from '../support/code-points.ts';

const over = (bytes: Uint8Array, version: ProtocolVersion = 5): Reader =>
  new Reader().reset(bytes, 0, bytes.length, version);

const refused = (statement: string, reasonCode = 0x81): unknown =>
  expect.objectContaining({ name: 'ProtocolError', statement, reasonCode });

describe('Reader', () => {
  it('reads one field after another', () => {
    const reader = over(hex`01 02 03 ff ff ff ff 80 01 00 01 61 00 02 08 09`);
    expect(reader.u8()).toBe(1);
    expect(reader.u16()).toBe(0x0203);
    expect(reader.u32()).toBe(0xffff_ffff);
    expect(reader.varint()).toBe(128);
    expect(reader.utf8()).toBe('a');
    expect(reader.binary()).toEqual(hex`08 09`);
    expect(() => reader.finish()).not.toThrow();
  });

  it.each(['u8', 'u16', 'u32', 'varint', 'utf8', 'binary', 'packetId'] as const)(
    '%s does not read past the end',
    (verb) => {
      const reader = new Reader().reset(hex`80 ff ff ff ff ff`, 0, verb === 'u8' ? 0 : 1, 5);
      expect(() => reader[verb]()).toThrow(refused('2.1.4'));
    },
  );

  it('skips a string like it reads one, and refuses the same strings', () => {
    const outcomeOf = (read: (reader: Reader) => unknown, bytes: Uint8Array): unknown => {
      const reader = over(bytes);
      try {
        read(reader);
        return reader.at;
      } catch (error) {
        return String(error);
      }
    };
    const agrees = (bytes: Uint8Array): boolean =>
      outcomeOf((reader) => reader.skipUtf8(), bytes) === outcomeOf((reader) => reader.utf8(), bytes);
    for (const bytes of [
      hex``,
      hex`00`,
      hex`00 00`,
      hex`00 01`,
      hex`00 01 00 61`,
      hex`00 01 ff`,
      hex`00 02 00 ff`,
    ])
      expect(agrees(bytes)).toBe(true);
    const strings = fc.oneof(
      fc.uint8Array({ maxLength: 6 }),
      fc.string({ unit: codePoints, maxLength: 30 }).map((s) => new TextEncoder().encode(s)),
    );
    fc.assert(
      fc.property(strings, (bytes) => agrees(join(counted(bytes), hex`c3 a9`))),
      { numRuns: 200 },
    );
  });

  it('refuses bytes after the last field', () => {
    expect(() => over(hex`00`).finish()).toThrow(refused('2.1.4'));
  });

  it('[MQTT-1.5.5-1] refuses a Variable Byte Integer in more bytes than necessary, and one of five bytes', () => {
    expect(() => over(hex`80 00`).varint()).toThrow(refused('MQTT-1.5.5-1'));
    expect(() => over(hex`80 80 80 80 01`).varint()).toThrow(refused('1.5.5'));
  });

  it('refuses ill-formed UTF-8 and U+0000 by the statements of the version', () => {
    expect(() => over(hex`00 01 ff`, 5).utf8()).toThrow(refused('MQTT-1.5.4-1'));
    expect(() => over(hex`00 01 ff`, 4).utf8()).toThrow(refused('MQTT-1.5.3-1'));
    expect(() => over(hex`00 01 00`, 5).utf8()).toThrow(refused('MQTT-1.5.4-2'));
    expect(() => over(hex`00 01 00`, 4).utf8()).toThrow(refused('MQTT-1.5.3-2'));
  });

  it('accepts any text on 3.1', () => {
    expect(over(hex`00 02 ff 00`, 3).utf8()).toBe('\uFFFD\0');
  });

  it('refuses Packet Identifier 0', () => {
    expect(() => over(hex`00 00`).packetId()).toThrow(refused('MQTT-2.2.1-4', 0x82));
  });

  it('copies binary data, short and long, from a Buffer too', () => {
    for (const length of [0, 1, 32, 33, 300]) {
      const bytes = Buffer.alloc(length, 7);
      const copy = over(bytes).copy(length);
      bytes.fill(8);
      expect(copy.constructor).toBe(Uint8Array);
      expect(copy).toEqual(new Uint8Array(length).fill(7));
    }
  });

  it('does not use cached strings under the rules of another version', () => {
    const reader = new Reader(undefined, true);
    const bytes = hex`00 01 ff`;
    for (let i = 0; i < 3; i++) expect(reader.reset(bytes, 0, 3, 3).utf8()).toBe('\uFFFD');
    reader.useVersion(5);
    expect(() => reader.reset(bytes, 0, 3, 5).utf8()).toThrow(refused('MQTT-1.5.4-1'));
  });
});
