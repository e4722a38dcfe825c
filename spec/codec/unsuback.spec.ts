import { describe, expect, it } from '@jest/globals';
import { encode, readPacket } from '../../lib/codec/codec.ts';
import { hex, toHex } from '../support/bytes.ts';

const unsuback = { type: 'unsuback', packetId: 10 } as const;

describe('UNSUBACK', () => {
  it('has codes on 5.0 only', () => {
    expect(toHex(encode({ ...unsuback, reasonCodes: [0, 0x11] }, 5))).toBe('b0 05 00 0a 00 00 11');
    expect(toHex(encode(unsuback, 4))).toBe('b0 02 00 0a');
    expect(() => encode({ ...unsuback, reasonCodes: [0] }, 4)).toThrow(TypeError);
    expect(readPacket(hex`b0 02 00 0a`, 0xb0, 2, 4, 4, 'client')).toMatchObject({ reasonCodes: [] });
  });

  it('[MQTT-3.11.3-1] has at least one code, of its own set', () => {
    expect(() => encode(unsuback, 5)).toThrow('[MQTT-3.11.3-1]');
    expect(() => readPacket(hex`b0 03 00 0a 00`, 0xb0, 2, 5, 5, 'client')).toThrow('[MQTT-3.11.3-1]');
    expect(() => readPacket(hex`b0 04 00 0a 00 01`, 0xb0, 2, 6, 5, 'client')).toThrow('[MQTT-3.11.3-2]');
  });
});
