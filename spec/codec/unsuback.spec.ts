import { describe, expect, it } from '@jest/globals';
import { encode } from '../../lib/codec/codec.ts';
import { readPacket } from '../../lib/codec/read-packet.ts';
import { hex, toHex } from '../support/bytes.ts';

const unsuback = { type: 'unsuback', packetId: 10 } as const;

describe('UNSUBACK', () => {
  it('has Reason Codes on 5.0 only', () => {
    expect(toHex(encode({ ...unsuback, reasonCodes: [0, 0x11] }, 5))).toBe('b0 05 00 0a 00 00 11');
    expect(toHex(encode(unsuback, 4))).toBe('b0 02 00 0a');
    expect(() => encode({ ...unsuback, reasonCodes: [0] }, 4)).toThrow(TypeError);
    expect(
      readPacket({ bytes: hex`b0 02 00 0a`, header: 0xb0, start: 2, end: 4 }, 4, 'client'),
    ).toMatchObject({ reasonCodes: [] });
  });

  it('[MQTT-3.11.3-1] has at least one Reason Code, from its own set', () => {
    expect(() => encode(unsuback, 5)).toThrow('[MQTT-3.11.3-1]');
    expect(() =>
      readPacket({ bytes: hex`b0 03 00 0a 00`, header: 0xb0, start: 2, end: 5 }, 5, 'client'),
    ).toThrow('[MQTT-3.11.3-1]');
    expect(() =>
      readPacket({ bytes: hex`b0 04 00 0a 00 01`, header: 0xb0, start: 2, end: 6 }, 5, 'client'),
    ).toThrow('[MQTT-3.11.3-2]');
  });
});
