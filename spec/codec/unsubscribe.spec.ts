import { describe, expect, it } from '@jest/globals';
import { encode } from '../../lib/codec/codec.ts';
import { readPacket } from '../../lib/codec/read-packet.ts';
import { hex, toHex } from '../support/bytes.ts';

const unsubscribe = {
  type: 'unsubscribe',
  packetId: 10,
  topicFilters: ['a', 'b/+'],
  properties: {},
} as const;

describe('UNSUBSCRIBE', () => {
  it('is written and read as each version has it', () => {
    const bytes = encode(unsubscribe, 5);
    expect(toHex(bytes)).toBe('a2 0b 00 0a 00 00 01 61 00 03 62 2f 2b');
    expect(readPacket({ bytes: bytes, header: 0xa2, start: 2, end: bytes.length }, 5, 'server')).toEqual(
      unsubscribe,
    );
    expect(toHex(encode(unsubscribe, 4))).toBe('a2 0a 00 0a 00 01 61 00 03 62 2f 2b');
  });

  it('[MQTT-3.10.3-2] has at least one filter, and legal ones', () => {
    expect(() => encode({ ...unsubscribe, topicFilters: [] }, 5)).toThrow('[MQTT-3.10.3-2]');
    expect(() => encode({ ...unsubscribe, topicFilters: ['#/a'] }, 5)).toThrow('[4.7.1]');
    expect(() =>
      readPacket({ bytes: hex`a2 03 00 0a 00`, header: 0xa2, start: 2, end: 5 }, 5, 'server'),
    ).toThrow('[MQTT-3.10.3-2]');
  });
});
