import { describe, expect, it } from '@jest/globals';
import { encode, type ProtocolVersion } from '../../lib/codec/codec.ts';
import { readPacket } from '../../lib/codec/read-packet.ts';
import { hex, toHex } from '../support/bytes.ts';

const read = (bytes: Uint8Array, version: ProtocolVersion = 5): unknown =>
  readPacket({ bytes: bytes, header: 0x90, start: 2, end: bytes.length }, version, 'client');
const suback = (reasonCodes: number[], version: ProtocolVersion = 5): string =>
  toHex(encode({ type: 'suback', packetId: 10, reasonCodes }, version));

describe('SUBACK', () => {
  it('has one Reason Code per Topic Filter, in order', () => {
    expect(read(hex`90 06 00 0a 00 02 8f 00`)).toMatchObject({ reasonCodes: [2, 0x8f, 0] });
    expect(suback([2, 0x80], 4)).toBe('90 04 00 0a 02 80');
  });

  it('[MQTT-3.9.3-2] has the codes of its version', () => {
    expect(() => read(hex`90 03 00 0a 8f`, 4)).toThrow('[MQTT-3.9.3-2]');
    expect(() => read(hex`90 04 00 0a 00 03`)).toThrow('[MQTT-3.9.3-2]');
    expect(() => suback([0x80], 3)).toThrow('[MQTT-3.9.3-2]');
    expect(() => suback([undefined as unknown as number])).toThrow(TypeError);
  });

  it('of 3.1 with an unknown code is a refusal', () => {
    expect(read(hex`90 05 00 0a 01 03 80`, 3)).toMatchObject({ reasonCodes: [1, 0x80, 0x80] });
  });

  it('without codes is refused', () => {
    expect(() => read(hex`90 03 00 0a 00`)).toThrow('[MQTT-3.8.4-6]');
    expect(() => read(hex`90 02 00 0a`, 4)).toThrow('[MQTT-3.8.4-5]');
    expect(() => suback([])).toThrow('[MQTT-3.8.4-6]');
  });
});
