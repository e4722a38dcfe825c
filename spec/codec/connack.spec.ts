import { describe, expect, it } from '@jest/globals';
import { encode, type ProtocolVersion } from '../../lib/codec/codec.ts';
import { readPacket } from '../../lib/codec/read-packet.ts';
import { hex, toHex } from '../support/bytes.ts';

const read = (bytes: Uint8Array, version: ProtocolVersion = 5): unknown =>
  readPacket({ bytes: bytes, header: 0x20, start: 2, end: bytes.length }, version, 'client');

describe('CONNACK', () => {
  it('is read as each version has it', () => {
    const packet = { type: 'connack', sessionPresent: true, reasonCode: 0, properties: {} };
    expect(read(hex`20 03 01 00 00`)).toEqual(packet);
    expect(read(hex`20 02 01 00`, 4)).toEqual(packet);
    expect(read(hex`20 02 ff 00`, 3)).toEqual({ ...packet, sessionPresent: false });
  });

  it('reads the refusal of a server without 5.0 as Unsupported Protocol Version', () => {
    expect(read(hex`20 02 00 01`)).toMatchObject({ reasonCode: 0x84 });
    expect(() => read(hex`20 02 00 05`)).toThrow(expect.objectContaining({ reasonCode: 0x81 }));
  });

  it('refuses reserved flags, codes and lengths', () => {
    expect(() => read(hex`20 03 02 00 00`)).toThrow('[MQTT-3.2.2-1]');
    expect(() => read(hex`20 02 02 00`, 4)).toThrow('[3.2.2.1]');
    expect(() => read(hex`20 03 00 01 00`)).toThrow('[MQTT-3.2.2-8]');
    expect(() => read(hex`20 02 00 06`, 4)).toThrow('[3.2.2.3]');
    expect(() => read(hex`20 03 00 00 00`, 4)).toThrow('[2.1.4]');
  });

  it('is not written as a refusal with Session Present', () => {
    const refusal = { type: 'connack', sessionPresent: true, reasonCode: 0x87 } as const;
    expect(() => encode(refusal, 5)).toThrow('[MQTT-3.2.2-6]');
    expect(() => encode({ ...refusal, reasonCode: 5 }, 4)).toThrow('[MQTT-3.2.2-4]');
    expect(() => encode({ ...refusal, reasonCode: 0 }, 3)).toThrow(TypeError);
    expect(toHex(encode({ type: 'connack' }, 5))).toBe('20 03 00 00 00');
  });
});
