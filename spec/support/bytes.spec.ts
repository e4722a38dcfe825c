import { describe, expect, it } from '@jest/globals';
import {
  byByte,
  counted,
  fromHex,
  hex,
  join,
  packet,
  properties,
  splits,
  text,
  toHex,
  varint,
} from './bytes.ts';

describe('bytes', () => {
  it('hex reads pairs of digits in upper or lower case, across lines, with or without blanks', () => {
    expect(hex`40 02 00 0a`).toEqual(Uint8Array.of(0x40, 2, 0, 10));
    expect(hex`4002
      000A`).toEqual(Uint8Array.of(0x40, 2, 0, 10));
    expect(hex``).toEqual(new Uint8Array());
  });

  it('hex inserts bytes and single bytes at their place', () => {
    expect(hex`01 ${hex`02 03`} 04 ${255}`).toEqual(Uint8Array.of(1, 2, 3, 4, 255));
  });

  it.each(['4', '4 0', '40 0g', '0x40', '40,02', '40 020'])('refuses %j as hex', (wrong) => {
    expect(() => fromHex(wrong)).toThrow(TypeError);
  });

  it.each([-1, 256, 1.5, Number.NaN])('refuses %d as a byte', (wrong) => {
    expect(() => hex`${wrong}`).toThrow(RangeError);
  });

  it('toHex prints two digits per byte', () => {
    expect(toHex(Uint8Array.of(0, 10, 255))).toBe('00 0a ff');
    expect(toHex(new Uint8Array())).toBe('');
  });

  it('join keeps the order and copies', () => {
    const first = Uint8Array.of(1);
    const joined = join(first, new Uint8Array(), Uint8Array.of(2, 3));
    first[0] = 9;
    expect(joined).toEqual(Uint8Array.of(1, 2, 3));
  });

  it('text and counted write a two-byte length first', () => {
    expect(toHex(text('a/b'))).toBe('00 03 61 2f 62');
    expect(toHex(text('\u00e9'))).toBe('00 02 c3 a9');
    expect(toHex(counted(new Uint8Array(0x1234)).subarray(0, 3))).toBe('12 34 00');
  });

  it.each([
    [0, '00'],
    [127, '7f'],
    [128, '80 01'],
    [16_383, 'ff 7f'],
    [16_384, '80 80 01'],
    [2_097_152, '80 80 80 01'],
    [268_435_455, 'ff ff ff 7f'],
  ])('varint writes %d as %s', (value, bytes) => {
    expect(toHex(varint(value))).toBe(bytes);
  });

  it('packet writes the length of its parts', () => {
    expect(toHex(packet(0x40, hex`00 0a`))).toBe('40 02 00 0a');
    expect(toHex(packet(0x30, new Uint8Array(200)).subarray(0, 4))).toBe('30 c8 01 00');
  });

  it('properties writes the length of its parts, and 00 for none', () => {
    expect(toHex(properties())).toBe('00');
    expect(toHex(properties(hex`24 01`, hex`25 00`))).toBe('04 24 01 25 00');
  });

  it('byByte returns one chunk per byte, without access to adjacent bytes', () => {
    const chunks = byByte(hex`01 02 03`);
    expect(chunks).toEqual([hex`01`, hex`02`, hex`03`]);
    expect(chunks.every((chunk) => chunk.buffer.byteLength === 1)).toBe(true);
  });

  it('splits returns every split in two, without access from one part to the other', () => {
    const parts = splits(hex`01 02 03`);
    expect(parts).toEqual([
      [hex`01`, hex`02 03`],
      [hex`01 02`, hex`03`],
    ]);
    expect(parts.flat().every((part) => part.buffer.byteLength === part.length)).toBe(true);
    expect(splits(hex`01`)).toEqual([]);
    expect(splits(hex``)).toEqual([]);
  });
});
