import { describe, expect, it } from '@jest/globals';
import { encode, type Receiver } from '../../lib/codec/codec.ts';
import { readPacket } from '../../lib/codec/read-packet.ts';
import { hex, toHex } from '../support/bytes.ts';

const read = (bytes: Uint8Array, receiver: Receiver = 'client'): unknown =>
  readPacket({ bytes: bytes, header: 0xf0, start: 2, end: bytes.length }, 5, receiver);
const properties = { authenticationMethod: 'X' };

describe('AUTH', () => {
  it('is written and read with its method', () => {
    const auth = { type: 'auth', reasonCode: 0x18, properties } as const;
    expect(toHex(encode(auth, 5))).toBe('f0 06 18 04 15 00 01 58');
    expect(read(encode(auth, 5))).toEqual(auth);
  });

  it('without a method is refused', () => {
    expect(() => encode({ type: 'auth', reasonCode: 0x18 }, 5)).toThrow('[3.15.2.2.2]');
    expect(() => read(hex`f0 00`)).toThrow(expect.objectContaining({ reasonCode: 0x82 }));
    expect(() => read(hex`f0 01 18`)).toThrow(expect.objectContaining({ reasonCode: 0x81 }));
    expect(() => read(hex`f0 02 18 00`)).toThrow(expect.objectContaining({ reasonCode: 0x82 }));
  });

  it('[MQTT-3.15.2-1] has the Reason Codes that the other end may send', () => {
    expect(() => read(hex`f0 06 19 04 15 00 01 58`)).toThrow('[MQTT-3.15.2-1]');
    expect(() => read(hex`f0 06 00 04 15 00 01 58`, 'server')).toThrow('[MQTT-3.15.2-1]');
  });

  it('does not exist on 3.x', () => {
    expect(() => encode({ type: 'auth', properties }, 4)).toThrow('[2.2.1]');
  });
});
