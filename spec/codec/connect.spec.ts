import { describe, expect, it } from '@jest/globals';
import { encode, type ProtocolVersion } from '../../lib/codec/codec.ts';
import { readPacket } from '../../lib/codec/read-packet.ts';
import { hex, toHex } from '../support/bytes.ts';

const connect = { type: 'connect', clientId: 'a', cleanStart: true, keepAlive: 60 } as const;
const read = (bytes: Uint8Array): unknown =>
  readPacket({ bytes: bytes, header: 0x10, start: 2, end: bytes.length }, 5, 'server');
const written = (more: object, version: ProtocolVersion): string =>
  toHex(encode({ ...connect, ...more }, version));

describe('CONNECT', () => {
  it('is written as each version has it', () => {
    expect(written({}, 3)).toBe('10 0f 00 06 4d 51 49 73 64 70 03 02 00 3c 00 01 61');
    expect(written({}, 4)).toBe('10 0d 00 04 4d 51 54 54 04 02 00 3c 00 01 61');
    expect(written({}, 5)).toBe('10 0e 00 04 4d 51 54 54 05 02 00 3c 00 00 01 61');
  });

  it('[MQTT-3.1.3-1] writes its fields in order, and reads them back', () => {
    const full = {
      ...connect,
      username: 'u',
      password: hex`70`,
      will: { topic: 'w', payload: hex`78`, qos: 2, retain: true, properties: { willDelayInterval: 5 } },
      properties: { receiveMaximum: 10 },
    } as const;
    const bytes = encode(full, 5);
    expect(toHex(bytes).slice(-72)).toBe(
      'f6 00 3c 03 21 00 0a 00 01 61 05 18 00 00 00 05 00 01 77 00 01 78 00 01 75 00 01 70'.slice(-72),
    );
    expect(read(bytes)).toEqual(full);
  });

  it('tells a server its version', () => {
    expect(() => read(hex`10 0d 00 04 4d 51 54 54 06 02 00 3c 00 01 61`)).toThrow(
      expect.objectContaining({ statement: 'MQTT-3.1.2-2', reasonCode: 0x84 }),
    );
    expect(() => read(hex`10 0d 00 04 48 54 54 50 04 02 00 3c 00 01 61`)).toThrow('[MQTT-3.1.2-1]');
  });

  it.each([
    ['the reserved flag', 0x03, 'MQTT-3.1.2-3'],
    ['Will QoS without a will', 0x0a, 'MQTT-3.1.2-13'],
    ['Will Retain without a will', 0x22, 'MQTT-3.1.2-15'],
    ['Will QoS 3', 0x1e, 'MQTT-3.1.2-14'],
    ['a password without a user name', 0x42, 'MQTT-3.1.2-22'],
  ])('refuses %s on 3.1.1', (_, flags, statement) => {
    expect(() => read(hex`10 0d 00 04 4d 51 54 54 04 ${flags} 00 3c 00 01 61`)).toThrow(
      expect.objectContaining({ statement }),
    );
  });

  it('accepts a CONNECT of 3.1 whose flags are set for absent fields', () => {
    expect(read(hex`10 0f 00 06 4d 51 49 73 64 70 03 c2 00 3c 00 01 61`)).toEqual({
      ...connect,
      properties: {},
    });
  });

  it('is not written if a server would refuse it', () => {
    expect(() => written({ clientId: '' }, 3)).toThrow(expect.objectContaining({ reasonCode: 0x85 }));
    expect(() => written({ clientId: '', cleanStart: false }, 4)).toThrow('[MQTT-3.1.3-7]');
    expect(() => written({ clientId: '' }, 4)).not.toThrow();
    expect(() => written({ password: hex`70` }, 4)).toThrow('[MQTT-3.1.2-22]');
    expect(() => written({ password: hex`70` }, 5)).not.toThrow();
    expect(() => written({ properties: { authenticationData: hex`00` } }, 5)).toThrow('[3.1.2.11.10]');
    expect(() => written({ will: { topic: 'a/#', payload: hex`` } }, 5)).toThrow('[MQTT-3.1.3-11]');
    expect(() => written({ will: 'bye' }, 5)).toThrow(TypeError);
    expect(() => written({ keepAlive: 65_536 }, 5)).toThrow(RangeError);
    expect(() => written({ cleanStart: undefined }, 5)).toThrow(TypeError);
  });
});
