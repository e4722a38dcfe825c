import { describe, expect, it } from '@jest/globals';
import { VARINT_MAX, varintSize, writeVarint } from '../../lib/codec/varint.ts';
import { toHex } from '../support/bytes.ts';

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
