import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import type { ProtocolVersion } from '../../lib/codec/packets.ts';
import { Reader } from '../../lib/codec/reader.ts';
import { isUtf8, portableText, readLossy } from '../../lib/codec/text.ts';
import { VARINT_MAX, varintSize, writeVarint } from '../../lib/codec/varint.ts';
import { checkPacketId, Writer } from '../../lib/codec/writer.ts';
import { counted, hex, join, toHex } from '../support/bytes.ts';
import { refused } from '../support/codec.ts';
import { codePoints } from '../support/code-points.ts';

const over = (bytes: Uint8Array, version: ProtocolVersion = 5): Reader =>
  new Reader().reset(bytes, 0, bytes.length, version);

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

describe('Writer', () => {
  /** The packet that was written since `begin()`. */
  function written(write: (writer: Writer) => void, size = 8): string {
    const writer = new Writer(undefined, size).begin(5);
    write(writer);
    return toHex(writer.finish(0x40));
  }

  it('writes one field after another, and grows', () => {
    const packet = written((writer) => {
      writer.u8(1);
      writer.u16(0x0203);
      writer.u32(0xffff_fffe);
      writer.varint(128);
      writer.utf8('text', 'a');
      writer.binary('data', hex`08 09`);
      writer.raw(hex`0a`);
    });
    expect(packet).toBe('40 11 01 02 03 ff ff ff fe 80 01 00 01 61 00 02 08 09 0a');
  });

  it.each([0, 127, 128, 16_384, 70_000])('puts the length in front of %d bytes', (length) => {
    const writer = new Writer(undefined, 8).begin(5);
    writer.raw(new Uint8Array(length).fill(7));
    writer.prefix(5);
    expect(writer.finish(0x40).at(-1)).toBe(length === 0 ? 0 : 7);
  });

  it('returns packets that later ones do not overwrite', () => {
    const writer = new Writer();
    writer.begin(5).raw(new Uint8Array(100).fill(1));
    const first = writer.finish(0x40);
    writer.begin(5).raw(new Uint8Array(100).fill(2));
    const second = writer.finish(0x40);
    expect(first.at(-1)).toBe(1);
    expect(second.at(-1)).toBe(2);
  });

  it.each(['', 'a', 'é', 'x'.repeat(33), '\u{1F600}', 'é'.repeat(32_767)])('writes strings (%#)', (s) => {
    const writer = new Writer(undefined, 8).begin(5);
    writer.utf8('text', s);
    const bytes = writer.finish(0x40);
    const utf8 = new TextEncoder().encode(s);
    expect(toHex(bytes.slice(bytes.length - utf8.length))).toBe(toHex(utf8));
  });

  it.each([
    ['a\0', 'MQTT-1.5.4-2'],
    ['\uD800', 'MQTT-1.5.4-1'],
    [`${'x'.repeat(40)}\0`, 'MQTT-1.5.4-2'],
    ['x'.repeat(65_536), '1.5.4'],
    ['é'.repeat(32_768), '1.5.4'],
  ])('refuses illegal strings (%#)', (s, statement) => {
    expect(() => written((writer) => writer.utf8('text', s))).toThrow(
      expect.objectContaining({ name: 'ProtocolError', statement }),
    );
  });

  it('refuses a wrong type, and names the expected one', () => {
    expect(() => written((writer) => writer.utf8('text', 7))).toThrow('text: expected a string, got 7');
    expect(() => written((writer) => writer.binary('data', 'x'))).toThrow('data: expected a Uint8Array, got');
    expect(() => written((writer) => writer.binary('data', new Uint8Array(65_536)))).toThrow('[1.5.6]');
  });

  it('[MQTT-2.2.1-3] refuses Packet Identifiers outside 1 to 65,535', () => {
    expect(() => checkPacketId(0, 5)).toThrow('[MQTT-2.2.1-3]');
    expect(() => checkPacketId(0, 4)).toThrow('[MQTT-2.3.1-1]');
    expect(() => checkPacketId(65_536, 5)).toThrow(RangeError);
    expect(() => checkPacketId(undefined, 5)).toThrow(TypeError);
    expect(checkPacketId(65_535, 5)).toBe(65_535);
  });
});

describe('Variable Byte Integer', () => {
  it.each([
    [0, '00'],
    [127, '7f'],
    [128, '80 01'],
    [16_383, 'ff 7f'],
    [16_384, '80 80 01'],
    [2_097_151, 'ff ff 7f'],
    [2_097_152, '80 80 80 01'],
    [VARINT_MAX, 'ff ff ff 7f'],
  ])('[MQTT-1.5.5-1] writes %d in the fewest bytes: %s', (value, bytes) => {
    const target = new Uint8Array(6);
    const end = writeVarint(target, 1, value);
    expect(toHex(target.subarray(1, end))).toBe(bytes);
    expect(varintSize(value)).toBe(end - 1);
  });
});

const wellFormed = fc.string({ unit: codePoints, maxLength: 60 });

/** One of each way to be ill-formed. */
const ILL_FORMED = [
  hex`80`,
  hex`c0 80`,
  hex`c3`,
  hex`e0 80 80`,
  hex`ed a0 80`,
  hex`ed a0 bd ed b8 80`,
  hex`f0 80 80 80`,
  hex`f4 90 80 80`,
  hex`f5 80 80 80`,
  hex`61 62 e2 82`,
];

describe('portable text', () => {
  it('reads what it wrote, and knows the length before', () => {
    fc.assert(
      fc.property(wellFormed, (s) => {
        const target = new Uint8Array(4 * s.length + 2);
        const length = portableText.write(s, target, 1);
        expect([length, target[length + 1], portableText.read(target, 1, 1 + length)]).toEqual([
          portableText.byteLength(s),
          0,
          s,
        ]);
      }),
    );
  });

  it('keeps EF BB BF as U+FEFF, at the start too', () => {
    expect(portableText.read(hex`ef bb bf 61`, 0, 4)).toBe('\uFEFFa');
  });

  it('returns undefined for ill-formed bytes, short or long', () => {
    for (const bytes of ILL_FORMED) {
      expect(portableText.read(bytes, 0, bytes.length)).toBeUndefined();
      const long = new Uint8Array(100).fill(0x61);
      long.set(bytes, 90 - bytes.length);
      expect(portableText.read(long, 0, 90)).toBeUndefined();
    }
  });

  it('reads any text of MQTT 3.1', () => {
    expect(readLossy(hex`61 ff 62`, 0, 3)).toBe('a\uFFFDb');
  });
});

describe('isUtf8', () => {
  it('agrees with the platform about any bytes', () => {
    const decoder = new TextDecoder('utf-8', { fatal: true });
    const agrees = (bytes: Uint8Array): boolean => {
      try {
        decoder.decode(bytes);
        return isUtf8(bytes);
      } catch {
        return !isUtf8(bytes);
      }
    };
    for (const bytes of ILL_FORMED) expect(agrees(bytes)).toBe(true);
    fc.assert(fc.property(fc.uint8Array({ maxLength: 8 }), agrees), { numRuns: 500 });
    fc.assert(fc.property(wellFormed, (s) => isUtf8(new TextEncoder().encode(s))));
  });

  it('checks only the given range', () => {
    const bytes = hex`ff 61 c3 a9 ff`;
    expect(isUtf8(bytes, 1, 4)).toBe(true);
    expect(isUtf8(bytes, 1, 3)).toBe(false);
    expect(isUtf8(bytes, 3, 4)).toBe(false);
    expect(isUtf8(bytes, 4)).toBe(false);
    expect(isUtf8(bytes, 5)).toBe(true);
  });
});
