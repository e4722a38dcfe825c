import { describe, expect, it } from '@jest/globals';
import { checkPacketId, Writer } from '../../lib/codec/writer.ts';
import { hex, toHex } from '../support/bytes.ts';

/** The packet that was written since `begin()`. */
function written(write: (writer: Writer) => void, size = 8): string {
  const writer = new Writer(undefined, size).begin(5);
  write(writer);
  return toHex(writer.finish(0x40));
}

describe('Writer', () => {
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
